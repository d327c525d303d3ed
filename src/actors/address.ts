/**
 * What `--bind` may say, and which addresses get in each other's way. Runs in the arbiter; pure text, no socket
 * is touched here.
 */
import { isIPv4, isIPv6 as isIPv6Text, SocketAddress } from 'node:net';
import { resolve } from 'node:path';
import { FaultError } from './fault-error.ts';

export type Address =
  | { kind: 'tcp'; host: string; port: number }
  /** Permission bits, by default those that the umask leaves; the group by name or number, by default the process's. */
  | { kind: 'unix'; path: string; mode?: number; group?: string }
  /** A socket that was opened by whoever started us: systemd, a test, an older arbiter. */
  | { kind: 'fd'; fd: number };

/** Node's expression for it takes a start milliseconds to compile, and most addresses show at a glance that they are none. */
const isIPv6 = (text: string): boolean => text.indexOf(':') !== text.lastIndexOf(':') && isIPv6Text(text);

const FORMS = 'HOST:PORT, PORT, [IPV6]:PORT, unix:PATH[?mode=0660&group=NAME] or fd://N';
const HOST_NAME = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*$/i;
const GROUP_NAME = /^(\d{1,9}|[a-z_][a-z0-9_.-]{0,62}\$?)$/i;
/** Room for a path in the kernel's `sockaddr_un`, without the final zero. */
export const UNIX_PATH_BYTES_MAX = process.platform === 'linux' ? 107 : 103;

const bad = (text: string, why: string) =>
  new FaultError('settings.invalid', `cannot bind "${text}": ${why}`);

/**
 * Reads one address. A lone port means 127.0.0.1; an empty host (`:8000`) every IPv4 interface. A relative
 * Unix path is taken from `directory`.
 */
export function parseAddress(text: string, directory = process.cwd()): Address {
  const trimmed = text.trim();
  if (trimmed === '') throw bad(text, `an address is ${FORMS}`);
  if (/^unix:/i.test(trimmed)) return parseUnix(text, trimmed.slice('unix:'.length), directory);
  if (/^fd:/i.test(trimmed)) {
    const number = /^fd:\/\/(\d{1,9})$/i.exec(trimmed)?.[1];
    if (number === undefined) throw bad(text, 'an inherited socket is fd://N, such as fd://3');
    return { kind: 'fd', fd: Number(number) };
  }
  if (/^\d+$/.test(trimmed)) return { kind: 'tcp', host: '127.0.0.1', port: parsePort(text, trimmed) };
  const scheme = /^[a-z][a-z0-9+.-]*:\/\//i.exec(trimmed)?.[0];
  if (scheme) throw bad(text, `an address is ${FORMS}, without "${scheme}"`);
  if (isIPv6(trimmed))
    throw bad(text, `an IPv6 address needs brackets and a port, such as ${bracketsFor(trimmed)}`);

  const bracketed = /^\[(.*)\]:(\w*)$/.exec(trimmed);
  if (bracketed) {
    const host = bracketed[1] ?? '';
    if (!isIPv6(host)) throw bad(text, `"${host}" is not an IPv6 address; an address is ${FORMS}`);
    return { kind: 'tcp', host: canonicalIPv6(host), port: parsePort(text, bracketed[2] ?? '') };
  }
  const colon = trimmed.lastIndexOf(':');
  if (trimmed.startsWith('[') && !/^\[[^\]]*\]$/.test(trimmed))
    throw bad(text, 'an IPv6 address stands in brackets, with a port behind them, such as [::1]:8000');
  if (/^(-\d+|\d{2,}[a-z]{1,2})$/i.test(trimmed))
    throw bad(text, `a port is a whole number from 0 to 65535, not "${trimmed}"`);
  if (colon < 0 || trimmed.startsWith('[')) throw bad(text, `the port is missing, as in ${trimmed}:8000`);
  const host = trimmed.slice(0, colon) || '0.0.0.0';
  const port = parsePort(text, trimmed.slice(colon + 1));
  const numeric = /(^|\.)\d+$/.test(host);
  if (!isIPv4(host) && (numeric || !HOST_NAME.test(host)))
    throw bad(text, `"${host}" is neither an IP address nor a host name; an address is ${FORMS}`);
  return { kind: 'tcp', host: host.toLowerCase(), port };
}

/** `::1:9242` may be an address, but whoever writes it most likely means the port 9242 of `::1`. */
function bracketsFor(address: string): string {
  const [, host = '', port = ''] = /^(.*):(\d{4,5})$/.exec(address) ?? [];
  return isIPv6(host) && Number(port) <= 65_535 ? `[${host}]:${port}` : `[${address}]:8000`;
}

/** The kernel's way of writing it, so that equal addresses are equal text. A zone (`%eth0`) is left as it is. */
export const canonicalIPv6 = (host: string): string =>
  host.includes('%') ? host : new SocketAddress({ address: host, family: 'ipv6' }).address;

function parsePort(text: string, digits: string): number {
  const port = /^\d{1,6}$/.test(digits) ? Number(digits) : Number.NaN;
  if (!(port <= 65_535)) throw bad(text, `a port is a whole number from 0 to 65535, not "${digits}"`);
  return port;
}

function parseUnix(text: string, whole: string, directory: string): Address {
  const at = whole.indexOf('?');
  const rest = at < 0 ? whole : whole.slice(0, at);
  if (rest === '' || rest.endsWith('/') || rest.includes('\0'))
    throw bad(text, 'a Unix socket is unix:PATH, such as unix:/run/app.sock');
  const path = resolve(directory, rest);
  if (Buffer.byteLength(path) > UNIX_PATH_BYTES_MAX)
    throw bad(text, `a Unix socket's path has at most ${UNIX_PATH_BYTES_MAX} bytes, "${path}" has more`);
  return { kind: 'unix', path, ...(at < 0 ? {} : parseAccess(text, whole.slice(at + 1))) };
}

/** Who may use a Unix socket: `mode=0660&group=www-data`. */
function parseAccess(text: string, query: string): { mode?: number; group?: string } {
  const access: { mode?: number; group?: string } = {};
  for (const pair of query.split('&')) {
    const [, key = pair, value = ''] = /^([^=]*)=(.*)$/.exec(pair) ?? [];
    if (key !== 'mode' && key !== 'group')
      throw bad(text, `behind the "?" of a path stand mode and group, not "${key}"`);
    if (access[key] !== undefined) throw bad(text, `${key} is given twice`);
    if (key === 'mode') {
      const mode = /^(0o?)?[0-7]{1,3}$/.test(value)
        ? Number.parseInt(value.replace(/^0o/, ''), 8)
        : Number.NaN;
      if (Number.isNaN(mode)) throw bad(text, `mode is octal, from 0 to 0777, such as 0660, not "${value}"`);
      access.mode = mode;
    } else if (GROUP_NAME.test(value)) access.group = value;
    else throw bad(text, `"${value}" is no name of a group`);
  }
  return access;
}

/** The address in the one way it is shown to people and compared: `127.0.0.1:8000`, `[::1]:80`, `unix:/x`, `fd://3`. */
export function formatAddress(address: Address): string {
  if (address.kind === 'unix') return `unix:${address.path}${formatAccess(address)}`;
  if (address.kind === 'fd') return `fd://${address.fd}`;
  return formatHostPort(address.host, address.port);
}

/** What stands behind a path: nothing where nothing was asked for. */
export function formatAccess({ mode, group }: { mode?: number; group?: string }): string {
  const parts = [
    mode === undefined ? '' : `mode=0${mode.toString(8).padStart(3, '0')}`,
    group === undefined ? '' : `group=${group}`,
  ].filter(Boolean);
  return parts.length === 0 ? '' : `?${parts.join('&')}`;
}

export const formatHostPort = (host: string, port: number): string =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;

/** Whether only this machine can reach a host. */
export const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'));

/** A numeric TCP address, as the kernel names it. */
export interface TcpName {
  host: string;
  port: number;
  /** Of `::`: it takes no IPv4 connections. */
  ipv6Only?: boolean;
}

const withoutMapping = (host: string) => host.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, '');

/**
 * Whether two different addresses claim the same connections, so that the kernel would refuse the second. An
 * IPv6 wildcard takes IPv4 as well, unless it is for IPv6 only.
 */
export function addressesOverlap(a: TcpName, b: TcpName): boolean {
  if (a.port !== b.port || a.port === 0) return false;
  const [first, second] = [withoutMapping(a.host), withoutMapping(b.host)];
  return first === second || covers(a, second) || covers(b, first);
}

function covers(wide: TcpName, narrow: string): boolean {
  if (wide.host === '::') return !wide.ipv6Only || isIPv6(narrow);
  return withoutMapping(wide.host) === '0.0.0.0' && isIPv4(narrow);
}
