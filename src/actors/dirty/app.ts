/**
 * The class that dirty apps extend, and which of their methods are actions. Runs in dirty workers, and wherever an app
 * imports `kirin`: of two copies of this file each must know the other's classes, hence the brand.
 */
import { currentCall, type DirtyCall } from './app-call.ts';

export type { DirtyCall };

const BRAND = Symbol.for('kirin.dirtyApp');

/**
 * What a dirty app extends. Its methods are the actions that may be called, but for those whose name begins with `_`.
 *
 * @example
 * export class Model extends DirtyApp {
 *   static workers = 2;
 *   async init() { this.weights = await load(); }
 *   predict(input) { return this.weights.apply(input); }
 * }
 */
export class DirtyApp {
  /** So many dirty workers load it; without it all do. */
  declare static workers?: number;
  /** Tokens that a worker which loads it must hold, such as `{ gpu: 1 }`; how many there are is a setting. */
  declare static resources?: Record<string, number>;

  /** The call that is being answered. Throws outside of an action: in init(), in close(), in a timer of init's. */
  get call(): DirtyCall {
    const call = currentCall();
    if (!call)
      throw new Error(
        'this.call is there only while an action runs, and in what it has begun, not in init() or close()',
      );
    return call;
  }

  /** Called once, before the worker takes calls. */
  init(): void | Promise<void> {}

  /** Called when the worker leaves, after its last call. */
  close(): void | Promise<void> {}
}

Object.defineProperty(DirtyApp.prototype, BRAND, { value: true });

export type DirtyClass = (new () => DirtyApp) & { workers?: unknown; resources?: unknown; name: string };

/** Whether it extends DirtyApp, of this copy of the package or of another. */
export function isDirtyClass(value: unknown): value is DirtyClass {
  if (typeof value !== 'function') return false;
  const prototype: unknown = value.prototype;
  return typeof prototype === 'object' && prototype !== null && BRAND in prototype && !isBase(prototype);
}

const isBase = (prototype: object): boolean => Object.hasOwn(prototype, BRAND);

export type Action = (this: DirtyApp, ...args: unknown[]) => unknown;

/** Methods that are no actions, beside those whose name begins with `_` and what every object has. */
const RESERVED = new Set(['constructor', 'init', 'close', 'call']);

/** The actions of a class by name: its methods and those it inherits, up to DirtyApp. */
export function actionsOf(Class: DirtyClass): ReadonlyMap<string, Action> {
  const actions = new Map<string, Action>();
  const seen = new Set<string>();
  for (
    let prototype: object | null = Class.prototype as object;
    prototype && !isBase(prototype);
    prototype = Object.getPrototypeOf(prototype)
  )
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
      // What a subclass has put before it, be it a getter, hides what is behind.
      if (seen.has(name)) continue;
      seen.add(name);
      if (name.startsWith('_') || RESERVED.has(name) || name in Object.prototype) continue;
      if (typeof value === 'function') actions.set(name, value as Action);
    }
  return actions;
}
