/**
 * Signals to children, in the one place that may send them. Runs in every process that has children.
 *
 * A child that could not be started for want of a descriptor has a handle, but no pid; what Node.js then sends to it with
 * `kill`, until it has told the error, goes to pid 0: to our whole process group, and whoever started us with it.
 */
import type { ChildProcess } from 'node:child_process';

/** False where it was never started, or is gone. */
export const killChild = (child: ChildProcess | undefined, signal: NodeJS.Signals = 'SIGKILL'): boolean =>
  child?.pid !== undefined && child.kill(signal);
