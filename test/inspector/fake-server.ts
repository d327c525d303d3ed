/** A small server of the inspector's protocol: gives out the page, says what a test tells it to say, and keeps what it hears. */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';
import { type WebSocket, WebSocketServer } from 'ws';

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};
const RULES =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
  "font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

export class FakeServer {
  readonly heard: { type: string; id: number; words: string[] }[] = [];
  /** What every page is told when it comes. */
  greeting: () => readonly object[] = () => [];
  /** Whether whoever comes is sent away. */
  refuses = false;
  readonly #http = createServer((request, response) => {
    const path = normalize(new URL(request.url!, 'http://page').pathname);
    try {
      const file = readFileSync(join('dist/inspector', path === '/' ? 'index.html' : path));
      response.setHeader('Content-Type', TYPES[extname(path) || '.html'] ?? 'application/octet-stream');
      response.setHeader('Content-Security-Policy', RULES);
      response.end(file);
    } catch {
      response.writeHead(404).end();
    }
  });
  readonly #sockets = new Set<WebSocket>();
  #port = 0;

  async listen(): Promise<this> {
    const sockets = new WebSocketServer({ server: this.#http, path: '/live' });
    sockets.on('connection', (socket) => {
      if (this.refuses) return socket.terminate();
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      socket.on('message', (data) => this.heard.push(JSON.parse(String(data))));
      for (const message of this.greeting()) socket.send(JSON.stringify(message));
    });
    await new Promise<void>((resolve) => this.#http.listen(this.#port, '127.0.0.1', resolve));
    this.#port = (this.#http.address() as AddressInfo).port;
    return this;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/`;
  }

  get watchers(): number {
    return this.#sockets.size;
  }

  say(message: object): void {
    for (const socket of this.#sockets) socket.send(JSON.stringify(message));
  }

  /** Every page loses its connection, and may come again. */
  cut(): void {
    for (const socket of this.#sockets) socket.terminate();
  }

  async close(): Promise<void> {
    this.cut();
    this.#http.closeAllConnections();
    await new Promise((resolve) => this.#http.close(resolve));
  }
}
