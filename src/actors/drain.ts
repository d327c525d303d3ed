/**
 * Takes leave of the clients of one server, which has stopped accepting. Runs in web workers.
 *
 * 1. What is in flight is answered, to the last byte, however slowly the client takes it. From now on every answer says `Connection: close`, and Node closes after it.
 * 2. An idle keep-alive connection gets a grace: a request may already be under way on it. So does one whose
 *    answer had begun, with keep-alive promised in its head, before the drain did; it gets it after its end.
 * 3. A request that is half received is waited for, as long as the server's own timeouts allow.
 * 4. Upgraded connections and long streams stay until the limit. Then what is left is cut.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Server, Socket } from 'node:net';
import { type Connections, REQUEST_EVENTS, speaksHttp1 } from './connections.ts';

const SWEEP_MIN_MS = 50;
const SWEEP_MAX_MS = 1_000;
const TIMER_MAX_MS = 2 ** 31 - 1;

export interface DrainLimits {
  /** How long an idle connection is kept. */
  idleGraceMs: number;
  /** How long the whole may take. */
  graceMs: number;
}

export class Drain {
  readonly #server: Server;
  readonly #connections: Connections;
  readonly #idleGraceMs: number;
  /** Connections that came idle after the drain began, with the end of their grace. */
  readonly #graceEndMs = new Map<Socket, number>();
  /** The response after which each connection closes. */
  readonly #lastOf = new WeakMap<Socket, ServerResponse>();
  readonly #startedMs = performance.now();
  #cut = 0;

  /** Resolves with the number of connections that were cut, when none is left. */
  readonly done: Promise<{ cut: number }>;

  constructor(server: Server, connections: Connections, { idleGraceMs, graceMs }: DrainLimits) {
    this.#server = server;
    this.#connections = connections;
    this.#idleGraceMs = idleGraceMs;
    if (speaksHttp1(server)) this.#farewell();
    // HTTP/2 has a word for it: GOAWAY, after which the streams that are open are answered.
    for (const session of connections.sessions) session.close();
    server.on('session', (session) => session?.close?.());

    this.done = new Promise((resolve) => {
      const sweepMs = Math.min(Math.max(idleGraceMs / 4, SWEEP_MIN_MS), SWEEP_MAX_MS);
      const sweeper = setInterval(() => this.#sweep(), sweepMs);
      const limit = setTimeout(() => this.cut(), Math.min(graceMs, TIMER_MAX_MS));
      connections.whenEmpty(() => {
        clearInterval(sweeper);
        clearTimeout(limit);
        resolve({ cut: this.#cut });
      });
      if (idleGraceMs === 0) this.#sweep();
    });
  }

  /** Cuts what is left. */
  cut(): number {
    const cut = this.#connections.cut();
    this.#cut += cut;
    return cut;
  }

  /** Makes every answer that is not yet begun the last one of its connection. */
  #farewell(): void {
    for (const socket of this.#connections.spoken) {
      const current = socket._httpMessage;
      if (!current) continue;
      const queued = this.#connections.lastQueued.get(socket);
      const last = queued && !queued.writableFinished ? queued : current;
      if (last.headersSent) this.#graceAfter(last, socket);
      else this.#makeLast(last, socket);
    }
    const onRequest = (request: IncomingMessage, response: ServerResponse) => {
      if (request.httpVersionMajor < 2) this.#makeLast(response, request.socket);
    };
    for (const event of REQUEST_EVENTS) {
      if (event === 'request' || this.#server.listenerCount(event) > 0)
        this.#server.prependListener(event, onRequest);
    }
  }

  #graceAfter(response: ServerResponse, socket: Socket): void {
    response.once('close', () => {
      if (!socket.destroyed) this.#graceEndMs.set(socket, performance.now() + this.#idleGraceMs);
    });
  }

  /**
   * The answer will say `Connection: close`, unless another request has come behind it on its connection by then:
   * that one's answer says it instead. Every way to send a head leads through writeHead.
   */
  #makeLast(response: ServerResponse, socket: Socket): void {
    const lastOf = this.#lastOf;
    lastOf.set(socket, response);
    const writeHead = response.writeHead;
    response.writeHead = function writeLastHead(this: ServerResponse, ...args: unknown[]) {
      if (lastOf.get(socket) === this && !this.headersSent) {
        // An app or a proxy may have put its own 'Connection: keep-alive' there.
        const headers = args.at(-1);
        if (typeof headers === 'object' && headers !== null) args[args.length - 1] = closing(headers);
        else this.setHeader('Connection', 'close');
      }
      return Reflect.apply(writeHead, this, args);
    } as typeof response.writeHead;
  }

  /** Closes the idle connections whose grace is over. */
  #sweep(): void {
    const nowMs = performance.now();
    if (nowMs - this.#startedMs < this.#idleGraceMs) return;
    const kept = new Set<Socket>();
    for (const [socket, endMs] of this.#graceEndMs) {
      if (nowMs < endMs) kept.add(socket);
      else this.#graceEndMs.delete(socket);
    }
    this.#connections.closeIdle(kept);
  }
}

/** The headers given to writeHead, in any of its three forms, with `Connection: close` and no other. */
function closing(headers: object): object {
  const isOther = (name: unknown) => String(name).toLowerCase() !== 'connection';
  if (!Array.isArray(headers))
    return {
      ...Object.fromEntries(Object.entries(headers).filter(([name]) => isOther(name))),
      Connection: 'close',
    };
  if (Array.isArray(headers[0]))
    return [...headers.filter(([name]) => isOther(name)), ['Connection', 'close']];
  const flat: unknown[] = ['Connection', 'close'];
  for (let index = 0; index + 1 < headers.length; index += 2)
    if (isOther(headers[index])) flat.push(headers[index], headers[index + 1]);
  return flat;
}
