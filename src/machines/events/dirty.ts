/**
 * What an arbiter and its dirty arbiter, and a dirty arbiter and its dirty workers, say to each other over their links:
 * beside what every supervised process says, orders and reports of the dirty pool.
 */
import * as v from 'valibot';
import { count, FaultSchema, HooksSchema, leaveOrders, lifecycleReports, ms, text } from './lifecycle.ts';
import { callReports } from './metrics.ts';

/** A dirty app of one generation, as it was found before any of its code runs in a dirty worker. */
export const DirtyAppSpecSchema = v.object({
  /** As the user wrote it, without the number: what callers name it by. */
  importPath: text,
  /** The number it has on the wire. */
  number: count,
  /** The module's absolute path and the class's name. */
  path: text,
  className: text,
  /** So many dirty workers load it; null: all do. */
  workers: v.nullable(count),
  /** Tokens that a worker which loads it must hold. */
  resources: v.record(v.string(), count),
});
export type DirtyAppSpec = v.InferOutput<typeof DirtyAppSpecSchema>;

/** What a generation of dirty workers is: code, place, environment and limits. */
export const DirtyGenerationSchema = v.object({
  /** The arbiter's number; callers of the same number are served by it first. */
  generation: count,
  apps: v.array(DirtyAppSpecSchema),
  cwd: text,
  env: v.record(v.string(), v.string()),
  /** Options of Node.js for its workers; and what the server is called in `ps`. */
  nodeArgs: v.optional(v.array(text)),
  name: v.optional(text),
  workers: count,
  /** Calls at once in one worker. */
  threads: count,
  /** Tokens of each resource. */
  resources: v.record(v.string(), count),
  /** Calls of one app that may wait. */
  queueMax: count,
  /** How long a call may take that an action makes and that says nothing else; 0: no limit. */
  callTimeoutMs: ms,
  bootMs: ms,
  /** Longest silence of a ready worker's event loop; 0: none. An action that computes for long is no hang. */
  timeoutMs: ms,
  graceMs: ms,
  settleMs: ms,
  hooks: v.nullable(HooksSchema),
  surge: v.union([v.object({ count }), v.object({ percent: v.number() })]),
});
export type DirtyGeneration = v.InferOutput<typeof DirtyGenerationSchema>;

/** Everything a dirty arbiter needs to know. */
export const DirtyArbiterSpecSchema = v.object({
  age: count,
  /** The Unix socket of the router, the same after each restart. */
  socket: text,
  /** The file that keeps the stash, and how much it may hold. */
  stashFile: text,
  stashBytesMax: count,
  heartbeatMs: ms,
  /** Whether it tells what it has counted of calls. */
  metrics: v.optional(v.boolean()),
  generation: DirtyGenerationSchema,
});
export type DirtyArbiterSpec = v.InferOutput<typeof DirtyArbiterSpecSchema>;

/** Everything a dirty worker needs to know. */
export const DirtyWorkerSpecSchema = v.object({
  age: count,
  slot: count,
  /** The edition that the dirty arbiter started it from, and the arbiter's generation that this is. */
  generation: count,
  arbiterGeneration: count,
  socket: text,
  /** The socket that it makes itself, for large payloads. */
  door: text,
  /** Shows the router that it is the worker that was started. */
  secret: text,
  apps: v.array(DirtyAppSpecSchema),
  callTimeoutMs: ms,
  graceMs: ms,
  heartbeatMs: ms,
  /** The tokens that it holds, by resource. */
  tokens: v.record(v.string(), v.pipe(v.array(count), v.readonly())),
  hooks: v.nullable(HooksSchema),
  name: v.optional(text),
});
export type DirtyWorkerSpec = v.InferOutput<typeof DirtyWorkerSpecSchema>;

const orderId = count;
const leave = v.picklist(['drain', 'quit', 'kill']);

/** Orders, from the arbiter down to its dirty arbiter. */
export const dirtyArbiterOrders = {
  'worker.boot': v.object({ type: v.literal('worker.boot'), spec: DirtyArbiterSpecSchema }),
  ...leaveOrders,
  /** Change the number of dirty workers, as far as the bounds allow. */
  'dirty.scale': v.object({ type: v.literal('dirty.scale'), orderId, by: v.number() }),
  /** Try a new generation; its candidates stand until the order to commit. */
  'dirty.replace': v.object({ type: v.literal('dirty.replace'), orderId, generation: DirtyGenerationSchema }),
  'dirty.commit': v.object({ type: v.literal('dirty.commit'), orderId }),
  'dirty.abandon': v.object({ type: v.literal('dirty.abandon'), orderId, fault: FaultSchema }),
  /** Let the dirty worker of one age go; it is replaced. */
  'dirty.retire': v.object({ type: v.literal('dirty.retire'), orderId, age: count, leave }),
  /** End one call; its caller is told. */
  'dirty.cancel': v.object({ type: v.literal('dirty.cancel'), orderId, call: count }),
  /** Tell how things stand. */
  'dirty.describe': v.object({ type: v.literal('dirty.describe'), orderId }),
};

const seconds = v.number();
/** How a dirty arbiter stands, for those who show it. */
export const DirtyStatusSchema = v.object({
  workers: v.array(
    v.object({
      pid: count,
      age: count,
      slot: count,
      generation: count,
      state: text,
      booted: v.boolean(),
      lastHeartbeat: seconds,
      uptime: seconds,
      rssBytes: count,
      loopDelayMs: ms,
      apps: v.array(text),
      resources: v.record(v.string(), v.array(count)),
      running: count,
      threads: count,
      calls: count,
    }),
  ),
  apps: v.array(
    v.object({
      importPath: text,
      limit: v.nullable(count),
      workerPids: v.array(count),
      queued: count,
      running: count,
      calls: count,
      errors: count,
      timeouts: count,
      cancelled: count,
      overloaded: count,
    }),
  ),
  calls: v.array(
    v.object({
      id: count,
      app: text,
      state: v.picklist(['queued', 'running', 'abandoned']),
      ageMs: ms,
      workerPid: v.nullable(count),
      callerPid: count,
    }),
  ),
  target: count,
  generation: count,
  resources: v.record(v.string(), v.object({ total: count, held: count })),
  stash: v.object({ tables: count, entries: count, bytes: count, bytesMax: count }),
  rollout: text,
  reason: v.nullable(text),
});
export type DirtyStatus = v.InferOutput<typeof DirtyStatusSchema>;

/** Reports, from a dirty arbiter up to the arbiter. */
export const dirtyArbiterReports = {
  ...lifecycleReports,
  /** An order to scale was accepted, or leaves nothing to do. */
  'dirty.taken': v.object({
    type: v.literal('dirty.taken'),
    orderId,
    previous: count,
    total: count,
    workers: count,
    reason: v.optional(text),
  }),
  'dirty.standing': v.object({ type: v.literal('dirty.standing'), orderId }),
  /** A reload passed its commit point: a dirty arbiter that is started from now on starts with its generation. */
  'dirty.committed': v.object({ type: v.literal('dirty.committed'), orderId }),
  'dirty.done': v.object({ type: v.literal('dirty.done'), orderId, replaced: count }),
  'dirty.refused': v.object({ type: v.literal('dirty.refused'), orderId, fault: FaultSchema }),
  'dirty.failed': v.object({
    type: v.literal('dirty.failed'),
    orderId,
    fault: FaultSchema,
    replaced: count,
    remaining: count,
  }),
  'dirty.superseded': v.object({ type: v.literal('dirty.superseded'), orderId, by: count }),
  'dirty.described': v.object({ type: v.literal('dirty.described'), orderId, status: DirtyStatusSchema }),
  ...callReports,
};

/** Orders, from a dirty arbiter down to a dirty worker. */
export const dirtyWorkerOrders = {
  'worker.boot': v.object({ type: v.literal('worker.boot'), spec: DirtyWorkerSpecSchema }),
  ...leaveOrders,
};
export const dirtyWorkerReports = lifecycleReports;

type Outputs<T extends Record<string, v.GenericSchema>> = v.InferOutput<T[keyof T]>;
export type DirtyArbiterOrder = Outputs<typeof dirtyArbiterOrders>;
export type DirtyArbiterReport = Outputs<typeof dirtyArbiterReports>;
export type DirtyWorkerOrder = Outputs<typeof dirtyWorkerOrders>;

/** Orders about the dirty pool; those to live and leave are the child machine's. */
export type DirtyOrder = Extract<DirtyArbiterOrder, { type: `dirty.${string}` }>;
/** Reports of the dirty pool. */
export type DirtyReport = Exclude<
  Extract<DirtyArbiterReport, { type: `dirty.${string}` }>,
  { type: 'dirty.described' | 'dirty.measured' }
>;
