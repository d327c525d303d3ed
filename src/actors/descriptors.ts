/**
 * Whether a process can still open files and sockets. Runs in workers and in arbiters.
 *
 * Where it cannot, Node accepts a connection only to close it, and says nothing: so somebody has to ask.
 */
import { closeSync, openSync } from 'node:fs';

/** Looks that must succeed in a row before it is told that descriptors are free again. */
const GOOD_LOOKS = 10;
const EXHAUSTED: ReadonlySet<string | undefined> = new Set(['EMFILE', 'ENFILE']);

/** Whether an error means that no descriptor is left, of this process or of the whole system. */
export const isExhausted = (error: unknown): boolean =>
  EXHAUSTED.has((error as NodeJS.ErrnoException | undefined)?.code);

/** Asked again and again, tells each change once: `exhausted` at once, `free` when it has lasted. */
export class DescriptorWatch {
  readonly #told: (state: 'exhausted' | 'free') => void;
  readonly #open: () => void;
  #good = GOOD_LOOKS;

  constructor(
    told: (state: 'exhausted' | 'free') => void,
    open: () => void = () => closeSync(openSync('/dev/null', 'r')),
  ) {
    this.#told = told;
    this.#open = open;
  }

  look(): void {
    if (this.#hasRoom()) {
      if (this.#good < GOOD_LOOKS && ++this.#good === GOOD_LOOKS) this.#told('free');
      return;
    }
    if (this.#good === GOOD_LOOKS) this.#told('exhausted');
    this.#good = 0;
  }

  #hasRoom(): boolean {
    try {
      this.#open();
      return true;
    } catch (error) {
      return !isExhausted(error);
    }
  }
}

let lastRssBytes = 0;

/** The resident memory of this process; what it was last where it cannot be read, since the system tells it in a file. */
export function residentBytes(): number {
  try {
    lastRssBytes = process.memoryUsage.rss();
  } catch {
    // No descriptor is left.
  }
  return lastRssBytes;
}
