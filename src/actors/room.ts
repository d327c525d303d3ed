/**
 * How many connections a web worker takes (`--worker-connections`). Runs in the worker, on the data plane: a connection costs two
 * comparisons, and a request nothing.
 *
 * A worker that is full stops accepting in the same turn in which the last connection came, in the middle of a burst too, so that it
 * never has more than its number. What is beyond that goes to other workers, or waits in the kernel's queue. It accepts again when a
 * tenth has left, at least one, and not more than forty times a second: each time takes a copy of its descriptors.
 */
import type { Acceptor } from './acceptor.ts';
import type { Crowd } from './connections.ts';
import { toFault } from './fault-error.ts';
import type { Notice } from './supervised.ts';

/** The share of its connections with which a full worker accepts again. */
const LOW_SHARE = 0.9;
/** Between two times that it begins to accept. */
const OPEN_GAP_MS = 25;
/** Where it could not pause, it tries again no sooner. */
const RETRY_MS = 5_000;

type Gate = Pick<Acceptor, 'pause' | 'resume' | 'refill' | 'prepare'>;

/** Never rejects: where there are no copies, they are asked for again once it is full. */
export async function prepareRoom(gate: Gate, notice: Notice): Promise<void> {
  try {
    await gate.prepare();
  } catch (error) {
    notice('warn', `--worker-connections may be exceeded: ${toFault(error, 'worker.cannotPause').message}`);
  }
}

export class Room implements Crowd {
  readonly #max: number;
  readonly #low: number;
  readonly #gate: Gate;
  readonly #notice: Notice;
  #connections = 0;
  #isFull = false;
  #isTold = false;
  #isOver = false;
  /** The copies are being replenished. */
  #refilling: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isOpening = false;
  #openedMs = Number.NEGATIVE_INFINITY;
  #retryMs = 0;

  constructor(max: number, gate: Gate, notice: Notice) {
    this.#max = max;
    this.#low = Math.min(Math.floor(max * LOW_SHARE), max - 1);
    this.#gate = gate;
    this.#notice = notice;
  }

  get isFull(): boolean {
    return this.#isFull && !this.#isOver;
  }

  entered(connections: number): void {
    this.#connections = connections;
    if (connections >= this.#max && !this.#isFull && !this.#isOver) this.#shut();
  }

  left(connections: number): void {
    this.#connections = connections;
    if (this.#isFull && connections <= this.#low) this.#openSoon();
  }

  /** The worker leaves: it does not wait for room. */
  end(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
  }

  #shut(): void {
    if (performance.now() < this.#retryMs) return;
    this.#isFull = true;
    if (!this.#isTold)
      this.#notice(
        'info',
        `full: it has as many connections as it may (${this.#max}), and accepts no more until some have closed`,
      );
    this.#isTold = true;
    this.#gate.pause('full').then(
      (isPaused) => isPaused && this.#refill(),
      (error) => this.#failed(error),
    );
  }

  #refill(): void {
    this.#refilling ??= this.#gate
      .refill()
      .catch((error) => this.#complain(error))
      .finally(() => {
        this.#refilling = undefined;
      });
  }

  #openSoon(): void {
    if (this.#isOpening || this.#isOver) return;
    this.#isOpening = true;
    const waitMs = this.#openedMs + OPEN_GAP_MS - performance.now();
    if (waitMs > 0) this.#timer = setTimeout(() => void this.#open(), waitMs).unref();
    else void this.#open();
  }

  async #open(): Promise<void> {
    await this.#refilling;
    this.#isOpening = false;
    // Where it could not pause, more may have come meanwhile.
    if (this.#isOver || this.#connections > this.#low) return;
    this.#openedMs = performance.now();
    this.#isFull = false;
    this.#gate.resume('full');
  }

  #failed(error: unknown): void {
    this.#retryMs = performance.now() + RETRY_MS;
    this.#isFull = false;
    this.#complain(error);
  }

  #complain(error: unknown): void {
    if (this.#isOver) return;
    this.#notice(
      'warn',
      `--worker-connections may be exceeded: ${toFault(error, 'worker.cannotPause').message}`,
    );
  }
}
