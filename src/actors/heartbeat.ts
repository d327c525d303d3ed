/**
 * The heartbeats of all children in one plain table, swept by one timer; runs in the parent. A machine is told only
 * when a child has been silent for too long. Time is monotonic, and a sweep that is itself late forgives everyone:
 * a suspended laptop is no hang.
 */
import { performance } from 'node:perf_hooks';
import type { Heartbeat } from '../machines/events/worker.ts';

/** How often the table is swept. */
const SWEEP_MS = 500;
/** A sweep that comes so much later than planned saw this process sleep, not its children. */
const LATE_MS = 1000;

export interface Pulse {
  readonly age: number;
  /** Monotonic time of the last sign of life. */
  lastMs: number;
  /** The last figures, once there are any. */
  figures: Heartbeat | null;
  /** Requests a second between the last two heartbeats; 0 until there are two. */
  requestsPerSecond: number;
  /** The same of connections accepted. */
  acceptedPerSecond: number;
}

interface Entry extends Pulse {
  timeoutMs: number;
  silent(silentMs: number): void;
  told: boolean;
}

export class HeartbeatTable {
  #entries = new Map<number, Entry>();
  #timer: NodeJS.Timeout | undefined;
  #sweptMs = 0;
  #now: () => number;

  /** `now` is replaced in tests; milliseconds, monotonic. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Watches a child from now on; `silent` is called once each time it was silent for `timeoutMs` (0: never). */
  watch(age: number, timeoutMs: number, silent: (silentMs: number) => void): void {
    this.#entries.set(age, {
      age,
      lastMs: this.#now(),
      figures: null,
      requestsPerSecond: 0,
      acceptedPerSecond: 0,
      timeoutMs,
      silent,
      told: false,
    });
    if (!this.#timer) {
      this.#sweptMs = this.#now();
      this.#timer = setInterval(() => this.sweep(), SWEEP_MS);
      this.#timer.unref();
    }
  }

  beat(age: number, figures: Heartbeat): void {
    const entry = this.#entries.get(age);
    if (!entry) return;
    const now = this.#now();
    const before = entry.figures;
    if (before && now > entry.lastMs) {
      const perSecond = 1000 / (now - entry.lastMs);
      entry.requestsPerSecond = (figures.requests - before.requests) * perSecond;
      entry.acceptedPerSecond = ((figures.accepted ?? 0) - (before.accepted ?? 0)) * perSecond;
    }
    entry.lastMs = now;
    entry.figures = figures;
    entry.told = false;
  }

  /** The silence so far does not count. */
  forgive(age: number): void {
    const entry = this.#entries.get(age);
    if (!entry) return;
    entry.lastMs = this.#now();
    entry.told = false;
  }

  forget(age: number): void {
    this.#entries.delete(age);
    if (this.#entries.size === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
  }

  /** Monotonic time now, as `lastMs` is. */
  now(): number {
    return this.#now();
  }

  /** What is known of a child, for those who show it. */
  pulse(age: number): Pulse | undefined {
    return this.#entries.get(age);
  }

  sweep(): void {
    const now = this.#now();
    const lateMs = Math.max(0, now - this.#sweptMs - SWEEP_MS);
    this.#sweptMs = now;
    for (const entry of this.#entries.values()) {
      // Time in which this process did not run, and could not have heard anything, is no silence.
      entry.lastMs = lateMs > LATE_MS ? now : Math.min(now, entry.lastMs + lateMs);
      const silentMs = now - entry.lastMs;
      if (entry.timeoutMs === 0 || entry.told || silentMs <= entry.timeoutMs) continue;
      entry.told = true;
      entry.silent(silentMs);
    }
  }
}
