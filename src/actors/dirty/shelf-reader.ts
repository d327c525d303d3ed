/** The reader's side of a shelf (shelf.ts). Runs at every end of a channel. Nothing throws. */
import { Buffer } from 'node:buffer';
import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { borrowed } from './packing-spare.ts';
import { DIRECTORY, hasShelves, NAME, PROGRESS_AT, readFrom, SHELF_BYTES } from './shelf-memory.ts';
import { PORTION_BYTES } from './shelf-portions.ts';

/** So often is it looked whether there is more, before what is there is all for now: some twenty microseconds. */
const LOOKS_MAX = 32;

/** A frame that is read while it is written. */
export interface Following {
  readonly at: number;
  readonly frame: Buffer;
  /** Bytes of it that were read. */
  done: number;
}

export class ShelfReader {
  readonly #file: number;
  readonly #progress = Buffer.alloc(1);
  /** Portions of all frames that it followed before. */
  #portions = 0;

  private constructor(file: number) {
    this.#file = file;
  }

  /** Undefined when it cannot be opened, or is no shelf of this user's. */
  static open(name: string): ShelfReader | undefined {
    if (!hasShelves() || !NAME.test(name)) return undefined;
    try {
      const file = openSync(
        join(DIRECTORY, name),
        constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK,
      );
      const about = fstatSync(file);
      if (about.isFile() && about.uid === process.geteuid?.()) return new ShelfReader(file);
      closeSync(file);
    } catch {
      // The socket does as well.
    }
    return undefined;
  }

  /**
   * So many bytes from there, in memory of their own; undefined when they are not there. `isPassing`: they are but sent on, and
   * nobody keeps them.
   */
  take(at: number, bytes: number, isPassing = false): Buffer | undefined {
    if (at + bytes > SHELF_BYTES) return undefined;
    return readFrom(this.#file, at, memoryFor(bytes, isPassing));
  }

  /** Begins to read what is being written there, as `take`; undefined when it cannot lie there. */
  follow(at: number, bytes: number, isPassing: boolean): Following | undefined {
    if (at + bytes > SHELF_BYTES) return undefined;
    const following: Following = { at, frame: memoryFor(bytes, isPassing), done: 0 };
    const before = this.#portions;
    const portions = Math.ceil(bytes / PORTION_BYTES);
    this.#portions += portions;
    for (let looks = 0; looks < LOOKS_MAX && following.done < bytes; looks++) {
      const written = Math.min(portions, this.#written(before));
      const there = Math.min(bytes, written * PORTION_BYTES);
      if (there === following.done) continue;
      if (!this.finish(following, there)) return following;
      looks = 0;
    }
    return following;
  }

  /** Reads it on, up to so many bytes; false when they are not there. */
  finish(following: Following, bytes: number): boolean {
    const { at, frame, done } = following;
    if (done === bytes) return true;
    const isThere = readFrom(this.#file, at + done, frame.subarray(done, bytes)) !== undefined;
    if (isThere) following.done = bytes;
    return isThere;
  }

  /** Portions that were written beyond so many. */
  #written(before: number): number {
    const isThere = readFrom(this.#file, PROGRESS_AT, this.#progress);
    return isThere ? (this.#progress[0]! - before) & 0xff : 0;
  }

  close(): void {
    closeSync(this.#file);
  }
}

/** What is but sent on is kept by nobody. */
const memoryFor = (bytes: number, isPassing: boolean): Buffer =>
  isPassing ? borrowed(bytes) : Buffer.allocUnsafeSlow(bytes);
