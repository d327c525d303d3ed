/**
 * What processes have told and is still to be read. A hundred of them that speak at once, or that have spoken while this process
 * had no turn, are read a few milliseconds at a time, so that it does its own work in between. Runs in the inspector's thread.
 */
import { performance } from 'node:perf_hooks';

/** How long is read at a time, nearly. */
const SLICE_MS = 4;
/** What may wait, in characters of JSON. */
const WAITING_LENGTH_MAX = 8 * 1024 * 1024;

interface Letter {
  length: number;
  read(): void;
}

export class Inbox {
  readonly #guarded: (work: () => void) => void;
  #letters: Letter[] = [];
  /** How many of them have been read. */
  #read = 0;
  #length = 0;
  #isReading = false;
  /** Until when may be read in this turn of the event loop; undefined: nothing was read in it. */
  #untilMs: number | undefined;

  /** `guarded` calls what it is given. */
  constructor(guarded: (work: () => void) => void) {
    this.#guarded = guarded;
  }

  /** Has it read, now or soon; false: too much waits. */
  take(length: number, read: () => void): boolean {
    if (this.#length + length > WAITING_LENGTH_MAX) return false;
    this.#put({ length, read });
    return true;
  }

  /** Does it when everything that waits by now has been read. */
  after(work: () => void): void {
    this.#put({ length: 0, read: work });
  }

  readAll(): void {
    this.#readUntil(Number.POSITIVE_INFINITY);
  }

  clear(): void {
    this.#letters = [];
    this.#read = 0;
    this.#length = 0;
  }

  #put(letter: Letter): void {
    this.#letters.push(letter);
    this.#length += letter.length;
    // Where others wait, a turn of theirs is to come.
    if (this.#letters.length - this.#read === 1) this.#readUntil(this.#turnEndMs());
  }

  #turnEndMs(): number {
    if (this.#untilMs !== undefined) return this.#untilMs;
    this.#untilMs = performance.now() + SLICE_MS;
    setImmediate(() => {
      this.#untilMs = undefined;
      if (this.#letters.length > 0) this.#readUntil(this.#turnEndMs());
    });
    return this.#untilMs;
  }

  #readUntil(untilMs: number): void {
    if (this.#isReading) return;
    this.#isReading = true;
    while (this.#read < this.#letters.length && performance.now() < untilMs) {
      const { length, read } = this.#letters[this.#read]!;
      this.#read++;
      this.#length -= length;
      this.#guarded(read);
    }
    this.#isReading = false;
    this.#letters.splice(0, this.#read);
    this.#read = 0;
  }
}
