/**
 * The arbiter's turn on a machine that has more to do than cores. Its main thread computes little and waits for a core often; with a
 * nice value below that of its workers it gets one at once, and takes nothing worth telling from them. Linux has such a value for
 * each thread, and what a thread starts has its starter's: so it is laid down around each start of a process or a thread.
 * Runs in the arbiter's main thread; elsewhere nothing is raised and nothing is laid down. Loads next to nothing.
 */
import { type ChildProcess, spawn as spawnAsIs } from 'node:child_process';
import { getPriority, setPriority } from 'node:os';

/** The best that there is. */
const NICE_MIN = -20;

/** Nice values of this thread: as it was started, and as it is now. */
let raised: { usual: number; own: number } | undefined;

/** So many steps before what this process was started with. Gives the reason where it may not. */
export function raisePriority(steps: number): string | undefined {
  // Elsewhere the value is the whole process's, and so its other threads' too.
  if (steps === 0 || raised || process.platform !== 'linux') return undefined;
  try {
    const usual = getPriority();
    const own = Math.max(NICE_MIN, usual - steps);
    setPriority(own);
    raised = { usual, own };
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ERR_SYSTEM_ERROR'
      ? (error as { info?: { code?: string } }).info?.code
      : String(error);
  }
}

/** Does what starts a process or a thread, which gets the priority that this process was started with. */
export function atUsualPriority<T>(start: () => T): T {
  if (!raised) return start();
  const { usual, own } = raised;
  try {
    // Anybody may step back.
    setPriority(usual);
    return start();
  } finally {
    try {
      setPriority(own);
    } catch {
      // What was permitted is so no more: it stays as its workers are.
      raised = undefined;
    }
  }
}

/** As that of `node:child_process`. */
export const spawn = ((...args: Parameters<typeof spawnAsIs>): ChildProcess =>
  atUsualPriority(() => spawnAsIs(...args))) as typeof spawnAsIs;
