/** What the arbiter machine knows, what it is told, and pure questions about it. */
import type { ErrorActorEvent } from 'xstate';
import type { DirtyTreeReport } from './dirty-tree.ts';
import type { ArbiterOrder, OrderFacts } from './events/arbiter.ts';
import type { Leave } from './events/child.ts';
import type { ControlReport, ControlSocketName } from './events/control.ts';
import type { Generation, GenerationReport } from './events/generation.ts';
import type { PoolReport } from './events/pool.ts';
import type { PredecessorReport, SuccessorReport } from './events/upgrade.ts';
import type { Fault } from './faults.ts';
import type { Joint } from './joint-reload.ts';

/** An order that has not ended; a reload's has the number of its generation. */
export type PendingOrder = Readonly<OrderFacts> & { readonly generation?: number };

/** A control socket that is wanted. */
export interface ControlWish {
  readonly name: ControlSocketName;
  /** Without it the server ends. */
  readonly required: boolean;
  /** Most connections at once. */
  readonly sessionsMax: number;
}

/** A new arbiter. */
export interface Successor {
  readonly pid: number;
  readonly isServing: boolean;
}

export interface ArbiterContext {
  /** The generation the pool was opened with, once it is prepared. */
  first: Generation | null;
  /** How many workers there should be, and how many the settings last asked for. */
  target: number;
  asked: number;
  /** The largest number of workers an order to scale can ask for. */
  workersMax: number;
  controls: readonly ControlWish[];
  lastOrderId: number;
  lastGeneration: number;
  pending: readonly PendingOrder[];
  /** The reload whose generation is being prepared. */
  preparing: number;
  /** Whether there is a dirty tree that is not gone. */
  hasDirty: boolean;
  /** Whether each pool has had somebody ready: reloads of both begin after that. */
  webOpened: boolean;
  dirtyOpened: boolean;
  /** Reloads of both pools that have not ended: one on trial at most, and those that are rolled over. */
  joints: readonly Joint[];
  /** Signals to stop so far: the second one hastens. */
  stops: number;
  /** How long everything serves on after a graceful stop was ordered; 0: it stops at once. */
  lameDuckMs: number;
  /** How everybody is to leave. */
  leave: Leave;
  /** The new arbiter of an upgrade, from the order on until it is gone; `pid` 0 until it serves. */
  successor: Successor | null;
  /** The process number of the old arbiter, while this one is the new one of an upgrade. */
  predecessor: number | null;
  /** Why this server cannot be upgraded; null: it can. */
  noUpgrade: string | null;
  exitCode: number;
  fault: Fault | null;
}

export interface ArbiterInput {
  workersMax: number;
  /** Default: no control sockets. */
  controls?: readonly ControlWish[];
  /** How long everything serves on after a graceful stop was ordered. Default 0. */
  lameDuckMs?: number;
  /** The process number of the old arbiter, whose sockets were inherited. Default: there is none. */
  predecessor?: number | undefined;
  /** Why this server cannot be upgraded. Default: it can. */
  noUpgrade?: string | undefined;
}

export interface ArbiterOutput {
  exitCode: number;
  fault: Fault | null;
}

/** A bug in a control listener. */
type ActorError = ErrorActorEvent<unknown, 'control'> | ErrorActorEvent<unknown, 'controlReadonly'>;

export type ArbiterEvent =
  | ArbiterOrder
  | GenerationReport
  | PoolReport
  | ControlReport
  | DirtyTreeReport
  | SuccessorReport
  | PredecessorReport
  | ActorError;

/**
 * Most orders at once that have not ended. Only commands to stop pile up, all waiting for the one stop, and orders to a
 * dirty arbiter that does not answer: a pool has three reloads at most under way (one prepared, one tried, one rolled
 * over) and one order to scale, and answers an order to retire at once.
 */
export const ORDERS_PENDING_MAX = 256;

export const startingFault: Fault = { code: 'order.starting', message: 'the server is still starting' };
export const stoppingFault: Fault = { code: 'order.stopping', message: 'the server is stopping' };
/** Of an upgrade whose new arbiter, which this one does not end, does not serve yet; with a slow hook before it, it has no process. */
export const leftToSuccessorFault: Fault = {
  code: 'order.stopping',
  message:
    'the server is stopping; a new arbiter whose process has started already goes on, and takes its place',
};

export const lastOrder = (context: ArbiterContext): PendingOrder =>
  context.pending.at(-1) ?? { orderId: 0, order: 'arbiter.reload', source: 'internal' };

export const pendingOrder = (context: ArbiterContext, orderId: number) =>
  context.pending.find((one) => one.orderId === orderId);

export const jointOf = (context: ArbiterContext, orderId: number) =>
  context.joints.find((one) => one.orderId === orderId);
