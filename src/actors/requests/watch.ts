/**
 * Tells those who count or write down requests of each one when it has ended. Runs in web workers, on the data plane, and is
 * attached only where there is one of them. HTTP/1 is seen through Node's own channels, which cost a tenth of a listener for each answer.
 */
import { subscribe } from 'node:diagnostics_channel';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ServerHttp2Stream } from 'node:http2';
import type { Server } from 'node:net';
import { type HttpSocket, isTls, speaksHttp } from '../connections.ts';

const TRACK = Symbol('track');

/**
 * What is kept of a connection, so that an answer costs no memory. An object of its own: what is written on a socket itself, which has
 * dozens of fields, costs each request four times as much.
 */
class Track {
  /** When the request in hand began; before the first one, when the connection was seen. */
  begunMs = performance.now();
  /** What the writer took of it then. */
  taken: unknown;
  /** What had been sent when the last answer ended. */
  sentBytes = 0;
  /** Who is at its other end: of a connection that has been closed it is not to be had. */
  readonly address: string | undefined;
  /** Where a client does not wait for answers: which of them wait for another one, and the above of their requests. */
  queued: Map<ServerResponse, Begun> | undefined;

  constructor(socket: HttpSocket) {
    this.address = socket.remoteAddress;
  }

  /** The request of that answer, if it had to wait for another one's, is the one in hand now. */
  advance(response: ServerResponse): void {
    const begun = this.queued?.get(response);
    if (!begun) return;
    this.queued!.delete(response);
    this.begunMs = begun.begunMs;
    this.taken = begun.taken;
  }

  /** What an answer that has ended was sent as. */
  sentOver(socket: HttpSocket): number {
    const before = this.sentBytes;
    this.sentBytes = socket.bytesWritten;
    return this.sentBytes - before;
  }
}

interface Begun {
  readonly begunMs: number;
  readonly taken: unknown;
}

type Watched = HttpSocket & { [TRACK]?: Track };

/** A request and its answer, when it has ended. */
export interface Ended {
  request: IncomingMessage;
  response: ServerResponse;
  /** How long it took; of no meaning where nobody wants to know. */
  ms: number;
  /** When it ended, of `performance.now()`: the one look at the clock that all share. */
  endMs: number;
  /** False: the client left, or was cut, before all was sent. */
  isWhole: boolean;
  /** Bytes on the connection since the answer before ended, its head included; in HTTP/2 those of the body. */
  sentBytes: number;
}

/** Who writes requests down. `T` is what it takes of one when it begins: before an app, or a framework, makes something else of it. */
export interface RequestWriter<T = unknown> {
  /** Whether it wants to know how long each took: two looks at the clock are a tenth of what writing costs. */
  readonly isTimed: boolean;
  begun(request: IncomingMessage, remoteAddress: string | undefined): T;
  ended(taken: T, ended: Ended): void;
}

/** Those who want to know. Who counts is told no more than it counts: all else of a request costs something. */
export interface RequestWatchers {
  count?: (status: number, ms: number, isWhole: boolean) => void;
  write?: RequestWriter;
}

/** What Node's channels tell. */
interface HttpMessage {
  server: Server;
  request: IncomingMessage;
  response: ServerResponse;
  socket: Watched;
}

/** Each ends what is in hand on one connection, or one stream, as not answered to the end. */
const inHand = new Set<() => void>();
let isWatchingExit = false;

/** Whoever ends the process by itself, as an error does that nobody catches, cuts what is in hand: without this nobody would see what it was. */
function watchExit(): void {
  if (isWatchingExit) return;
  isWatchingExit = true;
  // Before those who write and tell what there is at the end.
  process.prependListener('exit', () => {
    for (const end of [...inHand]) end();
  });
}

export function watchRequests(server: Server, { count, write }: RequestWatchers): void {
  if (!count && !write) return;
  watchExit();
  const isTimed = count !== undefined || write?.isTimed === true;
  const end = (
    track: Track,
    request: IncomingMessage,
    response: ServerResponse,
    socket: Watched,
    isWhole: boolean,
  ): void => {
    track.advance(response);
    const endMs = performance.now();
    const ms = endMs - track.begunMs;
    count?.(response.statusCode, ms, isWhole);
    if (!write) return;
    const { taken = write.begun(request, track.address) } = track;
    track.taken = undefined;
    write.ended(taken, { request, response, ms, endMs, isWhole, sentBytes: track.sentOver(socket) });
  };
  subscribe('http.server.request.start', (message) => {
    const { server: of, request, response, socket } = message as HttpMessage;
    if (of !== server) return;
    const track = trackOf(socket);
    const taken = write?.begun(request, track.address);
    const begunMs = isTimed ? performance.now() : 0;
    const current = socket._httpMessage;
    if (!current || current === response) {
      track.begunMs = begunMs;
      track.taken = taken;
    } else {
      track.queued ??= new Map();
      track.queued.set(response, { begunMs, taken });
    }
  });
  subscribe('http.server.response.finish', (message) => {
    const { server: of, request, response, socket } = message as HttpMessage;
    if (of === server) end(trackOf(socket), request, response, socket, true);
  });
  // What is still on a connection that closes was not answered, or not to the end.
  const left = (socket: Watched): void => {
    const track = trackOf(socket);
    const { _httpMessage: response } = socket;
    for (const one of new Set([...(response ? [response] : []), ...(track.queued?.keys() ?? [])]))
      if (one.req) end(track, one.req, one, socket, false);
  };
  server.prependListener(isTls(server) ? 'secureConnection' : 'connection', (socket: Watched) => {
    socket[TRACK] = new Track(socket);
    const leave = (): void => {
      inHand.delete(leave);
      left(socket);
    };
    inHand.add(leave);
    socket.on('close', leave);
  });
  if (!speaksHttp(server)) watchStreams(server, count, write);
}

const trackOf = (socket: Watched): Track => (socket[TRACK] ??= new Track(socket));

/** HTTP/2, where each answer is a stream of its own; when that has closed it knows nothing of its connection any more. */
function watchStreams(
  server: Server,
  count: RequestWatchers['count'],
  write: RequestWatchers['write'],
): void {
  server.prependListener('request', (request: IncomingMessage, response: ServerResponse) => {
    const { stream } = request as IncomingMessage & { stream?: ServerHttp2Stream };
    if (!stream) return;
    const taken = write?.begun(request, request.socket.remoteAddress);
    const begunMs = performance.now();
    const sentBytes = write && countBytes(stream);
    const end = (): void => {
      inHand.delete(end);
      const endMs = performance.now();
      const ms = endMs - begunMs;
      const isWhole = response.writableEnded && !stream.aborted && stream.rstCode === 0;
      count?.(response.statusCode, ms, isWhole);
      write?.ended(taken, { request, response, ms, endMs, isWhole, sentBytes: sentBytes!() });
    };
    inHand.add(end);
    response.once('close', end);
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
