/** Everything that is counted as Prometheus reads it. Runs in the arbiter; loaded by the first who asks, and with it prom-client. */
import { AggregatorRegistry, Registry } from 'prom-client';
import type { DirtyStatus } from '../../machines/events/dirty.ts';
import {
  CALL_BOUNDS,
  CALL_OUTCOMES,
  type CallDurations,
  type CallSums,
  DURATION_BOUNDS,
} from '../../machines/events/metrics.ts';
import type { Pulse } from '../heartbeat.ts';
import type { Backlog } from './backlog.ts';
import { CALL_COUNTS, noCalls } from './call-tally.ts';
import type { MetricJson, Tally } from './tally.ts';

export interface WorkerFigures {
  age: number;
  slot: number;
  generation: number;
  state: string;
  pulse: Pulse | undefined;
}

export interface Figures {
  version: string;
  generation: number;
  target: number;
  ready: boolean;
  spawned: number;
  uptimeSeconds: number;
  rssBytes: number;
  workers: WorkerFigures[];
  dirty: DirtyStatus | undefined;
  /** Undefined: nobody wants to know. */
  backlogs: Backlog[] | undefined;
  calls: readonly CallSums[];
}

export const CONTENT_TYPE = Registry.PROMETHEUS_CONTENT_TYPE;

type Labels = Record<string, string | number>;
interface Value {
  value: number;
  labels: Labels;
  metricName?: string;
}

class Sheet {
  readonly metrics: object[] = [];

  add(name: string, type: 'counter' | 'gauge' | 'histogram', help: string, values: (Value | number)[]): void {
    this.metrics.push({
      name: `kirin_${name}`,
      help,
      type,
      aggregator: 'sum',
      values: values.map((value) => (typeof value === 'number' ? { value, labels: {} } : value)),
    });
  }
}

/** Counters only grow, whatever becomes of the workers. */
export async function exposition(figures: Figures, tally: Tally): Promise<string> {
  const sheet = new Sheet();
  addRequests(sheet, tally);
  addWorkers(sheet, figures, tally);
  addServer(sheet, figures, tally);
  if (figures.dirty) addDirty(sheet, figures.dirty);
  addCalls(sheet, withUncalled(figures));
  const own = await aggregated([sheet.metrics as MetricJson[]]).metrics();
  const apps = await tally.apps(mergeApps);
  if (apps.every((list) => list.length === 0)) return own;
  return `${own}${await textOfApps(apps)}`;
}

const aggregated = (lists: MetricJson[][]): Registry =>
  AggregatorRegistry.aggregate(lists as unknown as object[]);

/** Apps may say what does not fit together; then theirs are left out, and ours are told. */
async function textOfApps(apps: MetricJson[][]): Promise<string> {
  try {
    return await aggregated(apps).metrics();
  } catch (error) {
    return `# the apps' own metrics cannot be added up: ${String(error).replaceAll('\n', ' ')}\n`;
  }
}

export async function mergeApps(lists: MetricJson[][]): Promise<MetricJson[]> {
  try {
    return (await aggregated(lists).getMetricsAsJSON()) as unknown as MetricJson[];
  } catch {
    return lists.at(-1) ?? [];
  }
}

function addRequests(sheet: Sheet, tally: Tally): void {
  const { statuses, durations, totalMs, aborted } = tally.sums();
  sheet.add(
    'http_requests_total',
    'counter',
    'Requests answered, by status code',
    [...statuses].sort(([a], [b]) => a - b).map(([status, value]) => ({ value, labels: { status } })),
  );
  sheet.add(
    'http_requests_aborted_total',
    'counter',
    'Requests whose client left before the answer was complete',
    [aborted],
  );
  sheet.add(
    'http_request_duration_seconds',
    'histogram',
    'From the head of a request to the end of its answer',
    histogram('http_request_duration_seconds', DURATION_BOUNDS, { durations, totalMs }),
  );
}

/** One series of a histogram. */
function histogram(
  name: string,
  bounds: readonly number[],
  { durations, totalMs }: CallDurations,
  labels: Labels = {},
): Value[] {
  const metricName = `kirin_${name}`;
  let below = 0;
  const buckets = durations.map((count, at) => {
    below += count;
    return {
      value: below,
      labels: { ...labels, le: bounds[at] ?? '+Inf' },
      metricName: `${metricName}_bucket`,
    };
  });
  return [
    ...buckets,
    { value: totalMs / 1000, labels, metricName: `${metricName}_sum` },
    { value: below, labels, metricName: `${metricName}_count` },
  ];
}

function addWorkers(sheet: Sheet, { workers }: Figures, tally: Tally): void {
  const each = (value: (figures: NonNullable<Pulse['figures']>, worker: WorkerFigures) => number): Value[] =>
    workers.flatMap((worker) => {
      const { figures } = worker.pulse ?? { figures: null };
      const { slot, age, generation } = worker;
      return figures ? [{ value: value(figures, worker), labels: { slot, age, generation } }] : [];
    });
  sheet.add(
    'worker_requests',
    'gauge',
    'Requests answered by a worker since it was ready',
    each((_, { age }) => tally.requestsOf(age)),
  );
  sheet.add(
    'worker_in_flight',
    'gauge',
    'Requests being answered',
    each(({ inFlight }) => inFlight),
  );
  sheet.add(
    'worker_connections',
    'gauge',
    'Open connections',
    each(({ connections }) => connections),
  );
  sheet.add(
    'worker_full',
    'gauge',
    'Whether a worker accepts nothing for want of room',
    each(({ full }) => Number(full ?? false)),
  );
  sheet.add(
    'worker_resting',
    'gauge',
    'Whether a worker accepts nothing because enough others do',
    each(({ resting }) => Number(resting ?? false)),
  );
  sheet.add(
    'worker_event_loop_delay_seconds',
    'gauge',
    'The 99th percentile since the last heartbeat',
    each(({ loopDelayMs }) => loopDelayMs / 1000),
  );
  sheet.add(
    'worker_event_loop_utilization',
    'gauge',
    'Share of time that the event loop was busy',
    each(({ loopUtilization }) => loopUtilization),
  );
  sheet.add(
    'worker_resident_memory_bytes',
    'gauge',
    'Resident memory',
    each(({ rssBytes }) => rssBytes),
  );
}

const labelled = (counts: Iterable<[string, number]>, label: string): Value[] =>
  Array.from(counts, ([name, value]) => ({ value, labels: { [label]: name } }));

function addServer(sheet: Sheet, figures: Figures, tally: Tally): void {
  const states = new Map<string, number>();
  for (const { state } of figures.workers) states.set(state, (states.get(state) ?? 0) + 1);
  sheet.add('info', 'gauge', 'Versions', [
    { value: 1, labels: { version: figures.version, node: process.version } },
  ]);
  sheet.add('ready', 'gauge', 'Whether it is ready for traffic, as /readyz says', [Number(figures.ready)]);
  sheet.add('uptime_seconds', 'gauge', 'Since the arbiter was started', [figures.uptimeSeconds]);
  sheet.add('arbiter_resident_memory_bytes', 'gauge', 'Resident memory of the arbiter', [figures.rssBytes]);
  sheet.add('generation', 'gauge', 'The generation in force', [figures.generation]);
  sheet.add('workers', 'gauge', 'Worker processes, by state', labelled(states, 'state'));
  sheet.add('workers_target', 'gauge', 'Workers there should be', [figures.target]);
  sheet.add('workers_spawned_total', 'counter', 'Worker processes started', [figures.spawned]);
  sheet.add(
    'worker_exits_total',
    'counter',
    'Worker processes that ended, by reason',
    labelled(tally.exits, 'reason'),
  );
  sheet.add('reloads_total', 'counter', 'Reloads that ended, by result', labelled(tally.reloads, 'result'));
  if (figures.backlogs)
    sheet.add(
      'listen_backlog',
      'gauge',
      'Connections that wait to be accepted',
      figures.backlogs.map(({ address, waiting }) => ({ value: waiting, labels: { address } })),
    );
  const { lastReload } = tally;
  if (lastReload) {
    sheet.add('last_reload_successful', 'gauge', 'Whether the last reload was done', [Number(lastReload.ok)]);
    sheet.add('last_reload_timestamp_seconds', 'gauge', 'When the last reload ended', [lastReload.atSeconds]);
  }
}

function addDirty(sheet: Sheet, { apps, workers }: DirtyStatus): void {
  const each = (value: (app: DirtyStatus['apps'][number]) => number): Value[] =>
    apps.map((app) => ({ value: value(app), labels: { app: app.importPath } }));
  sheet.add(
    'dirty_queued',
    'gauge',
    'Dirty calls that wait',
    each(({ queued }) => queued),
  );
  sheet.add(
    'dirty_running',
    'gauge',
    'Dirty calls that run',
    each(({ running }) => running),
  );
  sheet.add('dirty_workers', 'gauge', 'Dirty workers', [workers.length]);
}

/** An app that was never called is told of as well. */
function withUncalled({ calls, dirty }: Figures): CallSums[] {
  const called = new Set(calls.map(({ app }) => app));
  const others = (dirty?.apps ?? []).filter(({ importPath }) => !called.has(importPath));
  return [...calls, ...others.map(({ importPath }) => noCalls(importPath))];
}

/** These grow on whatever becomes of the dirty arbiter, and while there is none. */
function addCalls(sheet: Sheet, calls: readonly CallSums[]): void {
  if (calls.length === 0) return;
  for (const name of CALL_COUNTS)
    sheet.add(
      `dirty_${name}_total`,
      'counter',
      `Dirty calls: ${name}`,
      calls.map((sums) => ({ value: sums[name], labels: { app: sums.app } })),
    );
  const each = (name: string, help: string, of: (sums: CallSums) => [Labels, CallDurations][]): void =>
    sheet.add(
      name,
      'histogram',
      help,
      calls.flatMap((sums) =>
        of(sums).flatMap(([labels, durations]) =>
          histogram(name, CALL_BOUNDS, durations, { app: sums.app, ...labels }),
        ),
      ),
    );
  each(
    'dirty_call_duration_seconds',
    'From the arrival of a dirty call to its end, by how it ended',
    ({ ends }) => CALL_OUTCOMES.map((outcome, at) => [{ outcome }, ends[at]!]),
  );
  each('dirty_call_wait_seconds', 'From the arrival of a dirty call until a dirty worker had it', (sums) => [
    [{}, sums.waits],
  ]);
}
