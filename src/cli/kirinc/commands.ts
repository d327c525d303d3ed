/**
 * What may be typed: the server's commands and the shell's own, and how abbreviations of both are read. Pure. As in
 * birdc every word may be cut short as long as the whole line can only mean one thing: `sh w` is `show workers`.
 */
import { type Argument, COMMANDS, type CommandSpec } from '../../actors/control/grammar.ts';
import { ShellError } from './errors.ts';

/** One thing that can be typed; its name in words. */
export interface Entry {
  words: readonly string[];
  usage: string;
  text: string;
  args: readonly Argument[];
  /** May run any number of times without a change. */
  reads: boolean;
  /** Done by the shell itself. */
  own?: 'quit' | 'watch' | 'top' | 'inspect' | 'help';
}

const ofServer = ({ name, usage, text, args, changes }: CommandSpec): Entry => ({
  words: name.split(' '),
  usage,
  text,
  args,
  reads: !changes,
});
const ofShell = (own: Entry['own'] & string, usage: string, text: string): Entry => ({
  words: [usage.split(' ', 1)[0]!],
  usage,
  text,
  args: [],
  reads: true,
  own,
});

export const SERVER_ENTRIES: readonly Entry[] = COMMANDS.filter(
  ({ wireOnly, name }) => !wireOnly && name !== 'help',
).map(ofServer);

export const SHELL_ENTRIES: readonly Entry[] = [
  ofShell('help', 'help [COMMAND]', 'The commands, or those that begin with COMMAND'),
  ofShell('watch', 'watch [SECONDS] COMMAND', 'Repeat a show command every 2 s, until q or Ctrl-C'),
  ofShell('top', 'top [SECONDS]', 'Live view of the workers, with keys to add, remove, kill and reload'),
  ofShell('inspect', 'inspect [PORT] [--control]', 'Serve the live inspector of this server, until Ctrl-C'),
  ofShell('quit', 'quit', 'Leave; also exit, q and Ctrl-D'),
  ofShell('quit', 'exit', 'Leave'),
];

export const ENTRIES: readonly Entry[] = [...SERVER_ENTRIES, ...SHELL_ENTRIES];

/** A line as it was understood: full words, and what they name if they name something that is known. */
export interface Expanded {
  words: readonly string[];
  entry?: Entry;
}

const SECONDS = /^\d+(\.\d+)?$/;

/** Writes abbreviations out. What means nothing known stays as it was typed. Throws a ShellError if ambiguous. */
export function expand(words: readonly string[]): Expanded {
  if (words.length === 1 && words[0]!.toLowerCase() === 'q') return { words: ['quit'], entry: QUIT };
  const possible = readingsOf(words);
  // `w r` lacks what `worker resume` needs.
  const whole = possible.filter((one) => !lacksArgument(one, words));
  const readings = whole.length > 0 ? whole : possible;
  const [only, ...others] = readings;
  if (only && others.length === 0) return only;
  if (readings.length > 1) throw ambiguous(words, readings);
  return expandName(words);
}

const lacksArgument = ({ entry }: Expanded, words: readonly string[]): boolean =>
  entry !== undefined &&
  argumentsLeft(entry, words.slice(entry.words.length)).some((one) => 'required' in one && one.required);

const QUIT = SHELL_ENTRIES.find(({ own }) => own === 'quit')!;

/** Every different thing that the words can mean as a whole. */
function readingsOf(words: readonly string[], entries = ENTRIES): Expanded[] {
  const readings = new Map<string, Expanded>();
  for (const entry of following(words, entries)) {
    const reading = writtenOut(entry, words);
    const text = reading.words.join(' ');
    if (!readings.has(text)) readings.set(text, reading);
  }
  return [...readings.values()];
}

/** What the words may be the beginning of. */
export const following = (words: readonly string[], entries: readonly Entry[]): readonly Entry[] =>
  narrowed(
    words,
    entries.filter((one) => matches(one, words)),
  );

/** The arguments that may still follow those that are written. */
export function argumentsLeft(entry: Entry, rest: readonly string[]): Argument[] {
  const open = [...entry.args];
  for (const word of rest) {
    const at = open.findIndex((one) => meant(one, word) !== undefined);
    if (at >= 0) open.splice(at, 1);
  }
  const needed = open.filter((one) => 'required' in one && one.required);
  return needed.length > 0 ? needed : open;
}

const starts = (full: string | undefined, typed: string): boolean =>
  typed !== '' && full?.startsWith(typed.toLowerCase()) === true;

function matches(entry: Entry, words: readonly string[]): boolean {
  if (!entry.words.every((full, at) => at >= words.length || starts(full, words[at]!))) return false;
  const rest = words.slice(entry.words.length);
  if (entry.own === 'watch') return rest.length === 0 || watchedReadings(rest).length > 0;
  if (entry.own === 'top') return rest.length === 0 || (rest.length === 1 && SECONDS.test(rest[0]!));
  if (entry.own === 'help' || entry.own === 'inspect') return true;
  const args = argumentsOf(entry, rest);
  if (args === undefined) return false;
  // `sh q` is no way to end a server: of what changes something one word at least is written in full.
  const named = entry.words.every((full, at) => words[at]?.toLowerCase() === full);
  return (
    entry.reads || named || args.every((full, at) => full.startsWith('-') || full === rest[at]?.toLowerCase())
  );
}

/** A word that is written in full means itself, whatever else begins with it. */
function narrowed(words: readonly string[], entries: readonly Entry[]): readonly Entry[] {
  let left = entries;
  for (const [at, word] of words.entries()) {
    const exact = left.filter((entry) => entry.words[at] === word.toLowerCase());
    if (exact.length > 0) left = exact;
  }
  return left;
}

/** Without the interval: `2 sh w` of `watch 2 sh w`. */
export const withoutSeconds = (rest: readonly string[]): readonly string[] =>
  SECONDS.test(rest[0] ?? '') ? rest.slice(1) : rest;

const watchedReadings = (rest: readonly string[]): Expanded[] => {
  const words = withoutSeconds(rest);
  const shows = SERVER_ENTRIES.filter(({ reads }) => reads);
  return words.length === 0 ? [{ words: [] }] : readingsOf(words, shows);
};

function writtenOut(entry: Entry, words: readonly string[]): Expanded {
  const name = entry.words.slice(0, words.length);
  const rest = words.slice(entry.words.length);
  const complete = words.length >= entry.words.length;
  if (entry.own === 'watch' && rest.length > 0) {
    const [watched, ...others] = watchedReadings(rest);
    const seconds = rest.slice(0, rest.length - withoutSeconds(rest).length);
    const full = others.length === 0 ? watched!.words : withoutSeconds(rest);
    return { words: [...name, ...seconds, ...full], entry };
  }
  const args = entry.own ? rest : (argumentsOf(entry, rest) ?? rest);
  return { words: [...name, ...args], ...(complete ? { entry } : {}) };
}

/** The words after a name in full, or undefined where they make no sense there. */
function argumentsOf(entry: Entry, rest: readonly string[]): string[] | undefined {
  const open = new Set(entry.args);
  const full: string[] = [];
  for (const word of rest) {
    const argument = [...open].find((one) => meant(one, word) !== undefined);
    if (!argument) return undefined;
    open.delete(argument);
    full.push(meant(argument, word)!);
  }
  return full;
}

function meant(argument: Argument, word: string): string | undefined {
  switch (argument.kind) {
    case 'flag':
      return word.length > 2 && starts(argument.flag, word) ? argument.flag : undefined;
    case 'word': {
      const found = argument.of.filter((one) => starts(one, word));
      return found.length === 1 ? found[0] : undefined;
    }
    case 'count':
    case 'pid':
      return /^\d+$/.test(word) ? word : undefined;
    case 'text':
      return word;
  }
}

/** Where the line as a whole makes no sense: its name at least, so that the server names what is wrong with the rest. */
function expandName(words: readonly string[]): Expanded {
  let entries = ENTRIES.filter((entry) => starts(entry.words[0]!, words[0] ?? ''));
  let done = 0;
  const full: string[] = [];
  for (; done < words.length; done++) {
    const here = narrowed(
      words.slice(0, done + 1),
      entries.filter((entry) => starts(entry.words[done], words[done]!)),
    );
    const names = [...new Set(here.map((entry) => entry.words[done]!))];
    if (names.length === 0) break;
    if (names.length > 1)
      throw ambiguous(
        words.slice(0, done + 1),
        names.map((name) => ({ words: [...full, name] })),
      );
    full.push(names[0]!);
    entries = here.filter((entry) => entry.words.length > done);
  }
  const entry = entries.find(({ words: name }) => name.length > 0 && name.join(' ') === full.join(' '));
  return { words: [...full, ...words.slice(done)], ...(entry ? { entry } : {}) };
}

const NAMED_MAX = 8;

function ambiguous(words: readonly string[], readings: readonly Expanded[]): ShellError {
  const names = readings.map((one) => one.words.join(' '));
  const named = names.length > NAMED_MAX ? [...names.slice(0, NAMED_MAX - 1), '...'] : names;
  const list = `${named.slice(0, -1).join(', ')} or ${named.at(-1)}`;
  return new ShellError(`Ambiguous command: ${words.join(' ')} (it could be ${list})`);
}
