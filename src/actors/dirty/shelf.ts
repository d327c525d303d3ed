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
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readSync,
  statfsSync,
  statSync,
  unlinkSync,
  writevSync,
} from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { borrowed } from './packing-spare.ts';

/** Linux has one here, in containers too. Elsewhere there are no shelves. */
const DIRECTORY = '/dev/shm';
const TMPFS_MAGIC = 0x0102_1994;
/** A frame from this size on is worth a shelf: below, a socket takes it in a portion or two. */
export const SHELF_FRAME_BYTES = 128 * 1024;
/** What lies on one shelf at once. Copying so much takes about a millisecond, in which nothing else happens. */
export const SHELF_BYTES = 8 * 1024 * 1024;
/** The memory of a shelf that was not used for so long is given back. */
const IDLE_MS = 5000;
/** A name that is older than this was left by a process that was killed before its shelf was opened. */
const LEFTOVER_MS = 60_000;

const NAME = /^kirin-shelf-(\d+)-[0-9a-f]{24}$/;

let isMemory: boolean | undefined;

/** Whether there is memory to share; looked up once. */
export function hasShelves(): boolean {
  if (isMemory === undefined) {
    try {
      isMemory = process.platform === 'linux' && statfsSync(DIRECTORY).type === TMPFS_MAGIC;
    } catch {
      isMemory = false;
    }
  }
  return isMemory;
}

/** What may lie there before the reader is told of it: so much less is free for what it is told of at once. */
const HELD_MAX = 2;

interface Place {
  readonly at: number;
  readonly ends: number;
  isFree: boolean;
}

/**
 * A frame that lies on a shelf, and of which the reader is not told before it is known that the frame is for this reader. It is
 * taken back into memory when the shelf ends, or has no room for something else.
 */
export interface HeldFrame {
  /** Where it lies, which the reader is to be told now; undefined when it does not lie there any more. */
  tell(): number | undefined;
  /** Back into memory of its own; undefined when it cannot be read. */
  take(): Buffer | undefined;
  /** Nobody wants it any more. */
  drop(): void;
}

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
  /** What it was not told of yet, the oldest first. */
  readonly #held: HeldFrame[] = [];
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

  /** Where it was put; undefined when there is no room. */
  put(frame: Buffer, more: readonly Buffer[]): number | undefined {
    let place = this.#lay(frame, more);
    // What is only held makes room.
    while (!place && this.#isOpen && this.#held.length > 0) {
      this.#held[0]!.take();
      place = this.#lay(frame, more);
    }
    if (place) this.#told.push(place);
    return place?.at;
  }

  /** As `put`, but the reader is not told yet; undefined when there is no room. */
  hold(frame: Buffer, more: readonly Buffer[]): HeldFrame | undefined {
    if (this.#held.length >= HELD_MAX) return undefined;
    const place = this.#lay(frame, more);
    if (!place) return undefined;
    let memory: Buffer | undefined;
    const leave = (): boolean => {
      const index = this.#held.indexOf(held);
      if (index >= 0) this.#held.splice(index, 1);
      return index >= 0;
    };
    const held: HeldFrame = {
      tell: () => {
        if (!leave()) return undefined;
        this.#told.push(place);
        return place.at;
      },
      take: () => {
        if (!leave()) return memory;
        memory = readFrom(this.#file, place.at, borrowed(place.ends - place.at));
        this.#free(place);
        return memory;
      },
      drop: () => {
        memory = undefined;
        if (leave()) this.#free(place);
      },
    };
    this.#held.push(held);
    return held;
  }

  /** The reader has taken the oldest; false when there was none. */
  taken(): boolean {
    const place = this.#told.shift();
    if (place) this.#free(place);
    return place !== undefined;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const held of [...this.#held]) held.take();
    clearTimeout(this.#idle);
    this.#unname();
    closeSync(this.#file);
  }

  #lay(frame: Buffer, more: readonly Buffer[]): Place | undefined {
    if (!this.#isOpen || this.#isClosed) return undefined;
    let bytes = frame.length;
    for (const one of more) bytes += one.length;
    const at = this.#roomFor(bytes);
    if (at === undefined || !this.#write(more.length === 0 ? [frame] : [frame, ...more], bytes, at))
      return undefined;
    const place = { at, ends: at + bytes, isFree: false };
    this.#places.push(place);
    this.#used();
    return place;
  }

  #free(place: Place): void {
    place.isFree = true;
    while (this.#places[0]?.isFree) this.#places.shift();
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

/** The reader's side of a shelf. */
export class ShelfReader {
  readonly #file: number;

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
    return readFrom(this.#file, at, isPassing ? borrowed(bytes) : Buffer.allocUnsafeSlow(bytes));
  }

  close(): void {
    closeSync(this.#file);
  }
}

function readFrom(file: number, at: number, frame: Buffer): Buffer | undefined {
  try {
    return readSync(file, frame, 0, frame.length, at) === frame.length ? frame : undefined;
  } catch {
    return undefined;
  }
}

/** Removes the names that processes left which were killed at the wrong moment; their files are empty. */
export function sweepShelves(): void {
  if (!hasShelves()) return;
  let names: string[] = [];
  try {
    names = readdirSync(DIRECTORY).filter((name) => NAME.test(name));
  } catch {
    // It may be written by us and not be listed.
  }
  for (const name of names) {
    const path = join(DIRECTORY, name);
    try {
      const { uid, mtimeMs } = statSync(path);
      if (uid === process.geteuid?.() && Date.now() - mtimeMs > LEFTOVER_MS) unlinkSync(path);
    } catch {
      // It is gone, or somebody else's.
    }
  }
}
