/**
 * What a dirty arbiter has beside its machines: the router, the stash, the editions, and what it takes to say how things
 * stand. Runs in the dirty arbiter.
 */
import { performance } from 'node:perf_hooks';
import type { InspectionEvent } from 'xstate';
import type { ChildContext, ProcessInput } from '../../machines/child.ts';
import type { DirtyArbiterActor } from '../../machines/dirty-arbiter.ts';
import type { DirtyArbiterSpec, DirtyGeneration, DirtyStatus } from '../../machines/events/dirty.ts';
import type { LeaveOrder, LifecycleReport } from '../../machines/events/lifecycle.ts';
import type { PoolReport } from '../../machines/events/pool.ts';
import type { HeartbeatTable } from '../heartbeat.ts';
import type { HookLaunch } from '../hooks/hook-child.ts';
import type { ProcessHooks, ProcessLaunch } from '../process.ts';
import { DirtyHooks } from './dirty-hooks.ts';
import { Editions } from './editions.ts';
import { Router } from './router.ts';
import { sweepShelves } from './shelf-memory.ts';
import { openStash, type StashStore } from './stash-store.ts';
import { describeTree } from './status.ts';

export interface HouseDeps {
  heartbeats: HeartbeatTable;
  /** Of the processes that are kept for hooks. */
  guardian: HookLaunch['guardian'];
  notice(text: string): void;
  /** How many dirty workers there are to be. */
  target(): number;
  /** A worker did not come free. */
  stuck(age: number, why: string): void;
}

type Committed = Extract<PoolReport, { type: 'pool.committed' }>;
type Degraded = Extract<PoolReport, { type: 'pool.degraded' }>;
type Notice = Extract<LifecycleReport, { type: 'worker.notice' }>;

/** A worker whose calls do not end is told to leave so long before its grace is over, to close its apps. */
const CLOSE_RESERVE_MS = 1000;

/** When a worker was started, and whether it is ready. */
export interface Known {
  pid: number;
  spawnedMs: number;
  ready: boolean;
}

export class DirtyHouse {
  /** Told of what deserves a line in the log. */
  onNews: (event: { level: 'info' | 'warn'; text: string }) => void = () => {};
  readonly #deps: HouseDeps;
  readonly #known = new Map<number, Known>();
  /** What a worker that starts is busy with. */
  readonly #stages = new Map<number, string>();
  /** What passes on an order to leave, once nothing runs in the worker. */
  readonly #waiting = new Map<number, () => void>();
  readonly #closers: (() => void)[] = [];
  #editions: Editions | undefined;
  #router: Router | undefined;
  #stash: StashStore | undefined;
  /** The user's own hooks. */
  readonly hooksOfConfig: DirtyHooks;
  /** The newest edition that passed its commit point. */
  #committed = 1;
  /** Slots whose replacements fail, and in which nobody has become ready since. */
  readonly #failing = new Set<number>();
  /** Editions that were told of before there was a place for them. */
  readonly #early = new Map<number, DirtyGeneration>();

  constructor(deps: HouseDeps) {
    this.#deps = deps;
    this.hooksOfConfig = new DirtyHooks(deps.notice, deps.guardian);
  }

  get router(): Router {
    if (!this.#router) throw new Error('there is no router yet');
    return this.#router;
  }

  get known(): ReadonlyMap<number, Known> {
    return this.#known;
  }

  /** Before the first worker is started. Throws FaultError where the stash's file cannot be used. */
  open(spec: DirtyArbiterSpec): void {
    const { generation } = spec;
    sweepShelves();
    this.#stash = openStash({
      path: spec.stashFile,
      bytesMax: spec.stashBytesMax,
      notice: this.#deps.notice,
    });
    const stash = this.#stash;
    this.#router = new Router({
      apps: [],
      queueMax: generation.queueMax,
      threads: generation.threads,
      graceMs: generation.graceMs,
      stash: (payload) => stash.answer(payload),
      stuck: this.#deps.stuck,
      left: (age) => this.#waiting.get(age)?.(),
      notice: this.#deps.notice,
    });
    this.#editions = new Editions({
      socket: spec.socket,
      heartbeatMs: spec.heartbeatMs,
      expect: ({ age, apps }, of, secret) =>
        this.router.expect(
          age,
          of.generation,
          apps.map(({ number }) => number),
          secret,
          of.threads,
        ),
    });
    for (const [edition, kept] of this.#early) this.keep(edition, kept);
    this.#early.clear();
  }

  keep(edition: number, generation: DirtyGeneration): void {
    this.hooksOfConfig.keep(edition, generation);
    if (!this.#editions) return void this.#early.set(edition, generation);
    const kept = this.#editions.keep(edition, generation);
    // A candidate's apps must be known; what it is bound by is in force when it is committed, which may never be.
    this.router.setApps(kept.apps);
  }

  release(edition: number): void {
    this.#editions?.release(edition);
    this.hooksOfConfig.release(edition);
    this.#hope();
  }

  launch(input: ProcessInput): ProcessLaunch<'dirtyWorker'> {
    return this.#editions!.launch(input);
  }

  readonly hooks: ProcessHooks<'dirtyWorker'> = {
    linked: (age, pid) => {
      this.#known.set(age, { pid, spawnedMs: performance.now(), ready: false });
      this.#hope();
    },
    ready: (age) => {
      const known = this.#known.get(age);
      if (known) known.ready = true;
      const slot = this.#editions?.staff.get(age)?.slot;
      if (slot !== undefined) this.#failing.delete(slot);
      this.#hope();
    },
    leaving: (age, order, pass) => this.#leaving(age, order, pass),
    gone: (age) => {
      this.#waiting.delete(age);
      this.#known.delete(age);
      this.#editions?.gone(age);
      this.#router?.gone(age);
      this.#hope();
    },
  };

  /**
   * A worker that drains gets no more calls and is told so only when none is left in it: a call that is on its way to it
   * would else meet a worker that has gone.
   */
  #leaving(age: number, order: LeaveOrder, pass: (order: LeaveOrder) => void): boolean {
    if (!this.#router) return false;
    if (order.type === 'worker.quit') {
      this.#router.leaving(age);
      return false;
    }
    const pid = this.#known.get(age)?.pid;
    if (pid !== undefined)
      this.onNews({ level: 'info', text: `dirty worker ${age} (pid ${pid}) is draining` });
    const limit = setTimeout(() => now(), Math.max(0, order.graceMs - CLOSE_RESERVE_MS));
    const startedMs = performance.now();
    const now = (): void => {
      clearTimeout(limit);
      if (!this.#waiting.delete(age)) return;
      pass({
        ...order,
        graceMs: Math.min(
          order.graceMs,
          Math.max(CLOSE_RESERVE_MS, order.graceMs - (performance.now() - startedMs)),
        ),
      });
    };
    this.#waiting.set(age, now);
    this.#router.leaving(age);
    this.#hope();
    return true;
  }

  /** Looks at the pool: an app of which no worker lives, while replacements fail in all its slots, has no hope. */
  watch(inspection: InspectionEvent): void {
    if (inspection.type !== '@xstate.microstep') return;
    const event = inspection.event as { type: string };
    const child = (): ChildContext => (inspection.snapshot as unknown as { context: ChildContext }).context;
    const { type } = event;
    if (type === 'pool.degraded') {
      // Told before the one that failed is reaped.
      this.#failing.add((event as Degraded).slot);
      this.#hope();
    } else if (type === 'pool.committed') {
      // New code has failed nowhere yet.
      this.#failing.clear();
      this.#committed = (event as Committed).generation;
      const { queueMax, graceMs } = this.#editions!.get(this.#committed)!;
      this.router.setLimits({ queueMax, graceMs });
      this.#hope();
    } else if (type === 'worker.draining' && child().cause === 'terminated')
      this.onNews({
        level: 'info',
        text: `dirty worker ${child().age} (pid ${child().pid}) is draining: it was sent SIGTERM`,
      });
    else if (type === 'worker.notice') this.#pass(event as Notice, child());
    else if (type === 'process.spawned' || type === 'worker.ready' || type === 'process.exited')
      this.#tell(type, child());
  }

  /** What a worker says of itself, under its name. */
  #pass({ level, text }: Notice, { age, pid }: ChildContext): void {
    if (level === 'debug') return void this.#stages.set(age, text);
    this.onNews({
      level: level === 'info' ? 'info' : 'warn',
      text: `dirty worker ${age} (pid ${pid}): ${text}`,
    });
  }

  #tell(type: string, { age, slot, generation, pid, cause, code, signal, fault }: ChildContext): void {
    if (type === 'process.exited')
      this.hooksOfConfig.workerExit(generation, {
        pid,
        age,
        slot,
        code,
        signal,
        reason: fault?.message ?? null,
      });
    const stage = this.#stages.get(age);
    if (type === 'process.exited') this.#stages.delete(age);
    const name = `dirty worker ${age} (pid ${pid})`;
    if (type === 'process.spawned') return this.onNews({ level: 'info', text: `${name} started` });
    if (type === 'worker.ready') return this.onNews({ level: 'info', text: `${name} is ready` });
    const how = signal === null ? `exit code ${code ?? 'unknown'}` : `by ${signal}`;
    if (cause === 'ordered' || cause === 'terminated')
      return this.onNews({ level: 'info', text: `${name} ended` });
    const isLate = cause === 'bootTimeout' && stage !== undefined;
    const why = fault ? `: ${fault.message}${isLate ? `; it was still in ${stage}` : ''}` : '';
    this.onNews({ level: 'warn', text: `${name} ended unexpectedly, ${how}${why}` });
  }

  #hope(): void {
    if (!this.#editions || !this.#router) return;
    const staff = [...this.#editions.staff.values()].filter(({ age }) => !this.#waiting.has(age));
    const alive = new Set(staff.flatMap(({ apps }) => apps.map((app) => app.number)));
    const slots = Array.from({ length: this.#deps.target() }, (_, slot) => slot);
    const sound = slots.filter((slot) => !this.#failing.has(slot));
    // What a reload dropped comes no more, also while old workers finish what they run of it.
    const wanted = this.#editions.appNumbers(this.#committed, sound);
    for (const { number } of this.#router.stats().apps)
      this.#router.available(number, alive.has(number) || wanted.has(number) ? 'coming' : 'none');
  }

  cancel(call: number): boolean {
    return this.#router?.cancel(call) ?? false;
  }

  counts(): { requests: number; connections: number; inFlight: number } {
    const apps = this.#router?.stats().apps ?? [];
    return {
      requests: apps.reduce((sum, { calls }) => sum + calls, 0),
      connections: 0,
      inFlight: apps.reduce((sum, { running }) => sum + running, 0),
    };
  }

  describe(actor: DirtyArbiterActor): DirtyStatus {
    return describeTree(actor, {
      heartbeats: this.#deps.heartbeats,
      known: this.#known,
      editions: this.#editions!,
      router: this.router,
      stash: this.#stash!,
    });
  }

  onClose(close: () => void): void {
    this.#closers.push(close);
  }

  close(): void {
    this.#router?.close();
    for (const close of this.#closers.splice(0)) close();
    this.#stash?.close();
    this.#stash = undefined;
  }
}
