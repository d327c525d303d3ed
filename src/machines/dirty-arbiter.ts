/**
 * The dirty arbiter, seen by itself: the root of the second tree, in a process of its own. It owns the pool of dirty workers;
 * calls never pass through it, but through the router beside it.
 *
 *   connecting   said hello, waits for the order to boot
 *   opening      the router's socket is bound, the stash is read
 *   supervising  `serving`, then `stopping`
 *   failed       it could not boot, and says why
 *   gone         the process exits with the output's code
 *
 * Generations of the pool are editions, counted here: a reload of the arbiter makes one, and so does HUP to this process,
 * which starts the same generation anew.
 */
import { type ActorRefFrom, assertEvent, assign, enqueueActions, fromPromise, sendTo, setup } from 'xstate';
import { boundsOf } from './dirty-bounds.ts';
import type {
  DirtyArbiterOrder,
  DirtyArbiterReport,
  DirtyArbiterSpec,
  DirtyGeneration,
} from './events/dirty.ts';
import type { Generation } from './events/generation.ts';
import type { PoolReport } from './events/pool.ts';
import { exitCodeOf, type Fault } from './faults.ts';
import { poolMachine } from './pool.ts';
import type { PoolInput } from './pool-context.ts';
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

interface DirtyArbiterContext extends DirtyArbiterInput {
  spec: DirtyArbiterSpec | null;
  /** The newest generation that was asked for, and the newest that is committed. */
  newest: DirtyGeneration | null;
  committed: DirtyGeneration | null;
  edition: number;
  target: number;
  fault: Fault | null;
}

const promised = <TOutput, TInput>(name: string) =>
  fromPromise<TOutput, TInput>(() => {
    throw new Error(`the actor '${name}' was not provided`);
  });

export const dirtyArbiterMachine = setup({
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
    router: port<DirtyArbiterOrder, DirtyArbiterSpec>('router'),
    open: promised<void, DirtyArbiterSpec>('open'),
    pool: poolMachine,
  },
  delays: { bootOrderLimit: ({ context }) => context.bootOrderMs },
  guards: {
    isQuit: ({ event }) => event.type === 'signals.stop' && event.leave === 'quit',
    wasOpen: ({ context }) => context.fault === null,
  },
  actions: {
    keepSpec: assign(({ event }) => {
      assertEvent(event, 'worker.boot');
      const { generation } = event.spec;
      return { spec: event.spec, newest: generation, committed: generation, target: generation.workers };
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
      generation: context.newest!,
    })),
    releaseEdition: sendTo('editions', ({ event }) => {
      assertEvent(event, 'pool.generationGone');
      return { type: 'edition.release' as const, edition: event.generation };
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
      enqueue.assign({ edition, newest: generation });
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
      const before = context.committed;
      const now = context.newest ?? before;
      if (!before || !now) return;
      const { least, most } = boundsOf(now);
      const asked = now.workers === before.workers ? context.target : now.workers;
      const target = Math.max(least, Math.min(most, asked));
      enqueue.assign({ committed: now, target });
      if (target !== context.target) enqueue.sendTo('pool', { type: 'pool.scale', orderId: 0, target });
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
    /** Passes on how the pool ended an order. */
    tellAsPool: sendTo('link', ({ event }): DirtyArbiterReport => {
      assertEvent(event, ['pool.done', 'pool.refused', 'pool.failed', 'pool.superseded', 'pool.standing']);
      return { ...event, type: event.type.replace('pool.', 'dirty.') } as DirtyArbiterReport;
    }),
    refuseStopping: sendTo('link', ({ event }) => {
      assertEvent(event, [
        'dirty.scale',
        'dirty.replace',
        'dirty.commit',
        'dirty.abandon',
        'dirty.retire',
        'dirty.cancel',
      ]);
      const fault: Fault = { code: 'order.stopping', message: 'the dirty arbiter is stopping' };
      return { type: 'dirty.refused' as const, orderId: event.orderId, fault };
    }),
    stopPool: sendTo('pool', ({ event }) => ({
      type: 'pool.stop' as const,
      orderId: 0,
      leave:
        event.type === 'worker.quit' || (event.type === 'signals.stop' && event.leave === 'quit')
          ? ('quit' as const)
          : ('drain' as const),
    })),
  },
}).createMachine({
  id: 'dirtyArbiter',
  options: { maxIterations: 1000 },
  description: 'The dirty arbiter, seen by itself.',
  context: ({ input }) => ({
    ...input,
    spec: null,
    newest: null,
    committed: null,
    edition: 1,
    target: 0,
    fault: null,
  }),
  output: ({ context }) => ({ exitCode: context.fault ? exitCodeOf(context.fault) : 0 }),
  initial: 'alive',
  states: {
    alive: {
      description: 'The process runs.',
      initial: 'connecting',
      invoke: [
        { id: 'link', src: 'link' },
        { id: 'signals', src: 'signals' },
        { id: 'editions', src: 'editions' },
      ],
      on: {
        // Ignored where no state below answers: said too late, too early, or twice.
        'worker.boot': {},
        'worker.drain': {},
        'link.ended': {},
        'signals.stop': {},
        'signals.reload': {},
        'signals.scale': {},
        'router.stuck': {},
        'dirty.scale': {},
        'dirty.replace': {},
        'dirty.commit': {},
        'dirty.abandon': {},
        'dirty.retire': {},
        'dirty.cancel': {},
        'dirty.describe': {},
      },
      states: {
        connecting: {
          description: 'It said hello and waits for the order to boot.',
          after: { bootOrderLimit: { target: '#dirtyArbiter.gone' } },
          on: {
            'worker.boot': { target: 'booted', actions: ['keepSpec', 'keepFirstEdition'] },
            'worker.drain': { target: '#dirtyArbiter.gone' },
            'worker.quit': { target: '#dirtyArbiter.gone' },
            'signals.stop': { target: '#dirtyArbiter.gone' },
            'link.ended': { target: '#dirtyArbiter.gone' },
          },
        },
        failed: {
          description: 'It could not boot, and says why while it still has its link.',
          entry: 'tellBootFailed',
          always: { target: '#dirtyArbiter.gone' },
        },
        booted: {
          description: 'It knows what to run.',
          initial: 'opening',
          invoke: [
            { id: 'heartbeat', src: 'heartbeat', input: ({ context }) => context.spec! },
            { id: 'router', src: 'router', input: ({ context }) => context.spec! },
          ],
          states: {
            opening: {
              description: "The router's socket is bound and the stash is read.",
              invoke: {
                src: 'open',
                input: ({ context }) => context.spec!,
                onDone: { target: 'supervising' },
                onError: { target: '#dirtyArbiter.alive.failed', actions: 'keepBootFault' },
              },
              on: {
                'worker.drain': { target: '#dirtyArbiter.gone' },
                'worker.quit': { target: '#dirtyArbiter.gone' },
                'signals.stop': { target: '#dirtyArbiter.gone' },
                'link.ended': { target: '#dirtyArbiter.gone' },
              },
            },
            supervising: {
              description: 'There is a pool of dirty workers.',
              initial: 'serving',
              invoke: {
                id: 'pool',
                src: 'pool',
                input: ({ context, self }): PoolInput => ({
                  parent: self,
                  target: context.target,
                  generation: editionOf(context, context.newest!, 1),
                }),
              },
              on: {
                'pool.done': { actions: 'tellAsPool' },
                'pool.refused': { actions: 'tellAsPool' },
                'pool.failed': { actions: 'tellAsPool' },
                'pool.superseded': { actions: 'tellAsPool' },
                'pool.standing': { actions: 'tellAsPool' },
                'pool.opened': { actions: 'tellReady' },
                'pool.degraded': { actions: 'noticeDegraded' },
                'pool.committed': { actions: 'keepCommitted' },
                'pool.generationGone': { actions: 'releaseEdition' },
                'pool.openFailed': { target: '.stopping', actions: 'keepOpenFault' },
                'pool.stopped': [
                  { guard: 'wasOpen', target: '#dirtyArbiter.gone' },
                  { target: '#dirtyArbiter.alive.failed' },
                ],
                'dirty.describe': { actions: 'passToRouter' },
                'router.stuck': { actions: ['noticeStuck', 'killStuck'] },
              },
              states: {
                serving: {
                  description: 'Dirty workers take calls, or are on their way.',
                  on: {
                    'dirty.scale': { actions: 'scale' },
                    'dirty.replace': { actions: 'replace' },
                    'dirty.commit': { actions: 'commit' },
                    'dirty.abandon': { actions: 'abandon' },
                    'dirty.retire': { actions: 'retire' },
                    'dirty.cancel': { actions: 'passToRouter' },
                    'signals.scale': { actions: 'scale' },
                    'signals.reload': { actions: 'replace' },
                    'worker.drain': { target: 'stopping', actions: ['tellDraining', 'stopPool'] },
                    'worker.quit': { target: 'stopping', actions: ['tellDraining', 'stopPool'] },
                    'signals.stop': { target: 'stopping', actions: ['tellDraining', 'stopPool'] },
                    'link.ended': { target: 'stopping', actions: 'stopPool' },
                  },
                },
                stopping: {
                  description: 'Dirty workers finish what they run and leave; a second order cuts it.',
                  on: {
                    'dirty.scale': { actions: 'refuseStopping' },
                    'dirty.replace': { actions: 'refuseStopping' },
                    'dirty.commit': { actions: 'refuseStopping' },
                    'dirty.abandon': { actions: 'refuseStopping' },
                    'dirty.retire': { actions: 'refuseStopping' },
                    'dirty.cancel': { actions: 'passToRouter' },
                    'worker.quit': { actions: 'stopPool' },
                    'signals.stop': [{ guard: 'isQuit', actions: 'stopPool' }, {}],
                  },
                },
              },
            },
          },
        },
      },
    },
    gone: { description: 'The process exits.', type: 'final' },
  },
});

/** An edition as the pool sees a generation. */
function editionOf({ limits }: DirtyArbiterContext, generation: DirtyGeneration, number: number): Generation {
  const { bootMs, timeoutMs, graceMs, surge, settleMs, workers } = generation;
  return { number, limits: { bootMs, timeoutMs, graceMs, ...limits }, surge, settleMs, workers };
}

export type DirtyArbiterActor = ActorRefFrom<typeof dirtyArbiterMachine>;
