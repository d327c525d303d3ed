/**
 * The dirty arbiter, seen by itself: the root of the second tree, in a process of its own. It owns the pool of dirty workers;
 * calls never pass through it, but through the router beside it.
 *
 *   connecting   said hello, waits for the order to boot
 *   opening      the router's socket is bound, the stash is read
 *   supervising  `starting` (nobody was ever ready), `serving`, then `stopping`
 *   failed       it could not boot, and says why
 *   gone         the process exits with the output's code
 *
 * Generations of the pool are editions, counted here: a reload of the arbiter makes one, and so does HUP to this process,
 * which starts the same generation anew.
 */
import type { ActorRefFrom } from 'xstate';
import { dirtyArbiterSetup, editionOf } from './dirty-arbiter-setup.ts';
import { exitCodeOf } from './faults.ts';
import type { PoolInput } from './pool-context.ts';

export type {
  DirtyArbiterInput,
  DirtyArbiterInternal,
  EditionOrder,
  RouterOrder,
} from './dirty-arbiter-setup.ts';

const leave = { target: 'stopping', actions: ['tellDraining', 'handBackCalls', 'stopPool'] } as const;
/** What ends it, whether dirty workers were ever ready or not. */
const stops = {
  'worker.drain': leave,
  'worker.quit': leave,
  'signals.stop': leave,
  'link.ended': { target: 'stopping', actions: ['refuseCalls', 'stopPool'] },
} as const;

export const dirtyArbiterMachine = dirtyArbiterSetup.createMachine({
  id: 'dirtyArbiter',
  options: { maxIterations: 1000 },
  description: 'The dirty arbiter, seen by itself.',
  context: ({ input }) => ({
    ...input,
    spec: null,
    edition: 1,
    editions: [],
    committed: null,
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
        // Answered where no state below does: nobody may wait in vain.
        'dirty.scale': { actions: 'refuseStarting' },
        'dirty.replace': { actions: 'refuseStarting' },
        'dirty.retire': { actions: 'refuseStarting' },
        'dirty.cancel': { actions: 'refuseStarting' },
        // Ignored: said too late, too early, or twice.
        'dirty.commit': {},
        'dirty.abandon': {},
        'dirty.describe': {},
        'worker.boot': {},
        'worker.drain': {},
        'link.ended': {},
        'signals.reload': {},
        'signals.scale': {},
        'router.stuck': {},
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
              initial: 'starting',
              invoke: {
                id: 'pool',
                src: 'pool',
                input: ({ context, self }): PoolInput => ({
                  title: 'dirty worker',
                  coolsBySlot: true,
                  parent: self,
                  target: context.target,
                  generation: editionOf(context, context.committed!, 1),
                }),
              },
              on: {
                'pool.done': { actions: 'tellAsPool' },
                'pool.refused': { actions: 'tellAsPool' },
                'pool.failed': [{ guard: 'isOrdered', actions: 'tellAsPool' }, { actions: 'noticeFailed' }],
                'pool.superseded': { actions: 'tellAsPool' },
                'pool.standing': { actions: 'tellAsPool' },
                'pool.degraded': { actions: 'noticeDegraded' },
                'pool.committed': [
                  { guard: 'isOrdered', actions: ['keepCommitted', 'tellCommitted'] },
                  { actions: 'keepCommitted' },
                ],
                'pool.generationGone': { actions: 'releaseEdition' },
                'pool.openFailed': { target: '.stopping', actions: ['keepOpenFault', 'refuseCalls'] },
                'pool.stopped': [
                  { guard: 'wasOpen', target: '#dirtyArbiter.gone' },
                  { target: '#dirtyArbiter.alive.failed' },
                ],
                'dirty.describe': { actions: 'passToRouter' },
                'router.stuck': { actions: ['noticeStuck', 'killStuck'] },
              },
              states: {
                starting: {
                  description: 'No dirty worker was ever ready.',
                  on: {
                    'pool.opened': { target: 'serving', actions: 'tellReady' },
                    ...stops,
                  },
                },
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
                    ...stops,
                  },
                },
                stopping: {
                  description: 'Dirty workers finish what they run and leave; a second order cuts it.',
                  on: {
                    'dirty.scale': { actions: 'refuseStopping' },
                    'dirty.replace': { actions: 'refuseStopping' },
                    'dirty.retire': { actions: 'refuseStopping' },
                    'dirty.cancel': { actions: 'passToRouter' },
                    'pool.opened': {},
                    'worker.quit': { actions: 'stopPool' },
                    'signals.stop': [{ guard: 'isQuit', actions: 'stopPool' }, {}],
                  },
                },
              },
            },
          },
        },
        failed: {
          description: 'It could not boot, and says why while it still has its link.',
          entry: 'tellBootFailed',
          always: { target: '#dirtyArbiter.gone' },
        },
      },
    },
    gone: { description: 'The process exits.', type: 'final' },
  },
});

export type DirtyArbiterActor = ActorRefFrom<typeof dirtyArbiterMachine>;
