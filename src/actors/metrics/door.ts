/**
 * Where Prometheus and probes ask: /metrics, /healthz and /readyz. Runs in the arbiter with `--metrics`, on a port of its own, never
 * the app's; loaded only then.
 */

import { once } from 'node:events';
import { chmodSync, existsSync, lstatSync, rmSync } from 'node:fs';
import http, { type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { dirname } from 'node:path';
import { type Address, formatHostPort } from '../address.ts';
import type { Readiness } from '../readiness.ts';

export interface DoorOptions {
  address: Extract<Address, { kind: 'tcp' | 'unix' }>;
  readiness(): Readiness;
  /** The text, and its type. */
  metrics(): Promise<{ type: string; text: string }>;
  /** How long a head may take, or whoever reads nothing may hold a connection. Default 10,000. */
  patienceMs?: number;
}

export interface Door {
  /** For people. */
  readonly place: string;
  /** Resolves when the address is free. */
  close(): Promise<void>;
}

const PATIENCE_MS = 10_000;
const CONNECTIONS_MAX = 64;
const HEAD_BYTES_MAX = 8 * 1024;
/** An answer that cannot be made within this time is given up. */
const ANSWER_MS = 10_000;
const TEXT = 'text/plain; charset=utf-8';

/** Rejects with the system's error where it cannot listen. */
export async function openDoor(options: DoorOptions): Promise<Door> {
  const { address, readiness, metrics, patienceMs = PATIENCE_MS } = options;
  const tell = (response: ServerResponse, status: number, text: string, type = TEXT): void => {
    if (response.headersSent || response.destroyed) return;
    const body = Buffer.from(text);
    response.writeHead(status, {
      'content-type': type,
      'content-length': body.length,
      'cache-control': 'no-store',
    });
    response.end(body);
  };
  // Node looks for heads that take too long only every half minute, unless told otherwise.
  const limits = { maxHeaderSize: HEAD_BYTES_MAX, connectionsCheckingInterval: patienceMs / 10 };
  const server = http.createServer(limits, (request, response) => {
    // Who does not wait for an answer would have thousands of them made at once, in the thread that supervises.
    if (response.socket === null || request.socket.destroyed) return void request.socket.destroy();
    request.resume();
    if (request.method !== 'GET' && request.method !== 'HEAD')
      return tell(response, 405, 'only GET and HEAD are answered\n');
    const path = (request.url ?? '').split('?', 1)[0];
    if (path === '/healthz') return tell(response, 200, 'ok\n');
    if (path === '/readyz') {
      const { ready, why } = readiness();
      return tell(response, ready ? 200 : 503, `${why}\n`);
    }
    if (path !== '/metrics') return tell(response, 404, 'there are /metrics, /healthz and /readyz\n');
    const limit = setTimeout(() => tell(response, 503, 'the figures are not to be had in time\n'), ANSWER_MS);
    metrics()
      .then(
        ({ text, type }) => tell(response, 200, text, type),
        (error: unknown) => tell(response, 500, `this is a bug in Kirin: ${String(error)}\n`),
      )
      .finally(() => clearTimeout(limit));
  });
  server.headersTimeout = patienceMs;
  server.requestTimeout = patienceMs;
  server.timeout = 2 * patienceMs;
  server.keepAliveTimeout = 75_000;
  server.maxConnections = CONNECTIONS_MAX;
  await listen(server, address);
  server.on('error', () => {});
  server.unref();
  const bound = server.address() as AddressInfo | string;
  const isPath = address.kind === 'unix';
  return {
    place: isPath
      ? `unix:${address.path}`
      : `http://${formatHostPort(address.host, (bound as AddressInfo).port)}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function listen(server: http.Server, address: DoorOptions['address']): Promise<void> {
  if (address.kind === 'tcp') {
    server.listen(address.port, address.host);
    return void (await once(server, 'listening'));
  }
  // To connect to a file of another kind is refused as well, and a slip of the pen must cost nobody that file.
  if (!existsSync(dirname(address.path))) throw new Error(`there is no directory ${dirname(address.path)}`);
  const found = lstatSync(address.path, { throwIfNoEntry: false });
  if (found && !found.isSocket()) throw new Error('there is a file of that name that is no socket');
  if (found && (await isForsaken(address.path))) rmSync(address.path, { force: true });
  // Whoever may read it is up to its owner; between the two calls nobody may.
  const before = process.umask(0o177);
  try {
    server.listen(address.path);
  } finally {
    process.umask(before);
  }
  await once(server, 'listening');
  chmodSync(address.path, address.mode ?? 0o600);
}

/** A socket file behind which nobody is. */
async function isForsaken(path: string): Promise<boolean> {
  const socket = connect(path);
  return await new Promise((resolve) => {
    socket
      .once('connect', () => resolve(false))
      .once('error', (error: NodeJS.ErrnoException) => {
        resolve(error.code === 'ECONNREFUSED');
      });
  }).then((is) => {
    socket.destroy();
    return is as boolean;
  });
}
