/** What apps of workers that are gone had counted: added up, bounded, and nothing lost between those who ask. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mergeApps } from '../../src/actors/metrics/exposition.ts';
import { bounded, GONE_VALUES_MAX, GoneApps } from '../../src/actors/metrics/gone-apps.ts';
import type { MetricJson } from '../../src/actors/metrics/tally.ts';

interface Value {
  value: number;
  labels: Record<string, string | number>;
  metricName?: string;
}

const counter = (name: string, values: Value[]): MetricJson =>
  ({ name, help: name, type: 'counter', aggregator: 'sum', values }) as MetricJson;
/** One worker's, whose labels nobody else has but that of 'all'. */
const ofWorker = (worker: number, count: number): MetricJson[] => [
  counter('all_total', [{ value: 1, labels: {} }]),
  counter(
    'users_total',
    Array.from({ length: count }, (_, index) => ({ value: 1, labels: { user: `${worker}-${index}` } })),
  ),
];
const valuesOf = (list: MetricJson[] | undefined, name: string): Value[] =>
  (list?.find((metric) => metric.name === name)?.values ?? []) as Value[];

test('labels that are ever new are kept up to a bound, those that are known go on; it is told once, by name', async () => {
  const gone = new GoneApps();
  const told: string[] = [];
  gone.warn = (text) => told.push(text);
  const each = GONE_VALUES_MAX / 5;
  for (let worker = 1; worker <= 20; worker++) {
    gone.put(ofWorker(worker, each));
    await gone.merged(mergeApps);
  }
  const [list] = await gone.merged(mergeApps);
  assert.equal(valuesOf(list, 'all_total')[0]?.value, 20);
  const users = valuesOf(list, 'users_total');
  assert.equal(users.length, GONE_VALUES_MAX - 1);
  assert.equal(users[0]?.labels['user'], '1-0');
  assert.equal(told.length, 1);
  assert.match(told[0]!, /^metrics: .* more than 20000 numbers; .* the first of them of users_total: /);
  gone.put(ofWorker(1, 1));
  const [later] = await gone.merged(mergeApps);
  assert.equal(valuesOf(later, 'users_total')[0]?.value, 2);
});

test('one metric with labels that are ever new takes nothing from the others, wherever it stands', () => {
  const many = (name: string, count: number) =>
    counter(
      name,
      Array.from({ length: count }, (_, index) => ({ value: 1, labels: { index } })),
    );
  const { kept, dropped } = bounded(
    [many('logins_total', 90), many('orders_total', 1), many('paths_total', 30)],
    60,
  );
  assert.deepEqual(
    kept.map(({ name, values }) => [name, values.length]),
    [
      ['logins_total', 30],
      ['orders_total', 1],
      ['paths_total', 29],
    ],
  );
  assert.equal(dropped, 'logins_total');
});

test('a histogram is kept as a whole or not at all', () => {
  const series = (path: string): Value[] => [
    { value: 1, labels: { path, le: 1 }, metricName: 'h_bucket' },
    { value: 2, labels: { path, le: '+Inf' }, metricName: 'h_bucket' },
    { value: 3, labels: { path }, metricName: 'h_sum' },
    { value: 2, labels: { path }, metricName: 'h_count' },
  ];
  const histogram = {
    name: 'h',
    type: 'histogram',
    values: [...series('/a'), ...series('/b'), ...series('/c')],
  };
  const { kept, dropped } = bounded([histogram], 5);
  assert.deepEqual(kept, [{ ...histogram, values: [...series('/a'), ...series('/b')] }]);
  assert.equal(dropped, 'h');
  assert.equal(bounded([histogram], 12).dropped, undefined);
});

test('of two who ask at the same time neither loses what comes meanwhile', async () => {
  const gone = new GoneApps();
  const merge = async (lists: MetricJson[][]) => {
    await new Promise((resolve) => setImmediate(resolve));
    return mergeApps(lists);
  };
  gone.put(ofWorker(1, 1));
  gone.put(ofWorker(2, 1));
  const both = [gone.merged(merge), gone.merged(merge)];
  gone.put(ofWorker(3, 1));
  await Promise.all(both);
  const [list] = await gone.merged(merge);
  assert.equal(valuesOf(list, 'all_total')[0]?.value, 3);
});
