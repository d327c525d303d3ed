/** The text of the replies that Gunicorn has too, byte for byte as its own shell prints them. Pure. */
import { type Data, dataList, dataOf, isData, numberOf, textList } from './data.ts';
import { cell, decimal, duration, padded, visible } from './text.ts';

const beat = (value: unknown): string => {
  const seconds = numberOf(value);
  return seconds === undefined ? '-' : `${decimal(seconds)}s ago`;
};
const yes = (value: unknown): string => (typeof value === 'boolean' ? (value ? 'yes' : 'no') : '-');
/** An app's short name: what is exported, without the module. */
const shortName = (app: string): string => visible(app.split(':').at(-1) || app);

const WORKER_WIDTHS = [10, 6, 8];
const WORKER_HEAD = padded(['PID', 'AGE', 'BOOTED', 'LAST_BEAT'], WORKER_WIDTHS);
const workerLine = ({ pid, age, booted, last_heartbeat }: Data): string =>
  padded([cell(pid), cell(age), yes(booted), beat(last_heartbeat)], WORKER_WIDTHS);

export function workersText(data: Data): string[] {
  const workers = dataList(data['workers']);
  if (workers.length === 0) return ['No workers running'];
  const total = numberOf(data['count']) ?? workers.length;
  return [WORKER_HEAD, '-'.repeat(40), ...workers.map(workerLine), '', `Total: ${total} workers`];
}

export function allText(data: Data): string[] {
  const web = dataList(data['web_workers']);
  const webCount = numberOf(data['web_worker_count']) ?? web.length;
  return [
    'ARBITER (master)',
    `  PID: ${cell(dataOf(data['arbiter'])['pid'])}`,
    ...otherArbiter(dataOf(data['arbiter'])),
    '',
    `WEB WORKERS (${webCount})`,
    ...indented(web.length === 0 ? ['(none)'] : [WORKER_HEAD, '-'.repeat(38), ...web.map(workerLine)]),
    '',
    'DIRTY ARBITER',
    ...(isData(data['dirty_arbiter']) ? dirtyPart(data, data['dirty_arbiter']) : ['  (not running)']),
  ];
}

/** During an upgrade; Gunicorn's shell knows nothing of it. */
const otherArbiter = (arbiter: Data): string[] => [
  ...('successor_pid' in arbiter ? [`  New arbiter: ${cell(arbiter['successor_pid'] ?? 'starting')}`] : []),
  ...('predecessor_pid' in arbiter ? [`  Old arbiter: ${cell(arbiter['predecessor_pid'])}`] : []),
];

function dirtyPart(data: Data, arbiter: Data): string[] {
  const workers = dataList(data['dirty_workers']);
  const count = numberOf(data['dirty_worker_count']) ?? workers.length;
  const rows = [padded(['PID', 'AGE', 'APPS'], [10, 6]), '-'.repeat(50)];
  for (const { pid, age, apps } of workers) {
    const [first = '(no apps)', ...more] = textList(apps).map(shortName);
    rows.push(padded([cell(pid), cell(age), first], [10, 6]));
    for (const app of more) rows.push(padded(['', '', app], [10, 6]));
  }
  return [
    `  PID: ${cell(arbiter['pid'])}`,
    '',
    `DIRTY WORKERS (${count})`,
    ...indented(workers.length === 0 ? ['(none)'] : rows),
  ];
}

export function dirtyText(data: Data): string[] {
  if (data['enabled'] !== true) return ['Dirty arbiter not running'];
  const lines = [`Dirty arbiter PID: ${cell(data['pid'])}`];
  const workers = dataList(data['workers']);
  if (workers.length > 0) {
    const widths = [10, 6, 30];
    lines.push('', 'DIRTY WORKERS:', padded(['PID', 'AGE', 'APPS', 'LAST_BEAT'], widths), '-'.repeat(60));
    for (const { pid, age, apps, last_heartbeat } of workers) {
      const names = cell(textList(apps).join(', '));
      lines.push(padded([cell(pid), cell(age), names, beat(last_heartbeat)], widths));
    }
  }
  const apps = dataList(data['apps']);
  if (apps.length > 0) {
    const widths = [30, 10];
    lines.push('', 'DIRTY APPS:', padded(['APP', 'WORKERS', 'LIMIT'], widths), '-'.repeat(50));
    for (const { import_path, current_workers, worker_count } of apps)
      lines.push(padded([cell(import_path), cell(current_workers), cell(worker_count ?? 'none')], widths));
  }
  return lines;
}

export function statsText(data: Data): string[] {
  const line = (name: string, value: string) => `${`${name}:`.padEnd(17)} ${value}`;
  const lines = [
    line('Uptime', duration(data['uptime'])),
    line('PID', cell(data['pid'])),
    line('Workers current', cell(data['workers_current'])),
    line('Workers target', cell(data['workers_target'])),
    line('Workers spawned', cell(data['workers_spawned'])),
    line('Workers killed', cell(data['workers_killed'])),
    line('Reloads', cell(data['reloads'])),
  ];
  // Only where there are any: else the lines are those that scripts know.
  if (numberOf(data['zombies'])) lines.push(line('Zombies', cell(data['zombies'])));
  const dirty = data['dirty_arbiter_pid'];
  return dirty === null || dirty === undefined ? lines : [...lines, line('Dirty arbiter', cell(dirty))];
}

export function listenersText(data: Data): string[] {
  const listeners = dataList(data['listeners']);
  if (listeners.length === 0) return ['No listeners bound'];
  const widths = [40, 8];
  return [
    padded(['ADDRESS', 'TYPE', 'FD'], widths),
    '-'.repeat(55),
    ...listeners.map(({ address, type, fd }) => padded([cell(address), cell(type), cell(fd)], widths)),
    '',
    `Total: ${numberOf(data['count']) ?? listeners.length} listeners`,
  ];
}

/** A setting's value: text as it is, everything else as JSON says it. */
export const settingText = (value: unknown): string =>
  typeof value === 'string' ? visible(value) : visible(JSON.stringify(value) ?? 'null');

export const configText = (data: Data): string[] =>
  sortedKeys(data).map((key) => `${visible(key)}: ${settingText(data[key])}`.trimEnd());

/** By code points, as Python sorts; for names of settings that is the alphabet. */
export const sortedKeys = (data: Data): string[] => Object.keys(data).sort();

export function helpText(data: Data): string[] {
  const commands = dataOf(data['commands']);
  return ['Available commands:', '', ...usageLines(sortedKeys(commands).map((key) => [key, commands[key]]))];
}

export function usageLines(entries: readonly (readonly [usage: string, text: unknown])[]): string[] {
  const width = entries.reduce((most, [usage]) => Math.max(most, visible(usage).length), 0) + 2;
  return entries.map(([usage, text]) => `  ${visible(usage).padEnd(width)} ${cell(text)}`);
}

const indented = (lines: readonly string[]): string[] => lines.map((line) => `  ${line}`);
