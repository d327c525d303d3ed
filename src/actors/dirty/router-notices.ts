/**
 * What the router tells the log of connections that it cut. Runs in the dirty arbiter. A peer that comes again and again must not
 * fill the log: what was told is only counted for a while, and then told once more with its number.
 */

/** How long the same is not told again. */
const QUIET_MS = 60_000;
/** Reasons that are kept apart; others are counted together. */
const REASONS_MAX = 50;
const VARIOUS = 'for various reasons';

export class Notices {
  readonly #tell: (text: string) => void;
  readonly #now: () => number;
  readonly #told = new Map<string, { sinceMs: number; again: number }>();

  constructor(tell: (text: string) => void, now: () => number) {
    this.#tell = tell;
    this.#now = now;
  }

  cut(why: string): void {
    this.sweep();
    const reason = this.#told.has(why) || this.#told.size < REASONS_MAX ? why : VARIOUS;
    const told = this.#told.get(reason);
    if (told) return void told.again++;
    this.#told.set(reason, { sinceMs: this.#now(), again: 0 });
    this.#tell(`a connection was cut: ${reason}`);
  }

  /** Whether nothing is counted that is still to be told. */
  get isIdle(): boolean {
    for (const { again } of this.#told.values()) if (again > 0) return false;
    return true;
  }

  sweep(): void {
    const now = this.#now();
    for (const [reason, { sinceMs, again }] of [...this.#told]) {
      if (now - sinceMs < QUIET_MS) continue;
      this.#told.delete(reason);
      if (again === 0) continue;
      const those = again === 1 ? '1 more connection was' : `${again} more connections were`;
      this.#tell(`${those} cut within ${QUIET_MS / 1000} s: ${reason}`);
      // It may go on, and has just been told.
      this.#told.set(reason, { sinceMs: now, again: 0 });
    }
  }
}
