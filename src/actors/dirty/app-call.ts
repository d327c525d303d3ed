/**
 * The call that is being answered, wherever in its action one asks. Runs in dirty workers, on both sides: in the worker's
 * own bundle, and in the copy of `kirin` that the app imports. So what they share hangs on the process, under a
 * registered symbol, and whoever comes first makes it.
 */
import { AsyncLocalStorage } from 'node:async_hooks';

/** What an action may know of the call it answers. */
export interface DirtyCall {
  /** Aborts when the caller has gone away or the deadline has passed. */
  readonly signal: AbortSignal;
  /** Milliseconds since 1970; undefined: the call may take as long as it likes. */
  readonly deadline: number | undefined;
  /** The app as its callers name it: `./ml.js:Model`. */
  readonly app: string;
  readonly action: string;
}

const KEY = Symbol.for('kirin.dirtyCall');

function shared(): AsyncLocalStorage<DirtyCall> {
  const onProcess = globalThis as { [KEY]?: AsyncLocalStorage<DirtyCall> };
  onProcess[KEY] ??= new AsyncLocalStorage();
  return onProcess[KEY];
}

const calls = shared();

/** Runs what belongs to a call; also each step of a generator, which else would belong to whoever advances it. */
export const runInCall = <T>(call: DirtyCall, run: () => T): T => calls.run(call, run);

export const currentCall = (): DirtyCall | undefined => calls.getStore();
