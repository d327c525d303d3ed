/** The next record of a kind, forth or back. Pure; runs in the browser. */
import type { Sift } from './sift.ts';
import type { Timeline } from './timeline.ts';
import { isTrouble } from './trouble.ts';

type Direction = 1 | -1;

/** The first after, or the last before, a position that was sifted and matches. */
export function matchFrom(
  sift: Sift,
  position: number,
  direction: Direction,
  matches: (position: number) => boolean,
): number | undefined {
  const first = direction === 1 ? sift.indexFrom(position + 1) : sift.indexFrom(position) - 1;
  for (let index = first; index >= 0 && index < sift.count; index += direction) {
    const found = sift.at(index)!;
    if (matches(found)) return found;
  }
  return undefined;
}

/** The first trouble at a position or after it, or before it. */
export function troubleFrom(timeline: Timeline, position: number, direction: Direction): number | undefined {
  const first = Math.max(position, timeline.first - (direction === 1 ? 0 : 1));
  for (let at = first; at >= timeline.first && at < timeline.end; at += direction) {
    // What both sides told is one trouble.
    const isTwice = (timeline.pairs.of(at) ?? at) < at;
    if (!isTwice && isTrouble(timeline.at(at)!)) return at;
  }
  return undefined;
}
