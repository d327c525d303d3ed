/**
 * Tells those who count or write down requests of each one when it has ended. Runs in web workers, on the data plane, and is
 * attached only where there is one of them. HTTP/1 is seen through Node's own channels, which cost a tenth of a listener for each answer.
 */
import { subscribe } from 'node:diagnostics_channel';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Server, Socket } from 'node:net';
import { type HttpSocket, isTls, speaksHttp } from '../connections.ts';

const BEGUN = Symbol('begun');
const SENT = Symbol('sent');
type Timed = ServerResponse & { [BEGUN]?: number; [SENT]?: number; req?: IncomingMessage };

/** A request and its answer, when it has ended. */
export interface Ended {
  request: IncomingMessage;
  response: ServerResponse;
  socket: Socket;
  ms: number;
  /** False: the client left, or was cut, before all was sent. */
  isWhole: boolean;
  /** Bytes on the connection since the request began, its head included. */
  sentBytes: number;
}

export type EndedListener = (ended: Ended) => void;

/** What Node's channels tell. */
interface HttpMessage {
  server: Server;
  request: IncomingMessage;
  response: Timed;
  socket: Socket;
}

export function watchRequests(server: Server, listeners: readonly EndedListener[]): void {
  if (listeners.length === 0) return;
  const [first] = listeners;
  const tell: EndedListener =
    listeners.length === 1 ? first! : (ended) => listeners.forEach((listener) => void listener(ended));
  const begin = (response: Timed, socket: Socket): void => {
    response[BEGUN] = performance.now();
    response[SENT] = socket.bytesWritten;
  };
  const end = (request: IncomingMessage, response: Timed, socket: Socket, isWhole: boolean): void =>
    tell({
      request,
      response,
      socket,
      ms: performance.now() - (response[BEGUN] ?? performance.now()),
      isWhole,
      sentBytes: socket.bytesWritten - (response[SENT] ?? 0),
    });
  if (!speaksHttp(server)) return watchStreams(server, begin, end);
  subscribe('http.server.request.start', (message) => {
    const { server: of, response, socket } = message as HttpMessage;
    if (of !== server) return;
    // Node keeps it from now on; of a connection that has been closed it is not to be had.
    void socket.remoteAddress;
    begin(response, socket);
  });
  subscribe('http.server.response.finish', (message) => {
    const { server: of, request, response, socket } = message as HttpMessage;
    if (of === server) end(request, response, socket, true);
  });
  // What is still on a connection that closes was not answered, or not to the end.
  function left(this: HttpSocket): void {
    const response = this._httpMessage as Timed | null | undefined;
    if (response?.req) end(response.req, response, this, false);
  }
  server.prependListener(
    isTls(server) ? 'secureConnection' : 'connection',
    (socket: HttpSocket) => void socket.on('close', left),
  );
}

/** HTTP/2, where each answer is a stream of its own. */
function watchStreams(
  server: Server,
  begin: (response: Timed, socket: Socket) => void,
  end: (request: IncomingMessage, response: Timed, socket: Socket, isWhole: boolean) => void,
): void {
  server.prependListener('request', (request: IncomingMessage, response: Timed) => {
    const { socket } = request;
    void socket.remoteAddress;
    begin(response, socket);
    response.once('close', () =>
      end(request, response, socket, response.writableFinished ?? response.writableEnded),
    );
  });
}
