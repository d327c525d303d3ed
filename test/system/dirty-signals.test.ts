/** Signals to the dirty arbiter, and how many dirty workers there can be: limits of apps and tokens of resources. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Data } from './controlled.ts';
import { dirtyApp, Tree } from './dirty-tree.ts';
import { eventually, needsProc } from './harness.ts';
import { isAlive } from './processes.ts';

const MODEL = dirtyApp('Model');
const SINGLE = dirtyApp('Single');
const PAIR = dirtyApp('Pair');
const GPU = dirtyApp('Gpu');
const pidsOf = ({ workers }: Data): number[] => workers.map(({ pid }: Data) => pid);

describe('signals to the dirty arbiter', { concurrency: 2, skip: needsProc }, () => {
  test('TTIN and TTOU: one dirty worker more or less, never below the largest limit of an app', async (t) => {
    const tree = await Tree.serve(t, ['--dirty-workers', '2', '--dirty-app', MODEL, '--dirty-app', PAIR]);
    const { pid } = await tree.settled(2);
    process.kill(pid, 'SIGTTIN');
    await tree.settled(3, ({ target_workers }) => target_workers === 3);
    process.kill(pid, 'SIGTTOU');
    await tree.settled(2, ({ target_workers }) => target_workers === 2);
    process.kill(pid, 'SIGTTOU');
    process.kill(pid, 'SIGTTOU');
    // Signals of different kinds come in any order: the next is sent when that was heard.
    await tree.server.until(
      'it is told',
      () => tree.server.all(/an app is to have 2 workers; there must be as many/).length >= 1,
    );
    assert.equal((await tree.dirty()).target_workers, 2);
    process.kill(pid, 'SIGTTIN');
    await tree.settled(3);
    for (const app of (await tree.dirty()).apps) assert.ok(app.current_workers >= 2);
  });

  test('HUP: all dirty workers are replaced, and no call is refused', async (t) => {
    const tree = await Tree.serve(t, ['--dirty-workers', '2', '--dirty-app', MODEL, '--dirty-app', SINGLE]);
    const before = await tree.settled(2);
    let isOver = false;
    const codes: unknown[] = [];
    const callers = [MODEL, SINGLE].map(async (app) => {
      while (!isOver) codes.push((await tree.call(app, 'who')).code);
    });
    await tree.server.until('calls are answered', () => codes.length > 10);
    process.kill(before.pid, 'SIGHUP');
    const after = await tree.settled(
      2,
      (dirty) => !pidsOf(dirty).some((pid) => pidsOf(before).includes(pid)),
    );
    isOver = true;
    await Promise.all(callers);
    assert.deepEqual(
      codes.filter((code) => code !== undefined),
      [],
    );
    assert.equal(after.pid, before.pid);
    assert.equal(after.generation, 1);
  });

  test('TERM: what runs is answered, and there is another at the same path', async (t) => {
    const tree = await Tree.serve(t, ['--dirty-workers', '2', '--dirty-app', MODEL]);
    const { pid } = await tree.settled(2);
    const held = await tree.hold(MODEL);
    process.kill(pid, 'SIGTERM');
    await tree.server.told(/^dirty arbiter \(pid \d+\) is draining: it was sent SIGTERM/);
    assert.ok(isAlive(held.pid));
    tree.site.write('go', '');
    assert.equal((await held.answer).result.pid, held.pid);
    await tree.settled(2, (dirty) => dirty.pid !== pid);
    assert.equal((await tree.call(MODEL, 'who')).result.version, 'fixture');
    assert.equal(isAlive(pid), false);
  });

  test('TERM, again and again under load: no call is refused or lost', async (t) => {
    const tree = await Tree.serve(t, ['--dirty-workers', '2', '--dirty-app', MODEL]);
    let { pid } = await tree.settled(2);
    let isOver = false;
    const codes: unknown[] = [];
    const callers = Array.from({ length: 8 }, async () => {
      while (!isOver) codes.push((await tree.call(MODEL, 'who')).code);
    });
    for (let round = 0; round < 3; round++) {
      const { length } = codes;
      await tree.server.until('calls are answered', () => codes.length > length + 20);
      process.kill(pid, 'SIGTERM');
      ({ pid } = await tree.settled(2, (dirty) => dirty.pid && dirty.pid !== pid));
    }
    isOver = true;
    await Promise.all(callers);
    assert.deepEqual(
      codes.filter((code) => code !== undefined),
      [],
    );
  });

  test('INT: what runs is cut, and there is another', async (t) => {
    const tree = await Tree.serve(t, ['--dirty-workers', '1', '--dirty-app', MODEL]);
    const { pid } = await tree.settled(1);
    const held = await tree.hold(MODEL);
    process.kill(pid, 'SIGINT');
    assert.ok((await held.answer).code);
    await tree.settled(1, (dirty) => dirty.pid !== pid);
  });

  test('USR1, USR2 and WINCH do nothing; nor do they to a dirty worker', async (t) => {
    const tree = await Tree.serve(t, ['--dirty-workers', '1', '--dirty-app', MODEL]);
    const before = await tree.settled(1);
    for (const signal of ['SIGUSR2', 'SIGWINCH', 'SIGUSR1', 'SIGHUP', 'SIGTTIN', 'SIGTTOU'] as const) {
      if (!/HUP|TT/.test(signal)) process.kill(before.pid, signal);
      process.kill(pidsOf(before)[0]!, signal);
    }
    assert.equal((await tree.call(MODEL, 'who')).result.pid, pidsOf(before)[0]);
    const after = await tree.settled(1);
    assert.deepEqual([after.pid, pidsOf(after)], [before.pid, pidsOf(before)]);
  });

  test('stopped it holds up no one who asks, and killed then it leaves no worker behind', async (t) => {
    const tree = await Tree.serve(t, ['--dirty-workers', '1', '--dirty-app', MODEL]);
    const before = await tree.settled(1);
    process.kill(before.pid, 'SIGSTOP');
    // Control does not wait for it for ever.
    assert.deepEqual((await tree.dirty()).workers, []);
    assert.equal((await tree.ask('show stats')).pid, tree.server.pid);
    process.kill(before.pid, 'SIGKILL');
    await eventually('its worker has ended', () => !isAlive(pidsOf(before)[0]!));
    await tree.settled(1, (dirty) => dirty.pid !== before.pid);
  });
});

describe('TERM to a dirty worker', { concurrency: 2, skip: needsProc }, () => {
  test('under load loses no call: the router hears of it before the worker leaves', async (t) => {
    const tree = await Tree.serve(t, ['--dirty-workers', '2', '--dirty-app', MODEL]);
    let { workers } = await tree.settled(2);
    let isOver = false;
    const codes: unknown[] = [];
    const callers = Array.from({ length: 8 }, async () => {
      while (!isOver) codes.push((await tree.call(MODEL, 'who')).code);
    });
    for (let round = 0; round < 6; round++) {
      const { length } = codes;
      await tree.server.until('calls are answered', () => codes.length > length + 20);
      const pid = workers[round % 2].pid;
      process.kill(pid, 'SIGTERM');
      ({ workers } = await tree.settled(2, (dirty) => !pidsOf(dirty).includes(pid)));
    }
    isOver = true;
    await Promise.all(callers);
    assert.deepEqual(
      codes.filter((code) => code !== undefined),
      [],
    );
  });

  test('a call that is on its way to it is answered', async (t) => {
    const tree = await Tree.serve(t, ['--dirty-workers', '1', '--dirty-app', MODEL]);
    const { pid, workers } = await tree.settled(1);
    const [worker] = workers;
    // The dirty arbiter hears of it late, and of calls that came before and after.
    process.kill(pid, 'SIGSTOP');
    const before = tree.call(MODEL, 'who');
    process.kill(worker.pid, 'SIGTERM');
    const calls = [before, ...Array.from({ length: 4 }, () => tree.call(MODEL, 'who'))];
    process.kill(pid, 'SIGCONT');
    for (const { result, code } of await Promise.all(calls)) assert.equal(result?.version, 'fixture', code);
    await tree.settled(1, (dirty) => pidsOf(dirty)[0] !== worker.pid);
    assert.equal(isAlive(worker.pid), false);
  });

  test('it goes when it has finished what it runs, and at the end of its grace at the latest', async (t) => {
    const args = ['--dirty-graceful-timeout', '2', '--dirty-timeout', '0'];
    const tree = await Tree.serve(t, ['--dirty-workers', '1', '--dirty-app', MODEL, ...args]);
    await tree.settled(1);
    const held = await tree.hold(MODEL);
    process.kill(held.pid, 'SIGTERM');
    const next = await tree.until('there is another', ({ workers }) =>
      workers.some((worker: Data) => worker.pid !== held.pid && worker.booted),
    );
    assert.ok(pidsOf(next).includes(held.pid), 'it still runs its call');
    tree.site.write('go', '');
    assert.equal((await held.answer).result.pid, held.pid);
    await tree.settled(1);
    tree.site.remove('go');
    const stays = await tree.hold(MODEL);
    process.kill(stays.pid, 'SIGTERM');
    assert.ok((await stays.answer).code);
    await tree.settled(1, (dirty) => !pidsOf(dirty).includes(stays.pid));
    assert.equal(tree.server.output.match(/close of fixture/g)?.length, 2, 'both closed their app');
  });
});

describe('how many dirty workers there can be', { concurrency: 2 }, () => {
  test('6: fewer workers never take an app away: those with limited apps stay', async (t) => {
    const tree = await Tree.serve(t, [
      '--dirty-workers',
      '4',
      '--dirty-app',
      MODEL,
      '--dirty-app',
      SINGLE,
      '--dirty-app',
      PAIR,
    ]);
    const before = await tree.settled(4);
    const single = before.apps.find(({ import_path }: Data) => import_path === SINGLE).worker_pids;
    const reply = await tree.ask('dirty remove 9 --wait');
    assert.deepEqual([reply.removed, reply.total_workers], [2, 2]);
    const after = await tree.settled(2);
    const workersOf = (name: string) => after.apps.find(({ import_path }: Data) => import_path === name);
    assert.deepEqual(workersOf(SINGLE).worker_pids, single);
    assert.equal(workersOf(PAIR).current_workers, 2);
    assert.equal((await tree.call(SINGLE, 'who')).result.pid, single[0]);
  });

  test('6: a worker whose app is for it alone is replaced when it is killed by hand', async (t) => {
    const tree = await Tree.serve(t, ['--dirty-workers', '2', '--dirty-app', MODEL, '--dirty-app', SINGLE]);
    const before = await tree.settled(2);
    const [pid] = before.apps.find(({ import_path }: Data) => import_path === SINGLE).worker_pids;
    assert.deepEqual(await tree.ask(`worker kill ${pid}`), { success: true, killed: pid });
    await tree.settled(2, (dirty) => !pidsOf(dirty).includes(pid));
    assert.notEqual((await tree.call(SINGLE, 'who')).result.pid, pid);
  });

  test('each worker holds a token of its own; one more than there are tokens is not started, with the reason', async (t) => {
    const tree = await Tree.serve(t, [
      '--dirty-workers',
      '3',
      '--dirty-app',
      GPU,
      '--dirty-resource',
      'gpu=2',
    ]);
    const { workers, resources } = await tree.settled(2);
    await tree.server.told(
      /2 of 3 dirty workers are started: there is too little gpu for more \(--dirty-resource\)/,
    );
    assert.deepEqual(
      workers.map((worker: Data) => worker.resources).sort((a: Data, b: Data) => a.gpu[0] - b.gpu[0]),
      [{ gpu: [0] }, { gpu: [1] }],
    );
    assert.deepEqual(resources, { gpu: { total: 2, held: 2 } });
    const add = await tree.ask('dirty add');
    assert.deepEqual([add.spawned, add.reason], [0, 'there is too little gpu for more (--dirty-resource)']);
    const held = [await tree.hold(GPU), await tree.hold(GPU)];
    tree.site.write('go', '');
    const gpus = await Promise.all(held.map(async ({ answer }) => (await answer).result.gpu));
    assert.deepEqual(gpus.sort(), ['0', '1']);
    // The heir of a worker that dies has its token.
    const [first] = workers;
    process.kill(first.pid, 'SIGKILL');
    const after = await tree.settled(2, (dirty) => !pidsOf(dirty).includes(first.pid));
    assert.deepEqual(after.workers.map((worker: Data) => worker.resources.gpu[0]).sort(), [0, 1]);
  });
});
