/** Lines of the log that a client can cause as often as it likes. Runs in web workers. */
import type { Notice } from './supervised.ts';

const EVERY_MS = 1000;

/**
 * Lets a line through once a second, and tells with the next one how many there were meanwhile: a process that has more to tell than
 * a process has is taken for broken, and so a client could have it killed.
 */
export function seldom(notice: Notice): Notice {
  let untold = 0;
  let toldMs = Number.NEGATIVE_INFINITY;
  return (level, text) => {
    const nowMs = performance.now();
    if (nowMs - toldMs < EVERY_MS) {
      untold++;
      return;
    }
    notice(level, untold === 0 ? text : `${text} (and ${untold} more before)`);
    toldMs = nowMs;
    untold = 0;
  };
}
