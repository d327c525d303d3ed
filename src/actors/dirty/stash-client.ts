/**
 * The stash as an app sees it: `stash.put('sessions', id, session)`. Runs in web workers and dirty workers. Values are
 * packed and unpacked here; how a request comes to the dirty arbiter and back is somebody else's.
 */
import { DirtyError } from './errors.ts';
import { pack, unpack } from './packing.ts';
import type { TableInfo } from './stash.ts';
import type { Life } from './stash-change.ts';
import { StashError, stashErrorOf } from './stash-errors.ts';
import { checkKey, checkTable, shown } from './stash-names.ts';

export { StashError, StashFullError } from './stash-errors.ts';
export type { TableInfo };

export interface StashWrite {
  /** How many milliseconds the entry lives; default: for ever. */
  ttlMs?: number | undefined;
}

/** All reject with StashError, and with DirtyConnectionError where there is no dirty arbiter. */
export interface StashClient {
  /** Rejects with StashFullError where it does not fit. */
  put(table: string, key: string, value: unknown, options?: StashWrite): Promise<void>;
  /** The fallback where there is none. */
  get<T = unknown>(table: string, key: string): Promise<T | undefined>;
  get<T = unknown, F = T>(table: string, key: string, fallback: F): Promise<T | F>;
  getWithVersion<T = unknown>(table: string, key: string): Promise<{ value: T; version: number } | undefined>;
  /** Puts it if it still has that version, 0 meaning that there is none; whether it did. */
  compareAndSet(
    table: string,
    key: string,
    version: number,
    value: unknown,
    options?: StashWrite,
  ): Promise<boolean>;
  /**
   * Puts what `change` makes of the value, and gives it; `change` is called again when somebody was faster. Without
   * `ttlMs` the entry keeps the time it has. Rejects with code `STASH_CONFLICT` when others were faster too often.
   */
  update<T = unknown>(
    table: string,
    key: string,
    change: (value: T | undefined) => T | Promise<T>,
    options?: StashWrite,
  ): Promise<T>;
  /** The new number. `ttlMs` is for a key that is made by it: one that is there keeps its time. */
  increment(table: string, key: string, by?: number, options?: StashWrite): Promise<number>;
  /** Whether it was there. */
  delete(table: string, key: string): Promise<boolean>;
  exists(table: string, key: string): Promise<boolean>;
  /** In no order. A pattern knows `*`, `?`, `[a-z]` and `[!a-z]`. */
  keys(table: string, glob?: string): Promise<string[]>;
  /** How many there were. */
  clear(table: string): Promise<number>;
  /** Makes the table, if there is none; whether it did. */
  ensure(table: string): Promise<boolean>;
  /** Whether it was there. */
  deleteTable(table: string): Promise<boolean>;
  tables(): Promise<string[]>;
  /** Undefined where there is no such table. */
  info(table: string): Promise<TableInfo | undefined>;
}

/** Tries of one update. Each one lost is one that somebody else has won. */
const TRIES_MAX = 32;
/** After so many the next ones wait a little, up to so long, lest the same ones meet again and again. */
const TRIES_AT_ONCE = 3;
const WAIT_MS_MAX = 50;

/** `request` takes a `stash` frame's payload and gives the result's; it rejects with the error's DirtyError. */
export function createStashClient(request: (payload: Buffer) => Promise<Buffer>): StashClient {
  const ask = async <T>(operation: string, ...args: unknown[]): Promise<T> => {
    let answer: Buffer;
    try {
      answer = await request(pack([operation, ...args], `stash.${operation}`));
    } catch (error) {
      throw (error instanceof DirtyError && stashErrorOf(error.code, error.message)) || error;
    }
    return unpack(answer) as T;
  };
  const of = async <T>(operation: string, table: string, key: string, ...args: unknown[]): Promise<T> => {
    checkTable(table);
    checkKey(key);
    return ask<T>(operation, table, key, ...args);
  };
  const ofTable = async <T>(operation: string, table: string, ...args: unknown[]): Promise<T> => {
    checkTable(table);
    return ask<T>(operation, table, ...args);
  };
  const find = async <T>(table: string, key: string): Promise<{ value: T; version: number } | undefined> => {
    const found = await of<[Buffer, number] | undefined>('get', table, key);
    return found && { value: unpack(found[0]) as T, version: found[1] };
  };
  return {
    async put(table, key, value, options) {
      await of('put', table, key, pack(value), lifeOf(options));
    },
    async get<T>(table: string, key: string, fallback?: unknown) {
      const found = await find<T>(table, key);
      return found ? found.value : (fallback as T);
    },
    getWithVersion: find,
    compareAndSet: async (table, key, version, value, options) =>
      of('compareAndSet', table, key, version, pack(value), lifeOf(options)),
    async update<T>(
      table: string,
      key: string,
      change: (value: T | undefined) => T | Promise<T>,
      options?: StashWrite,
    ) {
      const life = lifeOf(options, 'kept');
      for (let tried = 0; tried < TRIES_MAX; tried++) {
        if (tried >= TRIES_AT_ONCE) await pause(Math.min(2 ** tried, WAIT_MS_MAX) * Math.random());
        const found = await find<T>(table, key);
        const value = await change(found?.value);
        if (await of('compareAndSet', table, key, found?.version ?? 0, pack(value), life)) return value;
      }
      throw new StashError(
        'STASH_CONFLICT',
        `"${key}" in "${table}" was changed by others during each of ${TRIES_MAX} tries to update it`,
      );
    },
    increment: async (table, key, by = 1, options) => of('increment', table, key, by, lifeOf(options)),
    delete: (table, key) => of('delete', table, key),
    exists: (table, key) => of('exists', table, key),
    keys: (table, glob = '*') => ofTable('keys', table, glob),
    clear: (table) => ofTable('clear', table),
    ensure: (table) => ofTable('ensure', table),
    deleteTable: (table) => ofTable('deleteTable', table),
    tables: () => ask('tables'),
    info: (table) => ofTable('info', table),
  };
}

function lifeOf(options: StashWrite | undefined, without: Life = 'forever'): Life {
  if (options !== undefined && (typeof options !== 'object' || options === null))
    throw new StashError('STASH_ARGUMENT', `options are { ttlMs }, not ${shown(options)}`);
  return options?.ttlMs ?? without;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
