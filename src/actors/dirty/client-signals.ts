/**
 * What ends calls early from outside: one listener for each signal, however many calls there are under it, since many calls of one
 * request share its signal, and more than ten listeners of one are taken for a leak. Runs where calls are made.
 */

export class Signals<T> {
  readonly #aborted: (entry: T, signal: AbortSignal) => void;
  readonly #under = new WeakMap<AbortSignal, { entries: Set<T>; listener: () => void }>();

  /** `aborted` is told of each entry under a signal that was aborted, in the order in which they came. */
  constructor(aborted: (entry: T, signal: AbortSignal) => void) {
    this.#aborted = aborted;
  }

  add(entry: T, signal: AbortSignal): void {
    const known = this.#under.get(signal);
    if (known) return void known.entries.add(entry);
    const entries = new Set([entry]);
    const listener = (): void => {
      this.#under.delete(signal);
      for (const each of [...entries]) this.#aborted(each, signal);
    };
    this.#under.set(signal, { entries, listener });
    signal.addEventListener('abort', listener, { once: true });
  }

  remove(entry: T, signal: AbortSignal): void {
    const known = this.#under.get(signal);
    if (!known?.entries.delete(entry) || known.entries.size > 0) return;
    this.#under.delete(signal);
    signal.removeEventListener('abort', known.listener);
  }
}
