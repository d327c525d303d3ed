/**
 * What an arbiter and a web worker say to each other over their link. Each event is declared once, by its
 * speaker, as a schema: the type is inferred from it and the reading end of the link validates with it.
 */
import * as v from 'valibot';
import type { Fault } from '../faults.ts';
import { count, FaultSchema, HooksSchema, leaveOrders, lifecycleReports, ms, text } from './lifecycle.ts';
import { metricsReports } from './metrics.ts';

export type { Heartbeat } from './lifecycle.ts';

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
  /** What the app finds in `process.argv` behind its own path. */
  args: v.optional(v.array(text)),
});
export type AppSpec = v.InferOutput<typeof AppSpecSchema>;

/** How the servers that Kirin makes for what an app exports speak; limits that are undefined are Node's own. */
export const EdgeSpecSchema = v.object({
  /** Undefined: in the clear. Paths of PEM files. */
  tls: v.optional(
    v.object({
      certfile: text,
      keyfile: text,
      caCerts: v.optional(text),
      clients: v.picklist(['none', 'optional', 'required']),
      ciphers: v.optional(text),
      minVersion: v.picklist(['TLSv1.2', 'TLSv1.3']),
      maxVersion: v.picklist(['TLSv1.2', 'TLSv1.3']),
    }),
  ),
  /** Requests at once on one connection; undefined: no HTTP/2. */
  http2Streams: v.optional(count),
  maxHeaderBytes: v.optional(count),
  headersTimeoutMs: v.optional(ms),
  requestTimeoutMs: v.optional(ms),
  /** The head by which proxies say who their clients are, and which proxies; undefined: none is read. */
  proxy: v.optional(v.object({ versions: v.picklist(['v1', 'v2', 'auto']), allow: v.array(text) })),
  /** What is done with the heads of requests before the app sees them; undefined: nothing. */
  heads: v.optional(
    v.object({
      /** Proxies: addresses, networks, `*`. */
      allow: v.array(text),
      /** Whether headers of proxies are taken from all others. */
      guards: v.boolean(),
      /** Headers by which proxies say that their client came by TLS, each with the value that says so. */
      schemes: v.record(text, text),
      /** Other headers that only proxies send. */
      forwarder: v.array(text),
      /** What becomes of a header with an underscore in its name; undefined: it passes. */
      underscores: v.optional(v.picklist(['drop', 'refuse'])),
      /** Where the app is mounted: `/shop`. */
      root: v.optional(text),
    }),
  ),
});
export type EdgeSpec = v.InferOutput<typeof EdgeSpecSchema>;

/** Everything a worker needs to know to serve. */
export const WorkerSpecSchema = v.object({
  age: count,
  slot: count,
  generation: count,
  app: AppSpecSchema,
  /** What the server is called in `ps`; default: as its app. */
  name: v.optional(text),
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
  /** Connections it may have before it accepts no more; undefined: no limit. */
  connectionsMax: v.optional(count),
  heartbeatMs: ms,
  /** What an uncaught error does; default: the process exits, as Node.js has it. */
  onUncaught: v.optional(v.picklist(['exit', 'drain'])),
  /** Where a thread is asked for the stack of one that hangs; undefined: there is none. */
  hangStackFd: v.optional(count),
  /** Where a debugger can attach; undefined: nowhere. */
  inspect: v.optional(v.object({ host: text, port: count })),
  edge: v.optional(EdgeSpecSchema),
  /** Where each request is written down, and how; undefined: nowhere. */
  accessLog: v.optional(
    v.object({
      file: v.optional(text),
      format: text,
      syslog: v.optional(v.object({ to: text, facility: text, name: text })),
    }),
  ),
  /** Whether requests are counted for metrics. */
  metrics: v.optional(v.boolean()),
  /** What the worker calls of the configuration; undefined: nothing. */
  hooks: v.optional(HooksSchema),
  /** Whether it tells what it loads; default: it does not. */
  tellsModules: v.optional(v.boolean()),
  /** How to reach the dirty workers, where there are any. */
  dirty: v.nullable(v.object({ socket: text, timeoutMs: ms })),
});
export type WorkerSpec = v.InferOutput<typeof WorkerSpecSchema>;

/** Orders that concern connections and no state; no machine hears of them. */
export const trafficOrders = {
  'worker.shed': v.object({ type: v.literal('worker.shed'), connections: count }),
  /** Accept nothing new; who is connected is served as before. */
  'worker.pause': v.object({ type: v.literal('worker.pause') }),
  /** Log files were renamed: go on in new ones. */
  'worker.reopen': v.object({ type: v.literal('worker.reopen') }),
  /** Accept again. */
  'worker.resume': v.object({ type: v.literal('worker.resume') }),
  /** As a pause, but the arbiter's own: there are enough others. It is not answered; heartbeats tell. */
  'worker.rest': v.object({ type: v.literal('worker.rest') }),
  /** Rest no more. */
  'worker.wake': v.object({ type: v.literal('worker.wake') }),
};

/** What became of them; no machine hears of that either. */
export const trafficReports = {
  'worker.paused': v.object({ type: v.literal('worker.paused') }),
  'worker.resumed': v.object({ type: v.literal('worker.resumed') }),
  /** It accepts as before. */
  'worker.pauseFailed': v.object({ type: v.literal('worker.pauseFailed'), fault: FaultSchema }),
};

/** What the app is made of, as it is loaded; told where a change of it is to be noticed, and to no machine. */
export const developmentReports = {
  'worker.modules': v.object({
    type: v.literal('worker.modules'),
    generation: count,
    /** With when each was changed last, in milliseconds; 0: it is missing. */
    files: v.array(v.object({ path: text, mtimeMs: ms })),
  }),
};

/** Orders, from the arbiter down to a worker. */
export const workerOrders = {
  'worker.boot': v.object({ type: v.literal('worker.boot'), spec: WorkerSpecSchema }),
  ...trafficOrders,
  ...leaveOrders,
};

/** Reports, from a worker up to the arbiter. */
export const workerReports = {
  ...lifecycleReports,
  ...trafficReports,
  ...metricsReports,
  ...developmentReports,
};

type Outputs<T extends Record<string, v.GenericSchema>> = v.InferOutput<T[keyof T]>;
export type TrafficOrder = Outputs<typeof trafficOrders>;
export type TrafficReport = Outputs<typeof trafficReports> | Outputs<typeof metricsReports>;
export type ModulesReport = Outputs<typeof developmentReports>;
export type WorkerOrder = Outputs<typeof workerOrders>;
export type WorkerReport = Outputs<typeof workerReports>;

/** What a worker's own actors tell its machine. */
export type WorkerInternal =
  /** The arbiter is gone, or has closed the link. */
  | { type: 'link.ended' }
  /** SIGTERM from outside. */
  | { type: 'signals.terminated' }
  /** An uncaught error, where one lets what is in flight be answered first. */
  | { type: 'app.crashed'; fault: Fault }
  /** `max-requests` were taken. */
  | { type: 'server.recycleDue'; requests: number };
