/**
 * Reads a command line that is as plain as most are: options that are known, each with its value behind it or behind `=`. Runs in the
 * arbiter. It says the same as yargs of every line that it understands, in a fiftieth of the time; the others are left to yargs, and
 * so is all that is wrong.
 */

export interface LineOption {
  /** Its name in the table, without dashes. */
  flag: string;
  /** All its names, as they are typed. */
  names: readonly string[];
  isSwitch: boolean;
}

export interface PlainLine {
  /** What is no option. */
  words: string[];
  /** What was given to each option, by its flag; to a switch `true` or `false`. */
  given: Map<string, string[]>;
}

export const byName = (options: readonly LineOption[]): ReadonlyMap<string, LineOption> =>
  new Map(options.flatMap((option) => option.names.map((name) => [name, option])));

/** Undefined for what is not plain. */
export function plainLine(
  argv: readonly string[],
  options: ReadonlyMap<string, LineOption>,
): PlainLine | undefined {
  const given = new Map<string, string[]>();
  const words: string[] = [];
  for (let at = 0; at < argv.length; at++) {
    const arg = argv[at]!;
    if (!arg.startsWith('-')) {
      if (!isPlainWord(arg)) return undefined;
      words.push(arg);
      continue;
    }
    const [, name = arg, joined] = /^(--[^=]+)=(.*)$/s.exec(arg) ?? [];
    const option = options.get(name);
    const value = option && valueFor(option, joined, argv[at + 1]);
    if (!option || value === undefined) return undefined;
    if (joined === undefined && !option.isSwitch) at++;
    given.set(option.flag, [...(given.get(option.flag) ?? []), value]);
  }
  return { words, given };
}

function valueFor(
  { isSwitch }: LineOption,
  joined: string | undefined,
  next: string | undefined,
): string | undefined {
  if (isSwitch) {
    if (joined === undefined) return next === 'true' || next === 'false' ? undefined : 'true';
    return joined === 'true' || joined === 'false' ? joined : undefined;
  }
  const value = joined ?? next;
  return value === '-' || (value !== undefined && isPlainWord(value)) ? value : undefined;
}

/** Not what looks like an option, and nothing in quotes, which yargs takes off. */
const isPlainWord = (text: string): boolean => /^[^-'"]/.test(text);
