/**
 * The dirty tree, seen by the arbiter: a pool of exactly one child, the dirty arbiter, which is restarted like any other,
 * though never beside another that still lives; and the orders it was given. It runs in the arbiter's process.
 *
 *   running.down   there is no dirty arbiter that listens: orders fail at once
 *   running.up     orders go over its link
 *   stopping       it was told to leave
 *   stopped        nobody is left
 *
 * Every order ends in exactly one report, also when the dirty arbiter dies or never answers. A generation that it said is
 * committed is what it is restarted with, so that its order is done when it is up again.
 */
import { type ActorRefFrom, assertEvent, assign, cancel, enqueueActions, sendTo, setup } from 'xstate';
import type { Leave } from './events/child.ts';
import type { DirtyOrder, DirtyReport } from './events/dirty.ts';
import type { Generation } from './events/generation.ts';
import type { PoolReport } from './events/pool.ts';
import type { Fault } from './faults.ts';
import { poolMachine } from './pool.ts';
import type { PoolInput } from './pool-context.ts';
import { type Listener, port } from './ports.ts';

/** Orders of the arbiter; the dirty arbiter is asked to describe itself past the machines. */
export type DirtyTreeOrder =
  | Exclude<DirtyOrder, { type: 'dirty.describe' }>
  | { type: 'dirty.stop'; leave: Leave };

/** What the arbiter is told. */
export type DirtyTreeReport =
  | DirtyReport
  /** The first dirty worker is ready. */
  | { type: 'dirty.opened' }
  /** No dirty worker was ever ready, and one failed to boot. */
  | { type: 'dirty.openFailed'; fault: Fault }
  | { type: 'dirty.degraded'; fault: Fault; retryInMs: number }
  | { type: 'dirty.stopped' };

/** What the actor that has the link tells: `link.up` when a dirty arbiter is ready, for then it takes orders. */
export type DirtyLinkReport = DirtyReport | { type: 'link.up' } | { type: 'link.down' };

/** Most orders that wait for their answers. */
export const DIRTY_PENDING_MAX = 256;

export interface Pending {
  readonly orderId: number;
  readonly order: DirtyOrder['type'];
  /** A reload that passed its commit point. */
  readonly committed: boolean;
}

export interface DirtyTreeInput {
  parent: Listener<DirtyTreeReport>;
  /** The dirty arbiter's own limits, as those of a generation that is never replaced. */
  generation: Generation;
}

export interface DirtyTreeContext extends DirtyTreeInput {
  pending: readonly Pending[];
}

export type DirtyTreeEvent =
  | DirtyTreeOrder
  | DirtyLinkReport
  | PoolReport
  | { type: 'order.overdue'; orderId: number };

const downFault: Fault = {
  code: 'dirty.down',
  message: 'the dirty arbiter is not running; it is being restarted',
};
const diedFault: Fault = { code: 'dirty.died', message: 'the dirty arbiter ended before it had answered' };
const overdueFault: Fault = { code: 'dirty.overdue', message: 'the dirty arbiter did not answer in time' };
const tooManyFault: Fault = {
  code: 'order.tooMany',
  message: `${DIRTY_PENDING_MAX} orders wait for the dirty arbiter already`,
};
const stoppingFault: Fault = { code: 'order.stopping', message: 'the server is stopping' };

const overdueId = (orderId: number): string => `overdue.${orderId}`;
const failed = (orderId: number, fault: Fault): DirtyReport => ({
  type: 'dirty.failed',
  orderId,
  fault,
  replaced: 0,
  remaining: 0,
});

export const dirtyTreeMachine = setup({
  types: {
    context: {} as DirtyTreeContext,
    input: {} as DirtyTreeInput,
    events: {} as DirtyTreeEvent,
    children: {} as { pool: 'pool'; link: 'link' },
  },
  actors: {
    pool: poolMachine,
    /** The link to the dirty arbiter that lives now, whichever it is. */
    link: port<DirtyOrder>('dirty link'),
  },
  delays: {
    /** An order that the dirty arbiter does not answer: longer than any boot or drain takes. Provided. */
    orderLimit: 600_000,
  },
  guards: {
    isOfPending: ({ context, event }) =>
      'orderId' in event && context.pending.some(({ orderId }) => orderId === event.orderId),
    isCommitted: ({ context, event }) =>
      'orderId' in event &&
      context.pending.some(({ orderId, committed }) => committed && orderId === event.orderId),
    hasTooMany: ({ context }) => context.pending.length >= DIRTY_PENDING_MAX,
  },
  actions: {
    note: enqueueActions(({ context, event, enqueue }) => {
      assertEvent(event, ['dirty.scale', 'dirty.replace', 'dirty.retire', 'dirty.cancel']);
      const { orderId, type } = event;
      enqueue.assign({ pending: [...context.pending, { orderId, order: type, committed: false }] });
      enqueue.raise({ type: 'order.overdue', orderId }, { id: overdueId(orderId), delay: 'orderLimit' });
    }),
    noteCommitted: assign({
      pending: ({ context, event }) => {
        assertEvent(event, 'dirty.committed');
        return context.pending.map((one) =>
          one.orderId === event.orderId ? { ...one, committed: true } : one,
        );
      },
    }),
    /** It moves: the wait for its answer begins anew. */
    renewLimit: enqueueActions(({ event, enqueue }) => {
      assertEvent(event, ['dirty.standing', 'dirty.committed']);
      const { orderId } = event;
      enqueue.cancel(overdueId(orderId));
      enqueue.raise({ type: 'order.overdue', orderId }, { id: overdueId(orderId), delay: 'orderLimit' });
    }),
    pass: sendTo('link', ({ event }) => {
      assertEvent(event, [
        'dirty.scale',
        'dirty.replace',
        'dirty.commit',
        'dirty.abandon',
        'dirty.retire',
        'dirty.cancel',
      ]);
      return event;
    }),
    passUp: sendTo(
      ({ context }) => context.parent,
      ({ event }) => {
        assertEvent(event, [
          'dirty.taken',
          'dirty.standing',
          'dirty.committed',
          'dirty.done',
          'dirty.refused',
          'dirty.failed',
          'dirty.superseded',
        ]);
        return event;
      },
    ),
    forget: assign({
      pending: ({ context, event }) =>
        context.pending.filter((one) => !('orderId' in event) || one.orderId !== event.orderId),
    }),
    dropLimit: cancel(({ event }) => overdueId('orderId' in event ? event.orderId : 0)),
    failDown: sendTo(
      ({ context }) => context.parent,
      ({ event }) => failed('orderId' in event ? event.orderId : 0, downFault),
    ),
    failOverdue: sendTo(
      ({ context }) => context.parent,
      ({ event }) => failed('orderId' in event ? event.orderId : 0, overdueFault),
    ),
    /** Nobody will order it to commit any more. */
    giveUp: sendTo('link', ({ event }) => {
      assertEvent(event, 'order.overdue');
      return { type: 'dirty.abandon' as const, orderId: event.orderId, fault: overdueFault };
    }),
    refuseTooMany: sendTo(
      ({ context }) => context.parent,
      ({ event }) => ({
        type: 'dirty.refused' as const,
        orderId: 'orderId' in event ? event.orderId : 0,
        fault: tooManyFault,
      }),
    ),
    refuseStopping: sendTo(
      ({ context }) => context.parent,
      ({ event }) => ({
        type: 'dirty.refused' as const,
        orderId: 'orderId' in event ? event.orderId : 0,
        fault: stoppingFault,
      }),
    ),
    /** Whatever it was doing is lost with it; a committed generation is what it is restarted with. */
    failPending: enqueueActions(({ context, enqueue }) => {
      for (const { orderId, committed } of context.pending) {
        if (committed) continue;
        enqueue.cancel(overdueId(orderId));
        enqueue.sendTo(context.parent, failed(orderId, diedFault));
      }
      enqueue.assign({ pending: context.pending.filter(({ committed }) => committed) });
    }),
    endCommitted: enqueueActions(({ context, enqueue }) => {
      for (const { orderId } of context.pending) {
        enqueue.cancel(overdueId(orderId));
        enqueue.sendTo(context.parent, { type: 'dirty.done', orderId, replaced: 0 });
      }
      enqueue.assign({ pending: [] });
    }),
    refusePending: enqueueActions(({ context, enqueue }) => {
      for (const { orderId } of context.pending) {
        enqueue.cancel(overdueId(orderId));
        enqueue.sendTo(context.parent, { type: 'dirty.refused', orderId, fault: stoppingFault });
      }
      enqueue.assign({ pending: [] });
    }),
    stopPool: sendTo('pool', ({ event }) => {
      assertEvent(event, 'dirty.stop');
      return { type: 'pool.stop' as const, orderId: 0, leave: event.leave };
    }),
    tellOpened: sendTo(({ context }) => context.parent, { type: 'dirty.opened' }),
    tellOpenFailed: sendTo(
      ({ context }) => context.parent,
      ({ event }) => {
        assertEvent(event, 'pool.openFailed');
        return { type: 'dirty.openFailed' as const, fault: event.fault };
      },
    ),
    tellDegraded: sendTo(
      ({ context }) => context.parent,
      ({ event }) => {
        assertEvent(event, 'pool.degraded');
        return { type: 'dirty.degraded' as const, fault: event.fault, retryInMs: event.retryInMs };
      },
    ),
    tellStopped: sendTo(({ context }) => context.parent, { type: 'dirty.stopped' }),
  },
}).createMachine({
  id: 'dirtyTree',
  options: { maxIterations: 1000 },
  description: 'The dirty arbiter and its orders, seen by the arbiter.',
  context: ({ input }) => ({ ...input, pending: [] }),
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
        'pool.degraded': { actions: 'tellDegraded' },
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
            'order.overdue': [{ guard: 'isOfPending', actions: ['failOverdue', 'forget'] }, {}],
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
                'link.up': { target: 'up', actions: 'endCommitted' },
                'dirty.scale': { actions: 'failDown' },
                'dirty.replace': { actions: 'failDown' },
                'dirty.retire': { actions: 'failDown' },
                'dirty.cancel': { actions: 'failDown' },
              },
            },
            up: {
              description: 'Orders go over its link.',
              on: {
                'link.down': { target: 'down', actions: 'failPending' },
                'order.overdue': [{ guard: 'isOfPending', actions: ['failOverdue', 'giveUp', 'forget'] }, {}],
                'dirty.scale': [
                  { guard: 'hasTooMany', actions: 'refuseTooMany' },
                  { actions: ['note', 'pass'] },
                ],
                'dirty.replace': [
                  { guard: 'hasTooMany', actions: 'refuseTooMany' },
                  { actions: ['note', 'pass'] },
                ],
                'dirty.retire': [
                  { guard: 'hasTooMany', actions: 'refuseTooMany' },
                  { actions: ['note', 'pass'] },
                ],
                'dirty.cancel': [
                  { guard: 'hasTooMany', actions: 'refuseTooMany' },
                  { actions: ['note', 'pass'] },
                ],
                'dirty.commit': [{ guard: 'isOfPending', actions: 'pass' }, {}],
                'dirty.abandon': [{ guard: 'isOfPending', actions: 'pass' }, {}],
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
