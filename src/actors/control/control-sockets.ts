/**
 * The control sockets and the connections through them: the actors behind the listener and session machines. Runs in
 * the arbiter. Connections outlive the arbiter machine for a moment, so that its last answers are read.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { fromCallback } from 'xstate';
import type {
  ConnectionOrder,
  ConnectionReport,
  ControlSocketName,
  ControlSocketOrder,
  ControlSocketReport,
} from '../../machines/events/control.ts';
import { UNIX_PATH_BYTES_MAX } from '../address.ts';
import { FaultError, toFault } from '../fault-error.ts';
import { makeDirectory } from '../make-directory.ts';
import { bindUnixSocket, inheritUnixSocket, type UnixSocket } from '../unix-socket.ts';
import { BESIDE, type HandedSocket } from '../upgrade/heritage.ts';
import { Connection, type ConnectionDeps } from './connection.ts';
import { encodeFrame } from './frames.ts';

/** One control socket as the settings want it. */
export interface ControlSocketSpec {
  name: ControlSocketName;
  path: string;
  mode: number;
  /** The setting that gave the path, for messages. */
  flag: string;
  readonly: boolean;
  sessionsMax: number;
}

/** How often it is looked whether the name is still ours. */
const LOOK_MS = 2000;
/** How long one that was refused may take to read why, and how many may do so at once. */
const REFUSED_MS = 1000;
const REFUSED_MAX = 256;
/** At the end, for what is still to be written. */
const LAST_WORDS_MS = 500;
const BACKLOG = 512;

let lastConnection = 0;

export class ControlSockets {
  readonly #specs: ReadonlyMap<ControlSocketName, ControlSocketSpec>;
  readonly #deps: Omit<ConnectionDeps, 'readonly'>;
  readonly #connections = new Map<number, Connection>();
  readonly #sockets = new Set<Socket>();
  readonly #bound = new Set<UnixSocket>();
  /** The old arbiter's, until they are taken over; their paths get an ending meanwhile. */
  readonly #heritage: Map<string, HandedSocket>;
  #hasSucceeded = false;
  /** Whose names are to be given up: by the paths that they were wanted at. */
  readonly #lost = new Map<string, () => void>();
  /** Those that were bound once. */
  readonly #opened = new Set<ControlSocketName>();
  #closed = false;
  #refused = 0;

  constructor(
    specs: readonly ControlSocketSpec[],
    deps: Omit<ConnectionDeps, 'readonly'>,
    heritage: readonly HandedSocket[] = [],
  ) {
    this.#heritage = new Map(heritage.map((one) => [one.path, one]));
    this.#specs = new Map(specs.map((spec) => [spec.name, spec]));
    this.#deps = deps;
  }

  /** The actor `socket` of a listener machine. */
  readonly socketActor = fromCallback<ControlSocketOrder, { name: ControlSocketName }>(
    ({ input, sendBack, receive }) => {
      const report = sendBack as (event: ControlSocketReport) => void;
      const spec = this.#specs.get(input.name)!;
      const waiting = new Map<number, Socket>();
      let over = false;
      let close = (): void => {};
      receive(({ connection }) => this.#refuse(connection, spec, waiting));
      this.#open(spec, {
        accepted: (socket) => {
          const connection = ++lastConnection;
          waiting.set(connection, socket);
          const adopted = this.#adopt(connection, socket, spec);
          report({ type: 'connection.accepted', connection });
          // Nobody wants it: this very socket is being closed.
          if (waiting.delete(connection) && !adopted.opened) socket.destroy();
        },
        lost: () => report({ type: 'socket.lost' }),
      }).then(
        (opened) => {
          close = opened.close;
          if (over) return close();
          report({ type: 'socket.opened', path: this.#pathOf(spec) });
        },
        (error: unknown) => {
          const { code, message } = toFault(error, 'bind.failed');
          if (!over)
            report({
              type: 'socket.failed',
              fault: { code, message },
              permanent: code === 'bind.badAddress',
            });
        },
      );
      return () => {
        over = true;
        close();
      };
    },
  );

  /** The actor `connection` of a session machine. */
  readonly connectionActor = fromCallback<ConnectionOrder, { connection: number }>(
    ({ input, sendBack, receive }) => {
      const connection = this.#connections.get(input.connection);
      const report = sendBack as (event: ConnectionReport) => void;
      if (!connection) return report({ type: 'connection.closed' });
      receive((order) => connection.obey(order));
      connection.open(report);
      return () => connection.forget();
    },
  );

  /** For a new arbiter; from now on the names are left to it, until `takeBack`. */
  handOver(): HandedSocket[] {
    const bound = [...this.#bound];
    for (const one of bound) one.keepName(true);
    return bound.map(({ path, fd, mark }) => ({ path, fd, ...mark }));
  }

  takeBack(): void {
    for (const one of this.#bound) one.keepName(false);
  }

  /** The old arbiter is gone: its sockets are opened in place of those beside them, and those that nobody wants are removed. */
  succeed(): void {
    this.#hasSucceeded = true;
    const wanted = new Set([...this.#specs.values()].map(({ path }) => path));
    for (const [path, { fd, ...mark }] of this.#heritage) {
      if (wanted.has(path)) continue;
      this.#heritage.delete(path);
      const socket = inheritUnixSocket(path, fd, mark);
      socket.succeed();
      socket.release();
    }
    for (const path of this.#heritage.keys()) this.#lost.get(path)?.();
  }

  #pathOf({ path }: ControlSocketSpec): string {
    return this.#heritage.has(path) && !this.#hasSucceeded ? beside(path) : path;
  }

  async #bind(spec: ControlSocketSpec): Promise<UnixSocket> {
    const { path } = spec;
    const handed = this.#hasSucceeded ? this.#heritage.get(path) : undefined;
    if (!handed) return await bindSpec({ ...spec, path: this.#pathOf(spec) }, !this.#opened.has(spec.name));
    this.#heritage.delete(path);
    const socket = inheritUnixSocket(path, handed.fd, handed);
    socket.succeed();
    return socket;
  }

  /** Ends all connections, once what was said is written. */
  async close(): Promise<void> {
    const closed = [...this.#sockets].map(
      (socket) => new Promise<void>((resolve) => socket.once('close', () => resolve())),
    );
    for (const socket of this.#sockets) socket.end();
    const limit = setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy();
    }, LAST_WORDS_MS);
    await Promise.all(closed);
    clearTimeout(limit);
    this.remove();
  }

  /** Removes the sockets from the file system, in an emergency. */
  remove(): void {
    this.#closed = true;
    for (const bound of this.#bound) bound.release();
    this.#bound.clear();
  }

  async #open(
    spec: ControlSocketSpec,
    { accepted, lost }: { accepted(socket: Socket): void; lost(): void },
  ): Promise<{ close(): void }> {
    const bound = await this.#bind(spec);
    this.#lost.set(spec.path, lost);
    // The old arbiter has gone meanwhile.
    if (this.#hasSucceeded && this.#heritage.has(spec.path)) {
      bound.release();
      return await this.#open(spec, { accepted, lost });
    }
    this.#opened.add(spec.name);
    // The end of the server did not wait for this.
    if (this.#closed) bound.release();
    else this.#bound.add(bound);
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, accepted);
    const look = setInterval(() => {
      if (!bound.isOurs()) lost();
    }, LOOK_MS);
    look.unref();
    const close = (): void => {
      clearInterval(look);
      server.close();
      bound.release();
      this.#bound.delete(bound);
    };
    try {
      await listening(server, bound);
    } catch (error) {
      close();
      throw error;
    }
    return { close };
  }

  #adopt(number: number, socket: Socket, spec: ControlSocketSpec): Connection {
    const connection = new Connection(socket, { ...this.#deps, readonly: spec.readonly });
    this.#sockets.add(socket);
    this.#connections.set(number, connection);
    socket.once('close', () => {
      this.#sockets.delete(socket);
      this.#connections.delete(number);
    });
    return connection;
  }

  #refuse(number: number, spec: ControlSocketSpec, waiting: Map<number, Socket>): void {
    const socket = waiting.get(number);
    if (!socket) return;
    waiting.delete(number);
    this.#connections.delete(number);
    socket.on('error', () => {});
    const error = `Too many sessions: the most allowed is ${spec.sessionsMax} (--control-sessions)`;
    socket.end(encodeFrame({ id: null, status: 'error', error }));
    // What was written can still be read, unless the client sends before it reads.
    if (this.#refused >= REFUSED_MAX) return socket.destroySoon();
    this.#refused++;
    const limit = setTimeout(() => socket.destroy(), REFUSED_MS).unref();
    socket.once('close', () => {
      this.#refused--;
      clearTimeout(limit);
    });
    socket.resume();
  }
}

/** Its end makes room where a socket's name would be too long; a path that long has a name of more than two characters. */
function beside(path: string): string {
  const signs = [...path];
  while (Buffer.byteLength(signs.join('')) + BESIDE.length > UNIX_PATH_BYTES_MAX) signs.pop();
  return `${signs.join('')}${BESIDE}`;
}

async function bindSpec({ path, mode, flag }: ControlSocketSpec, isFirst: boolean): Promise<UnixSocket> {
  const bytes = Buffer.byteLength(path);
  if (bytes > UNIX_PATH_BYTES_MAX)
    throw new FaultError(
      'bind.badAddress',
      `cannot bind unix:${path}: the path has ${bytes} bytes, a socket's at most ${UNIX_PATH_BYTES_MAX}: choose a shorter ${flag}`,
    );
  try {
    // Later a directory that is gone was removed on purpose: a release, most likely.
    if (isFirst) makeDirectory(dirname(path));
  } catch {
    // What is wrong with the directory shows when the socket is bound, and is told there.
  }
  return await bindUnixSocket(path, { mode, flag });
}

function listening(server: Server, bound: UnixSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(bound.handle, BACKLOG, () => {
      server.off('error', reject);
      // Out of descriptors, for a moment: nothing to die of.
      server.on('error', () => {});
      resolve();
    });
  });
}
