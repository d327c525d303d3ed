/** A recording as what is watched: everybody reads it from its file, as fast as they can. Runs in `kirin inspect FILE`. */
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { nowMs } from '../records.ts';
import { WATCHERS_MAX, type Watcher } from '../watchers.ts';
import { messagesOf, type RecordingFacts } from './recording-file.ts';
import type { Stage } from './stage.ts';

/** How often it is looked whether a slow reader can take more. */
const POLL_MS = 20;
/** One that reads nothing for so long is cut. */
const STALL_MS = 30_000;

export class RecordedStage implements Stage {
  readonly #facts: RecordingFacts;
  #watching = 0;

  constructor(facts: RecordingFacts) {
    this.#facts = facts;
  }

  get isFull(): boolean {
    return this.#watching >= WATCHERS_MAX;
  }

  watch(watcher: Watcher): () => void {
    this.#watching++;
    let isOver = false;
    const stop = (): void => {
      if (isOver) return;
      isOver = true;
      this.#watching--;
    };
    this.#play(watcher, () => isOver).catch((error: Error) => {
      if (isOver) return;
      stop();
      watcher.end(`it could not be read: ${error.message}`);
    });
    return stop;
  }

  async *recording(): AsyncGenerator<string> {
    yield this.#hello();
    yield* messagesOf(this.#facts);
  }

  command(): Promise<object> {
    return Promise.reject(new Error('Permission denied: a recording cannot be ordered'));
  }

  #hello(): string {
    const { hello, files, from, to } = this.#facts;
    const about = {
      source: 'recording',
      control: false,
      commands: [],
      file: basename(files.at(-1)!),
      from,
      to,
    };
    return JSON.stringify({ ...hello, ...about });
  }

  async #play(watcher: Watcher, isOver: () => boolean): Promise<void> {
    watcher.send(this.#hello());
    for await (const message of messagesOf(this.#facts)) {
      for (let waitedMs = 0; watcher.unreadBytes >= watcher.unreadBytesMax; waitedMs += POLL_MS) {
        if (isOver()) return;
        if (waitedMs > STALL_MS) throw new Error(`nothing was read for ${STALL_MS / 1000} s`);
        await sleep(POLL_MS);
      }
      if (isOver()) return;
      watcher.send(message);
    }
    if (!isOver()) watcher.send(`{"type":"live","at":${nowMs()},"seq":${this.#facts.records}}`);
  }
}
