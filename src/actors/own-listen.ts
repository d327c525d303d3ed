/**
 * A listen of the app that Kirin does not serve, on a port that only one process at a time can have. Runs in web
 * workers. While another process has the port, or while it is not decided whether this server is the one to be
 * served, the server looks as if it listened: an app may wait for that before it goes on.
 */
import type { Server } from 'node:net';
import { type AskedListen, type Listening, pretendListening } from './listen-hook.ts';

const RETRY_MS = 1_000;

export class OwnListen {
  readonly asked: AskedListen;
  /** Undoes the pretence. */
  #reveal: (() => void) | undefined;
  /** Who has heard that the server listens. */
  #told: ReadonlySet<unknown> = new Set();
  #stopped = false;

  constructor(asked: AskedListen) {
    this.asked = asked;
  }

  /** The server looks as if it listened where it asked to. */
  pretend(): void {
    if (this.#reveal) return;
    const { server, port, host, label } = this.asked;
    const address: Listening['address'] = () =>
      port === undefined
        ? label
        : { port, address: host ?? '::', family: (host ?? '::').includes(':') ? 'IPv6' : 'IPv4' };
    this.#reveal = pretendListening(server, { address });
    process.nextTick(() => {
      this.#told = new Set(server.rawListeners('listening'));
      server.emit('listening');
    });
  }

  /** Listens as the app asked; while the port is in use by another, tries again every second. */
  listen(onListening: () => void): void {
    const { server } = this.asked;
    if (this.#stopped || (this.#reveal && !server.listening)) return;
    const restore = intercept(server, (event, error) => {
      if (event === 'error' && (error as NodeJS.ErrnoException)?.code === 'EADDRINUSE') {
        restore();
        this.pretend();
        setTimeout(() => this.listen(onListening), RETRY_MS).unref();
        return true;
      }
      if (event !== 'listening' && event !== 'error') return false;
      restore();
      if (event === 'error') return false;
      onListening();
      return this.#tellNewcomers();
    });
    this.asked.listen();
  }

  /** Another makes this server listen, which may do so already: who heard that does not hear it again. */
  yield(): void {
    this.#stopped = true;
    const { server } = this.asked;
    if (!this.#reveal && server.listening) {
      this.#told = new Set(server.rawListeners('listening'));
      this.#reveal = () => {};
    }
    const restore = intercept(server, (event) => {
      if (event !== 'listening') return false;
      restore();
      return this.#tellNewcomers();
    });
    this.#reveal?.();
  }

  /** No more attempts. */
  stop(): void {
    this.#stopped = true;
  }

  /** False where nobody was told before. */
  #tellNewcomers(): boolean {
    const { server } = this.asked;
    if (!this.#reveal) return false;
    this.#reveal();
    for (const listener of server.rawListeners('listening'))
      if (!this.#told.has(listener)) Reflect.apply(listener, server, []);
    return true;
  }
}

/** Shows `see` what the server emits; what it answers with true is not emitted. Returns a function to end it. */
function intercept(server: Server, see: (event: string | symbol, argument: unknown) => boolean): () => void {
  const before = Object.getOwnPropertyDescriptor(server, 'emit');
  const emit = server.emit;
  const intercepted = function emitSeen(this: Server, event: string | symbol, ...args: unknown[]) {
    return see(event, args[0]) || Reflect.apply(emit, this, [event, ...args]);
  } as typeof emit;
  server.emit = intercepted;
  return () => {
    if (server.emit !== intercepted) return;
    if (before) Object.defineProperty(server, 'emit', before);
    else delete (server as Partial<Server>).emit;
  };
}
