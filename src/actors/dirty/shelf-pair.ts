/** Both shelves of a channel: the one that this end writes, and the one that it reads. Runs at every end. */
import { Buffer } from 'node:buffer';
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
import { type HeldFrame, SHELF_FRAME_BYTES, Shelf, ShelfReader } from './shelf.ts';

export interface ShelfHandlers {
  /** A small frame for the other end. */
  send(frame: Buffer): void;
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
    const at = this.#ours.put(frame, more);
    if (at === undefined) return false;
    this.#tell(at, bytes);
    return true;
  }

  /** Puts it there, to say so later; undefined when it has to go another way. */
  hold(frame: Buffer, more: readonly Buffer[]): HeldFrame | undefined {
    if (frameBytesOf(frame, 0) < SHELF_FRAME_BYTES || !(this.#ours instanceof Shelf)) return undefined;
    return this.#ours.hold(frame, more);
  }

  /** Says that a frame of so many bytes lies there; false when it does not any more. */
  told(held: HeldFrame, bytes: number): boolean {
    const at = held.tell();
    if (at !== undefined) this.#tell(at, bytes);
    return at !== undefined;
  }

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

  #take(at: number, bytes: number): void {
    if (bytes < SHELF_FRAME_BYTES || bytes - HEADER_BYTES > this.#frameBytesMax)
      return this.#handlers.broken(`a frame of ${bytes} bytes on a shelf`);
    const frame = this.#theirs?.take(at, bytes, this.#isPassing);
    if (!frame) return this.#handlers.broken('a shelf without what lies there');
    this.#handlers.sendLater(bareFrame({ type: FRAME.taken }));
    const fault = headerFault(frame, 0, this.#frameBytesMax);
    if (fault) return this.#handlers.broken(fault);
    if (frameBytesOf(frame, 0) !== bytes)
      return this.#handlers.broken('a frame on a shelf that is not as long as it was said to be');
    this.#handlers.frame(frame);
  }
}
