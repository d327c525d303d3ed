/**
 * A change of the stash as bytes of its file: length and CRC-32 of a body, then the body. Runs in the dirty arbiter.
 * What a killed process left half written is recognized by either, and ends the file.
 */
import { crc32 } from 'node:zlib';
import type { Change } from './stash-change.ts';

/** Length and checksum, 4 bytes each. All numbers are big-endian. */
export const RECORD_HEAD_BYTES = 8;
/** A version and a time, 8 bytes each. */
const SET_BYTES = 16;

const KINDS = ['set', 'delete', 'clear', 'ensure', 'deleteTable', 'version'] as const;

/** In two pieces, so that a large value is not copied. */
export function encodeRecord(change: Change): [head: Buffer, value: Uint8Array] {
  const value = change.type === 'set' ? change.value : new Uint8Array(0);
  const table = change.type === 'version' ? Buffer.alloc(0) : Buffer.from(change.table);
  const key = 'key' in change ? Buffer.from(change.key) : Buffer.alloc(0);
  const bodyBytes = 1 + 2 + table.length + 2 + key.length + SET_BYTES + value.byteLength;
  const head = Buffer.alloc(RECORD_HEAD_BYTES + bodyBytes - value.byteLength);
  let at = head.writeUInt8(KINDS.indexOf(change.type), RECORD_HEAD_BYTES);
  at = head.writeUInt16BE(table.length, at);
  at += table.copy(head, at);
  at = head.writeUInt16BE(key.length, at);
  at += key.copy(head, at);
  at = head.writeDoubleBE('version' in change ? change.version : 0, at);
  head.writeDoubleBE(change.type === 'set' ? change.expiresAtMs : 0, at);
  head.writeUInt32BE(bodyBytes, 0);
  head.writeUInt32BE(crc32(value, crc32(head.subarray(RECORD_HEAD_BYTES))), 4);
  return [head, value];
}

/** The change of a body; undefined if this is not the body that was written. Its value is a piece of `body`. */
export function decodeRecord(body: Buffer, checksum: number): Change | undefined {
  if (crc32(body) !== checksum) return undefined;
  try {
    const tableEnd = 3 + body.readUInt16BE(1);
    const table = body.toString('utf8', 3, tableEnd);
    const keyEnd = tableEnd + 2 + body.readUInt16BE(tableEnd);
    const key = body.toString('utf8', tableEnd + 2, keyEnd);
    const version = body.readDoubleBE(keyEnd);
    const expiresAtMs = body.readDoubleBE(keyEnd + 8);
    const type = KINDS[body[0]!];
    if (type === 'set')
      return { type, table, key, version, expiresAtMs, value: body.subarray(keyEnd + SET_BYTES) };
    if (type === 'delete') return { type, table, key };
    if (type === 'version') return { type, version };
    return type && { type, table };
  } catch (error) {
    // Shorter than it says. The checksum was right, so it was no write that was cut off.
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}
