/**
 * Where everything that is inspected comes together: the arbiter's own actors, and what its processes tell. Runs in the
 * inspector's thread, beside the arbiter's main thread. It inspects as long as somebody watches; before that and after it
 * nothing is attached anywhere.
 */
import type { InspectReport } from '../../machines/events/inspect.ts';
import type { Redactor } from '../redaction.ts';
import { recordsOf, type Spoken, speakerOf } from './children.ts';
import { clockMs } from './clock.ts';
import type { Stage, WatchOptions } from './door/stage.ts';
import { Family } from './family.ts';
import { Reader, readLife } from './foreign.ts';
import { Gathering } from './gathering.ts';
import { Inbox } from './inbox.ts';
import {
  type Hello,
  INSPECTOR_COMMANDS,
  INSPECTOR_PROTOCOL,
  type LocalRecord,
  nowMs,
  roundedMs,
  type Told,
} from './records.ts';
import { Reel } from './reel.ts';
import type { Ear, Source } from './source.ts';
import { WATCHERS_MAX, type Watcher, Watchers } from './watchers.ts';

export interface HubDeps {
  source: Source;
  redactor: Pick<Redactor, 'text' | 'version'>;
  /** Kirin's own version, and what the app is called. */
  version: string;
  app: string;
  /** Whether there is a dirty arbiter, to which orders could be given. */
  hasDirty(): boolean;
  /** Called with how many watch, whenever it changes. */
  counted?(watching: number): void;
  notice(text: string): void;
  /** Carries out a control command. */
  command(words: readonly string[]): Promise<object>;
}

export class Hub implements Ear, Stage {
  readonly #deps: HubDeps;
  readonly #reader: Reader;
  readonly #reel = new Reel();
  readonly #watchers = new Watchers(this.#reel, (count) => this.#deps.counted?.(count));
  readonly #inbox = new Inbox((work) => this.#guarded(work));
  readonly #family = new Family((record) => this.#gather(record));
  readonly #gathering = new Gathering({
    now: () => this.#timeOf(clockMs()),
    guarded: (work) => this.#guarded(work),
    tell: (portion) => {
      this.#reel.push(portion);
      this.#watchers.pump();
    },
  });
  #isAttached = false;
  /** Makes times of day of the clock that all processes have. */
  #offsetMs = 0;

  constructor(deps: HubDeps) {
    this.#deps = deps;
    this.#reader = new Reader(deps.redactor);
  }

  /** Whether no more may watch. */
  get isFull(): boolean {
    return this.#watchers.count >= WATCHERS_MAX;
  }

  /** Begins to tell `watcher`; what is returned ends it. Not while it is full. */
  watch(watcher: Watcher, { controls, from }: WatchOptions): () => void {
    // One that was cut may have been the last, and its end be told yet: then everything is still attached.
    if (!this.#isAttached) this.#attach();
    this.#gathering.flush();
    const remove = this.#watchers.add(watcher, JSON.stringify(this.#hello(controls)), from);
    return () => {
      remove();
      if (this.#watchers.count === 0) this.#leave();
    };
  }

  /** Somebody who watches has read. */
  pump(): void {
    this.#watchers.pump();
  }

  /** A recording of what is kept, while somebody watches. */
  *recording(): Generator<string> {
    this.#gathering.flush();
    yield JSON.stringify(this.#hello(false));
    yield* this.#reel.story();
  }

  command(words: readonly string[]): Promise<object> {
    return this.#deps.command(words);
  }

  /** Tells all that has come. */
  flush(): void {
    this.#inbox.readAll();
    this.#guarded(() => this.#gathering.flush(true));
  }

  end(reason: string): void {
    this.flush();
    this.#watchers.say(JSON.stringify({ type: 'bye', reason }));
    this.#watchers.end(reason);
    this.#leave();
  }

  /** Something happened in the arbiter, or to one of its processes. */
  tell(record: LocalRecord): void {
    // That a process has ended comes after all that it said.
    if (record.t === 'ended') this.afterRead(() => this.#tell(record));
    else this.#guarded(() => this.#tell(record));
  }

  /** Something happened in another process. */
  pass(child: Spoken, report: InspectReport): void {
    this.passLater(child, lengthOf(report), () => report);
  }

  /** The same, where the report is yet to be read: `read` does it, and gives undefined for what is none. */
  passLater(child: Spoken, length: number, read: () => InspectReport | undefined): void {
    const take = (): void => {
      const report = read();
      if (report) this.#pass(child, report);
    };
    if (this.#inbox.take(length, take)) return;
    // It tells everything once more, a little later.
    this.#deps.source.again(child.pid);
    const report = read();
    if (report) this.lose(speakerOf(child, report), recordsOf(report));
  }

  log(at: number, level: string, text: string): void {
    this.#guarded(() =>
      this.#gather({ t: 'log', at: this.#timeOf(at), level, text: this.#reader.text(text) }),
    );
  }

  /** The arbiter has told everything once more. */
  alive(numbers: readonly number[]): void {
    this.#guarded(() => this.#keepOnly(process.pid, numbers));
  }

  /** Records that a process told and that came no further. */
  lose(pid: number, records: number): void {
    this.#guarded(() => this.#gather({ t: 'lost', at: this.#timeOf(clockMs()), pid, records }));
  }

  /** Does it when everything that waits to be read by now has been. */
  afterRead(work: () => void): void {
    this.#inbox.after(work);
  }

  failed(error: unknown): void {
    this.#deps.notice(
      `this is a bug in Kirin: its inspector failed: ${(error as Error).stack ?? String(error)}`,
    );
    this.#watchers.end('it failed');
    this.#leave();
  }

  /** A bug here ends the inspection, and nothing else. */
  #guarded(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.failed(error);
    }
  }

  #tell(record: LocalRecord): void {
    switch (record.t) {
      case 'beat':
      case 'ended':
        return this.#gather({ ...record, at: this.#timeOf(record.at) });
      case 'process':
        return this.#family.begin({ ...record, at: this.#timeOf(record.at) });
      default: {
        const told = this.#reader.read(process.pid, record, true, this.#offsetMs);
        if (told) this.#gather(told);
      }
    }
  }

  #pass(child: Spoken, report: InspectReport): void {
    const isArbiter = child.process === 'dirtyArbiter';
    const pid = speakerOf(child, report);
    const { records, dropped, alive } = report;
    this.#family.release(pid);
    for (const text of records) {
      const record = parsed(text);
      const life = isArbiter && pid === child.pid ? readLife(record, this.#offsetMs) : undefined;
      if (life?.t === 'process') this.#family.beginBelow(child.pid, life);
      else if (life) this.#gather(life);
      else {
        const told = this.#reader.read(pid, record, isArbiter && pid === child.pid, this.#offsetMs);
        if (told) this.#gather(told.t === 'actor' && told.root ? this.#family.hung(told) : told);
      }
    }
    if (dropped > 0) this.lose(pid, dropped);
    if (alive) this.#keepOnly(pid, alive);
  }

  /** What was known besides is gone; that it went was lost. */
  #keepOnly(pid: number, numbers: readonly number[]): void {
    const alive = new Set(numbers.map((number) => `${pid}/${number}`));
    const known = new Set(this.#reel.now.actorsOf(pid).map(({ id }) => id));
    for (const record of this.#gathering.waiting())
      if (record.t === 'actor' && record.pid === pid) known.add(record.id);
      else if (record.t === 'gone') known.delete(record.id);
    for (const id of known)
      if (!alive.has(id)) this.#gather({ t: 'gone', at: this.#timeOf(clockMs()), id, status: 'stopped' });
  }

  #gather(record: Told): void {
    this.#family.before(record);
    this.#gathering.put(record);
    this.#family.after(record);
  }

  #timeOf(atMs: number): number {
    return roundedMs(atMs + this.#offsetMs);
  }

  #attach(): void {
    this.#isAttached = true;
    this.#reel.reset({ processes: [], actors: [], beats: [] });
    this.#offsetMs = nowMs() - clockMs();
    this.#deps.source.start(this);
  }

  /** The last one has left. */
  #leave(): void {
    if (!this.#isAttached) return;
    this.#isAttached = false;
    this.#deps.source.stop();
    this.#inbox.clear();
    this.#gathering.clear();
    this.#family.clear();
    this.#reel.reset({ processes: [], actors: [], beats: [] });
  }

  /** What has something to act on. */
  #commands(): readonly string[] {
    if (this.#deps.hasDirty()) return INSPECTOR_COMMANDS;
    return INSPECTOR_COMMANDS.filter((name) => !name.startsWith('dirty '));
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
