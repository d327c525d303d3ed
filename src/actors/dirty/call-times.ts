/**
 * How long the calls of one dirty app waited and took. Runs in the dirty arbiter, where every call passes: plain arrays that are
 * counted up, whether anybody asks or not.
 */
import {
  CALL_BOUNDS,
  CALL_OUTCOMES,
  type CallDurations,
  type CallOutcome,
} from '../../machines/events/metrics.ts';

const BOUNDS_MS = CALL_BOUNDS.map((seconds) => seconds * 1000);

class Durations {
  readonly #counts: number[] = new Array(BOUNDS_MS.length + 1).fill(0);
  #totalMs = 0;

  add(ms: number): void {
    let at = 0;
    while (at < BOUNDS_MS.length && ms > BOUNDS_MS[at]!) at++;
    this.#counts[at]!++;
    this.#totalMs += ms;
  }

  shown(): CallDurations {
    return { durations: [...this.#counts], totalMs: this.#totalMs };
  }
}

export class CallTimes {
  /** Grows with everything that is counted here. */
  changes = 0;
  readonly #waits = new Durations();
  readonly #ends: Readonly<Record<CallOutcome, Durations>> = {
    ok: new Durations(),
    error: new Durations(),
    timeout: new Durations(),
    cancelled: new Durations(),
    overloaded: new Durations(),
  };

  began(waitedMs: number): void {
    this.changes++;
    this.#waits.add(waitedMs);
  }

  ended(outcome: CallOutcome, tookMs: number): void {
    this.changes++;
    this.#ends[outcome].add(tookMs);
  }

  shown(): { waits: CallDurations; ends: CallDurations[] } {
    return { waits: this.#waits.shown(), ends: CALL_OUTCOMES.map((outcome) => this.#ends[outcome].shown()) };
  }
}
