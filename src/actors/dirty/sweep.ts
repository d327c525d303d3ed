/**
 * One coarse timer for many deadlines: it runs only while there is something to watch, and costs nothing per call.
 * Runs in every process with dirty calls.
 */

/** How late a deadline may be noticed. */
export const SWEEP_MS = 50;

export class Sweep {
  #timer: NodeJS.Timeout | undefined;
  #look: () => boolean;

  /** `look` is called every `SWEEP_MS`; false stops it until it is armed again. */
  constructor(look: () => boolean) {
    this.#look = look;
  }

  arm(): void {
    if (this.#timer) return;
    this.#timer = setInterval(() => {
      if (!this.#look()) this.stop();
    }, SWEEP_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
