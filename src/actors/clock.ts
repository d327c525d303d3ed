/**
 * The wall clock, which may be set at any time. Runs in the arbiter. No limit is measured by it, and only what the world keeps by
 * it has to follow: the time of the pid file, by which the next server tells this process from a later one of its number.
 */
import { performance } from 'node:perf_hooks';

const LOOK_MS = 5000;
/** Less is the clock being adjusted, bit by bit. */
const JUMP_MS = 1000;

/** Tells by how much the wall clock was set, in milliseconds; backwards is negative. Returns what ends it. */
export function watchClock(
  jumped: (byMs: number) => void,
  wallMs: () => number = Date.now,
  monotonicMs: () => number = () => performance.now(),
): () => void {
  const offset = (): number => wallMs() - monotonicMs();
  let lastMs = offset();
  const timer = setInterval(() => {
    const byMs = offset() - lastMs;
    lastMs += byMs;
    if (Math.abs(byMs) >= JUMP_MS) jumped(byMs);
  }, LOOK_MS).unref();
  return () => clearInterval(timer);
}

/** In words, for the log. */
export const jumpText = (byMs: number): string =>
  `the clock was set ${byMs < 0 ? 'back' : 'forward'} by ${Math.round(Math.abs(byMs) / 1000)} s, or the machine slept: no limit is measured by it`;
