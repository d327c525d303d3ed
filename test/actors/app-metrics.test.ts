/** An app's own metrics, without a server. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AppMetrics } from '../../src/actors/metrics/app-metrics.ts';
import { Tally } from '../../src/actors/metrics/tally.ts';

const shown = async (metrics: AppMetrics) =>
  JSON.parse((await metrics.json()) ?? '[]') as { values: unknown[] }[];

test('names and values that are wrong are refused, with what would be right', () => {
  const metrics = new AppMetrics();
  assert.throws(() => metrics.counter({ name: 'a-b', help: '' }), /letters, digits and underscores/);
  assert.throws(() => metrics.counter({ name: 'kirin_x', help: '' }), /does not begin with kirin_/);
  const counter = metrics.counter({ name: 'a', help: '' });
  assert.throws(() => metrics.gauge({ name: 'a', help: '' }), /there is a metric a already/);
  assert.throws(() => counter.inc(-1), /never lowered/);
  assert.throws(() => counter.inc(Number.NaN), /never lowered/);
  assert.throws(() => counter.inc(Number.POSITIVE_INFINITY), RangeError);
  assert.throws(
    () => counter.inc(1, { 'a-b': 1 }),
    /a: a label is of letters, digits and underscores, not "a-b"/,
  );
  const histogram = metrics.histogram({ name: 'h', help: '' });
  assert.throws(() => histogram.observe(1, { le: 1 }), /the own one of histograms/);
  assert.throws(() => histogram.observe('1' as never), /h takes a number, not string/);
  assert.throws(() => metrics.include({} as never), /registry with getMetricsAsJSON/);
});

test('labels in any order are one series, and series have a bound', async () => {
  const metrics = new AppMetrics();
  const counter = metrics.counter({ name: 'a', help: '' });
  counter.inc(1, { x: 1, y: 2 });
  counter.inc(1, { y: 2, x: 1 });
  assert.deepEqual((await shown(metrics))[0]!.values, [{ value: 2, labels: { x: 1, y: 2 } }]);
  for (let id = 0; id < 2000; id++) counter.inc(1, { id });
  assert.equal((await shown(metrics))[0]!.values.length, 1000);
  counter.inc(5, { x: 1, y: 2 });
  assert.deepEqual((await shown(metrics))[0]!.values[0], { value: 7, labels: { x: 1, y: 2 } });
});

test('a histogram counts below each bound', async () => {
  const metrics = new AppMetrics();
  const histogram = metrics.histogram({ name: 'h', help: '', buckets: [10, 1] });
  for (const value of [0.5, 1, 5, 100]) histogram.observe(value);
  const values = (await shown(metrics))[0]!.values.map((one) => (one as { value: number }).value);
  assert.deepEqual(values, [2, 3, 4, 106.5, 4]);
});

test('what is not finite is passed over: it has no place in a sum', async () => {
  const metrics = new AppMetrics();
  const gauge = metrics.gauge({ name: 'g', help: '' });
  gauge.set(1);
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) gauge.set(value);
  assert.deepEqual((await shown(metrics))[0]!.values, [{ value: 1, labels: {} }]);
});

test('of a registry of others what no reader of /metrics would take is left out, and the rest is told', async () => {
  const tally = new Tally();
  const values = [
    { value: 1, labels: { a: 'x' } },
    { value: Number.NaN, labels: { a: 'y' } },
    { value: 2, labels: { 'a b': 'x' } },
    { value: 3, labels: {}, metricName: 'one two' },
    null,
  ];
  const said = [
    { name: 'good', help: '', type: 'gauge', values },
    { name: 'not good', help: '', type: 'gauge', values },
  ];
  const sums = { statuses: [], durations: [], totalMs: 0, aborted: 0, app: JSON.stringify(said) };
  tally.hooks.reported!(1, { type: 'worker.metrics', ...sums } as never);
  const [list] = await tally.apps(async () => []);
  assert.deepEqual(list, [{ ...said[0], values: [values[0]] }]);
});
