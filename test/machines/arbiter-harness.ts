/** An arbiter machine whose pool, dirty tree, generations and sockets are the test's to play, and what its tests say often. */
import { createActor, type EventObject, fromCallback, SimulatedClock, setup } from 'xstate';
import { arbiterMachine } from '../../src/machines/arbiter.ts';
import type { ControlWish } from '../../src/machines/arbiter-context.ts';
import { controlListenerMachine } from '../../src/machines/control-listener.ts';
import { controlSessionMachine } from '../../src/machines/control-session.ts';
import type { DirtyTreeOrder, DirtyTreeReport, dirtyTreeMachine } from '../../src/machines/dirty-tree.ts';
import type { ArbiterOrder, LogOrder, OrderEnded, OrderTaken } from '../../src/machines/events/arbiter.ts';
import type {
  ConnectionOrder,
  ConnectionReport,
  ControlReport,
  ControlSocketName,
  ControlSocketOrder,
  ControlSocketReport,
} from '../../src/machines/events/control.ts';
import type { DirtyGeneration } from '../../src/machines/events/dirty.ts';
import type { Generation, GenerationOrder, GenerationReport } from '../../src/machines/events/generation.ts';
import type { PoolOrder, PoolReport } from '../../src/machines/events/pool.ts';
import type {
  PredecessorOrder,
  PredecessorReport,
  SuccessorNews,
  SuccessorOrder,
} from '../../src/machines/events/upgrade.ts';
import type { Fault } from '../../src/machines/faults.ts';
import type { poolMachine } from '../../src/machines/pool.ts';
import type { Listener } from '../../src/machines/ports.ts';
import { successorMachine } from '../../src/machines/successor.ts';
import { simulate } from '../simulation/simulation.ts';
import { transitionRecorder, transitionsOf } from './transitions.ts';

const recorder = transitionRecorder();
export const SEEDS_FOR_COVERAGE = 400;
export const fault = { code: 'app.loadFailed', message: 'broken' } as const;

export const generation = (number: number, workers = 2): Generation => ({
  number,
  limits: { bootMs: 0, timeoutMs: 0, graceMs: 0, quitMs: 0, abortMs: 0, stableMs: 0, killAgainMs: 0 },
  surge: { count: 1 },
  settleMs: 0,
  workers,
});

export const dirtyGeneration = (number: number): DirtyGeneration => ({
  generation: number,
  apps: [],
  cwd: '/',
  env: {},
  workers: 2,
  threads: 1,
  resources: {},
  queueMax: 10,
  callTimeoutMs: 0,
  hooks: null,
  bootMs: 0,
  timeoutMs: 0,
  graceMs: 0,
  settleMs: 0,
  surge: { count: 1 },
});

/** A generation with dirty workers. */
export function generationOfBoth(number: number): Generation {
  const one = generation(number);
  return { ...one, dirty: { generation: dirtyGeneration(number), limits: one.limits } };
}

const EVERY_END = ['order.done', 'order.refused', 'order.failed', 'order.superseded'] as const;

export interface Given {
  workersMax?: number;
  lameDuckMs?: number;
  controls?: ControlWish[];
  predecessor?: number;
  noUpgrade?: string;
  /** Where the control interface throws. */
  bug?: 'socket' | 'socket order' | 'connection' | 'connection order' | 'session' | 'listener';
}

/** A machine that only keeps what it is told; `listen` takes what it tells. */
function standIn<TOrder extends EventObject, TReport extends EventObject>(
  keep: (order: TOrder) => void,
  listen: (tell: (report: TReport) => void) => void,
) {
  type Input = { parent: Listener<TReport> };
  return setup({
    types: { input: {} as Input, context: {} as Input, events: {} as TOrder },
    actors: {
      listen: fromCallback<TOrder, Input>(({ input }) => listen((report) => input.parent.send(report))),
    },
    actions: { keep: ({ event }) => keep(event as TOrder) },
  }).createMachine({
    id: 'stand-in',
    context: ({ input }) => input,
    invoke: { src: 'listen', input: ({ context }) => context },
    on: { '*': { actions: 'keep' } },
  });
}

export function arbiter({
  workersMax = 8,
  lameDuckMs = 0,
  controls = [],
  predecessor,
  noUpgrade,
  bug,
}: Given = {}) {
  const clock = new SimulatedClock();
  const sockets = new Map<ControlSocketName, (report: ControlSocketReport) => void>();
  const connections = new Map<number, (report: ConnectionReport) => void>();
  const failAt = (where: Given['bug']): void => {
    if (bug === where) throw new Error(`thrown by the ${where}`);
  };
  const failing = (where: Given['bug']) => () => failAt(where);
  const toPool: PoolOrder[] = [];
  const toDirty: DirtyTreeOrder[] = [];
  const toGenerations: GenerationOrder[] = [];
  const toLogs: LogOrder[] = [];
  const toSuccessor: SuccessorOrder[] = [];
  const toPredecessor: PredecessorOrder[] = [];
  let fromSuccessor = (_news: SuccessorNews): void => {};
  let fromPredecessor = (_report: PredecessorReport): void => {};
  const ends: OrderEnded[] = [];
  const taken: OrderTaken[] = [];
  let fromPool = (_report: PoolReport): void => {};
  let fromGenerations = (_report: GenerationReport): void => {};
  let fromDirty = (_report: DirtyTreeReport): void => {};
  const pool = standIn<PoolOrder, PoolReport>(
    (order) => toPool.push(order),
    (tell) => {
      fromPool = tell;
    },
  );
  const dirty = standIn<DirtyTreeOrder, DirtyTreeReport>(
    (order) => toDirty.push(order),
    (tell) => {
      fromDirty = tell;
    },
  );
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
        dirty: dirty as unknown as typeof dirtyTreeMachine,
        successor: successorMachine.provide({
          actors: {
            process: fromCallback<SuccessorOrder>(({ sendBack, receive }) => {
              fromSuccessor = sendBack as (news: SuccessorNews) => void;
              receive((order) => {
                toSuccessor.push(order);
              });
            }),
          },
        }),
        predecessor: fromCallback<PredecessorOrder>(({ sendBack, receive }) => {
          fromPredecessor = sendBack as (report: PredecessorReport) => void;
          receive((order) => {
            toPredecessor.push(order);
          });
        }),
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
    {
      input: { workersMax, controls, lameDuckMs, predecessor, noUpgrade },
      clock,
      inspect: recorder.watch,
    },
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
    toDirty,
    toGenerations,
    toLogs,
    toSuccessor,
    toPredecessor,
    tell: (...orders: ArbiterOrder[]) => {
      for (const order of orders) actor.send(order);
    },
    pool: (...reports: PoolReport[]) => {
      for (const report of reports) fromPool(report);
    },
    successor: (...news: SuccessorNews[]) => {
      for (const one of news) fromSuccessor(one);
    },
    predecessor: (...reports: PredecessorReport[]) => {
      for (const report of reports) fromPredecessor(report);
    },
    dirty: (...reports: DirtyTreeReport[]) => {
      for (const report of reports) fromDirty(report);
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
    passes: (ms: number) => clock.increment(ms),
    get output() {
      return actor.getSnapshot().output;
    },
  };
}

export function serving(given?: Given) {
  const one = arbiter(given);
  one.generations({ type: 'generation.prepared', orderId: 0, generation: generation(1) });
  return one;
}

export const reload: ArbiterOrder = { type: 'arbiter.reload', source: 'SIGHUP' };
export const stop = (mode: 'graceful' | 'quick', signal?: number): ArbiterOrder => ({
  type: 'arbiter.stop',
  mode,
  source: 'SIGTERM',
  signal,
});

export const wish = (name: ControlSocketName, required = false): ControlWish => ({
  name,
  required,
  sessionsMax: 2,
});
export const BOTH = [wish('control'), wish('controlReadonly')];
export const opened: ControlSocketReport = { type: 'socket.opened', path: '/run/kirin.ctl' };
export const inUse: Fault = { code: 'bind.inUse', message: 'in use' };
export const failed: ControlSocketReport = { type: 'socket.failed', fault: inUse, permanent: false };

/** Each transition is of one of the files of tests about this machine, so that together they see to all. */
type Share = 'orders' | 'dirty' | 'control' | 'upgrade';
function shareOf(name: string): Share {
  if (/arbiter\.(upgrade|rest)|successor|predecessor|isResting/.test(name)) return 'upgrade';
  if (/dirtyWorkers|dirty|Dirty|Joint|isOpening|pool\.standing/.test(name)) return 'dirty';
  return /: (control\.|xstate\.error)/.test(name) ? 'control' : 'orders';
}

/** The transitions of one share that no path took, nor chance in so many seeds. */
export function missedOf(share: Share, seeds = 0): string[] {
  for (let seed = 1; seed <= seeds; seed++) simulate(seed, recorder.watch);
  return [...transitionsOf(arbiterMachine)].filter(
    (name) => shareOf(name) === share && !recorder.taken.has(name),
  );
}
