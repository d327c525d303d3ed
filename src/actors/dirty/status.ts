/** How a dirty tree stands, for those who show it: plain data of its machines, its router and its stash. Runs in the dirty arbiter. */
import { performance } from 'node:perf_hooks';
import type { ChildContext } from '../../machines/child.ts';
import type { DirtyArbiterActor } from '../../machines/dirty-arbiter.ts';
import type { DirtyAppSpec, DirtyGeneration, DirtyStatus } from '../../machines/events/dirty.ts';
import type { PoolContext } from '../../machines/pool-context.ts';
import { childId, stallFaultOf } from '../../machines/pool-context.ts';
import { stageOf } from '../control/scene.ts';
import type { HeartbeatTable } from '../heartbeat.ts';
import type { Editions } from './editions.ts';
import type { Known } from './house.ts';
import type { Router } from './router.ts';
import type { RouterStats } from './router-stats.ts';
import type { StashStore } from './stash-store.ts';

export interface TreeParts {
  heartbeats: HeartbeatTable;
  known: ReadonlyMap<number, Known>;
  editions: Editions;
  router: Router;
  stash: StashStore;
}

interface PoolSnapshot {
  value: unknown;
  context: PoolContext;
  children: Record<string, { getSnapshot(): { value: unknown; context: ChildContext } } | undefined>;
}

/** Calls that are listed; all are counted. */
const CALLS_MAX = 1000;

/** Names of apps, and pids, in all: the answer must fit a frame. */
const NAMES_MAX = 10_000;
const namesEach = (places: number): number => Math.max(1, Math.floor(NAMES_MAX / places));

const seconds = (ms: number): number => Math.round(Math.max(0, ms) / 10) / 100;

export function describeTree(actor: DirtyArbiterActor, parts: TreeParts): DirtyStatus {
  const { editions, router, stash } = parts;
  const { context } = actor.getSnapshot();
  const pool = actor.getSnapshot().children.pool?.getSnapshot() as PoolSnapshot | undefined;
  const stats = router.stats();
  const pids = new Map([...parts.known].map(([age, { pid }]) => [age, pid]));
  const committed = editions.get(pool?.context.committed.number ?? 1);
  const apps = stats.apps.filter((app) => isThere(app, committed, editions));
  return {
    workers: pool ? workersOf(pool, stats, parts) : [],
    apps: apps.map(({ importPath, number, queued, running, ...counts }) => ({
      importPath,
      limit: committed?.apps.find((app) => app.number === number)?.workers ?? null,
      workerPids: [...editions.staff.values()]
        .filter(({ apps }) => apps.some((app) => app.number === number))
        .flatMap(({ age }) => pids.get(age) ?? [])
        .slice(0, namesEach(apps.length)),
      queued,
      running,
      ...counts,
    })),
    calls: stats.calls.slice(0, CALLS_MAX).map(({ id, app, state, ageMs, callerPid, workerAge }) => ({
      id,
      app,
      state,
      ageMs,
      callerPid,
      workerPid: workerAge === undefined ? null : (pids.get(workerAge) ?? null),
    })),
    target: context.target,
    generation: context.committed?.generation ?? 0,
    resources: resourcesOf(editions, committed?.resources ?? {}),
    stash: stash.stash.totals(),
    rollout: rolloutOf(pool?.value),
    reason: (pool && stallFaultOf(pool.context)?.message) ?? null,
  };
}

/** The router knows every app that ever was by its number: one that a failed reload brought, or that was dropped, is nobody's. */
function isThere(
  { number, queued, running }: RouterStats['apps'][number],
  committed: DirtyGeneration | undefined,
  { staff }: Editions,
): boolean {
  const has = (apps: readonly DirtyAppSpec[]): boolean => apps.some((app) => app.number === number);
  if (queued > 0 || running > 0 || (committed && has(committed.apps))) return true;
  return [...staff.values()].some(({ apps }) => has(apps));
}

function workersOf(
  pool: PoolSnapshot,
  stats: RouterStats,
  { heartbeats, known, editions }: TreeParts,
): DirtyStatus['workers'] {
  const served = new Map(stats.workers.map((worker) => [worker.age, worker]));
  const nowMs = performance.now();
  const each = namesEach(pool.context.members.length);
  return pool.context.members
    .toSorted((a, b) => a.age - b.age)
    .map(({ age, slot, generation: edition }) => {
      const child = pool.children[childId(age)]?.getSnapshot();
      const { pid, spawnedMs, ready } = known.get(age) ?? { pid: 0, spawnedMs: nowMs, ready: false };
      const pulse = heartbeats.pulse(age);
      const staffed = editions.staff.get(age);
      const worker = served.get(age);
      return {
        pid,
        age,
        slot,
        generation: editions.get(edition)?.generation ?? 0,
        state: stageOf(child?.value),
        booted: ready,
        lastHeartbeat: seconds(pulse ? heartbeats.now() - pulse.lastMs : nowMs - spawnedMs),
        uptime: seconds(nowMs - spawnedMs),
        rssBytes: pulse?.figures?.rssBytes ?? 0,
        loopDelayMs: pulse?.figures?.loopDelayMs ?? 0,
        apps: (staffed?.apps ?? []).slice(0, each).map(({ importPath }) => importPath),
        resources: Object.fromEntries(
          Object.entries(staffed?.tokens ?? {}).map(([name, tokens]) => [name, [...tokens]]),
        ),
        running: worker?.busy ?? 0,
        threads: worker?.threads ?? 0,
        calls: worker?.calls ?? 0,
      };
    });
}

function resourcesOf(editions: Editions, totals: Readonly<Record<string, number>>): DirtyStatus['resources'] {
  const held = (name: string): number =>
    new Set([...editions.staff.values()].flatMap(({ tokens }) => tokens[name] ?? [])).size;
  return Object.fromEntries(
    Object.entries(totals).map(([name, total]) => [name, { total, held: held(name) }]),
  );
}

/** `opening`, `settled`, `trying`, `rolling`, `stalled` or `stopping`. */
function rolloutOf(value: unknown): string {
  const alive = (value as { alive?: unknown } | undefined)?.alive;
  if (typeof alive === 'string') return alive;
  const rollout = (alive as { running?: { rollout?: unknown } } | undefined)?.running?.rollout;
  return typeof rollout === 'object' && rollout !== null
    ? Object.keys(rollout)[0]!
    : String(rollout ?? 'opening');
}
