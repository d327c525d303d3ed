/**
 * What the machine of the dirty tree is made of: its events, its actions and its guards. The states are in dirty-tree.ts. Runs in
 * the arbiter.
 */
import { assertEvent, assign, cancel, enqueueActions, sendTo, setup } from 'xstate';
import type { Leave } from './events/child.ts';
import type { DirtyOrder, DirtyReport } from './events/dirty.ts';
import type { Generation } from './events/generation.ts';
import type { PoolReport } from './events/pool.ts';
import type { Fault } from './faults.ts';
import { poolMachine } from './pool.ts';
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
export type DirtyLinkReport =
  | DirtyReport
  /** `orderId`: the reload whose generation it was started with and that is not committed; 0: none. */
  | { type: 'link.up' | 'link.down'; orderId: number };

/** Most orders that wait for their answers. */
export const DIRTY_PENDING_MAX = 256;

export interface Pending {
  readonly orderId: number;
  readonly order: DirtyOrder['type'];
  /** A reload that passed its commit point. */
  readonly committed: boolean;
  /** A reload that the dirty arbiter as a whole was started with. */
  readonly whole: boolean;
}

export interface DirtyTreeInput {
  parent: Listener<DirtyTreeReport>;
  /** The dirty arbiter's own limits, as those of a generation that is never replaced. */
  generation: Generation;
}

export interface DirtyTreeContext extends DirtyTreeInput {
  /** Why the last one could not be started. */
  fault: Fault | null;
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

export const dirtyTreeSetup = setup({
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
    isWhole: ({ context, event }) =>
      'orderId' in event && context.pending.some(({ orderId, whole }) => whole && orderId === event.orderId),
    hasTooMany: ({ context }) => context.pending.length >= DIRTY_PENDING_MAX,
  },
  actions: {
    note: enqueueActions(({ context, event, enqueue }) => {
      assertEvent(event, ['dirty.scale', 'dirty.replace', 'dirty.retire', 'dirty.cancel']);
      const { orderId, type } = event;
      enqueue.assign({
        pending: [...context.pending, { orderId, order: type, committed: false, whole: false }],
      });
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
    /** The next dirty arbiter is started with the newest reload alone. */
    supersedeTrials: enqueueActions(({ context, event, enqueue }) => {
      assertEvent(event, 'dirty.replace');
      for (const { orderId, committed } of context.pending) {
        if (committed) continue;
        enqueue.cancel(overdueId(orderId));
        enqueue.sendTo(context.parent, { type: 'dirty.superseded', orderId, by: event.orderId });
      }
      enqueue.assign({ pending: context.pending.filter(({ committed }) => committed) });
    }),
    /** What it was started with, and nobody has committed, is nobody's any more: the newer reload is tried instead. */
    supersedeWhole: enqueueActions(({ context, event, enqueue }) => {
      assertEvent(event, 'dirty.replace');
      for (const { orderId, whole } of context.pending) {
        if (!whole) continue;
        enqueue.cancel(overdueId(orderId));
        enqueue.sendTo(context.parent, { type: 'dirty.superseded', orderId, by: event.orderId });
      }
      enqueue.assign({ pending: context.pending.filter(({ whole }) => !whole) });
    }),
    /** It may be the cure of what the pool waits out. */
    hurry: sendTo('pool', { type: 'pool.hurry' as const }),
    noteFault: assign({
      fault: ({ event }) => {
        assertEvent(event, 'pool.degraded');
        return event.fault;
      },
    }),
    noteWhole: assign({
      pending: ({ context, event }) => {
        assertEvent(event, 'link.up');
        return context.pending.map((one) => (one.orderId === event.orderId ? { ...one, whole: true } : one));
      },
    }),
    tellStanding: sendTo(
      ({ context }) => context.parent,
      ({ event }) => {
        assertEvent(event, 'link.up');
        return { type: 'dirty.standing' as const, orderId: event.orderId };
      },
    ),
    /** It was started with it, so that there is nothing to roll over. */
    endWhole: enqueueActions(({ context, event, enqueue }) => {
      assertEvent(event, 'dirty.commit');
      const { orderId } = event;
      enqueue.sendTo(context.parent, { type: 'dirty.committed', orderId });
      enqueue.sendTo(context.parent, { type: 'dirty.done', orderId, replaced: 0 });
    }),
    failAbandoned: sendTo(
      ({ context }) => context.parent,
      ({ event }) => {
        assertEvent(event, 'dirty.abandon');
        return failed(event.orderId, event.fault);
      },
    ),
    failTrial: sendTo(
      ({ context }) => context.parent,
      ({ context, event }) => failed('orderId' in event ? event.orderId : 0, context.fault ?? diedFault),
    ),
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
      for (const { orderId, committed } of context.pending) {
        if (!committed) continue;
        enqueue.cancel(overdueId(orderId));
        enqueue.sendTo(context.parent, { type: 'dirty.done', orderId, replaced: 0 });
      }
      enqueue.assign({ pending: context.pending.filter(({ committed }) => !committed) });
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
});
