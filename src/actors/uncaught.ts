/**
 * What an uncaught error does to a worker with `--on-uncaught drain`: it answers what is in flight first. Runs in web workers, from the
 * moment they serve; before that Node.js ends the process, as it does without this.
 *
 * An app that listens for 'uncaughtException' itself decides for itself, as ever.
 */
import { executionAsyncResource } from 'node:async_hooks';
import type { Fault } from '../machines/faults.ts';
import { fault } from './fault-error.ts';
import type { Notice } from './supervised.ts';

/** Later errors of a worker that leaves, which are told; all are counted. */
const TOLD_MAX = 5;

/** An error that nobody caught, as a fault. */
export function uncaughtFault(error: unknown, origin: NodeJS.UncaughtExceptionOrigin): Fault {
  const what = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return fault(
    'worker.uncaught',
    origin === 'unhandledRejection' ? `unhandled rejection: ${what}` : what,
    error instanceof Error ? error.stack : undefined,
  );
}

export interface Draining {
  /** Whether the worker serves, and an error is to make it leave. */
  isServing(): boolean;
  leave(why: Fault): void;
  /** What threw will not be answered: `resource` is what Node.js was at work for. */
  abandon(resource: object): void;
  notice: Notice;
}

let handler: NodeJS.UncaughtExceptionListener | undefined;

/** Whether somebody other than this file handles uncaught errors. */
export const isHandledByApp = (): boolean =>
  process.hasUncaughtExceptionCaptureCallback() ||
  process.listeners('uncaughtException').some((listener) => listener !== handler);

export const isHandledByDraining = (): boolean => handler !== undefined;

export function drainOnUncaught({ isServing, leave, abandon, notice }: Draining): void {
  let later = 0;
  handler = (error, origin) => {
    if (isHandledByApp()) return;
    const why = uncaughtFault(error, origin);
    abandon(executionAsyncResource());
    if (isServing()) {
      // Where Node.js itself would write it.
      console.error(error);
      return leave(why);
    }
    if (++later <= TOLD_MAX) notice('error', `another error was not caught while it leaves: ${why.message}`);
  };
  process.on('uncaughtException', handler);
}
