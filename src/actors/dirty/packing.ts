/**
 * What is sent in calls: values to bytes and back. Runs at every end; the router alone never looks inside. Survives:
 * null, booleans, numbers (NaN, -0 and infinities too), texts, bigints, undefined, Dates, Maps, Sets, Buffers,
 * ArrayBuffers, typed arrays, lists, plain objects, errors, regular expressions. Class instances become plain objects.
 * Functions, symbols, promises, streams and cycles are refused with their place.
 */
import type { Buffer } from 'node:buffer';
import { DirtyPayloadError } from './errors.ts';
import { FRAME_BYTES_MAX, HEADER_BYTES, type Header, writeHeader } from './frames.ts';
import { refusedPlace } from './packing-place.ts';
import { read } from './packing-read.ts';
import { lend, Refusal, TooLarge, write, writeApart } from './packing-write.ts';

/** The value as bytes. Throws DirtyPayloadError, which calls the value `name`. */
export function pack(value: unknown, name = 'value', bytesMax = FRAME_BYTES_MAX): Buffer {
  return guarded(value, 0, value, name, bytesMax, write);
}

/**
 * The value as a whole frame: the header's room is reserved in the pack, so that nothing is copied. It is to be sent
 * once, and belongs to the channel then.
 */
export function packFrame(
  header: Header,
  value: unknown,
  name = 'value',
  bytesMax = FRAME_BYTES_MAX,
): Buffer {
  const frame = guarded(value, HEADER_BYTES, value, name, bytesMax, write);
  writeHeader(frame, header);
  lend(frame);
  return frame;
}

/**
 * The value as a frame in pieces: the large Buffers in it are pieces as they are, and have to be written out, or joined to one
 * frame, in this turn.
 */
export function packPieces(
  header: Header,
  value: unknown,
  name = 'value',
  bytesMax = FRAME_BYTES_MAX,
): Buffer[] {
  return framed(header, guarded(value, HEADER_BYTES, value, name, bytesMax, writeApart));
}

/** A whole call in such pieces: what is refused of its arguments is called `args[0]`. */
export function packCall(
  header: Header,
  action: string,
  args: readonly unknown[],
  bytesMax = FRAME_BYTES_MAX,
): Buffer[] {
  return framed(header, guarded([action, args], HEADER_BYTES, args, 'args', bytesMax, writeApart));
}

function framed(header: Header, pieces: Buffer[]): Buffer[] {
  const frame = pieces[0]!;
  let bytes = frame.length;
  for (let at = 1; at < pieces.length; at++) bytes += pieces[at]!.length;
  writeHeader(frame, header, bytes - HEADER_BYTES);
  lend(frame);
  return pieces;
}

/**
 * The value of these bytes. `isLasting` says that they are nobody else's, so that Buffers in the value may be views of
 * them. Throws DirtyPayloadError for what is no value.
 */
export function unpack(bytes: Buffer, isLasting = false): unknown {
  try {
    return read(bytes, isLasting);
  } catch (error) {
    throw new DirtyPayloadError(`${bytes.length} bytes that are no value: ${(error as Error).message}`);
  }
}

/** `shown` is the part of the value that its maker knows, by the name `name`. */
function guarded<T>(
  value: unknown,
  reserveBytes: number,
  shown: unknown,
  name: string,
  bytesMax: number,
  packer: (value: unknown, reserveBytes: number, bytesMax: number) => T,
): T {
  try {
    return packer(value, reserveBytes, bytesMax);
  } catch (error) {
    throw explain(error, shown, name, bytesMax);
  }
}

function explain(error: unknown, value: unknown, name: string, bytesMax: number): DirtyPayloadError {
  if (error instanceof TooLarge) {
    // A cycle beside something large is found by its size first.
    const place = placeOf(value, name);
    return new DirtyPayloadError(place ?? `${name} is larger than ${bytesMax} bytes`);
  }
  if (error instanceof Refusal)
    return new DirtyPayloadError(placeOf(value, name) ?? `${name} ${error.message}`);
  const message = error instanceof Error ? error.message : String(error);
  return new DirtyPayloadError(`${name} cannot be read: ${message}`, { cause: error });
}

/** The place may be gone by now, where a getter or a proxy gives something else each time. */
function placeOf(value: unknown, name: string): string | undefined {
  try {
    return refusedPlace(value, name);
  } catch {
    return undefined;
  }
}
