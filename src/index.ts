/**
 * What an app may import from `kirin`. Everything here is harmless where the app runs without Kirin: `worker` is
 * then null, `draining` never aborts and no callback is called.
 */
import { appBridge, runDrainCallback, type WorkerInfo } from './actors/app-bridge.ts';

export type { WorkerInfo };

/**
 * Who this worker is, or null where the app runs without Kirin.
 *
 * @example
 * if (worker === null || worker.slot === 0) startTheOneCronJob();
 */
export const worker: WorkerInfo | null = appBridge.worker;

/**
 * Aborts when the worker begins to drain: it accepts no more connections, and answers what is in flight. Pass it
 * to what should not outlive that: long polls, streams, timers, `fetch`.
 *
 * @example
 * await setTimeout(20_000, undefined, { signal: draining });
 */
export const draining: AbortSignal = appBridge.drain.signal;

/**
 * Calls `callback` once, when the worker begins to drain; at once where it is draining already. The place to tell
 * WebSocket and event-stream clients to come back, since those connections are cut when `graceful-timeout` is over.
 * Nobody waits for what it returns; what it throws is logged.
 *
 * @returns a function that takes the callback back.
 * @example
 * onDrain(() => { for (const socket of sockets) socket.close(1012, 'restarting'); });
 */
export function onDrain(callback: () => unknown): () => void {
  if (draining.aborted) {
    queueMicrotask(() => runDrainCallback(callback));
    return () => {};
  }
  appBridge.drainCallbacks.add(callback);
  return () => void appBridge.drainCallbacks.delete(callback);
}

/**
 * Calls `callback` once, after the last answer was sent and before the worker exits: the place to end database
 * pools and flush queues. The callback registered last runs first, each waits for the one before it, and all
 * together may take what is left of `graceful-timeout`. What one throws is logged, and the next one runs.
 *
 * @returns a function that takes the callback back.
 * @example
 * onClose(() => pool.end());
 */
export function onClose(callback: () => unknown): () => void {
  appBridge.closeCallbacks.add(callback);
  return () => void appBridge.closeCallbacks.delete(callback);
}

export { dirty, stash } from './actors/dirty/access.ts';
export { DirtyApp, type DirtyCall } from './actors/dirty/app.ts';
export {
  DirtyActionError,
  DirtyAppError,
  DirtyAppNotFoundError,
  DirtyCancelledError,
  type DirtyCode,
  DirtyConnectionError,
  DirtyError,
  DirtyOverloadedError,
  DirtyPayloadError,
  DirtyTimeoutError,
  DirtyUnavailableError,
  DirtyWorkerDiedError,
} from './actors/dirty/errors.ts';
export {
  type StashClient,
  StashError,
  StashFullError,
  type StashWrite,
  type TableInfo,
} from './actors/dirty/stash-client.ts';
export type { AppHandle, CallOptions, Dirty } from './actors/dirty/types.ts';
export { type InspectedEvent, inspect } from './actors/inspect/inspect.ts';
export {
  type AppMetrics,
  type Counter,
  type Gauge,
  type Histogram,
  metrics,
} from './actors/metrics/app-metrics.ts';
export { type Config, type ConfigExport, defineConfig } from './settings/define-config.ts';
export type { DirtyHookWorker, Hooks, HookWorker } from './settings/hook-types.ts';
export type { TypedOptions } from './settings/typed-options.ts';
