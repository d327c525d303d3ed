/**
 * What happens to a caller that asks and does not read: its workers' answers must not fill the router. Runs in the
 * dirty arbiter. Above the bound neither it nor the workers that answer it are read; when it reads again all go on,
 * and one that reads nothing at all for too long is cut off, lest it hold up workers that others wait for.
 */
import type { Buffer } from 'node:buffer';
import type { Caller } from './router-callers.ts';
import type { Worker } from './router-workers.ts';

export class Backpressure {
  readonly #congested = new Set<Caller>();
  readonly #bytesMax: number;
  readonly #patienceMs: number;
  readonly #now: () => number;

  /** `bytesMax` may wait for one caller; one that reads none of it for `patienceMs` is cut off. */
  constructor(bytesMax: number, patienceMs: number, now: () => number) {
    this.#bytesMax = bytesMax;
    this.#patienceMs = patienceMs;
    this.#now = now;
  }

  get isIdle(): boolean {
    return this.#congested.size === 0;
  }

  /** Sends to a caller what a worker, or the router itself, has for it. */
  send(caller: Caller, frame: Buffer, more: readonly Buffer[], worker?: Worker): void {
    caller.channel.send(frame, more);
    if (caller.channel.queuedBytes <= this.#bytesMax || caller.channel.ended) return;
    if (caller.congestedMs === undefined) {
      caller.congestedMs = this.#now();
      caller.congestedBytes = caller.channel.queuedBytes;
      this.#congested.add(caller);
      caller.channel.pause();
    }
    if (!worker?.channel) return;
    caller.holds.add(worker);
    worker.heldBy.add(caller);
    worker.channel.pause();
  }

  /** It has read enough, or is gone. */
  release(caller: Caller): void {
    if (caller.congestedMs === undefined) return;
    caller.congestedMs = undefined;
    this.#congested.delete(caller);
    for (const worker of caller.holds) {
      worker.heldBy.delete(caller);
      if (worker.heldBy.size === 0) worker.channel?.resume();
    }
    caller.holds.clear();
    if (!caller.channel.ended) caller.channel.resume();
  }

  sweep(): void {
    for (const caller of [...this.#congested]) {
      const { queuedBytes } = caller.channel;
      if (queuedBytes <= this.#bytesMax / 2) this.release(caller);
      else if (queuedBytes < caller.congestedBytes) {
        caller.congestedBytes = queuedBytes;
        caller.congestedMs = this.#now();
      } else if (this.#now() - caller.congestedMs! > this.#patienceMs)
        caller.channel.close(`it has not read ${queuedBytes} bytes for ${this.#patienceMs} ms`);
    }
  }
}
