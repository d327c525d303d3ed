/**
 * What can be typed next, for Tab and for the question mark. It asks the server what it knows and which processes
 * live; a server that does not answer in time costs a suggestion, no more.
 */
import {
  type Argument,
  argumentsLeft,
  cell,
  type Data,
  dataList,
  dataOf,
  ENTRIES,
  type Entry,
  following,
  type Session,
  SHELL_ENTRIES,
  withoutSeconds,
} from './core.ts';
import { learned } from './usage.ts';

interface Option {
  text: string;
  about: string;
  /** It stands for what the user has to write. */
  placeholder?: true;
  /** One of several that begin with the same word; `about` is the next word. */
  grouped?: true;
}

const OPTIONS_MAX = 500;
const LISTED_MAX = 50;

export class Completer {
  readonly #session: Session;
  #entries: readonly Entry[] | undefined;
  #learnedFrom: object | undefined;

  constructor(session: Session) {
    this.#session = session;
  }

  /** For node:readline: what the last word can become, and that word. */
  async complete(line: string): Promise<[string[], string]> {
    const { before, word } = cut(line);
    const options = await this.#options(before, word);
    const words = options.filter(({ placeholder }) => !placeholder).map(({ text }) => `${text} `);
    return [words, word];
  }

  /** A line for each possibility. */
  async listing(line: string): Promise<string> {
    const { before, word } = cut(line);
    const options = await this.#options(before, word);
    const entry = word === '' ? this.#ended(before) : undefined;
    const rows = options.map(({ text, about }) => [text, about] as const);
    const all = entry ? [['<Enter>', entry.text] as const, ...rows] : rows;
    if (all.length === 0) return '  (nothing that is known can stand here)';
    const width = all.reduce((most, [text]) => Math.max(most, text.length), 0) + 3;
    const lines = all.map(([text, about]) => `  ${text.padEnd(width)}${about}`.trimEnd());
    const more = lines.length - LISTED_MAX;
    return (more > 0 ? [...lines.slice(0, LISTED_MAX), `  ... ${more} more`] : lines).join('\n');
  }

  /** The command that the words make without anything more. */
  #ended(before: readonly string[]): Entry | undefined {
    const entries = following(before, this.#entries ?? ENTRIES).filter(
      (one) => one.words.length <= before.length,
    );
    const needs = (one: Entry) => one.args.some((argument) => 'required' in argument && argument.required);
    return entries.length === 1 && !needs(entries[0]!) && before.length > 0 ? entries[0] : undefined;
  }

  async #options(before: readonly string[], word: string): Promise<Option[]> {
    // The next server may know more.
    if (!this.#entries || this.#learnedFrom !== this.#session.connection) {
      this.#entries = await this.#known();
      this.#learnedFrom = this.#session.connection;
    }
    const options = await this.#after(before, this.#entries);
    const unique = new Map<string, Option>();
    for (const option of options) {
      const fits = option.text.toLowerCase().startsWith(word.toLowerCase());
      if (!(option.placeholder ? word === '' : fits)) continue;
      const seen = unique.get(option.text);
      if (!seen) unique.set(option.text, option);
      else if (seen.grouped && option.grouped && !seen.about.split(', ').includes(option.about))
        unique.set(option.text, { ...seen, about: `${seen.about}, ${option.about}` });
    }
    return [...unique.values()].slice(0, OPTIONS_MAX);
  }

  /** What the server says it knows, and the shell's own; every command of Kirin where it does not say. */
  async #known(): Promise<readonly Entry[] | undefined> {
    const commands = dataOf((await this.#session.peek(['help']))?.['commands']);
    return Object.keys(commands).length > 0 ? [...learned(commands), ...SHELL_ENTRIES] : undefined;
  }

  async #after(before: readonly string[], entries: readonly Entry[] = ENTRIES): Promise<Option[]> {
    const options: Option[] = [];
    for (const entry of following(before, entries)) {
      const rest = before.slice(entry.words.length);
      if (before.length < entry.words.length) options.push(nextWord(entry, before.length));
      else if (entry.own === 'watch') options.push(...(await this.#watched(rest, entries)));
      else if (entry.own === 'help') options.push(...(await this.#after(rest, entries)).filter(isPlain));
      else if (entry.own === 'top' && rest.length === 0) options.push(SECONDS);
      else for (const argument of argumentsLeft(entry, rest)) options.push(...(await this.#values(argument)));
    }
    return options;
  }

  async #watched(rest: readonly string[], entries: readonly Entry[]): Promise<Option[]> {
    const shows = entries.filter(({ reads, own }) => reads && !own);
    const options = await this.#after(withoutSeconds(rest), shows);
    return rest.length === 0 ? [SECONDS, ...options] : options;
  }

  async #values(argument: Argument): Promise<Option[]> {
    switch (argument.kind) {
      case 'flag':
        return [{ text: argument.flag, about: 'Answer when it is done' }];
      case 'word':
        return argument.of.map((text) => ({ text, about: '' }));
      case 'count':
        return [{ text: argument.name, about: `Number of ${argument.of}`, placeholder: true }];
      case 'pid':
        return this.#processes();
      case 'text':
        return this.#machines(argument.name);
    }
  }

  async #processes(): Promise<Option[]> {
    const all = (await this.#session.peek(['show', 'all'])) ?? {};
    const options = [
      ...dataList(all['web_workers']).map((one) => process(one, 'Worker')),
      ...dataList(all['dirty_workers']).map((one) => process(one, 'Dirty worker')),
    ];
    return options.length > 0 ? options : [{ text: 'PID', about: 'A worker', placeholder: true }];
  }

  async #machines(name: string): Promise<Option[]> {
    const { machines } = (await this.#session.peek(['show', 'machine'])) ?? {};
    const options = dataList(machines).map(({ id, state }) => ({ text: cell(id), about: cell(state) }));
    return options.length > 0 ? options : [{ text: name, about: 'A machine', placeholder: true }];
  }
}

const SECONDS: Option = { text: 'SECONDS', about: 'How often (2)', placeholder: true };

const isPlain = ({ placeholder }: Option): boolean => !placeholder;

const process = ({ pid, age }: Data, kind: string): Option => ({
  text: cell(pid),
  about: `${kind} of age ${cell(age)}`,
});

/** A word of a name: what the command does, or how it goes on. */
function nextWord(entry: Entry, at: number): Option {
  const text = entry.words[at]!;
  const next = entry.words[at + 1];
  return next === undefined ? { text, about: entry.text } : { text, about: next, grouped: true };
}

/** The words before the cursor, and the one that is being written. */
function cut(line: string): { before: string[]; word: string } {
  const words = line.trimStart().split(/\s+/);
  const word = words.pop()!;
  return { before: words, word };
}
