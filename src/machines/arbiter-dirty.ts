/**
 * What the arbiter machine does about its dirty tree: opening and stopping it, orders to it, and reloads that both pools
 * pass together (`joint-reload.ts`). The states are in arbiter.ts.
 */
import { assertEvent, assign, enqueueActions, sendTo } from 'xstate';
import { jointOf, lastOrder, pendingOrder } from './arbiter-context.ts';
import { arbiterSetup } from './arbiter-setup.ts';
import type { DirtyTreeInput } from './dirty-tree.ts';
import type { OrderEnded } from './events/arbiter.ts';
import type { Fault } from './faults.ts';
import { changedJoint, isUncommitted, nextCommit, startOf, withoutJoint } from './joint-reload.ts';

const offFault: Fault = { code: 'dirty.down', message: 'Dirty arbiter not running' };
const supersededFault: Fault = {
  code: 'order.superseded',
  message: 'superseded by another reload of the dirty workers',
};

/** The states' setup, the dirty tree included. */
export const arbiterParts = arbiterSetup.extend({
  guards: {
    hasDirty: ({ context }) => context.hasDirty,
    isJointReload: ({ context, event }) =>
      event.type === 'generation.prepared' && context.hasDirty && event.generation.dirty !== undefined,
    /** Both pools must have had somebody ready: before that a pool commits at once and cannot wait for the other. */
    isOpening: ({ context }) => context.hasDirty && !(context.webOpened && context.dirtyOpened),
    isJoint: ({ context, event }) => 'orderId' in event && jointOf(context, event.orderId) !== undefined,
    isJointUncommitted: ({ context, event }) => {
      const joint = 'orderId' in event ? jointOf(context, event.orderId) : undefined;
      return joint !== undefined && isUncommitted(joint);
    },
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
    noteWebOpened: assign({ webOpened: true }),
    noteDirtyOpened: assign({ dirtyOpened: true }),
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
    replaceBoth: enqueueActions(({ context, event, enqueue }) => {
      assertEvent(event, 'generation.prepared');
      const { orderId, generation } = event;
      enqueue.assign({ joints: [...context.joints, startOf(orderId)] });
      enqueue.sendTo('dirty', { type: 'dirty.replace', orderId, generation: generation.dirty!.generation });
      enqueue.sendTo('pool', { type: 'pool.replace', orderId, generation, hold: true });
    }),
    noteWebStanding: assign(({ context, event }) => {
      assertEvent(event, 'pool.standing');
      return { joints: changedJoint(context.joints, event.orderId, { web: 'standing' }) };
    }),
    noteWebCommitted: assign(({ context, event }) => {
      assertEvent(event, 'pool.committed');
      return { joints: changedJoint(context.joints, event.orderId, { web: 'rolling' }) };
    }),
    noteDirtyStanding: assign(({ context, event }) => {
      assertEvent(event, 'dirty.standing');
      return { joints: changedJoint(context.joints, event.orderId, { dirty: 'standing' }) };
    }),
    noteDirtyCommitted: assign(({ context, event }) => {
      assertEvent(event, 'dirty.committed');
      return { joints: changedJoint(context.joints, event.orderId, { dirty: 'rolling' }) };
    }),
    /** Only forward after the commit point, also where some dirty workers could not be replaced. */
    noteDirtyDone: assign(({ context, event }) => {
      assertEvent(event, ['dirty.done', 'dirty.failed', 'dirty.refused', 'dirty.superseded']);
      const { replaced = 0, remaining = 0 } = event as { replaced?: number; remaining?: number };
      const fault = 'fault' in event ? event.fault : null;
      const change = { dirty: 'done' as const, fault, replaced, remaining };
      return { joints: changedJoint(context.joints, event.orderId, change) };
    }),
    commitNext: enqueueActions(({ context, event, enqueue }) => {
      assertEvent(event, [
        'pool.standing',
        'dirty.standing',
        'dirty.done',
        'dirty.failed',
        'dirty.refused',
        'dirty.superseded',
      ]);
      const { orderId } = event;
      const joint = jointOf(context, orderId);
      const which = joint && nextCommit(joint);
      if (!which) return;
      enqueue.assign({ joints: changedJoint(context.joints, orderId, { [which]: 'committing' }) });
      if (which === 'dirty') enqueue.sendTo('dirty', { type: 'dirty.commit', orderId });
      else enqueue.sendTo('pool', { type: 'pool.commit', orderId });
    }),
    /** The dirty pool's trial failed: that of the web pool is given up, and the reload has failed. */
    failJoint: enqueueActions(({ context, event, enqueue }) => {
      assertEvent(event, ['dirty.failed', 'dirty.refused', 'dirty.superseded']);
      const { orderId } = event;
      const fault = 'fault' in event ? event.fault : supersededFault;
      const order = pendingOrder(context, orderId);
      enqueue.sendTo('pool', { type: 'pool.abandon', orderId, fault });
      if (order)
        enqueue.emit({ type: 'order.failed', ...order, fault, replaced: 0, remaining: context.target });
      enqueue.assign({
        joints: withoutJoint(context.joints, orderId),
        pending: context.pending.filter((one) => one !== order),
      });
    }),
    /** The web pool's trial failed: that of the dirty pool is given up, if it is not past its commit point. */
    abandonDirty: enqueueActions(({ context, event, enqueue }) => {
      assertEvent(event, 'pool.failed');
      const { orderId, fault } = event;
      const joint = jointOf(context, orderId);
      if (joint && isUncommitted(joint)) enqueue.sendTo('dirty', { type: 'dirty.abandon', orderId, fault });
    }),
    /** Both are through; what the dirty pool could not replace is the reload's failure too. */
    endJoint: enqueueActions(({ context, event, enqueue }) => {
      assertEvent(event, ['pool.done', 'pool.failed']);
      const { orderId } = event;
      const order = pendingOrder(context, orderId);
      const joint = jointOf(context, orderId);
      if (!order || !joint) return;
      const fault = event.type === 'pool.failed' ? event.fault : joint.fault;
      const replaced = event.replaced + joint.replaced;
      const remaining = joint.remaining + (event.type === 'pool.failed' ? event.remaining : 0);
      if (fault) enqueue.emit({ type: 'order.failed', ...order, fault, replaced, remaining });
      else enqueue.emit({ type: 'order.done', ...order, replaced, dirtyReplaced: joint.replaced });
      enqueue.assign({
        joints: withoutJoint(context.joints, orderId),
        pending: context.pending.filter((one) => one !== order),
      });
    }),
    dropJoints: assign({ joints: [] }),
  },
});
