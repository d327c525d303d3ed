/**
 * What becomes of a worker in which a call goes on that nobody waits for any more. Runs in the dirty arbiter.
 *
 * 1. A call has the grace to end after its deadline, or after it was cancelled; an action that hears of it costs nothing.
 * 2. One that keeps its slot beyond that costs its worker: at once where it overran its deadline, and after a cancellation only
 *    when the slot is wanted, by a call that waits or because the worker leaves.
 * 3. First the worker gets no more calls, and the others that run in it have the grace once more. Then it is stuck.
 * 4. Where the call ends meanwhile the worker serves on, as if nothing had been.
 */
import type { Call } from './router-calls.ts';
import type { Worker } from './router-workers.ts';

export interface OverrunOptions {
  /** How long a worker may take to end a call that is not wanted, and then the others in it. */
  readonly graceMs: number;
  /** The worker has to be replaced. Said once. */
  stuck(age: number, why: string): void;
  notice?: ((text: string) => void) | undefined;
}

export class Overruns {
  readonly #options: OverrunOptions;

  constructor(options: OverrunOptions) {
    this.#options = options;
  }

  /** Looks at a call that was abandoned. */
  look(call: Call, now: number): void {
    const worker = call.worker!;
    if (worker.isStuck) return;
    // It may have answered: what it says is not read while a caller of others in it does not read.
    if (worker.heldBy.size > 0) call.abandonedMs = now;
    if (!this.#isOverdue(call, now)) return;
    if (worker.shunnedMs === undefined) {
      if (call.abandonedFor === 'cancelled' && !isWanted(worker)) return;
      this.#shun(worker, call, now);
    }
    const others = this.#others(worker, now);
    if (others > 0 && now - worker.shunnedMs! <= this.#options.graceMs) return;
    worker.isStuck = true;
    const cut = others > 0 ? `; ${calls(others)} in it did not end within ${this.#options.graceMs} ms` : '';
    this.#options.stuck(worker.age, `${why(call, now)}${cut}`);
  }

  /** Something has ended in it: whether a worker that got no more calls may have some again. */
  isOver(worker: Worker, now: number): boolean {
    if (worker.shunnedMs === undefined || worker.isStuck) return false;
    for (const call of worker.running.values()) if (this.#isOverdue(call, now)) return false;
    worker.shunnedMs = undefined;
    return true;
  }

  #isOverdue(call: Call, now: number): boolean {
    return call.state === 'abandoned' && now - call.abandonedMs > this.#options.graceMs;
  }

  #shun(worker: Worker, call: Call, now: number): void {
    worker.shunnedMs = now;
    for (const app of worker.apps) app.workers.delete(worker);
    const others = this.#others(worker, now);
    if (others === 0) return;
    this.#options.notice?.(
      `dirty worker ${worker.age} gets no more calls: ${why(call, now)}; ${calls(others)} in it may end within ${this.#options.graceMs} ms`,
    );
  }

  /** Calls that end with the worker, and may yet end by themselves. */
  #others(worker: Worker, now: number): number {
    let others = 0;
    for (const call of worker.running.values()) if (!this.#isOverdue(call, now)) others++;
    return others;
  }
}

/** Whether there is somebody who waits for what the call keeps. */
const isWanted = (worker: Worker): boolean =>
  worker.isLeaving || worker.apps.some(({ queued }) => queued > 0);

const calls = (count: number): string => (count === 1 ? '1 other call' : `${count} other calls`);

function why(call: Call, now: number): string {
  const ms = Math.round(now - call.abandonedMs);
  const since =
    call.abandonedFor === 'overdue' ? 'its deadline has passed' : 'it was cancelled, and its place is wanted';
  return `a call of ${call.app.importPath} runs on ${ms} ms after ${since}`;
}
