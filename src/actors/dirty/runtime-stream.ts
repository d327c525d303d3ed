/**
 * Advances what an action yields, as far as its caller has room, and ends it early when the caller has gone. Runs in
 * dirty workers.
 */
import { runInCall } from './app-call.ts';
import type { RunningCall } from './runtime-call.ts';

type Step = IteratorResult<unknown>;
interface Steps {
  next(): Step | PromiseLike<Step>;
  return?(): unknown;
}

/** Whether it has to be waited for. */
export const isThenable = <T>(value: T | PromiseLike<T>): value is PromiseLike<T> =>
  typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';

/** A generator that never waits may go on for so long before others have their turn. */
const TURN_MS = 20;

/** Whether it is there to be read step by step: a generator, a stream; a list is a value. */
export function isStream(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (Symbol.asyncIterator in value) return true;
  return Symbol.iterator in value && typeof (value as { next?: unknown }).next === 'function';
}

/**
 * Sends each value that comes. Rejects with what the generator throws, and with the call's reason when that ended it;
 * the generator's own clean-up has then been done.
 */
export async function streamOut(
  running: RunningCall,
  value: object,
  send: (chunk: unknown) => void,
  cleanUpFailed: (error: unknown) => void,
): Promise<void> {
  const { call, signal } = running;
  const steps = runInCall(call, () => stepsOf(value));
  let cleanUp: Promise<unknown> | undefined;
  const leave = (): void => {
    cleanUp ??= (async () => runInCall(call, () => steps.return?.()))().catch(cleanUpFailed);
  };
  // At once: an iterator that waits for an event ends its wait thereby; a generator hears of it after its step.
  signal.addEventListener('abort', leave, { once: true });
  let sinceMs = performance.now();
  let ended = false;
  try {
    for (;;) {
      // What is there is not waited for: that would cost more than the rest of a chunk.
      if (!running.hasRoom) await running.room();
      if (running.reason) throw running.reason;
      ended = true;
      const next = runInCall(call, () => steps.next());
      const step = isThenable(next) ? await next : next;
      if (running.reason) throw running.reason;
      if (step.done) return;
      ended = false;
      // A sync generator may yield promises, as for await takes them.
      send(isThenable(step.value) ? await step.value : step.value);
      if (performance.now() - sinceMs < TURN_MS) continue;
      await new Promise((resolve) => setImmediate(resolve));
      sinceMs = performance.now();
    }
  } finally {
    signal.removeEventListener('abort', leave);
    // Not where it ended by itself, by an error of its own.
    if (!ended) leave();
    await cleanUp;
  }
}

function stepsOf(value: object): Steps {
  const either = value as Partial<AsyncIterable<unknown> & Iterable<unknown>>;
  const steps: unknown = either[Symbol.asyncIterator]?.() ?? either[Symbol.iterator]?.();
  return steps as Steps;
}
