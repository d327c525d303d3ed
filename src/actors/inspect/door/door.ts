/**
 * The server of the inspector's page: files, the live stream, and what Stately's inspector reads. Runs in the inspector's thread
 * with `--inspector`, and in `kirinc inspect` and `kirin inspect FILE`; loaded only there, and with it the package `ws`.
 */
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { formatHostPort } from '../../address.ts';
import { Gate } from './gate.ts';
import { attendLive, CLOSE, leave } from './live.ts';
import { pageFile } from './page-files.ts';
import type { Stage } from './stage.ts';
import { attendStately, STATELY_PAGE, STATELY_SCRIPT } from './stately.ts';

export interface DoorOptions {
  /** Numeric, or `localhost`. */
  host: string;
  /** 0: any that is free. */
  port: number;
  token: string | undefined;
  /** Whether pages may send commands. */
  controls: boolean;
  /** Where the files of the page lie, if not in the package. */
  directory?: string;
  /** What is watched; may take a moment to be loaded. */
  stage(): Promise<Stage>;
}

export interface Door {
  /** Without a token. */
  readonly url: string;
  /** Lets nobody in any more, and everybody out. */
  close(): Promise<void>;
}

const HEAD_MS = 10_000;
const CONNECTIONS_MAX = 256;
/** A download of which nothing is read for so long is cut. */
const STALL_MS = 30_000;
/** The largest message of a page. */
const MESSAGE_BYTES_MAX = 4096;
/** One that does not answer for so long has vanished. */
const PING_MS = 30_000;
/** At the end, for what is still to be sent. */
const LAST_WORDS_MS = 500;

const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const STATELY_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; frame-src https://stately.ai; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** Rejects with the system's error where it cannot listen. */
export async function openDoor(options: DoorOptions): Promise<Door> {
  const gate = new Gate({ token: options.token, host: options.host });
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: MESSAGE_BYTES_MAX,
    perMessageDeflate: false,
    clientTracking: true,
  });
  let port = options.port;

  const server = http.createServer((request, response) => {
    answer(request, response).catch(() => response.destroy());
  });
  server.headersTimeout = HEAD_MS;
  server.requestTimeout = HEAD_MS;
  server.timeout = STALL_MS;
  server.maxConnections = CONNECTIONS_MAX;

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // What a body would say nobody asks for.
    request.resume();
    const url = urlOf(request);
    if (!url) return tell(response, 400, 'this is no address');
    const verdict = gate.judge(request.headers, url.searchParams, port);
    if (verdict.status === 303)
      return void response
        .writeHead(303, { ...PROTECTION, location: url.pathname, 'set-cookie': verdict.cookie })
        .end();
    if (verdict.status !== 200) return tell(response, verdict.status, verdict.why);
    if (request.method !== 'GET' && request.method !== 'HEAD')
      return tell(response, 405, 'only GET is answered');
    await show(url.pathname, response);
  }

  async function show(path: string, response: ServerResponse): Promise<void> {
    if (path === '/recording.jsonl') return await sendRecording(response);
    if (path === '/stately') return send(response, HTML, Buffer.from(STATELY_PAGE), STATELY_POLICY);
    if (path === '/stately.js') return send(response, SCRIPT, Buffer.from(STATELY_SCRIPT));
    const file = await pageFile(path, options.directory);
    if (file) send(response, file.type, file.body);
    else tell(response, 404, path === '/' ? 'the page of the inspector is not in this build' : 'not found');
  }

  async function sendRecording(response: ServerResponse): Promise<void> {
    const stage = await options.stage();
    const headers = { 'content-disposition': 'attachment; filename="recording.jsonl"' };
    response.writeHead(200, { ...PROTECTION, ...headers, 'content-type': 'application/x-ndjson' });
    for await (const message of stage.recording()) {
      if (!response.write(`${message}\n`)) await drained(response);
      if (response.destroyed) return;
    }
    response.end();
  }

  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => {});
    upgrade(request, socket, head).catch(() => socket.destroy());
  });

  async function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const url = urlOf(request);
    const verdict = url && gate.judge(request.headers, url.searchParams, port);
    if (!url || !verdict) return refuse(socket, 400);
    // A program shows its token with every connection.
    if (verdict.status !== 200 && verdict.status !== 303) return refuse(socket, verdict.status);
    const isLive = url.pathname === '/live';
    if (!isLive && url.pathname !== '/stately') return refuse(socket, 404);
    const stage = await options.stage();
    if (stage.isFull) return refuse(socket, 503);
    sockets.handleUpgrade(request, socket, head, (webSocket) => {
      // What a client sends wrongly ends its own connection, by `ws` itself.
      webSocket.on('error', () => {});
      if (stage.isFull) return leave(webSocket, CLOSE.busy, 'too many watch');
      if (isLive) attendLive(webSocket, stage, options.controls);
      else attendStately(webSocket, stage);
    });
  }

  const vanished = new WeakSet<object>();
  const pings = setInterval(() => {
    for (const one of sockets.clients) {
      if (vanished.has(one)) {
        one.terminate();
        continue;
      }
      vanished.add(one);
      one.once('pong', () => vanished.delete(one));
      if (one.readyState === one.OPEN) one.ping();
    }
  }, PING_MS).unref();

  const connections = new Set<Socket>();
  server.on('connection', (socket) => {
    connections.add(socket);
    socket.once('close', () => connections.delete(socket));
  });

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, () => {
      server.off('error', reject);
      server.on('error', () => {});
      resolve();
    });
  });
  port = (server.address() as AddressInfo).port;

  return {
    url: `http://${formatHostPort(options.host, port)}/`,
    async close() {
      clearInterval(pings);
      for (const one of sockets.clients) leave(one, CLOSE.away, 'the server is stopping');
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      const limit = setTimeout(() => {
        for (const socket of connections) socket.destroy();
      }, LAST_WORDS_MS);
      await closed;
      clearTimeout(limit);
    },
  };
}

const HTML = 'text/html; charset=utf-8';
const SCRIPT = 'text/javascript; charset=utf-8';
/** Of every answer: nothing of it is for another origin, and no token leaves with an address. */
const PROTECTION = {
  'content-security-policy': POLICY,
  'cross-origin-resource-policy': 'same-origin',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-store',
};

function send(response: ServerResponse, type: string, body: Buffer, policy = POLICY): void {
  const headers = { ...PROTECTION, 'content-security-policy': policy, 'content-type': type };
  response.writeHead(200, { ...headers, 'content-length': body.length }).end(body);
}

function tell(response: ServerResponse, status: number, text: string): void {
  const body = `kirin inspector: ${text}\n`;
  response.writeHead(status, { ...PROTECTION, 'content-type': 'text/plain; charset=utf-8' }).end(body);
}

function refuse(socket: Duplex, status: number): void {
  // Whether or not the other side ends: what it has sent nobody reads.
  socket.once('finish', () => socket.destroy());
  socket.end(
    `HTTP/1.1 ${status} ${http.STATUS_CODES[status]}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`,
  );
}

function urlOf({ url = '/' }: IncomingMessage): URL | undefined {
  // Joined, not resolved: `//name` is a path here, and not another server.
  if (!url.startsWith('/')) return undefined;
  try {
    return new URL(`http://inspector${url}`);
  } catch {
    return undefined;
  }
}

const drained = (response: ServerResponse): Promise<void> =>
  new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done);
      response.off('close', done);
      resolve();
    };
    response.on('drain', done);
    response.on('close', done);
  });
