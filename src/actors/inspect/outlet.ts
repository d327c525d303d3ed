/**
 * What a supervised process tells of its actors, up its link, while somebody watches. Runs in workers and in the dirty
 * arbiter, and is loaded by the first order to inspect. Bounded: what finds no room is dropped and counted, and then
 * everything that is is told once more, so that states are right again.
 */
import { BATCH_RECORDS_MAX, type InspectReport } from '../../machines/events/inspect.ts';
import type { InspectedChildren } from './children.ts';
import type { LocalRecord } from './records.ts';

/** How long records are gathered: each report wakes the parent, which may have a hundred such children. */
const GATHER_MS = 200;
/** A report is not longer than this by much, so that it never fills a link. */
const BATCH_LENGTH_MAX = 48 * 1024;
/** Nearly what a text on a link may have; a record of more is told without what makes it so large. */
const RECORD_LENGTH_MAX = 60 * 1024;
const WITHOUT_WHAT_IS_LARGE = { context: '[too large]', definition: '[too large]' };
/** What waits to be sent, in characters of JSON and in records. */
const WAITING_LENGTH_MAX = 512 * 1024;
const WAITING_MAX = 2000;
/** So many records at most wait to be made text: at once they cost less than one by one, and all together have a bound. */
const FRESH_MAX = 64;
/** Everything is told once more at most so often. */
const AGAIN_MS = 1000;

/** What is watched in this process. */
export interface Watched {
  /** Tells `whole` of everything that is, and `tell` of what happens from now on; again where it has begun. */
  start(tell: (record: LocalRecord) => void, whole: (record: LocalRecord) => void): void;
  stop(): void;
  /** Numbers of all actors that live. */
  alive(): number[];
}

export interface OutletDeps {
  send(report: InspectReport): 'sent' | 'full' | 'ended';
  watched: Watched;
  /** A dirty arbiter's workers. */
  children?: InspectedChildren;
}

export class Outlet {
  readonly #deps: OutletDeps;
  /** What comes after `#waiting`, and is no text yet. */
  #fresh: LocalRecord[] = [];
  #waiting: string[] = [];
  #length = 0;
  #dropped = 0;
  /** Who lived when everything had been told, and how much waited by then. */
  #whole: { waiting: number; alive: number[] } | undefined;
  /** Records of workers that were not passed on, by their pid. */
  readonly #lost = new Map<number, number>();
  #timer: NodeJS.Timeout | undefined;
  #again: NodeJS.Timeout | undefined;

  constructor(deps: OutletDeps) {
    this.#deps = deps;
  }

  /** Tells everything that is, then what happens; also when it is telling already. */
  start(): void {
    this.#tellAll();
    this.#deps.children?.start({
      tell: (record) => this.#tell(record),
      pass: ({ pid }, report) => this.#pass(pid, report),
    });
    this.flush();
  }

  stop(): void {
    const { watched, children } = this.#deps;
    watched.stop();
    children?.stop();
    clearTimeout(this.#timer);
    clearTimeout(this.#again);
    this.#timer = undefined;
    this.#again = undefined;
    this.#whole = undefined;
    this.#fresh = [];
    this.#waiting = [];
    this.#length = 0;
    this.#dropped = 0;
    this.#lost.clear();
  }

  /** Sends as long as the link takes it; what it does not take waits. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#write();
    for (const [pid, dropped] of this.#lost)
      if (this.#deps.send({ type: 'inspect.batch', pid, records: [], dropped }) === 'sent')
        this.#lost.delete(pid);
    while (this.#waiting.length > 0 || this.#dropped > 0) if (!this.#sendBatch()) return this.#flushSoon();
    if (this.#lost.size > 0) this.#flushSoon();
  }

  #flushSoon(): void {
    this.#timer ??= setTimeout(() => this.flush(), GATHER_MS).unref();
  }

  #sendBatch(): boolean {
    const { send } = this.#deps;
    const { waiting: wholeEnd, alive } = this.#whole ?? { waiting: BATCH_RECORDS_MAX, alive: [] };
    const countMax = Math.min(this.#waiting.length, BATCH_RECORDS_MAX, wholeEnd);
    let length = 0;
    let count = 0;
    while (count < countMax && length < BATCH_LENGTH_MAX) length += this.#waiting[count++]!.length;
    const records = this.#waiting.slice(0, count);
    const isEnd = this.#whole !== undefined && count === wholeEnd;
    const batch = { type: 'inspect.batch', pid: 0, records, dropped: this.#dropped } as const;
    if (send(isEnd ? { ...batch, alive } : batch) !== 'sent') return false;
    this.#waiting.splice(0, count);
    this.#length -= length;
    this.#dropped = 0;
    if (isEnd) this.#whole = undefined;
    else if (this.#whole) this.#whole.waiting -= count;
    return true;
  }

  /** Without a bound but the number of actors. */
  #tellAll(): void {
    const { watched } = this.#deps;
    watched.start(
      (record) => this.#tell(record),
      (record) => this.#keep(record),
    );
    this.#write();
    this.#whole = { waiting: this.#waiting.length, alive: watched.alive() };
  }

  #tell(record: LocalRecord): void {
    // Lives of processes are few, and would be told by nobody else.
    const isLife = record.t === 'process' || record.t === 'ended';
    const waiting = this.#waiting.length + this.#fresh.length;
    const hasRoom = waiting < WAITING_MAX && this.#length < WAITING_LENGTH_MAX;
    // Until it tells everything once more nothing is told that could not be understood.
    if (!isLife && (!hasRoom || this.#again)) return this.#drop();
    this.#keep(record);
  }

  #keep(record: LocalRecord): void {
    this.#fresh.push(record);
    if (this.#fresh.length >= FRESH_MAX) this.#write();
    if (!this.#timer) this.#flushSoon();
  }

  #write(): void {
    for (const record of this.#fresh) {
      const whole = JSON.stringify(record);
      // One that no link takes would come again each time that everything is told.
      const text =
        whole.length > RECORD_LENGTH_MAX ? JSON.stringify({ ...record, ...WITHOUT_WHAT_IS_LARGE }) : whole;
      this.#waiting.push(text);
      this.#length += text.length;
    }
    this.#fresh = [];
  }

  #drop(): void {
    this.#dropped++;
    this.#again ??= setTimeout(() => {
      this.#again = undefined;
      this.#tellAll();
      this.flush();
    }, AGAIN_MS).unref();
  }

  /** A worker's report goes on as it is; one that finds no room makes that worker tell everything once more. */
  #pass(pid: number, report: InspectReport): void {
    const { send, children } = this.#deps;
    // That the worker was born comes before what it says.
    this.flush();
    if (this.#waiting.length === 0 && send({ ...report, pid }) === 'sent') return;
    this.#lost.set(pid, (this.#lost.get(pid) ?? 0) + report.records.length + report.dropped);
    children?.again(pid);
    this.#flushSoon();
  }
}
