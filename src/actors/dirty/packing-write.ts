/**
 * From values to MessagePack. Runs at every end, for every call: the state is the module's own, so that nothing is
 * allocated but the bytes. What is packed lies in a slab and is never written over; the next lies behind it.
 */
import { Buffer } from 'node:buffer';
import { ARRAY_BUFFER, DATA_VIEW, DEPTH_MAX, EXT, TYPED_ARRAYS } from './packing-kinds.ts';
import { type Apart, woven } from './packing-pieces.ts';
import { largeSlab, lendWhole, type Slab } from './packing-spare.ts';

/** Why a value was refused. Where it stands is searched for afterwards: only what fails pays for it. */
export class Refusal extends Error {}
/** More bytes than there may be. */
export class TooLarge extends Error {}

const SLAB_BYTES = 64 * 1024;
/** A text up to here is written by hand: a call into the engine costs more. */
const SHORT_TEXT = 40;
/** No number or header is longer. */
const SCALAR_BYTES = 16;

let slab: Slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
let view = viewOf(slab);
let start = 0;
let at = 0;
let depth = 0;
let bytesMax = 0;
let busy = false;
/** The slab that was too small for what is being packed, and where it is free. */
let outgrown: Slab | undefined;
let outgrownAt = 0;
/** The slab of the last large value. */
let whole: Slab | undefined;
/** Whether large bytes stay where they are, to be sent from there; these bytes, and where in the value each of them belongs. */
let isApart = false;
const apart: Apart[] = [];
let apartBytes = 0;
/** Fewer are sooner copied than sent by themselves. */
const APART_BYTES = 64 * 1024;

/** Says that the frame will be given back, by `recycle`, when it was written. */
export function lend(frame: Buffer): void {
  if (frame.length >= SLAB_BYTES && whole?.buffer === frame.buffer) lendWhole(whole);
}

function viewOf(buffer: Buffer): DataView {
  return new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}

/**
 * The bytes of `value`, after `reserveBytes` that are the caller's to fill. Throws Refusal, TooLarge, and whatever a
 * getter throws.
 */
export function write(value: unknown, reserveBytes: number, limitBytes: number): Buffer {
  // A getter of the value may pack something itself.
  if (busy) return writeNested(value, reserveBytes, limitBytes);
  busy = true;
  start = at;
  depth = 0;
  bytesMax = limitBytes + reserveBytes;
  try {
    ensure(reserveBytes + SCALAR_BYTES);
    at += reserveBytes;
    any(value);
    if (at - start + (isApart ? apartBytes : 0) > bytesMax) throw new TooLarge();
    return slab.subarray(start, at);
  } catch (error) {
    at = start;
    throw error;
  } finally {
    busy = false;
    whole = slab.length > SLAB_BYTES ? slab : undefined;
    // What was large stays with its receiver alone, and a slab that is nearly full is not worth starting in.
    if (outgrown) {
      slab = outgrown;
      at = outgrownAt;
      outgrown = undefined;
      view = viewOf(slab);
    }
    if (slab.length > SLAB_BYTES || slab.length - at < 1024) {
      slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
      view = viewOf(slab);
      at = 0;
    }
  }
}

/**
 * The same in pieces, of which the large Buffers in the value are their own: they are to be written out before anybody can change
 * them, which is in this turn.
 */
export function writeApart(value: unknown, reserveBytes: number, limitBytes: number): Buffer[] {
  if (busy) return [write(value, reserveBytes, limitBytes)];
  isApart = true;
  apartBytes = 0;
  try {
    const rest = write(value, reserveBytes, limitBytes);
    if (apart.length === 0) return [rest];
    const pieces = woven(rest, apart);
    // A getter of the value may have given the memory away.
    if (pieces.reduce((sum, { length }) => sum + length, 0) !== rest.length + apartBytes)
      throw new Refusal('has changed while it was packed');
    return pieces;
  } finally {
    isApart = false;
    if (apart.length > 0) apart.length = 0;
  }
}

function writeNested(value: unknown, reserveBytes: number, limitBytes: number): Buffer {
  const outer = { slab, view, start, at, depth, bytesMax, outgrown, outgrownAt, isApart };
  outgrown = undefined;
  isApart = false;
  slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
  view = viewOf(slab);
  at = 0;
  busy = false;
  try {
    return write(value, reserveBytes, limitBytes);
  } finally {
    ({ slab, view, start, at, depth, bytesMax, outgrown, outgrownAt, isApart } = outer);
    busy = true;
  }
}

/** Room for so many bytes more. */
function ensure(bytes: number): void {
  if (at + bytes > slab.length) grow(bytes);
}

function grow(bytes: number): void {
  const used = at - start;
  if (used + bytes + (isApart ? apartBytes : 0) > bytesMax + SCALAR_BYTES * 2) throw new TooLarge();
  const wanted = used === 0 ? bytes + 1024 : Math.max(used * 2, used + bytes + 1024);
  const length = Math.max(SLAB_BYTES + 1, Math.min(wanted, bytesMax + 4096));
  const larger = largeSlab(length);
  slab.copy(larger, 0, start, at);
  if (slab.length === SLAB_BYTES) {
    outgrown = slab;
    outgrownAt = start;
  }
  slab = larger;
  view = viewOf(slab);
  start = 0;
  at = used;
}

function any(value: unknown): void {
  ensure(SCALAR_BYTES);
  switch (typeof value) {
    case 'string':
      return text(value);
    case 'number':
      return number(value);
    case 'boolean':
      slab[at++] = value ? 0xc3 : 0xc2;
      return;
    case 'undefined':
      return tag(EXT.undefined);
    case 'bigint':
      return bigint(value);
    case 'object':
      if (value === null) slab[at++] = 0xc0;
      else object(value);
      return;
    default:
      throw new Refusal(`is a ${typeof value}`);
  }
}

function tag(type: number): void {
  slab[at++] = 0xd4;
  slab[at++] = type;
  slab[at++] = 0;
}

function number(value: number): void {
  if (value >>> 0 === value && (value !== 0 || 1 / value > 0)) {
    if (value < 0x80) slab[at++] = value;
    else if (value < 0x100) {
      slab[at++] = 0xcc;
      slab[at++] = value;
    } else if (value < 0x10000) {
      slab[at++] = 0xcd;
      slab[at++] = value >>> 8;
      slab[at++] = value;
    } else {
      slab[at++] = 0xce;
      view.setUint32(at, value);
      at += 4;
    }
  } else if (value >> 0 === value && value < 0) {
    if (value >= -0x20) slab[at++] = 0x100 + value;
    else {
      slab[at++] = 0xd2;
      view.setInt32(at, value);
      at += 4;
    }
  } else {
    slab[at++] = 0xcb;
    view.setFloat64(at, value);
    at += 8;
  }
}

function bigint(value: bigint): void {
  if (BigInt.asIntN(64, value) === value) {
    slab[at++] = 0xd3;
    view.setBigInt64(at, value);
    at += 8;
  } else if (BigInt.asUintN(64, value) === value) {
    slab[at++] = 0xcf;
    view.setBigUint64(at, value);
    at += 8;
  } else {
    const hex = (value < 0n ? -value : value).toString(16);
    const magnitude = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex');
    extension(EXT.bigint, value < 0n ? 1 : 0, magnitude);
  }
}

const isWellFormed = (value: string): boolean =>
  (value as unknown as { isWellFormed(): boolean }).isWellFormed();

function text(value: string): void {
  const { length } = value;
  if (length <= SHORT_TEXT && shortText(value, length)) return;
  if (!isWellFormed(value)) return extension(EXT.utf16, 0, Buffer.from(value, 'utf16le'));
  const bytes = Buffer.byteLength(value);
  ensure(bytes + SCALAR_BYTES);
  if (bytes < 0x20) slab[at++] = 0xa0 | bytes;
  else if (bytes < 0x100) {
    slab[at++] = 0xd9;
    slab[at++] = bytes;
  } else sized(0xda, 0xdb, bytes);
  slab.write(value, at, bytes, 'utf8');
  at += bytes;
}

/** A text of ASCII alone; false, and nothing written, if it is not. */
function shortText(value: string, length: number): boolean {
  ensure(length + SCALAR_BYTES);
  let to = at + (length < 0x20 ? 1 : 2);
  for (let index = 0; index < length; index++) {
    const code = value.charCodeAt(index);
    if (code >= 0x80) return false;
    slab[to++] = code;
  }
  if (length < 0x20) slab[at] = 0xa0 | length;
  else {
    slab[at] = 0xd9;
    slab[at + 1] = length;
  }
  at = to;
  return true;
}

/** A length of two or of four bytes after the type that says which. */
function sized(type16: number, type32: number, length: number): void {
  if (length < 0x10000) {
    slab[at++] = type16;
    slab[at++] = length >>> 8;
    slab[at++] = length;
  } else {
    slab[at++] = type32;
    view.setUint32(at, length);
    at += 4;
  }
}

function listHead(length: number): void {
  if (length < 0x10) slab[at++] = 0x90 | length;
  else sized(0xdc, 0xdd, length);
}

/** One byte that says what kind, then the bytes themselves. */
function extension(type: number, kind: number, bytes: Uint8Array): void {
  const length = bytes.byteLength + 1;
  ensure(SCALAR_BYTES);
  if (length < 0x100) {
    slab[at++] = 0xc7;
    slab[at++] = length;
  } else sized(0xc8, 0xc9, length);
  slab[at++] = type;
  slab[at++] = kind;
  put(bytes);
}

function put(bytes: Uint8Array): void {
  const { byteLength } = bytes;
  if (isApart && byteLength >= APART_BYTES) {
    apart.push({ offset: at - start, bytes: Buffer.from(bytes.buffer, bytes.byteOffset, byteLength) });
    apartBytes += byteLength;
    return;
  }
  ensure(byteLength);
  slab.set(bytes, at);
  at += byteLength;
}

function object(value: object): void {
  if (++depth > DEPTH_MAX) throw new Refusal(`is nested deeper than ${DEPTH_MAX}`);
  if (Array.isArray(value)) list(value);
  else {
    const prototype = Object.getPrototypeOf(value);
    if (prototype === Object.prototype || prototype === null) fields(value);
    else special(value);
  }
  depth--;
}

function list(values: readonly unknown[]): void {
  const { length } = values;
  listHead(length);
  for (let index = 0; index < length; index++) any(values[index]);
}

function fields(value: object): void {
  const keys = Object.keys(value);
  const { length } = keys;
  if (length < 0x10) slab[at++] = 0x80 | length;
  else sized(0xde, 0xdf, length);
  for (let index = 0; index < length; index++) {
    const key = keys[index]!;
    ensure(SCALAR_BYTES);
    text(key);
    any((value as Record<string, unknown>)[key]);
  }
}

/** What is neither a list nor a plain object. */
function special(value: object): void {
  if (ArrayBuffer.isView(value)) return binary(value);
  if (value instanceof Date) {
    slab[at++] = 0xd7;
    slab[at++] = EXT.date;
    view.setFloat64(at, value.getTime());
    at += 8;
  } else if (value instanceof Map) {
    tag(EXT.map);
    listHead(value.size * 2);
    for (const [key, inner] of value) {
      any(key);
      any(inner);
    }
  } else if (value instanceof Set) {
    tag(EXT.set);
    listHead(value.size);
    for (const inner of value) any(inner);
  } else if (value instanceof Error) error(value);
  else if (value instanceof RegExp) {
    tag(EXT.regexp);
    listHead(2);
    any(value.source);
    any(value.flags);
  } else if (value instanceof ArrayBuffer) extension(EXT.typed, ARRAY_BUFFER, new Uint8Array(value));
  else {
    const refused = refusedKindOf(value);
    if (refused) throw new Refusal(`is ${refused}`);
    fields(value);
  }
}

function binary(value: ArrayBufferView): void {
  if (value instanceof Buffer) {
    const { length } = value;
    ensure(SCALAR_BYTES);
    if (length < 0x100) {
      slab[at++] = 0xc4;
      slab[at++] = length;
    } else sized(0xc5, 0xc6, length);
    return put(value);
  }
  const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  if (value instanceof DataView) return extension(EXT.typed, DATA_VIEW, bytes);
  // Its own name, whatever a subclass calls itself.
  const name = (value as Uint8Array)[Symbol.toStringTag];
  const kind = (TYPED_ARRAYS as readonly string[]).indexOf(name);
  if (kind < 0) throw new Refusal(`is a ${name}, which is unknown`);
  extension(EXT.typed, kind, bytes);
}

function error(value: Error): void {
  tag(EXT.error);
  listHead(6);
  any(String(value.name));
  any(String(value.message));
  any(typeof value.stack === 'string' ? value.stack : undefined);
  any(value.cause);
  any(value instanceof AggregateError ? value.errors : undefined);
  ensure(SCALAR_BYTES);
  fields(value);
}

/** Instances that would arrive as an empty object, while what they stand for is lost. */
export function refusedKindOf(value: object): string | undefined {
  const of = value as Record<PropertyKey, unknown>;
  if (typeof of['then'] === 'function') return 'a promise';
  if (typeof of['pipe'] === 'function' || typeof of['getReader'] === 'function') return 'a stream';
  if (typeof of['getWriter'] === 'function') return 'a stream';
  if (typeof of[Symbol.asyncIterator] === 'function') return 'an async iterable';
  if (typeof of['next'] === 'function' && typeof of[Symbol.iterator] === 'function') return 'an iterator';
  if (value instanceof WeakMap || value instanceof WeakSet || value instanceof WeakRef)
    return `a ${of[Symbol.toStringTag]}`;
  if (value instanceof SharedArrayBuffer) return 'a SharedArrayBuffer';
  return undefined;
}
