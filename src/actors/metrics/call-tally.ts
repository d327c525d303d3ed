/**
 * What the dirty arbiters have counted of calls, those that are gone included: sums that only grow. Runs in the arbiter, where
 * metrics are asked for.
 */
import {
  CALL_BOUNDS,
  CALL_OUTCOMES,
  type CallDurations,
  type CallSums,
} from '../../machines/events/metrics.ts';

/** Apps have such names as a user gives them; of more than so many the first are told. */
const APPS_MAX = 1000;

export const CALL_COUNTS = ['calls', 'errors', 'timeouts', 'cancelled', 'overloaded'] as const;

const none = (): CallDurations => ({ durations: new Array(CALL_BOUNDS.length + 1).fill(0), totalMs: 0 });

export const noCalls = (app: string): CallSums => ({
  type: 'dirty.measured',
  app,
  calls: 0,
  errors: 0,
  timeouts: 0,
  cancelled: 0,
  overloaded: 0,
  waits: none(),
  ends: CALL_OUTCOMES.map(none),
});

function joined(one: CallDurations, other: CallDurations): CallDurations {
  return {
    durations: one.durations.map((count, at) => count + other.durations[at]!),
    totalMs: one.totalMs + other.totalMs,
  };
}

function added(one: CallSums, other: CallSums): CallSums {
  const sums = { ...one, waits: joined(one.waits, other.waits) };
  for (const name of CALL_COUNTS) sums[name] += other[name];
  sums.ends = CALL_OUTCOMES.map((_, at) => joined(one.ends[at]!, other.ends[at]!));
  return sums;
}

export class CallTally {
  readonly #gone = new Map<string, CallSums>();
  /** Of the dirty arbiter that lives. */
  readonly #last = new Map<string, CallSums>();

  heard(sums: CallSums): void {
    const { app } = sums;
    if (this.#last.has(app) || this.#last.size < APPS_MAX) this.#last.set(app, sums);
  }

  /** The dirty arbiter has ended; another counts anew. */
  gone(): void {
    for (const [app, sums] of this.#last) {
      const before = this.#gone.get(app);
      if (before || this.#gone.size < APPS_MAX) this.#gone.set(app, before ? added(before, sums) : sums);
    }
    this.#last.clear();
  }

  /** By app. */
  sums(): CallSums[] {
    const all = new Map(this.#gone);
    for (const [app, sums] of this.#last) {
      const before = all.get(app);
      all.set(app, before ? added(before, sums) : sums);
    }
    return [...all.values()];
  }
}
