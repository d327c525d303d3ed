/**
 * Every command of the control interface, once: its words, what may follow, and what it does. The arbiter parses with
 * it; the shell completes and abbreviates with it. Pure.
 */

/** What may follow a command's words. Each may be left out unless it is `required`. */
export type Argument =
  /** A whole number from 1 to COUNT_MAX. */
  | { kind: 'count'; name: string; of: string }
  | { kind: 'pid'; required: true }
  | { kind: 'word'; name: string; of: readonly string[] }
  /** Any one word. */
  | { kind: 'text'; name: string; required?: true }
  /** `--wait` */
  | { kind: 'flag'; flag: string };

export interface CommandSpec {
  /** The words that name it, such as `worker add`. */
  name: string;
  /** As `help` shows it. */
  usage: string;
  text: string;
  /** It changes something: refused on a read-only socket. */
  changes: boolean;
  args: readonly Argument[];
  /** It makes sense only on the wire, not in a shell. */
  wireOnly?: true;
}

/** More workers, dirty workers or events than this are a typing error. */
export const COUNT_MAX = 1024;

const wait: Argument = { kind: 'flag', flag: '--wait' };
const workers: Argument = { kind: 'count', name: 'N', of: 'workers' };
const read = (name: string, text: string, usage = name, args: readonly Argument[] = []): CommandSpec => ({
  name,
  usage,
  text,
  changes: false,
  args,
});
const change = (name: string, text: string, usage = name, args: readonly Argument[] = []): CommandSpec => ({
  ...read(name, text, usage, args),
  changes: true,
});
const wide: Argument = { kind: 'word', name: 'wide', of: ['wide'] };

export const COMMANDS: readonly CommandSpec[] = [
  read('show all', 'Arbiter, workers, dirty arbiter and dirty workers'),
  read('show workers', 'Workers; wide: with what they are doing', 'show workers [wide]', [wide]),
  read('show dirty', 'Dirty workers and apps', 'show dirty [wide]', [wide]),
  read('show calls', 'Calls of dirty workers that wait or run'),
  read('show config', 'Effective settings; origin: and where each came from', 'show config [origin]', [
    { kind: 'word', name: 'origin', of: ['origin'] },
  ]),
  read('show stats', 'Counters of the server'),
  read('show listeners', 'Sockets that clients connect to'),
  read('show generations', 'Where a reload stands, and what is wrong'),
  read('show machine', 'States of the state machines, or of one', 'show machine [ID]', [
    { kind: 'text', name: 'ID' },
  ]),
  read('show events', 'The last N (20) events', 'show events [N]', [
    { kind: 'count', name: 'N', of: 'events' },
  ]),
  read('show version', 'Versions of Kirin, Node.js and the protocol'),
  change('worker add', 'Add N (1) workers', 'worker add [N] [--wait]', [workers, wait]),
  change('worker remove', 'Remove N (1) workers', 'worker remove [N] [--wait]', [workers, wait]),
  change('worker kill', 'Let one worker end; it is replaced', 'worker kill PID [quick]', [
    { kind: 'pid', required: true },
    { kind: 'word', name: 'quick', of: ['quick'] },
  ]),
  change('worker pause', 'Let one worker accept no new connections', 'worker pause PID', [
    { kind: 'pid', required: true },
  ]),
  change('worker resume', 'Let it accept connections again', 'worker resume PID', [
    { kind: 'pid', required: true },
  ]),
  change('dirty add', 'Add N (1) dirty workers', 'dirty add [N] [--wait]', [workers, wait]),
  change('dirty remove', 'Remove N (1) dirty workers', 'dirty remove [N] [--wait]', [workers, wait]),
  change('dirty cancel', 'End one call of a dirty worker', 'dirty cancel ID', [
    { kind: 'text', name: 'ID', required: true },
  ]),
  change('reload', 'Start anew with code and settings read afresh', 'reload [--wait]', [wait]),
  change('reopen', 'Open the log file again'),
  change('upgrade', 'Start a new arbiter beside this one, on its sockets', 'upgrade [--wait]', [wait]),
  change('standby', 'Let all workers go while the new arbiter serves', 'standby [--wait]', [wait]),
  change('shutdown', 'Stop the server', 'shutdown [graceful|quick] [--wait]', [
    { kind: 'word', name: 'mode', of: ['graceful', 'quick'] },
    wait,
  ]),
  change('events', 'Events as they happen, until interrupted'),
  read('help', 'The commands'),
  {
    ...read('inspect', 'What happens in the machines of all processes, until interrupted'),
    wireOnly: true,
  },
  {
    ...change('cancel', 'Wait no longer for request ID', 'cancel ID', [
      { kind: 'text', name: 'ID', required: true },
    ]),
    wireOnly: true,
  },
];

/** A command as it was understood. */
export interface Command {
  spec: CommandSpec;
  count?: number;
  pid?: number;
  /** One of those that an argument of kind `word` allows. */
  word?: string;
  text?: string;
  wait: boolean;
}

/** What was wrong with a command, in one line for the one who typed it. */
export class CommandError extends Error {}

/** What the first word of several commands may be followed by, as the document says it. */
const MISSING: Record<string, string> = {
  show: 'Missing show target (all|workers|dirty|config|stats|listeners)',
  worker: 'Missing worker action (add|remove|kill)',
  dirty: 'Missing dirty action (add|remove)',
};
const UNKNOWN: Record<string, string> = {
  show: 'Unknown show target',
  worker: 'Unknown worker action',
  dirty: 'Unknown dirty action',
};

const byName = new Map(COMMANDS.map((spec) => [spec.name, spec]));

/** Reads the words of a command. Throws CommandError. */
export function parseCommand(words: readonly string[]): Command {
  const [first, second] = words;
  if (first === undefined) throw new CommandError('Empty command');
  const verb = first.toLowerCase();
  const unknown = Object.hasOwn(UNKNOWN, verb) ? UNKNOWN[verb] : undefined;
  if (unknown === undefined) {
    const spec = byName.get(verb);
    if (!spec || verb.includes(' ')) throw new CommandError(`Unknown command: ${shown(first)}`);
    return readArguments(spec, words.slice(1));
  }
  if (second === undefined) throw new CommandError(MISSING[verb]!);
  const spec = byName.get(`${verb} ${second.toLowerCase()}`);
  if (!spec) throw new CommandError(`${unknown}: ${shown(second)}`);
  return readArguments(spec, words.slice(2));
}

function readArguments(spec: CommandSpec, given: readonly string[]): Command {
  const command: Command = { spec, wait: false };
  const open = new Set(spec.args);
  for (const word of given) {
    const argument = [...open].find((one) => takes(one, word));
    if (!argument) throw new CommandError(unexpected(spec, word));
    open.delete(argument);
    fill(command, argument, word);
  }
  for (const argument of open)
    if ('required' in argument && argument.required)
      throw new CommandError(
        argument.kind === 'pid' ? `Missing PID for ${spec.name}` : `Missing ID for ${spec.name}`,
      );
  return command;
}

/** Whether a word is meant for an argument; a number that makes no sense is still meant as one. */
function takes(argument: Argument, word: string): boolean {
  switch (argument.kind) {
    case 'flag':
      return word.toLowerCase() === argument.flag;
    case 'word':
      return argument.of.includes(word.toLowerCase());
    case 'count':
    case 'pid':
      return !word.startsWith('--');
    case 'text':
      return true;
  }
}

function fill(command: Command, argument: Argument, word: string): void {
  switch (argument.kind) {
    case 'flag':
      command.wait = true;
      return;
    case 'word':
      command.word = word.toLowerCase();
      return;
    case 'text':
      command.text = word;
      return;
    case 'count': {
      const count = /^\d{1,9}$/.test(word) ? Number(word) : 0;
      if (count < 1 || count > COUNT_MAX)
        throw new CommandError(
          `Invalid number of ${argument.of}: ${shown(word)} (write a whole number from 1 to ${COUNT_MAX})`,
        );
      command.count = count;
      return;
    }
    case 'pid': {
      const pid = /^\d{1,10}$/.test(word) ? Number(word) : 0;
      if (pid < 1)
        throw new CommandError(`Invalid PID: ${shown(word)} (write the number that "show all" shows)`);
      command.pid = pid;
    }
  }
}

function unexpected(spec: CommandSpec, word: string): string {
  const known = spec.args.some((one) => one.kind === 'word' && takes(one, word));
  if (spec.name === 'shutdown' && !known && !word.startsWith('--'))
    return `Unknown shutdown mode: ${shown(word)} (write graceful or quick)`;
  return spec.args.length > 0
    ? `Unexpected argument: ${shown(word)} (usage: ${spec.usage})`
    : `Unexpected argument: ${shown(word)} (${spec.name} takes none)`;
}

const WORD_MAX = 80;
/** What was typed, on one line and not longer than one. */
export const shown = (word: string): string => {
  const line = word.replace(/\p{Cc}/gu, ' ');
  return line.length > WORD_MAX ? `${line.slice(0, WORD_MAX)}...` : line;
};
