/** What was ordered of the server, and what became of it. Runs in the browser. */
import { outcomeOf } from './model/answers.ts';
import type { Answer } from './model/session.ts';

const ORDERS_KEPT = 6;
/** One that was not done stays until it is dismissed. */
const ANSWER_SHOWN_MS = 10_000;

export interface Order {
  id: number;
  words: readonly string[];
  answer: Answer | null;
}

export class Orders {
  list: readonly Order[] = [];
  #id = 0;
  readonly #changed: () => void;

  constructor(changed: () => void) {
    this.#changed = changed;
  }

  /** @param send tells whether there is somebody to give it to. */
  give(words: readonly string[], send: (message: object) => boolean): void {
    const id = ++this.#id;
    this.list = [...this.list, { id, words, answer: null }].slice(-ORDERS_KEPT);
    if (!send({ type: 'command', id, words }))
      this.answered({ id, ok: false, error: 'There is no connection to the server' });
    this.#changed();
  }

  answered(answer: Answer): void {
    this.list = this.list.map((order) => (order.id === answer.id ? { ...order, answer } : order));
    if (outcomeOf(answer).done) setTimeout(() => this.dismiss(answer.id), ANSWER_SHOWN_MS);
    this.#changed();
  }

  dismiss(id: number): void {
    this.list = this.list.filter((order) => order.id !== id);
    this.#changed();
  }

  /** Nobody will answer any more. */
  giveUp(): void {
    for (const { id, answer } of this.list)
      if (!answer) this.answered({ id, ok: false, error: 'The connection was lost before an answer came' });
  }
}
