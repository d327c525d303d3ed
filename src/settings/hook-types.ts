/** What hooks are given, for whoever writes a configuration: types alone. */
import type { IncomingMessage, ServerResponse } from 'node:http';

/** A worker, to hooks that run in it and to those that are told of it. */
export interface HookWorker {
  pid: number;
  /** Never used twice in the life of a server. */
  age: number;
  slot: number;
  generation: number;
}

type Hook<Subject> = (about: Subject) => unknown;

/** The hooks of a configuration file; each may be async. When each is called is told in docs/hooks.md. */
export interface Hooks {
  onStarting?: Hook<{ pid: number }>;
  nworkersChanged?: Hook<{ workers: number; before: number | null }>;
  preSpawn?: Hook<Omit<HookWorker, 'pid'>>;
  postSpawn?: Hook<HookWorker>;
  workerInit?: Hook<HookWorker>;
  workerReady?: Hook<HookWorker>;
  whenReady?: Hook<{ pid: number; workers: number; addresses: string[] }>;
  onReload?: Hook<{ pid: number; generation: number }>;
  preUpgrade?: Hook<{ pid: number }>;
  /** `stack` is where it hangs, with `--hang-stack`. */
  workerAbort?: Hook<HookWorker & { silentMs: number; stack: string | null }>;
  workerExit?: Hook<HookWorker>;
  /** `reason` is null where the worker was told to leave. */
  childExit?: Hook<
    HookWorker & { code: number | null; signal: NodeJS.Signals | null; reason: string | null }
  >;
  onExit?: Hook<{ pid: number; exitCode: number }>;
  /** What it throws answers the request with 500; a promise that it returns holds the request. */
  preRequest?: Hook<{ request: IncomingMessage }>;
  postRequest?: Hook<{ request: IncomingMessage; response: ServerResponse; durationMs: number }>;
  onDirtyStarting?: Hook<{ pid: number; age: number }>;
  dirtyPostFork?: Hook<DirtyHookWorker>;
  dirtyWorkerInit?: Hook<DirtyHookWorker>;
  dirtyWorkerExit?: Hook<
    Pick<HookWorker, 'pid' | 'age' | 'slot'> & {
      code: number | null;
      signal: NodeJS.Signals | null;
      reason: string | null;
    }
  >;
}

/** A dirty worker, to hooks that run in it. */
export interface DirtyHookWorker extends HookWorker {
  apps: string[];
  /** The tokens that it holds, by resource. */
  resources: Readonly<Record<string, readonly number[]>>;
}
