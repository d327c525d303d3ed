/**
 * The dirty workers of a generation: their apps found and looked at, and what they are bound by. Runs in the arbiter, before
 * anything of the generation is started.
 */
import { largestLimit } from '../../machines/allocation.ts';
import { boundsOf } from '../../machines/dirty-bounds.ts';
import type { DirtyAppSpec, DirtyGeneration } from '../../machines/events/dirty.ts';
import type { ChildLimits, Generation } from '../../machines/events/generation.ts';
import type { Settings } from '../../settings.ts';
import { FaultError } from '../fault-error.ts';
import { resolvedHooks } from '../hooks/hook-file.ts';
import type { Identity } from '../identity.ts';
import { findDirtyApps } from './apps.ts';
import { inspectDirtyApps } from './inspect-apps.ts';

/**
 * Limits of the dirty arbiter itself, in milliseconds; beyond those of its workers. Told to quit, it waits for workers (2 s), then
 * for hooks that are told of them (3 s).
 */
const ARBITER_LIMITS = {
  timeoutMs: 30_000,
  quitMs: 6000,
  abortMs: 1000,
  stableMs: 10_000,
  killAgainMs: 5000,
};
const ARBITER_RESERVE_MS = 5000;

export interface Preparation {
  cwd: string;
  env: Record<string, string>;
  /** Options of Node.js. */
  nodeArgs?: readonly string[];
  /** What the server is called; default: as its app. */
  name?: string | undefined;
  identity: Identity | undefined;
  signal: AbortSignal;
  notice(text: string): void;
}

/** Throws FaultError `settings.invalid`, `app.*`, or `order.superseded`. */
export async function prepareDirty(
  number: number,
  settings: Settings,
  { cwd, env, nodeArgs = [], name = settings.app, identity, signal, notice }: Preparation,
): Promise<NonNullable<Generation['dirty']> | undefined> {
  if (settings.dirtyWorkers === 0) return undefined;
  const found = findDirtyApps(settings.dirtyApps, cwd);
  const limitMs = settings.bootTimeoutMs;
  const apps = await inspectDirtyApps(found, { cwd, env, nodeArgs, identity, signal, limitMs });
  const generation: DirtyGeneration = {
    generation: number,
    apps,
    cwd,
    env,
    nodeArgs: [...nodeArgs],
    name,
    workers: settings.dirtyWorkers,
    threads: settings.dirtyThreads,
    resources: settings.dirtyResources,
    queueMax: settings.dirtyQueue,
    callTimeoutMs: settings.dirtyTimeoutMs,
    bootMs: settings.bootTimeoutMs,
    // An action that computes for long is no hang: its call has a deadline.
    timeoutMs: 0,
    graceMs: settings.dirtyGracefulTimeoutMs,
    settleMs: settings.reloadSettleMs,
    hooks: hooksOf(settings),
    surge: settings.maxSurge,
  };
  return {
    generation: { ...generation, workers: workersOf(generation, notice) },
    limits: limitsOf(settings),
  };
}

function hooksOf({ hooks, hookTimeoutMs }: Settings): DirtyGeneration['hooks'] {
  if (!hooks) return null;
  const { file, names } = resolvedHooks(hooks);
  return { file, names: [...names], limitMs: hookTimeoutMs };
}

/** As many as were asked for, within what the apps allow. */
function workersOf(generation: DirtyGeneration, notice: (text: string) => void): number {
  const { apps, workers, resources } = generation;
  refuseMissingResources(apps, resources);
  const largest = largestLimit(apps.map((app) => ({ number: app.number, limit: app.workers })));
  const greedy = apps.find((app) => app.workers === largest);
  if (workers < largest)
    throw new FaultError(
      'settings.invalid',
      `--dirty-workers ${workers} are fewer than the ${largest} that ${greedy?.importPath} is to have`,
    );
  const { most, whyMost } = boundsOf(generation);
  if (workers <= most) return workers;
  notice(`${most} of ${workers} dirty workers are started: ${whyMost}`);
  return most;
}

function refuseMissingResources(
  apps: readonly DirtyAppSpec[],
  totals: Readonly<Record<string, number>>,
): void {
  for (const { importPath, resources } of apps)
    for (const [name, amount] of Object.entries(resources))
      if (amount > (totals[name] ?? 0))
        throw new FaultError(
          'settings.invalid',
          `${importPath} needs ${amount} ${name}, and there are ${totals[name] ?? 0}: write --dirty-resource ${name}=${amount}`,
        );
}

function limitsOf(settings: Settings): ChildLimits {
  return {
    ...ARBITER_LIMITS,
    bootMs: bootLimitOf(settings),
    graceMs: settings.dirtyGracefulTimeoutMs + ARBITER_RESERVE_MS,
  };
}

/** A hook before the first worker, then that worker; these limits stay, and a reload may bring a hook. 0: no limit. */
function bootLimitOf({ bootTimeoutMs, hooks, hookTimeoutMs }: Settings): number {
  const isEndless = hookTimeoutMs === 0 && hooks?.names.includes('on_dirty_starting');
  return bootTimeoutMs === 0 || isEndless ? 0 : bootTimeoutMs + hookTimeoutMs + ARBITER_RESERVE_MS;
}
