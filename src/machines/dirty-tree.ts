/**
 * The dirty tree, seen by the arbiter: a pool of exactly one child, the dirty arbiter, which is restarted like any other,
 * though never beside another that still lives; and the orders it was given. It runs in the arbiter's process.
 *
 *   running.down   there is no dirty arbiter that listens: orders fail at once, but for a reload, which may be the cure: the next
 *                  dirty arbiter is started at once and with its generation, and stands, or has failed, as a whole
 *   running.up     orders go over its link
 *   stopping       it was told to leave
 *   stopped        nobody is left
 *
 * Every order ends in exactly one report, also when the dirty arbiter dies or never answers. A generation that it said is
 * committed is what it is restarted with, so that its order is done when it is up again.
 */
import type { ActorRefFrom } from 'xstate';
import { dirtyTreeSetup } from './dirty-tree-setup.ts';
import type { PoolInput } from './pool-context.ts';

export {
  DIRTY_PENDING_MAX,
  type DirtyLinkReport,
  type DirtyTreeInput,
  type DirtyTreeOrder,
  type DirtyTreeReport,
} from './dirty-tree-setup.ts';

export const dirtyTreeMachine = dirtyTreeSetup.createMachine({
  id: 'dirtyTree',
  options: { maxIterations: 1000 },
  description: 'The dirty arbiter and its orders, seen by the arbiter.',
  context: ({ input }) => ({ ...input, pending: [], fault: null }),
  initial: 'alive',
  states: {
    alive: {
      description: 'There is a dirty arbiter, or will be.',
      initial: 'running',
      invoke: [
        { id: 'link', src: 'link' },
        {
          id: 'pool',
          src: 'pool',
          input: ({ context, self }): PoolInput => ({
            title: 'dirty arbiter',
            parent: self,
            target: 1,
            generation: context.generation,
            alone: true,
          }),
        },
      ],
      on: {
        'pool.opened': { actions: 'tellOpened' },
        'pool.openFailed': { target: '.stopping', actions: 'tellOpenFailed' },
        'pool.degraded': { actions: ['noteFault', 'tellDegraded'] },
        'pool.stopped': { target: 'stopped' },
        // The pool of one is never replaced or scaled.
        'pool.done': {},
        'pool.refused': {},
        'pool.failed': {},
        'pool.superseded': {},
        'pool.standing': {},
        'pool.committed': {},
        'pool.generationGone': {},
        'link.up': {},
        'link.down': {},
        'order.overdue': {},
        // Of orders that have ended, or that nobody gave: a signal's.
        'dirty.taken': {},
        'dirty.standing': {},
        'dirty.committed': {},
        'dirty.done': {},
        'dirty.refused': {},
        'dirty.failed': {},
        'dirty.superseded': {},
        'dirty.commit': {},
        'dirty.abandon': {},
      },
      states: {
        running: {
          description: 'It is kept alive.',
          initial: 'down',
          on: {
            'dirty.stop': { target: 'stopping', actions: 'stopPool' },
            'order.overdue': [{ guard: 'isOfPending', actions: ['failOverdue', 'giveUp', 'forget'] }, {}],
            'dirty.done': [{ guard: 'isOfPending', actions: ['passUp', 'forget', 'dropLimit'] }, {}],
            // It is leaving: the next one is of that generation.
            'dirty.refused': [
              { guard: 'isCommitted' },
              { guard: 'isOfPending', actions: ['passUp', 'forget', 'dropLimit'] },
              {},
            ],
            'dirty.failed': [{ guard: 'isOfPending', actions: ['passUp', 'forget', 'dropLimit'] }, {}],
            'dirty.superseded': [{ guard: 'isOfPending', actions: ['passUp', 'forget', 'dropLimit'] }, {}],
            'dirty.taken': [{ guard: 'isOfPending', actions: 'passUp' }, {}],
            'dirty.standing': [{ guard: 'isOfPending', actions: ['renewLimit', 'passUp'] }, {}],
            'dirty.committed': [
              { guard: 'isOfPending', actions: ['noteCommitted', 'renewLimit', 'passUp'] },
              {},
            ],
          },
          states: {
            down: {
              description: 'There is no dirty arbiter that listens.',
              on: {
                'link.up': [
                  {
                    guard: 'isOfPending',
                    target: 'up',
                    actions: ['endCommitted', 'noteWhole', 'tellStanding'],
                  },
                  { target: 'up', actions: 'endCommitted' },
                ],
                'link.down': [{ guard: 'isOfPending', actions: ['failTrial', 'forget', 'dropLimit'] }, {}],
                'dirty.scale': { actions: 'failDown' },
                'dirty.replace': [
                  { guard: 'hasTooMany', actions: 'refuseTooMany' },
                  { actions: ['supersedeTrials', 'note', 'pass', 'hurry'] },
                ],
                'dirty.abandon': [
                  { guard: 'isOfPending', actions: ['pass', 'failAbandoned', 'forget', 'dropLimit'] },
                  {},
                ],
                'dirty.retire': { actions: 'failDown' },
                'dirty.cancel': { actions: 'failDown' },
              },
            },
            up: {
              description: 'Orders go over its link.',
              on: {
                'link.down': { target: 'down', actions: 'failPending' },
                'dirty.scale': [
                  { guard: 'hasTooMany', actions: 'refuseTooMany' },
                  { actions: ['note', 'pass'] },
                ],
                'dirty.replace': [
                  { guard: 'hasTooMany', actions: 'refuseTooMany' },
                  { actions: ['supersedeWhole', 'note', 'pass'] },
                ],
                'dirty.retire': [
                  { guard: 'hasTooMany', actions: 'refuseTooMany' },
                  { actions: ['note', 'pass'] },
                ],
                'dirty.cancel': [
                  { guard: 'hasTooMany', actions: 'refuseTooMany' },
                  { actions: ['note', 'pass'] },
                ],
                'dirty.commit': [
                  { guard: 'isWhole', actions: ['pass', 'endWhole', 'forget', 'dropLimit'] },
                  { guard: 'isOfPending', actions: 'pass' },
                  {},
                ],
                'dirty.abandon': [
                  { guard: 'isWhole', actions: ['pass', 'failAbandoned', 'forget', 'dropLimit'] },
                  { guard: 'isOfPending', actions: 'pass' },
                  {},
                ],
              },
            },
          },
        },
        stopping: {
          description: 'It was told to leave, or could not start.',
          entry: 'refusePending',
          on: {
            'dirty.stop': { actions: 'stopPool' },
            'dirty.scale': { actions: 'refuseStopping' },
            'dirty.replace': { actions: 'refuseStopping' },
            'dirty.retire': { actions: 'refuseStopping' },
            'dirty.cancel': { actions: 'refuseStopping' },
          },
        },
      },
    },
    stopped: {
      description: 'Nobody is left.',
      type: 'final',
      entry: 'tellStopped',
    },
  },
});

export type DirtyTreeActor = ActorRefFrom<typeof dirtyTreeMachine>;
