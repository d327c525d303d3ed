/**
 * How much one process may tell its parent: a bucket that fills again with time. Runs in every parent.
 *
 * A supervised process says a few words a second, and while it is inspected some megabytes. One that writes without end, by a
 * bug or on purpose, would keep its parent from everybody else.
 */
import { performance } from 'node:perf_hooks';

/** A frame costs one, and one more for each so many bytes. */
const BYTES_PER_UNIT = 8 * 1024;
/** What is there at the beginning and at most, and what is added. */
export const UNITS_MAX = 40_000;
const UNITS_PER_SECOND = 10_000;

export class Allowance {
  readonly #now: () => number;
  #units = UNITS_MAX;
  #sinceMs: number;

  /** `now` is monotonic, in milliseconds; replaced in tests. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#sinceMs = now();
  }

  /** Whether a frame of so many bytes may be taken. */
  takes(bytes: number): boolean {
    this.#refill();
    return this.spend(1 + bytes / BYTES_PER_UNIT);
  }

  /** What a frame costs beside being read, such as a line of the log. */
  spend(units: number): boolean {
    this.#units -= units;
    return this.#units >= 0;
  }

  #refill(): void {
    const now = this.#now();
    this.#units = Math.min(UNITS_MAX, this.#units + ((now - this.#sinceMs) / 1000) * UNITS_PER_SECOND);
    this.#sinceMs = now;
  }
}
