/**
 * From bytes, split anywhere, to frames. Runs at every end. A small frame that lies whole in what was read is handed
 * on where it lies; one that was split is completed in one buffer that is used again. A large frame comes either in
 * the very pieces that were read (the router's side, which only sends them on) or in one exact buffer, into which
 * the socket reads by itself (the connecting side). Bounded by `frameBytesMax`, and by one frame at a time.
 */
import { Buffer } from 'node:buffer';
import { frameBytesOf, HEADER_BYTES, headerFault, isForeign, LARGE_BYTES, NO_MORE } from './frames.ts';
import { keepFreedMemory } from './keep-memory.ts';

export interface FrameHandlers {
  /**
   * A frame, which begins with its header. Below `LARGE_BYTES` it is valid only until this returns; from there on it
   * is the receiver's, and `more` may hold what follows.
   */
  frame(frame: Buffer, more: readonly Buffer[]): void;
  /** Not a stream of frames; nothing more is read. Said once. `foreign`: frames of another version, which may be told so. */
  broken(why: string, foreign: boolean): void;
}

export interface FrameReaderOptions {
  /** The largest payload that is accepted, in bytes. */
  frameBytesMax: number;
  /** Large frames in one buffer instead of in pieces. What is pushed is then copied, never kept. */
  exact: boolean;
}

/** As many pieces a frame may have before they are joined: a peer that writes byte by byte must not cost more. */
const PIECES_MAX = 64;

export class FrameReader {
  #handlers: FrameHandlers;
  #frameBytesMax: number;
  #exact: boolean;
  #stopped = false;
  /** A small frame, or a header, of which not everything has come. */
  #carry: Buffer | undefined;
  #carried = 0;
  /** A large frame that is coming: its length, how much of it has come, and where that is. */
  #largeBytes = 0;
  #filled = 0;
  #whole: Buffer | undefined;
  #pieces: Buffer[] = [];

  constructor(handlers: FrameHandlers, options: FrameReaderOptions) {
    this.#handlers = handlers;
    this.#frameBytesMax = options.frameBytesMax;
    this.#exact = options.exact;
  }

  /** True when a frame has begun and is not complete. */
  get incomplete(): boolean {
    return this.#carried > 0 || this.#largeBytes > 0;
  }

  /** Nothing is handed on any more, not even of what was pushed already. */
  stop(): void {
    this.#stopped = true;
    this.#carry = this.#whole = undefined;
    this.#pieces = [];
    this.#carried = this.#largeBytes = 0;
  }

  /** The rest of a large frame, for the socket to read into; undefined when none is coming. */
  get target(): Buffer | undefined {
    return this.#whole?.subarray(this.#filled);
  }

  /** So many bytes were written into `target`. */
  advance(bytes: number): void {
    if (this.#stopped || !this.#whole) return;
    this.#filled += bytes;
    if (this.#filled === this.#largeBytes) this.#finishLarge();
  }

  /** Takes bytes as they come. */
  push(chunk: Buffer): void {
    let at = 0;
    if (!this.#stopped && this.#largeBytes > 0) at = this.#fillLarge(chunk, 0);
    if (!this.#stopped && this.#carried > 0) at = this.#completeCarried(chunk, at);
    while (!this.#stopped && chunk.length - at >= HEADER_BYTES) {
      const fault = headerFault(chunk, at, this.#frameBytesMax);
      if (fault) return this.#break(fault, isForeign(chunk, at));
      const bytes = frameBytesOf(chunk, at);
      if (bytes >= LARGE_BYTES) {
        at = this.#beginLarge(bytes, chunk, at);
        continue;
      }
      if (chunk.length - at < bytes) break;
      at += bytes;
      this.#handlers.frame(chunk.subarray(at - bytes, at), NO_MORE);
    }
    if (!this.#stopped && at < chunk.length) this.#carryOn(chunk, at, chunk.length);
  }

  #break(why: string, foreign: boolean): void {
    this.stop();
    this.#handlers.broken(why, foreign);
  }

  /** Keeps what is not yet a frame. Only ever less than a large frame. */
  #carryOn(chunk: Buffer, from: number, to: number): void {
    this.#carry ??= Buffer.allocUnsafeSlow(LARGE_BYTES);
    chunk.copy(this.#carry, this.#carried, from, to);
    this.#carried += to - from;
  }

  /** Fills up what was kept, by as little as makes it whole. Gives where in the chunk the next frame begins. */
  #completeCarried(chunk: Buffer, from: number): number {
    let at = from;
    if (this.#carried < HEADER_BYTES) {
      const to = Math.min(chunk.length, at + HEADER_BYTES - this.#carried);
      this.#carryOn(chunk, at, to);
      at = to;
      if (this.#carried < HEADER_BYTES) return at;
      const fault = headerFault(this.#carry!, 0, this.#frameBytesMax);
      if (fault) {
        this.#break(fault, isForeign(this.#carry!, 0));
        return at;
      }
    }
    const carry = this.#carry!;
    const bytes = frameBytesOf(carry, 0);
    if (bytes >= LARGE_BYTES) {
      const kept = this.#carried;
      this.#carried = 0;
      this.#beginLarge(
        bytes,
        this.#exact ? carry.subarray(0, kept) : Buffer.from(carry.subarray(0, kept)),
        0,
      );
      return this.#fillLarge(chunk, at);
    }
    const to = Math.min(chunk.length, at + bytes - this.#carried);
    this.#carryOn(chunk, at, to);
    if (this.#carried === bytes) {
      this.#carried = 0;
      this.#handlers.frame(carry.subarray(0, bytes), NO_MORE);
    }
    return to;
  }

  #beginLarge(bytes: number, chunk: Buffer, at: number): number {
    this.#largeBytes = bytes;
    this.#filled = 0;
    keepFreedMemory();
    if (this.#exact) this.#whole = Buffer.allocUnsafeSlow(bytes);
    return this.#fillLarge(chunk, at);
  }

  #fillLarge(chunk: Buffer, at: number): number {
    const to = Math.min(chunk.length, at + this.#largeBytes - this.#filled);
    if (to === at) return at;
    if (this.#whole) chunk.copy(this.#whole, this.#filled, at, to);
    else this.#pieces.push(chunk.subarray(at, to));
    this.#filled += to - at;
    if (this.#filled === this.#largeBytes) this.#finishLarge();
    else if (this.#pieces.length > PIECES_MAX && this.#filled / this.#pieces.length < LARGE_BYTES / 4)
      this.#join();
    return to;
  }

  #join(): void {
    this.#whole = Buffer.allocUnsafeSlow(this.#largeBytes);
    let at = 0;
    for (const piece of this.#pieces) at += piece.copy(this.#whole, at);
    this.#pieces = [];
  }

  #finishLarge(): void {
    const [first, ...more] = this.#whole ? [this.#whole] : this.#pieces;
    this.#whole = undefined;
    this.#pieces = [];
    this.#largeBytes = this.#filled = 0;
    this.#handlers.frame(first!, more.length === 0 ? NO_MORE : more);
  }
}
