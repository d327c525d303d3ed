/** Dirty apps as their callers see them: types alone. */
import type { DirtyApp } from './app.ts';

export interface CallOptions {
  /** How long the call may take, waiting included, in milliseconds; 0: no limit. Default: `--dirty-timeout`. */
  timeoutMs?: number | undefined;
  /** Cancels the call when it aborts. */
  signal?: AbortSignal | undefined;
}

/** What calls dirty apps. All its answers reject with a DirtyError. */
export interface Dirty {
  /** The result of an action. */
  execute<R = unknown>(app: string, action: string, ...args: unknown[]): Promise<R>;
  /** What an action that is a generator yields. The call begins with the first step, and ends when the loop is left. */
  stream<Y = unknown>(app: string, action: string, ...args: unknown[]): AsyncIterableIterator<Y>;
  /** The same with options for its calls. */
  with(options: CallOptions): Dirty;
  /** An app's actions as methods. */
  app<C extends abstract new (...args: never[]) => object>(name: string): AppHandle<C>;
}

/** Names that cannot be called. */
type Hidden = keyof DirtyApp | 'with' | 'then' | 'catch' | 'finally' | 'toJSON' | `_${string}`;

/** What an action gives its caller: what it yields, else a promise of what it returns. */
type Answer<R> =
  R extends AsyncIterableIterator<infer Y>
    ? AsyncIterable<Y>
    : R extends IterableIterator<infer Y>
      ? AsyncIterable<Y>
      : Promise<Awaited<R>>;

/** The actions of an app. A generic action is known by its constraints alone. */
export type Actions<T extends object> = {
  readonly [K in Exclude<keyof T, Hidden> as T[K] extends (...args: never[]) => unknown
    ? K
    : never]: T[K] extends (...args: infer A) => infer R ? (...args: A) => Answer<R> : never;
};

/** A typed handle of a dirty app, `dirty.app<typeof Model>('./ml.js:Model')`. */
export type AppHandle<C extends abstract new (...args: never[]) => object> = Actions<InstanceType<C>> & {
  /** The same app with options for its calls. */
  with(options: CallOptions): AppHandle<C>;
};
