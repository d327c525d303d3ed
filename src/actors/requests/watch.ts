/**
 * Tells those who count or write down requests of each one when it has ended. Runs in web workers, on the data plane, and is
 * attached only where there is one of them. HTTP/1 is seen through Node's own channels, which cost a tenth of a listener for each answer.
 */
import { subscribe } from 'node:diagnostics_channel';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ServerHttp2Stream } from 'node:http2';
import type { Server } from 'node:net';
import { type HttpSocket, isTls, speaksHttp } from '../connections.ts';

const BEGUN = Symbol('begun');
const SENT = Symbol('sent');
const ADDRESS = Symbol('address');
const QUEUED = Symbol('queued');
/**
 * A connection, with what is kept of it, as that costs an answer no memory: when the request in hand began; what had been sent when the
 * last answer ended; who is at its other end; and, where a client does not wait for answers, which of them wait for another one, and when
 * their requests began.
 */
type Watched = HttpSocket & {
  [BEGUN]?: number;
  [SENT]?: number;
  [ADDRESS]?: string | undefined;
  [QUEUED]?: Map<ServerResponse, number>;
};

/** A request and its answer, when it has ended. */
export interface Ended {
  request: IncomingMessage;
  response: ServerResponse;
  remoteAddress: string | undefined;
  ms: number;
  /** When it ended, of `performance.now()`: the one look at the clock that all share. */
  endMs: number;
  /** False: the client left, or was cut, before all was sent. */
  isWhole: boolean;
  /** Bytes on the connection since the answer before ended, its head included; in HTTP/2 those of the body. */
  sentBytes: number;
}

/** Those who want to know. Who counts is told no more than it counts: all else of a request costs something. */
export interface RequestWatchers {
  count?: (status: number, ms: number, isWhole: boolean) => void;
  write?: (ended: Ended) => void;
}

/** What Node's channels tell. */
interface HttpMessage {
  server: Server;
  request: IncomingMessage;
  response: ServerResponse;
  socket: Watched;
}

export function watchRequests(server: Server, { count, write }: RequestWatchers): void {
  if (!count && !write) return;
  const end = (
    request: IncomingMessage,
    response: ServerResponse,
    socket: Watched,
    isWhole: boolean,
  ): void => {
    const endMs = performance.now();
    const ms = endMs - begunMsOf(response, socket, endMs);
    count?.(response.statusCode, ms, isWhole);
    write?.({
      request,
      response,
      remoteAddress: socket[ADDRESS],
      ms,
      endMs,
      isWhole,
      sentBytes: sentOver(socket),
    });
  };
  subscribe('http.server.request.start', (message) => {
    const { server: of, response, socket } = message as HttpMessage;
    if (of !== server) return;
    const current = socket._httpMessage;
    if (!current || current === response) socket[BEGUN] = performance.now();
    else queue(response, socket);
  });
  subscribe('http.server.response.finish', (message) => {
    const { server: of, request, response, socket } = message as HttpMessage;
    if (of === server) end(request, response, socket, true);
  });
  // What is still on a connection that closes was not answered, or not to the end.
  function left(this: Watched): void {
    const { _httpMessage: response, [QUEUED]: queued } = this;
    for (const one of new Set([...(response ? [response] : []), ...(queued?.keys() ?? [])]))
      if (one.req) end(one.req, one, this, false);
  }
  server.prependListener(isTls(server) ? 'secureConnection' : 'connection', (socket: Watched) => {
    // Of a connection that has been closed it is not to be had.
    socket[ADDRESS] = socket.remoteAddress;
    socket.on('close', left);
  });
  if (!speaksHttp(server)) watchStreams(server, count, write);
}

function queue(response: ServerResponse, socket: Watched): void {
  socket[QUEUED] ??= new Map();
  socket[QUEUED].set(response, performance.now());
}

/** When the request of an answer began that ends now. */
function begunMsOf(response: ServerResponse, socket: Watched, endMs: number): number {
  const queued = socket[QUEUED]?.get(response);
  if (queued === undefined) return socket[BEGUN] ?? endMs;
  socket[QUEUED]!.delete(response);
  return queued;
}

/** What an answer that has ended was sent as. */
function sentOver(socket: Watched): number {
  const sent = socket.bytesWritten;
  const before = socket[SENT] ?? 0;
  socket[SENT] = sent;
  return sent - before;
}

/** HTTP/2, where each answer is a stream of its own; when that has closed it knows nothing of its connection any more. */
function watchStreams(
  server: Server,
  count: RequestWatchers['count'],
  write: RequestWatchers['write'],
): void {
  server.prependListener('request', (request: IncomingMessage, response: ServerResponse) => {
    const { stream } = request as IncomingMessage & { stream?: ServerHttp2Stream };
    if (!stream) return;
    const { remoteAddress } = request.socket;
    const begunMs = performance.now();
    const sentBytes = write && countBytes(stream);
    response.once('close', () => {
      const endMs = performance.now();
      const ms = endMs - begunMs;
      const isWhole = response.writableEnded && !stream.aborted && stream.rstCode === 0;
      count?.(response.statusCode, ms, isWhole);
      write?.({ request, response, remoteAddress, ms, endMs, isWhole, sentBytes: sentBytes!() });
    });
  });
}

/** What is written to the stream, however: it has no figure for that itself, and its connection has one for all. */
function countBytes(stream: ServerHttp2Stream): () => number {
  let bytes = 0;
  const count = (chunk: Uint8Array | string, encoding: BufferEncoding) => {
    bytes += typeof chunk === 'string' ? Buffer.byteLength(chunk, encoding) : chunk.byteLength;
  };
  const { _write: write, _writev: writev } = stream;
  stream._write = (chunk, encoding, done) => {
    count(chunk, encoding);
    write.call(stream, chunk, encoding, done);
  };
  stream._writev = (chunks, done) => {
    for (const { chunk, encoding } of chunks) count(chunk, encoding);
    writev!.call(stream, chunks, done);
  };
  return () => bytes;
}
