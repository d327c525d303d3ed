/**
 * What every supervised process and its parent say to each other, whatever it is for. Each event is declared once, by
 * its speaker, as a schema: the type is inferred from it and the reading end of the link validates with it.
 */
import * as v from 'valibot';
import { FAULT_CODES } from '../faults.ts';

export const count = v.pipe(v.number(), v.integer(), v.minValue(0));
export const ms = v.pipe(v.number(), v.minValue(0));
export const text = v.pipe(v.string(), v.maxLength(64 * 1024));

export const FaultSchema = v.object({
  code: v.picklist(FAULT_CODES),
  message: text,
  stack: v.optional(text),
});

/** Which hooks there are to be called, and where; how long one may take, in milliseconds. */
export const HooksSchema = v.object({ file: text, names: v.array(text), limitMs: ms });

/** Orders to leave, from a parent down to a process. */
export const leaveOrders = {
  /** Take no more work, finish what is in flight within `graceMs`, close, exit. */
  'worker.drain': v.object({ type: v.literal('worker.drain'), orderId: count, graceMs: ms }),
  /** Cut what is in flight, close within `graceMs`, exit. */
  'worker.quit': v.object({ type: v.literal('worker.quit'), orderId: count, graceMs: ms }),
};

export const HeartbeatSchema = v.object({
  type: v.literal('worker.heartbeat'),
  /** Requests or calls answered since the process was ready. */
  requests: count,
  /** Open connections, and requests or calls being answered. */
  connections: count,
  inFlight: count,
  /** Where connections are limited: whether it accepts nothing for want of room. */
  full: v.exactOptional(v.boolean()),
  /** Of a web worker: connections accepted since it was ready. */
  accepted: v.exactOptional(count),
  /** Of a web worker: whether it accepts nothing because others do. */
  resting: v.exactOptional(v.boolean()),
  /** The event loop's delay since the last heartbeat, 99th percentile. */
  loopDelayMs: ms,
  /** The share of time the event loop was busy since the last heartbeat, 0 to 1. */
  loopUtilization: v.number(),
  rssBytes: count,
});
export type Heartbeat = v.InferOutput<typeof HeartbeatSchema>;

/** Reports, from a process up to its parent. */
export const lifecycleReports = {
  /** The first frame: who speaks. A mismatch is a boot failure. */
  'worker.hello': v.object({
    type: v.literal('worker.hello'),
    protocol: count,
    kind: v.picklist(['web', 'dirtyArbiter', 'dirtyWorker']),
    age: count,
    generation: count,
  }),
  'worker.ready': v.object({ type: v.literal('worker.ready') }),
  'worker.bootFailed': v.object({ type: v.literal('worker.bootFailed'), fault: FaultSchema }),
  /** `max-requests` were answered; the worker goes on until it is drained. */
  'worker.recycleDue': v.object({ type: v.literal('worker.recycleDue'), requests: count }),
  /** It takes no more work; the answer to an order, or of its own accord (`orderId` 0). */
  'worker.draining': v.object({
    type: v.literal('worker.draining'),
    orderId: count,
    cause: v.picklist(['ordered', 'terminated', 'uncaught']),
  }),
  /** The last work is done, or was cut when the grace ended. */
  'worker.drained': v.object({ type: v.literal('worker.drained'), cut: count }),
  'worker.heartbeat': HeartbeatSchema,
  /** Why the process is about to exit though nobody asked it to. */
  'worker.lastWords': v.object({ type: v.literal('worker.lastWords'), fault: FaultSchema }),
  /** A line for the log. */
  'worker.notice': v.object({
    type: v.literal('worker.notice'),
    level: v.picklist(['debug', 'info', 'warn', 'error']),
    text,
  }),
};

type Outputs<T extends Record<string, v.GenericSchema>> = v.InferOutput<T[keyof T]>;
/** What every supervised process is told, and tells. */
export type LeaveOrder = Outputs<typeof leaveOrders>;
export type LifecycleReport = Outputs<typeof lifecycleReports>;
