/**
 * The stash: tables of keys and values that all workers share. Pure: no I/O, and the time is given; lives in the dirty
 * arbiter. Values are kept as the bytes they came in, and only numbers are ever looked into, to count.
 *
 * A change is worked out first, then recorded (`record`, which may refuse it by throwing), then made: memory never
 * holds what the record does not.
 */
import type { Change, Life } from './stash-change.ts';
import { StashError, StashFullError } from './stash-errors.ts';
import { GLOB_LENGTH_MAX, globMatcher } from './stash-glob.ts';
import { checkKey, checkTable, shown } from './stash-names.ts';
import { type StashEntry, StashTables } from './stash-tables.ts';

/** Times that one change may look at; what is due is not seen any more, swept or not. */
const SWEEP_MAX = 64;
const ALL = Number.POSITIVE_INFINITY;

export interface StashOptions {
  /** Keys, packed values and overhead together. */
  bytesMax: number;
  nowMs(): number;
  /** The packing of numbers, for `increment`; `unpack` gives undefined for what is no number. */
  numbers: { pack(value: number): Uint8Array; unpack(bytes: Buffer): number | undefined };
  /** Takes a change before it is made; throws where it must not be made. */
  record?(change: Change): void;
}

export interface TableInfo {
  keys: number;
  bytes: number;
  /** Of all tables. */
  stashBytes: number;
  stashBytesMax: number;
}

export interface StashTotals {
  tables: number;
  entries: number;
  bytes: number;
  bytesMax: number;
}

/** Every method throws StashError `STASH_ARGUMENT` for names and numbers that cannot be. */
export class Stash {
  readonly #options: StashOptions;
  readonly #tables: StashTables;

  constructor(options: StashOptions) {
    this.#options = options;
    this.#tables = new StashTables(() => options.nowMs());
  }

  /** What is held, as it counts against the bound. */
  get bytes(): number {
    return this.#tables.bytes;
  }

  get(table: string, key: string): StashEntry | undefined {
    checkTable(table);
    checkKey(key);
    return this.#tables.find(table, key);
  }

  exists(table: string, key: string): boolean {
    return this.get(table, key) !== undefined;
  }

  /** The new version. Throws StashFullError. */
  put(table: string, key: string, value: Uint8Array, life: Life = 'forever'): number {
    const expiresAtMs = this.#expiresAtMs(life, this.get(table, key));
    const version = this.#tables.version + 1;
    this.#commit({ type: 'set', table, key, version, expiresAtMs, value });
    return version;
  }

  /** Puts it if the entry still has this version; 0: if there is none. Throws StashFullError. */
  compareAndSet(table: string, key: string, version: number, value: Uint8Array, life?: Life): boolean {
    if (!Number.isSafeInteger(version) || version < 0)
      throw new StashError('STASH_ARGUMENT', `a version is a whole number, not ${shown(version)}`);
    if ((this.get(table, key)?.version ?? 0) !== version) return false;
    this.put(table, key, value, life);
    return true;
  }

  /** The new number. An entry that is there keeps its time; one that is made lives as long as `life` says. */
  increment(table: string, key: string, by = 1, life: Life = 'forever'): number {
    if (typeof by !== 'number' || !Number.isFinite(by))
      throw new StashError('STASH_ARGUMENT', `a number is incremented by a number, not by ${shown(by)}`);
    const entry = this.get(table, key);
    const before = entry ? this.#options.numbers.unpack(entry.value) : 0;
    const where = `"${key}" in "${table}"`;
    if (before === undefined) throw new StashError('STASH_NOT_A_NUMBER', `${where} is no number`);
    const after = before + by;
    const whole = Number.isInteger(before) && Number.isInteger(by);
    if (!Number.isFinite(after) || (whole && !Number.isSafeInteger(after)))
      throw new StashError('STASH_NOT_A_NUMBER', `${where} would be beyond what a number can count`);
    this.put(table, key, this.#options.numbers.pack(after), entry ? 'kept' : life);
    return after;
  }

  /** Whether it was there. */
  delete(table: string, key: string): boolean {
    if (!this.exists(table, key)) return false;
    this.#commit({ type: 'delete', table, key });
    return true;
  }

  /** The keys that match, in no order. */
  keys(table: string, glob = '*'): string[] {
    checkTable(table);
    if (typeof glob !== 'string' || glob.length > GLOB_LENGTH_MAX)
      throw new StashError('STASH_ARGUMENT', `a pattern is a text of at most ${GLOB_LENGTH_MAX} characters`);
    this.#tables.sweep(ALL);
    const found = this.#tables.table(table);
    return found ? [...found.entries.keys()].filter(globMatcher(glob)) : [];
  }

  /** Removes all keys of a table and keeps the table; how many there were. */
  clear(table: string): number {
    checkTable(table);
    this.#tables.sweep(ALL);
    const count = this.#tables.table(table)?.entries.size ?? 0;
    if (count > 0) this.#commit({ type: 'clear', table });
    return count;
  }

  /** Makes the table if there is none; whether it did. Throws StashFullError. */
  ensure(table: string): boolean {
    checkTable(table);
    if (this.#tables.table(table)) return false;
    this.#commit({ type: 'ensure', table });
    return true;
  }

  /** Whether it was there. */
  deleteTable(table: string): boolean {
    checkTable(table);
    if (!this.#tables.table(table)) return false;
    this.#commit({ type: 'deleteTable', table });
    return true;
  }

  tables(): string[] {
    return this.#tables.names;
  }

  /** Undefined where there is no such table. */
  info(table: string): TableInfo | undefined {
    checkTable(table);
    this.#tables.sweep(ALL);
    const found = this.#tables.table(table);
    if (!found) return undefined;
    return {
      keys: found.entries.size,
      bytes: found.bytes,
      stashBytes: this.#tables.bytes,
      stashBytesMax: this.#options.bytesMax,
    };
  }

  /** Of all tables; what is due and not yet swept counts. */
  totals(): StashTotals {
    return {
      tables: this.#tables.names.length,
      entries: this.#tables.entries,
      bytes: this.#tables.bytes,
      bytesMax: this.#options.bytesMax,
    };
  }

  /** Frees what is due, looking at no more than `max` times; how many it looked at. */
  sweep(max: number): number {
    return this.#tables.sweep(max);
  }

  /** All that lives, as the changes that would make it. */
  changes(): Generator<Change> {
    return this.#tables.changes();
  }

  /** Makes a change that was recorded before: without a bound, and without recording it again. */
  replay(change: Change): void {
    this.#tables.apply(change);
  }

  #expiresAtMs(life: Life, before: StashEntry | undefined): number {
    if (life === 'kept') return before?.expiresAtMs ?? 0;
    if (life === 'forever') return 0;
    if (typeof life !== 'number' || !Number.isFinite(life) || life <= 0)
      throw new StashError('STASH_ARGUMENT', `ttlMs is a number of milliseconds above 0, not ${shown(life)}`);
    return this.#options.nowMs() + life;
  }

  #commit(change: Change): void {
    this.#tables.sweep(SWEEP_MAX);
    if (!this.#fits(change)) {
      this.#tables.sweep(ALL);
      if (!this.#fits(change)) throw this.#full(change);
    }
    this.#options.record?.(change);
    this.#tables.apply(change);
  }

  /** What makes it no larger always fits, even where the bound was lowered below what it holds. */
  #fits(change: Change): boolean {
    const growth = this.#tables.growth(change);
    return growth <= 0 || this.#tables.bytes + growth <= this.#options.bytesMax;
  }

  #full(change: Change): StashFullError {
    const what =
      change.type === 'set' ? `"${change.key}" in "${change.table}" needs` : 'one more table needs';
    return new StashFullError(
      `the stash is full: ${what} ${this.#tables.growth(change)} bytes, ` +
        `and ${this.#tables.bytes} of ${this.#options.bytesMax} are taken (--dirty-stash-max)`,
    );
  }
}
