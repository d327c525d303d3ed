/**
 * An app's own metrics: `import { metrics } from 'kirin'`. Runs in web workers, on the app's side; the arbiter adds up what all
 * workers have. Where nobody asks (no `--metrics`, or no Kirin) counting goes on and costs as little.
 */
import { appBridge } from '../app-bridge.ts';

export type Labels = Readonly<Record<string, string | number>>;

export interface MetricOptions {
  /** Letters, digits and underscores, such as `orders_total`. */
  name: string;
  help: string;
}

/** A number that only grows; the sum over all workers, also those that are gone. */
export interface Counter {
  /** Adds `by` (default 1, never negative). Throws RangeError for a negative number, TypeError for a label with a name that is none. */
  inc(by?: number, labels?: Labels): void;
}

/** A number that goes up and down; the sum over the workers that live. */
export interface Gauge {
  /** What is not finite is passed over. Throws TypeError for a label with a name that is none. */
  set(value: number, labels?: Labels): void;
}

/** How many values were how large; the sum over all workers, also those that are gone. */
export interface Histogram {
  /** What is not finite is passed over. Throws TypeError for a label with a name that is none. */
  observe(value: number, labels?: Labels): void;
}

/** A registry such as prom-client's. */
export interface ForeignRegistry {
  getMetricsAsJSON(): Promise<unknown[]> | unknown[];
}

/** A series is one metric with one set of labels. */
const SERIES_MAX = 1000;
const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const LABEL = /^[a-zA-Z_][a-zA-Z0-9_]*$/;
const LATENCIES = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

interface Value {
  value: number;
  labels: Record<string, string | number>;
  metricName?: string;
}

interface Shown {
  name: string;
  help: string;
  type: 'counter' | 'gauge' | 'histogram';
  aggregator: 'sum';
  values: Value[];
}

interface Kept {
  labels: Record<string, string | number>;
  value: number;
  counts: number[];
  count: number;
}

class Metric implements Counter, Gauge, Histogram {
  readonly #options: MetricOptions;
  readonly #type: Shown['type'];
  readonly #buckets: readonly number[];
  readonly #room: () => boolean;
  readonly #series = new Map<string, Kept>();

  constructor(options: MetricOptions, type: Shown['type'], buckets: readonly number[], room: () => boolean) {
    this.#options = options;
    this.#type = type;
    this.#buckets = buckets;
    this.#room = room;
  }

  inc(by = 1, labels: Labels = {}): void {
    if (!(by >= 0 && Number.isFinite(by)))
      throw new RangeError(
        `${this.#options.name}: a counter is raised by a number, never lowered, not by: ${String(by)}`,
      );
    const series = this.#of(labels);
    if (series) series.value += by;
  }

  set(value: number, labels: Labels = {}): void {
    const series = this.#isNumber(value) ? this.#of(labels) : undefined;
    if (series) series.value = value;
  }

  observe(value: number, labels: Labels = {}): void {
    const series = this.#isNumber(value) ? this.#of(labels) : undefined;
    if (!series) return;
    series.value += value;
    series.count++;
    const at = this.#buckets.findIndex((bound) => value <= bound);
    if (at >= 0) series.counts[at]!++;
  }

  shown(): Shown {
    const { name, help } = this.#options;
    const values = [...this.#series.values()].flatMap((series) => this.#valuesOf(series));
    return { name, help, type: this.#type, aggregator: 'sum', values };
  }

  /** What is none of the finite ones has no place in JSON, nor in a sum. */
  #isNumber(value: number): boolean {
    if (typeof value !== 'number')
      throw new TypeError(`${this.#options.name} takes a number, not ${typeof value}`);
    return Number.isFinite(value);
  }

  #of(labels: Labels): Kept | undefined {
    const entries = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
    const key = JSON.stringify(entries);
    let series = this.#series.get(key);
    if (!series) for (const [label] of entries) this.#refuseLabel(label);
    if (!series && this.#room()) {
      series = {
        labels: Object.fromEntries(entries),
        value: 0,
        counts: this.#buckets.map(() => 0),
        count: 0,
      };
      this.#series.set(key, series);
    }
    return series;
  }

  /** One that is none would cost the whole of /metrics its readers. */
  #refuseLabel(label: string): void {
    if (!LABEL.test(label) || (label === 'le' && this.#type === 'histogram'))
      throw new TypeError(
        `${this.#options.name}: a label is of letters, digits and underscores, not "${label}"${label === 'le' ? ', which is the own one of histograms' : ''}`,
      );
  }

  #valuesOf({ labels, value, counts, count }: Kept): Value[] {
    if (this.#type !== 'histogram') return [{ value, labels }];
    const { name } = this.#options;
    let below = 0;
    const buckets = this.#buckets.map((bound, at) => {
      below += counts[at]!;
      return { value: below, labels: { ...labels, le: bound }, metricName: `${name}_bucket` };
    });
    return [
      ...buckets,
      { value: count, labels: { ...labels, le: '+Inf' }, metricName: `${name}_bucket` },
      { value, labels, metricName: `${name}_sum` },
      { value: count, labels, metricName: `${name}_count` },
    ];
  }
}

export class AppMetrics {
  readonly #metrics = new Map<string, Metric>();
  readonly #foreign = new Set<ForeignRegistry>();
  #series = 0;

  /** @example metrics.counter({ name: 'orders_total', help: 'Orders taken' }).inc(1, { shop: 'north' }) */
  counter(options: MetricOptions): Counter {
    return this.#add(options, 'counter', []);
  }

  gauge(options: MetricOptions): Gauge {
    return this.#add(options, 'gauge', []);
  }

  /** `buckets`: upper bounds, rising; default those of latencies in seconds, 5 ms to 10 s. */
  histogram({ buckets = LATENCIES, ...options }: MetricOptions & { buckets?: readonly number[] }): Histogram {
    return this.#add(
      options,
      'histogram',
      [...buckets].sort((a, b) => a - b),
    );
  }

  /** Takes in a registry of prom-client that the app has already. */
  include(registry: ForeignRegistry): void {
    if (typeof registry?.getMetricsAsJSON !== 'function')
      throw new TypeError(
        'metrics.include takes a registry with getMetricsAsJSON(), such as that of prom-client',
      );
    this.#foreign.add(registry);
    this.#announce();
  }

  /** Undefined where there is nothing. */
  async json(): Promise<string | undefined> {
    const own = Array.from(this.#metrics.values(), (metric) => metric.shown());
    const foreign = await Promise.all(Array.from(this.#foreign, (registry) => registry.getMetricsAsJSON()));
    const all = [...own, ...foreign.flat()];
    return all.length > 0 ? JSON.stringify(all) : undefined;
  }

  #add(options: MetricOptions, type: Shown['type'], buckets: readonly number[]): Metric {
    if (!NAME.test(options.name) || options.name.startsWith('kirin_'))
      throw new TypeError(
        `a metric's name is of letters, digits and underscores and does not begin with kirin_, not "${options.name}"`,
      );
    if (this.#metrics.has(options.name)) throw new TypeError(`there is a metric ${options.name} already`);
    const metric = new Metric(options, type, buckets, () => ++this.#series <= SERIES_MAX);
    this.#metrics.set(options.name, metric);
    this.#announce();
    return metric;
  }

  #announce(): void {
    appBridge.metrics ??= () => this.json();
  }
}

/** Counters, gauges and histograms of the app, told with Kirin's own where `--metrics` is on. At most 1,000 series a worker. */
export const metrics = new AppMetrics();
