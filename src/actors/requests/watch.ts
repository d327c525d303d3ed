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
const QUEUED = Symbol('queued');
type Timed = ServerResponse & { [BEGUN]?: number; req?: IncomingMessage };
/**
 * With what had been sent over it when the last answer ended, which costs an answer no memory; and with those of its answers that
 * wait for another one, where its client did not wait for that either.
 */
type Watched = HttpSocket & { [SENT]?: number; [QUEUED]?: Set<Timed> };

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

export type EndedListener = (ended: Ended) => void;

/** What Node's channels tell. */
interface HttpMessage {
  server: Server;
  request: IncomingMessage;
  response: Timed;
  socket: Watched;
}

export function watchRequests(server: Server, listeners: readonly EndedListener[]): void {
  if (listeners.length === 0) return;
  const [first] = listeners;
  const tell: EndedListener =
    listeners.length === 1 ? first! : (ended) => listeners.forEach((listener) => void listener(ended));
  const end = (request: IncomingMessage, response: Timed, socket: Watched, isWhole: boolean): void => {
    const { remoteAddress } = socket;
    const endMs = performance.now();
    const ms = endMs - (response[BEGUN] ?? endMs);
    tell({ request, response, remoteAddress, ms, endMs, isWhole, sentBytes: sentOver(socket) });
  };
  subscribe('http.server.request.start', (message) => {
    const { server: of, response, socket } = message as HttpMessage;
    if (of !== server) return;
    response[BEGUN] = performance.now();
    const current = socket._httpMessage;
    if (current && current !== response) queue(response, socket);
  });
  subscribe('http.server.response.finish', (message) => {
    const { server: of, request, response, socket } = message as HttpMessage;
    if (of !== server) return;
    end(request, response, socket, true);
    socket[QUEUED]?.delete(response);
  });
  // What is still on a connection that closes was not answered, or not to the end.
  function left(this: Watched): void {
    const response = this._httpMessage as Timed | null | undefined;
    const { [QUEUED]: queued } = this;
    for (const one of new Set([...(response ? [response] : []), ...(queued ?? [])]))
      if (one.req) end(one.req, one, this, false);
  }
  server.prependListener(isTls(server) ? 'secureConnection' : 'connection', (socket: HttpSocket) => {
    // Node keeps it from now on; of a connection that has been closed it is not to be had.
    void socket.remoteAddress;
    socket.on('close', left);
  });
  if (!speaksHttp(server)) watchStreams(server, tell);
}

function queue(response: Timed, socket: Watched): void {
  socket[QUEUED] ??= new Set();
  socket[QUEUED].add(response);
}

/** What an answer that has ended was sent as. */
function sentOver(socket: Watched): number {
  const sent = socket.bytesWritten;
  const before = socket[SENT] ?? 0;
  socket[SENT] = sent;
  return sent - before;
}

/** HTTP/2, where each answer is a stream of its own; when that has closed it knows nothing of its connection any more. */
function watchStreams(server: Server, tell: EndedListener): void {
  server.prependListener('request', (request: IncomingMessage, response: ServerResponse) => {
    const { stream } = request as IncomingMessage & { stream?: ServerHttp2Stream };
    if (!stream) return;
    const { remoteAddress } = request.socket;
    const begunMs = performance.now();
    const sentBytes = countBytes(stream);
    response.once('close', () => {
      const endMs = performance.now();
      const isWhole = response.writableEnded && !stream.aborted && stream.rstCode === 0;
      tell({
        request,
        response,
        remoteAddress,
        ms: endMs - begunMs,
        endMs,
        isWhole,
        sentBytes: sentBytes(),
      });
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
