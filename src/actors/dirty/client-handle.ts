/**
 * `dirty.app<typeof Model>('./ml.js:Model')`: an app's actions as methods. Runs where calls are made. A handle does not
 * know which actions are generators; what its methods return can be awaited and can be read, and what is done to it
 * first says which.
 */
import type { DirtyError } from './errors.ts';
import type { AppHandle, CallOptions, Dirty } from './types.ts';

/** What a class of an app never has as an action; and what would make the handle itself a promise. */
const HIDDEN = new Set(['init', 'close', 'call', 'constructor', 'then', 'catch', 'finally', 'toJSON']);

export function appHandle<C extends abstract new (...args: never[]) => object>(
  dirty: Dirty,
  app: string,
): AppHandle<C> {
  const methods = new Map<string, unknown>([
    ['with', (options: CallOptions) => appHandle(dirty.with(options), app)],
  ]);
  return new Proxy(Object.create(null), {
    get(_, name) {
      if (typeof name !== 'string' || name.startsWith('_') || HIDDEN.has(name)) return undefined;
      let method = methods.get(name);
      if (!method) {
        method = (...args: unknown[]) => new HandleCall(dirty, app, name, args);
        methods.set(name, method);
      }
      return method;
    },
  }) as AppHandle<C>;
}

/**
 * A call that begins when it is awaited or read; one that is neither begins by itself at the end of the tick, since
 * whoever calls a method and looks away expects it to be called.
 */
class HandleCall implements PromiseLike<unknown>, AsyncIterable<unknown> {
  readonly #dirty: Dirty;
  readonly #app: string;
  readonly #action: string;
  readonly #args: unknown[];
  #promise: Promise<unknown> | undefined;
  #isRead = false;
  #isAwaited = false;

  constructor(dirty: Dirty, app: string, action: string, args: unknown[]) {
    this.#dirty = dirty;
    this.#app = app;
    this.#action = action;
    this.#args = args;
    queueMicrotask(() => {
      if (this.#isRead || this.#isAwaited) return;
      this.#execute().catch((error: unknown) => {
        // A generator that is kept to be read later is refused as a plain call; other errors nobody awaits are loud.
        if (!this.#isAwaited && (error as DirtyError).code !== 'DIRTY_ACTION_NOT_FOUND') throw error;
      });
    });
  }

  #execute(): Promise<unknown> {
    this.#promise ??= this.#dirty.execute(this.#app, this.#action, ...this.#args);
    return this.#promise;
  }

  // biome-ignore lint/suspicious/noThenProperty: it stands for the promise that its action's type promises
  then<A = unknown, B = never>(
    fulfilled?: ((value: unknown) => A | PromiseLike<A>) | null,
    rejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.#isAwaited = true;
    return this.#execute().then(fulfilled, rejected);
  }

  catch<B = never>(rejected?: ((reason: unknown) => B | PromiseLike<B>) | null): Promise<unknown> {
    this.#isAwaited = true;
    return this.#execute().catch(rejected);
  }

  finally(settled?: (() => void) | null): Promise<unknown> {
    this.#isAwaited = true;
    return this.#execute().finally(settled);
  }

  [Symbol.asyncIterator](): AsyncIterator<unknown> {
    this.#isRead = true;
    return this.#dirty.stream(this.#app, this.#action, ...this.#args)[Symbol.asyncIterator]();
  }
}
