/** On a machine that is full of short connections surplus workers rest; no request fails, and whoever is missed is made up for. */
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism, cpus } from 'node:os';
import { type TestContext, test } from 'node:test';
import { acceptingMin } from '../../src/machines/rest.ts';
import { controlled, type Data } from './controlled.ts';
import { eventually, fixture } from './harness.ts';

const WORKERS = 2 * availableParallelism() + 2;
const SURPLUS = WORKERS - acceptingMin(availableParallelism());
/** Connections of each client. */
const AT_ONCE = 8;
const DEADLINE_MS = 40_000;

interface Told {
  answered: number;
  failures: string[];
}

/** Clients that fill every processor, each a process. */
function startFlood(t: TestContext, port: number) {
  const children = cpus().map(() =>
    fork(fixture('flood-client.mjs'), [JSON.stringify({ port, atOnce: AT_ONCE })], { execArgv: [] }),
  );
  t.after(() => {
    for (const child of children) child.kill('SIGKILL');
  });
  const asked = async (order: 'tell' | 'stop'): Promise<Told> => {
    const told = await Promise.all(
      children.map(async (child) => {
        const answer = once(child, 'message');
        child.send(order);
        return (await answer)[0] as Told;
      }),
    );
    return {
      answered: told.reduce((sum, { answered }) => sum + answered, 0),
      failures: told.flatMap(({ failures }) => failures),
    };
  };
  return { clients: children.length, soFar: () => asked('tell'), stop: () => asked('stop') };
}

test('surplus workers rest while short connections fill the machine, and all accept again after it', async (t) => {
  const { server, ask } = await controlled(t, ['-w', String(WORKERS)]);
  await server.settled(WORKERS);
  const shown = async (): Promise<Data[]> => (await ask('show workers')).workers;
  const resting = async (): Promise<number[]> =>
    (await shown()).filter((one) => one.resting).map(({ pid }) => pid);
  const flood = startFlood(t, server.port);
  await server.told(new RegExp(`^\\d+ of ${WORKERS} workers rest`), 0, DEADLINE_MS);
  await eventually('the surplus rests', async () => (await resting()).length === SURPLUS, DEADLINE_MS);
  for (const one of await shown()) {
    assert.equal(one.state, 'ready');
    assert.equal(one.paused, false);
  }
  const before = await flood.soFar();
  assert.ok(before.answered > 0);
  assert.deepEqual(before.failures, []);

  const rested = await resting();
  const killed = (await shown()).find(({ pid }) => !rested.includes(pid))!;
  process.kill(killed.pid, 'SIGKILL');
  // One that rests, until it is replaced and has some rest again; or another that was late with its heartbeat, and is back.
  await eventually(
    'enough of the others accept',
    async () =>
      (await shown()).filter((one) => one.state === 'ready' && !one.resting && one.pid !== killed.pid)
        .length >= acceptingMin(availableParallelism()),
    DEADLINE_MS,
  );
  const still = await resting();
  assert.ok(still.length > 0);
  assert.deepEqual(server.all(/^all workers accept again/), [], 'it alone');

  const { failures } = await flood.stop();
  // What the one that was killed had accepted.
  assert.ok(failures.length <= AT_ONCE * flood.clients, failures.join(', '));
  await server.told(/^all workers accept again: /, 0, DEADLINE_MS);
  await eventually('nobody rests', async () => (await resting()).length === 0);
  // The others are taken out of rotation, so that one that has rested answers or nobody does.
  const workers = await server.settled(WORKERS);
  for (const { pid } of workers) if (pid !== still[0]) await ask(`worker pause ${pid}`);
  assert.equal((await server.get()).json<{ pid: number }>().pid, still[0]);
});
