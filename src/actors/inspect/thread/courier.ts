/**
 * Carries what happens to the inspector's thread: gathered for a moment, frames of processes as they came, and no more than the
 * thread takes. What finds no room is counted, and told once more later. Runs in the arbiter's main thread.
 */
import type { InspectReport } from '../../../machines/events/inspect.ts';
import { encodeFrame, HEADER_BYTES } from '../../frame.ts';
import { recordsOf, speakerOf } from '../children.ts';
import type { LocalRecord, ProcessFacts } from '../records.ts';
import type { Ear } from '../source.ts';
import { unsealed } from './seal.ts';
import { type Counters, type Letter, SHARED, type ToThread } from './words.ts';

/** How long letters are gathered: each parcel wakes the other thread. */
const GATHER_MS = 20;
/** A parcel that weighs so much is sent at once. */
const PARCEL_BYTES_MAX = 256 * 1024;
/** What may be on its way: sent, and not received. */
export const UNDERWAY_BYTES_MAX = 8 * 1024 * 1024;
/** What a letter weighs beside its text. */
const LETTER_BYTES = 64;

export interface CourierDeps {
  epoch: number;
  counters: Counters;
  post(message: ToThread, transfer: readonly ArrayBuffer[]): void;
  /** What that process told was lost; it is to tell all that is once more. */
  again(pid: number): void;
}

export class Courier implements Ear {
  readonly #deps: CourierDeps;
  #letters: Letter[] = [];
  #frames: Uint8Array[] = [];
  #weight = 0;
  /** Weighs modulo 2³², as the counter of what was received does. */
  #sent: number;
  #timer: NodeJS.Timeout | undefined;
  readonly #lost = new Map<number, number>();

  constructor(deps: CourierDeps) {
    this.#deps = deps;
    this.#sent = Atomics.load(deps.counters, SHARED.received);
  }

  tell(record: LocalRecord): void {
    const text = JSON.stringify(record);
    // Lives of processes are few, and would be told by nobody else.
    const isLife = record.t === 'process' || record.t === 'ended';
    if (isLife || this.#hasRoom(text.length)) this.#put({ record: text }, text.length);
    else this.#loseOwn();
  }

  /** A report that was read already. */
  pass(child: ProcessFacts, report: InspectReport): void {
    this.frame(child, encodeFrame(report).subarray(HEADER_BYTES));
  }

  /** A report as it came. Only one that finds no room is read here, for what is lost with it. */
  frame(child: ProcessFacts, body: Uint8Array): void {
    const { pid, process } = child;
    if (!this.#hasRoom(body.length)) {
      const report = unsealed(body);
      if (typeof report === 'string') return;
      this.#lose(speakerOf(child, report), recordsOf(report));
      return this.#deps.again(pid);
    }
    this.#frames.push(body);
    this.#put({ frame: body.length, pid, process }, body.length);
  }

  log(at: number, level: string, text: string): void {
    if (this.#hasRoom(text.length)) this.#put({ log: text, level, at }, text.length);
    else this.#loseOwn();
  }

  alive(numbers: readonly number[]): void {
    this.#put({ alive: numbers }, numbers.length * 8);
  }

  failed(error: unknown): void {
    this.#put({ failed: (error as Error).stack ?? String(error) }, 0);
  }

  /** Sends what is gathered. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const [pid, lost] of this.#lost) {
      if (!this.#hasRoom(0)) break;
      this.#lost.delete(pid);
      this.#put({ lost, pid }, 0);
    }
    if (this.#letters.length > 0) this.#post();
    if (this.#lost.size > 0) this.#flushSoon();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #put(letter: Letter, bytes: number): void {
    this.#letters.push(letter);
    this.#weight += bytes + LETTER_BYTES;
    if (this.#weight >= PARCEL_BYTES_MAX) this.#post();
    else this.#flushSoon();
  }

  #post(): void {
    // In memory of its own, which is given away: a piece of what a stream has read is shared with others.
    const bytes = new Uint8Array(this.#frames.reduce((sum, { length }) => sum + length, 0));
    let offset = 0;
    for (const frame of this.#frames) {
      bytes.set(frame, offset);
      offset += frame.length;
    }
    const { epoch, post } = this.#deps;
    const [letters, weight] = [this.#letters, this.#weight];
    this.#letters = [];
    this.#frames = [];
    this.#weight = 0;
    this.#sent = (this.#sent + weight) | 0;
    post({ type: 'parcel', epoch, letters, bytes, weight }, [bytes.buffer]);
  }

  #hasRoom(bytes: number): boolean {
    const underway = (this.#sent - Atomics.load(this.#deps.counters, SHARED.received)) | 0;
    return underway + this.#weight + bytes <= UNDERWAY_BYTES_MAX;
  }

  #loseOwn(): void {
    this.#lose(process.pid, 1);
    this.#deps.again(process.pid);
  }

  #lose(pid: number, records: number): void {
    this.#lost.set(pid, (this.#lost.get(pid) ?? 0) + records);
    this.#flushSoon();
  }

  #flushSoon(): void {
    this.#timer ??= setTimeout(() => this.flush(), GATHER_MS).unref();
  }
}
