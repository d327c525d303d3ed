/** The command line of `kirin`: the table of settings as yargs options. */
import { FaultError } from '../actors/fault-error.ts';
import { splitArguments } from '../settings/argument-text.ts';
import { whyNotHere } from '../settings/gunicorn-only.ts';
import { commandHint, whyPm2 } from '../settings/pm2-words.ts';
import { didYouMean } from '../settings/suggest.ts';
import { settingList } from '../settings/table.ts';
import type { CommandLine } from '../settings.ts';
import { byName, type LineOption, plainLine } from '../stages/plain-line.ts';

/** How yargs is told to read. */
const PARSING = {
  'parse-numbers': false,
  'parse-positional-numbers': false,
  'camel-case-expansion': false,
  'dot-notation': false,
  'boolean-negation': false,
  'greedy-arrays': false,
  'duplicate-arguments-array': true,
} as const;

type Arguments = Record<string, unknown> & { _: (string | number)[] };

export type Parsed =
  | { kind: 'run' | 'show' | 'check'; commandLine: CommandLine }
  /** Text for standard output; then exit 0. */
  | { kind: 'print'; text: string };

const HELP_COLUMNS = 80;
const ARGUMENTS_VARIABLE = 'KIRIN_CMD_ARGS';
const LETTERS = new Set(['c', ...settingList.flatMap(({ letter }) => letter ?? [])]);

/**
 * Reads the arguments (without node and script), and those of `KIRIN_CMD_ARGS`, which count less. Throws FaultError `settings.invalid` with one line.
 */
export async function parseCommandLine(
  argv: readonly string[],
  version: string,
  variable = '',
): Promise<Parsed> {
  const parsed = await parseArguments(argv, version);
  if (parsed.kind === 'print' || variable.trim() === '') return parsed;
  const more = await parseArguments(splitArguments(variable, ARGUMENTS_VARIABLE), version).catch(
    (error: unknown) => {
      throw error instanceof FaultError
        ? new FaultError('settings.invalid', `${ARGUMENTS_VARIABLE}: ${error.message}`)
        : error;
    },
  );
  if (more.kind === 'print') throw usage(`${ARGUMENTS_VARIABLE} takes settings, not --help or --version`);
  const { commandLine } = parsed;
  const { app, config, flags } = more.commandLine;
  return {
    kind: parsed.kind === 'run' ? more.kind : parsed.kind,
    commandLine: {
      ...commandLine,
      app: commandLine.app ?? app,
      config: commandLine.config ?? config,
      variableFlags: flags,
    },
  };
}

async function parseArguments(argv: readonly string[], version: string): Promise<Parsed> {
  return parsePlainly(argv) ?? (await parseWithYargs(argv, version));
}

function parted(argv: readonly string[]): { own: string[]; split: string[]; behind: string[] } {
  const { own, behind } = splitOwn(argv);
  const split = withValues(own.flatMap(splitLetter));
  for (const arg of split) refuseSwitchValue(arg);
  return { own, split, behind };
}

/** Undefined for what asks for help, and for what may be wrong: yargs takes longer to load than all else before the first worker. */
export function parsePlainly(argv: readonly string[]): Parsed | undefined {
  const { own, split, behind } = parted(argv);
  const line = plainLine(split, NAMES);
  if (!line) return undefined;
  const args: Arguments = { _: line.words };
  for (const [flag, texts] of line.given) {
    if (IS_SWITCH.has(flag)) args[flag] = texts.at(-1) === 'true';
    else args[flag] = texts.length > 1 ? texts : texts[0];
  }
  return run(args, behind, own);
}

/** Knows help, and what is wrong. */
export async function parseWithYargs(argv: readonly string[], version: string): Promise<Parsed> {
  const { own, split, behind } = parted(argv);
  const parser = await build(version);
  const args = (await parser.parse(split)) as Arguments;
  if (args['help']) return { kind: 'print', text: `${withoutTypes(await parser.getHelp())}\n` };
  if (args['version']) return { kind: 'print', text: `kirin ${version}\n` };
  return run(args, behind, own);
}

function run(args: Arguments, behind: readonly string[], own: readonly string[]): Parsed {
  const before = args._.map(String);
  const hint = before[0] === undefined ? undefined : commandHint(before[0]);
  if (hint !== undefined) throw usage(hint);
  if (before.length > 1)
    throw usage(
      `one app only: "${before[0]}" and "${before[1]}" were given; the app's own arguments stand behind "--"${noValue(own, before)}`,
    );
  const [app, ...more] = [...before, ...behind];
  const flags: CommandLine['flags'] = {};
  for (const { key, flag } of settingList) if (args[flag] !== undefined) flags[key] = listOf(args[flag]);
  if (more.length > 0) flags.args = [...(flags.args ?? []), ...more];
  const config = args['config'] === undefined ? undefined : listOf(args['config']).at(-1);
  const kind = args['check-config'] ? 'check' : args['print-config'] ? 'show' : 'run';
  return { kind, commandLine: { app, config, flags } };
}

async function build(version: string) {
  const { default: yargs } = await import('yargs');
  const parser = yargs([])
    .scriptName('kirin')
    .usage(
      'Usage: $0 [options] MODULE[:EXPORT] [-- ARGUMENTS]\n\nServes a Node.js app with supervised worker processes.',
    )
    .detectLocale(false)
    .exitProcess(false)
    .help(false)
    .version(false)
    .wrap(HELP_COLUMNS)
    .parserConfiguration(PARSING)
    .strictOptions()
    .fail((message, error) => {
      throw message ? usage(explain(message)) : error;
    });
  for (const { flag, letter, aliases = [], text, defaultText, group, type } of settingList)
    parser.option(flag, {
      alias: [...(letter ? [letter] : []), ...aliases],
      ...(defaultText ? { defaultDescription: defaultText } : {}),
      describe: text,
      group: `${group}:`,
      ...(type.kind === 'switch' ? { type: 'boolean' } : { requiresArg: true }),
    });
  const about = 'About:';
  return parser
    .option('config', {
      alias: 'c',
      describe: 'Configuration file',
      defaultDescription: 'kirin.config.{ts,js,json,...}',
      group: 'Environment:',
      requiresArg: true,
    })
    .option('print-config', {
      type: 'boolean',
      describe: 'Print the settings that would be in force',
      group: about,
    })
    .option('check-config', {
      type: 'boolean',
      describe: 'Read the settings, load the app, and say whether all is well',
      group: about,
    })
    .option('help', { alias: 'h', type: 'boolean', describe: 'Show this', group: about })
    .option('version', {
      alias: 'v',
      type: 'boolean',
      describe: `Show the version (${version})`,
      group: about,
    });
}

/** Switches need no type in the help; yargs insists on telling it. */
const withoutTypes = (help: string) => help.replace(/ +\[boolean\]$/gm, '');

/** `-w4` and `-bunix:/x`: a letter with its value, as getopt reads it; yargs would take it for more letters. */
function splitLetter(arg: string): string[] {
  const letter = arg[1] ?? '';
  return /^-[a-z][^=]/.test(arg) && LETTERS.has(letter) ? [`-${letter}`, arg.slice(2)] : [arg];
}

const SWITCHES = new Set([
  'check-config',
  'print-config',
  ...settingList.flatMap(({ flag, aliases = [], type }) =>
    type.kind === 'switch' ? [flag, ...aliases] : [],
  ),
]);

/** To yargs everything but `true` is false: `--http2=yes` would be off without a word. */
function refuseSwitchValue(arg: string): void {
  const [, flag = '', value = ''] = /^--([^=]+)=(.*)$/s.exec(arg) ?? [];
  if (SWITCHES.has(flag) && value !== 'true' && value !== 'false')
    throw usage(`--${flag} must be true or false, not "${value}"`);
}

const OPTIONS: LineOption[] = [
  { flag: 'config', names: ['--config', '-c'], isSwitch: false },
  { flag: 'check-config', names: ['--check-config'], isSwitch: true },
  { flag: 'print-config', names: ['--print-config'], isSwitch: true },
  ...settingList.map(({ flag, letter, aliases = [], type }) => ({
    flag,
    names: [...[flag, ...aliases].map((name) => `--${name}`), ...(letter ? [`-${letter}`] : [])],
    isSwitch: type.kind === 'switch',
  })),
];
const NAMES = byName(OPTIONS);
const IS_SWITCH = new Set(OPTIONS.filter(({ isSwitch }) => isSwitch).map(({ flag }) => flag));

const OPTIONAL = new Map(
  settingList.flatMap(({ flag, type }) => (type.kind === 'endpoint' ? [[`--${flag}`, type.byDefault]] : [])),
);

/** What was meant as a value and is none was taken for the app. */
function noValue(own: readonly string[], words: readonly string[]): string {
  const flag = own.find((arg, at) => OPTIONAL.has(arg) && words.includes(own[at + 1] ?? ''));
  if (flag === undefined) return '';
  const takesPath = settingList.some(({ flag: name, type }) => `--${name}` === flag && 'unix' in type);
  return `, and what ${flag} takes is ${takesPath ? 'HOST:PORT, PORT or unix:PATH' : 'HOST:PORT or PORT'}`;
}

/** What stands behind the first `--` is not for Kirin. */
function splitOwn(argv: readonly string[]): { own: string[]; behind: string[] } {
  const at = argv.indexOf('--');
  return at < 0 ? { own: [...argv], behind: [] } : { own: argv.slice(0, at), behind: argv.slice(at + 1) };
}

/**
 * Gives a value to those options that may go without: what follows is theirs only if it looks like an address. What follows
 * `--node-arg` is its value though it is an option itself.
 */
function withValues(args: readonly string[]): string[] {
  const given: string[] = [];
  for (let at = 0; at < args.length; at++) {
    const byDefault = OPTIONAL.get(args[at]!);
    if (args[at] === '--node-arg' && at + 1 < args.length) given.push(`--node-arg=${args[++at]}`);
    else if (byDefault === undefined) given.push(args[at]!);
    else
      given.push(
        `${args[at]}=${/^(unix:.+|([^:=]*:|\[.*\]:)?\d+)$/.test(args[at + 1] ?? '') ? args[++at] : byDefault}`,
      );
  }
  return given;
}

/** yargs' own messages, in our words. */
function explain(message: string): string {
  const unknown = /^Unknown arguments?: (.*)$/.exec(message)?.[1]?.split(', ')[0];
  if (unknown !== undefined) {
    const why = whyNotHere(unknown) ?? whyPm2(unknown);
    if (why !== undefined) return `${dashed(unknown)} ${why}`;
    const known = [
      'config',
      'check-config',
      'print-config',
      'help',
      'version',
      ...settingList.flatMap(({ flag, aliases = [] }) => [flag, ...aliases]),
    ];
    return `unknown option ${dashed(unknown)}${didYouMean(unknown, known, '--')}`;
  }
  const bare = /^Not enough arguments following: (.*)$/.exec(message)?.[1];
  return bare === undefined ? message.split('\n', 1)[0]! : `${dashed(bare)} needs a value`;
}

const dashed = (name: string) => (name.length > 1 ? `--${name}` : `-${name}`);

const usage = (message: string) => new FaultError('settings.invalid', `${message} (see kirin --help)`);

const listOf = (value: unknown): string[] => (Array.isArray(value) ? value : [value]).map(String);
