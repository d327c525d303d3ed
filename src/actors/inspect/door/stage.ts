/** What a door of the inspector opens to: a server that runs, one that is watched from afar, or a recording. */
import type { Watcher } from '../watchers.ts';

export interface WatchOptions {
  /** Whether the watcher is told that it may send commands. */
  controls: boolean;
  /** `now`: without the recent past. */
  from: 'past' | 'now';
}

export interface Stage {
  /** Whether no more may watch. */
  readonly isFull: boolean;
  /** Begins to tell `watcher`; what is returned ends it. Not while it is full. */
  watch(watcher: Watcher, options: WatchOptions): () => void;
  /** What is kept of the recent past, as messages. */
  recording(): AsyncIterable<string> | Iterable<string>;
  /** Carries out a control command; rejects with an error whose message is for the one who sent it. */
  command(words: readonly string[]): Promise<object>;
}
