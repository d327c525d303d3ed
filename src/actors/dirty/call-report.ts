/**
 * Tells the arbiter what was counted of the calls of each app: at most once a second, when it is asked how things stand, and at
 * the end. Runs in the dirty arbiter, where somebody counts.
 */
import type { CallSums } from '../../machines/events/metrics.ts';
import type { App } from './router-calls.ts';

const TELL_MS = 1000;

export interface CallReportDeps {
  apps(): Iterable<App>;
  /** False when it could not be told now. */
  tell(sums: CallSums): boolean;
}

export class CallReport {
  readonly #deps: CallReportDeps;
  /** How many events each app had had when it was told. */
  readonly #told = new Map<App, number>();
  readonly #timer: NodeJS.Timeout;

  constructor(deps: CallReportDeps) {
    this.#deps = deps;
    this.#timer = setInterval(() => this.tell(), TELL_MS);
    this.#timer.unref();
  }

  /** Tells of those apps that have something new. */
  tell(): void {
    for (const app of this.#deps.apps()) {
      // A call that only waits has been counted, and has no times yet.
      const changes = app.times.changes + app.counts.calls;
      if (changes === (this.#told.get(app) ?? 0)) continue;
      const sums: CallSums = {
        type: 'dirty.measured',
        app: app.importPath,
        ...app.counts,
        ...app.times.shown(),
      };
      if (this.#deps.tell(sums)) this.#told.set(app, changes);
    }
  }

  end(): void {
    clearInterval(this.#timer);
    this.tell();
  }
}
