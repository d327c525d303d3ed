/**
 * The command line read by the parser of yargs alone, for the usual case that all is well: the rest of yargs, which knows help
 * and what is wrong, takes longer to load than everything else before the first worker. What this does not understand at
 * once it leaves to the rest.
 */
import Parser from 'yargs-parser';
import { settingList } from '../settings/table.ts';

/** How yargs and its parser are told to read; the same for both. */
export const PARSING = {
  'parse-numbers': false,
  'parse-positional-numbers': false,
  'camel-case-expansion': false,
  'dot-notation': false,
  'boolean-negation': false,
  'greedy-arrays': false,
  'duplicate-arguments-array': true,
} as const;

const SWITCHES = [
  'check-config',
  'print-config',
  ...settingList.filter(({ type }) => type.kind === 'switch').map(({ flag }) => flag),
];
const VALUED = [
  'config',
  ...settingList.filter(({ type }) => type.kind !== 'switch').map(({ flag }) => flag),
];
const ALIASES: Readonly<Record<string, readonly string[]>> = {
  config: ['c'],
  ...Object.fromEntries(
    settingList.map(({ flag, letter, aliases = [] }) => [flag, [...(letter ? [letter] : []), ...aliases]]),
  ),
};
const KNOWN = new Set(['_', ...SWITCHES, ...VALUED, ...Object.values(ALIASES).flat()]);

export type Arguments = Record<string, unknown> & { _: (string | number)[] };

/** Undefined for what asks for help, and for what may be wrong. */
export function quickArguments(args: readonly string[]): Arguments | undefined {
  const { argv, error } = Parser.detailed([...args], {
    alias: Object.fromEntries(Object.entries(ALIASES).map(([flag, others]) => [flag, [...others]])),
    boolean: SWITCHES,
    // As `requiresArg` of yargs asks of it.
    narg: Object.fromEntries(VALUED.map((flag) => [flag, Number.NaN])),
    configuration: PARSING,
  });
  const isClear = !error && Object.keys(argv).every((key) => KNOWN.has(key));
  return isClear ? (argv as Arguments) : undefined;
}
