/**
 * Those who watch over a control socket, which is the main thread's: each has its place in the inspector's thread, and is told
 * through this one, as fast as it reads. Runs in the arbiter's main thread.
 */
import type { WatchOptions } from '../door/stage.ts';
import type { Watcher } from '../watchers.ts';
import type { ToThread } from './words.ts';

/** How often it is looked who has read. */
const LOOK_MS = 100;

interface Far {
  watcher: Watcher;
  /** What it was told and the other thread does not know to be read, in characters. */
  told: number;
}

export class FarWatchers {
  readonly #post: (message: ToThread) => void;
  readonly #far = new Map<number, Far>();
  #last = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(post: (message: ToThread) => void) {
    this.#post = post;
  }

  get count(): number {
    return this.#far.size;
  }

  add(watcher: Watcher, options: WatchOptions): () => void {
    const id = ++this.#last;
    this.#far.set(id, { watcher, told: 0 });
    this.#post({ type: 'watch', id, options, unreadBytesMax: watcher.unreadBytesMax });
    return () => this.#remove(id);
  }

  told(id: number, text: string): void {
    const far = this.#far.get(id);
    if (!far) return;
    far.told += text.length;
    try {
      far.watcher.send(text);
    } catch (error) {
      this.#remove(id);
      return far.watcher.end(`it could not be told: ${(error as Error).message}`);
    }
    this.#look(id, far);
    if (far.told > 0) this.#timer ??= setInterval(() => this.#lookAtAll(), LOOK_MS).unref();
  }

  /** It is told no more. */
  ended(id: number, reason: string): void {
    const far = this.#far.get(id);
    this.#far.delete(id);
    this.#rest();
    far?.watcher.end(reason);
  }

  /** None is told any more. */
  end(reason: string): void {
    for (const id of [...this.#far.keys()]) this.ended(id, reason);
  }

  #lookAtAll(): void {
    for (const [id, far] of this.#far) this.#look(id, far);
  }

  #look(id: number, far: Far): void {
    const { watcher, told } = far;
    if (told === 0 || watcher.unreadBytes >= watcher.unreadBytesMax) return;
    far.told = 0;
    this.#post({ type: 'read', id, bytes: told });
  }

  #remove(id: number): void {
    if (!this.#far.delete(id)) return;
    this.#post({ type: 'unwatch', id });
    this.#rest();
  }

  #rest(): void {
    if (this.#far.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
