/** What the dirty arbiter machine's states are made of: context, guards and actions. The states are in dirty-arbiter.ts. */
import { assertEvent, assign, enqueueActions, fromPromise, sendTo, setup } from 'xstate';
import { type Bounds, boundsOf, claimsOf } from './dirty-bounds.ts';
import type {
  DirtyArbiterOrder,
  DirtyArbiterReport,
  DirtyArbiterSpec,
  DirtyGeneration,
} from './events/dirty.ts';
import type { Generation } from './events/generation.ts';
import type { PoolReport } from './events/pool.ts';
import type { Fault } from './faults.ts';
import { poolMachine } from './pool.ts';
import { port } from './ports.ts';

/** What its own actors tell it. */
export type DirtyArbiterInternal =
  | { type: 'link.ended' }
  /** A signal to this process. */
  | { type: 'signals.stop'; leave: 'drain' | 'quit' }
  | { type: 'signals.reload' }
  | { type: 'signals.scale'; by: number }
  /** A worker did not come free after a call overran its time. */
  | { type: 'router.stuck'; age: number; why: string };

/** What the router is told beside what the arbiter asks it. */
export type RouterOrder =
  /** Begin no call any more. `another`: there will be another dirty arbiter, and calls wait for it. */
  { type: 'router.leave'; another: boolean };

/** What the actor that keeps editions is told. */
export type EditionOrder =
  | { type: 'edition.keep'; edition: number; generation: DirtyGeneration }
  | { type: 'edition.release'; edition: number };

export interface DirtyArbiterInput {
  /** The longest wait for the order to boot. */
  bootOrderMs: number;
  /** Limits that are no settings. */
  limits: Pick<Generation['limits'], 'quitMs' | 'abortMs' | 'stableMs' | 'killAgainMs'>;
  /** Turns what was thrown into a fault. */
  faultOf(error: unknown): Fault;
}

export interface DirtyArbiterContext extends DirtyArbiterInput {
  spec: DirtyArbiterSpec | null;
  /** The newest edition; a number never reused. */
  edition: number;
  /** What each edition that may still have workers is of. */
  editions: readonly { readonly edition: number; readonly generation: DirtyGeneration }[];
  committed: DirtyGeneration | null;
  target: number;
  fault: Fault | null;
}

const startingFault: Fault = { code: 'order.starting', message: 'the dirty arbiter is still starting' };
const stoppingFault: Fault = { code: 'order.stopping', message: 'the dirty arbiter is stopping' };

/** A number of workers, as far as there can be so many. */
const within = ({ least, most }: Bounds, workers: number): number => Math.max(least, Math.min(most, workers));

const promised = <TOutput, TInput>(name: string) =>
  fromPromise<TOutput, TInput>(() => {
    throw new Error(`the actor '${name}' was not provided`);
  });

export const dirtyArbiterSetup = setup({
  types: {
    context: {} as DirtyArbiterContext,
    input: {} as DirtyArbiterInput,
    output: {} as { exitCode: number },
    events: {} as DirtyArbiterOrder | DirtyArbiterInternal | PoolReport,
    children: {} as {
      link: 'link';
      signals: 'signals';
      editions: 'editions';
      heartbeat: 'heartbeat';
      router: 'router';
      pool: 'pool';
    },
  },
  actors: {
    /** This end of the link to the arbiter. */
    link: port<DirtyArbiterReport>('link'),
    signals: port<{ type: 'signals.none' }>('signals'),
    /** Knows from what a worker of an edition is started. */
    editions: port<EditionOrder>('editions'),
    heartbeat: port<{ type: 'heartbeat.none' }, DirtyArbiterSpec>('heartbeat'),
    /** The router of calls, for what concerns supervision; it also answers `dirty.describe` and `dirty.cancel`. */
    router: port<DirtyArbiterOrder | RouterOrder, DirtyArbiterSpec>('router'),
    open: promised<void, DirtyArbiterSpec>('open'),
    pool: poolMachine,
  },
  delays: { bootOrderLimit: ({ context }) => context.bootOrderMs },
  guards: {
    /** An order of the arbiter's, not a signal's. */
    isOrdered: ({ event }) => 'orderId' in event && event.orderId > 0,
    isQuit: ({ event }) => event.type === 'signals.stop' && event.leave === 'quit',
    wasOpen: ({ context }) => context.fault === null,
  },
  actions: {
    keepSpec: assign(({ event }) => {
      assertEvent(event, 'worker.boot');
      const { generation } = event.spec;
      return {
        spec: event.spec,
        editions: [{ edition: 1, generation }],
        committed: generation,
        target: within(boundsOf(generation), generation.workers),
      };
    }),
    keepBootFault: assign({
      fault: ({ context, event }) => context.faultOf((event as unknown as { error: unknown }).error),
    }),
    keepOpenFault: assign({
      fault: ({ event }) => {
        assertEvent(event, 'pool.openFailed');
        return event.fault;
      },
    }),
    keepFirstEdition: sendTo('editions', ({ context }) => ({
      type: 'edition.keep' as const,
      edition: 1,
      generation: context.committed!,
    })),
    releaseEdition: enqueueActions(({ context, event, enqueue }) => {
      assertEvent(event, 'pool.generationGone');
      const { generation: edition } = event;
      enqueue.sendTo('editions', { type: 'edition.release', edition });
      enqueue.assign({ editions: context.editions.filter((one) => one.edition !== edition) });
    }),
    tellReady: sendTo('link', { type: 'worker.ready' }),
    tellBootFailed: sendTo('link', ({ context }) => ({
      type: 'worker.bootFailed' as const,
      fault: context.fault ?? { code: 'app.startFailed' as const, message: 'unknown' },
    })),
    tellDraining: sendTo('link', ({ event }) => ({
      type: 'worker.draining' as const,
      orderId: event.type === 'worker.drain' || event.type === 'worker.quit' ? event.orderId : 0,
      cause: event.type === 'signals.stop' ? ('terminated' as const) : ('ordered' as const),
    })),
    /** Tries a new edition; its candidates stand if the order says so. */
    replace: enqueueActions(({ context, event, enqueue }) => {
      assertEvent(event, ['dirty.replace', 'signals.reload']);
      const generation = event.type === 'dirty.replace' ? event.generation : context.committed!;
      const edition = context.edition + 1;
      enqueue.sendTo('editions', { type: 'edition.keep', edition, generation });
      enqueue.assign({ edition, editions: [...context.editions, { edition, generation }] });
      enqueue.sendTo('pool', {
        type: 'pool.replace',
        orderId: event.type === 'dirty.replace' ? event.orderId : 0,
        generation: editionOf(context, generation, edition),
        hold: event.type === 'dirty.replace',
      });
    }),
    commit: sendTo('pool', ({ event }) => {
      assertEvent(event, 'dirty.commit');
      return { type: 'pool.commit' as const, orderId: event.orderId };
    }),
    abandon: sendTo('pool', ({ event }) => {
      assertEvent(event, 'dirty.abandon');
      return { type: 'pool.abandon' as const, orderId: event.orderId, fault: event.fault };
    }),
    /** What the settings of a committed generation ask for is scaled to, within what its apps allow. */
    keepCommitted: enqueueActions(({ context, event, enqueue }) => {
      assertEvent(event, 'pool.committed');
      const before = context.committed!;
      const now = context.editions.find(({ edition }) => edition === event.generation)?.generation ?? before;
      const asked = now.workers === before.workers ? context.target : now.workers;
      const target = within(boundsOf(now), asked);
      enqueue.assign({ committed: now, target });
      if (target !== context.target) enqueue.sendTo('pool', { type: 'pool.scale', orderId: 0, target });
    }),
    tellCommitted: sendTo('link', ({ event }) => {
      assertEvent(event, 'pool.committed');
      return { type: 'dirty.committed' as const, orderId: event.orderId };
    }),
    scale: enqueueActions(({ context, event, enqueue }) => {
      assertEvent(event, ['dirty.scale', 'signals.scale']);
      const orderId = event.type === 'dirty.scale' ? event.orderId : 0;
      const previous = context.target;
      const { least, most, whyLeast, whyMost } = boundsOf(context.committed!);
      const wanted = previous + event.by;
      const target = Math.max(Math.min(least, previous), Math.min(Math.max(most, previous), wanted));
      const reason = target === wanted ? undefined : event.by > 0 ? whyMost : whyLeast;
      enqueue.sendTo('link', {
        type: 'dirty.taken',
        orderId,
        previous,
        total: target,
        workers: target,
        reason,
      });
      if (target === previous) return enqueue.sendTo('link', { type: 'dirty.done', orderId, replaced: 0 });
      enqueue.assign({ target });
      enqueue.sendTo('pool', { type: 'pool.scale', orderId, target });
    }),
    passToRouter: sendTo('router', ({ event }) => {
      assertEvent(event, ['dirty.cancel', 'dirty.describe']);
      return event;
    }),
    retire: sendTo('pool', ({ event }) => {
      assertEvent(event, 'dirty.retire');
      const { orderId, age, leave } = event;
      return { type: 'pool.retire' as const, orderId, age, leave };
    }),
    killStuck: sendTo('pool', ({ event }) => {
      assertEvent(event, 'router.stuck');
      return { type: 'pool.retire' as const, orderId: 0, age: event.age, leave: 'kill' as const };
    }),
    noticeStuck: sendTo('link', ({ event }) => {
      assertEvent(event, 'router.stuck');
      const text = `dirty worker ${event.age} is replaced: ${event.why}`;
      return { type: 'worker.notice' as const, level: 'warn' as const, text };
    }),
    noticeDegraded: sendTo('link', ({ event }) => {
      assertEvent(event, 'pool.degraded');
      const within = `${Math.round(event.retryInMs / 100) / 10} s`;
      const text = `a dirty worker could not be replaced: ${event.fault.message}; next try within ${within}`;
      return { type: 'worker.notice' as const, level: 'warn' as const, text };
    }),
    /** What a signal or new settings asked for has no order: how it failed goes into the log. */
    noticeFailed: sendTo('link', ({ event }) => {
      assertEvent(event, 'pool.failed');
      const text = `the dirty workers could not be changed: ${event.fault.message}`;
      return { type: 'worker.notice' as const, level: 'warn' as const, text };
    }),
    /** Passes on how the pool ended an order. */
    tellAsPool: sendTo('link', ({ event }): DirtyArbiterReport => {
      assertEvent(event, ['pool.done', 'pool.refused', 'pool.failed', 'pool.superseded', 'pool.standing']);
      const report = { ...event, type: event.type.replace('pool.', 'dirty.') } as DirtyArbiterReport;
      if (report.type !== 'dirty.refused' || report.fault.code !== 'order.stopping') return report;
      return { ...report, fault: stoppingFault };
    }),
    refuseStarting: sendTo('link', ({ event }) => {
      assertEvent(event, ['dirty.scale', 'dirty.replace', 'dirty.retire', 'dirty.cancel']);
      return { type: 'dirty.refused' as const, orderId: event.orderId, fault: startingFault };
    }),
    refuseStopping: sendTo('link', ({ event }) => {
      assertEvent(event, ['dirty.scale', 'dirty.replace', 'dirty.retire']);
      return { type: 'dirty.refused' as const, orderId: event.orderId, fault: stoppingFault };
    }),
    handBackCalls: sendTo('router', { type: 'router.leave', another: true }),
    refuseCalls: sendTo('router', { type: 'router.leave', another: false }),
    stopPool: sendTo('pool', ({ event }) => ({
      type: 'pool.stop' as const,
      orderId: 0,
      leave:
        event.type === 'worker.quit' || (event.type === 'signals.stop' && event.leave === 'quit')
          ? ('quit' as const)
          : ('drain' as const),
    })),
  },
});

/** An edition as the pool sees a generation. */
export function editionOf(
  { limits }: DirtyArbiterContext,
  generation: DirtyGeneration,
  number: number,
): Generation {
  const { bootMs, timeoutMs, graceMs, surge, settleMs, workers } = generation;
  const claims = claimsOf(generation);
  return { number, limits: { bootMs, timeoutMs, graceMs, ...limits }, surge, settleMs, workers, claims };
}
