/**
 * Who started whom: hangs each process, and the root of its actors, under the child machine that supervises it, and knows whose
 * end ends others. Runs where the hub does.
 */
import type { Told, ToldProcess } from './records.ts';

export class Family {
  /** The child machine that supervises each process. */
  readonly #parents = new Map<number, string>();
  /** Processes of which this is not known yet: the machine hears of its process a moment after it is there. */
  readonly #orphans = new Map<number, ToldProcess>();
  /** Processes by those who start them, as far as they are not the arbiter's own. */
  readonly #below = new Map<number, Set<number>>();
  readonly #tell: (record: Told) => void;

  /** `tell` is called with what can be told, at once or later. */
  constructor(tell: (record: Told) => void) {
    this.#tell = tell;
  }

  /** A process was born; one of unknown parents waits for them, or for its first word. */
  begin(process: Omit<ToldProcess, 'parent'>): void {
    const parent = this.#parents.get(process.pid) ?? null;
    if (parent === null && process.process !== 'arbiter')
      this.#orphans.set(process.pid, { ...process, parent });
    else this.#tell({ ...process, parent });
  }

  /** One that was started by `parent`. */
  beginBelow(parent: number, process: Omit<ToldProcess, 'parent'>): void {
    const known = this.#below.get(parent) ?? new Set();
    this.#below.set(parent, known.add(process.pid));
    this.begin(process);
  }

  /** Tells of a process as well as it can now. */
  release(pid: number): void {
    const process = this.#orphans.get(pid);
    if (!process) return;
    this.#orphans.delete(pid);
    this.#tell({ ...process, parent: this.#parents.get(pid) ?? null });
  }

  /** The root of a process's actors, under the machine that supervises the process. */
  hung<T extends Told & { t: 'actor' }>(root: T): T {
    return { ...root, parent: this.#parents.get(root.pid) ?? null };
  }

  /** Learns from what is being told: to be called with each record, before it is put down. */
  before(record: Told): void {
    if (record.t !== 'actor' && record.t !== 'step') return;
    const { about } = record;
    if (about && about.pid > 0) this.#parents.set(about.pid, record.id);
  }

  /** And after it. */
  after(record: Told): void {
    if (record.t === 'actor' || record.t === 'step') this.release(record.about?.pid ?? 0);
    if (record.t === 'ended') this.#forget(record);
  }

  clear(): void {
    this.#parents.clear();
    this.#orphans.clear();
    this.#below.clear();
  }

  /** Who told of it cannot tell any more that those below it have ended. */
  #forget({ pid, at }: { pid: number; at: number }): void {
    this.#parents.delete(pid);
    this.#orphans.delete(pid);
    const below = this.#below.get(pid);
    this.#below.delete(pid);
    for (const one of below ?? []) this.#tell({ t: 'ended', at, pid: one });
    for (const others of this.#below.values()) others.delete(pid);
  }
}
