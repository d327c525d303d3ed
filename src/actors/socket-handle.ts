/**
 * Sockets that are bound but neither listen nor accept. Runs in the arbiter. Node has no public way to make one
 * before `net.BoundSocket` (24), so this is the one file that uses `net._createServerHandle`, the function that
 * node:cluster itself is built on. It returns a handle, or a negative errno.
 */
import net from 'node:net';
import { getSystemErrorName } from 'node:util';

export interface SocketHandle {
  readonly fd: number;
  close(callback?: () => void): void;
  unref?(): void;
  getsockname?(out: Partial<SocketName>): number;
  getpeername?(out: Partial<SocketName>): number;
}

export interface SocketName {
  address: string;
  family: 'IPv4' | 'IPv6';
  port: number;
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

/**
 * Binds a numeric address. `EADDRINUSE` shows only when the socket is asked for its name, so it is asked here. `::` takes
 * IPv4 connections too, unless it is `ipv6Only`.
 */
export function bindTcpHandle(
  host: string,
  port: number,
  { ipv6Only = false }: { ipv6Only?: boolean } = {},
): { handle: SocketHandle; name: SocketName } {
  const isV6 = net.isIPv6(host.replace(/%.*$/, ''));
  const handle = create(host, port, isV6 ? 6 : 4, undefined, isV6 && ipv6Only ? IPV6_ONLY : 0);
  try {
    return { handle, name: nameOf(handle) };
  } catch (error) {
    handle.close();
    throw error;
  }
}

/** Binds a path that must not exist. Closing the handle unlinks that path, whatever it is by then. */
export const bindUnixHandle = (path: string): SocketHandle => create(path, -1, -1);

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
