/**
 * What the arbiter machine does about its dirty tree: opening and stopping it, orders to it, and reloads that both pools
 * pass together (`joint-reload.ts`). The states are in arbiter.ts.
 */
import { assertEvent, assign, enqueueActions, sendTo } from 'xstate';
import { lastOrder, pendingOrder } from './arbiter-context.ts';
import { arbiterSetup } from './arbiter-setup.ts';
import type { DirtyTreeInput } from './dirty-tree.ts';
import type { OrderEnded } from './events/arbiter.ts';
import type { Fault } from './faults.ts';
import { committing, isUncommitted, nextCommit, startOf } from './joint-reload.ts';

const offFault: Fault = { code: 'dirty.down', message: 'Dirty arbiter not running' };

/** The states' setup, the dirty tree included. */
export const arbiterParts = arbiterSetup.extend({
  guards: {
    hasDirty: ({ context }) => context.hasDirty,
    isJointReload: ({ context, event }) =>
      event.type === 'generation.prepared' && context.hasDirty && event.generation.dirty !== undefined,
    isJoint: ({ context, event }) => 'orderId' in event && context.joint?.orderId === event.orderId,
    isJointUncommitted: ({ context, event }) =>
      'orderId' in event && context.joint?.orderId === event.orderId && isUncommitted(context.joint),
  },
  actions: {
    openDirty: enqueueActions(({ context, enqueue, self }) => {
      const { first } = context;
      if (!first?.dirty) return;
      const { limits } = first.dirty;
      const generation = { ...first, limits, workers: 1 };
      const input: DirtyTreeInput = { parent: self, generation };
      enqueue.spawnChild('dirty', { id: 'dirty', input });
      enqueue.assign({ hasDirty: true });
    }),
    forgetDirty: assign({ hasDirty: false }),
    keepLeave: assign({
      leave: ({ context, event }) => {
        if (event.type !== 'arbiter.stop') return 'quit' as const;
        if (context.stops > 2) return 'kill' as const;
        return context.stops > 1 || event.mode === 'quick' ? ('quit' as const) : context.leave;
      },
    }),
    stopDirty: sendTo('dirty', ({ context }) => ({ type: 'dirty.stop' as const, leave: context.leave })),

    // ── orders to the dirty tree ────────────────────────────────────────────────────────────────────────────
    passDirty: sendTo('dirty', ({ context, event }) => {
      assertEvent(event, ['arbiter.dirtyScale', 'arbiter.dirtyRetire', 'arbiter.dirtyCancel']);
      const orderId = context.lastOrderId;
      switch (event.type) {
        case 'arbiter.dirtyScale':
          return { type: 'dirty.scale' as const, orderId, by: event.by };
        case 'arbiter.dirtyRetire':
          return { type: 'dirty.retire' as const, orderId, age: event.age, leave: event.leave };
        case 'arbiter.dirtyCancel':
          return { type: 'dirty.cancel' as const, orderId, call: event.call };
      }
    }),
    endNoDirty: enqueueActions(({ context, enqueue }) => {
      enqueue.emit({ type: 'order.refused', ...lastOrder(context), fault: offFault });
    }),
    tellDirtyTaken: enqueueActions(({ context, event, enqueue }) => {
      assertEvent(event, 'dirty.taken');
      const order = pendingOrder(context, event.orderId);
      if (!order) return;
      const { previous, total, reason } = event;
      enqueue.emit({ type: 'order.taken', ...order, previous, total, reason });
    }),
    /** Passes on how the dirty tree ended an order. */
    endAsDirty: enqueueActions(({ context, event, enqueue }) => {
      assertEvent(event, ['dirty.done', 'dirty.refused', 'dirty.failed', 'dirty.superseded']);
      const order = pendingOrder(context, event.orderId);
      if (!order) return;
      const end = event.type.replace('dirty.', 'order.') as OrderEnded['type'];
      const { type: _, ...facts } = event;
      enqueue.emit({ ...facts, ...order, type: end });
      enqueue.assign({ pending: context.pending.filter((one) => one !== order) });
    }),

    // ── reloads of both pools ───────────────────────────────────────────────────────────────────────────────
    replaceBoth: enqueueActions(({ event, enqueue }) => {
      assertEvent(event, 'generation.prepared');
      const { orderId, generation } = event;
      enqueue.assign({ joint: startOf(orderId) });
      enqueue.sendTo('dirty', { type: 'dirty.replace', orderId, generation: generation.dirty!.generation });
      enqueue.sendTo('pool', { type: 'pool.replace', orderId, generation, hold: true });
    }),
    noteStanding: enqueueActions(({ context, event, enqueue }) => {
      assertEvent(event, ['pool.standing', 'dirty.standing']);
      if (!context.joint) return;
      const which = event.type === 'pool.standing' ? 'web' : 'dirty';
      enqueue.assign({ joint: { ...context.joint, [which]: 'standing' } });
    }),
    /** While nobody was ever ready there is nothing to hold. */
    noteWebCommitted: enqueueActions(({ context, event, enqueue }) => {
      assertEvent(event, 'pool.committed');
      if (context.joint?.orderId !== event.orderId) return;
      enqueue.assign({ joint: { ...context.joint, web: 'rolling' } });
    }),
    noteDirtyDone: enqueueActions(({ context, event, enqueue }) => {
      assertEvent(event, ['dirty.done', 'dirty.failed', 'dirty.refused', 'dirty.superseded']);
      if (!context.joint) return;
      const { replaced = 0, remaining = 0 } = event as { replaced?: number; remaining?: number };
      const fault = event.type === 'dirty.failed' || event.type === 'dirty.refused' ? event.fault : null;
      enqueue.assign({ joint: { ...context.joint, dirty: 'done', fault, replaced, remaining } });
    }),
    commitNext: enqueueActions(({ context, enqueue }) => {
      const { joint } = context;
      const which = joint && nextCommit(joint);
      if (!joint || !which) return;
      enqueue.assign({ joint: committing(joint, which) });
      if (which === 'dirty') enqueue.sendTo('dirty', { type: 'dirty.commit', orderId: joint.orderId });
      else enqueue.sendTo('pool', { type: 'pool.commit', orderId: joint.orderId });
    }),
    /** The dirty pool's trial failed: that of the web pool is given up, and the reload has failed. */
    failJoint: enqueueActions(({ context, event, enqueue }) => {
      assertEvent(event, ['dirty.failed', 'dirty.refused', 'dirty.superseded', 'dirty.done']);
      const fault: Fault =
        'fault' in event
          ? event.fault
          : { code: 'order.superseded', message: 'superseded by another reload of the dirty workers' };
      const order = pendingOrder(context, event.orderId);
      enqueue.sendTo('pool', { type: 'pool.abandon', orderId: event.orderId, fault });
      if (order)
        enqueue.emit({ type: 'order.failed', ...order, fault, replaced: 0, remaining: context.target });
      enqueue.assign({ joint: null, pending: context.pending.filter((one) => one !== order) });
    }),
    /** The web pool's trial failed: that of the dirty pool is given up. */
    abandonDirty: enqueueActions(({ context, event, enqueue }) => {
      assertEvent(event, ['pool.failed', 'pool.refused']);
      const { orderId, fault } = event;
      if (context.joint?.orderId === orderId)
        enqueue.sendTo('dirty', { type: 'dirty.abandon', orderId, fault });
    }),
    /** Both are through; what the dirty pool could not replace is the reload's failure too. */
    endJoint: enqueueActions(({ context, event, enqueue }) => {
      assertEvent(event, 'pool.done');
      const order = pendingOrder(context, event.orderId);
      const { joint } = context;
      enqueue.assign({ joint: null });
      if (!order || !joint) return;
      const { fault, remaining } = joint;
      const replaced = event.replaced + joint.replaced;
      if (fault) enqueue.emit({ type: 'order.failed', ...order, fault, replaced, remaining });
      else enqueue.emit({ type: 'order.done', ...order, replaced });
      enqueue.assign({ pending: context.pending.filter((one) => one !== order) });
    }),
    dropJoint: assign({ joint: null }),
  },
});
