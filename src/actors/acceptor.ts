/**
 * Accepts on inherited descriptors for the app's own server. Runs in web workers.
 *
 * The first listener is the server's own, so that `server.listening` and `server.address()` are what the app
 * expects. Each further one gets a bare net server that hands its sockets over by emitting 'connection', which is
 * how Node itself would hand them over: from there on all are alike.
 */
import net, { type Server, type Socket } from 'node:net';
import type { WorkerListener } from '../machines/events/worker.ts';
import { bindFault } from './bind-fault.ts';
import { Pausing } from './pausing.ts';

/** Node's own, whatever the app or the listen hook puts in its place. */
const nativeListen = net.Server.prototype.listen;
const nativeClose = net.Server.prototype.close;

/** What Node keeps in a server and in its sockets to know when the last one is gone, and how to make sockets. */
interface ServerInternals {
  _connections?: number;
  _pipeName?: string;
  allowHalfOpen?: boolean;
  pauseOnConnect?: boolean;
  noDelay?: boolean;
  keepAlive?: boolean;
  keepAliveInitialDelay?: number;
  highWaterMark?: number;
}
/** A listening socket of Node's. */
interface Handle {
  onconnection: (error: number, client: unknown) => void;
  close(callback?: () => void): void;
  ref(): void;
  unref(): void;
}
type HandledServer = Server & {
  _handle: Handle | null;
  /** Node's second half of listen, which takes the handle that is there. */
  _listen2(address: null, port: number, addressType: number, backlog: number): void;
};
/** A listening socket whose server is gone, with the connections that came since. */
interface Parked {
  handle: Handle;
  connections: Parameters<Handle['onconnection']>[];
}

/** An operator's order, `--worker-connections`, or the arbiter's wish to have fewer accept. */
export type PauseReason = 'order' | 'full' | 'rest';

type OwnedSocket = Socket & { server?: Server; _server?: Server };

const SOCKET_OPTIONS = [
  'allowHalfOpen',
  'pauseOnConnect',
  'noDelay',
  'keepAlive',
  'keepAliveInitialDelay',
  'highWaterMark',
] as const;

/** listen(2) on a copy of the descriptor, closed again before anything can be accepted on it. */
export function claimListener(listener: WorkerListener, backlog: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = new net.Server();
    server.once('error', (error) => reject(bindFault(listener.address, error)));
    try {
      // `listen({ fd, backlog })` would ignore the backlog.
      Reflect.apply(nativeListen, server, [{ fd: listener.spareFd }, backlog]);
    } catch (error) {
      reject(bindFault(listener.address, error));
      return;
    }
    // In the same turn of the loop: a connection accepted here would be lost.
    if (server.listening) server.close(() => resolve());
  });
}

export class Acceptor {
  readonly #listeners: readonly WorkerListener[];
  readonly #backlog: number;
  readonly #pausing: Pausing;
  #open: Server[] = [];
  #parked = new Map<number, Parked>();
  #settled = false;
  /** It accepts where there is none. */
  readonly #reasons = new Set<PauseReason>();

  constructor(listeners: readonly WorkerListener[], backlog: number) {
    this.#listeners = listeners;
    this.#backlog = backlog;
    this.#pausing = new Pausing(backlog);
  }

  /** Starts to accept on every listener; 'listening' is emitted on `server` as after its own listen(). */
  open(server: Server): Promise<void> {
    const parked = this.#parked;
    this.#parked = new Map();
    // One that listened on a port of its own before it was chosen.
    if (server.listening) dropHandle(server as HandledServer);
    const opened = this.#listeners.map((listener, index) => {
      const accepting = index === 0 ? server : extraServer(server);
      this.#open.push(accepting);
      if (listener.type === 'unix')
        (accepting as ServerInternals)._pipeName = listener.address.replace(/^unix:/, '');
      const done = listening(accepting, listener, this.#backlog, parked.get(index));
      if (!this.#settled) this.#parkOnClose(accepting as HandledServer, index);
      return done;
    });
    return Promise.all(opened).then(() => {});
  }

  /** The server was closed before it was settled upon; another may be opened, and clients queue until then. */
  release(): void {
    for (const server of this.#open) if (server.listening) Reflect.apply(nativeClose, server, []);
    this.#open = [];
  }

  /** From now on a server that is closed takes its sockets with it. */
  settle(): void {
    this.#settled = true;
    for (const server of this.#open) delete (server as { _handle?: Partial<Handle> | null })._handle?.close;
  }

  /** What `pause` needs, before it is asked to. Throws FaultError `worker.cannotPause`. */
  prepare(): Promise<void> {
    return this.#pausing.prepare(this.#listeners.map(({ fd }) => fd));
  }

  /** See `Pausing`. */
  refill(): Promise<void> {
    return this.#pausing.refill();
  }

  /** Resolves with true once nothing is accepted any more, with false where that was overtaken. See `Pausing`. */
  async pause(reason: PauseReason): Promise<boolean> {
    this.#reasons.add(reason);
    try {
      return (await this.#pausing.pause(this.#open)) && this.#reasons.has(reason);
    } catch (error) {
      this.#reasons.delete(reason);
      throw error;
    }
  }

  /** Accepts again, unless there is another reason not to. */
  resume(reason: PauseReason): void {
    this.#reasons.delete(reason);
    if (this.#reasons.size === 0) this.#pausing.resume();
  }

  /** Descriptors are given once: where a server that is closed would close one, it is kept. */
  #parkOnClose(server: HandledServer, index: number): void {
    const handle = server._handle;
    if (!handle) return;
    handle.close = () => {
      const connections: Parked['connections'] = [];
      handle.onconnection = (...connection) => void connections.push(connection);
      handle.unref();
      this.#parked.set(index, { handle, connections });
    };
  }

  /**
   * Stops accepting, and nothing else: the close of an HTTP server would drop idle connections at once, on some of
   * which a request is already under way.
   */
  close(): void {
    this.settle();
    const [own] = this.#open;
    if (own?.listening) answerCloses(own);
    for (const server of this.#open) if (server.listening) Reflect.apply(nativeClose, server, []);
    this.#open = [];
    this.#pausing.close();
    for (const { handle } of this.#parked.values()) {
      delete (handle as Partial<Handle>).close;
      handle.close();
    }
    this.#parked.clear();
  }
}

/**
 * The app (its framework's close, its SIGTERM listener) may still call close() on a server that has stopped
 * accepting. It must neither drop idle connections early nor be told ERR_SERVER_NOT_RUNNING.
 */
function answerCloses(server: Server): void {
  let closed = false;
  server.once('close', () => {
    closed = true;
  });
  server.close = (callback?: (error?: Error) => void) => {
    if (callback) {
      if (closed) process.nextTick(callback);
      else server.once('close', () => callback());
    }
    return server;
  };
}

/** Ends a listen without a 'close'. */
function dropHandle(server: HandledServer): void {
  server._handle?.close();
  server._handle = null;
}

/** Goes on with a socket that another server had. */
function resume(server: HandledServer, { handle, connections }: Parked, backlog: number): void {
  delete (handle as Partial<Handle>).close;
  handle.ref();
  server._handle = handle;
  server._listen2(null, -1, -1, backlog);
  for (const connection of connections) handle.onconnection(...connection);
}

function listening(
  server: Server,
  listener: WorkerListener,
  backlog: number,
  parked?: Parked,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error) => reject(bindFault(listener.address, error));
    server.once('error', onError);
    server.once('listening', () => {
      server.removeListener('error', onError);
      resolve();
    });
    try {
      if (parked) resume(server as HandledServer, parked, backlog);
      else Reflect.apply(nativeListen, server, [{ fd: listener.fd }, backlog]);
    } catch (error) {
      onError(error as Error);
    }
  });
}

/** A net server that accepts for `server`, with its socket options. */
function extraServer(server: Server): Server {
  const extra = new net.Server() as Server & ServerInternals;
  const owner = server as Server & ServerInternals;
  for (const option of SOCKET_OPTIONS) {
    if (owner[option] !== undefined) (extra as unknown as Record<string, unknown>)[option] = owner[option];
  }
  extra.on('listening', () => extra.on('error', (error) => server.emit('error', error)));
  // Node drops what is above it; the connections it compares with are all the owner's.
  Object.defineProperty(extra, 'maxConnections', {
    get() {
      const max = server.maxConnections as number | undefined;
      if (max === undefined || max === null) return undefined;
      const left = max - (owner._connections ?? 0);
      return left > 0 ? left : -1;
    },
  });
  extra.on('drop', (dropped) => server.emit('drop', dropped));
  extra.on('connection', (socket: OwnedSocket) => {
    // Registered with the app's server, so that its getConnections() and its 'close' mean all connections.
    if (typeof owner._connections === 'number' && typeof extra._connections === 'number') {
      extra._connections--;
      owner._connections++;
      socket.server = server;
      socket._server = server;
    }
    server.emit('connection', socket);
  });
  return extra;
}
