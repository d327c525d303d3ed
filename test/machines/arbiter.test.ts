/** The arbiter machine by paths: orders and their ends, stopping and its exit codes, control sockets that fail. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createActor, fromCallback, setup } from 'xstate';
import { arbiterMachine } from '../../src/machines/arbiter.ts';
import { type ControlWish, ORDERS_PENDING_MAX } from '../../src/machines/arbiter-context.ts';
import { controlListenerMachine } from '../../src/machines/control-listener.ts';
import { controlSessionMachine } from '../../src/machines/control-session.ts';
import type { ArbiterOrder, LogOrder, OrderEnded, OrderTaken } from '../../src/machines/events/arbiter.ts';
import type {
  ConnectionOrder,
  ConnectionReport,
  ControlReport,
  ControlSocketName,
  ControlSocketOrder,
  ControlSocketReport,
} from '../../src/machines/events/control.ts';
import type { Generation, GenerationOrder, GenerationReport } from '../../src/machines/events/generation.ts';
import type { PoolOrder, PoolReport } from '../../src/machines/events/pool.ts';
import type { Fault } from '../../src/machines/faults.ts';
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

const EVERY_END = ['order.done', 'order.refused', 'order.failed', 'order.superseded'] as const;

interface Given {
  workersMax?: number;
  controls?: ControlWish[];
  /** Where the control interface throws. */
  bug?: 'socket' | 'socket order' | 'connection' | 'connection order' | 'session' | 'listener';
}

/** An arbiter whose pool, generations and sockets are the test's to play. */
function arbiter({ workersMax = 8, controls = [], bug }: Given = {}) {
  const sockets = new Map<ControlSocketName, (report: ControlSocketReport) => void>();
  const connections = new Map<number, (report: ConnectionReport) => void>();
  const failAt = (where: Given['bug']): void => {
    if (bug === where) throw new Error(`thrown by the ${where}`);
  };
  const failing = (where: Given['bug']) => () => failAt(where);
  const toPool: PoolOrder[] = [];
  const toGenerations: GenerationOrder[] = [];
  const toLogs: LogOrder[] = [];
  const ends: OrderEnded[] = [];
  const taken: OrderTaken[] = [];
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
        control: controlListenerMachine.provide({
          actors: {
            socket: fromCallback<ControlSocketOrder, { name: ControlSocketName }>(
              ({ input, sendBack, receive }) => {
                failAt('socket');
                sockets.set(input.name, sendBack as (report: ControlSocketReport) => void);
                receive(failing('socket order'));
              },
            ),
            session: controlSessionMachine.provide({
              actors: {
                connection: fromCallback<ConnectionOrder, { connection: number }>(
                  ({ input, sendBack, receive }) => {
                    failAt('connection');
                    connections.set(input.connection, sendBack as (report: ConnectionReport) => void);
                    receive(failing('connection order'));
                  },
                ),
              },
              ...(bug === 'session' && { actions: { passOn: failing(bug) } }),
            }),
          },
          ...(bug === 'listener' && { actions: { tellOpened: failing(bug) } }),
        }),
      },
    }),
    { input: { workersMax, controls }, inspect: recorder.watch },
  );
  for (const type of EVERY_END) actor.on(type, (end) => ends.push(end));
  actor.on('order.taken', (order) => taken.push(order));
  actor.start();
  return {
    taken,
    sockets,
    socket(name: ControlSocketName, ...reports: ControlSocketReport[]) {
      for (const report of reports) sockets.get(name)?.(report);
    },
    client(connection: number, ...reports: ConnectionReport[]) {
      for (const report of reports) connections.get(connection)?.(report);
    },
    controls(...reports: ControlReport[]) {
      for (const report of reports) actor.send(report);
    },
    children: () => Object.keys(actor.getSnapshot().children),
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

function serving(given?: Given) {
  const one = arbiter(given);
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
  const one = serving({ workersMax: 3 });
  const by = (n: number): ArbiterOrder => ({ type: 'arbiter.scale', by: n, source: 'SIGTTIN' });
  one.tell(by(1), by(1), by(-5), by(-2), by(-1));
  assert.deepEqual(
    one.toPool.map((order) => order.type === 'pool.scale' && order.target),
    [3, 1],
  );
  assert.deepEqual(one.ends, ['refused scale 2', 'refused scale 4', 'refused scale 5']);
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
  const one = serving({ workersMax: 3 });
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

test('an accepted order is told at once, an order to scale with its bounds', () => {
  const one = serving({ workersMax: 4 });
  const by = (n: number, ticket: number): ArbiterOrder => ({
    type: 'arbiter.scale',
    by: n,
    source: 'control',
    ticket,
  });
  one.tell(by(1, 11), by(1024, 12), by(1, 13), by(-1024, 14), by(-1, 15));
  const scaled = one.taken.map(({ ticket, previous, total, reason }) => [ticket, previous, total, reason]);
  assert.deepEqual(scaled, [
    [11, 2, 3, undefined],
    [12, 3, 4, 'the most allowed is 4 workers (--workers-max)'],
    [14, 4, 1, 'there must be at least 1 worker'],
  ]);
  assert.deepEqual(
    one.faults.map(({ type, ticket, total, fault }) => [type, ticket, total, fault?.code]),
    [
      ['order.refused', 13, 4, 'order.outOfBounds'],
      ['order.refused', 15, 1, 'order.outOfBounds'],
    ],
  );
});

test('every report of an order carries its ticket, however it ends', () => {
  for (const type of ['done', 'failed', 'refused', 'superseded'] as const) {
    const one = serving();
    one.tell({ ...reload, ticket: 7 });
    assert.deepEqual(one.taken, [
      { type: 'order.taken', orderId: 1, order: 'arbiter.reload', source: 'SIGHUP', ticket: 7 },
    ]);
    one.generations({ type: 'generation.prepared', orderId: 1, generation: generation(2) });
    const facts = { replaced: 2, remaining: 0, fault, by: 2 };
    one.pool({ type: `pool.${type}`, orderId: 1, ...facts } as unknown as PoolReport);
    const [end] = one.faults;
    assert.deepEqual([end?.type, end?.ticket, end?.generation, end?.replaced], [`order.${type}`, 7, 2, 2]);
  }
  const one = serving();
  one.tell(
    { type: 'arbiter.reopen', source: 'control', ticket: 1 },
    { type: 'arbiter.unsupported', source: 'control', ticket: 2 },
    { type: 'arbiter.retire', age: 1, leave: 'quit', source: 'control', ticket: 3 },
    { ...reload, ticket: 4 },
    { ...reload, ticket: 5 },
    { ...stop('graceful'), ticket: 6 },
    { ...reload, ticket: 7 },
  );
  one.pool({ type: 'pool.done', orderId: 3, replaced: 0 }, { type: 'pool.stopped' });
  assert.deepEqual(
    one.faults.map(({ ticket }) => ticket),
    [1, 2, 4, 5, 7, 3, 6],
  );
});

test('a command to stop waits for the stop under way: a graceful one with it, a quick one cuts', () => {
  const one = serving();
  one.tell(stop('graceful'), stop('graceful'), stop('quick'), stop('quick'));
  assert.deepEqual(
    one.toPool.map((order) => order.type === 'pool.stop' && order.leave),
    ['drain', 'quit', 'quit'],
  );
  assert.deepEqual([one.ends, one.taken.length], [[], 4]);
  one.pool({ type: 'pool.stopped' });
  assert.deepEqual(one.ends, ['done stop 1', 'done stop 2', 'done stop 3', 'done stop 4']);
  assert.equal(one.output?.exitCode, 0);
});

test('a signal after a command to stop is the first one; the second hastens, the third kills', () => {
  const one = serving();
  one.tell(stop('graceful'), stop('graceful', 15), stop('graceful', 15), stop('graceful', 15));
  assert.deepEqual(
    one.toPool.map((order) => order.type === 'pool.stop' && order.leave),
    ['drain', 'drain', 'quit', 'kill'],
  );
  const other = serving();
  other.tell(stop('graceful'), stop('quick', 2));
  assert.deepEqual(
    other.toPool.map((order) => order.type === 'pool.stop' && order.leave),
    ['drain', 'quit'],
  );
  other.pool({ type: 'pool.stopped' });
  assert.equal(other.output?.exitCode, 0);
});

test('a required control socket that was open once and is lost does not end the server', () => {
  const one = serving({ controls: [wish('control', true)] });
  one.controls({ type: 'control.opened', socket: 'control', path: '/run/kirin.ctl' });
  one.socket('control', failed);
  assert.match(one.state, /serving/);
});

test('commands to stop are taken up to a bound; signals always', () => {
  const one = serving();
  for (let n = 0; n < ORDERS_PENDING_MAX; n++) one.tell(stop('graceful'));
  one.tell(stop('graceful'), stop('quick'));
  assert.deepEqual(
    one.faults.map(({ type, fault }) => [type, fault?.code]),
    [
      ['order.refused', 'order.tooMany'],
      ['order.refused', 'order.tooMany'],
    ],
  );
  one.tell(stop('graceful', 15));
  assert.deepEqual(one.toPool.at(-1), {
    type: 'pool.stop',
    orderId: ORDERS_PENDING_MAX + 3,
    leave: 'drain',
  });
  one.pool({ type: 'pool.stopped' });
  assert.equal(one.ends.length, ORDERS_PENDING_MAX + 3);
});

test('what the pool never answered is refused at the end, not done', () => {
  const one = serving();
  one.tell({ type: 'arbiter.scale', by: 1, source: 'control' }, stop('graceful', 15));
  one.pool({ type: 'pool.stopped' });
  assert.deepEqual(one.ends, ['refused scale 1', 'done stop 2']);
});

test('the workers that the first settings ask for may be more than an operator may', () => {
  const one = serving({ workersMax: 1 });
  one.tell({ type: 'arbiter.scale', by: 1, source: 'SIGTTIN' });
  assert.deepEqual([one.ends, one.faults[0]?.total], [['refused scale 1'], 2]);
  one.tell({ type: 'arbiter.scale', by: -1, source: 'SIGTTOU' });
  assert.deepEqual(one.taken[0] && [one.taken[0].previous, one.taken[0].total], [2, 1]);
});

// ── control sockets ─────────────────────────────────────────────────────────────────────────────────────────

const wish = (name: ControlSocketName, required = false): ControlWish => ({ name, required, sessionsMax: 2 });
const BOTH = [wish('control'), wish('controlReadonly')];
const opened: ControlSocketReport = { type: 'socket.opened', path: '/run/kirin.ctl' };
const inUse: Fault = { code: 'bind.inUse', message: 'in use' };
const failed: ControlSocketReport = { type: 'socket.failed', fault: inUse, permanent: false };

test('control sockets are opened from the first moment, and their orders are as good as any', () => {
  const one = arbiter({ controls: BOTH });
  assert.deepEqual([...one.sockets.keys()], ['control', 'controlReadonly']);
  one.socket('control', opened, { type: 'connection.accepted', connection: 1 });
  const ordered = (ticket: number): ConnectionReport => ({
    type: 'request.ordered',
    ticket,
    order: { type: 'arbiter.reload', source: 'control', ticket },
  });
  one.client(1, ordered(5));
  one.generations({ type: 'generation.prepared', orderId: 0, generation: generation(1) });
  one.client(1, ordered(6));
  assert.deepEqual(
    [one.faults[0]?.type, one.faults[0]?.ticket, one.taken[0]?.ticket],
    ['order.refused', 5, 6],
  );
});

test('without a wish there is no control socket', () => {
  assert.equal(arbiter().sockets.size, 0);
});

test('a control socket that cannot be opened is no reason to end', () => {
  const preparing = arbiter({ controls: BOTH });
  preparing.socket('control', failed);
  assert.match(preparing.state, /preparing/);
  const one = serving({ controls: BOTH });
  one.socket('control', failed);
  assert.match(one.state, /serving/);
  one.tell(stop('graceful', 15));
  one.socket('controlReadonly', failed);
  one.pool({ type: 'pool.stopped' });
  assert.deepEqual(one.output, { exitCode: 0, fault: null });
});

test('one that is required ends the server, before there is a pool or with it', () => {
  const controls = [wish('control', true), wish('controlReadonly')];
  const preparing = arbiter({ controls });
  preparing.socket('control', failed);
  assert.deepEqual(preparing.output, { exitCode: 1, fault: inUse });
  const one = serving({ controls });
  one.socket('controlReadonly', failed);
  assert.match(one.state, /serving/);
  one.socket('control', failed);
  assert.match(one.state, /stopping/);
  assert.deepEqual(one.toPool, [{ type: 'pool.stop', orderId: 0, leave: 'drain' }]);
  one.tell(stop('graceful', 15));
  assert.deepEqual(one.toPool.at(-1), { type: 'pool.stop', orderId: 1, leave: 'drain' });
  one.pool({ type: 'pool.stopped' });
  assert.deepEqual(one.output, { exitCode: 1, fault: inUse });
});

test('a stop that was ordered ends as ordered, also where a required socket fails meanwhile', () => {
  const one = serving({ controls: [wish('control', true)] });
  one.tell(stop('graceful', 15));
  one.socket('control', failed);
  assert.equal(one.toPool.length, 1);
  one.pool({ type: 'pool.stopped' });
  assert.deepEqual(one.output, { exitCode: 0, fault: null });
});

test('what a control listener says late or twice changes nothing', () => {
  const one = serving({ controls: BOTH });
  one.tell(stop('graceful', 15));
  one.controls(
    { type: 'control.opened', socket: 'control', path: '/run/kirin.ctl' },
    { type: 'control.unavailable', socket: 'control', fault: inUse },
  );
  assert.match(one.state, /stopping/);
});

test('whatever throws in the control interface, the server goes on', () => {
  const accepted: ControlSocketReport[] = [1, 2, 3].map((connection) => ({
    type: 'connection.accepted',
    connection,
  }));
  for (const bug of [
    'socket',
    'socket order',
    'connection',
    'connection order',
    'session',
    'listener',
  ] as const)
    for (const name of ['control', 'controlReadonly'] as const) {
      const one = serving({ controls: BOTH, bug });
      one.socket(name, opened, ...accepted);
      const order: ArbiterOrder = { type: 'arbiter.reopen', source: 'control', ticket: 1 };
      one.client(1, { type: 'request.ordered', ticket: 1, order }, { type: 'connection.violated' });
      assert.match(one.state, /serving/, bug);
      assert.equal(one.children().includes(name), bug !== 'listener', bug);
      assert.equal(one.children().length, bug === 'listener' ? 5 : 6, bug);
      one.tell(stop('graceful', 15));
      one.pool({ type: 'pool.stopped' });
      assert.deepEqual(one.output, { exitCode: 0, fault: null }, bug);
    }
});

test('a bug in a listener that is required ends the server as one that cannot be opened', () => {
  for (const bug of ['socket', 'listener'] as const) {
    const one = arbiter({ controls: [wish('control', true)], bug });
    one.socket('control', opened);
    assert.deepEqual(
      [one.output?.exitCode, one.output?.fault?.code, one.output?.fault?.message],
      [1, 'control.crashed', `this is a bug in Kirin: thrown by the ${bug}`],
    );
  }
});

test('every transition has a test path, with those that chance finds', () => {
  for (let seed = 1; seed <= SEEDS_FOR_COVERAGE; seed++) simulate(seed, recorder.watch);
  const missed = [...transitionsOf(arbiterMachine)].filter((name) => !recorder.taken.has(name));
  assert.deepEqual(missed, []);
});
