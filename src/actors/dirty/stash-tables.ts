/**
 * The stash's memory: entries, their times and what they weigh. Pure; lives in the dirty arbiter. It makes every change
 * it is told and refuses none; what may be refused is `stash.ts`'s to know.
 */
import type { Change } from './stash-change.ts';
import { type Expiry, ExpiryHeap } from './stash-expiry.ts';

/** What an entry or a table costs beside its bytes, about. */
export const ENTRY_OVERHEAD_BYTES = 256;
export const TABLE_OVERHEAD_BYTES = 512;

export interface StashEntry {
  /** Not to be changed. */
  readonly value: Buffer;
  readonly version: number;
  /** On the clock of `nowMs`; 0: never. */
  readonly expiresAtMs: number;
}

/**
 * An entry as it is kept. A small value is a text of one byte a character: it costs half the memory of a typed array
 * and half the time to make, and to collect.
 */
interface Kept {
  readonly value: string | Uint8Array;
  readonly version: number;
  readonly expiresAtMs: number;
}

export interface StashTable {
  readonly entries: Map<string, Kept>;
  bytes: number;
}

/** A value of more bytes is a typed array. */
const SMALL_BYTES_MAX = 2048;

export class StashTables {
  readonly #nowMs: () => number;
  readonly #tables = new Map<string, StashTable>();
  readonly #expiries = new ExpiryHeap();
  /** Entries with a time. */
  #timed = 0;
  #bytes = 0;
  #version = 0;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Keys, values and overhead of all tables. */
  get bytes(): number {
    return this.#bytes;
  }

  get entries(): number {
    let count = 0;
    for (const { entries } of this.#tables.values()) count += entries.size;
    return count;
  }

  /** The newest version ever given. */
  get version(): number {
    return this.#version;
  }

  get names(): string[] {
    return [...this.#tables.keys()];
  }

  /** May hold entries that are due: sweep first, where that matters. */
  table(name: string): StashTable | undefined {
    return this.#tables.get(name);
  }

  /** The entry, unless it is due. */
  find(table: string, key: string): StashEntry | undefined {
    const entry = this.#tables.get(table)?.entries.get(key);
    if (!entry) return undefined;
    if (!isDue(entry, this.#nowMs())) return opened(entry);
    // No record of it is needed: whoever replays the record finds it due as well.
    this.#remove(table, key);
    return undefined;
  }

  /** Frees what is due; looks at no more than `max` times, and tells how many. */
  sweep(max: number): number {
    const nowMs = this.#nowMs();
    let looked = 0;
    for (; looked < max; looked++) {
      const due = this.#expiries.takeDue(nowMs);
      if (!due) break;
      if (this.#isOf(due)) this.#remove(due.table, due.key);
    }
    return looked;
  }

  /** How many bytes more a change would make of it; negative for less. */
  growth(change: Change): number {
    if (change.type !== 'set' && change.type !== 'ensure') return 0;
    const table = this.#tables.get(change.table);
    const forTable = table ? 0 : tableBytes(change.table);
    if (change.type === 'ensure') return forTable;
    const before = table?.entries.get(change.key);
    const less = before ? entryBytes(change.key, sizeOf(before)) : 0;
    return forTable + entryBytes(change.key, change.value.byteLength) - less;
  }

  /** All that lives, as the changes that would make it. */
  *changes(): Generator<Change> {
    const nowMs = this.#nowMs();
    yield { type: 'version', version: this.#version };
    for (const [table, { entries }] of this.#tables) {
      yield { type: 'ensure', table };
      for (const [key, entry] of entries)
        if (!isDue(entry, nowMs)) yield { type: 'set', table, key, ...opened(entry) };
    }
  }

  apply(change: Change): void {
    switch (change.type) {
      case 'set':
        return this.#set(change);
      case 'delete':
        return this.#remove(change.table, change.key);
      case 'ensure':
        this.#made(change.table);
        return;
      case 'clear':
        return this.#empty(change.table);
      case 'deleteTable':
        this.#empty(change.table);
        if (this.#tables.delete(change.table)) this.#bytes -= tableBytes(change.table);
        return;
      case 'version':
        this.#version = Math.max(this.#version, change.version);
    }
  }

  #set({ table: name, key, version, expiresAtMs, value }: Change & { type: 'set' }): void {
    this.#remove(name, key);
    const table = this.#made(name);
    // A copy: what came is a piece of a frame or of a file, which it would keep in memory whole.
    table.entries.set(key, { value: kept(value), version, expiresAtMs });
    this.#weigh(table, entryBytes(key, value.byteLength));
    this.#version = Math.max(this.#version, version);
    if (expiresAtMs === 0) return;
    this.#timed++;
    this.#expiries.push({ atMs: expiresAtMs, table: name, key, version });
  }

  #remove(name: string, key: string): void {
    const table = this.#tables.get(name);
    const entry = table?.entries.get(key);
    if (!table || !entry) return;
    table.entries.delete(key);
    this.#weigh(table, -entryBytes(key, sizeOf(entry)));
    if (entry.expiresAtMs !== 0) this.#untime(1);
  }

  #empty(name: string): void {
    const table = this.#tables.get(name);
    if (!table) return;
    const timed = [...table.entries.values()].filter((entry) => entry.expiresAtMs !== 0).length;
    table.entries.clear();
    this.#weigh(table, tableBytes(name) - table.bytes);
    if (timed > 0) this.#untime(timed);
  }

  /** Their times are remains now. */
  #untime(count: number): void {
    this.#timed -= count;
    this.#expiries.tidy(this.#timed, (item) => this.#isOf(item));
  }

  #isOf({ table, key, version }: Expiry): boolean {
    return this.#tables.get(table)?.entries.get(key)?.version === version;
  }

  #made(name: string): StashTable {
    let table = this.#tables.get(name);
    if (table) return table;
    table = { entries: new Map(), bytes: 0 };
    this.#tables.set(name, table);
    this.#weigh(table, tableBytes(name));
    return table;
  }

  #weigh(table: StashTable, bytes: number): void {
    table.bytes += bytes;
    this.#bytes += bytes;
  }
}

const kept = (value: Uint8Array): string | Uint8Array =>
  value.byteLength <= SMALL_BYTES_MAX ? view(value).toString('latin1') : new Uint8Array(value);

const opened = ({ value, version, expiresAtMs }: Kept): StashEntry => ({
  value: typeof value === 'string' ? Buffer.from(value, 'latin1') : view(value),
  version,
  expiresAtMs,
});

const view = ({ buffer, byteOffset, byteLength }: Uint8Array): Buffer =>
  Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength);

const sizeOf = ({ value }: Kept): number => value.length;

const isDue = (entry: Kept, nowMs: number): boolean => entry.expiresAtMs !== 0 && entry.expiresAtMs <= nowMs;

const tableBytes = (name: string): number => Buffer.byteLength(name) + TABLE_OVERHEAD_BYTES;

const entryBytes = (key: string, valueBytes: number): number =>
  Buffer.byteLength(key) + valueBytes + ENTRY_OVERHEAD_BYTES;
