/**
 * What the arbiter machine does about upgrades: a new arbiter beside it, which inherits the sockets; resting while that serves, and
 * coming back; and, as a new arbiter, taking over when the old one is gone. The states are in arbiter.ts.
 */
import { assertEvent, assign, emit, enqueueActions, sendTo } from 'xstate';
import { lastOrder, pendingOrder } from './arbiter-context.ts';
import { arbiterParts } from './arbiter-dirty.ts';
import type { Fault } from './faults.ts';
import type { SuccessorInput } from './successor.ts';

/** What a new arbiter needs beside the limit of each worker's boot: to start itself, and to bind. */
const START_MS = 30_000;
/** Where boots have no limit. */
const BOOT_MS = 600_000;

const refusal = (message: string): Fault => ({ code: 'upgrade.refused', message });

/** The whole of what the states are made of. */
export const arbiterWhole = arbiterParts.extend({
  guards: {
    isOpen: ({ context }) => context.webOpened && (!context.hasDirty || context.dirtyOpened),
    cannotUpgrade: ({ context }) => context.noUpgrade !== null,
    hasSuccessor: ({ context }) => context.successor !== null,
    hasPredecessor: ({ context }) => context.predecessor !== null,
    isSucceeded: ({ context }) => context.successor?.isServing === true,
    isReloading: ({ context }) => context.pending.some(({ order }) => order === 'arbiter.reload'),
    isResting: ({ context }) => context.target === 0,
  },
  actions: {
    // ── the old arbiter ─────────────────────────────────────────────────────────────────────────────────────
    openSuccessor: enqueueActions(({ context, enqueue, self }) => {
      const bootMs = [context.first?.limits.bootMs, context.first?.dirty?.limits.bootMs]
        .filter((ms) => ms !== undefined)
        .reduce((sum, ms) => sum + (ms === 0 ? BOOT_MS : ms), START_MS);
      const input: SuccessorInput = { parent: self, orderId: context.lastOrderId, limitMs: bootMs };
      enqueue.assign({ successor: { pid: 0, isServing: false } });
      enqueue.spawnChild('successor', { id: 'successor', input });
    }),
    noteSucceeded: enqueueActions(({ context, event, enqueue }) => {
      assertEvent(event, 'successor.serving');
      enqueue.assign({ successor: { pid: event.pid, isServing: true } });
      const order = pendingOrder(context, event.orderId);
      if (!order) return;
      enqueue.emit({ type: 'order.done', ...order, pid: event.pid });
      enqueue.assign({ pending: context.pending.filter((one) => one !== order) });
    }),
    endUpgradeFailed: enqueueActions(({ context, event, enqueue }) => {
      assertEvent(event, 'successor.failed');
      const order = pendingOrder(context, event.orderId);
      if (!order) return;
      enqueue.emit({ type: 'order.failed', ...order, fault: event.fault });
      enqueue.assign({ pending: context.pending.filter((one) => one !== order) });
    }),
    forgetSuccessor: enqueueActions(({ enqueue }) => {
      enqueue.stopChild('successor');
      enqueue.assign({ successor: null });
    }),
    endNoUpgrade: emit(({ context }) => ({
      type: 'order.refused',
      ...lastOrder(context),
      fault: refusal(context.noUpgrade ?? ''),
    })),
    endHasSuccessor: emit(({ context }) => ({
      type: 'order.refused',
      ...lastOrder(context),
      fault: refusal(
        context.successor?.isServing
          ? `process ${context.successor.pid} is the new arbiter already: end one of the two first`
          : 'a new arbiter is starting already',
      ),
    })),
    endHasPredecessor: emit(({ context }) => ({
      type: 'order.refused',
      ...lastOrder(context),
      fault: refusal(`process ${context.predecessor} is the old arbiter, and still runs: end it first`),
    })),
    endNobodyElse: emit(({ context }) => ({
      type: 'order.refused',
      ...lastOrder(context),
      fault: refusal('no new arbiter serves, so nobody would: start one with SIGUSR2 first'),
    })),
    endReloading: emit(({ context }) => ({
      type: 'order.refused',
      ...lastOrder(context),
      fault: refusal('a reload is under way: wait for its end'),
    })),
    rest: enqueueActions(({ context, enqueue }) => {
      const { target: previous } = context;
      enqueue.emit({ type: 'order.taken', ...lastOrder(context), previous, total: 0 });
      enqueue.assign({ target: 0 });
      enqueue.sendTo('pool', { type: 'pool.scale', orderId: context.lastOrderId, target: 0 });
    }),
    /** As many workers as the settings last asked for. */
    wake: enqueueActions(({ context, event, enqueue }) => {
      const source = event.type === 'arbiter.reload' ? event.source : 'internal';
      enqueue.raise({ type: 'arbiter.scale', by: context.asked, source });
    }),

    // ── the new one ─────────────────────────────────────────────────────────────────────────────────────────
    watchPredecessor: enqueueActions(({ context, enqueue }) => {
      if (context.predecessor !== null) enqueue.spawnChild('predecessor', { id: 'predecessor' });
    }),
    succeed: sendTo('predecessor', { type: 'predecessor.succeed' }),
    forgetPredecessor: assign({ predecessor: null }),
  },
});
