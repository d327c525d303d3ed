/** The figures of each process over time, bounded, for sparklines. Pure; runs in the browser. */
import type { BeatRecord } from '../../actors/inspect/records.ts';

/** Of one process: two minutes, at one a second. */
export const BEATS_MAX = 120;
/** Far above what is alive at once; those that were silent longest are forgotten first. */
const PROCESSES_MAX = 1000;

export class Series {
  readonly #beats = new Map<number, BeatRecord[]>();

  push(beat: BeatRecord): void {
    const beats = this.#beats.get(beat.pid) ?? [];
    this.#beats.delete(beat.pid);
    this.#beats.set(beat.pid, beats);
    beats.push(beat);
    // Twice as many as are shown, so that the past can be shown too.
    if (beats.length > 10 * BEATS_MAX) beats.splice(0, beats.length - 10 * BEATS_MAX);
    if (this.#beats.size <= PROCESSES_MAX) return;
    for (const pid of this.#beats.keys()) {
      this.#beats.delete(pid);
      return;
    }
  }

  /** The last ones up to a time. */
  of(pid: number, until = Number.POSITIVE_INFINITY): BeatRecord[] {
    const beats = this.#beats.get(pid) ?? [];
    let end = beats.length;
    while (end > 0 && beats[end - 1]!.at > until) end--;
    return beats.slice(Math.max(0, end - BEATS_MAX), end);
  }
}

/** Points of a line in a box, oldest left, the highest at the top; empty for fewer than two. */
export function sparkline(
  values: readonly number[],
  { width, height }: { width: number; height: number },
): string {
  if (values.length < 2) return '';
  const most = Math.max(...values, Number.MIN_VALUE);
  const step = width / (BEATS_MAX - 1);
  const left = width - (values.length - 1) * step;
  return values
    .map(
      (value, index) =>
        `${(left + index * step).toFixed(1)},${(height - 1 - (value / most) * (height - 2)).toFixed(1)}`,
    )
    .join(' ');
}
