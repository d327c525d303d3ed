/**
 * Frames of a link: a 4-byte big-endian length, then that many bytes of msgpack. Runs at both ends of a link.
 * Reading never throws: what is not a frame of the vocabulary is reported and skipped, or breaks the link when the
 * stream can no longer be trusted.
 */
import * as v from 'valibot';
import type { Vocabulary } from '../machines/events/link.ts';
import { FRAME_BYTES_MAX, HEADER_BYTES, type LinkEvent, packr } from './frame.ts';

export { encodeFrame, FRAME_BYTES_MAX, type LinkEvent } from './frame.ts';

export interface FrameReader {
  /** Takes bytes as they come, split anywhere. */
  push(chunk: Buffer): void;
  /** True when a frame has begun and is not complete: what the stream's end then cut off. */
  readonly incomplete: boolean;
}

export interface FrameHandlers {
  /** A valid event of the vocabulary. */
  event(event: LinkEvent): void;
  /** A frame that is well formed but not of the vocabulary; it is skipped. */
  unknown(what: string): void;
  /** Whether a frame of so many bytes is still taken; if not, the stream is broken off. Default: every one is. */
  takes?(bytes: number): boolean;
  /** Takes a frame as it is, to have it read elsewhere; false: it is read here. Default: every one is. */
  passes?(body: Buffer): boolean;
  /** Not a stream of frames, or too many; nothing more is read. */
  broken(why: string): void;
}

export function frameReader(vocabulary: Vocabulary, handlers: FrameHandlers): FrameReader {
  let pending: Buffer = Buffer.alloc(0);
  /** What has come since for a frame that is not whole yet: joined once, when it is. */
  let more: Buffer[] = [];
  let moreBytes = 0;
  let wantedBytes = HEADER_BYTES;
  let broken = false;

  const read = (body: Buffer): void => {
    let value: unknown;
    try {
      value = packr.unpack(body);
    } catch (error) {
      broken = true;
      handlers.broken(`a frame of ${body.length} bytes is not msgpack: ${(error as Error).message}`);
      return;
    }
    const type = (value as { type?: unknown } | null)?.type;
    const schema = typeof type === 'string' && Object.hasOwn(vocabulary, type) ? vocabulary[type] : undefined;
    if (!schema) return handlers.unknown(`type ${JSON.stringify(type) ?? 'none'}`.slice(0, 100));
    const parsed = v.safeParse(schema, value);
    if (parsed.success) handlers.event(parsed.output as LinkEvent);
    else
      handlers.unknown(
        `${type}: ${v.getDotPath(parsed.issues[0]) ?? ''} ${parsed.issues[0].message}`.slice(0, 200),
      );
  };

  return {
    get incomplete() {
      return pending.length + moreBytes > 0;
    },
    push(chunk) {
      if (broken) return;
      more.push(chunk);
      moreBytes += chunk.length;
      if (pending.length + moreBytes < wantedBytes) return;
      pending = pending.length === 0 && more.length === 1 ? chunk : Buffer.concat([pending, ...more]);
      more = [];
      moreBytes = 0;
      wantedBytes = HEADER_BYTES;
      let offset = 0;
      while (!broken && pending.length - offset >= HEADER_BYTES) {
        const bytes = pending.readUInt32BE(offset);
        if (bytes > FRAME_BYTES_MAX) {
          broken = true;
          handlers.broken(`a frame of ${bytes} bytes, a frame has at most ${FRAME_BYTES_MAX}`);
          break;
        }
        const end = offset + HEADER_BYTES + bytes;
        if (pending.length < end) {
          wantedBytes = HEADER_BYTES + bytes;
          break;
        }
        if (handlers.takes?.(bytes) === false) {
          broken = true;
          handlers.broken('it writes more than a process has to tell');
          break;
        }
        const body = pending.subarray(offset + HEADER_BYTES, end);
        if (!handlers.passes?.(body)) read(body);
        offset = end;
      }
      pending = broken ? Buffer.alloc(0) : pending.subarray(offset);
    },
  };
}
