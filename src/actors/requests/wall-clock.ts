/**
 * What time it is, for lines of the access log, without asking the system for each: made once a second, and for what is below a second
 * from the monotonic clock, which was read for the duration anyway. Runs in web workers.
 */

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** Both clocks' milliseconds when the second in hand began, and when it is over. */
let beganMs = 0;
let overMs = Number.NEGATIVE_INFINITY;
let commonTime = '';
let isoSecond = '';

/** `[27/Nov/2026:10:00:00 +0000]`, local time. `nowMs` is of `performance.now()`. */
export function commonTimeAt(nowMs: number): string {
  if (nowMs >= overMs) begin(nowMs);
  return commonTime;
}

/** `2026-11-27T10:00:00.123Z`. */
export function isoTimeAt(nowMs: number): string {
  if (nowMs >= overMs) begin(nowMs);
  const ms = Math.trunc(nowMs - beganMs);
  return `${isoSecond}${ms < 10 ? '.00' : ms < 100 ? '.0' : '.'}${ms}Z`;
}

function begin(nowMs: number): void {
  // It may have been a while ago.
  const now = Math.trunc(Date.now() - Math.max(0, performance.now() - nowMs));
  const inSecondMs = now % 1000;
  beganMs = nowMs - inSecondMs;
  overMs = beganMs + 1000;
  const date = new Date(now - inSecondMs);
  const two = (value: number): string => String(value).padStart(2, '0');
  const offset = -date.getTimezoneOffset();
  const zone = `${offset < 0 ? '-' : '+'}${two(Math.floor(Math.abs(offset) / 60))}${two(Math.abs(offset) % 60)}`;
  const day = `${two(date.getDate())}/${MONTHS[date.getMonth()]}/${date.getFullYear()}`;
  commonTime = `[${day}:${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())} ${zone}]`;
  isoSecond = date.toISOString().slice(0, 19);
}
