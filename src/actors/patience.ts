/**
 * Waiting for what the app promises, with a limit. Runs in web workers.
 *
 * A promise is hopeless when the event loop runs empty before it settles: nothing is left that could settle it.
 * Node says so with 'beforeExit'. It is only heard while everything of the worker's own (link, timers) is unref'd.
 */

/** How a wait ended: the promise settled, the limit was over, or nothing was left to run. */
export type Outcome = 'settled' | 'late' | 'hopeless';

/** Waits for `promise` for at most `limitMs`. Rejects as the promise does. */
export function settles(promise: PromiseLike<unknown>, limitMs: number): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const forget = () => {
      clearTimeout(timer);
      process.removeListener('beforeExit', onBeforeExit);
    };
    const finish = (outcome: Outcome) => {
      forget();
      resolve(outcome);
    };
    // The timer alone must not keep the loop alive, or the loop would never be seen to be empty.
    const timer = setTimeout(finish, Math.min(limitMs, 2 ** 31 - 1), 'late').unref();
    const onBeforeExit = () => finish('hopeless');
    process.once('beforeExit', onBeforeExit);
    promise.then(
      () => finish('settled'),
      (error) => {
        forget();
        reject(error);
      },
    );
  });
}

/** Waits for `promise`, however long it takes; when nothing is left to run, rejects with what `hopeless` makes. */
export function hopeful<T>(promise: PromiseLike<T>, hopeless: () => Error): Promise<T> {
  return new Promise((resolve, reject) => {
    const onBeforeExit = () => reject(hopeless());
    process.once('beforeExit', onBeforeExit);
    const forget = () => process.removeListener('beforeExit', onBeforeExit);
    promise.then(
      (value) => {
        forget();
        resolve(value);
      },
      (error) => {
        forget();
        reject(error);
      },
    );
  });
}
