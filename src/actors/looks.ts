/**
 * Looks at the web workers every two seconds, for whoever spreads connections or has some rest. Runs in the arbiter, beside the
 * machines; the processors are read once a look, and only if somebody asks.
 */
import type { ProcessHooks } from './process.ts';
import type { Processors } from './processors.ts';

/** Two heartbeats: what was asked of a worker shows in its next figures. */
const LOOK_MS = 2000;

/** `areFull`: whether the processors were, since somebody asked last. */
export type Look = (areFull: () => boolean) => void;

export class Looks {
  readonly #processors: Processors;
  readonly #lookers: readonly Look[];
  readonly #linked = new Set<number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(processors: Processors, lookers: readonly Look[]) {
    this.#processors = processors;
    this.#lookers = lookers;
  }

  readonly hooks: ProcessHooks<'web'> = {
    linked: (age) => void this.#linked.add(age),
    ready: () => {
      this.#timer ??= setInterval(() => this.#look(), LOOK_MS).unref();
    },
    gone: (age) => {
      this.#linked.delete(age);
      if (this.#linked.size > 0) return;
      clearInterval(this.#timer);
      this.#timer = undefined;
    },
  };

  #look(): void {
    let answer: boolean | undefined;
    const areFull = (): boolean => {
      answer ??= this.#processors.areFull();
      return answer;
    };
    for (const look of this.#lookers) look(areFull);
  }
}
