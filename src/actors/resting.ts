/**
 * Accepts nothing new for as long as the arbiter wants (`worker.rest`), as an operator's pause does. Runs in web workers.
 *
 * Nothing is said of it but in heartbeats: it comes and goes with the load. One that cannot rest accepts on, which harms nobody.
 */
import type { Acceptor } from './acceptor.ts';
import { toFault } from './fault-error.ts';
import type { Notice } from './supervised.ts';

type Gate = Pick<Acceptor, 'pause' | 'resume' | 'refill'>;

export class Resting {
  readonly #gate: Gate;
  readonly #notice: Notice;
  #isResting = false;
  #isTold = false;

  constructor(gate: Gate, notice: Notice) {
    this.#gate = gate;
    this.#notice = notice;
  }

  get isResting(): boolean {
    return this.#isResting;
  }

  /** Resolves once it rests, or cannot, or was woken before. Never rejects. */
  async rest(): Promise<void> {
    try {
      this.#isResting = await this.#gate.pause('rest');
      // Whoever takes a copy leaves one for a worker that must stop in the middle of a burst.
      if (this.#isResting) await this.#gate.refill();
    } catch (error) {
      if (this.#isTold) return;
      this.#isTold = true;
      this.#notice('warn', `cannot rest from accepting: ${toFault(error, 'worker.cannotPause').message}`);
    }
  }

  wake(): void {
    this.#isResting = false;
    this.#gate.resume('rest');
  }
}
