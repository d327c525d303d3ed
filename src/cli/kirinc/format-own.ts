/** The text of the replies that only Kirin has. Pure. */
import { type Data, dataList, dataOf, isData, numberOf, stateOf, textList } from './data.ts';
import { settingText, sortedKeys } from './format-stock.ts';
import { bytes, type Column, cell, decimal, duration, fixed, pairs, table, visible } from './text.ts';

const numbers = (...titles: string[]): Column[] => titles.map((title) => ({ title, right: true }));

const WIDE: Column[] = [
  ...numbers('PID', 'AGE', 'SLOT', 'GEN'),
  { title: 'STATE' },
  ...numbers('REQUESTS', 'REQ/S', 'CONNS', 'IN_FLIGHT', 'LOOP_P99', 'UTIL', 'RSS', 'UPTIME', 'LAST_BEAT'),
];

/** As in `show workers wide`: what each worker is doing. */
export function wideWorkersText(data: Data): string[] {
  const workers = dataList(data['workers']);
  if (workers.length === 0) return ['No workers running'];
  const total = numberOf(data['count']) ?? workers.length;
  return [...table(WIDE, workers.map(wideRow)), '', `Total: ${total} workers`];
}

const wideRow = (worker: Data): string[] => [
  cell(worker['pid']),
  cell(worker['age']),
  cell(worker['slot']),
  cell(worker['generation']),
  cell(stateOf(worker)),
  cell(worker['requests']),
  fixed(worker['requests_per_second'], 1),
  cell(worker['connections']),
  cell(worker['in_flight']),
  fixed(worker['loop_delay_p99_ms'], 1, 'ms'),
  percent(worker['utilization']),
  bytes(worker['rss_bytes']),
  duration(worker['uptime']),
  heartbeat(worker['last_heartbeat']),
];

/** A share of 1. */
export const percent = (value: unknown): string => {
  const share = numberOf(value);
  return share === undefined ? '-' : `${Math.round(share * 100)}%`;
};

const heartbeat = (value: unknown): string => {
  const seconds = numberOf(value);
  return seconds === undefined ? '-' : `${decimal(seconds)}s`;
};

const WIDE_DIRTY: Column[] = [
  ...numbers('PID', 'AGE', 'SLOT', 'GEN'),
  { title: 'STATE' },
  ...numbers('CALLS', 'IN_FLIGHT', 'LOOP_P99', 'RSS', 'UPTIME', 'LAST_BEAT'),
  { title: 'TOKENS' },
  { title: 'APPS' },
];

export function wideDirtyText(data: Data): string[] {
  if (data['enabled'] !== true) return ['Dirty arbiter not running'];
  const workers = dataList(data['workers']);
  const apps = dataList(data['apps']);
  const appRows = apps.map(({ import_path, current_workers, worker_count, worker_pids, ...more }) => [
    cell(import_path),
    cell(current_workers),
    cell(worker_count ?? 'none'),
    ...['queued', 'running', 'calls', 'errors', 'timeouts', 'overloaded'].map((name) => cell(more[name])),
    cell(textList(worker_pids).join(' ')),
  ]);
  return [
    `Dirty arbiter PID: ${cell(data['pid'])}`,
    ...(workers.length > 0 ? ['', ...table(WIDE_DIRTY, workers.map(wideDirtyRow))] : []),
    ...(apps.length > 0 ? ['', ...table(WIDE_APPS, appRows)] : []),
    ...calls(workers),
  ];
}

const WIDE_APPS: Column[] = [
  { title: 'APP' },
  ...numbers('WORKERS', 'LIMIT', 'QUEUED', 'RUNNING', 'CALLS', 'ERRORS', 'TIMEOUTS', 'OVERLOADED'),
  { title: 'PIDS' },
];

/** What the workers run, where there is anything. */
function calls(workers: readonly Data[]): string[] {
  const running = workers.flatMap((worker) => dataList(worker['running']));
  return running.length > 0 ? ['', ...table(CALLS, running.map(callRow))] : [];
}

const CALLS: Column[] = [
  ...numbers('CALL'),
  { title: 'STATE' },
  ...numbers('AGE', 'WORKER', 'CALLER'),
  { title: 'APP' },
];

const callRow = (call: Data): string[] => [
  cell(call['id']),
  cell(call['state']),
  fixed((numberOf(call['age_ms']) ?? 0) / 1000, 1, 's'),
  cell(call['worker_pid'] ?? '-'),
  cell(call['caller_pid']),
  cell(call['app']),
];

export function callsText(data: Data): string[] {
  const list = dataList(data['calls']);
  if (list.length === 0) return ['No calls'];
  return [...table(CALLS, list.map(callRow)), '', `Total: ${numberOf(data['count']) ?? list.length} calls`];
}

const wideDirtyRow = (worker: Data): string[] => [
  cell(worker['pid']),
  cell(worker['age']),
  cell(worker['slot']),
  cell(worker['generation']),
  cell(worker['state']),
  cell(worker['calls'] ?? worker['requests']),
  cell(worker['in_flight']),
  fixed(worker['loop_delay_p99_ms'], 1, 'ms'),
  bytes(worker['rss_bytes']),
  duration(worker['uptime']),
  heartbeat(worker['last_heartbeat']),
  tokens(dataOf(worker['resources'])),
  cell(textList(worker['apps']).join(', ')),
];

/** `gpu=0,1` */
const tokens = (held: Data): string =>
  Object.entries(held)
    .map(([name, list]) => `${visible(name)}=${Array.isArray(list) ? list.map(cell).join(',') : '-'}`)
    .join(' ') || '-';

/** `name: value  (origin)`, the origins below each other as far as values are not too long. */
export function originText(data: Data): string[] {
  const lines = sortedKeys(data).map((key) => {
    const { value, origin } = dataOf(data[key]);
    return [`${visible(key)}: ${settingText(value)}`, cell(origin)] as const;
  });
  const width = lines.reduce((most, [line]) => Math.max(most, Math.min(line.length, ORIGIN_COLUMN_MAX)), 0);
  return lines.map(([line, origin]) => `${line.padEnd(width)}  (${origin})`);
}
const ORIGIN_COLUMN_MAX = 60;

export function generationsText(data: Data): string[] {
  const columns = [
    ...numbers('GENERATION'),
    { title: 'STATUS' },
    ...numbers('WORKERS', 'READY', 'LEAVING'),
    { title: 'ADDRESSES' },
  ];
  const rows = dataList(data['generations']).map((one) => [
    cell(one['generation']),
    cell(one['status']),
    cell(one['workers']),
    cell(one['ready']),
    cell(one['leaving']),
    cell(textList(one['addresses']).join(', ')),
  ]);
  const more = pairs([
    ['Rollout', cell(data['rollout'])],
    ['Hiring', cell(data['hiring'])],
    ['Degraded', yesNo(data['degraded'])],
    ['Stalled', yesNo(data['stalled'])],
    ['Reason', cell(data['reason'])],
  ]);
  return [...table(columns, rows), '', ...more];
}

const yesNo = (value: unknown): string => (typeof value === 'boolean' ? (value ? 'yes' : 'no') : cell(value));

export function machinesText(data: Data): string[] {
  if (!Array.isArray(data['machines'])) return machineText(data);
  const machines = dataList(data['machines']);
  const columns = [{ title: 'ID' }, { title: 'MACHINE' }, { title: 'STATE' }, ...numbers('PID', 'AGE')];
  const rows = machines.map(({ id, machine, state, pid, age }) => [id, machine, state, pid, age].map(cell));
  return [...table(columns, rows), '', `Total: ${numberOf(data['count']) ?? machines.length} machines`];
}

function machineText(data: Data): string[] {
  const { id, machine, pid, age, path, state } = data;
  const known = [
    ['ID', cell(id)],
    ['Machine', cell(machine)],
    ...(pid === undefined ? [] : [['PID', cell(pid)] as const]),
    ...(age === undefined ? [] : [['Age', cell(age)] as const]),
  ] as [string, string][];
  return [...pairs(known), 'State:', ...stateTree(path ?? state, '  ', TREE_DEPTH_MAX)];
}
const TREE_DEPTH_MAX = 32;

/** A state as XState says it: text, or an object of states within. */
function stateTree(state: unknown, indent: string, depth: number): string[] {
  if (!isData(state) || depth === 0) return [indent + cell(state)];
  return Object.entries(state).flatMap(([name, inner]) => [
    indent + visible(name),
    ...(isData(inner) && Object.keys(inner).length === 0 ? [] : stateTree(inner, `${indent}  `, depth - 1)),
  ]);
}

export function eventsText(data: Data): string[] {
  const dropped = numberOf(data['dropped']) ?? 0;
  const lines = dataList(data['events']).map(eventLine);
  if (lines.length === 0) return ['No events'];
  return dropped > 0 ? [`(${dropped} older events are gone)`, ...lines] : lines;
}

/** `2026-11-22T15:49:38.123Z info  worker 3 is ready` */
export const eventLine = ({ time, level, text }: Data): string =>
  `${moment(time)} ${cell(level).padEnd(5)} ${cell(text)}`;

const moment = (time: unknown): string => {
  const at = numberOf(time);
  if (at === undefined || Math.abs(at) > 8.64e15) return cell(time);
  return new Date(at).toISOString();
};

export const versionText = ({ name, version, node, protocol }: Data): string[] =>
  pairs([
    ['Server', `${cell(name)} ${cell(version)}`],
    ['Node.js', cell(node)],
    ['Protocol', cell(protocol)],
  ]);
