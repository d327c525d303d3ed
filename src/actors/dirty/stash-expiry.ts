/**
 * When the stash's entries end: a heap of times. Pure; runs in the dirty arbiter.
 *
 * An entry that is put again or deleted leaves its old time behind, which is recognized by its version when it comes
 * up; when such remains are more than what lives, the heap is made anew.
 */

export interface Expiry {
  readonly atMs: number;
  readonly table: string;
  readonly key: string;
  /** The version of the entry whose time this is. */
  readonly version: number;
}

/** A heap smaller than this is not worth making anew. */
const SIZE_MIN = 64;

export class ExpiryHeap {
  #items: Expiry[] = [];

  get size(): number {
    return this.#items.length;
  }

  push(item: Expiry): void {
    this.#items.push(item);
    this.#rise(this.#items.length - 1);
  }

  /** Takes out the first one whose time has come. */
  takeDue(nowMs: number): Expiry | undefined {
    const first = this.#items[0];
    if (!first || first.atMs > nowMs) return undefined;
    const last = this.#items.pop()!;
    if (this.#items.length > 0) {
      this.#items[0] = last;
      this.#sink(0);
    }
    return first;
  }

  /** Drops what is no entry's time any more, once that is more than half; `live` is how many entries have a time. */
  tidy(live: number, isLive: (item: Expiry) => boolean): void {
    if (this.#items.length < SIZE_MIN || this.#items.length <= 2 * live) return;
    this.#items = this.#items.filter(isLive);
    for (let index = (this.#items.length >> 1) - 1; index >= 0; index--) this.#sink(index);
  }

  #rise(from: number): void {
    let index = from;
    const item = this.#items[index]!;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (this.#items[parent]!.atMs <= item.atMs) break;
      this.#items[index] = this.#items[parent]!;
      index = parent;
    }
    this.#items[index] = item;
  }

  #sink(from: number): void {
    let index = from;
    const item = this.#items[index]!;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= this.#items.length) break;
      if (child + 1 < this.#items.length && this.#items[child + 1]!.atMs < this.#items[child]!.atMs) child++;
      if (this.#items[child]!.atMs >= item.atMs) break;
      this.#items[index] = this.#items[child]!;
      index = child;
    }
    this.#items[index] = item;
  }
}
