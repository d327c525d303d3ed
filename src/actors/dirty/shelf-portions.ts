/**
 * The portions in which a large frame is laid on a shelf whose reader takes it while it is written: each end copies one while the other
 * copies the one after it. Runs at every end.
 */
import type { Buffer } from 'node:buffer';

/** Copying so much takes several times as long as saying that it is done. All but the last of a frame have this size. */
export const PORTION_BYTES = 128 * 1024;

export interface Portion {
  readonly pieces: Buffer[];
  readonly bytes: number;
}

/** The same bytes in the same order. */
export function* portionsOf(buffers: readonly Buffer[]): Generator<Portion> {
  let pieces: Buffer[] = [];
  let bytes = 0;
  for (const buffer of buffers)
    for (let from = 0; from < buffer.length; ) {
      const piece = buffer.subarray(from, from + PORTION_BYTES - bytes);
      from += piece.length;
      pieces.push(piece);
      bytes += piece.length;
      if (bytes < PORTION_BYTES) continue;
      yield { pieces, bytes };
      pieces = [];
      bytes = 0;
    }
  if (bytes > 0) yield { pieces, bytes };
}
