/**
 * Counts what of a log did not get through, and tells it a moment later, with all that is lost meanwhile: what tells it is a line
 * itself. Runs where logs are sent.
 */

/** Losses are told at most so often, and the first time soon. */
const TOLD_MS = 10_000;
const TOLD_FIRST_MS = 1000;

export class Losses {
  readonly #tell: (lost: number) => void;
  #lost = 0;
  #telling: NodeJS.Timeout | undefined;
  #hasTold = false;

  constructor(tell: (lost: number) => void) {
    this.#tell = tell;
  }

  add(lost: number): void {
    if (lost === 0) return;
    this.#lost += lost;
    this.#telling ??= setTimeout(() => this.#told(), this.#hasTold ? TOLD_MS : TOLD_FIRST_MS).unref();
  }

  /** Nothing is told any more. */
  end(): void {
    clearTimeout(this.#telling);
  }

  #told(): void {
    const lost = this.#lost;
    this.#telling = undefined;
    this.#hasTold = true;
    this.#lost = 0;
    this.#tell(lost);
  }
}
