/** How a log line looks, to people and to machines. Runs in the arbiter; pure text. */

export const LEVELS = { fatal: 0, error: 1, warn: 2, info: 3, debug: 4 };
export type Level = keyof typeof LEVELS;

export interface LogLine {
  /** ISO 8601, UTC, milliseconds. */
  time: string;
  level: string;
  msg: string;
  fields: Readonly<Record<string, unknown>>;
}

const COLOURS: Record<string, string> = { debug: '2', info: '36', warn: '33', error: '31', fatal: '1;31' };
const LEVEL_WIDTH = 5;

/** `{time, level, msg, pid, …fields}`; a field never hides one of the first four. */
export function jsonLine({ time, level, msg, fields }: LogLine, pid: number): string {
  const line = { time, level, msg, pid };
  const more = Object.fromEntries(Object.entries(fields).filter(([name]) => !(name in line)));
  try {
    return JSON.stringify({ ...line, ...more }, plain);
  } catch {
    return JSON.stringify({ ...line, fields: 'unprintable' });
  }
}

/**
 * `2026-11-22T15:49:38.123Z info  kirin[123] text`; a stack follows on lines of its own, indented. Fields are for
 * machines, the text says what a person needs. Control characters are shown, not obeyed: an app's message cannot
 * forge a line or paint a terminal.
 */
export function textLine({ time, level, msg, fields }: LogLine, pid: number, colour: boolean): string {
  const name = paint(level.padEnd(LEVEL_WIDTH), COLOURS[level], colour);
  const head = `${paint(time, '2', colour)} ${name} ${paint(`kirin[${pid}]`, '2', colour)}`;
  return `${head} ${wordsOf({ msg, fields }).join('\n')}`;
}

/** What a line of text says behind its head, and the lines of a stack. */
export function wordsOf({ msg, fields: { stack } }: Pick<LogLine, 'msg' | 'fields'>): string[] {
  const below = typeof stack === 'string' ? stack.split('\n').map((line) => `  ${visible(line)}`) : [];
  return [visible(msg), ...below];
}

const paint = (text: string, code: string | undefined, colour: boolean) =>
  colour && code ? `\u001b[${code}m${text}\u001b[0m` : text;

const plain = (_key: string, value: unknown): unknown => {
  if (typeof value === 'bigint') return String(value);
  return value instanceof Error ? `${value.name}: ${value.message}` : value;
};

/** Control characters but the tab, and the two that some terminals take for line ends. */
const CONTROL = /(?!\t)[\p{Cc}\u2028\u2029]/gu;

const visible = (text: string): string =>
  text.replace(CONTROL, (character) =>
    character === '\n' ? '\\n' : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
