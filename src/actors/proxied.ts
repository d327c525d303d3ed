/**
 * Connections that come through a proxy which says, before anything else, who its client is. Runs in web workers, and only where
 * `--proxy-protocol` asks for it: a server sees such a connection when its head is read, TLS or not.
 */
import type { Server, Socket } from 'node:net';
import {
  HEAD_AWAITED,
  HEAD_BYTES_MAX,
  type Peer,
  type ProxyVersions,
  readProxyHead,
} from './proxy-header.ts';
import { seldom } from './seldom.ts';
import type { Notice } from './supervised.ts';
import { trustOf } from './trusted-peers.ts';

/** A proxy sends its head at once; nobody else gets further. */
const HEAD_MS = 3000;

export interface ProxySpec {
  versions: ProxyVersions;
  /** Addresses, or networks such as 10.0.0.0/8; `*`: everybody. */
  allow: string[];
}

export function takeProxied(server: Server, { versions, allow }: ProxySpec, notice: Notice): void {
  const emit = server.emit;
  const trusts = trustOf(allow);
  const tell = seldom(notice);
  server.emit = function emitConnection(this: Server, event: string | symbol, ...args: unknown[]): boolean {
    if (event !== 'connection') return Reflect.apply(emit, this, [event, ...args]);
    const socket = args[0] as Socket;
    const refuse = (why: string) => {
      tell('debug', `a connection from ${socket.remoteAddress ?? 'a unix socket'} was closed: ${why}`);
      socket.destroy();
    };
    if (!trusts(socket)) {
      refuse('--proxy-allow-from does not name it');
      return true;
    }
    Reflect.apply(emit, this, [HEAD_AWAITED, socket]);
    awaitHead(socket, versions, refuse, () => Reflect.apply(emit, this, [event, ...args]));
    return true;
  } as Server['emit'];
  // The handshake is the client's; its socket is another one than that which the proxy made.
  server.prependListener('secureConnection', (socket: Socket & { _parent?: Socket }) => {
    const peer = socket._parent && peers.get(socket._parent);
    if (peer) wear(socket, peer);
  });
}

const peers = new WeakMap<Socket, Peer>();

function awaitHead(
  socket: Socket,
  versions: ProxyVersions,
  refuse: (why: string) => void,
  proceed: () => void,
): void {
  let head: Buffer = Buffer.alloc(0);
  const late = setTimeout(() => refuse('no PROXY head came'), HEAD_MS);
  const onEnd = () => {
    clearTimeout(late);
    socket.destroy();
  };
  const ignored = () => {};
  socket.on('error', ignored);
  socket.on('end', onEnd);
  socket.on('close', onEnd);
  socket.on('readable', onReadable);
  function onReadable(): void {
    for (let chunk = socket.read() as Buffer | null; chunk; chunk = socket.read() as Buffer | null) {
      head = head.length === 0 ? chunk : Buffer.concat([head, chunk]);
      const verdict = readProxyHead(head, versions);
      if (verdict.kind === 'partial' && head.length < HEAD_BYTES_MAX) continue;
      clearTimeout(late);
      socket.removeListener('readable', onReadable);
      if (verdict.kind !== 'whole') {
        refuse(verdict.kind === 'bad' ? verdict.why : 'a PROXY head that is too long');
        return;
      }
      if (head.length > verdict.length) socket.unshift(head.subarray(verdict.length));
      if (verdict.peer) {
        peers.set(socket, verdict.peer);
        wear(socket, verdict.peer);
      }
      // A turn later, when the stream knows that nobody reads it any more, and is as a new one.
      setImmediate(() => {
        if (socket.destroyed) return;
        socket.removeListener('error', ignored);
        socket.removeListener('end', onEnd);
        socket.removeListener('close', onEnd);
        proceed();
      });
      return;
    }
  }
}

/** What apps, frameworks and the access log read. */
function wear(socket: Socket, { address, port, family }: Peer): void {
  const fixed = (value: unknown) => ({ value, configurable: true, enumerable: true });
  Object.defineProperties(socket, {
    remoteAddress: fixed(address),
    remotePort: fixed(port),
    remoteFamily: fixed(family),
  });
}
