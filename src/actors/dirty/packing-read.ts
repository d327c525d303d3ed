/**
 * From MessagePack to values. Runs at every end. Throws on what is not a value, and never reads beyond the bytes: what
 * a length promises is believed only as far as there are bytes for it.
 */
import { Buffer } from 'node:buffer';
import { ARRAY_BUFFER, DATA_VIEW, DEPTH_MAX, EXT, TYPED_ARRAYS } from './packing-kinds.ts';

let source: Buffer = Buffer.alloc(0);
let view = new DataView(source.buffer);
let at = 0;
let end = 0;
let depth = 0;
let lasting = false;

const NO_BYTES = Buffer.alloc(0);
const NO_VIEW = new DataView(new ArrayBuffer(0));
/** Keys come again and again: this many are remembered, by a hash of their bytes. */
const keyCache: ({ bytes: Uint8Array; text: string } | undefined)[] = new Array(1024);
const CACHED_KEY = 24;

/**
 * The value of these bytes. With `isLasting` they are the value's for ever, and Buffers in it are views of them;
 * otherwise they are used again, and everything is copied. Nothing here runs code of the app, so it cannot come back
 * in while it is busy.
 */
export function read(bytes: Buffer, isLasting: boolean): unknown {
  source = bytes;
  view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  at = depth = 0;
  end = bytes.length;
  lasting = isLasting;
  try {
    const value = any();
    if (at !== end) throw new RangeError(`${end - at} bytes too many`);
    return value;
  } finally {
    source = NO_BYTES;
    view = NO_VIEW;
  }
}

/** Moves on by so many bytes, and gives where they begin. */
function take(bytes: number): number {
  const from = at;
  if (bytes > end - from) throw new RangeError('it is cut off');
  at = from + bytes;
  return from;
}

const uint8 = (): number => source[take(1)]!;
const uint16 = (): number => view.getUint16(take(2));
const uint32 = (): number => view.getUint32(take(4));

function any(): unknown {
  const type = uint8();
  if (type < 0x80) return type;
  if (type < 0x90) return fields(type & 0x0f);
  if (type < 0xa0) return list(type & 0x0f);
  if (type < 0xc0) return text(type & 0x1f);
  if (type >= 0xe0) return type - 0x100;
  switch (type) {
    case 0xc0:
      return null;
    case 0xc2:
      return false;
    case 0xc3:
      return true;
    case 0xc4:
      return binary(uint8());
    case 0xc5:
      return binary(uint16());
    case 0xc6:
      return binary(uint32());
    case 0xc7:
      return extension(uint8());
    case 0xc8:
      return extension(uint16());
    case 0xc9:
      return extension(uint32());
    case 0xcb:
      return view.getFloat64(take(8));
    case 0xcc:
      return uint8();
    case 0xcd:
      return uint16();
    case 0xce:
      return uint32();
    case 0xcf:
      return view.getBigUint64(take(8));
    case 0xd2:
      return view.getInt32(take(4));
    case 0xd3:
      return view.getBigInt64(take(8));
    case 0xd4:
      return tagged();
    case 0xd7:
      return date();
    case 0xd9:
      return text(uint8());
    case 0xda:
      return text(uint16());
    case 0xdb:
      return text(uint32());
    case 0xdc:
      return list(uint16());
    case 0xdd:
      return list(uint32());
    case 0xde:
      return fields(uint16());
    case 0xdf:
      return fields(uint32());
    default:
      throw new RangeError(`0x${type.toString(16)} is no type`);
  }
}

function deeper(): void {
  if (++depth > DEPTH_MAX * 3) throw new RangeError('it is nested too deep');
}

function list(length: number): unknown[] {
  if (length > end - at) throw new RangeError('it is cut off');
  deeper();
  const values: unknown[] = [];
  for (let index = 0; index < length; index++) values.push(any());
  depth--;
  return values;
}

function fields(length: number): object {
  if (length * 2 > end - at) throw new RangeError('it is cut off');
  deeper();
  const value: Record<string, unknown> = {};
  for (let index = 0; index < length; index++) {
    const key = keyText();
    const inner = any();
    // Assigning it would change the prototype instead.
    if (key === '__proto__')
      Object.defineProperty(value, key, {
        value: inner,
        enumerable: true,
        writable: true,
        configurable: true,
      });
    else value[key] = inner;
  }
  depth--;
  return value;
}

function keyText(): string {
  const type = uint8();
  if (type < 0xa0 || type >= 0xc0) {
    at--;
    const key = any();
    if (typeof key !== 'string') throw new RangeError('a key that is no text');
    return key;
  }
  const length = type & 0x1f;
  if (length === 0 || length > CACHED_KEY) return text(length);
  const from = take(length);
  let hash = length;
  for (let index = from; index < at; index++) hash = (hash * 31 + source[index]!) | 0;
  const slot = hash & 1023;
  const cached = keyCache[slot];
  if (cached && cached.bytes.length === length) {
    let same = 0;
    while (same < length && cached.bytes[same] === source[from + same]) same++;
    if (same === length) return cached.text;
  }
  const key = source.toString('utf8', from, at);
  keyCache[slot] = { bytes: Uint8Array.prototype.slice.call(source, from, at), text: key };
  return key;
}

function text(length: number): string {
  if (length === 0) return '';
  const from = take(length);
  return source.toString('utf8', from, at);
}

function binary(length: number): Buffer {
  const from = take(length);
  return lasting ? source.subarray(from, at) : Buffer.from(source.subarray(from, at));
}

function date(): Date {
  if (uint8() !== EXT.date) throw new RangeError('an unknown extension of 8 bytes');
  return new Date(view.getFloat64(take(8)));
}

function tagged(): unknown {
  deeper();
  const type = uint8();
  take(1);
  const value = meaningOf(type);
  depth--;
  return value;
}

function meaningOf(type: number): unknown {
  switch (type) {
    case EXT.undefined:
      return undefined;
    case EXT.map:
      return map();
    case EXT.set:
      return new Set(listOf());
    case EXT.error:
      return error(listOf());
    case EXT.regexp: {
      const [pattern, flags] = listOf();
      return new RegExp(String(pattern), String(flags));
    }
    default:
      throw new RangeError(`0x${type.toString(16)} is no extension`);
  }
}

function listOf(): unknown[] {
  const value = any();
  if (!Array.isArray(value)) throw new RangeError('an extension without its list');
  return value;
}

function map(): Map<unknown, unknown> {
  const flat = listOf();
  if (flat.length % 2 !== 0) throw new RangeError('a Map with a key that has no value');
  const value = new Map<unknown, unknown>();
  for (let index = 0; index < flat.length; index += 2) value.set(flat[index], flat[index + 1]);
  return value;
}

const ERRORS: Record<string, new (message: string) => Error> = {
  Error,
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
};

function error([name, message, stack, cause, errors, own]: unknown[]): Error {
  const kind = String(name);
  const value = Array.isArray(errors)
    ? new AggregateError(errors, String(message))
    : new (Object.hasOwn(ERRORS, kind) ? ERRORS[kind]! : Error)(String(message));
  const hidden = (key: string, inner: unknown) =>
    Object.defineProperty(value, key, {
      value: inner,
      enumerable: false,
      writable: true,
      configurable: true,
    });
  if (value.name !== kind) hidden('name', kind);
  hidden('stack', stack);
  if (cause !== undefined) hidden('cause', cause);
  if (own && typeof own === 'object')
    for (const [key, inner] of Object.entries(own))
      Object.defineProperty(value, key, {
        value: inner,
        enumerable: true,
        writable: true,
        configurable: true,
      });
  return value;
}

function extension(length: number): unknown {
  if (length < 1) throw new RangeError('an empty extension');
  const type = uint8();
  const from = take(length);
  const kind = source[from]!;
  const bytes = source.subarray(from + 1, at);
  switch (type) {
    case EXT.typed:
      return typed(kind, bytes);
    case EXT.utf16:
      return bytes.toString('utf16le');
    case EXT.bigint: {
      const magnitude = BigInt(`0x${bytes.toString('hex') || '0'}`);
      return kind === 1 ? -magnitude : magnitude;
    }
    default:
      throw new RangeError(`0x${type.toString(16)} is no extension`);
  }
}

/** Always in a buffer of its own: elements must be aligned, and `.buffer` must hold nothing else. */
function typed(kind: number, bytes: Uint8Array): unknown {
  const own = new Uint8Array(bytes).buffer;
  if (kind === ARRAY_BUFFER) return own;
  if (kind === DATA_VIEW) return new DataView(own);
  const name = TYPED_ARRAYS[kind];
  const Class = name && (globalThis as unknown as Record<string, typeof Uint8Array | undefined>)[name];
  if (!Class) throw new RangeError(`this Node.js has no ${name ?? `typed array ${kind}`}`);
  return new Class(own);
}
