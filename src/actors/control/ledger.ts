/**
 * What no machine needs to know and an operator asks for: counters since the start, and when each worker was started
 * and became ready. Runs in the arbiter, fed by the inspection of its machines; nothing depends on it.
 */
import { performance } from 'node:perf_hooks';
import type { InspectionEvent } from 'xstate';
import type { ChildContext } from '../../machines/child.ts';
import type { ChildReport, LeavingCause } from '../../machines/events/child.ts';

/** A worker's dates, on the monotonic clock in milliseconds. */
export interface Dates {
  spawnedMs: number;
  readyMs?: number;
  /** It was counted as told to leave. */
  leaves?: true;
}

/** So many workers that are gone are remembered by their pid. */
const GONE_MAX = 1000;

/** Why Kirin itself let a worker go, or killed it. */
const BY_KIRIN: ReadonlySet<string> = new Set<LeavingCause>(['ordered', 'hung', 'bootTimeout', 'linkBroken']);

export class Ledger {
  readonly startedMs = performance.now();
  /** Worker processes started so far. */
  spawned = 0;
  /** Workers that were told to leave, or were killed for hanging or not booting. */
  killed = 0;
  /** Reloads that were asked for. */
  reloads = 0;
  readonly #dates = new Map<number, Dates>();
  readonly #gone = new Set<number>();

  datesOf(age: number): Dates | undefined {
    return this.#dates.get(age);
  }

  /** Whether a worker of this pid has ended lately. */
  isGone(pid: number): boolean {
    return this.#gone.has(pid);
  }

  /** To be called with every inspection event of the arbiter's system. */
  note(inspection: InspectionEvent): void {
    if (inspection.type !== '@xstate.microstep') return;
    const { type } = inspection.event;
    const { context } = inspection.snapshot as unknown as { context?: Partial<ChildContext> };
    // Those of the dirty tree are counted there.
    if (context?.title !== undefined && context.title !== 'worker') return;
    if (type === 'arbiter.reload') this.reloads++;
    else if (type === 'child.leaving')
      this.#noteLeaving(inspection.event as Extract<ChildReport, { type: 'child.leaving' }>);
    else if (type === 'process.spawned' || type === 'worker.ready' || type === 'process.exited')
      this.#noteChild(type, (inspection.snapshot as unknown as { context: ChildContext }).context);
  }

  /** A worker that is told twice, or killed in the end, counts once. */
  #noteLeaving({ age, cause }: Extract<ChildReport, { type: 'child.leaving' }>): void {
    const dates = this.#dates.get(age);
    if (!dates || dates.leaves || !BY_KIRIN.has(cause)) return;
    dates.leaves = true;
    this.killed++;
  }

  #noteChild(type: string, { age, pid, phase }: ChildContext): void {
    if (type === 'process.spawned') {
      this.spawned++;
      this.#gone.delete(pid);
      this.#dates.set(age, { spawnedMs: performance.now() });
    } else if (type === 'worker.ready') {
      const dates = this.#dates.get(age);
      if (dates && phase === 'ready') dates.readyMs ??= performance.now();
    } else {
      this.#dates.delete(age);
      this.#gone.add(pid);
      const [oldest] = this.#gone;
      if (this.#gone.size > GONE_MAX && oldest !== undefined) this.#gone.delete(oldest);
    }
  }
}
