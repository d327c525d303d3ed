/** Which lifelines are drawn for the rows that are seen, and where. Pure; runs in the browser. */
import type { Drawn } from '../model/tell.ts';

export interface Lane {
  id: string;
  x: number;
}

const LANE_WIDTH_MAX = 104;
const LANE_WIDTH_MIN = 12;

/** Who takes part in a record. */
function partsOf({ record, ends }: Drawn): string[] {
  if (ends) return ends.from === null ? [ends.to] : [ends.from, ends.to];
  return record.t === 'step' ? [record.id] : [];
}

const pidOf = (id: string): number => Number(id.split('/')[0]);
const placeOf = (id: string): number => Number(id.split('/')[1] ?? 0);

/** The arbiter's first, each process's together, in the order in which they were made. */
export function lanesOf(
  rows: readonly Drawn[],
  { root, width }: { root: number; width: number },
): { lanes: Map<string, number>; laneWidth: number } {
  const ids = [...new Set(rows.flatMap(partsOf))].sort(
    (a, b) =>
      Number(pidOf(b) === root) - Number(pidOf(a) === root) || pidOf(a) - pidOf(b) || placeOf(a) - placeOf(b),
  );
  const laneWidth = Math.max(LANE_WIDTH_MIN, Math.min(LANE_WIDTH_MAX, width / Math.max(1, ids.length)));
  return { lanes: new Map(ids.map((id, index) => [id, (index + 0.5) * laneWidth])), laneWidth };
}
