/**
 * Reads the head by which a proxy says who its client is: the PROXY protocol, in words (version 1) or in bytes (version 2). Runs in
 * web workers, where it is asked for. Pure: bytes in, verdict out.
 */
import { isIPv4, isIPv6 } from 'node:net';

/** Emitted by a server with each socket whose head is awaited. */
export const HEAD_AWAITED = Symbol('head awaited');

export type ProxyVersions = 'v1' | 'v2' | 'auto';

/** What the proxy says of its client. */
export interface Peer {
  address: string;
  port: number;
  family: 'IPv4' | 'IPv6';
}

export type ProxyHead =
  | { kind: 'partial' }
  | { kind: 'bad'; why: string }
  /** `length` bytes of head. Without a peer the connection is the proxy's own (its checks of health), or of no known kind. */
  | { kind: 'whole'; length: number; peer?: Peer };

const V1_START = Buffer.from('PROXY ');
/** The longest line that the protocol can produce, with its end. */
const V1_BYTES_MAX = 107;
const V2_START = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const V2_FIXED_BYTES = 16;
/** Addresses and what a proxy adds to them (names, facts of its TLS). */
const V2_REST_BYTES_MAX = 4096;
/** No head is longer. */
export const HEAD_BYTES_MAX = V2_FIXED_BYTES + V2_REST_BYTES_MAX;

const PARTIAL: ProxyHead = { kind: 'partial' };
const bad = (why: string): ProxyHead => ({ kind: 'bad', why });

export function readProxyHead(bytes: Buffer, versions: ProxyVersions): ProxyHead {
  if (versions !== 'v2' && startsLike(bytes, V1_START))
    return bytes.length < V1_START.length ? PARTIAL : readLine(bytes);
  if (versions !== 'v1' && startsLike(bytes, V2_START))
    return bytes.length < V2_FIXED_BYTES ? PARTIAL : readBinary(bytes);
  return bad('no PROXY head of the version expected');
}

/** As far as it has come. */
function startsLike(bytes: Buffer, start: Buffer): boolean {
  const length = Math.min(bytes.length, start.length);
  return bytes.subarray(0, length).equals(start.subarray(0, length));
}

function readLine(bytes: Buffer): ProxyHead {
  const end = bytes.subarray(0, V1_BYTES_MAX).indexOf('\r\n');
  if (end < 0) return bytes.length < V1_BYTES_MAX ? PARTIAL : bad('a PROXY line without an end');
  const length = end + 2;
  const words = bytes.toString('latin1', 0, end).split(' ');
  const [, protocol, address = '', own = '', port = '', ownPort = ''] = words;
  if (protocol === 'UNKNOWN') return { kind: 'whole', length };
  const family = protocol === 'TCP4' ? 'IPv4' : 'IPv6';
  const fits = family === 'IPv4' ? isIPv4 : isIPv6;
  const wellFormed =
    (protocol === 'TCP4' || protocol === 'TCP6') &&
    words.length === 6 &&
    [address, own].every(fits) &&
    [port, ownPort].every((text) => /^\d{1,5}$/.test(text) && Number(text) <= 65_535);
  if (!wellFormed) return bad('a PROXY line that is not as it should be');
  return { kind: 'whole', length, peer: { address, port: Number(port), family } };
}

function readBinary(bytes: Buffer): ProxyHead {
  const command = bytes[12]!;
  const family = bytes[13]!;
  const restBytes = bytes.readUInt16BE(14);
  if (command !== 0x20 && command !== 0x21) return bad('a PROXY head of an unknown version or command');
  if (restBytes > V2_REST_BYTES_MAX) return bad('a PROXY head that is too long');
  const length = V2_FIXED_BYTES + restBytes;
  if (bytes.length < length) return PARTIAL;
  if (command === 0x20) return { kind: 'whole', length };
  if (family === 0x11) {
    if (restBytes < 12) return bad('a PROXY head without its addresses');
    const address = bytes.subarray(16, 20).join('.');
    return { kind: 'whole', length, peer: { address, port: bytes.readUInt16BE(24), family: 'IPv4' } };
  }
  if (family === 0x21) {
    if (restBytes < 36) return bad('a PROXY head without its addresses');
    return {
      kind: 'whole',
      length,
      peer: { address: ipv6(bytes), port: bytes.readUInt16BE(48), family: 'IPv6' },
    };
  }
  return { kind: 'whole', length };
}

/** As URLs write it, which is the short form that Node uses too. */
function ipv6(bytes: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(16 + 2 * index).toString(16));
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
}
