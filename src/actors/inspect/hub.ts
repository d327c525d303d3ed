/**
 * Where everything that is inspected comes together: the arbiter's own actors, and what its processes tell. Runs in the arbiter.
 * It inspects as long as somebody watches; before that and after it nothing is attached anywhere.
 */

import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import type { AnyActorRef } from 'xstate';
import type { InspectReport } from '../../machines/events/inspect.ts';
import { residentBytes } from '../descriptors.ts';
import type { Redactor } from '../redaction.ts';
import type { Audience, InspectedChildren } from './children.ts';
import { clockMs } from './clock.ts';
import type { Stage, WatchOptions } from './door/stage.ts';
import { Reader, readLife } from './foreign.ts';
import { Inbox } from './inbox.ts';
import { ActorNumbers, Probe } from './probe.ts';
import {
  type Hello,
  INSPECTOR_COMMANDS,
  INSPECTOR_PROTOCOL,
  type LocalRecord,
  nowMs,
  type ProcessFacts,
  roundedMs,
  type Told,
  type ToldProcess,
} from './records.ts';
import { Reel } from './reel.ts';
import { WATCHERS_MAX, type Watcher, Watchers } from './watchers.ts';

/** How long records are gathered before they become a message. */
const GATHER_MS = 100;
/**
 * How long a record waits for those of other processes that come later and happened before it: what they tell is a while on
 * its way. So nothing is received before it was sent.
 */
const SETTLE_MS = 250;
/** Records that are told at once; far fewer than are kept. */
const PORTION = 100;
/** So many that wait to be told are told at once, whether they are settled or not: reading must not outrun telling. */
const GATHERED_MAX = 10_000;
const BEAT_MS = 1000;
const DELAY_RESOLUTION_MS = 20;

export interface HubDeps {
  /** The arbiter machine. */
  root: AnyActorRef;
  children: InspectedChildren;
  redactor: Pick<Redactor, 'text' | 'version'>;
  /** Calls with every line of the log, until the returned function is called. */
  watchLog(line: (level: string, text: string) => void): () => void;
  /** Kirin's own version, and what the app is called. */
  version: string;
  app: string;
  notice(text: string): void;
  /** Carries out a control command. */
  command(words: readonly string[]): Promise<object>;
}

export class Hub implements Audience, Stage {
  readonly #deps: HubDeps;
  readonly #reader: Reader;
  readonly #numbers = new ActorNumbers();
  readonly #reel = new Reel();
  readonly #watchers = new Watchers(this.#reel);
  readonly #inbox = new Inbox((work) => this.#guarded(work));
  /** The child machine that supervises each process. */
  readonly #parents = new Map<number, string>();
  /** Processes of which this is not known yet: the machine hears of its process a moment after it is there. */
  readonly #orphans = new Map<number, ToldProcess>();
  #probe: Probe | undefined;
  /** Processes by those who start them, as far as they are not the arbiter's own. */
  readonly #below = new Map<number, Set<number>>();
  /** Makes times of day of the clock that all processes have. */
  #offsetMs = 0;
  #gathered: Told[] = [];
  #timer: NodeJS.Timeout | undefined;
  /** What is settled and still to be told. */
  #telling: Told[] = [];
  #rest: NodeJS.Immediate | undefined;
  #detach: (() => void) | undefined;

  constructor(deps: HubDeps) {
    this.#deps = deps;
    this.#reader = new Reader(deps.redactor);
  }

  readonly watchersMax = WATCHERS_MAX;

  /** Whether no more may watch. */
  get isFull(): boolean {
    return this.#watchers.count >= WATCHERS_MAX;
  }

  get isWatched(): boolean {
    return this.#watchers.count > 0;
  }

  /** Begins to tell `watcher`; what is returned ends it. Not while it is full. */
  watch(watcher: Watcher, { controls, from }: WatchOptions): () => void {
    // One that was cut may have been the last, and its end be told yet: then everything is still attached.
    if (!this.#probe) this.#attach();
    this.#flush();
    const remove = this.#watchers.add(watcher, JSON.stringify(this.#hello(controls)), from);
    return () => {
      remove();
      if (!this.isWatched) this.#leave();
    };
  }

  /** A recording of what is kept, while somebody watches. */
  *recording(): Generator<string> {
    this.#flush();
    yield JSON.stringify(this.#hello(false));
    yield* this.#reel.story();
  }

  command(words: readonly string[]): Promise<object> {
    return this.#deps.command(words);
  }

  /** Tells all that has come. */
  flush(): void {
    this.#inbox.readAll();
    this.#guarded(() => this.#flush(true));
  }

  end(reason: string): void {
    this.flush();
    this.#watchers.say(JSON.stringify({ type: 'bye', reason }));
    this.#watchers.end(reason);
    this.#leave();
  }

  /** Something happened in this process. */
  tell(record: LocalRecord): void {
    // That a process has ended comes after all that it said.
    if (record.t === 'ended') this.#inbox.after(() => this.#tell(record));
    else this.#guarded(() => this.#tell(record));
  }

  /** Something happened in another. */
  pass(child: ProcessFacts, report: InspectReport): void {
    if (this.#inbox.take(lengthOf(report), () => this.#pass(child, report))) return;
    // It tells everything once more, a little later.
    this.#deps.children.again(child.pid);
    this.#guarded(() => this.#lose(this.#speaker(child, report), report.records.length + report.dropped));
  }

  /** A bug here ends the inspection, and nothing else. */
  #guarded(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#failed(error);
    }
  }

  #failed(error: unknown): void {
    this.#deps.notice(
      `this is a bug in Kirin: its inspector failed: ${(error as Error).stack ?? String(error)}`,
    );
    this.#watchers.end('it failed');
    this.#leave();
  }

  #tell(record: LocalRecord): void {
    switch (record.t) {
      case 'beat':
      case 'ended':
        return this.#gather({ ...record, at: this.#timeOf(record.at) });
      case 'process':
        return this.#begin({ ...record, at: this.#timeOf(record.at) });
      default: {
        const told = this.#reader.read(process.pid, record, true, this.#offsetMs);
        if (told) this.#gather(told);
      }
    }
  }

  #pass(child: ProcessFacts, report: InspectReport): void {
    const isArbiter = child.process === 'dirtyArbiter';
    const pid = this.#speaker(child, report);
    const { records, dropped, alive } = report;
    this.#release(pid);
    for (const text of records) {
      const record = parsed(text);
      const life = isArbiter && pid === child.pid ? readLife(record, this.#offsetMs) : undefined;
      if (life?.t === 'process') {
        this.#noteBelow(child.pid, life.pid);
        this.#begin(life);
      } else if (life) this.#gather(life);
      else {
        const told = this.#reader.read(pid, record, isArbiter && pid === child.pid, this.#offsetMs);
        if (told) this.#gather(told.t === 'actor' && told.root ? this.#hung(told) : told);
      }
    }
    if (dropped > 0) this.#lose(pid, dropped);
    if (alive) this.#keepOnly(pid, new Set(alive.map((number) => `${pid}/${number}`)));
  }

  /** Only a dirty arbiter speaks for others. */
  #speaker({ process, pid }: ProcessFacts, report: InspectReport): number {
    return process === 'dirtyArbiter' && report.pid > 0 ? report.pid : pid;
  }

  #begin(process: Omit<ToldProcess, 'parent'>): void {
    const parent = this.#parents.get(process.pid) ?? null;
    if (parent === null && process.process !== 'arbiter')
      this.#orphans.set(process.pid, { ...process, parent });
    else this.#gather({ ...process, parent });
  }

  /** Tells of a process as well as it can now. */
  #release(pid: number): void {
    const process = this.#orphans.get(pid);
    if (!process) return;
    this.#orphans.delete(pid);
    this.#gather({ ...process, parent: this.#parents.get(pid) ?? null });
  }

  #hung<T extends Told & { t: 'actor' }>(root: T): T {
    return { ...root, parent: this.#parents.get(root.pid) ?? null };
  }

  #lose(pid: number, records: number): void {
    this.#gather({ t: 'lost', at: this.#now(), pid, records });
  }

  /** What was known besides is gone; that it went was lost. */
  #keepOnly(pid: number, alive: ReadonlySet<string>): void {
    const known = new Set(this.#reel.now.actorsOf(pid).map(({ id }) => id));
    for (const record of [...this.#telling, ...this.#gathered])
      if (record.t === 'actor' && record.pid === pid) known.add(record.id);
      else if (record.t === 'gone') known.delete(record.id);
    for (const id of known)
      if (!alive.has(id)) this.#gather({ t: 'gone', at: this.#now(), id, status: 'stopped' });
  }

  #gather(record: Told): void {
    if (record.t === 'actor' || record.t === 'step') {
      const { about } = record;
      if (about && about.pid > 0) this.#parents.set(about.pid, record.id);
    }
    this.#gathered.push(record);
    if (record.t === 'actor' || record.t === 'step') this.#release(record.about?.pid ?? 0);
    if (record.t === 'ended') this.#forget(record);
    if (this.#gathered.length + this.#telling.length >= GATHERED_MAX) return this.#flush(true);
    this.#flushSoon();
  }

  /** Who told of it cannot tell any more that those below it have ended. */
  #forget({ pid, at }: { pid: number; at: number }): void {
    this.#parents.delete(pid);
    this.#orphans.delete(pid);
    const below = this.#below.get(pid);
    this.#below.delete(pid);
    for (const one of below ?? []) this.#gather({ t: 'ended', at, pid: one });
    for (const others of this.#below.values()) others.delete(pid);
  }

  #noteBelow(parent: number, pid: number): void {
    const known = this.#below.get(parent) ?? new Set();
    this.#below.set(parent, known.add(pid));
  }

  #timeOf(atMs: number): number {
    return roundedMs(atMs + this.#offsetMs);
  }

  #now(): number {
    return this.#timeOf(clockMs());
  }

  /** Tells what is settled; with `all`, everything there is. */
  #flush(all = false): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#gathered.length === 0) return this.#tellSome(all);
    // Each process's own order is kept: its times never go back.
    this.#gathered.sort((one, other) => one.at - other.at);
    const settledMs = all ? Number.POSITIVE_INFINITY : this.#now() - SETTLE_MS;
    const first = this.#gathered.findIndex(({ at }) => at > settledMs);
    const settled = first < 0 ? this.#gathered : this.#gathered.slice(0, first);
    this.#gathered = first < 0 ? [] : this.#gathered.slice(first);
    if (this.#gathered.length > 0) this.#flushSoon();
    for (const record of settled) this.#telling.push(record);
    this.#tellSome(all);
  }

  /** In portions, lest the past that is kept be over before those who watch have been told; others have their turn between. */
  #tellSome(all: boolean): void {
    clearImmediate(this.#rest);
    this.#rest = undefined;
    while (this.#telling.length > 0) {
      this.#reel.push(this.#telling.splice(0, PORTION));
      this.#watchers.pump();
      if (all || this.#telling.length === 0) continue;
      this.#rest = setImmediate(() => this.#guarded(() => this.#tellSome(false)));
      return;
    }
  }

  #flushSoon(): void {
    this.#timer ??= setTimeout(() => this.#guarded(() => this.#flush()), GATHER_MS).unref();
  }

  #attach(): void {
    const { root, watchLog } = this.#deps;
    this.#reel.reset({ processes: [], actors: [], beats: [] });
    this.#offsetMs = nowMs() - clockMs();
    this.#probe = new Probe({
      root,
      numbers: this.#numbers,
      tell: (record) => this.tell(record),
      hasRoom: () => true,
      failed: (error) => this.#failed(error),
    });
    const facts = { process: 'arbiter', age: null, slot: null, generation: null } as const;
    this.tell({ t: 'process', at: clockMs(), pid: process.pid, ...facts });
    this.#probe.start();
    this.#deps.children.start(this);
    const stopLog = watchLog((level, text) =>
      this.#gather({ t: 'log', at: this.#now(), level, text: this.#reader.text(text) }),
    );
    const stopBeat = this.#beat();
    this.#detach = () => {
      stopLog();
      stopBeat();
    };
  }

  /** The last one has left. */
  #leave(): void {
    if (!this.#probe) return;
    this.#probe.stop();
    this.#probe = undefined;
    this.#detach?.();
    this.#detach = undefined;
    this.#deps.children.stop();
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#inbox.clear();
    this.#gathered = [];
    clearImmediate(this.#rest);
    this.#rest = undefined;
    this.#telling = [];
    this.#parents.clear();
    this.#orphans.clear();
    this.#below.clear();
    this.#reel.reset({ processes: [], actors: [], beats: [] });
  }

  /** The arbiter's own figures; nothing else measures them. */
  #beat(): () => void {
    const delay = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS });
    delay.enable();
    let utilization = performance.eventLoopUtilization();
    const timer = setInterval(() => {
      const now = performance.eventLoopUtilization();
      this.tell({
        t: 'beat',
        at: clockMs(),
        pid: process.pid,
        requests: 0,
        requestsPerSecond: 0,
        connections: 0,
        inFlight: 0,
        loopDelayMs: delay.count > 0 ? Math.max(0, delay.percentile(99) / 1e6 - DELAY_RESOLUTION_MS) : 0,
        utilization: performance.eventLoopUtilization(now, utilization).utilization,
        rssBytes: residentBytes(),
      });
      utilization = now;
      delay.reset();
    }, BEAT_MS).unref();
    return () => {
      clearInterval(timer);
      delay.disable();
    };
  }

  /** What has something to act on. */
  #commands(): readonly string[] {
    const hasDirty = this.#deps.children.has('dirtyArbiter');
    return hasDirty ? INSPECTOR_COMMANDS : INSPECTOR_COMMANDS.filter((name) => !name.startsWith('dirty '));
  }

  #hello(control: boolean): Hello {
    const { version, app } = this.#deps;
    return {
      type: 'hello',
      protocol: INSPECTOR_PROTOCOL,
      kirin: version,
      node: process.version,
      pid: process.pid,
      app,
      at: nowMs(),
      source: 'live',
      control,
      commands: control ? this.#commands() : [],
      file: null,
      from: null,
      to: null,
    };
  }
}

const lengthOf = ({ records }: InspectReport): number => records.reduce((sum, { length }) => sum + length, 0);

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
