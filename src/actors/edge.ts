/**
 * The servers that Kirin makes for what an app exports: plain HTTP, TLS, or HTTP/2 with HTTP/1.1 beside it. Runs in web workers. The
 * files of certificates are read when a worker starts, so that a reload brings new ones.
 */
import { readFileSync } from 'node:fs';
import http, { type RequestListener } from 'node:http';
import type { Server } from 'node:net';
import type { EdgeSpec } from '../machines/events/worker.ts';
import { FaultError } from './fault-error.ts';
import type { Notice } from './supervised.ts';

/** How often Node looks for requests that take too long; half the shortest limit is soon enough. */
const CHECK_MS_MAX = 30_000;
const CHECK_MS_MIN = 100;

/** Node's own limit for the handshake of TLS, which comes before any head. */
const HANDSHAKE_MS = 120_000;

let edge: EdgeSpec = {};
let make: (listener: RequestListener) => Server = (listener) => http.createServer(listener);

let takeProxied: typeof import('./proxied.ts').takeProxied | undefined;
let guardHeads: typeof import('./heads/guard.ts').guardHeads | undefined;

/** Said once by the worker, before it loads the app. Throws FaultError `settings.invalid` for files that are no certificate or key. */
export async function prepareEdge(spec: EdgeSpec): Promise<void> {
  edge = spec;
  if (spec.proxy) ({ takeProxied } = await import('./proxied.ts'));
  if (spec.heads) ({ guardHeads } = await import('./heads/guard.ts'));
  const limits = limitsOf(spec);
  make = (listener) => http.createServer(limits, listener);
  if (!spec.tls) return;
  const secure = await secureOptions(spec.tls, spec.headersTimeoutMs ?? 0);
  if (spec.http2Streams === undefined) {
    const { default: https } = await import('node:https');
    make = (listener) => https.createServer({ ...secure, ...limits }, listener);
    return;
  }
  const { default: http2 } = await import('node:http2');
  const options = {
    ...secure,
    ...limits,
    allowHTTP1: true,
    settings: {
      maxConcurrentStreams: spec.http2Streams,
      maxHeaderListSize: spec.maxHeaderBytes ?? 16 * 1024,
    },
  };
  const { endIdleSessions } = await import('./idle-sessions.ts');
  make = (listener) => {
    const server = http2.createSecureServer(options, listener as never) as unknown as http.Server;
    endIdleSessions(server, () => server.keepAliveTimeout);
    return forHttp1(server, limits);
  };
}

/** A server of HTTP/2 makes nothing of these options, and yet serves HTTP/1.1 by them where it has them as its own. */
function forHttp1(server: http.Server, limits: http.ServerOptions): Server {
  const { keepAliveTimeout } = http.createServer();
  return Object.assign(server, { keepAliveTimeout }, limits);
}

/** Whether clients may speak HTTP/2 with the servers that are made here. */
export const speaksHttp2 = (): boolean => edge.tls !== undefined && edge.http2Streams !== undefined;

/** A server for a handler, not yet listening. */
export const createEdgeServer = (listener: RequestListener): Server => make(listener);

/** Throws FaultError `settings.invalid`: what is to be safe is not served in the clear because an app has made its own server. */
export function refuseOpenServer(server: Server, ours: boolean): FaultError | undefined {
  if (!edge.tls || ours || 'setSecureContext' in server) return undefined;
  return new FaultError(
    'settings.invalid',
    '--certfile: the app has made its own server, which speaks no TLS: export its handler, a (req, res) function, instead',
  );
}

/** Before anything else listens to it: whoever does meets connections whose proxy has spoken, and heads that are as they shall be. */
export function awaitProxies(server: Server, notice: Notice): void {
  if (edge.proxy) takeProxied?.(server, edge.proxy, notice);
  if (edge.heads) guardHeads?.(server, edge.heads, notice);
}

function limitsOf({ maxHeaderBytes, headersTimeoutMs, requestTimeoutMs }: EdgeSpec): http.ServerOptions {
  const limits = [headersTimeoutMs, requestTimeoutMs].filter(
    (ms): ms is number => ms !== undefined && ms > 0,
  );
  return {
    ...(maxHeaderBytes === undefined ? {} : { maxHeaderSize: maxHeaderBytes }),
    ...(headersTimeoutMs === undefined ? {} : { headersTimeout: headersTimeoutMs }),
    ...(requestTimeoutMs === undefined ? {} : { requestTimeout: requestTimeoutMs }),
    ...(limits.length === 0
      ? {}
      : {
          connectionsCheckingInterval: Math.max(
            CHECK_MS_MIN,
            Math.min(CHECK_MS_MAX, ...limits.map((ms) => ms / 2)),
          ),
        }),
  };
}

async function secureOptions(tls: NonNullable<EdgeSpec['tls']>, handshakeMs: number) {
  const { createSecureContext } = await import('node:tls');
  const options = {
    cert: read('--certfile', tls.certfile),
    key: read('--keyfile', tls.keyfile),
    ...(tls.caCerts === undefined ? {} : { ca: readCertificates(tls.caCerts) }),
    ...(tls.ciphers === undefined ? {} : { ciphers: tls.ciphers }),
    ...(handshakeMs > 0 && handshakeMs < HANDSHAKE_MS ? { handshakeTimeout: handshakeMs } : {}),
    minVersion: tls.minVersion,
    maxVersion: tls.maxVersion,
    requestCert: tls.clients !== 'none',
    rejectUnauthorized: tls.clients === 'required',
  };
  try {
    createSecureContext(options);
  } catch (error) {
    const { reason, message, code } = error as Error & { reason?: string; code?: string };
    const files = `--certfile ${tls.certfile} with --keyfile ${tls.keyfile}`;
    const what = code === 'ERR_SSL_NO_CIPHER_MATCH' ? `--ciphers ${tls.ciphers}` : files;
    throw new FaultError('settings.invalid', `${what}: ${reason ?? message}`);
  }
  return options;
}

function read(flag: string, file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new FaultError('settings.invalid', `${flag} ${file}: ${(error as NodeJS.ErrnoException).code}`);
  }
}

/** Of a file without any OpenSSL says nothing, and then no client's is believed. */
function readCertificates(file: string): Buffer {
  const text = read('--ca-certs', file);
  if (text.includes('-----BEGIN CERTIFICATE-----') || text.includes('-----BEGIN TRUSTED CERTIFICATE-----'))
    return text;
  throw new FaultError('settings.invalid', `--ca-certs ${file}: there is no certificate in it (PEM)`);
}
