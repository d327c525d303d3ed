/** The screen of `top` as lines, for any size of a window: what matters least goes first. Pure. */
import { bytes, cell, duration, fixed, numberOf, percent, visible } from './core.ts';
import { cellOf, fit } from './layout.ts';
import { type Row, type Sample, type SortKey, sorted } from './top-data.ts';

export interface View {
  path: string;
  seconds: number;
  sample: Sample | undefined;
  /** Why there is no newer sample. */
  error: string;
  sort: SortKey;
  descending: boolean;
  /** The pid that orders are about. */
  selected: number | undefined;
  /** An order that waits for a `y`. */
  question: string;
  message: string;
  showsHelp: boolean;
}

export interface Size {
  columns: number;
  rows: number;
}

/** SGR codes; none without colour. */
export type Paint = (text: string, code: string) => string;

const BOLD = '1';
const DIM = '2';
const REVERSE = '7';
const RED = '31';
const GREEN = '32';
const YELLOW = '33';

interface Column {
  key: SortKey;
  title: string;
  width: number;
  /** The higher, the sooner it is left out. */
  rank: number;
  left?: true;
  text(row: Row): string;
}

export const COLUMNS: readonly Column[] = [
  { key: 'pid', title: 'PID', width: 8, rank: 0, text: ({ pid }) => cell(pid) },
  { key: 'kind', title: 'KIND', width: 5, rank: 6, left: true, text: ({ kind }) => kind },
  { key: 'age', title: 'AGE', width: 5, rank: 3, text: ({ age }) => cell(age) },
  { key: 'slot', title: 'SLOT', width: 4, rank: 11, text: ({ slot }) => cell(slot) },
  { key: 'generation', title: 'GEN', width: 4, rank: 9, text: ({ generation }) => cell(generation) },
  { key: 'state', title: 'STATE', width: 9, rank: 1, left: true, text: ({ state }) => state },
  {
    key: 'requestsPerSecond',
    title: 'REQ/S',
    width: 8,
    rank: 2,
    text: (row) => fixed(row.requestsPerSecond, 1),
  },
  { key: 'requests', title: 'REQUESTS', width: 10, rank: 10, text: ({ requests }) => cell(requests) },
  { key: 'connections', title: 'CONNS', width: 6, rank: 8, text: ({ connections }) => cell(connections) },
  { key: 'inFlight', title: 'INFL', width: 5, rank: 7, text: ({ inFlight }) => cell(inFlight) },
  {
    key: 'loopDelayMs',
    title: 'LOOP P99',
    width: 9,
    rank: 4,
    text: (row) => fixed(row.loopDelayMs, 1, 'ms'),
  },
  { key: 'utilization', title: 'UTIL', width: 5, rank: 6, text: ({ utilization }) => percent(utilization) },
  { key: 'rssBytes', title: 'RSS', width: 10, rank: 2, text: ({ rssBytes }) => bytes(rssBytes) },
  { key: 'uptimeSeconds', title: 'UPTIME', width: 11, rank: 5, text: (row) => duration(row.uptimeSeconds) },
  { key: 'beatSeconds', title: 'BEAT', width: 6, rank: 7, text: (row) => fixed(row.beatSeconds, 1, 's') },
  { key: 'apps', title: 'APPS', width: 24, rank: 8, left: true, text: ({ apps }) => visible(apps) },
];
/** Room for the mark of the selected row. */
const MARK = 2;

export const KEYS_LINE = 'q quit  ? help  ↑↓ select  s sort  o order  + add  - remove  k/K kill  r reload';

const HELP = [
  'up, down, PgUp, PgDn, Home, End   select a worker',
  's, S    sort by the next column, by the one before',
  'o       turn the order round',
  '+, -    add a worker, remove one',
  'k, K    kill the selected worker: let it finish, or cut it',
  'r       reload: a new generation of workers',
  'space   look now',
  '?       this help',
  'q       quit',
  'Orders are carried out after a y only.',
];

/** Exactly as many lines as there are rows, none wider than the window. */
export function render(view: View, size: Size, paint: Paint): string[] {
  const { columns, rows } = size;
  const footerRows = footerRowsOf(view, rows);
  const top = header(view, rows, columns, paint);
  const room = Math.max(0, rows - footerRows - top.length);
  const { lines, range } = view.showsHelp
    ? { lines: HELP.slice(0, room).map((line) => fit(line, columns)), range: '' }
    : table(view, { columns, rows: room }, paint);
  const blank = Array.from({ length: Math.max(0, room - lines.length) }, () => '');
  const bottom = footer(view, range, columns, paint).slice(0, footerRows);
  return [...top, ...lines, ...blank, ...bottom].slice(0, rows);
}

function header(
  { sample, path, seconds, error }: View,
  rows: number,
  columns: number,
  paint: Paint,
): string[] {
  const lines: string[] = [];
  const { stats = {}, rollout = '-', dirtyArbiterPid, problem = '', takenAt } = sample ?? {};
  const time = takenAt ? takenAt.toTimeString().slice(0, 8) : '';
  if (rows >= 4) {
    const who = `kirin  pid ${cell(stats['pid'])}  up ${duration(stats['uptime'])}  workers ${cell(stats['workers_current'])}/${cell(stats['workers_target'])}`;
    lines.push(paint(fit(visible(`${who}  ${path}  ${time} every ${seconds} s`), columns), BOLD));
  }
  if (rows >= 8) lines.push(fit(visible(load(stats, rollout, dirtyArbiterPid)), columns));
  const trouble = error ? `Error: ${error}` : problem;
  if (trouble && rows >= 5) lines.push(paint(fit(visible(trouble), columns), RED));
  if (rows >= 12) lines.push('');
  return lines;
}

function load(stats: Sample['stats'], rollout: string, dirtyArbiterPid: number | undefined): string {
  const parts = [
    `${fixed(stats['requests_per_second'], 1)} req/s`,
    `${cell(stats['in_flight'])} in flight`,
    `${cell(stats['connections'])} connections`,
    `arbiter ${bytes(stats['rss_bytes'])}`,
    `generation ${cell(stats['generation'])} (${rollout})`,
    `reloads ${cell(stats['reloads'])}`,
  ];
  if (dirtyArbiterPid !== undefined) parts.push(`dirty arbiter pid ${dirtyArbiterPid}`);
  return parts.join('  ');
}

function footerRowsOf({ question, message }: View, rows: number): number {
  if (rows < 2) return question || message ? 1 : 0;
  return rows >= 6 ? 2 : 1;
}

function footer({ question, message }: View, range: string, columns: number, paint: Paint): string[] {
  const said = question
    ? paint(fit(visible(`${question} (y: yes, any other key: no)`), columns), YELLOW)
    : fit(visible(message || range), columns);
  return [said, paint(fit(KEYS_LINE, columns), DIM)];
}

/** The columns that have room, in their order. */
function columnsFor(view: View, width: number): Column[] {
  const hasApps = view.sample?.rows.some(({ apps }) => apps !== '') === true;
  const wanted = COLUMNS.filter(({ key }) => key !== 'apps' || hasApps);
  // What it is sorted by is seen.
  const rankOf = (column: Column) => (column.key === view.sort ? 0.5 : column.rank);
  const fitting = new Set<Column>();
  let left = width - MARK;
  for (const column of [...wanted].sort((a, b) => rankOf(a) - rankOf(b))) {
    if (column.width > left) break;
    fitting.add(column);
    left -= column.width + 1;
  }
  return wanted.filter((column) => fitting.has(column));
}

function table(view: View, { columns: width, rows }: Size, paint: Paint): { lines: string[]; range: string } {
  if (rows < 1) return { lines: [], range: '' };
  const columns = columnsFor(view, width);
  const all = sorted(view.sample?.rows ?? [], view.sort, view.descending);
  const room = Math.max(1, rows - 1);
  const at = Math.max(
    0,
    all.findIndex(({ pid }) => pid === view.selected),
  );
  const first = Math.max(0, Math.min(at - Math.floor(room / 2), all.length - room));
  const shown = all.slice(first, first + room);
  const titles = columns.map((column) => {
    const arrow = column.key === view.sort ? (view.descending ? '↓' : '↑') : '';
    return cellOf(column.title + arrow, column.width, !column.left);
  });
  const head = paint(fit(' '.repeat(MARK) + titles.join(' '), width), BOLD);
  const nothing = [head, view.sample ? '  no workers' : '  looking ...'].slice(0, rows);
  if (all.length === 0) return { lines: nothing, range: '' };
  const lines = shown.map((row) => rowLine(row, columns, width, view.selected, paint));
  // Of a single row the selected worker is worth more than the titles.
  const range = shown.length < all.length ? `${first + 1}-${first + shown.length} of ${all.length}` : '';
  return { lines: rows === 1 ? lines : [head, ...lines], range };
}

function rowLine(
  row: Row,
  columns: readonly Column[],
  width: number,
  selected: number | undefined,
  paint: Paint,
): string {
  const isSelected = row.pid === selected;
  const cells = columns.map((column) => {
    const text = cellOf(visible(column.text(row)), column.width, !column.left);
    return column.key === 'state' && !isSelected ? paint(text, STATE_COLOURS[row.state] ?? YELLOW) : text;
  });
  const line = fit(isSelected ? '> ' : '  ', width) + cells.join(' ');
  return isSelected ? paint(line, REVERSE) : line;
}
const STATE_COLOURS: Record<string, string> = {
  ready: GREEN,
  booted: GREEN,
  killing: RED,
  aborting: RED,
  '-': '0',
};

/** The pid so many rows further, in the order that is shown. */
export function moved(view: View, by: number): number | undefined {
  const rows = sorted(view.sample?.rows ?? [], view.sort, view.descending);
  const at = rows.findIndex(({ pid }) => pid === view.selected);
  const next = Math.max(0, Math.min(rows.length - 1, Math.max(0, at) + by));
  return rows[next]?.pid;
}

/** Numbers of which the highest matter are shown from above. */
export const isDescending = (key: SortKey): boolean =>
  !['pid', 'kind', 'age', 'slot', 'generation', 'state', 'apps'].includes(key);

/** A worker that is named in a question. */
export function describe(view: View): string | undefined {
  const row = view.sample?.rows.find(({ pid }) => pid === view.selected);
  return (
    row && `${row.kind === 'dirty' ? 'dirty ' : ''}worker of age ${numberOf(row.age) ?? '-'} (pid ${row.pid})`
  );
}
