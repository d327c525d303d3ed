/**
 * The extensions to MessagePack that both ends of the packing share. Runs at every end.
 *
 * What msgpackr, which the links use, would lose: -0 becomes 0, a Map without records becomes an object, errors lose
 * their stack, an unknown typed array becomes unreadable, a function becomes undefined. It offers no hook for numbers
 * and Maps, so the payloads have a packer of their own; what both know is written alike.
 */

/** Extension types. Those of one byte are tags: `d4 <type> 00`, then the value that they give a meaning. */
export const EXT = {
  undefined: 0,
  bigint: 0x42,
  date: 0x44,
  map: 0x4d,
  error: 0x65,
  set: 0x73,
  typed: 0x74,
  /** A text with lone surrogates, as UTF-16: UTF-8 has no place for them. */
  utf16: 0x75,
  regexp: 0x78,
} as const;

/** Typed arrays by their number on the wire. Looked up by name: not every Node.js has all of them. */
export const TYPED_ARRAYS = [
  'Int8Array',
  'Uint8Array',
  'Uint8ClampedArray',
  'Int16Array',
  'Uint16Array',
  'Int32Array',
  'Uint32Array',
  'Float32Array',
  'Float64Array',
  'BigInt64Array',
  'BigUint64Array',
  'Float16Array',
] as const;
export const ARRAY_BUFFER = 16;
export const DATA_VIEW = 17;

/** How deep values may be nested. Beyond it is a cycle, or might as well be one. */
export const DEPTH_MAX = 500;
