/** Lines of the log that a client can cause as often as it likes. Runs in web workers. */
import type { Notice } from './supervised.ts';

const EVERY_MS = 1000;
/** So many at once are told each. */
const AT_ONCE = 10;

/**
 * Lets ten lines through a second, and tells with the next one how many there were beyond them: a process that has more to tell than a
 * process has is taken for broken, and so a client could have it killed.
 */
export function seldom(notice: Notice): Notice {
  let told = 0;
  let untold = 0;
  let sinceMs = Number.NEGATIVE_INFINITY;
  return (level, text) => {
    const nowMs = performance.now();
    if (nowMs - sinceMs >= EVERY_MS) {
      sinceMs = nowMs;
      told = 0;
    }
    if (++told > AT_ONCE) {
      untold++;
      return;
    }
    notice(level, untold === 0 ? text : `${text} (and ${untold} more before)`);
    untold = 0;
  };
}
