/** How often something is repeated: the SECONDS of `watch` and `top`. */
import { ShellError } from './core.ts';

export const SECONDS_DEFAULT = 2;
const SECONDS_MIN = 0.1;
const SECONDS_MAX = 3600;

/** Throws a ShellError for what makes no sense. */
export function readSeconds(text: string | undefined): number {
  if (text === undefined) return SECONDS_DEFAULT;
  const seconds = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (seconds >= SECONDS_MIN && seconds <= SECONDS_MAX) return seconds;
  throw new ShellError(`Invalid interval: ${text} (write seconds, from ${SECONDS_MIN} to ${SECONDS_MAX})`);
}

/** Resolves after the time, or when the signal is aborted. */
export const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
  });
