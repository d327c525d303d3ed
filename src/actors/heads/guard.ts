/**
 * Requests whose heads the app sees only as settings want them. Runs in web workers, and only where a setting asks for it: what a
 * server hands out goes by here first, whoever made the server.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ServerHttp2Stream } from 'node:http2';
import type { Server, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { servesHttp } from '../listen-hook.ts';
import { seldom } from '../seldom.ts';
import type { Notice } from '../supervised.ts';
import { trustOf } from '../trusted-peers.ts';
import { type Headers, rulesOf } from './rules.ts';
import type { HeadSpec } from './spec.ts';

/** What is known of a request that was mounted, under the names that Express and those like it have. */
type Mounted = IncomingMessage & { originalUrl?: string; baseUrl?: string };

const ANSWERED = ['request', 'checkContinue', 'checkExpectation'];
const HANDED_OVER = ['upgrade', 'connect'];
const isHttp2 = ({ httpVersionMajor }: IncomingMessage): boolean => httpVersionMajor === 2;

export function guardHeads(server: Server, spec: HeadSpec, notice: Notice): void {
  if (!servesHttp(server)) return;
  const { root } = spec;
  const rules = spec.guards || spec.underscores ? rulesOf(spec) : undefined;
  const trusts = trustOf(spec.allow);
  /** Of a connection it is asked once: an address does not change. */
  const trusted = new WeakMap<object, boolean>();
  const isTrusted = (of: object, socket: Socket): boolean => {
    const known = trusted.get(of) ?? trusts(socket);
    trusted.set(of, known);
    return known;
  };
  const tell = seldom(notice);
  const told = (why: string, socket: Socket | undefined) => {
    tell('debug', `a request from ${socket?.remoteAddress ?? 'a unix socket'} was refused: ${why}`);
    return why;
  };
  const refusalOf = (request: IncomingMessage): string | undefined => {
    const { socket } = request;
    const why = rules?.(headersOf(request), isTrusted(socket, socket));
    return why && told(why, socket);
  };
  /** Before its request and response are made of it; also those that an app takes as they are. */
  const refusalOfStream = ({ session }: ServerHttp2Stream, byName: Headers['byName'], raw: string[]) => {
    // Of one that is gone nobody knows any more who it was.
    const socket = session && !session.destroyed ? (session.socket as Socket) : undefined;
    const why = rules?.({ byName, raw }, socket !== undefined && isTrusted(session!, socket));
    return why && told(why, socket);
  };

  const { emit } = server;
  server.emit = function emitGuarded(this: Server, event: string | symbol, ...args: unknown[]): boolean {
    const name = event as string;
    if (ANSWERED.includes(name)) {
      const [request, response] = args as [IncomingMessage, ServerResponse];
      if (!isHttp2(request)) {
        const why = refusalOf(request);
        if (why !== undefined) return refuse(response, why);
      }
      if (root !== undefined) mount(request, root);
    } else if (HANDED_OVER.includes(name)) {
      const [request, socket] = args as [IncomingMessage, Duplex];
      if (!isHttp2(request)) {
        const why = refusalOf(request);
        if (why !== undefined) return refuseRaw(socket, why);
      }
      if (root !== undefined && name === 'upgrade') mount(request, root);
    } else if (name === 'stream') {
      const [stream, headers, , raw] = args as [ServerHttp2Stream, Headers['byName'], number, string[]];
      const why = refusalOfStream(stream, headers, raw);
      if (why !== undefined) return refuseStream(stream, why);
    }
    return Reflect.apply(emit, this, [event, ...args]);
  } as Server['emit'];
}

const headersOf = (request: IncomingMessage) => ({
  byName: request.headers,
  raw: request.rawHeaders,
  distinct: () => request.headersDistinct,
});

/** As if a framework had mounted the app there. Once, also where the app hands the request on to the server again. */
function mount(request: Mounted, root: string): void {
  const { url = '', originalUrl } = request;
  if (originalUrl !== undefined || !url.startsWith(root)) return;
  const rest = url.slice(root.length);
  if (rest !== '' && rest[0] !== '/' && rest[0] !== '?') return;
  request.originalUrl = url;
  request.baseUrl = root;
  request.url = rest[0] === '/' ? rest : `/${rest}`;
}

function refuse(response: ServerResponse, why: string): true {
  const text = `Bad Request: ${why}\n`;
  response.writeHead(400, {
    'content-type': 'text/plain',
    'content-length': text.length,
    connection: 'close',
  });
  response.end(text);
  return true;
}

function refuseRaw(socket: Duplex, why: string): true {
  const text = `Bad Request: ${why}\n`;
  socket.on('error', () => {});
  socket.end(
    `HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: ${text.length}\r\nConnection: close\r\n\r\n${text}`,
    () => socket.destroy(),
  );
  return true;
}

function refuseStream(stream: ServerHttp2Stream, why: string): true {
  if (stream.destroyed) return true;
  stream.on('error', () => {});
  stream.respond({ ':status': 400, 'content-type': 'text/plain' });
  stream.end(`Bad Request: ${why}\n`);
  return true;
}
