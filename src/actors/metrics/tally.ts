/**
 * What all web workers have counted, those that are gone included: sums that only grow. Runs in the arbiter, where metrics are
 * asked for; told by the workers, by the inspection of the machines and by the ends of orders.
 */
import type { InspectionEvent } from 'xstate';
import type { OrderEnded } from '../../machines/events/arbiter.ts';
import type { ChildExit } from '../../machines/events/child.ts';
import { DURATION_BOUNDS, type TrafficSums } from '../../machines/events/metrics.ts';
import type { ProcessHooks } from '../process.ts';
import { GoneApps, type Merge } from './gone-apps.ts';

export interface Sums {
  statuses: Map<number, number>;
  durations: number[];
  totalMs: number;
  aborted: number;
}

/** One of prom-client's metrics as JSON. */
export interface MetricJson {
  name: string;
  type: string;
  values: unknown[];
}

export const noSums = (): Sums => ({
  statuses: new Map(),
  durations: new Array(DURATION_BOUNDS.length + 1).fill(0),
  totalMs: 0,
  aborted: 0,
});

function add(sums: Sums, { statuses, durations, totalMs, aborted }: TrafficSums): void {
  for (const [status, count] of statuses) sums.statuses.set(status, (sums.statuses.get(status) ?? 0) + count);
  for (const [at, count] of durations.entries()) sums.durations[at]! += count;
  sums.totalMs += totalMs;
  sums.aborted += aborted;
}

export class Tally {
  /** Workers that have ended, by why. */
  readonly exits = new Map<string, number>();
  /** Reloads that have ended, by how. */
  readonly reloads = new Map<string, number>();
  /** How the last reload ended; undefined before the first. */
  lastReload: { ok: boolean; atSeconds: number } | undefined;
  readonly #gone = noSums();
  readonly #last = new Map<number, TrafficSums>();
  readonly goneApps = new GoneApps();

  readonly hooks: ProcessHooks<'web'> = {
    reported: (age, report) => {
      if (report.type === 'worker.metrics') this.#last.set(age, report as TrafficSums);
    },
    gone: (age) => {
      const last = this.#last.get(age);
      if (!last) return;
      this.#last.delete(age);
      add(this.#gone, last);
      this.goneApps.put(appMetrics(last).filter(({ type }) => type === 'counter' || type === 'histogram'));
    },
  };

  /** Of all workers together. */
  sums(): Sums {
    const all: Sums = {
      ...this.#gone,
      statuses: new Map(this.#gone.statuses),
      durations: [...this.#gone.durations],
    };
    for (const last of this.#last.values()) add(all, last);
    return all;
  }

  requestsOf(age: number): number {
    return (this.#last.get(age)?.statuses ?? []).reduce((total, [, count]) => total + count, 0);
  }

  /** The apps' own metrics, one list a worker; those of workers that are gone as one, `merge` makes it. */
  async apps(merge: Merge): Promise<MetricJson[][]> {
    const gone = await this.goneApps.merged(merge);
    return [...gone, ...Array.from(this.#last.values(), appMetrics)];
  }

  note(inspection: InspectionEvent): void {
    if (inspection.type !== '@xstate.microstep' || inspection.event.type !== 'child.exited') return;
    const { cause } = inspection.event as unknown as ChildExit;
    this.exits.set(cause, (this.exits.get(cause) ?? 0) + 1);
  }

  ended({ type, order }: OrderEnded, atSeconds = Date.now() / 1000): void {
    if (order !== 'arbiter.reload') return;
    const result = type.slice('order.'.length);
    this.reloads.set(result, (this.reloads.get(result) ?? 0) + 1);
    this.lastReload = { ok: type === 'order.done', atSeconds };
  }
}

/** What an app says is its own business: what is no list of metrics is none. */
function appMetrics({ app }: TrafficSums): MetricJson[] {
  if (app === undefined) return [];
  try {
    const parsed: unknown = JSON.parse(app);
    return Array.isArray(parsed) ? parsed.filter(isMetric).map(withoutOdd) : [];
  } catch {
    return [];
  }
}

/** One name or value that is none, and whoever reads /metrics would take nothing of it. JSON has null where a number was not finite. */
const withoutOdd = (metric: MetricJson): MetricJson => ({ ...metric, values: metric.values.filter(isValue) });

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;

function isValue(one: unknown): boolean {
  const { value, labels = {}, metricName = 'none' } = (one ?? {}) as Record<string, unknown>;
  if (typeof value !== 'number' || typeof labels !== 'object' || labels === null) return false;
  return NAME.test(String(metricName)) && Object.keys(labels).every((name) => NAME.test(name));
}

const isMetric = (one: unknown): one is MetricJson =>
  typeof one === 'object' &&
  one !== null &&
  NAME.test(String((one as MetricJson).name)) &&
  !(one as MetricJson).name.startsWith('kirin_') &&
  ['counter', 'gauge', 'histogram', 'summary'].includes((one as MetricJson).type) &&
  Array.isArray((one as MetricJson).values);
