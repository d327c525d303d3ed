/**
 * Answers to `show`: plain data of what the machines and the tables of the arbiter know. Runs in the arbiter. The
 * fields of Gunicorn's control interface come first and in its order; scripts rely on them.
 */

import { performance } from 'node:perf_hooks';
import type { DirtyStatus } from '../../machines/events/dirty.ts';
import { stallFaultOf } from '../../machines/pool-context.ts';
import { shownSettings } from '../../settings/shown.ts';
import { residentBytes } from '../descriptors.ts';
import type { DirtyTree } from '../dirty/tree.ts';
import type { Generations } from '../generations.ts';
import type { HeartbeatTable, Pulse } from '../heartbeat.ts';
import type { ListenerTable } from '../listeners.ts';
import { isPidOne, zombiesOf } from '../pid-one.ts';
import type { Rotation } from '../rotation.ts';
import type { Call } from './call.ts';
import { type Command, CommandError, shown } from './grammar.ts';
import type { Journal } from './journal.ts';
import type { Ledger } from './ledger.ts';
import { pathOf, type Scene, type WorkerView } from './scene.ts';
import { dirtyInAll, shownCalls, shownDirty } from './show-dirty.ts';

/** The version of the control protocol. */
export const CONTROL_PROTOCOL = 1;
const EVENTS_SHOWN = 20;
/** The arbiter's memory is asked for at most so often. */
const RSS_MS = 100;

export interface ShowDeps {
  scene: Scene;
  ledger: Ledger;
  journal: Journal;
  heartbeats: HeartbeatTable;
  generations: Generations;
  listeners: ListenerTable;
  rotation: Rotation;
  /** Undefined: there are no dirty workers. */
  dirty: DirtyTree | undefined;
  /** Kirin's own. */
  version: string;
}

/** Seconds with two decimals. */
const seconds = (ms: number): number => Math.round(Math.max(0, ms) / 10) / 100;
const rounded = (value: number, digits: number): number => Number(value.toFixed(digits));
const sum = (values: number[]): number => values.reduce((total, value) => total + value, 0);

export class Show {
  readonly #deps: ShowDeps;
  #rss = { bytes: 0, atMs: Number.NEGATIVE_INFINITY };
  readonly #targets: Readonly<Record<string, (command: Command, call: Call) => object | Promise<object>>> = {
    'show all': () => this.#all(),
    'show workers': () => this.#workers(),
    'show dirty': () => this.#dirty(),
    'show calls': () => this.#calls(),
    'show config': (command, call) => this.#config(command, call),
    'show stats': () => this.#stats(),
    'show listeners': () => this.#listeners(),
    'show generations': () => this.#generations(),
    'show machine': (command) => this.#machine(command),
    'show events': (command, call) => this.#events(command, call),
    'show version': () => ({
      name: 'kirin',
      version: this.#deps.version,
      node: process.version,
      protocol: CONTROL_PROTOCOL,
    }),
  };

  constructor(deps: ShowDeps) {
    this.#deps = deps;
  }

  /** The reply to a command, or undefined where it is not one of these. Throws CommandError. */
  answer(command: Command, call: Call): object | Promise<object> | undefined {
    return this.#targets[command.spec.name]?.(command, call);
  }

  #all(): object | Promise<object> {
    const { dirty } = this.#deps;
    const all = (status?: DirtyStatus): object => {
      const workers = this.#deps.scene.workers().map((worker) => {
        const { pid, age, booted, aborted, last_heartbeat, ...more } = this.#workerOf(worker);
        return { pid, type: 'web', age, booted, last_heartbeat, aborted, ...more };
      });
      return {
        arbiter: { pid: process.pid, type: 'arbiter', role: 'master', ...this.#otherArbiter() },
        web_workers: workers,
        web_worker_count: workers.length,
        ...dirtyInAll(dirty?.pid ?? null, status),
      };
    };
    return dirty ? dirty.describe().then(all) : all();
  }

  /** During an upgrade there is another arbiter. */
  #otherArbiter(): object {
    const { successor, predecessor } = this.#deps.scene.context;
    return {
      ...(successor ? { successor_pid: successor.isServing ? successor.pid : null } : {}),
      ...(predecessor === null ? {} : { predecessor_pid: predecessor }),
    };
  }

  #dirty(): object | Promise<object> {
    const { dirty } = this.#deps;
    if (!dirty) return { enabled: false, pid: null, workers: [], apps: [] };
    return dirty.describe().then((status) => shownDirty(dirty.pid, status, dirty.committed));
  }

  #calls(): object | Promise<object> {
    return this.#deps.dirty?.describe().then(shownCalls) ?? shownCalls(undefined);
  }

  #workers(): object {
    const workers = this.#deps.scene.workers().map((worker) => this.#workerOf(worker));
    return { workers, count: workers.length };
  }

  #workerOf({ member, pid, state }: WorkerView) {
    const { ledger, heartbeats, rotation } = this.#deps;
    const { age, slot, generation } = member;
    const dates = ledger.datesOf(age);
    const pulse = heartbeats.pulse(age);
    const upMs = dates ? performance.now() - dates.spawnedMs : 0;
    return {
      pid,
      age,
      booted: dates?.readyMs !== undefined,
      aborted: state === 'aborting',
      last_heartbeat: seconds(pulse ? heartbeats.now() - pulse.lastMs : upMs),
      slot,
      generation,
      state,
      ...figuresOf(pulse),
      uptime: seconds(upMs),
      paused: rotation.isPaused(age),
      full: pulse?.figures?.full ?? false,
      resting: pulse?.figures?.resting ?? false,
    };
  }

  #config({ word }: Command, call: Call): object {
    const { scene, generations } = this.#deps;
    const committed = scene.pool()?.context.committed.number ?? 1;
    const settings = generations.settingsOf(committed);
    const shown = shownSettings(settings).filter((one) => one.public || !call.readonly);
    return Object.fromEntries(
      shown.map(({ name, value, origin }) => [name, word === 'origin' ? { value, origin } : value]),
    );
  }

  #stats(): object {
    const { scene, ledger, heartbeats } = this.#deps;
    const { context } = scene;
    const pool = scene.pool()?.context;
    const trial = pool?.trial?.generation.number;
    const current = (pool?.members ?? []).filter(
      ({ phase, generation }) => phase !== 'leaving' && generation !== trial,
    );
    const pulses = (pool?.members ?? []).flatMap(({ age }) => heartbeats.pulse(age) ?? []);
    return {
      uptime: seconds(performance.now() - ledger.startedMs),
      pid: process.pid,
      workers_current: current.length,
      workers_target: context.target,
      workers_spawned: ledger.spawned,
      workers_killed: ledger.killed,
      reloads: ledger.reloads,
      dirty_arbiter_pid: this.#deps.dirty?.pid ?? null,
      workers_ready: current.filter(({ phase }) => phase === 'ready').length,
      workers_max: context.workersMax,
      generation: pool?.committed.number ?? null,
      requests_per_second: rounded(sum(pulses.map((pulse) => pulse.requestsPerSecond)), 1),
      connections: sum(pulses.map(({ figures }) => figures?.connections ?? 0)),
      // Only process 1 has any.
      zombies: isPidOne() ? zombiesOf() : 0,
      in_flight: sum(pulses.map(({ figures }) => figures?.inFlight ?? 0)),
      rss_bytes: this.#rssBytes(),
    };
  }

  /** Asking the system takes longer than all the rest of the reply. */
  #rssBytes(): number {
    const nowMs = performance.now();
    if (nowMs - this.#rss.atMs > RSS_MS) this.#rss = { bytes: residentBytes(), atMs: nowMs };
    return this.#rss.bytes;
  }

  #listeners(): object {
    const listeners = this.#deps.listeners
      .list()
      .map(({ address, fd, type, generations }) => ({ address, fd, type, generations }));
    return { listeners, count: listeners.length };
  }

  #generations(): object {
    const { scene, generations } = this.#deps;
    const pool = scene.pool();
    if (!pool)
      return {
        generations: [],
        rollout: 'preparing',
        hiring: null,
        degraded: false,
        stalled: false,
        reason: null,
      };
    const { context, rollout, hiring } = pool;
    const statusOf = (number: number): string => {
      if (number === context.committed.number) return 'committed';
      return number === context.trial?.generation.number ? 'trial' : 'outdated';
    };
    const known = new Set([...context.generations, ...context.members.map(({ generation }) => generation)]);
    return {
      generations: [...known]
        .sort((a, b) => a - b)
        .map((number) => {
          const members = context.members.filter(({ generation }) => generation === number);
          return {
            generation: number,
            status: statusOf(number),
            workers: members.length,
            ready: members.filter(({ phase }) => phase === 'ready').length,
            leaving: members.filter(({ phase }) => phase === 'leaving').length,
            addresses: generations.addresses(number),
          };
        }),
      rollout,
      hiring,
      degraded: stallFaultOf(context) !== null,
      stalled: rollout === 'stalled',
      reason: stallFaultOf(context)?.message ?? null,
    };
  }

  #machine({ text }: Command): object {
    const machines = this.#deps.scene.machines();
    if (text === undefined)
      return { machines: machines.map(({ value: _, ...one }) => one), count: machines.length };
    const wanted = text.toLowerCase();
    const found = machines.find(({ id, pid }) => id.toLowerCase() === wanted || String(pid) === wanted);
    if (!found) throw new CommandError(`Unknown machine: ${shown(text)} (see "show machine")`);
    const { value, ...one } = found;
    return { ...one, state: pathOf(value), path: value };
  }

  /** Who may only look is not shown where the app's code lies. */
  #events({ count = EVENTS_SHOWN }: Command, call: Call): object {
    const { journal } = this.#deps;
    const events = journal
      .last(count)
      .map(({ stack, ...event }) => (call.readonly ? event : { ...event, stack }));
    return { events, count: events.length, dropped: journal.dropped };
  }
}

function figuresOf(pulse: Pulse | undefined) {
  const figures = pulse?.figures;
  return {
    requests: figures?.requests ?? 0,
    requests_per_second: rounded(pulse?.requestsPerSecond ?? 0, 1),
    connections: figures?.connections ?? 0,
    in_flight: figures?.inFlight ?? 0,
    // Not known before the first heartbeat.
    loop_delay_p99_ms: figures ? rounded(figures.loopDelayMs, 1) : null,
    utilization: figures ? rounded(figures.loopUtilization, 3) : null,
    rss_bytes: figures?.rssBytes ?? null,
  };
}
