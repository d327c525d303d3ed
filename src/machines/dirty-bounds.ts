/** How few and how many dirty workers a generation can have: its apps' limits and the tokens there are. Pure. */
import { amountsNeeded, appsOfSlot, largestLimit, workersUseful } from './allocation.ts';
import type { Claims } from './claims.ts';
import type { DirtyGeneration } from './events/dirty.ts';

/** More than that are a typing error. */
const WORKERS_MAX = 1024;

export interface Bounds {
  least: number;
  most: number;
  whyLeast: string;
  whyMost: string;
}

export function boundsOf(generation: DirtyGeneration): Bounds {
  const apps = generation.apps.map(({ number, workers }) => ({ number, limit: workers }));
  const largest = largestLimit(apps);
  const useful = Math.min(WORKERS_MAX, workersUseful(apps));
  const { fit, lacking } = workersThatFit(generation, useful);
  return {
    least: Math.max(1, Math.min(largest, fit)),
    most: Math.max(1, fit),
    whyLeast:
      largest > 1
        ? `an app is to have ${largest} workers; there must be as many`
        : 'there must be at least 1 dirty worker',
    whyMost:
      lacking === null
        ? useful < WORKERS_MAX
          ? 'all apps have reached their worker limits'
          : `the most allowed is ${WORKERS_MAX} dirty workers`
        : `there is too little ${lacking} for more (--dirty-resource)`,
  };
}

/** What workers hold, slot by slot: from the largest limit of an app on all have the same apps. Undefined: nothing. */
export function claimsOf({ apps, resources }: DirtyGeneration): Claims | undefined {
  const specs = apps.map(({ number, workers }) => ({ number, limit: workers }));
  const bySlot = Array.from({ length: largestLimit(specs) + 1 }, (_, slot) => {
    const numbers = appsOfSlot(specs, slot);
    return amountsNeeded(apps.filter(({ number }) => numbers.includes(number)));
  });
  const isNone = bySlot.every((claim) => Object.keys(claim).length === 0);
  return isNone ? undefined : { total: resources, bySlot };
}

/** How many workers can hold what their apps need, slot by slot, and of what there is too little for the next. */
function workersThatFit(
  { apps, resources }: DirtyGeneration,
  most: number,
): { fit: number; lacking: string | null } {
  const specs = apps.map(({ number, workers }) => ({ number, limit: workers }));
  const left = new Map(Object.entries(resources));
  for (let slot = 0; slot < most; slot++) {
    const numbers = appsOfSlot(specs, slot);
    const needed = Object.entries(amountsNeeded(apps.filter(({ number }) => numbers.includes(number))));
    if (needed.length === 0 && slot >= largestLimit(specs)) return { fit: most, lacking: null };
    for (const [name, amount] of needed) {
      const there = (left.get(name) ?? 0) - amount;
      if (there < 0) return { fit: slot, lacking: name };
      left.set(name, there);
    }
  }
  return { fit: most, lacking: null };
}
