/**
 * Serves the user's app on the worker's listeners. Runs in web workers, on the data plane: the worker machine says
 * when to start, drain, cut and close, and hears nothing of a single request.
 */
import http from 'node:http';
import type { Server, Socket } from 'node:net';
import type { AppSpec, WorkerListener } from '../machines/events/worker.ts';
import { Acceptor, claimListener } from './acceptor.ts';
import { choose, closesOf, nothingToServe, resolveOffer } from './app.ts';
import { announceDrain, takeCloseCallbacks } from './app-bridge.ts';
import { errorLine } from './app-errors.ts';
import type { Servable } from './app-kinds.ts';
import { type Exports, loadModule } from './app-loader.ts';
import { signalShield } from './app-signals.ts';
import { Connections } from './connections.ts';
import { Drain } from './drain.ts';
import { awaitProxies, refuseOpenServer } from './edge.ts';
import { FaultError } from './fault-error.ts';
import { hookListen } from './listen-hook.ts';
import { hopeful, type Outcome, settles } from './patience.ts';
import { type RequestWatchers, watchRequests } from './requests/watch.ts';
import { Resting } from './resting.ts';
import { prepareRoom, Room } from './room.ts';
import { ScriptListens } from './script-listens.ts';
import type { Counts, Notice } from './supervised.ts';

/** Longer than the idle time of common load balancers (60 s), which would else meet connections just closed. */
const KEEP_ALIVE_MS = 75_000;

export interface WebServerOptions {
  listeners: WorkerListener[];
  /** Length of the kernel's queue of each listening socket. */
  backlog: number;
  /** Keep-alive time of idle connections; undefined: what the app's own server chose, else 75 s. */
  keepAliveMs?: number | undefined;
  /** How long idle connections are kept while draining. */
  idleGraceMs: number;
  /** Requests after which `recycleDue` is called; 0: never. */
  maxRequests: number;
  /** A server was chosen; told before it accepts. */
  chosen?: ((server: Server) => void) | undefined;
  /** Connections it may have before it accepts no more; undefined: no limit. */
  connectionsMax?: number | undefined;
  notice: Notice;
  /** Told of each request when it has ended. */
  watchers?: RequestWatchers;
  /** Called at most once: `maxRequests` were begun, or the app closed its own server and is of no more use. */
  recycleDue(requests: number): void;
}

export interface WebServer {
  /** listen(2) on each spare copy, so that clients queue and 'in use' is found before the app is loaded. */
  claim(): Promise<void>;
  /** Loads the app and accepts; resolves when it serves. Rejects with a FaultError app.* or bind.*. */
  start(app: AppSpec): Promise<void>;
  /** `full`: it accepts nothing for want of room; undefined where there is no limit. */
  counts(): Counts;
  /** Stops accepting, tells the app, takes leave of the clients. Resolves when no connection is left. */
  drain(graceMs: number): Promise<{ cut: number }>;
  /** Asks so many clients, with their next answers, to connect anew. */
  shed(connections: number): void;
  /**
   * Accepts no new connections, and serves those that are there. Resolves with true when it is so, with false where it was
   * resumed or is leaving. Throws FaultError `worker.cannotPause`; then it accepts as before.
   */
  pause(): Promise<boolean>;
  /** Accepts connections again; false where it is leaving. */
  resume(): boolean;
  /** Accepts nothing new until it is woken, because others do; where it cannot, it accepts on. Nobody waits for that. */
  rest(): void;
  /** Accepts connections again, unless it is paused. */
  wake(): void;
  /** Cuts every connection now, and returns how many. An ongoing drain then resolves. */
  cut(): number;
  /** Cuts the connection of which `resource` is, where it is one: its request threw and will not be answered. */
  abandon(resource: object): void;
  /** Runs the app's ends one after the other, all within `limitMs`; once, however often asked. Never rejects. */
  close(limitMs: number): Promise<void>;
}

export const createWebServer = (options: WebServerOptions): WebServer => new AppServer(options);

class AppServer implements WebServer {
  readonly #options: WebServerOptions;
  readonly #acceptor: Acceptor;
  readonly #resting: Resting;
  #server: Server | undefined;
  #connections: Connections | undefined;
  #room: Room | undefined;
  #servable: Servable | undefined;
  #exports: Exports = {};
  /** Settles when the server accepts; set once a server is chosen. */
  #opened: Promise<void> | undefined;
  /** Settled by the first server whose listen was taken and that is still there a turn later. */
  readonly #listened = deferred();
  #listens: ScriptListens | undefined;
  /** The server that was chosen because it listened. */
  #taken: Server | undefined;
  #ready = false;
  /** What to tell once ready. */
  #recycleHeld: number | undefined;
  #draining = false;
  #drain: Drain | undefined;
  #closing: Promise<void> | undefined;
  #recycled = false;

  constructor(options: WebServerOptions) {
    this.#options = options;
    this.#acceptor = new Acceptor(options.listeners, options.backlog);
    this.#resting = new Resting(this.#acceptor, options.notice);
  }

  async claim(): Promise<void> {
    const { listeners, backlog, connectionsMax, notice } = this.#options;
    // A burst may fill the worker as soon as it accepts.
    if (connectionsMax !== undefined) await prepareRoom(this.#acceptor, notice);
    await Promise.all(listeners.map((listener) => claimListener(listener, backlog)));
  }

  async start(app: AppSpec): Promise<void> {
    // What the app would see without Kirin.
    process.argv.splice(1, process.argv.length, app.path, ...(app.args ?? []));
    this.#listened.promise.catch(() => {});
    const listens = this.#listenTo(app);
    hookListen((asked) => listens.onListen(asked));
    await this.#load(app);
    this.#ready = true;
    this.#acceptor.settle();
    this.#listens?.settled();
    const held = this.#recycleHeld;
    // In a later turn, when whoever waits for the start knows of it.
    if (held !== undefined) setImmediate(() => this.#options.recycleDue(held));
  }

  async #load(app: AppSpec): Promise<void> {
    const loading = loadModule(app).then((exports) => {
      this.#exports = exports;
      return exports;
    });
    const listened = this.#listened.promise;
    // A script may listen and then wait for ever at its top level. What it throws later is its own crash.
    const exports = await Promise.race([loading, listened]);
    if (!exports) {
      loading.catch(rethrow);
      return;
    }
    // One turn, for a script that listens just after its module ended.
    await nextTurn();
    if (await this.#accepts()) return;

    const offer = choose(app, exports);
    const listenedBefore = this.#listens?.waiting ?? 0;
    const servable = offer && (await resolveOffer(app, offer));
    this.#servable = servable;
    if (await this.#accepts()) return;
    await this.#listens?.decide(servable, offer?.value, listenedBefore, (chosen) =>
      this.#serve(chosen.server, chosen.ours),
    );
    if (await this.#accepts()) return;
    if (servable) return this.#serve(servable.server, servable.ours);
    this.#options.notice('debug', `${app.path} exports nothing to serve; waiting for it to listen`);
    this.#listens?.adopt();
    await hopeful(listened, () => nothingToServe(app, exports, offer));
  }

  /** Whether a server was chosen that accepts, and that is still there a turn later. */
  async #accepts(): Promise<boolean> {
    while (this.#opened) {
      const opened = this.#opened;
      await opened;
      await nextTurn();
      if (this.#opened === opened) return true;
    }
    return false;
  }

  #listenTo({ exportName }: AppSpec): ScriptListens {
    const self = this;
    const { listeners, notice } = this.#options;
    const site = {
      get server() {
        return self.#server;
      },
      get handler() {
        return self.#servable?.handler;
      },
      take: (server: Server) => {
        this.#taken = server;
        // A failure is told to start(), and by Node to the server's own listeners.
        this.#serve(server, false).catch(() => {});
      },
      fail: (fault: FaultError) => this.#listened.reject(fault),
      notice,
      addresses: listeners.map((listener) => listener.address).join(', '),
    };
    this.#listens = new ScriptListens(site, { named: exportName !== undefined });
    return this.#listens;
  }

  /** Accepts on all listeners for `server`. */
  #serve(server: Server, ours: boolean): Promise<void> {
    const { maxRequests, connectionsMax, notice } = this.#options;
    const refusal = refuseOpenServer(server, ours);
    if (refusal) {
      this.#listened.reject(refusal);
      return Promise.reject(refusal);
    }
    this.#server = server;
    // What the user's hooks see of a request has been through what is set of its head, as what the app sees.
    this.#options.chosen?.(server);
    awaitProxies(server, notice);
    if (connectionsMax !== undefined) this.#room = new Room(connectionsMax, this.#acceptor, notice);
    this.#connections = new Connections(
      server,
      maxRequests,
      (requests) => this.#recycle(requests),
      this.#room,
    );
    watchRequests(server, this.#options.watchers ?? {});
    this.#setKeepAlive(server, ours);
    server.once('close', () => this.#onClosed(server));
    // A drain may have begun while the app was still loading.
    this.#opened = this.#draining ? Promise.resolve() : this.#acceptor.open(server);
    const opened = this.#opened;
    opened.then(
      () =>
        setImmediate(() => {
          if (this.#opened === opened) this.#listened.resolve();
        }),
      this.#listened.reject,
    );
    return opened;
  }

  #setKeepAlive(server: Server, ours: boolean): void {
    const { keepAliveMs } = this.#options;
    const timed = server as Server & { keepAliveTimeout?: number };
    if (typeof timed.keepAliveTimeout !== 'number') return;
    if (keepAliveMs !== undefined) {
      timed.keepAliveTimeout = keepAliveMs;
      // Scripts like to set it just after they listened; the operator's word counts more.
      server.once('listening', () => {
        timed.keepAliveTimeout = keepAliveMs;
      });
    } else if (ours || timed.keepAliveTimeout === http.createServer().keepAliveTimeout)
      timed.keepAliveTimeout = KEEP_ALIVE_MS;
  }

  #recycle(requests: number): void {
    if (this.#recycled) return;
    this.#recycled = true;
    if (this.#ready) this.#options.recycleDue(requests);
    else this.#recycleHeld = requests;
  }

  #onClosed(server: Server): void {
    if (this.#draining || server !== this.#server) return;
    if (!this.#ready && server === this.#taken) {
      // It only tried something. What is to be served may yet come.
      this.#acceptor.release();
      this.#server = undefined;
      this.#connections = undefined;
      this.#opened = undefined;
      this.#listens?.forget();
      this.#options.notice('info', 'the app closed the server that listened; it is forgotten');
      return;
    }
    this.#acceptor.close();
    this.#options.notice('warn', 'the app closed its own server; this worker no longer accepts');
    this.#recycle(this.#connections?.requests ?? 0);
  }

  counts(): Counts {
    const connections = this.#connections;
    if (!connections) return { requests: 0, connections: 0, inFlight: 0 };
    return {
      requests: connections.requests,
      connections: connections.sockets.size,
      inFlight: connections.inFlight(),
      ...(this.#room ? { full: this.#room.isFull } : {}),
      accepted: connections.accepted,
      resting: this.#resting.isResting,
    };
  }

  drain(graceMs: number): Promise<{ cut: number }> {
    if (this.#drain) return this.#drain.done;
    this.#draining = true;
    this.#room?.end();
    this.#acceptor.close();
    this.#listens?.stop();
    this.#tellApp();
    if (!this.#server || !this.#connections) return Promise.resolve({ cut: 0 });
    const { idleGraceMs } = this.#options;
    this.#drain = new Drain(this.#server, this.#connections, { idleGraceMs, graceMs });
    return this.#drain.done;
  }

  shed(connections: number): void {
    if (!this.#draining) this.#connections?.shed(connections);
  }

  async pause(): Promise<boolean> {
    if (this.#draining) return false;
    return await this.#acceptor.pause('order');
  }

  resume(): boolean {
    if (!this.#draining) this.#acceptor.resume('order');
    return !this.#draining;
  }

  rest(): void {
    // Where the app has a limit of its own Node drops what is beyond, which is less for fewer that accept.
    if (!this.#draining && !this.#server?.maxConnections) void this.#resting.rest();
  }

  wake(): void {
    if (!this.#draining) this.#resting.wake();
  }

  cut(): number {
    this.#draining = true;
    this.#room?.end();
    this.#acceptor.close();
    this.#tellApp();
    return this.#drain?.cut() ?? this.#connections?.cut() ?? 0;
  }

  abandon(resource: object): void {
    // Node.js keeps what a request runs in under its connection.
    const { socket } = resource as { socket?: Socket };
    if (socket && this.#connections?.sockets.has(socket)) socket.destroy();
  }

  close(limitMs: number): Promise<void> {
    this.#closing ??= this.#close(limitMs);
    return this.#closing;
  }

  async #close(limitMs: number): Promise<void> {
    const endMs = performance.now() + limitMs;
    for (const [name, run] of this.#ends()) {
      const leftMs = Math.max(0, endMs - performance.now());
      try {
        const outcome = await run(leftMs);
        if (outcome === 'late') this.#options.notice('warn', `${name} did not finish within the time left`);
        if (outcome === 'hopeless')
          this.#options.notice('warn', `${name} cannot finish: nothing is left to run`);
      } catch (error) {
        this.#failed(name, error);
      }
    }
  }

  /** What there is to run at the end, in order: the framework may still use what the later ones close. */
  *#ends(): Generator<[name: string, run: (leftMs: number) => Promise<Outcome>]> {
    const bounded = (end: () => unknown) => (leftMs: number) => settles(Promise.resolve(end()), leftMs);
    const { own, framework } = closesOf(this.#exports);
    const close = this.#servable?.close ?? framework;
    if (close) yield ["the framework's close", bounded(close)];
    if (own) yield ["the app's close", bounded(own)];
    for (const callback of takeCloseCallbacks()) yield ['an onClose callback', bounded(callback)];
    const shield = signalShield();
    if (shield) yield ["the app's SIGTERM listeners", (leftMs) => shield.runTerminationListeners(leftMs)];
  }

  #tellApp(): void {
    announceDrain((error) => this.#failed('an onDrain callback', error));
  }

  #failed(name: string, error: unknown): void {
    if (error instanceof FaultError) this.#options.notice('error', error.message);
    else this.#options.notice('error', `${name} failed: ${errorLine(error)}`);
  }
}

function deferred() {
  let resolve!: () => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<void>((...settle) => {
    [resolve, reject] = settle;
  });
  return { promise, resolve, reject };
}

const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** The app's own error, in a turn where nobody catches it: it is a crash like any other. */
function rethrow(error: unknown): void {
  setImmediate(() => {
    if (!(error instanceof FaultError)) throw error;
    const crash = new Error(error.fault.message);
    if (error.fault.stack !== undefined) crash.stack = error.fault.stack;
    throw crash;
  });
}
