/** Both shelves of a channel: the one that this end writes, and the one that it reads. Runs at every end. */
import { Buffer } from 'node:buffer';
import { availableParallelism } from 'node:os';
import {
  bareFrame,
  FRAME,
  frameBytesOf,
  HEADER_BYTES,
  headerFault,
  idOf,
  numberOf,
  payloadOf,
  typeOf,
  writeHeader,
} from './frames.ts';
import { type Announce, type HeldFrame, SHELF_FRAME_BYTES, Shelf } from './shelf.ts';
import { type Following, ShelfReader } from './shelf-reader.ts';

/** Reading while the other end writes needs a processor for each. */
const CAN_FOLLOW = availableParallelism() > 1;

export interface ShelfHandlers {
  /** A small frame for the other end. */
  send(frame: Buffer): void;
  /** One that leaves before this returns. */
  sendAtOnce(frame: Buffer): void;
  /** One that can wait until this turn of the event loop is over, or until something else is sent. */
  sendLater(frame: Buffer): void;
  /** A frame that lay on the other end's shelf; it is the receiver's. */
  frame(frame: Buffer): void;
  /** The other end does what it may not. */
  broken(why: string): void;
}

export class ShelfPair {
  readonly #handlers: ShelfHandlers;
  readonly #frameBytesMax: number;
  readonly #isPassing: boolean;
  /** Undefined: not needed yet. */
  #ours: Shelf | 'none' | undefined;
  #isAnswered = false;
  #theirs: ShelfReader | undefined;
  #wasOffered = false;
  /** What the other end writes just now; `frame` is gone when it was handed on already. */
  #following: { at: number; bytes: number; read: Following | undefined } | undefined;

  /** `isPassing`: large frames are but sent on here. */
  constructor(handlers: ShelfHandlers, frameBytesMax: number, isPassing = false) {
    this.#isPassing = isPassing;
    this.#handlers = handlers;
    this.#frameBytesMax = frameBytesMax;
  }

  /** Puts a large frame on the shelf and says so; false when it has to go another way. */
  sent(frame: Buffer, more: readonly Buffer[]): boolean {
    const bytes = frameBytesOf(frame, 0);
    if (bytes < SHELF_FRAME_BYTES || this.#ours === 'none') return false;
    if (!this.#ours) {
      this.#offer();
      return false;
    }
    const at = this.#ours.put(frame, more, CAN_FOLLOW ? this.#announce : undefined);
    if (at === undefined) return false;
    this.#tell(at, bytes);
    return true;
  }

  /** Puts it there, to say so later, or, if that is likely to come, at once; undefined when it has to go another way. */
  hold(frame: Buffer, more: readonly Buffer[], announced?: () => void): HeldFrame | undefined {
    const bytes = frameBytesOf(frame, 0);
    if (bytes < SHELF_FRAME_BYTES || !(this.#ours instanceof Shelf)) return undefined;
    const announce: Announce = (at, length) => {
      this.#announce(at, length);
      if (length > 0) announced!();
    };
    const held = this.#ours.hold(frame, more, announced && CAN_FOLLOW ? announce : undefined);
    if (held?.isTold) this.#tell(held.at, bytes);
    return held;
  }

  /** Says that a frame of so many bytes lies there; false when it does not any more. */
  told(held: HeldFrame, bytes: number): boolean {
    const isThere = held.tell();
    if (isThere) this.#tell(held.at, bytes);
    return isThere;
  }

  #announce = (at: number, bytes: number): void =>
    this.#handlers.sendAtOnce(bareFrame({ type: FRAME.shelving, id: bytes, number: at }));

  #tell(at: number, bytes: number): void {
    this.#handlers.send(bareFrame({ type: FRAME.shelved, id: bytes, number: at }));
  }

  /** A frame of the channel's own. */
  heard(frame: Buffer): void {
    switch (typeOf(frame)) {
      case FRAME.shelf:
        return this.#offered(payloadOf(frame).toString('latin1'));
      case FRAME.shelfOpen:
        if (!(this.#ours instanceof Shelf) || this.#isAnswered)
          return this.#handlers.broken('an answer to no shelf');
        this.#isAnswered = true;
        return this.#ours.answered(numberOf(frame) === 1);
      case FRAME.shelving:
        return this.#follow(numberOf(frame), idOf(frame));
      case FRAME.shelved:
        return this.#take(numberOf(frame), idOf(frame));
      default:
        if (!(this.#ours instanceof Shelf) || !this.#ours.taken())
          this.#handlers.broken('it took from a shelf what was not there');
    }
  }

  close(): void {
    if (this.#ours instanceof Shelf) this.#ours.close();
    this.#ours = 'none';
    this.#theirs?.close();
    this.#theirs = undefined;
  }

  #offer(): void {
    this.#ours = Shelf.make() ?? 'none';
    if (this.#ours === 'none') return;
    const name = Buffer.from(this.#ours.name, 'latin1');
    const frame = Buffer.allocUnsafe(HEADER_BYTES + name.length);
    writeHeader(frame, { type: FRAME.shelf });
    frame.set(name, HEADER_BYTES);
    this.#handlers.send(frame);
  }

  #offered(name: string): void {
    if (this.#wasOffered) return this.#handlers.broken('a second shelf');
    this.#wasOffered = true;
    this.#theirs = ShelfReader.open(name);
    this.#handlers.send(bareFrame({ type: FRAME.shelfOpen, number: this.#theirs ? 1 : 0 }));
  }

  /** It is being written. What is read of it before that is said to have ended need not be read then. */
  #follow(at: number, bytes: number): void {
    if (bytes === 0) {
      this.#following = undefined;
      return;
    }
    if (this.#following) return this.#handlers.broken('two frames at once on a shelf');
    if (!this.#isSize(bytes)) return;
    const read = this.#theirs?.follow(at, bytes, this.#isPassing);
    if (!read) return this.#handlers.broken('a shelf without what is to lie there');
    this.#following = { at, bytes, read };
    if (read.done < bytes) return;
    this.#following.read = undefined;
    this.#hand(read.frame, bytes);
  }

  #take(at: number, bytes: number): void {
    const following = this.#following;
    this.#following = undefined;
    if (following && (following.at !== at || following.bytes !== bytes))
      return this.#handlers.broken('another frame on a shelf than was said to be written');
    if (following && !following.read) return;
    if (!this.#isSize(bytes)) return;
    const read = following?.read;
    const frame = read
      ? this.#theirs?.finish(read, bytes) && read.frame
      : this.#theirs?.take(at, bytes, this.#isPassing);
    if (!frame) return this.#handlers.broken('a shelf without what lies there');
    this.#hand(frame, bytes);
  }

  #isSize(bytes: number): boolean {
    const isOne = bytes >= SHELF_FRAME_BYTES && bytes - HEADER_BYTES <= this.#frameBytesMax;
    if (!isOne) this.#handlers.broken(`a frame of ${bytes} bytes on a shelf`);
    return isOne;
  }

  #hand(frame: Buffer, bytes: number): void {
    this.#handlers.sendLater(bareFrame({ type: FRAME.taken }));
    const fault = headerFault(frame, 0, this.#frameBytesMax);
    if (fault) return this.#handlers.broken(fault);
    if (frameBytesOf(frame, 0) !== bytes)
      return this.#handlers.broken('a frame on a shelf that is not as long as it was said to be');
    this.#handlers.frame(frame);
  }
}
