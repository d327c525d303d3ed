/**
 * pre_request and post_request: on the way of every request of a worker whose configuration has one of them, and of no other's.
 * Runs in web workers. What a server tells its app is told here first; upgrades and what is no HTTP pass as they are.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Server } from 'node:net';
import { performance } from 'node:perf_hooks';
import type { HookName } from '../../settings/hooks-table.ts';
import { shortReason } from './run-hook.ts';

/** Events that begin a request and have these two with them. */
const BEGINNINGS = new Set<string | symbol>(['request', 'checkContinue', 'checkExpectation']);
/** A hook that fails with every request is told once in so many milliseconds, with how often it did. */
const TELL_EVERY_MS = 1000;

// biome-ignore lint/complexity/noBannedTypes: whatever the user wrote.
type Hook = Function | undefined;

export interface RequestHooksOptions {
  pre: Hook;
  post: Hook;
  /** How long a pre_request that returned a promise is waited for, in milliseconds; 0: as long as it likes. */
  limitMs: number;
}

export class RequestHooks {
  readonly #options: RequestHooksOptions;
  readonly #warn: (name: HookName, why: string) => void;
  readonly #seen = new WeakSet<Server>();
  /** An app that listens for requests with 'Expect' hands those that it wants to the server again. */
  readonly #begun = new WeakSet<IncomingMessage>();
  readonly #untold = new Map<HookName, number>();
  #toldMs = Number.NEGATIVE_INFINITY;

  constructor(options: RequestHooksOptions, warn: (name: HookName, why: string) => void) {
    this.#options = options;
    this.#warn = warn;
  }

  watch(server: Server): void {
    if (this.#seen.has(server)) return;
    this.#seen.add(server);
    const emit = server.emit;
    const tell = (...event: unknown[]): boolean => Reflect.apply(emit, server, event) as boolean;
    server.emit = ((type: string | symbol, ...about: unknown[]): boolean => {
      if (!BEGINNINGS.has(type)) return tell(type, ...about);
      const [request, response] = about as [IncomingMessage, ServerResponse];
      if (this.#begun.has(request)) return tell(type, ...about);
      if (type !== 'request') this.#begun.add(request);
      return this.#begin(request, response, () => tell(type, ...about));
    }) as Server['emit'];
  }

  #begin(request: IncomingMessage, response: ServerResponse, go: () => boolean): boolean {
    const { pre, post } = this.#options;
    const sinceMs = performance.now();
    if (post) response.once('close', () => this.#end(request, response, performance.now() - sinceMs));
    if (!pre) return go();
    let waiting: unknown;
    try {
      waiting = pre({ request });
    } catch (error) {
      this.#refuse(response, error);
      return true;
    }
    if (typeof (waiting as PromiseLike<unknown> | undefined)?.then !== 'function') return go();
    this.#wait(waiting as PromiseLike<unknown>, response, go);
    return true;
  }

  #wait(waiting: PromiseLike<unknown>, response: ServerResponse, go: () => boolean): void {
    const { limitMs } = this.#options;
    let isOver = false;
    const late = (): void => refuse(new Error(`it has not ended for ${limitMs / 1000} s (--hook-timeout)`));
    const limit = limitMs > 0 ? setTimeout(late, limitMs) : undefined;
    const once = (run: () => void) => (): void => {
      if (isOver) return;
      isOver = true;
      clearTimeout(limit);
      run();
    };
    const refuse = (error: unknown): void => once(() => this.#refuse(response, error))();
    // In a turn of its own: what the app throws is the app's, and no rejection of this promise.
    const pass = once(() => {
      if (!response.destroyed) setImmediate(go);
    });
    waiting.then(pass, refuse);
  }

  #refuse(response: ServerResponse, error: unknown): void {
    this.#failed('pre_request', error);
    if (response.headersSent || response.destroyed) return void response.destroy();
    response.statusCode = 500;
    // Its body was not read, and is not going to be.
    response.setHeader('Connection', 'close');
    response.setHeader('Content-Type', 'text/plain; charset=utf-8');
    response.end('Internal Server Error\n');
  }

  #end(request: IncomingMessage, response: ServerResponse, durationMs: number): void {
    try {
      const ended: unknown = this.#options.post?.({ request, response, durationMs });
      if (ended instanceof Promise) ended.catch((error: unknown) => this.#failed('post_request', error));
    } catch (error) {
      this.#failed('post_request', error);
    }
  }

  #failed(name: HookName, error: unknown): void {
    const untold = this.#untold.get(name) ?? 0;
    const nowMs = performance.now();
    if (nowMs - this.#toldMs < TELL_EVERY_MS) return void this.#untold.set(name, untold + 1);
    this.#toldMs = nowMs;
    this.#untold.delete(name);
    this.#warn(name, `${shortReason(error)}${untold > 0 ? ` (and ${untold} times before)` : ''}`);
  }
}
