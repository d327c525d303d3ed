/**
 * Sockets that are bound but neither listen nor accept. Runs in the arbiter. Where Node.js has `net.BoundSocket` (24 and later)
 * it makes them. Before that there is no public way, and there is none at all to take over a descriptor without listening on
 * it, so this is the one file that uses `net._createServerHandle`, the function that node:cluster itself is built on. It
 * returns a handle, or a negative errno.
 */
import net from 'node:net';
import { getSystemErrorName } from 'node:util';

export interface SocketHandle {
  readonly fd: number;
  close(): void;
  unref?(): void;
  getsockname?(out: Partial<SocketName>): number;
  getpeername?(out: Partial<SocketName>): number;
}

export interface SocketName {
  address: string;
  family: 'IPv4' | 'IPv6';
  port: number;
}

export interface BoundHandle {
  handle: SocketHandle;
  name: SocketName;
}

/** A system call that failed: `code` is the errno's name, such as `EADDRINUSE`. */
export class SocketError extends Error {
  readonly code: string;

  constructor(errno: number) {
    const code = getSystemErrorName(errno);
    super(code);
    this.code = code;
  }
}

interface BoundSocket {
  fd(): number;
  /** Throws where it is closed already. */
  close(): void;
  /** The path of a Unix socket. */
  address(): SocketName | string;
}
type BindOptions = { path: string } | { host: string; port: number; ipv6Only: boolean; reusePort?: true };
type BoundSocketClass = new (options: BindOptions) => BoundSocket;

/** The public way, where this version of Node.js has it. The first that had it knew only TCP, and would ignore a path. */
function publicWay(kind: 'tcp' | 'unix'): BoundSocketClass | undefined {
  const { BoundSocket } = net as unknown as { BoundSocket?: BoundSocketClass };
  return BoundSocket && (kind === 'tcp' || 'isPipe' in BoundSocket.prototype) ? BoundSocket : undefined;
}

function bound(Bound: BoundSocketClass, options: BindOptions) {
  let socket: BoundSocket | undefined;
  try {
    socket = new Bound(options);
  } catch (error) {
    const { errno } = error as NodeJS.ErrnoException;
    throw errno === undefined ? error : new SocketError(errno);
  }
  const name = socket.address();
  // Holds the socket: what nobody holds any more is closed with the next collection of garbage.
  const handle: SocketHandle = {
    fd: socket.fd(),
    close() {
      socket?.close();
      socket = undefined;
    },
  };
  return { handle, name };
}

type CreateServerHandle = (
  address: string | null,
  port: number | null,
  addressType: number | null,
  fd?: number,
  flags?: number,
) => SocketHandle | number;

function create(...parameters: Parameters<CreateServerHandle>): SocketHandle {
  const { _createServerHandle } = net as unknown as { _createServerHandle: CreateServerHandle };
  const made = _createServerHandle(...parameters);
  if (typeof made === 'number') throw new SocketError(made);
  made.unref?.();
  return made;
}

/** libuv's UV_TCP_IPV6ONLY. Without it libuv makes a socket dual stack, whatever the system's own default is. */
const IPV6_ONLY = 1;
/** libuv's UV_TCP_REUSEPORT; older versions of Node.js do not know it, which the settings see to. */
const REUSE_PORT = 2;

/**
 * Binds a numeric address. `EADDRINUSE` shows only when the socket is asked for its name, so it is asked here. `::` takes
 * IPv4 connections too, unless it is `ipv6Only`. `reusePort` lets other sockets of this user have the same port.
 */
export function bindTcpHandle(
  host: string,
  port: number,
  { ipv6Only = false, reusePort = false }: { ipv6Only?: boolean; reusePort?: boolean } = {},
): BoundHandle {
  const Bound = publicWay('tcp');
  if (Bound) {
    const { handle, name } = bound(Bound, { host, port, ipv6Only, ...(reusePort ? { reusePort } : {}) });
    return { handle, name: name as SocketName };
  }
  const isV6 = host.includes(':');
  const flags = (isV6 && ipv6Only ? IPV6_ONLY : 0) | (reusePort ? REUSE_PORT : 0);
  const handle = create(host, port, isV6 ? 6 : 4, undefined, flags);
  try {
    return { handle, name: nameOf(handle) };
  } catch (error) {
    handle.close();
    throw error;
  }
}

/** Binds a path that must not exist. Closing the handle unlinks that path, whatever it is by then. */
export function bindUnixHandle(path: string): SocketHandle {
  const Bound = publicWay('unix');
  return Bound ? bound(Bound, { path }).handle : create(path, -1, -1);
}

/** Takes over a descriptor that is open already; closing the handle closes it. `name` is undefined for a Unix socket. */
export function openHandle(fd: number): { handle: SocketHandle; name: SocketName | undefined } {
  const handle = create(null, null, null, fd);
  return { handle, name: handle.getsockname ? nameOf(handle) : undefined };
}

function nameOf(handle: SocketHandle): SocketName {
  const name: Partial<SocketName> = {};
  const errno = handle.getsockname?.(name) ?? 0;
  if (errno < 0) throw new SocketError(errno);
  return name as SocketName;
}
