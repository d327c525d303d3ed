/**
 * One frame of a link, as it is written: its length and its body. Runs at both ends; reading, which has to check what it reads,
 * is the codec's.
 */
import { Packr } from 'msgpackr/pack';

/** The largest frame either end writes or accepts. */
export const FRAME_BYTES_MAX = 1024 * 1024;

export const HEADER_BYTES = 4;
/** No record extension: frames are self-contained, so that one lost frame cannot change the meaning of the next. */
export const packr = new Packr({ useRecords: false });

export interface LinkEvent {
  type: string;
}

/** One event as a frame. Throws if it is larger than a frame may be: what the caller sends is the caller's bug. */
export function encodeFrame(event: LinkEvent): Buffer {
  const body = packr.pack(event);
  if (body.length > FRAME_BYTES_MAX)
    throw new RangeError(`${event.type} is ${body.length} bytes, a frame has at most ${FRAME_BYTES_MAX}`);
  const frame = Buffer.allocUnsafe(HEADER_BYTES + body.length);
  frame.writeUInt32BE(body.length, 0);
  frame.set(body, HEADER_BYTES);
  return frame;
}
