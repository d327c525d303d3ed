/** The dirty tree as `show` tells it; the fields of Gunicorn's control interface first. Pure. */
import type { DirtyGeneration, DirtyStatus } from '../../machines/events/dirty.ts';

type Worker = DirtyStatus['workers'][number];

/** Why nothing more is known. */
const DOWN = 'the dirty arbiter is not running, or still starts its first dirty worker';
const SILENT = 'the dirty arbiter does not answer';

const workerOf = (worker: Worker) => ({
  pid: worker.pid,
  age: worker.age,
  apps: worker.apps,
  booted: worker.booted,
  last_heartbeat: worker.lastHeartbeat,
  slot: worker.slot,
  generation: worker.generation,
  state: worker.state,
  calls: worker.calls,
  in_flight: worker.running,
  threads: worker.threads,
  loop_delay_p99_ms: Number(worker.loopDelayMs.toFixed(1)),
  rss_bytes: worker.rssBytes,
  uptime: worker.uptime,
  resources: worker.resources,
});

const callOf = (call: DirtyStatus['calls'][number]) => ({
  id: call.id,
  state: call.state,
  age_ms: call.ageMs,
  app: call.app,
  worker_pid: call.workerPid,
  caller_pid: call.callerPid,
});

/** `committed`: what is known of it without asking. */
export function shownDirty(
  pid: number | null,
  status: DirtyStatus | undefined,
  committed: DirtyGeneration | undefined,
): object {
  if (!status) return unknown(pid, committed);
  const running = (worker: Worker) =>
    status.calls.filter(({ workerPid }) => workerPid === worker.pid).map(callOf);
  return {
    enabled: true,
    pid,
    workers: status.workers.map((worker) => ({ ...workerOf(worker), running: running(worker) })),
    apps: status.apps.map(({ importPath, limit, workerPids, queued, running: runs, ...counts }) => ({
      import_path: importPath,
      worker_count: limit,
      current_workers: workerPids.length,
      worker_pids: workerPids,
      queued,
      running: runs,
      ...counts,
    })),
    target_workers: status.target,
    generation: status.generation,
    rollout: status.rollout,
    reason: status.reason,
    resources: status.resources,
    stash: {
      tables: status.stash.tables,
      entries: status.stash.entries,
      bytes: status.stash.bytes,
      bytes_max: status.stash.bytesMax,
    },
  };
}

/** While nobody can be asked: what there is to be. */
const unknown = (pid: number | null, committed: DirtyGeneration | undefined) => ({
  enabled: true,
  pid,
  workers: [],
  apps: (committed?.apps ?? []).map(({ importPath, workers }) => ({
    import_path: importPath,
    worker_count: workers,
    current_workers: 0,
    worker_pids: [],
  })),
  target_workers: committed?.workers ?? 0,
  generation: committed?.generation ?? 0,
  reason: pid === null ? DOWN : SILENT,
});

export function shownCalls(status: DirtyStatus | undefined): object {
  const calls = (status?.calls ?? []).map(callOf);
  return { calls, count: calls.length };
}

export const dirtyInAll = (pid: number | null, status: DirtyStatus | undefined): object => ({
  dirty_arbiter: pid === null ? null : { pid, type: 'dirty_arbiter', role: 'dirty master' },
  dirty_workers: (status?.workers ?? []).map(workerOf),
  dirty_worker_count: status?.workers.length ?? 0,
});
