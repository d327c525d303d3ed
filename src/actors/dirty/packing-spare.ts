/**
 * Large memory that is used again: a slab whose bytes have been written out, for the next large frame. Runs at every end. Fresh
 * memory costs ten times what the copy into it does, since the system has to find every page of it; and what was used last is what
 * the processor still has at hand.
 */
import { Buffer } from 'node:buffer';

export type Slab = Buffer<ArrayBuffer>;

let spare: Slab | undefined;
const SPARE_BYTES_MAX = 8 * 1024 * 1024;
/** Borrowed slabs are a multiple of this: the next frame is rarely of the very same size. */
const STEP_BYTES = 64 * 1024;
/** What may become the spare one: slabs that were handed out as a frame, which is sent once and kept by nobody. */
const lent = new WeakMap<ArrayBufferLike, Slab>();

/** A slab of so many bytes or more, with whatever is in it. */
export function largeSlab(bytes: number): Slab {
  if (!spare || spare.length < bytes) return Buffer.allocUnsafeSlow(bytes);
  const slab = spare;
  spare = undefined;
  return slab;
}

/** A frame that lies in this slab will be given back. */
export function lendWhole(slab: Slab): void {
  lent.set(slab.buffer, slab);
}

/** A frame of so many bytes to fill, which is to be given back when it was written. It may have to wait, and holds no more than twice that. */
export function borrowed(bytes: number): Buffer {
  const slab =
    spare && spare.length >= bytes && spare.length <= bytes * 2
      ? largeSlab(bytes)
      : Buffer.allocUnsafeSlow(Math.ceil(bytes / STEP_BYTES) * STEP_BYTES);
  lendWhole(slab);
  return slab.subarray(0, bytes);
}

/** The frame was written out, and nobody reads it any more. Any other buffer is left alone. */
export function recycle(frame: Buffer): void {
  const own = lent.get(frame.buffer);
  if (!own || !lent.delete(frame.buffer) || own.length > SPARE_BYTES_MAX) return;
  // The last one even if it is the smaller: one that is too large for what is borrowed now would never be used, and never go.
  spare = own;
}
