/** A dirty arbiter whose pool, router, editions and link are the test's to play. */
import { createActor, fromCallback, fromPromise, setup } from 'xstate';
import {
  type DirtyArbiterInternal,
  dirtyArbiterMachine,
  type EditionOrder,
  type RouterOrder,
} from '../../src/machines/dirty-arbiter.ts';
import type {
  DirtyArbiterOrder,
  DirtyArbiterReport,
  DirtyArbiterSpec,
  DirtyGeneration,
} from '../../src/machines/events/dirty.ts';
import type { PoolOrder, PoolReport } from '../../src/machines/events/pool.ts';
import type { poolMachine } from '../../src/machines/pool.ts';
import type { PoolInput } from '../../src/machines/pool-context.ts';
import { VirtualClock } from '../simulation/clock.ts';
import { dirtyGeneration, fault } from './arbiter-harness.ts';
import { transitionRecorder } from './transitions.ts';

export const recorder = transitionRecorder();
export const BOOT_ORDER_MS = 5000;

/** An app that two workers load at least, and four at most. */
const apps: DirtyGeneration['apps'] = [
  { importPath: './a.js:A', number: 0, path: '/a.js', className: 'A', workers: 2, resources: { gpu: 1 } },
  { importPath: './b.js:B', number: 1, path: '/b.js', className: 'B', workers: null, resources: { gpu: 1 } },
];
export const generation = (number: number, workers = 3): DirtyGeneration => ({
  ...dirtyGeneration(number),
  apps,
  workers,
  resources: { gpu: 4 },
});
export const specOf = (workers = 3): DirtyArbiterSpec => ({
  age: 1,
  socket: '/run/dirty.sock',
  stashFile: '/run/stash',
  stashBytesMax: 1,
  heartbeatMs: 1000,
  generation: generation(1, workers),
});

export function dirtyArbiter() {
  const clock = new VirtualClock();
  const told: DirtyArbiterReport[] = [];
  const toPool: PoolOrder[] = [];
  const toEditions: EditionOrder[] = [];
  const toRouter: (DirtyArbiterOrder | RouterOrder)[] = [];
  let fromPool = (_report: PoolReport): void => {};
  let target = 0;
  let open = { resolve: (): void => {}, reject: (_error: unknown): void => {} };
  const pool = setup({
    types: { input: {} as PoolInput, context: {} as PoolInput, events: {} as PoolOrder },
    actors: {
      listen: fromCallback<PoolOrder, PoolInput>(({ input }) => {
        target = input.target;
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
    dirtyArbiterMachine.provide({
      actors: {
        link: fromCallback<DirtyArbiterReport>(({ receive }) =>
          receive((report) => {
            told.push(report);
          }),
        ),
        signals: fromCallback(() => {}),
        heartbeat: fromCallback(() => {}),
        editions: fromCallback<EditionOrder>(({ receive }) =>
          receive((order) => {
            toEditions.push(order);
          }),
        ),
        router: fromCallback<DirtyArbiterOrder | RouterOrder, DirtyArbiterSpec>(({ receive }) =>
          receive((order) => {
            toRouter.push(order);
          }),
        ),
        open: fromPromise<void, DirtyArbiterSpec>(
          () =>
            new Promise((resolve, reject) => {
              open = { resolve, reject };
            }),
        ),
        pool: pool as unknown as typeof poolMachine,
      },
    }),
    {
      clock,
      inspect: recorder.watch,
      input: {
        bootOrderMs: BOOT_ORDER_MS,
        limits: { quitMs: 1, abortMs: 1, stableMs: 1, killAgainMs: 1 },
        faultOf: (error) => ({ ...fault, message: String((error as Error).message) }),
      },
    },
  );
  actor.start();
  return {
    clock,
    told,
    toPool,
    toEditions,
    toRouter,
    get target() {
      return target;
    },
    tell(...events: (DirtyArbiterOrder | DirtyArbiterInternal)[]) {
      for (const event of events) actor.send(event);
    },
    pool(...reports: PoolReport[]) {
      for (const report of reports) fromPool(report);
    },
    /** The socket is bound and the stash is read, or that fails. */
    async open(error?: Error) {
      const left = new Promise<void>((resolve) => {
        const { unsubscribe } = actor.subscribe({
          next: (snapshot) => {
            if (JSON.stringify(snapshot.value).includes('opening')) return;
            unsubscribe();
            resolve();
          },
          complete: resolve,
        });
      });
      if (error) open.reject(error);
      else open.resolve();
      await left;
    },
    get reports() {
      return told.map((report) => ('orderId' in report ? `${report.type} ${report.orderId}` : report.type));
    },
    get state() {
      return JSON.stringify(actor.getSnapshot().value);
    },
    get output() {
      return actor.getSnapshot().output;
    },
  };
}
