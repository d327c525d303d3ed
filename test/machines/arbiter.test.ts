/** The arbiter machine by paths: orders and their ends, stopping and its exit codes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createActor, fromCallback, setup } from 'xstate';
import { arbiterMachine } from '../../src/machines/arbiter.ts';
import type { ArbiterOrder, ArbiterReport, LogOrder } from '../../src/machines/events/arbiter.ts';
import type { Generation, GenerationOrder, GenerationReport } from '../../src/machines/events/generation.ts';
import type { PoolOrder, PoolReport } from '../../src/machines/events/pool.ts';
import type { poolMachine } from '../../src/machines/pool.ts';
import type { PoolInput } from '../../src/machines/pool-context.ts';
import { simulate } from '../simulation/simulation.ts';
import { transitionRecorder, transitionsOf } from './transitions.ts';

const recorder = transitionRecorder();
const SEEDS_FOR_COVERAGE = 400;
const fault = { code: 'app.loadFailed', message: 'broken' } as const;

const generation = (number: number, workers = 2): Generation => ({
  number,
  limits: { bootMs: 0, timeoutMs: 0, graceMs: 0, quitMs: 0, abortMs: 0, stableMs: 0, killAgainMs: 0 },
  surge: { count: 1 },
  settleMs: 0,
  workers,
});

/** An arbiter whose pool and generations are the test's to play. */
function arbiter(workersMax = 8) {
  const toPool: PoolOrder[] = [];
  const toGenerations: GenerationOrder[] = [];
  const toLogs: LogOrder[] = [];
  const ends: ArbiterReport[] = [];
  let fromPool = (_report: PoolReport): void => {};
  let fromGenerations = (_report: GenerationReport): void => {};
  const pool = setup({
    types: { input: {} as PoolInput, context: {} as PoolInput, events: {} as PoolOrder },
    actors: {
      listen: fromCallback<PoolOrder, PoolInput>(({ input }) => {
        fromPool = (report) => input.parent.send(report);
      }),
    },
    actions: {
      keep: ({ event }) => {
        toPool.push(event);
      },
    },
  }).createMachine({
    id: 'stand-in',
    context: ({ input }) => input,
    invoke: { src: 'listen', input: ({ context }) => context },
    on: { '*': { actions: 'keep' } },
  });
  const actor = createActor(
    arbiterMachine.provide({
      actors: {
        signals: fromCallback(() => {}),
        generations: fromCallback<GenerationOrder>(({ sendBack, receive }) => {
          fromGenerations = sendBack;
          receive((order) => {
            toGenerations.push(order);
          });
        }),
        logs: fromCallback<LogOrder>(({ receive }) =>
          receive((order) => {
            toLogs.push(order);
          }),
        ),
        pool: pool as unknown as typeof poolMachine,
      },
    }),
    { input: { workersMax }, inspect: recorder.watch },
  );
  for (const type of ['order.done', 'order.refused', 'order.failed', 'order.superseded'] as const)
    actor.on(type, (end) => ends.push(end));
  actor.start();
  return {
    toPool,
    toGenerations,
    toLogs,
    tell: (...orders: ArbiterOrder[]) => {
      for (const order of orders) actor.send(order);
    },
    pool: (...reports: PoolReport[]) => {
      for (const report of reports) fromPool(report);
    },
    generations: (...reports: GenerationReport[]) => {
      for (const report of reports) fromGenerations(report);
    },
    get ends() {
      return ends.map((end) => `${end.type.slice(6)} ${end.order.slice(8)} ${end.orderId}`);
    },
    faults: ends,
    get state() {
      return JSON.stringify(actor.getSnapshot().value);
    },
    get output() {
      return actor.getSnapshot().output;
    },
  };
}

function serving(workersMax?: number) {
  const one = arbiter(workersMax);
  one.generations({ type: 'generation.prepared', orderId: 0, generation: generation(1) });
  return one;
}

const reload: ArbiterOrder = { type: 'arbiter.reload', source: 'SIGHUP' };
const stop = (mode: 'graceful' | 'quick', signal?: number): ArbiterOrder => ({
  type: 'arbiter.stop',
  mode,
  source: 'SIGTERM',
  signal,
});

test('it prepares the first generation and opens the pool with what its settings ask for', () => {
  const one = serving();
  assert.deepEqual(one.toGenerations, [{ type: 'generation.prepare', number: 1, orderId: 0 }]);
  assert.match(one.state, /serving/);
});

test('addresses that cannot be bound end it with the fault and its exit code', () => {
  const one = arbiter();
  one.generations({
    type: 'generation.refused',
    orderId: 0,
    number: 1,
    fault: { code: 'bind.inUse', message: 'in use' },
  });
  assert.deepEqual([one.output?.exitCode, one.output?.fault?.message], [1, 'in use']);
});

test('while preparing, orders are refused and a stop is immediate', () => {
  const one = arbiter();
  one.tell(reload, { type: 'arbiter.scale', by: 1, source: 'SIGTTIN' }, stop('graceful', 15));
  assert.deepEqual(one.ends, ['refused reload 1', 'refused scale 2', 'done stop 3']);
  assert.equal(one.output?.exitCode, 0);
});

test('a boot failure at the first start ends it with the exit code of the fault', () => {
  const one = serving();
  one.pool({ type: 'pool.openFailed', fault }, { type: 'pool.stopped' });
  assert.deepEqual(one.output, { exitCode: 4, fault });
});

test('a signal and a command are the same event: TTIN scales by one, within 1 and the most allowed', () => {
  const one = serving(3);
  const by = (n: number): ArbiterOrder => ({ type: 'arbiter.scale', by: n, source: 'SIGTTIN' });
  one.tell(by(1), by(1), by(-5), by(-2), by(-1));
  assert.deepEqual(
    one.toPool.map((order) => order.type === 'pool.scale' && order.target),
    [3, 1],
  );
  assert.deepEqual(one.ends, ['refused scale 2', 'refused scale 3', 'refused scale 5']);
});

test('a reload: prepared, handed to the pool, ended as the pool ends it', () => {
  for (const type of ['done', 'failed', 'refused', 'superseded'] as const) {
    const one = serving();
    one.tell(reload);
    one.generations({ type: 'generation.prepared', orderId: 1, generation: generation(2) });
    assert.deepEqual(one.toPool.at(-1), { type: 'pool.replace', orderId: 1, generation: generation(2) });
    one.pool({
      type: `pool.${type}`,
      orderId: 1,
      replaced: 2,
      remaining: 0,
      fault,
      by: 2,
    } as unknown as PoolReport);
    assert.deepEqual(one.ends, [`${type} reload 1`]);
  }
});

test('a reload whose settings or addresses are refused fails with the reason, and the pool hears nothing', () => {
  const one = serving();
  one.tell(reload);
  one.generations({ type: 'generation.refused', orderId: 1, number: 2, fault });
  assert.deepEqual([one.ends, one.toPool], [['failed reload 1'], []]);
});

test('a reload while one is being prepared supersedes it, and what was prepared is released', () => {
  const one = serving();
  one.tell(reload, reload);
  assert.deepEqual(one.ends, ['superseded reload 1']);
  one.generations(
    { type: 'generation.prepared', orderId: 1, generation: generation(2) },
    { type: 'generation.prepared', orderId: 2, generation: generation(3) },
  );
  assert.deepEqual(one.toGenerations.at(-1), { type: 'generation.release', number: 2 });
  assert.equal(one.toPool.length, 1);
});

test('a number of workers that a reload changed is scaled to at its commit point; an unchanged one is not', () => {
  const one = serving();
  one.tell({ type: 'arbiter.scale', by: 2, source: 'SIGTTIN' });
  one.pool({ type: 'pool.committed', orderId: 9, generation: 2, workers: 2 });
  assert.equal(one.toPool.length, 1);
  one.pool({ type: 'pool.committed', orderId: 9, generation: 3, workers: 6 });
  const last = one.toPool.at(-1);
  assert.equal(last?.type === 'pool.scale' && last.target, 6);
});

test('the listeners of a generation without processes are released', () => {
  const one = serving();
  one.pool({ type: 'pool.generationGone', generation: 1 });
  assert.deepEqual(one.toGenerations.at(-1), { type: 'generation.release', number: 1 });
});

test('reopen, retire and what is not supported', () => {
  const one = serving();
  one.tell(
    { type: 'arbiter.reopen', source: 'SIGUSR1' },
    { type: 'arbiter.unsupported', source: 'SIGUSR2' },
    { type: 'arbiter.retire', age: 2, leave: 'drain', source: 'control' },
  );
  assert.deepEqual(one.toLogs, [{ type: 'log.reopen' }]);
  assert.deepEqual(one.ends, ['done reopen 1', 'refused unsupported 2']);
  assert.deepEqual(one.toPool, [{ type: 'pool.retire', orderId: 3, age: 2, leave: 'drain' }]);
});

test('stopping: graceful, hastened by a second, killed by a third; the second signal gives 128 + n', () => {
  const one = serving();
  one.tell(stop('graceful', 15), stop('graceful', 15), stop('quick', 2));
  assert.deepEqual(
    one.toPool.map((order) => order.type === 'pool.stop' && order.leave),
    ['drain', 'quit', 'kill'],
  );
  assert.deepEqual(one.toGenerations.at(-1), { type: 'generation.close' });
  one.pool({ type: 'pool.stopped' });
  assert.equal(one.output?.exitCode, 130);
  assert.deepEqual(one.ends.at(-1), 'done stop 1');
});

test('a failed start keeps its exit code when somebody hits Ctrl-C while it winds down', () => {
  const one = serving();
  one.pool({ type: 'pool.openFailed', fault });
  one.tell(stop('quick', 2), stop('quick', 2));
  one.pool({ type: 'pool.stopped' });
  assert.equal(one.output?.exitCode, 4);
});

test('what the settings ask for may be more than an operator may', () => {
  const one = serving(3);
  one.pool({ type: 'pool.committed', orderId: 9, generation: 2, workers: 6 });
  const last = one.toPool.at(-1);
  assert.equal(last?.type === 'pool.scale' && last.target, 6);
  one.tell({ type: 'arbiter.scale', by: 1, source: 'SIGTTIN' });
  assert.deepEqual(one.ends, ['refused scale 2']);
});

test('a quick stop quits; one signal gives 0', () => {
  const one = serving();
  one.tell(stop('quick', 2));
  one.pool({ type: 'pool.stopped' });
  assert.deepEqual(
    [one.toPool.map((order) => order.type === 'pool.stop' && order.leave), one.output?.exitCode],
    [['quit'], 0],
  );
});

test('while stopping, orders are refused, and a reload under way too', () => {
  const one = serving();
  one.tell(reload, stop('graceful', 15), reload, { type: 'arbiter.scale', by: 1, source: 'SIGTTIN' });
  assert.deepEqual(one.ends, ['refused reload 1', 'refused reload 3', 'refused scale 4']);
  one.generations({ type: 'generation.prepared', orderId: 1, generation: generation(2) });
  assert.deepEqual(one.toGenerations.at(-1), { type: 'generation.release', number: 2 });
});

test('the pool fails to open while it is being stopped', () => {
  const one = serving();
  one.tell(stop('graceful', 15));
  one.pool(
    { type: 'pool.openFailed', fault },
    { type: 'pool.committed', orderId: 1, generation: 2, workers: 2 },
  );
  one.pool({ type: 'pool.stopped' });
  assert.equal(one.output?.exitCode, 0);
});

test('every transition has a test path, with those that chance finds', () => {
  for (let seed = 1; seed <= SEEDS_FOR_COVERAGE; seed++) simulate(seed, recorder.watch);
  const missed = [...transitionsOf(arbiterMachine)].filter((name) => !recorder.taken.has(name));
  assert.deepEqual(missed, []);
});
