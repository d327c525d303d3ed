/** The arbiter goes before its workers on a full machine: nice values as the kernel has them. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { test } from 'node:test';
import { dirtyServer } from './dirty-server.ts';
import { fixture, type Server, Site, serve } from './harness.ts';
import { childrenOf, commandOf, groupMembers, guardiansOf, isAlive } from './processes.ts';
import { Upgraded } from './upgraded.ts';

const options = { skip: process.platform !== 'linux' && 'only Linux has nice values of threads' };
const usual = getPriority();
/** Asked without Kirin: whoever runs the tests may have to do without. */
const isPermitted =
  spawnSync(process.execPath, ['-e', 'os.setPriority(os.getPriority() - 10)'], { stdio: 'ignore' }).status ===
  0;
const raised = isPermitted ? Math.max(-20, usual - 10) : usual;

const KINDS = ['dirty arbiter', 'dirty worker', 'worker', 'hook'];

const niceOf = (pid: number, thread = pid): number => {
  const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8');
  // The name, in brackets, may hold anything.
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16]);
};
/** A process or a thread may end while it is looked at. */
function orNone<T>(look: () => T[]): T[] {
  try {
    return look();
  } catch {
    return [];
  }
}
/** Of all threads of a process, each once. */
function nicesOf(pid: number): number[] {
  const nices = orNone(() => readdirSync(`/proc/${pid}/task`)).flatMap((thread) =>
    orNone(() => [niceOf(pid, Number(thread))]),
  );
  return [...new Set(nices)];
}

/** While it starts something it is as what it starts. */
const goesAt = (server: Server, nice: number, pid = server.pid) =>
  server.until(`the nice value of ${pid} is ${nice}`, () => niceOf(pid) === nice);

test('the arbiter goes before whatever it has started, threads included', options, async (t) => {
  const site = new Site(t);
  const config = site.write('kirin.config.mjs', 'export default { whenReady() {}, onReload() {} };');
  const { server, dirtyPids } = await dirtyServer(t, ['-c', config, '-w', '2', '--dirty-workers', '1']);
  await goesAt(server, raised);
  // The first ones were started before it was raised, these are after it.
  await server.reload();
  await server.settled(2, 2);
  await dirtyPids();
  const started = await server.until('one of each kind is there, and none on its way out', () => {
    const pids = groupMembers(server.pid).filter((pid) => pid !== server.pid);
    const kinds = pids.map((pid) => /dirty arbiter|dirty worker|worker|hook/.exec(commandOf(pid))?.[0]);
    return KINDS.every((kind) => kinds.includes(kind)) && !kinds.includes(undefined) ? pids : undefined;
  });
  for (const pid of [...started, ...guardiansOf(server.pid)]) {
    const [name, nices] = [commandOf(pid), nicesOf(pid)];
    if (isAlive(pid)) assert.deepEqual([name, nices], [name, [usual]]);
  }
});

test('--arbiter-priority is by how much; 0: it is one of many', options, async (t) => {
  const two = await serve(t, fixture('app.mjs'), ['--arbiter-priority', '2']);
  await goesAt(two, isPermitted ? usual - 2 : usual);
  const none = await serve(t, fixture('app.mjs'), ['--arbiter-priority', '0']);
  assert.deepEqual(nicesOf(none.pid), [usual]);
});

test('the new arbiter of an upgrade goes as far before as the old one', options, async (t) => {
  const one = await Upgraded.serve(t);
  const pid = await one.upgrade();
  await goesAt(one.server, raised);
  await goesAt(one.server, raised, pid);
  const children = childrenOf(pid);
  assert.equal(children.length > 0, true);
  for (const child of children) assert.deepEqual(nicesOf(child), [usual]);
  await one.complete();
  await one.stop();
});

/** Tells what it was told, and nice values: its own thread's, and that of a thread that it starts. */
const script = (before: string): string => `
  import os from 'node:os';
  import { Worker } from 'node:worker_threads';
  import { atUsualPriority, raisePriority } from ${JSON.stringify(new URL('../../src/actors/priority.ts', import.meta.url))};
  ${before}
  const why = raisePriority(10) ?? null;
  const told = "require('node:worker_threads').parentPort.postMessage(require('node:os').getPriority())";
  const thread = atUsualPriority(() => new Worker(told, { eval: true, execArgv: [] }));
  thread.once('message', (inThread) => console.log(JSON.stringify({ why, own: os.getPriority(), inThread })));
`;
const run = (before = ''): unknown => {
  const args = ['--import', 'tsx', '--input-type', 'module', '-e', script(before)];
  const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 30_000 });
  assert.match(stdout, /^{/, stderr);
  return JSON.parse(stdout);
};

test('a thread is started with the priority that the process was started with', options, () => {
  assert.deepEqual(run(), { why: isPermitted ? null : 'EACCES', own: raised, inThread: usual });
});

test('who may not go before others stays as it is, and says why', options, () => {
  const nobody = 'if (process.getuid() === 0) process.setuid(65534);';
  assert.deepEqual(run(nobody), { why: 'EACCES', own: usual, inThread: usual });
});
