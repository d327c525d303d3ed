/** One listening socket to be: bound here or inherited, never listening in this process. Runs in the arbiter. */
import { fstatSync, readFileSync, realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { EarlyStart } from '../stages/early.ts';
import {
  type Address,
  formatAccess,
  formatAddress,
  formatHostPort,
  type TcpName,
  UNIX_PATH_BYTES_MAX,
} from './address.ts';
import { FaultError } from './fault-error.ts';
import { type Lookup, resolveHosts } from './host-name.ts';
import { bindTcpHandle, openHandle, SocketError, type SocketHandle } from './socket-handle.ts';
import {
  bindUnixSocket,
  DRAFT_NAME_LENGTH,
  type InheritedUnixSocket,
  inheritUnixSocket,
  type Owner,
  type UnixSocket,
} from './unix-socket.ts';
import type { HandedListener } from './upgrade/heritage.ts';

export interface BoundListener {
  /** As shown to people, with the real port: `127.0.0.1:8000`, `unix:/run/app.sock`. */
  address: string;
  type: 'tcp' | 'tcp6' | 'unix';
  fd: number;
}

/** A listener in the table. */
export interface Entry extends BoundListener {
  /** Every way it was asked for: the address, and for port 0 the request as well. */
  names: Set<string>;
  /** Numeric host and port, to find overlaps. */
  tcp: TcpName | undefined;
  /** Of a Unix socket: the permissions that were asked for, `?mode=0660`. */
  access: string;
  generations: Set<number>;
  /** Given to us open: kept until the end, since nobody gives it twice. */
  inherited: boolean;
  /** Closing needs it, and garbage collection of it would close the socket. */
  handle: SocketHandle;
  /** Of a Unix socket that Kirin has made: this process, or the old arbiter of an upgrade. */
  socket?: UnixSocket;
  close(): void;
}

/** An address as the table knows it: a host by its number, a socket's directory by where it really is. */
export type Place =
  | { kind: 'tcp'; tcp: TcpName }
  | { kind: 'unix'; path: string; mode?: number; group?: string }
  | { kind: 'fd'; fd: number };

export interface PlaceOptions {
  /** IPv6 addresses take no IPv4 connections. */
  ipv6Only?: boolean | undefined;
  lookup?: Lookup | undefined;
}

/** Where an address is now: a name has one place for each of its addresses, and a link may lead elsewhere later. */
export async function placesOf(
  address: Address,
  { ipv6Only = false, lookup }: PlaceOptions,
): Promise<Place[]> {
  if (address.kind === 'unix') return [{ ...address, path: realPlace(address.path) }];
  if (address.kind === 'fd') return [address];
  const found = await resolveHosts(address, lookup);
  return found.map((tcp) => ({ kind: 'tcp', tcp: { ...tcp, ipv6Only } }));
}

/** One name for each place, under which a later generation finds it. */
export function nameOf(place: Place): string {
  if (place.kind === 'tcp') return formatHostPort(place.tcp.host, place.tcp.port);
  return place.kind === 'unix' ? `unix:${place.path}` : formatAddress(place);
}

/** The permissions that are asked for, as text. */
export const accessOf = (place: Place): string => (place.kind === 'unix' ? formatAccess(place) : '');

function realPlace(path: string): string {
  try {
    return join(realpathSync(dirname(path)), basename(path));
  } catch {
    // Binding it will say why.
    return path;
  }
}

/** Whether a socket can be made there; else only a link to its directory may be short enough. */
const hasRoom = (path: string): boolean =>
  Buffer.byteLength(join(dirname(path), basename(path).padEnd(DRAFT_NAME_LENGTH))) <= UNIX_PATH_BYTES_MAX;

const pathOf = (address: Address, place: { path: string }): string =>
  address.kind === 'unix' ? address.path : place.path;

interface OpenOptions {
  owner?: Owner | undefined;
  reusePort?: boolean | undefined;
  /** What was bound before, without any option. */
  early?: Pick<EarlyStart, 'take'> | undefined;
}

/** Binds an address, or takes over its descriptor, at the place that was found for it; a Unix socket becomes its owner's. */
export async function openEntry(
  address: Address,
  place: Place,
  { owner, reusePort = false, early }: OpenOptions = {},
): Promise<Entry> {
  if (place.kind === 'unix') {
    // By its real path, so that it is found again at its end though a link has moved.
    const { mode, group } = place;
    const path = pathOf(address, place);
    const socket = await bindUnixSocket(hasRoom(place.path) ? place.path : path, {
      ...(mode === undefined ? {} : { mode }),
      ...(group === undefined ? {} : { group }),
      ...(owner ? { owner } : {}),
    });
    const shown = `unix:${path}`;
    const entry = entryOf(shown, 'unix', socket.handle, undefined, () => socket.release());
    entry.names.delete(shown);
    entry.access = accessOf(place);
    entry.socket = socket;
    return entry;
  }
  if (place.kind === 'fd') return inherit(place.fd);
  const { host, port, ipv6Only = false } = place.tcp;
  const isPlain = !ipv6Only && !reusePort;
  const { handle, name } =
    (isPlain ? early?.take(host, port) : undefined) ?? bindTcpHandle(host, port, { ipv6Only, reusePort });
  return tcpEntry(handle, { host: name.address, port: name.port, ipv6Only });
}

const tcpEntry = (handle: SocketHandle, tcp: TcpName): Entry =>
  entryOf(formatHostPort(tcp.host, tcp.port), tcp.host.includes(':') ? 'tcp6' : 'tcp', handle, tcp, () =>
    handle.close(),
  );

/** Takes a descriptor that is open already. */
function inherit(fd: number): Entry {
  const text = `fd://${fd}`;
  let isSocket = false;
  try {
    isSocket = fstatSync(fd).isSocket();
  } catch {
    throw new FaultError('bind.badAddress', `cannot bind ${text}: no descriptor ${fd} is open`);
  }
  if (!isSocket)
    throw new FaultError('bind.badAddress', `cannot bind ${text}: descriptor ${fd} is no socket`);
  let opened: ReturnType<typeof openHandle>;
  try {
    opened = openHandle(fd);
  } catch (error) {
    const why = error instanceof SocketError ? error.code : String(error);
    throw new FaultError('bind.badAddress', `cannot bind ${text}: it is no stream socket (${why})`);
  }
  const { handle, name } = opened;
  if (name && handle.getpeername?.({}) === 0) {
    handle.close();
    throw new FaultError(
      'bind.badAddress',
      `cannot bind ${text}: it is a connection, not a socket that can listen`,
    );
  }
  const entry = name
    ? tcpEntry(handle, { host: name.address, port: name.port, ipv6Only: !isDualStack() })
    : entryOf(unixNameOf(fd) ?? text, 'unix', handle, undefined, () => handle.close());
  entry.names.add(text);
  entry.inherited = true;
  return entry;
}

/** What a new arbiter is to be told of a listener. */
export const handedOf = ({
  fd,
  address,
  type,
  names,
  tcp,
  access,
  inherited,
  socket,
}: Entry): HandedListener => ({
  fd,
  address,
  type,
  names: [...names],
  ...(tcp ? { tcp } : {}),
  access,
  inherited,
  ...(socket ? { placed: { path: socket.path, ...socket.mark } } : {}),
});

/** Takes over what the old arbiter of an upgrade has bound. Throws SocketError where the descriptor is no such socket. */
export function inheritEntry(handed: HandedListener): Entry & { socket?: InheritedUnixSocket } {
  const { fd, address, type, tcp, access, inherited, placed } = handed;
  const names = new Set(handed.names);
  const parts = { address, type, fd, names, tcp, access, inherited, generations: new Set<number>() };
  if (!placed) {
    const { handle } = openHandle(fd);
    return { ...parts, handle, close: () => handle.close() };
  }
  const socket = inheritUnixSocket(placed.path, fd, placed);
  return { ...parts, handle: socket.handle, socket, close: () => socket.release() };
}

function entryOf(
  address: string,
  type: Entry['type'],
  handle: SocketHandle,
  tcp: TcpName | undefined,
  close: () => void,
): Entry {
  const names = new Set([address]);
  return {
    address,
    type,
    fd: handle.fd,
    names,
    tcp,
    access: '',
    generations: new Set(),
    inherited: false,
    handle,
    close,
  };
}

/** Whether `::` of somebody else takes IPv4 connections too: the system's default, and nearly every system's. */
function isDualStack(): boolean {
  try {
    return readFileSync('/proc/sys/net/ipv6/bindv6only', 'utf8').trim() !== '1';
  } catch {
    return true;
  }
}

/** The path of an inherited Unix socket, which Node does not tell; undefined where the system does not either. */
function unixNameOf(fd: number): string | undefined {
  try {
    const inode = String(fstatSync(fd).ino);
    const row = readFileSync('/proc/net/unix', 'utf8')
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .find((columns) => columns[6] === inode);
    return row?.[7] ? `unix:${row[7]}` : undefined;
  } catch {
    return undefined;
  }
}
