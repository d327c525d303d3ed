/**
 * Keeps signals from the app. Runs in web workers, first of all: the arbiter alone decides what a worker does, so
 * TERM from outside only asks the worker to drain, and what a terminal sends to the whole process group (INT,
 * HUP, QUIT ...) is not for it. The app's own SIGTERM listeners are kept and run when the last answer is sent.
 *
 * SIGABRT keeps its default effect: it is how the arbiter ends a worker that hangs.
 */
import { settles } from './patience.ts';

const SHIELDED: ReadonlySet<string | symbol> = new Set<NodeJS.Signals>([
  'SIGTERM',
  'SIGINT',
  'SIGHUP',
  'SIGQUIT',
  // Without a listener Node would open its debugger.
  'SIGUSR1',
  'SIGUSR2',
  'SIGWINCH',
  'SIGTTIN',
  'SIGTTOU',
]);

export interface SignalShield {
  /**
   * Calls the app's SIGTERM listeners. By Node's rule they have then taken over the end of the process, so this
   * waits until they exit, until what they returned settles, or until nothing is left to run; 'late' when
   * `limitMs` is over before. Rejects with the first error that one of them threw.
   */
  runTerminationListeners(limitMs: number): Promise<'settled' | 'late'>;
}

let installed: SignalShield | undefined;

/** The shield of this process, if there is one. */
export const signalShield = (): SignalShield | undefined => installed;

/** Installed first thing in a worker. `onTerminate` is called at every TERM that comes from outside. */
export function shieldSignals(onTerminate: () => void): SignalShield {
  const emit = process.emit;
  // Node binds `process.emit` at a signal's first listener, so the wrapper goes first, then the listeners.
  process.emit = function shieldedEmit(this: NodeJS.Process, event: string | symbol, ...args: unknown[]) {
    if (!SHIELDED.has(event)) return Reflect.apply(emit, this, [event, ...args]);
    if (event === 'SIGTERM') onTerminate();
    return true;
  } as typeof process.emit;
  const hold = () => {};
  for (const signal of SHIELDED) process.on(signal as NodeJS.Signals, hold);
  // An app that removes all listeners of a signal must not get its default effect back, which would end it.
  const emitter: NodeJS.EventEmitter = process;
  emitter.prependListener('removeListener', (event: string | symbol, listener: unknown) => {
    if (listener === hold && SHIELDED.has(event)) process.on(event as NodeJS.Signals, hold);
  });

  installed = {
    async runTerminationListeners(limitMs) {
      const listeners = process
        .rawListeners('SIGTERM')
        .filter((listener) => listener !== hold && !isExitObserver(listener));
      if (listeners.length === 0) return 'settled';
      const results = listeners.map((listener) => attempt(listener));
      const pending = Promise.all(results.map((result) => result.settled));
      const outcome = await settles(
        results.every((result) => result.async) ? pending : pending.then(forever),
        limitMs,
      );
      return outcome === 'late' ? 'late' : 'settled';
    },
  };
  return installed;
}

const forever = () => new Promise<never>(() => {});

/** One listener's call: whether it returned a promise, and how that or the call itself ended. */
function attempt(listener: unknown): { async: boolean; settled: Promise<unknown> } {
  try {
    const result = Reflect.apply(listener as (signal: string, number: number) => unknown, process, [
      'SIGTERM',
      15,
    ]);
    return { async: result instanceof Promise, settled: Promise.resolve(result) };
  } catch (error) {
    return { async: false, settled: Promise.reject(error) };
  }
}

/**
 * The listener of the widespread package `signal-exit` ends nothing when others listen too; to wait for it would
 * hold up the exit of every app that happens to depend on it.
 */
function isExitObserver(listener: unknown): boolean {
  return /\.listeners\(sig\)/.test(Function.prototype.toString.call(listener));
}
