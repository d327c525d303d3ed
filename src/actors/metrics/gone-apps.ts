/**
 * What the apps of workers that are gone had counted: sums that only grow, as one list. Bounded, since an app may have labels that are
 * ever new, and each of its workers others. Runs in the arbiter, where metrics are asked for.
 */
import type { MetricJson } from './tally.ts';

/** Numbers that are kept, of all metrics together; more than ten workers can tell together, with other labels each. */
export const GONE_VALUES_MAX = 20_000;

export type Merge = (lists: MetricJson[][]) => Promise<MetricJson[]>;

export class GoneApps {
  /** The first is what was merged before. */
  #lists: MetricJson[][] = [];
  #merging: Promise<void> | undefined;
  #isTold = false;
  /** Told once, when something is kept no more. */
  warn: (text: string) => void = () => {};

  put(list: MetricJson[]): void {
    if (list.length > 0) this.#lists.push(list);
  }

  /** How many lists wait to become one. */
  get count(): number {
    return this.#lists.length;
  }

  /** One list, or none; `merge` makes it. */
  async merged(merge: Merge): Promise<MetricJson[][]> {
    // Two who ask at the same time would each take the other's for what has come since.
    while (this.#lists.length > 1) {
      this.#merging ??= this.#mergeAll(merge).finally(() => {
        this.#merging = undefined;
      });
      await this.#merging;
    }
    return this.#lists;
  }

  async #mergeAll(merge: Merge): Promise<void> {
    const before = this.#lists;
    const { kept, dropped } = bounded(await merge(before), GONE_VALUES_MAX);
    // Others may have gone meanwhile.
    this.#lists = [kept, ...this.#lists.slice(before.length)];
    if (dropped === undefined || this.#isTold) return;
    this.#isTold = true;
    this.warn(
      `metrics: what workers that are gone have counted is more than ${GONE_VALUES_MAX} numbers; those of further labels are not kept, ` +
        `the first of them of ${dropped}: are its labels ever new?`,
    );
  }
}

/**
 * `max` values, nearly: what belongs together, as a histogram's do, stays so. Those with few have all of theirs, and those with many share
 * what is left, so that one with ever-new labels takes nothing from the others. `dropped`: the first metric that lost some.
 */
export function bounded(
  list: MetricJson[],
  max: number,
): { kept: MetricJson[]; dropped: string | undefined } {
  let room = max;
  let left = list.length;
  const rooms = new Map<MetricJson, number>();
  for (const metric of [...list].sort((one, other) => one.values.length - other.values.length)) {
    const own = Math.min(metric.values.length, Math.floor(room / left--));
    rooms.set(metric, own);
    room -= own;
  }
  let dropped: string | undefined;
  const kept = list.map((metric) => {
    const own = rooms.get(metric)!;
    if (metric.values.length <= own) return metric;
    const series = new Set(metric.values.slice(0, own).map(seriesOf));
    const values = metric.values.filter((value) => series.has(seriesOf(value)));
    if (values.length < metric.values.length) dropped ??= metric.name;
    return { ...metric, values };
  });
  return { kept: kept.filter(({ values }) => values.length > 0), dropped };
}

/** The labels that a metric was given; the bounds of a histogram are none. */
function seriesOf(value: unknown): string {
  const { le: _, quantile: _other, ...labels } = (value as { labels?: Record<string, unknown> }).labels ?? {};
  return JSON.stringify(labels);
}
