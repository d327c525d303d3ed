/**
 * What an arbiter and a web worker say to each other over their link. Each event is declared once, by its
 * speaker, as a schema: the type is inferred from it and the reading end of the link validates with it.
 */
import * as v from 'valibot';
import { FAULT_CODES } from '../faults.ts';

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const ms = v.pipe(v.number(), v.minValue(0));
const text = v.pipe(v.string(), v.maxLength(64 * 1024));

export const FaultSchema = v.object({
  code: v.picklist(FAULT_CODES),
  message: text,
  stack: v.optional(text),
});

/** A listening socket as the worker finds it: two copies of one descriptor. */
export const WorkerListenerSchema = v.object({
  /** The address as shown to people: `127.0.0.1:8000`, `unix:/run/app.sock`. */
  address: text,
  type: v.picklist(['tcp', 'tcp6', 'unix']),
  /** The descriptor to accept on. */
  fd: count,
  /** A copy to call listen(2) on before the app is loaded, and to close at once. */
  spareFd: count,
});
export type WorkerListener = v.InferOutput<typeof WorkerListenerSchema>;

/** What to load: the module's absolute path (resolved by the arbiter, once a generation) and the export's name. */
export const AppSpecSchema = v.object({
  /** As the user typed it, for messages. */
  spec: text,
  path: text,
  exportName: v.optional(text),
});
export type AppSpec = v.InferOutput<typeof AppSpecSchema>;

/** Everything a worker needs to know to serve. */
export const WorkerSpecSchema = v.object({
  age: count,
  slot: count,
  generation: count,
  app: AppSpecSchema,
  listeners: v.array(WorkerListenerSchema),
  /** Length of the kernel's queue of each listening socket. */
  backlog: count,
  /** How long an idle keep-alive connection is kept while serving; undefined: the app's own or 75 s. */
  keepAliveMs: v.optional(ms),
  /** How long idle keep-alive connections are kept while draining, so that a request under way still arrives. */
  idleGraceMs: ms,
  /** The whole time a drain may take when nobody orders it (TERM from outside, the arbiter's death). */
  graceMs: ms,
  /** Requests after which the worker asks to be recycled, jitter included; 0: never. */
  maxRequests: count,
  heartbeatMs: ms,
});
export type WorkerSpec = v.InferOutput<typeof WorkerSpecSchema>;

/** Orders, from the arbiter down to a worker. */
export const workerOrders = {
  'worker.boot': v.object({ type: v.literal('worker.boot'), spec: WorkerSpecSchema }),
  /** Stop accepting, answer what is in flight within `graceMs`, close the app, exit. */
  'worker.drain': v.object({ type: v.literal('worker.drain'), orderId: count, graceMs: ms }),
  /** Cut every connection, close the app within `graceMs`, exit. */
  'worker.quit': v.object({ type: v.literal('worker.quit'), orderId: count, graceMs: ms }),
};

export const HeartbeatSchema = v.object({
  type: v.literal('worker.heartbeat'),
  /** Requests answered since the worker was ready. */
  requests: count,
  /** Open connections, and those of them with a request being answered. */
  connections: count,
  inFlight: count,
  /** The event loop's delay since the last heartbeat, 99th percentile. */
  loopDelayMs: ms,
  /** The share of time the event loop was busy since the last heartbeat, 0 to 1. */
  loopUtilization: v.number(),
  rssBytes: count,
});
export type Heartbeat = v.InferOutput<typeof HeartbeatSchema>;

/** Reports, from a worker up to the arbiter. */
export const workerReports = {
  /** The first frame: who speaks. A mismatch is a boot failure. */
  'worker.hello': v.object({
    type: v.literal('worker.hello'),
    protocol: count,
    kind: v.literal('web'),
    age: count,
    generation: count,
  }),
  'worker.ready': v.object({ type: v.literal('worker.ready') }),
  'worker.bootFailed': v.object({ type: v.literal('worker.bootFailed'), fault: FaultSchema }),
  /** `max-requests` were answered; the worker goes on until it is drained. */
  'worker.recycleDue': v.object({ type: v.literal('worker.recycleDue'), requests: count }),
  /** The worker has stopped accepting; the answer to an order, or of its own accord (`orderId` 0). */
  'worker.draining': v.object({
    type: v.literal('worker.draining'),
    orderId: count,
    cause: v.picklist(['ordered', 'terminated']),
  }),
  /** The last connection is gone, or was cut when the grace ended. */
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
export type WorkerOrder = Outputs<typeof workerOrders>;
export type WorkerReport = Outputs<typeof workerReports>;

/** What a worker's own actors tell its machine. */
export type WorkerInternal =
  /** The arbiter is gone, or has closed the link. */
  | { type: 'link.ended' }
  /** SIGTERM from outside. */
  | { type: 'signals.terminated' }
  /** `max-requests` were taken. */
  | { type: 'server.recycleDue'; requests: number };
