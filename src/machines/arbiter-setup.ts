/** What the arbiter machine's states are made of: context, guards and actions. The states are in arbiter.ts. */
import { assertEvent, assign, emit, enqueueActions, sendTo, setup } from 'xstate';
import {
  type ArbiterContext,
  type ArbiterEvent,
  type ArbiterInput,
  type ArbiterOutput,
  lastOrder,
  leftToSuccessorFault,
  ORDERS_PENDING_MAX,
  pendingOrder,
  startingFault,
  stoppingFault,
} from './arbiter-context.ts';
import { type ControlListenerInput, controlListenerMachine } from './control-listener.ts';
import { dirtyTreeMachine } from './dirty-tree.ts';
import type { ArbiterReport, LogOrder, OrderEnded } from './events/arbiter.ts';
import type { GenerationOrder } from './events/generation.ts';
import type { PredecessorOrder } from './events/upgrade.ts';
import { crashFault, exitCodeOf } from './faults.ts';
import { withoutJoint } from './joint-reload.ts';
import { poolMachine } from './pool.ts';
import { port } from './ports.ts';
import { successorMachine } from './successor.ts';

export const arbiterSetup = setup({
  types: {
    context: {} as ArbiterContext,
    input: {} as ArbiterInput,
    output: {} as ArbiterOutput,
    events: {} as ArbiterEvent,
    emitted: {} as ArbiterReport,
    children: {} as {
      pool: 'pool';
      generations: 'generations';
      logs: 'logs';
      signals: 'signals';
      control: 'control';
      controlReadonly: 'control';
      dirty: 'dirty';
      successor: 'successor';
      predecessor: 'predecessor';
    },
  },
  actors: {
    /** Turns signals into orders, from the first moment. */
    signals: port<{ type: 'signals.none' }>('signals'),
    /** Reads settings, binds addresses, and keeps what belongs to a generation. */
    generations: port<GenerationOrder>('generations'),
    /** Owns the log files. */
    logs: port<LogOrder>('logs'),
    pool: poolMachine,
    control: controlListenerMachine,
    dirty: dirtyTreeMachine,
    successor: successorMachine,
    /** Waits for the end of the old arbiter of an upgrade, and takes what it had. */
    predecessor: port<PredecessorOrder>('predecessor'),
  },
  delays: {
    lameDuckTime: ({ context }) => context.lameDuckMs,
  },
  guards: {
    isStale: ({ context, event }) =>
      (event.type === 'generation.prepared' || event.type === 'generation.refused') &&
      event.orderId !== context.preparing,
    wouldBeEmpty: ({ context, event }) =>
      event.type === 'arbiter.scale' && event.by < 0 && context.target <= 1,
    hasNoRoom: ({ context, event }) =>
      event.type === 'arbiter.scale' && event.by > 0 && context.target >= context.workersMax,
    /** A setting that did not change leaves what an operator scaled to. */
    asksForOthers: ({ context, event }) => event.type === 'pool.committed' && event.workers !== context.asked,
    isRequired: ({ context, event }) =>
      event.type === 'control.unavailable' &&
      context.controls.some(({ name, required }) => name === event.socket && required),
    /** A second signal is impatience; a second command is another shell. */
    isSignal: ({ event }) => event.type === 'arbiter.stop' && event.signal !== undefined,
    /** Where a new arbiter serves, nobody has to be sent elsewhere first. */
    isLameDuck: ({ context }) => context.lameDuckMs > 0 && context.successor?.isServing !== true,
    isQuick: ({ event }) => event.type === 'arbiter.stop' && event.mode === 'quick',
    hasTooMany: ({ context }) => context.pending.length >= ORDERS_PENDING_MAX,
  },
  actions: {
    takeOrder: assign(({ context, event }) => {
      assertEvent(event, [
        'arbiter.scale',
        'arbiter.reload',
        'arbiter.retire',
        'arbiter.reopen',
        'arbiter.stop',
        'arbiter.upgrade',
        'arbiter.rest',
        'arbiter.dirtyScale',
        'arbiter.dirtyRetire',
        'arbiter.dirtyCancel',
      ]);
      const orderId = context.lastOrderId + 1;
      const { type: order, source, ticket } = event;
      return {
        lastOrderId: orderId,
        pending: [...context.pending, { orderId, order, source, ticket }],
      };
    }),
    tellTaken: emit(({ context }) => ({ type: 'order.taken', ...lastOrder(context) })),
    /** Ends the order just taken. */
    endDone: emit(({ context }) => ({ type: 'order.done', ...lastOrder(context) })),
    endStarting: emit(({ context }) => ({
      type: 'order.refused',
      ...lastOrder(context),
      fault: startingFault,
    })),
    endStopping: emit(({ context }) => ({
      type: 'order.refused',
      ...lastOrder(context),
      fault: stoppingFault,
    })),
    endEmpty: emit(({ context }) => ({
      type: 'order.refused',
      ...lastOrder(context),
      total: context.target,
      fault: {
        code: 'order.outOfBounds',
        message:
          context.target === 0
            ? 'there is none: the new arbiter serves'
            : 'there is one worker; there must be at least 1',
      },
    })),
    endFull: emit(({ context }) => ({
      type: 'order.refused',
      ...lastOrder(context),
      total: context.target,
      fault: {
        code: 'order.outOfBounds',
        message: `there are ${context.target} workers, the most allowed is ${context.workersMax} (--workers-max)`,
      },
    })),
    endTooMany: emit(({ context }) => ({
      type: 'order.refused',
      ...lastOrder(context),
      fault: { code: 'order.tooMany', message: `${ORDERS_PENDING_MAX} orders wait already` },
    })),
    dropOrder: assign({ pending: ({ context }) => context.pending.slice(0, -1) }),
    /** Passes on how the pool ended an order. */
    endAsPool: enqueueActions(({ context, event, enqueue }) => {
      assertEvent(event, ['pool.done', 'pool.refused', 'pool.failed', 'pool.superseded']);
      const order = pendingOrder(context, event.orderId);
      if (!order) return;
      const end = event.type.replace('pool.', 'order.') as OrderEnded['type'];
      const { type: _, ...facts } = event;
      enqueue.emit({ ...facts, ...order, type: end });
      enqueue.assign({
        pending: context.pending.filter((one) => one !== order),
        joints: withoutJoint(context.joints, order.orderId),
      });
    }),
    endAsRefused: enqueueActions(({ context, event, enqueue }) => {
      assertEvent(event, 'generation.refused');
      const order = pendingOrder(context, event.orderId);
      if (!order) return;
      enqueue.emit({ type: 'order.failed', ...order, fault: event.fault });
      enqueue.assign({ pending: context.pending.filter((one) => one !== order) });
    }),
    /** A newer reload takes the place of one that was still being prepared. */
    supersedePreparing: enqueueActions(({ context, enqueue }) => {
      const order = pendingOrder(context, context.preparing);
      if (!order) return;
      enqueue.emit({ type: 'order.superseded', ...order });
      enqueue.assign({ pending: context.pending.filter((one) => one !== order) });
    }),
    refusePreparing: enqueueActions(({ context, enqueue }) => {
      const order = pendingOrder(context, context.preparing);
      if (!order) return;
      enqueue.emit({ type: 'order.refused', ...order, fault: stoppingFault });
      enqueue.assign({ pending: context.pending.filter((one) => one !== order), preparing: 0 });
    }),

    prepare: enqueueActions(({ context, enqueue }) => {
      const number = context.lastGeneration + 1;
      enqueue.sendTo('generations', { type: 'generation.prepare', number, orderId: context.lastOrderId });
      enqueue.assign({
        lastGeneration: number,
        preparing: context.lastOrderId,
        pending: context.pending.map((one) =>
          one.orderId === context.lastOrderId ? { ...one, generation: number } : one,
        ),
      });
    }),
    keepFirst: assign(({ context, event }) => {
      assertEvent(event, 'generation.prepared');
      const { generation } = event;
      const { workers } = generation;
      // What the settings ask for is allowed.
      const workersMax = Math.max(context.workersMax, workers);
      return { first: generation, target: workers, asked: workers, workersMax, preparing: 0 };
    }),
    keepRefusal: assign(({ event }) => {
      assertEvent(event, [
        'generation.refused',
        'pool.openFailed',
        'dirty.openFailed',
        'control.unavailable',
      ]);
      return { fault: event.fault, exitCode: exitCodeOf(event.fault) };
    }),
    doneWithPreparing: assign({ preparing: 0 }),
    /** Hands a prepared generation to the pool. */
    replace: sendTo('pool', ({ event }) => {
      assertEvent(event, 'generation.prepared');
      return { type: 'pool.replace' as const, orderId: event.orderId, generation: event.generation };
    }),
    releaseStale: sendTo('generations', ({ event }) => {
      assertEvent(event, 'generation.prepared');
      return { type: 'generation.release' as const, number: event.generation.number };
    }),
    releaseGone: sendTo('generations', ({ event }) => {
      assertEvent(event, 'pool.generationGone');
      return { type: 'generation.release' as const, number: event.generation };
    }),
    /** Nobody is hired from now on; a client in the queue of a socket that only we hold would wait in vain. */
    closeListeners: sendTo('generations', { type: 'generation.close' }),
    scale: enqueueActions(({ context, event, enqueue }) => {
      assertEvent(event, 'arbiter.scale');
      const { target: previous, workersMax } = context;
      const wanted = previous + event.by;
      const target = Math.max(1, Math.min(workersMax, wanted));
      const reason =
        target === wanted
          ? undefined
          : target === 1
            ? 'there must be at least 1 worker'
            : `the most allowed is ${workersMax} workers (--workers-max)`;
      enqueue.emit({ type: 'order.taken', ...lastOrder(context), previous, total: target, reason });
      enqueue.assign({ target });
      enqueue.sendTo('pool', { type: 'pool.scale', orderId: context.lastOrderId, target });
    }),
    scaleAsAsked: enqueueActions(({ context, event, enqueue }) => {
      assertEvent(event, 'pool.committed');
      // What the settings ask for is allowed.
      enqueue.assign({ asked: event.workers, workersMax: Math.max(context.workersMax, event.workers) });
      const by = event.workers - context.target;
      if (by !== 0) enqueue.raise({ type: 'arbiter.scale', by, source: 'settings' });
    }),
    retire: sendTo('pool', ({ context, event }) => {
      assertEvent(event, 'arbiter.retire');
      const { age, leave } = event;
      return { type: 'pool.retire' as const, orderId: context.lastOrderId, age, leave };
    }),
    reopenLogs: sendTo('logs', { type: 'log.reopen' }),

    openControls: enqueueActions(({ context, enqueue, self }) => {
      for (const { name, sessionsMax } of context.controls) {
        const input: ControlListenerInput = { name, sessionsMax, arbiter: self };
        enqueue.spawnChild('control', { id: name, input });
      }
    }),
    /** Its sockets and sessions are gone with it; serving goes on, unless it was required. */
    giveUpControl: enqueueActions(({ event, enqueue }) => {
      assertEvent(event, ['xstate.error.actor.control', 'xstate.error.actor.controlReadonly']);
      const { actorId, error } = event;
      enqueue.stopChild(actorId);
      enqueue.raise({ type: 'control.unavailable', socket: actorId, fault: crashFault(error) });
    }),
    /** A command is no impatience: a service manager's TERM after it is the first one. */
    countStop: assign({
      stops: ({ context, event }) => {
        assertEvent(event, 'arbiter.stop');
        return context.stops + (event.signal === undefined ? 0 : 1);
      },
    }),
    /** Only the start can fail for it: a socket that is lost later is bound anew, and serving goes on meanwhile. */
    noLongerRequired: assign({
      controls: ({ context, event }) => {
        assertEvent(event, 'control.opened');
        return context.controls.map((one) => (one.name === event.socket ? { ...one, required: false } : one));
      },
    }),
    /** A second signal makes the exit code 128 + n. */
    keepSecondSignal: assign({
      exitCode: ({ context, event }) => {
        assertEvent(event, 'arbiter.stop');
        // The first signal, or one while a failed start winds down, is no second one.
        const first = context.stops < 2 || context.fault !== null;
        return event.signal === undefined || first ? context.exitCode : 128 + event.signal;
      },
    }),
    /** The way is `context.leave`, which only ever gets harder. */
    stopPool: sendTo('pool', ({ context }) => ({
      type: 'pool.stop' as const,
      orderId: context.lastOrderId,
      leave: context.leave,
    })),
    /** When everything is gone the orders to stop are done; another that is left was not, and never will be. */
    endAll: enqueueActions(({ context, enqueue }) => {
      for (const order of context.pending)
        if (order.order === 'arbiter.stop') enqueue.emit({ type: 'order.done', ...order });
        else
          enqueue.emit({
            type: 'order.refused',
            ...order,
            fault: order.order === 'arbiter.upgrade' ? leftToSuccessorFault : stoppingFault,
          });
      enqueue.assign({ pending: [] });
    }),
  },
});
