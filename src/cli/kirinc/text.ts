/** How single values look in the shell's text. Pure. */

/** Control characters, and those that reorder or break a line in some terminals. */
const CONTROL = /[\p{Cc}\p{Cf}\u2028\u2029]/gu;

/** Control characters are shown, not obeyed: no reply can forge a line or paint the terminal. */
export const visible = (text: string): string => text.replace(CONTROL, shown);

const shown = (character: string): string => {
  if (character === '\n') return '\\n';
  if (character === '\t') return '\\t';
  return escaped(character);
};

const escaped = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** Any value of a reply in one cell; what is missing is `-`. */
export function cell(value: unknown): string {
  if (value === null || value === undefined || value === '') return '-';
  return visible(typeof value === 'object' ? JSON.stringify(value) : String(value));
}

/** JSON says control characters of ASCII itself; the others are said here. */
export const json = (value: unknown, indent?: number): string =>
  (JSON.stringify(value, null, indent) ?? 'null').replace(/[\x7f-\x9f\u2028-\u202e\u2066-\u2069]/g, escaped);

/** A rounded number of seconds as Python prints it: `0.2`, `2.0`. */
export const decimal = (value: number): string => (Number.isInteger(value) ? `${value}.0` : String(value));

/** `2h 15m 30s`, `3m 5s`, `45s`. */
export function duration(value: unknown): string {
  if (typeof value !== 'number' || !Number.isFinite(value)) return '-';
  const seconds = Math.max(0, Math.floor(value));
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60)];
  if (hours > 0) return `${hours}h ${minutes}m ${seconds % 60}s`;
  return minutes > 0 ? `${minutes}m ${seconds % 60}s` : `${seconds}s`;
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** `512 B`, `63.4 MiB`. */
export function bytes(value: unknown): string {
  if (typeof value !== 'number' || !Number.isFinite(value)) return '-';
  let amount = value;
  let unit = 0;
  for (; Math.abs(amount) >= 1024 && unit < UNITS.length - 1; unit++) amount /= 1024;
  return `${unit === 0 ? amount : amount.toFixed(1)} ${UNITS[unit]}`;
}

/** A number with so many decimals. */
export const fixed = (value: unknown, decimals: number, unit = ''): string =>
  typeof value === 'number' && Number.isFinite(value) ? value.toFixed(decimals) + unit : '-';

/** Fixed columns as Python's `<` pads them: a longer cell pushes the next one. */
export const padded = (cells: readonly string[], widths: readonly number[]): string =>
  cells.map((text, at) => (at < widths.length ? text.padEnd(widths[at]!) : text)).join(' ');

export interface Column {
  title: string;
  /** Numbers stand below each other. */
  right?: boolean;
}

/** A table whose columns are as wide as they must be. */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
  const widths = columns.map(({ title }, at) =>
    rows.reduce((width, row) => Math.max(width, row[at]!.length), title.length),
  );
  const line = (cells: readonly string[]) =>
    cells
      .map((text, at) => (columns[at]!.right ? text.padStart(widths[at]!) : text.padEnd(widths[at]!)))
      .join('  ')
      .trimEnd();
  const rule = '-'.repeat(widths.reduce((sum, width) => sum + width + 2, -2));
  return [line(columns.map(({ title }) => title)), rule, ...rows.map(line)];
}

/** `Name:   value` lines, the values below each other. */
export function pairs(entries: readonly (readonly [name: string, value: string])[], width = 0): string[] {
  const wide = entries.reduce((most, [name]) => Math.max(most, name.length + 2), width);
  return entries.map(([name, value]) => `${`${name}:`.padEnd(wide)} ${value}`.trimEnd());
}
