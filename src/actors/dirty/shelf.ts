/**
 * Large frames in memory that two processes share: a file in the memory file system, which one of them writes and the other
 * reads. Runs at every end of a channel. A socket takes a large frame in many small portions, with a wake-up of the other
 * process for each; a shelf takes it in one copy, and only the word that it lies there goes through the socket. Where there is
 * no memory file system, or it is full, the socket does as well.
 *
 * The writer names the file, the reader opens it, and then its name is taken away: it ends with the two processes, however
 * these end. What the reader has not taken is never written over.
 */
import { Buffer } from 'node:buffer';
import { randomBytes } from 'node:crypto';
import { closeSync, ftruncateSync, openSync, unlinkSync, writevSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { borrowed } from './packing-spare.ts';
import { DIRECTORY, hasShelves, PROGRESS_AT, readFrom, SHELF_BYTES } from './shelf-memory.ts';
import { portionsOf } from './shelf-portions.ts';

/** A frame from this size on is worth a shelf: below, a socket takes it in a portion or two. */
export const SHELF_FRAME_BYTES = 128 * 1024;
/** The memory of a shelf that was not used for so long is given back. */
const IDLE_MS = 5000;
/** What may lie there before the reader is told of it: so much less is free for what it is told of at once. */
const HELD_MAX = 2;

interface Place {
  readonly at: number;
  readonly ends: number;
  /** Its writer may want it back. */
  isHeld: boolean;
  /** So many times its reader was told of it and has not taken it yet. */
  told: number;
}

/**
 * A frame that lies on a shelf until it is known that it is for this reader. It is taken back into memory when the shelf ends, or has no
 * room for something else.
 */
export interface HeldFrame {
  readonly at: number;
  /** The reader was told of it when it was laid. */
  readonly isTold: boolean;
  /** It is for this reader, which is to be told now; false when it does not lie there any more. */
  tell(): boolean;
  /** The reader has it, or nobody wants it: the place is free as soon as the reader is done with it. */
  release(): void;
  /** Back into memory of its own; undefined when it cannot be read. */
  take(): Buffer | undefined;
}

/** Where a frame of so many bytes is going to lie. */
export type Announce = (at: number, bytes: number) => void;

/** The writer's side. Nothing throws: what cannot be put here goes through the socket. */
export class Shelf {
  readonly name: string;
  readonly #file: number;
  #isNamed = true;
  #isOpen = false;
  #isClosed = false;
  /** What lies there, in the order in which it was put. */
  readonly #places: Place[] = [];
  /** What the reader was told of and has not taken, in the order in which it was told. */
  readonly #told: Place[] = [];
  /** What may not be for the reader, the oldest first. */
  readonly #held: HeldFrame[] = [];
  /** Portions written so far, as the byte has it. */
  readonly #progress = Buffer.alloc(1);
  #usedMs = 0;
  #idle: NodeJS.Timeout | undefined;

  private constructor(name: string, file: number) {
    this.name = name;
    this.#file = file;
  }

  /** Undefined where there can be none. */
  static make(): Shelf | undefined {
    if (!hasShelves()) return undefined;
    const name = `kirin-shelf-${process.pid}-${randomBytes(12).toString('hex')}`;
    try {
      return new Shelf(name, openSync(join(DIRECTORY, name), 'wx+', 0o600));
    } catch {
      return undefined;
    }
  }

  /** The reader has opened it, or cannot. */
  answered(isOpen: boolean): void {
    this.#unname();
    if (isOpen) this.#isOpen = true;
    else this.close();
  }

  /**
   * Where it was put; undefined when there is no room. A reader that has nothing else to take hears of it before, and reads while
   * this writes: `announce` is told where, and if nothing comes of it that too, with no bytes.
   */
  put(frame: Buffer, more: readonly Buffer[], announce?: Announce): number | undefined {
    let place = this.#lay(frame, more, this.#told.length === 0 ? announce : undefined);
    // What is only held makes room.
    for (const held of this.#held.filter(({ isTold }) => !isTold)) {
      if (place || !this.#isOpen) break;
      held.take();
      place = this.#lay(frame, more);
    }
    if (place) this.#hasTold(place);
    return place?.at;
  }

  /** As `put`, but it is not said before it is known for whom it is, if it is not announced; undefined when there is no room. */
  hold(frame: Buffer, more: readonly Buffer[], announce?: Announce): HeldFrame | undefined {
    if (this.#held.length >= HELD_MAX) return undefined;
    // One at a time is what a reader keeps that it may not need.
    const isTold = announce !== undefined && this.#told.length === 0 && !this.#held.some((one) => one.isTold);
    const place = this.#lay(frame, more, isTold ? announce : undefined);
    if (!place) return undefined;
    place.isHeld = true;
    if (isTold) this.#hasTold(place);
    let memory: Buffer | undefined;
    const leave = (): boolean => {
      const index = this.#held.indexOf(held);
      if (index < 0) return false;
      this.#held.splice(index, 1);
      place.isHeld = false;
      return true;
    };
    const release = (): void => {
      memory = undefined;
      if (leave()) this.#tidy();
    };
    const held: HeldFrame = {
      at: place.at,
      isTold,
      tell: () => {
        if (!leave()) return false;
        this.#hasTold(place);
        return true;
      },
      release,
      take: () => {
        if (!leave()) return memory;
        memory = readFrom(this.#file, place.at, borrowed(place.ends - place.at));
        this.#tidy();
        return memory;
      },
    };
    this.#held.push(held);
    return held;
  }

  /** The reader has taken the oldest; false when there was none. */
  taken(): boolean {
    const place = this.#told.shift();
    if (!place) return false;
    place.told--;
    this.#tidy();
    return true;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const held of [...this.#held]) held.take();
    clearTimeout(this.#idle);
    this.#unname();
    closeSync(this.#file);
  }

  #lay(frame: Buffer, more: readonly Buffer[], announce?: Announce): Place | undefined {
    if (!this.#isOpen || this.#isClosed) return undefined;
    let bytes = frame.length;
    for (const one of more) bytes += one.length;
    const at = this.#roomFor(bytes);
    if (at === undefined) return undefined;
    const pieces = more.length === 0 ? [frame] : [frame, ...more];
    announce?.(at, bytes);
    if (!(announce ? this.#writeInPortions(pieces, at) : this.#write(pieces, bytes, at))) {
      announce?.(at, 0);
      return undefined;
    }
    const place = { at, ends: at + bytes, isHeld: false, told: 0 };
    this.#places.push(place);
    this.#used();
    return place;
  }

  #hasTold(place: Place): void {
    place.told++;
    this.#told.push(place);
  }

  /** What nobody has a use for any more makes room, from the oldest on. */
  #tidy(): void {
    for (
      let oldest = this.#places[0];
      oldest && !oldest.isHeld && oldest.told === 0;
      oldest = this.#places[0]
    )
      this.#places.shift();
  }

  /** Always from the beginning when nothing lies there: what was written last is what the processor still has at hand. */
  #roomFor(bytes: number): number | undefined {
    if (bytes > SHELF_BYTES) return undefined;
    if (this.#places.length === 0) return 0;
    const from = this.#places.at(-1)!.ends;
    const oldest = this.#places[0]!.at;
    if (from > oldest) {
      if (from + bytes <= SHELF_BYTES) return from;
      return bytes <= oldest ? 0 : undefined;
    }
    return from + bytes <= oldest ? from : undefined;
  }

  #write(buffers: Buffer[], bytes: number, at: number): boolean {
    try {
      if (writevSync(this.#file, buffers, at) === bytes) return true;
    } catch {
      // Full, as a part that was written says too.
    }
    this.#isOpen = false;
    return false;
  }

  #writeInPortions(buffers: readonly Buffer[], at: number): boolean {
    let to = at;
    for (const { pieces, bytes } of portionsOf(buffers)) {
      if (!this.#write(pieces, bytes, to)) return false;
      to += bytes;
      this.#progress[0]! += 1;
      if (!this.#write([this.#progress], 1, PROGRESS_AT)) return false;
    }
    return true;
  }

  #used(): void {
    this.#usedMs = performance.now();
    if (this.#idle) return;
    this.#idle = setTimeout(() => {
      this.#idle = undefined;
      if (this.#places.length > 0 || performance.now() - this.#usedMs < IDLE_MS / 2) return this.#used();
      ftruncateSync(this.#file, 0);
    }, IDLE_MS);
    this.#idle.unref();
  }

  #unname(): void {
    if (!this.#isNamed) return;
    this.#isNamed = false;
    try {
      unlinkSync(join(DIRECTORY, this.name));
    } catch {
      // Somebody was tidier.
    }
  }
}
