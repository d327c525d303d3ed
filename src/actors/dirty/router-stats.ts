/** How the router stands, for those who show it. Runs in the dirty arbiter. */
import type { App, AppCounts, Call } from './router-calls.ts';
import type { Worker } from './router-workers.ts';

export interface AppStats extends AppCounts {
  importPath: string;
  number: number;
  queued: number;
  running: number;
}

export interface CallStats {
  /** What `cancel` takes. */
  id: number;
  app: string;
  /** abandoned: its caller has its answer, and its worker still runs it. */
  state: 'queued' | 'running' | 'abandoned';
  ageMs: number;
  callerPid: number;
  /** Undefined while it waits. */
  workerAge: number | undefined;
}

export interface WorkerStats {
  age: number;
  generation: number;
  ready: boolean;
  busy: number;
  threads: number;
  /** Calls that it was given since it started. */
  calls: number;
  running: CallStats[];
}

export interface RouterStats {
  apps: AppStats[];
  workers: WorkerStats[];
  /** Everything that has not ended, the oldest first. */
  calls: CallStats[];
}

export function statsOf(
  apps: Iterable<App>,
  workers: Iterable<Worker>,
  calls: Iterable<Call>,
  now: number,
): RouterStats {
  const shown = (call: Call): CallStats => ({
    id: call.number,
    app: call.app.importPath,
    state: call.state === 'waiting' ? 'queued' : call.state === 'abandoned' ? 'abandoned' : 'running',
    ageMs: Math.round(now - call.arrivedMs),
    callerPid: call.caller.pid,
    workerAge: call.worker?.age,
  });
  return {
    apps: Array.from(apps, ({ importPath, number, queued, running, counts }) => ({
      importPath,
      number,
      queued,
      running,
      ...counts,
    })),
    workers: Array.from(workers, (worker) => ({
      age: worker.age,
      generation: worker.generation,
      ready: worker.isReady,
      busy: worker.running.size,
      threads: worker.threads,
      calls: worker.calls,
      running: Array.from(worker.running.values(), shown),
    })),
    calls: Array.from(calls, shown),
  };
}
