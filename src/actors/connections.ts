/**
 * The open connections of one server. Runs in web workers, on the data plane: a request costs one addition, a
 * connection one entry in a set; whatever else is asked is computed when asked.
 */
import type { EventEmitter } from 'node:events';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import type https from 'node:https';
import type { Server, Socket } from 'node:net';
import type { TLSSocket, Server as TlsServer } from 'node:tls';
import { HEAD_AWAITED } from './proxy-header.ts';

/** A socket as Node's HTTP server leaves it: with the response that is being sent on it, if there is one. */
export type HttpSocket = Socket & { _httpMessage?: ServerResponse | null };

/** An HTTP/2 session, as far as it matters here. */
interface Http2Session {
  close(): void;
  once(event: 'close', listener: () => void): void;
}

/** Events by which Node hands out a request; the latter two only where the app listens to them. */
export const REQUEST_EVENTS = ['request', 'checkContinue', 'checkExpectation'] as const;

/** The server speaks HTTP/1, and nothing else. */
export const speaksHttp = (server: Server): server is http.Server | https.Server =>
  server instanceof http.Server ||
  (isTls(server) && server instanceof process.getBuiltinModule('node:https').Server);

/** Known by what it can do: to load `node:tls`, only to ask, takes a worker a tenth of its start. */
export const isTls = (server: Server): server is TlsServer =>
  typeof (server as Partial<TlsServer>).setSecureContext === 'function';

/** It speaks HTTP/1 with those who do not speak HTTP/2, too. */
export const speaksHttp1 = (server: Server): server is http.Server =>
  speaksHttp(server) || typeof (server as Partial<http.Server>).closeIdleConnections === 'function';

/** Whoever is told how many connections there are. */
export interface Crowd {
  entered(connections: number): void;
  left(connections: number): void;
}

/** What was not shed by then is kept: by then it is known anew who has too many. */
const SHED_MS = 1500;

export class Connections {
  /** Requests begun. */
  requests = 0;
  /** Connections accepted. */
  accepted = 0;
  /** Every accepted connection, upgraded ones too. */
  readonly sockets = new Set<Socket>();
  /** HTTP/2 sessions, which must be told to end. */
  readonly sessions = new Set<Http2Session>();
  /** The last response that waits behind another on its connection (a client that pipelines). */
  readonly lastQueued = new WeakMap<Socket, ServerResponse>();
  /** Where HTTP is spoken: the TLS sockets of an HTTPS server, else the sockets themselves. */
  readonly #spoken: Set<Socket>;
  /** Connections of a TLS server that are not secured yet, and those whose proxy has not spoken yet. */
  readonly #greeting = new Set<Socket>();
  readonly #server: Server;
  #onEmpty: (() => void) | undefined;
  /** Answers that are to close their connections yet. */
  #toShed = 0;
  #shedLimit: NodeJS.Timeout | undefined;

  constructor(server: Server, requestsMax: number, onRequestsMax: (requests: number) => void, crowd?: Crowd) {
    this.#server = server;
    const { sockets, sessions, lastQueued } = this;
    const leave = (socket: Socket) => {
      sockets.delete(socket);
      this.#greeting.delete(socket);
      if (sockets.size === 0) this.#onEmpty?.();
      crowd?.left(sockets.size);
    };
    const enter = (socket: Socket): void => {
      this.accepted++;
      sockets.add(socket);
      socket.on('close', onClose);
      crowd?.entered(sockets.size);
    };
    server.prependListener('connection', (socket: Socket) => {
      // One whose proxy was awaited is known.
      if (sockets.has(socket)) this.#greeting.delete(socket);
      else enter(socket);
    });
    (server as EventEmitter).on(HEAD_AWAITED, (socket: Socket) => {
      this.#greeting.add(socket);
      enter(socket);
    });
    function onClose(this: Socket): void {
      leave(this);
    }

    if (isTls(server)) {
      const spoken = new Set<Socket>();
      const greeting = this.#greeting;
      server.prependListener('connection', (socket: Socket) => void greeting.add(socket));
      server.prependListener('secureConnection', (socket: Socket & { _parent?: Socket }) => {
        // Were it ever not known which connection this is, none is taken for one that never said hello.
        if (socket._parent) greeting.delete(socket._parent);
        else greeting.clear();
        spoken.add(socket);
        socket.on('close', onSpokenClose);
      });
      function onSpokenClose(this: Socket): void {
        spoken.delete(this);
      }
      this.#spoken = spoken;
    } else this.#spoken = sockets;

    // An app that listens for requests with 'Expect' hands those that it wants on, as ordinary ones.
    let expecting: WeakSet<IncomingMessage> | undefined;
    const count = (request: IncomingMessage, response: ServerResponse) => {
      if (expecting?.has(request)) return;
      if (response.socket === null && request.socket) lastQueued.set(request.socket, response);
      if (++this.requests === requestsMax) onRequestsMax(requestsMax);
      if (this.#toShed > 0) this.#shedOne(response);
    };
    const countExpecting = (request: IncomingMessage, response: ServerResponse) => {
      count(request, response);
      expecting ??= new WeakSet();
      expecting.add(request);
    };
    server.prependListener('request', count);
    for (const event of REQUEST_EVENTS) {
      if (event !== 'request' && server.listenerCount(event) > 0)
        server.prependListener(event, countExpecting);
    }
    if (!speaksHttp(server)) {
      server.on('session', (session: Http2Session) => {
        if (typeof session?.close !== 'function') return;
        sessions.add(session);
        session.once('close', () => sessions.delete(session));
      });
    }
  }

  /** The sockets on which HTTP/1 is spoken. */
  get spoken(): ReadonlySet<HttpSocket> {
    return this.#spoken;
  }

  /** Connections on which a request is being answered. Upgraded ones and HTTP/2 are not counted. */
  inFlight(): number {
    let count = 0;
    for (const socket of this.spoken) if (socket._httpMessage) count++;
    return count;
  }

  /** So many of the next answers say `Connection: close`. */
  shed(connections: number): void {
    if (!speaksHttp(this.#server)) return;
    this.#toShed = connections;
    clearTimeout(this.#shedLimit);
    this.#shedLimit = setTimeout(() => {
      this.#toShed = 0;
    }, SHED_MS).unref();
  }

  #shedOne(response: ServerResponse): void {
    // It closes anyway.
    if (!response.shouldKeepAlive) return;
    this.#toShed--;
    response.shouldKeepAlive = false;
  }

  /** Calls `onEmpty` once no connection is left; at once where there is none. */
  whenEmpty(onEmpty: () => void): void {
    this.#onEmpty = onEmpty;
    if (this.sockets.size === 0) onEmpty();
  }

  /** Closes the connections on which nothing was asked (or TLS not even agreed on) and all is sent, except those in `kept`. */
  closeIdle(kept: ReadonlySet<Socket> = NONE): void {
    const server = this.#server;
    for (const socket of this.#greeting) socket.destroy();
    if (!speaksHttp1(server)) return;
    // Only Node knows whether a request is half received. It closes all idle ones, so those to be kept are held.
    const holding: Socket[] = [];
    for (const socket of this.spoken) if (kept.has(socket) || isAnswering(socket)) holding.push(socket);
    for (const socket of holding) socket.destroy = held;
    server.closeIdleConnections();
    for (const socket of holding) delete (socket as Partial<Socket>).destroy;
    // To Node a connection that never sent a byte is not idle; browsers open such ones in advance.
    for (const socket of this.spoken)
      if (socket.bytesRead === 0 && !speaksHttp2(socket) && !kept.has(socket) && !isAnswering(socket))
        socket.destroy();
  }

  /** Closes every connection, whatever it is doing. Returns how many were not idle. */
  cut(): number {
    this.closeIdle();
    let cut = 0;
    for (const socket of this.sockets) {
      if (socket.destroyed) continue;
      socket.destroy();
      cut++;
    }
    return cut;
  }
}

/** To Node a connection is idle once `end()` of its answer was called, though megabytes may wait to be sent. */
const isAnswering = (socket: HttpSocket): boolean =>
  Boolean(socket._httpMessage) || socket.writableLength > 0;

const speaksHttp2 = (socket: Socket): boolean => (socket as Partial<TLSSocket>).alpnProtocol === 'h2';

const NONE: ReadonlySet<Socket> = new Set();

function held(this: Socket): Socket {
  return this;
}
