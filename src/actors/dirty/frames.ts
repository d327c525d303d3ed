/**
 * Frames of the dirty wire (docs/dirty.md): a fixed header of 28 bytes, then a payload that only the two ends read.
 * Runs at every end. A frame is one Buffer that begins with its header, so that a router changes a number in place
 * and sends the same bytes on. What is not a frame is told as broken; nothing here throws on what a peer sent.
 */
import { Buffer } from 'node:buffer';

export const HEADER_BYTES = 28;
/** From this size on a frame has memory of its own; a smaller one lies in a buffer that is used again. */
export const LARGE_BYTES = 64 * 1024;
/** A payload from this size on goes from its caller to the worker, or back, without passing the router, where it can. */
export const DIRECT_BYTES = 128 * 1024;
/** The largest payload, where nothing else is set. */
export const FRAME_BYTES_MAX = 64 * 1024 * 1024;
/** The version in every header. */
export const VERSION = 5;
/**
 * A stream that is so many bytes of payload ahead of who reads it sends nothing more: whatever credit in chunks there is, which
 * was given before anybody knew how large they would be.
 */
export const AHEAD_BYTES = 4 * 1024 * 1024;
/** The largest id, and the largest number. */
export const UINT32_MAX = 0xffff_ffff;

export const FRAME = {
  hello: 1,
  welcome: 2,
  call: 3,
  result: 4,
  error: 5,
  chunk: 6,
  end: 7,
  credit: 8,
  cancel: 9,
  stash: 10,
  direct: 11,
  payload: 12,
  /** Of the channel itself, from here on: no other reader sees them. */
  shelf: 13,
  shelfOpen: 14,
  shelved: 15,
  taken: 16,
  shelving: 17,
} as const;
export type FrameType = (typeof FRAME)[keyof typeof FRAME];
const TYPE_MAX = 17;
/** The last type that is not the channel's own. */
export const SPOKEN_MAX = FRAME.payload;

/** Flag of a call: its answer is a stream. */
export const FLAG_STREAM = 1;
/** Flag of a call: its payload comes by another way. Flag of an end: the result went by another way. */
export const FLAG_DIRECT = 2;
/** Flag of a payload: it may come before the router has said for whom the call is. */
export const FLAG_EARLY = 4;

export interface Header {
  type: FrameType;
  flags?: number;
  app?: number;
  id?: number;
  number?: number;
  /** Who called, as the router numbers callers, and by which id: told to workers. */
  caller?: number;
  callerId?: number;
  /** Of credit, in the place of `caller`: bytes of chunks that were read. */
  readBytes?: number;
}

const MAGIC_0 = 0x4b;
const MAGIC_1 = 0x44;

/** Writes the header into the first 28 bytes of `frame`, which `payloadBytes` follow there or elsewhere. */
export function writeHeader(frame: Buffer, header: Header, payloadBytes = frame.length - HEADER_BYTES): void {
  frame[0] = MAGIC_0;
  frame[1] = MAGIC_1;
  frame[2] = VERSION;
  frame[3] = header.type;
  writeUint16(frame, 4, header.flags ?? 0);
  writeUint16(frame, 6, header.app ?? 0);
  writeUint32(frame, 8, header.id ?? 0);
  writeUint32(frame, 12, header.number ?? 0);
  writeUint32(frame, 16, payloadBytes);
  setOrigin(frame, header.caller ?? header.readBytes ?? 0, header.callerId ?? 0);
}

/** A frame without a payload. */
export function bareFrame(header: Header): Buffer {
  const frame = Buffer.allocUnsafe(HEADER_BYTES);
  writeHeader(frame, header);
  return frame;
}

export const typeOf = (frame: Buffer): number => frame[3]!;
export const flagsOf = (frame: Buffer): number => (frame[4]! << 8) | frame[5]!;
export const appOf = (frame: Buffer): number => (frame[6]! << 8) | frame[7]!;
export const idOf = (frame: Buffer): number => uint32(frame, 8);
export const numberOf = (frame: Buffer): number => uint32(frame, 12);
export const callerOf = (frame: Buffer): number => uint32(frame, 20);
export const readBytesOf = callerOf;
export const callerIdOf = (frame: Buffer): number => uint32(frame, 24);
/** What its header says: the payload may be in several buffers. */
export const payloadBytesOf = (frame: Buffer): number => uint32(frame, 16);

export const setApp = (frame: Buffer, app: number): void => writeUint16(frame, 6, app);
export const setId = (frame: Buffer, id: number): void => writeUint32(frame, 8, id);
export const setNumber = (frame: Buffer, number: number): void => writeUint32(frame, 12, number);

export function setOrigin(frame: Buffer, caller: number, callerId: number): void {
  writeUint32(frame, 20, caller);
  writeUint32(frame, 24, callerId);
}

// By hand: four plain stores are several times as fast as the checked methods of Buffer.
const uint32 = (bytes: Buffer, at: number): number =>
  ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
function writeUint32(bytes: Buffer, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}
function writeUint16(bytes: Buffer, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}

/** A frame's payload in one piece; `more` are the buffers that follow the first. */
export const payloadOf = (frame: Buffer, more: readonly Buffer[] = NO_MORE): Buffer =>
  more.length === 0
    ? frame.subarray(HEADER_BYTES)
    : Buffer.concat([frame.subarray(HEADER_BYTES), ...more], payloadBytesOf(frame));

export const NO_MORE: readonly Buffer[] = [];

/** Why the first 28 bytes are no header that may be sent here; undefined if they are one. */
export function headerFault(bytes: Buffer, at: number, frameBytesMax: number): string | undefined {
  if (bytes[at] !== MAGIC_0 || bytes[at + 1] !== MAGIC_1) return 'not a frame';
  if (bytes[at + 2] !== VERSION) return `version ${bytes[at + 2]} of the wire, this is ${VERSION}`;
  const type = bytes[at + 3]!;
  if (type < 1 || type > TYPE_MAX) return `frames of type ${type} do not exist`;
  const length = uint32(bytes, at + 16);
  if (length > frameBytesMax) return `a frame of ${length} bytes, a frame has at most ${frameBytesMax}`;
  return undefined;
}

/**
 * Whether a peer of another version says something that has to be refused. Magic, version, type and length lie at the same place
 * in every version, and the header has the same length, so that each can tell another's refusal.
 */
export const isForeign = (bytes: Buffer, at: number): boolean =>
  bytes[at] === MAGIC_0 &&
  bytes[at + 1] === MAGIC_1 &&
  bytes[at + 2] !== VERSION &&
  bytes[at + 3] !== FRAME.error;

/** What a peer of another version is told: an error whose payload is plain text, since how values are packed may differ. */
export function refusalOf(why: string): Buffer {
  const text = Buffer.from(why);
  const frame = Buffer.alloc(HEADER_BYTES + text.length);
  writeHeader(frame, { type: FRAME.error });
  frame.set(text, HEADER_BYTES);
  return frame;
}

/** The length of the whole frame whose header is at `at`. */
export const frameBytesOf = (bytes: Buffer, at: number): number => HEADER_BYTES + uint32(bytes, at + 16);
