/** Clients of a server under test: one request over node:http, and a raw connection. */
import http, { type IncomingHttpHeaders } from 'node:http';
import net from 'node:net';

/** A request that nobody answers is a failure of its test. */
const ANSWER_MS = 30_000;

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
  json<T = Record<string, unknown>>(): T;
}

export interface Asking {
  /** Default: a connection for this request alone. */
  agent?: http.Agent;
  headers?: Record<string, string>;
  host?: string;
  /** Another port than the server's first. */
  port?: number;
  /** A Unix socket in place of the port. */
  socketPath?: string;
}

/** One GET request; rejects when the connection fails or the answer is cut. */
export function ask(port: number, path: string, { agent, ...asking }: Asking = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = http.get(
      { host: '127.0.0.1', path, agent: agent ?? false, timeout: ANSWER_MS, ...asking, port },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('error', reject);
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            text,
            json: () => JSON.parse(text),
          }),
        );
      },
    );
    request.on('timeout', () => request.destroy(new Error(`no answer to ${path} within ${ANSWER_MS} ms`)));
    request.on('error', reject);
  });
}

/** A connection of which each byte is seen. */
export class RawClient {
  readonly socket: net.Socket;
  text = '';
  closed = false;

  private constructor(socket: net.Socket) {
    this.socket = socket;
    socket.setEncoding('utf8');
    socket.on('error', () => {});
    socket.on('data', (chunk: string) => {
      this.text += chunk;
    });
    socket.on('close', () => {
      this.closed = true;
    });
  }

  /** Resolves when the kernel has accepted the connection; nobody need have taken it yet. */
  static connect(port: number, host = '127.0.0.1'): Promise<RawClient> {
    return new Promise((resolve, reject) => {
      const socket = net.connect(port, host, () => resolve(client));
      socket.once('error', reject);
      const client = new RawClient(socket);
    });
  }

  ask(path = '/'): this {
    this.socket.write(`GET ${path} HTTP/1.1\r\nHost: test\r\n\r\n`);
    return this;
  }
}

/** Whether anybody listens on a port. */
export async function isListening(port: number, host = '127.0.0.1'): Promise<boolean> {
  try {
    const client = await RawClient.connect(port, host);
    client.socket.destroy();
    return true;
  } catch {
    return false;
  }
}

/** A port that is free now. */
export async function freePort(): Promise<number> {
  // Not one of those that systems give to whoever asks for any: the very next one may be the server under test.
  for (let tries = 0; tries < 100; tries++) {
    const port = 10_000 + Math.floor(Math.random() * 10_000);
    if (await isFree(port)) return port;
  }
  throw new Error('there is no free port');
}

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = net.createServer().once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
