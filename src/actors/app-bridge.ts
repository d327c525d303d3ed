/**
 * The state that an app and its worker share. Runs in web workers, on both sides: in the worker's own bundle, and
 * in the copy of `kirin` that the app imports, which may lie in another folder or be of another version. So the
 * state hangs on the process, under a registered symbol, and whoever comes first makes it.
 *
 * This file is part of every app's start: it imports nothing.
 */

/** Who this worker is. */
export interface WorkerInfo {
  /** A number that no other worker of this server ever had or will have. */
  readonly age: number;
  /** The place it fills, 0 to workers - 1; its replacement gets the same. */
  readonly slot: number;
  /** Counts the reloads: 1 after the start. */
  readonly generation: number;
}

/** How this process reaches the dirty workers. */
export interface DirtyAccess {
  /** What it is to the router. */
  readonly role: 'web' | 'dirty';
  /** The path of the router's socket. */
  readonly socket: string;
  /** How long a call may take that says nothing else, in milliseconds; 0: no limit. */
  readonly timeoutMs: number;
  readonly generation: number;
  readonly age: number;
}

interface AppState {
  worker: WorkerInfo | null;
  /** Null where there are no dirty workers. */
  dirty: DirtyAccess | null;
  readonly drain: AbortController;
  readonly drainCallbacks: Set<() => unknown>;
  readonly closeCallbacks: Set<() => unknown>;
  /** Takes the app's own systems of actors, to be shown while somebody watches; not there without Kirin. */
  inspected?: { seen(root: object): void };
  /** The app's own metrics as JSON; not there where it has none. */
  metrics?: () => Promise<string | undefined>;
  /** Hears what callbacks of the drain throw; there once it has begun. */
  drainFailed?: (error: unknown) => void;
}

const KEY = Symbol.for('kirin.app');

function appState(): AppState {
  const shared = globalThis as { [KEY]?: AppState };
  shared[KEY] ??= {
    worker: null,
    dirty: null,
    drain: new AbortController(),
    drainCallbacks: new Set(),
    closeCallbacks: new Set(),
  };
  return shared[KEY];
}

export const appBridge = appState();

/** Said once by the worker, before it loads the app. */
export function announceWorker(info: WorkerInfo): void {
  appBridge.worker = Object.freeze({ age: info.age, slot: info.slot, generation: info.generation });
}

/** Said once by the worker, before it loads the app. */
export function announceDirty(access: DirtyAccess | null): void {
  appBridge.dirty = access && Object.freeze({ ...access });
}

/** Said once by the worker, before it loads the app. */
export function announceInspection(inspected: { seen(root: object): void }): void {
  appBridge.inspected = inspected;
}

/** Tell the app that the worker has begun to drain. A callback's error goes to `failed` and hurts no other. */
export function announceDrain(failed: (error: unknown) => void): void {
  if (appBridge.drain.signal.aborted) return;
  appBridge.drainFailed = failed;
  appBridge.drain.abort(new Error('the worker is draining'));
  for (const callback of appBridge.drainCallbacks) runDrainCallback(callback);
  appBridge.drainCallbacks.clear();
}

/** Runs one callback of a drain that has begun, be it registered before or only now. */
export function runDrainCallback(callback: () => unknown): void {
  const failed = appBridge.drainFailed ?? console.error;
  try {
    const result = callback();
    if (result instanceof Promise) result.catch(failed);
  } catch (error) {
    failed(error);
  }
}

/** The callbacks to run when the last answer is sent, the last one registered first; each is handed out once. */
export function* takeCloseCallbacks(): Generator<() => unknown> {
  while (appBridge.closeCallbacks.size > 0) {
    const last = [...appBridge.closeCallbacks].at(-1)!;
    appBridge.closeCallbacks.delete(last);
    yield last;
  }
}
