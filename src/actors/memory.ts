/**
 * The memory of all processes that have a limit, in one plain table, read by one timer. Runs in the arbiter, which asks the system
 * and not the process: one that hangs or is stopped is measured too. A machine is told only when a limit is passed.
 *
 * What is measured is the resident set, as `ps` and the kernel's out-of-memory killer count it.
 */
import { execFile } from 'node:child_process';
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import type { Fault } from '../machines/faults.ts';

const SWEEP_MS = 1000;
const PS_MS = 5000;

export interface MemoryLimits {
  /** Beyond it a process is to be replaced; 0: none. */
  softBytes: number;
  /** Beyond it a process is to be killed; 0: none. */
  hardBytes: number;
}

/** Told once of the soft limit, and of the hard one at each reading. */
export type MemoryExceeded = (limit: 'soft' | 'hard', fault: Fault) => void;

/** Reads what is resident of processes, in bytes, as far as they live. */
export interface Resident {
  read(pids: readonly number[]): Map<number, number> | Promise<Map<number, number>>;
  forget(pid: number): void;
}

interface Entry extends MemoryLimits {
  exceeded: MemoryExceeded;
  isReady: boolean;
  isTold: boolean;
}

export class MemoryTable {
  readonly #entries = new Map<number, Entry>();
  readonly #resident: Resident;
  #timer: NodeJS.Timeout | undefined;
  #isReading = false;

  constructor(resident: Resident = process.platform === 'linux' ? new ProcResident() : psResident) {
    this.#resident = resident;
  }

  /** Watches a process from now on, by its hard limit alone until it is `ready`. */
  watch(pid: number, limits: MemoryLimits, exceeded: MemoryExceeded): void {
    if (limits.softBytes === 0 && limits.hardBytes === 0) return;
    this.#entries.set(pid, { ...limits, exceeded, isReady: false, isTold: false });
    this.#timer ??= setInterval(() => void this.sweep(), SWEEP_MS).unref();
  }

  ready(pid: number): void {
    const entry = this.#entries.get(pid);
    if (entry) entry.isReady = true;
  }

  forget(pid: number): void {
    if (!this.#entries.delete(pid)) return;
    this.#resident.forget(pid);
    if (this.#entries.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  async sweep(): Promise<void> {
    if (this.#isReading) return;
    this.#isReading = true;
    try {
      const resident = await this.#resident.read([...this.#entries.keys()]);
      for (const [pid, bytes] of resident) this.#judge(pid, bytes);
    } finally {
      this.#isReading = false;
    }
  }

  #judge(pid: number, bytes: number): void {
    const entry = this.#entries.get(pid);
    if (!entry) return;
    const { softBytes, hardBytes, exceeded } = entry;
    if (hardBytes > 0 && bytes > hardBytes)
      return exceeded('hard', overweight(bytes, hardBytes, '--max-memory-hard'));
    if (softBytes === 0 || bytes <= softBytes || !entry.isReady || entry.isTold) return;
    entry.isTold = true;
    exceeded('soft', overweight(bytes, softBytes, '--max-memory'));
  }
}

const MIB = 1024 * 1024;

const overweight = (bytes: number, limitBytes: number, flag: string): Fault => ({
  code: 'worker.overweight',
  message: `it uses ${Math.ceil(bytes / MIB)}M of memory, more than ${Math.floor(limitBytes / MIB)}M (${flag})`,
});

/** Keeps the file of each process open: a reading is one call, and never of another process that has its pid by now. */
export class ProcResident implements Resident {
  readonly #files = new Map<number, number>();
  readonly #buffer = Buffer.alloc(256);

  read(pids: readonly number[]): Map<number, number> {
    const resident = new Map<number, number>();
    for (const pid of pids) {
      try {
        const length = readSync(this.#fileOf(pid), this.#buffer, 0, this.#buffer.length, 0);
        const pages = Number(this.#buffer.toString('latin1', 0, length).split(' ')[1]);
        resident.set(pid, pages * pageBytes());
      } catch {
        // It has ended, and will be forgotten; or there is no descriptor left, and the next time there may be.
      }
    }
    return resident;
  }

  forget(pid: number): void {
    const file = this.#files.get(pid);
    this.#files.delete(pid);
    if (file !== undefined) closeSync(file);
  }

  #fileOf(pid: number): number {
    const known = this.#files.get(pid);
    if (known !== undefined) return known;
    const file = openSync(`/proc/${pid}/statm`, 'r');
    this.#files.set(pid, file);
    return file;
  }
}

/** One call for all. */
export const psResident: Resident = { read: askPs, forget() {} };

function askPs(pids: readonly number[]): Promise<Map<number, number>> {
  if (pids.length === 0) return Promise.resolve(new Map());
  return new Promise((resolve) => {
    // It fails where one of them has ended, and tells of the others all the same.
    execFile('ps', ['-o', 'pid=,rss=', '-p', pids.join(',')], { timeout: PS_MS }, (_error, text) => {
      const rows = text
        .trim()
        .split('\n')
        .map((row) => row.trim().split(/\s+/).map(Number));
      resolve(new Map(rows.flatMap(([pid, kib]) => (pid && kib ? [[pid, kib * 1024]] : []))));
    });
  });
}

/** What the kernel told this process when it began: a list of pairs, of which the key 6 is the size of a page. */
const AUXV_PAGE_SIZE = 6n;
let pageSize: number | undefined;

function pageBytes(): number {
  pageSize ??= askedPageBytes();
  return pageSize;
}

function askedPageBytes(): number {
  const pairs = readFileSync('/proc/self/auxv');
  for (let at = 0; at + 16 <= pairs.length; at += 16)
    if (pairs.readBigUInt64LE(at) === AUXV_PAGE_SIZE) return Number(pairs.readBigUInt64LE(at + 8));
  return 4096;
}
