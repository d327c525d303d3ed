/** Numbers to text: medians, Markdown tables, what was measured on, and `bench/RESULTS.md`. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, type } from 'node:os';
import { fileURLToPath } from 'node:url';

const RESULTS = fileURLToPath(new URL('RESULTS.md', import.meta.url));
const ROOT = fileURLToPath(new URL('..', import.meta.url));
const HEAD = `# Results

Written by \`npm run bench -- serve | reload | kill | start | many | balance | control | dirty | inspector | observe\`. Only ratios within one run mean anything: servers are measured
in turns, round after round, on the same machine as the load generator.
`;

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** The median of what is known; undefined where nothing is. */
export function medianKnown(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined);
  return known.length === 0 ? undefined : median(known);
}

export const whole = (value: number | undefined): string =>
  value === undefined ? '–' : Math.round(value).toLocaleString('en-US');
export const fixed = (value: number | undefined, digits: number): string =>
  value === undefined ? '–' : value.toFixed(digits);

/** One goal, what was found, and whether that meets it. */
export function goalLine(
  what: string,
  found: number | undefined,
  relation: '≤' | '≥' | '<',
  wanted: number | undefined,
  digits: number,
): string {
  const bound = `- ${what} ${relation} ${wanted === undefined ? 'its' : fixed(wanted, digits)}`;
  if (found === undefined || wanted === undefined) return `${bound}: not measured`;
  const met = relation === '≤' ? found <= wanted : relation === '<' ? found < wanted : found >= wanted;
  return `${bound}: ${met ? 'met' : 'missed'}, ${fixed(found, digits)}`;
}

/** A Markdown table; the first column is text, the others are numbers. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => row[column]!.length)));
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!))).join(' | ')} |`;
  const rule = widths.map((width, column) =>
    column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`,
  );
  return [line(head), line(rule), ...rows.map(line)].join('\n');
}

export interface Circumstances {
  date: string;
  command: string;
  machine: string;
  /** Load average over the last minute when the run began: what else the machine did. */
  loadBefore: number;
  versions: string;
}

export function circumstances(command: string, ...tools: string[]): Circumstances {
  const model = cpus()[0]?.model.trim() ?? 'unknown processor';
  return {
    date: new Date().toISOString().slice(0, 10),
    command,
    machine: `${model}, ${availableParallelism()} cores, ${type()} ${release()}`,
    loadBefore: loadavg()[0]!,
    versions: [kirinVersion(), `Node ${process.versions.node}`, ...tools].join(', '),
  };
}

function kirinVersion(): string {
  const { version } = JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8')) as { version: string };
  try {
    const git = ['-C', ROOT, 'describe', '--always', '--dirty', '--exclude', '*'];
    return `Kirin ${version} (${execFileSync('git', git, { encoding: 'utf8', stdio: 'pipe' }).trim()})`;
  } catch {
    return `Kirin ${version}`;
  }
}

const circumstancesText = (of: Circumstances): string =>
  `${of.date}; ${of.machine}; load average before the run ${of.loadBefore.toFixed(2)}; ${of.versions}; \`${of.command}\``;

/** Puts `body` in the place of the section of that title. */
function writeSection(title: string, body: string): void {
  const text = existsSync(RESULTS) ? readFileSync(RESULTS, 'utf8') : HEAD;
  const [head, ...sections] = text.split(/^(?=## )/m);
  const section = `## ${title}\n\n${body.trim()}\n`;
  const others = sections.filter((other) => !other.startsWith(`## ${title}\n`));
  const all = [...others, section].map((one) => one.trim()).sort(byOrder);
  writeFileSync(RESULTS, `${[head!.trim(), ...all].join('\n\n')}\n`);
}

const SECTIONS = {
  serve: 'Serving',
  reload: 'Reloading',
  kill: 'Killing workers',
  balance: 'Balance',
  start: 'Starting, and memory',
  many: 'Many workers',
  control: 'Control',
  dirty: 'Dirty workers',
  inspector: 'Inspector',
  observe: 'Metrics and the access log',
} as const;

const order = (section: string) =>
  Object.values(SECTIONS).findIndex((title) => section.startsWith(`## ${title}\n`));
const byOrder = (a: string, b: string) => order(a) - order(b);

/** Prints what was measured, as text or as JSON; a `long` run (at least the default) is written to the results. */
export function publish(
  section: keyof typeof SECTIONS,
  where: Circumstances,
  body: string,
  figures: object,
  { json, long }: { json: boolean; long: boolean },
): void {
  const text = `${circumstancesText(where)}\n\n${body}`;
  console.log(json ? JSON.stringify({ ...where, ...figures }, null, 2) : text);
  if (long) writeSection(SECTIONS[section], text);
  else progress('not written to bench/RESULTS.md: the run was shorter than the default');
}

/** Progress goes to standard error, so that standard output holds the result alone. */
export function progress(text: string): void {
  process.stderr.write(`${text}\n`);
}
