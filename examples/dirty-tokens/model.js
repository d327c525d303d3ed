// A dirty app that streams: a language model of one paragraph, which says word after word what may come next.
import { setTimeout } from 'node:timers/promises';
import { DirtyApp } from 'kirin';

const TEXT = `The kirin is a gentle animal . It walks on grass and does not bend a blade , it walks on water and does not
make a wave . It comes when a good ruler is born and it leaves when nobody listens any more . It does not hurry and it
does not wait . When it comes the wells are full , when it leaves nobody has seen it go . A good server is a gentle
animal too . It does not hurry and it is not late .`;

export class Model extends DirtyApp {
  /** What may follow each word. */
  #following = new Map();

  init() {
    const words = TEXT.split(/\s+/);
    for (const [index, word] of words.entries()) {
      const next = words[index + 1] ?? words[0];
      this.#following.set(word, [...(this.#following.get(word) ?? []), next]);
    }
  }

  async *tokens(prompt, most = 60) {
    const asked = prompt.split(/\s+/).filter((word) => this.#following.has(word));
    let word = asked.at(-1) ?? 'The';
    for (let count = 0; count < most; count++) {
      yield word;
      const choice = this.#following.get(word);
      word = choice[Math.floor(Math.random() * choice.length)];
      // Thinking. Ends when the reader has gone.
      await setTimeout(80, undefined, { signal: this.call.signal });
    }
  }
}
