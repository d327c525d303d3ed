/** One supervised process: how it is started, what passes over its link, and that its end is told, once and last. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createActor, type EventObject, setup } from 'xstate';
import { HeartbeatTable } from '../../src/actors/heartbeat.ts';
import { InspectedChildren } from '../../src/actors/inspect/children.ts';
import { type ProcessLaunch, processActor } from '../../src/actors/process.ts';
import { Redactor } from '../../src/actors/redaction.ts';
import type { ProcessInput } from '../../src/machines/child.ts';
import type { ProcessOrder, ProcessReport } from '../../src/machines/events/process.ts';
import type { WorkerReport } from '../../src/machines/events/worker.ts';
import { openSockets, until } from './support.ts';

const workerFile = fileURLToPath(new URL('../fixtures/system/link-process.mjs', import.meta.url));

type Report = ProcessReport | WorkerReport;

interface Options {
  env?: Record<string, string>;
  cwd?: string;
  timeoutMs?: number;
}

/** Starts a process that behaves as told, under a parent that writes down what it reports. */
function start(t: TestContext, behaviour: string, { env, cwd, timeoutMs }: Options = {}) {
  const reports: Report[] = [];
  const notices: string[] = [];
  const live = new Set<ChildProcess>();
  const launch = ({ age, slot }: ProcessInput): ProcessLaunch<'web'> => ({
    cwd: cwd ?? process.cwd(),
    env: { PATH: process.env['PATH'] ?? '', ...env, BEHAVIOUR: behaviour },
    fds: [],
    boot: {
      type: 'worker.boot',
      spec: {
        age,
        slot,
        generation: 1,
        app: { spec: 'app.js', path: '/app.js' },
        listeners: [],
        backlog: 1,
        idleGraceMs: 1,
        graceMs: 1,
        maxRequests: 0,
        heartbeatMs: 1000,
        dirty: null,
      },
    },
  });
  const logic = processActor({
    kind: 'web',
    title: 'worker',
    launch,
    heartbeats: new HeartbeatTable(),
    inspected: new InspectedChildren(),
    live,
    file: workerFile,
    redactor: new Redactor(),
    linkNotice: (text) => notices.push(text),
  });
  const parent = setup({
    types: { events: {} as EventObject },
    actors: { process: logic },
    actions: { keep: ({ event }) => void reports.push(event as Report) },
  }).createMachine({
    invoke: {
      id: 'process',
      src: 'process',
      input: { age: 7, slot: 2, generation: 1, timeoutMs: timeoutMs ?? 0, graceMs: 1000 },
    },
    on: { '*': { actions: 'keep' } },
  });
  const actor = createActor(parent);
  actor.start();
  t.after(() => {
    actor.stop();
    for (const child of live) child.kill('SIGKILL');
  });
  return {
    reports,
    notices,
    live,
    actor,
    types: () => reports.map(({ type }) => type),
    tell: (order: ProcessOrder) => actor.getSnapshot().children['process']?.send(order),
    reported: <T extends Report['type']>(type: T) =>
      until(
        `${type} is reported`,
        () => reports.find((one) => one.type === type) as Extract<Report, { type: T }>,
      ),
  };
}

test('it is spawned, hears the order to boot first, reports in order, and its end is told last', async (t) => {
  const { reports, tell, reported, types, live } = start(t, 'echo');
  const { pid } = await reported('process.spawned');
  await until('the order to boot is heard', () => reports.some((one) => one.type === 'worker.notice'));
  tell({ type: 'worker.drain', orderId: 1, graceMs: 5 });
  await until(
    'the next order is heard',
    () => types().filter((type) => type === 'worker.notice').length === 2,
  );
  tell({ type: 'process.signal', signal: 'SIGTERM' });
  const exited = await reported('process.exited');
  assert.deepEqual(exited, { type: 'process.exited', code: null, signal: 'SIGTERM' });
  assert.deepEqual(types(), [
    'process.spawned',
    'worker.hello',
    'worker.ready',
    'worker.notice',
    'worker.notice',
    'process.exited',
  ]);
  assert.deepEqual(
    reports.flatMap((one) => (one.type === 'worker.notice' ? [one.text] : [])),
    ['worker.boot', 'worker.drain'],
  );
  assert.equal(live.size, 0);
  assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
});

test("it gets its place and the directory of its generation, but not what is the parent's alone", async (t) => {
  // Below the packages, since the loader of this test is inherited.
  const cwd = fileURLToPath(new URL('../fixtures', import.meta.url)).replace(/\/$/, '');
  const env = {
    LISTEN_FDS: '1',
    LISTEN_PID: '1',
    NOTIFY_SOCKET: '/x',
    WATCHDOG_USEC: '1',
    NODE_CHANNEL_FD: '5',
    A: 'b',
  };
  const { reported } = start(t, 'environment', { cwd, env });
  const seen = JSON.parse((await reported('worker.notice')).text) as {
    cwd: string;
    env: Record<string, string>;
  };
  assert.equal(seen.cwd, cwd);
  const { PATH: _, BEHAVIOUR: __, ...rest } = seen.env;
  assert.deepEqual(rest, { A: 'b', KIRIN_WORKER_AGE: '7', KIRIN_WORKER_SLOT: '2', NODE_APP_INSTANCE: '2' });
});

test('its last words are told before its end', async (t) => {
  const { types, reported } = start(t, 'lastWords');
  assert.deepEqual(await reported('process.exited'), { type: 'process.exited', code: 9, signal: null });
  assert.deepEqual(types().slice(-2), ['worker.lastWords', 'process.exited']);
});

test('its end is told although another process holds its link open', async (t) => {
  const { reported } = start(t, 'leavesLinkBehind');
  const heir = Number(/heir (\d+)/.exec((await reported('worker.notice')).text)?.[1]);
  t.after(() => process.kill(heir, 'SIGKILL'));
  assert.equal((await reported('process.exited')).code, 0);
});

for (const [behaviour, why] of [
  ['noHello', /said worker\.ready before hello/],
  ['otherProtocol', /speaks link protocol 99/],
  ['otherAge', /says it is worker 8/],
  ['garbage', /broke the link/],
] as const)
  test(`a process that ${behaviour}: its link is broken, with the reason, and nothing more is heard of it`, async (t) => {
    const { types, reported, tell } = start(t, behaviour);
    assert.match((await reported('process.linkBroken')).fault.message, why);
    assert.ok(!types().includes('worker.ready'));
    tell({ type: 'process.signal', signal: 'SIGKILL' });
    await reported('process.exited');
    assert.equal(types().filter((type) => type === 'process.linkBroken').length, 1);
  });

test('what it sends that is not known is noticed a few times, not a thousand', async (t) => {
  const { reported, notices } = start(t, 'floods');
  await reported('worker.notice');
  assert.ok(notices.length > 0 && notices.length <= 5, `${notices.length} notices`);
});

test('its silence is told once it was ready', async (t) => {
  const { reported, types } = start(t, 'silent', { timeoutMs: 200 });
  assert.ok((await reported('process.silent')).silentMs > 200);
  assert.ok(types().indexOf('worker.ready') < types().indexOf('process.silent'));
});

test('a process that cannot be spawned is told once, with what is missing, and leaves no descriptor', async (t) => {
  const linux = process.platform === 'linux';
  const before = linux ? openSockets() : 0;
  const { reported, types, live } = start(t, 'echo', { cwd: '/nowhere/at/all' });
  assert.match((await reported('process.spawnFailed')).fault.message, /\/nowhere\/at\/all is gone/);
  await until('nothing is left open', () => !linux || openSockets() <= before);
  assert.deepEqual(types(), ['process.spawnFailed']);
  assert.equal(live.size, 0);
});

test('orders to a process that is gone are lost without harm', async (t) => {
  const { reported, tell, notices } = start(t, 'lastWords');
  await reported('process.exited');
  tell({ type: 'worker.drain', orderId: 1, graceMs: 1 });
  tell({ type: 'process.signal', signal: 'SIGKILL' });
  assert.ok(notices.length <= 1);
});

test('an actor that is stopped leaves no process behind', async (t) => {
  const { reported, actor, live } = start(t, 'echo');
  const { pid } = await reported('process.spawned');
  actor.stop();
  await until('the process is gone', () => live.size === 0);
  assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
});

test('twenty processes leave no descriptor', {
  skip: process.platform !== 'linux',
}, async (t) => {
  await start(t, 'lastWords').reported('process.exited');
  const before = readdirSync('/proc/self/fd').length;
  for (let round = 0; round < 4; round++)
    await Promise.all(
      Array.from({ length: 5 }, async () => {
        await start(t, 'lastWords').reported('process.exited');
      }),
    );
  await until('all are closed', () => readdirSync('/proc/self/fd').length <= before);
});
