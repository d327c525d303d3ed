/** A packed value in pieces, of which the large ones are the value's own bytes. Runs at every end. */
import type { Buffer } from 'node:buffer';
import { borrowed } from './packing-spare.ts';

/** Bytes that stay where they are, and before which of the packed bytes they belong. */
export interface Apart {
  readonly offset: number;
  readonly bytes: Buffer;
}

/** What was packed and what stays where it is, in the order of the value. */
export function woven(rest: Buffer, apart: readonly Apart[]): Buffer[] {
  const pieces: Buffer[] = [];
  let from = 0;
  for (const { offset, bytes } of apart) {
    if (offset > from) pieces.push(rest.subarray(from, offset));
    pieces.push(bytes);
    from = offset;
  }
  if (from < rest.length) pieces.push(rest.subarray(from));
  return pieces;
}

/** One frame of these pieces, which is to be sent once, and belongs to the channel then. */
export function joined(pieces: readonly Buffer[]): Buffer {
  const frame = borrowed(pieces.reduce((sum, { length }) => sum + length, 0));
  let to = 0;
  for (const piece of pieces) to += piece.copy(frame, to);
  return frame;
}
