/**
 * The control wire: a 4-byte big-endian length, then that many bytes of UTF-8 JSON. Pure; for both ends. Bytes come
 * split anywhere; a frame is put together once, when it is complete.
 */

const HEADER_BYTES = 4;
/** So many small pieces are joined, lest a client that writes byte by byte costs a buffer for each. */
const PIECES_MAX = 512;

/** A frame that is longer than a frame may be: nothing after it can be read. */
export class FrameTooLarge extends Error {
  readonly bytes: number;

  constructor(bytes: number) {
    super(`a frame of ${bytes} bytes`);
    this.bytes = bytes;
  }
}

export class FrameQueue {
  readonly #bytesMax: number;
  #pieces: Buffer[] = [];
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Bytes that wait to be read as frames. */
  get bytes(): number {
    return this.#bytes;
  }

  push(piece: Buffer): void {
    this.#pieces.push(piece);
    this.#bytes += piece.length;
    if (this.#pieces.length > PIECES_MAX) this.#join();
  }

  /** The body of the next frame, if it is complete. Throws FrameTooLarge. */
  next(): Buffer | undefined {
    if (this.#bytes < HEADER_BYTES) return undefined;
    if (this.#pieces[0]!.length < HEADER_BYTES) this.#join();
    const length = this.#pieces[0]!.readUInt32BE(0);
    if (length > this.#bytesMax) throw new FrameTooLarge(length);
    const end = HEADER_BYTES + length;
    if (this.#bytes < end) return undefined;
    if (this.#pieces[0]!.length < end) this.#join();
    const first = this.#pieces[0]!;
    if (first.length === end) this.#pieces.shift();
    else this.#pieces[0] = first.subarray(end);
    this.#bytes -= end;
    return first.subarray(HEADER_BYTES, end);
  }

  #join(): void {
    this.#pieces = [Buffer.concat(this.#pieces)];
  }
}

/** A value that JSON can say, as one frame. */
export const encodeFrame = (value: unknown): Buffer => frameOf(JSON.stringify(value));

/** JSON as one frame. */
export function frameOf(text: string): Buffer {
  const length = Buffer.byteLength(text);
  const frame = Buffer.allocUnsafe(HEADER_BYTES + length);
  frame.writeUInt32BE(length, 0);
  frame.write(text, HEADER_BYTES);
  return frame;
}
