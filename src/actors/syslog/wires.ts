/**
 * What carries messages to a syslog server: datagrams (RFC 5426), or a stream, where over TCP each message has its length before it
 * (RFC 6587) and over a Unix socket a line end behind it, as the servers have it. Runs in the arbiter and in web workers.
 */
import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns';
import { connect, type Socket } from 'node:net';
import type { Target } from './message.ts';

export interface Wire {
  /** `done` is called once, with whether it is on its way. */
  write(message: Buffer, done: (isSent: boolean) => void): void;
  close(): void;
}

export interface WireEvents {
  opened(wire: Wire): void;
  /** Called once: it could not be opened, or is of no use any more. */
  broken(why: string): void;
}

/** A stream is not waited for longer than this. */
const CONNECT_MS = 5000;

/** The name is looked up once, not for each datagram. Where nobody listens nothing is known of it. */
export function openUdp({ host, port }: Extract<Target, { host: string }>, events: WireEvents): void {
  lookup(host, (error, address, family) => {
    if (error) return events.broken(error.code ?? error.message);
    const socket = createSocket(family === 6 ? 'udp6' : 'udp4');
    socket.on('error', () => {});
    socket.unref();
    events.opened({
      write: (message, done) => socket.send(message, port, address, (failed) => done(!failed)),
      close: () => socket.close(),
    });
  });
}

export function openStream(target: Target, events: WireEvents): void {
  const isUnix = target.kind === 'unix';
  const socket = isUnix ? connect({ path: target.path }) : connect({ host: target.host, port: target.port });
  let why = 'it closed the connection';
  socket.unref();
  const limit = setTimeout(() => {
    why = `no connection within ${CONNECT_MS / 1000} s`;
    socket.destroy();
  }, CONNECT_MS).unref();
  socket.on('connect', () => {
    clearTimeout(limit);
    events.opened(streamWire(socket, isUnix ? (message) => [message, LINE_END] : counted));
  });
  socket.on('error', ({ code, message }: NodeJS.ErrnoException) => {
    why =
      code === 'EPROTOTYPE'
        ? 'it is a socket for datagrams, to which Node.js cannot send: name one of streams, or udp://HOST:PORT'
        : (code ?? message);
  });
  socket.on('close', () => {
    clearTimeout(limit);
    events.broken(why);
  });
  // A server says nothing; reading is what shows that it has gone.
  socket.resume();
}

const LINE_END = Buffer.from('\n');
const counted = (message: Buffer): Buffer[] => [Buffer.from(`${message.length} `), message];

function streamWire(socket: Socket, framed: (message: Buffer) => Buffer[]): Wire {
  let isCorked = false;
  return {
    write(message, done) {
      // Messages of one turn of the event loop go together.
      if (!isCorked) {
        isCorked = true;
        socket.cork();
        setImmediate(() => {
          isCorked = false;
          socket.uncork();
        });
      }
      socket.write(Buffer.concat(framed(message)), (error) => done(!error));
    },
    close: () => void socket.destroySoon(),
  };
}
