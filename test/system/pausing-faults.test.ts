/** Pauses that do not take place: the worker goes on accepting, and whoever asked is told why. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, test } from 'node:test';
import { controlled, type Data } from './controlled.ts';
import { descriptors, eventually, fixture, needsProc, type Server } from './harness.ts';

const onlyWorker = async (server: Server): Promise<number> => (await server.settled(1))[0]!.pid;

const isPaused = async (ask: (command: string) => Promise<Data>, pid: number): Promise<boolean> =>
  (await ask('show workers')).workers.find((one: Data) => one.pid === pid).paused;

describe('what is refused', { concurrency: 3 }, () => {
  test('who is no worker, or is leaving', async (t) => {
    const { server, ask, site } = await controlled(t, ['-w', '1']);
    const pid = await onlyWorker(server);
    const refusal = (error: string) => ({ success: false, error });
    assert.deepEqual(await ask('worker pause 1'), refusal('Worker 1 not found'));
    assert.deepEqual(
      await ask(`worker pause ${server.pid}`),
      refusal(`${server.pid} is the arbiter: it accepts no connections`),
    );
    const held = server.get(`/hold?until=${site.path('go')}`);
    await server.printed(/holding/);
    await ask(`worker kill ${pid}`);
    await server.told(/worker 1 .* is draining/);
    for (const action of ['pause', 'resume'])
      assert.deepEqual(await ask(`worker ${action} ${pid}`), refusal(`Worker ${pid} is leaving already`));
    site.write('go', '');
    assert.equal((await held).status, 200);
  });

  test('one that hangs does not answer, and is told of when it ends', async (t) => {
    const { server, ask } = await controlled(t, ['-w', '1', '--timeout', '1']);
    const pid = await onlyWorker(server);
    server.get('/spin').catch(() => {});
    await server.printed(/spinning/);
    const { success, error } = await ask(`worker pause ${pid}`);
    assert.equal(success, false);
    assert.equal(error, `Worker ${pid} has ended already`);
  });

  test('where no process can be started it goes on accepting', async (t) => {
    const { server, ask } = await controlled(t, ['-w', '1'], { app: fixture('cannot-spawn.mjs') });
    const pid = await onlyWorker(server);
    assert.deepEqual(await ask(`worker pause ${pid}`), {
      success: false,
      error: `Worker ${pid} cannot be paused: no copies of its descriptors: spawn EAGAIN`,
    });
    await server.told(/worker 1 .*: cannot be paused: no copies of its descriptors: spawn EAGAIN/);
    assert.equal((await server.get()).text, String(pid));
    assert.equal(await isPaused(ask, pid), false);
  });

  test('where it may open too few descriptors too, and none leaks', { skip: needsProc }, async (t) => {
    const { server, ask } = await controlled(t, ['-w', '1']);
    const pid = await onlyWorker(server);
    await server.get();
    // Room for the channel to the process that sends them, and for some of them.
    const taken = new Set(descriptors(pid).map(Number));
    let limit = 0;
    for (let free = 0; free < 8; limit++) if (!taken.has(limit)) free++;
    const { status, stderr } = spawnSync('prlimit', ['--pid', String(pid), `--nofile=${limit}:${limit}`]);
    assert.equal(status, 0, String(stderr));
    const before = descriptors(pid).length;
    const { success, error } = await ask(`worker pause ${pid}`);
    assert.equal(success, false);
    assert.match(error, /cannot be paused: no copies of its descriptors: this process has too many/);
    await eventually('nothing is left of the attempt', () => descriptors(pid).length <= before);
    assert.equal((await server.get()).json<{ pid: number }>().pid, pid);
  });
});

test('a pause that a resumption overtakes does not take place', async (t) => {
  const { server, ask } = await controlled(t, ['-w', '1']);
  const pid = await onlyWorker(server);
  const [paused, resumed] = await Promise.all([ask(`worker pause ${pid}`), ask(`worker resume ${pid}`)]);
  assert.deepEqual(paused, { success: false, error: `Worker ${pid} was told otherwise meanwhile` });
  assert.deepEqual(resumed, { success: true, resumed: pid, accepting: 1 });
  // The next one waits for the same copies.
  assert.deepEqual(await ask(`worker pause ${pid}`), { success: true, paused: pid, accepting: 0 });
  assert.equal((await Promise.all([ask(`worker resume ${pid}`), server.get()]))[1].status, 200);
});
