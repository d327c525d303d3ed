/** What a server's help says, as commands that can be completed: an older Kirin or Gunicorn knows fewer. Pure. */
import { type Argument, cell, type Data, type Entry, SERVER_ENTRIES } from './core.ts';

const NAME_WORD = /^[a-z][a-z0-9_-]*$/;

/** From `{usage: text}`, such as `{"worker add [N]": "Add N workers"}`. */
export const learned = (commands: Data): Entry[] =>
  Object.entries(commands).flatMap(([usage, text]) => {
    const tokens = usage.trim().split(/\s+/);
    const end = tokens.findIndex((token) => !NAME_WORD.test(token));
    const words = end < 0 ? tokens : tokens.slice(0, end);
    if (words.length === 0 || words[0] === 'help') return [];
    const known = SERVER_ENTRIES.find((one) => one.words.join(' ') === words.join(' '));
    const args = known
      ? known.args.filter((argument) => isOffered(argument, usage))
      : tokens.slice(words.length).flatMap(guessed);
    const reads = known?.reads ?? words[0] === 'show';
    return [{ words, usage: cell(usage), text: cell(text), args, reads }];
  });

function isOffered(argument: Argument, usage: string): boolean {
  switch (argument.kind) {
    case 'flag':
      return usage.includes(argument.flag);
    case 'word':
      return argument.of.some((word) => usage.includes(word));
    case 'pid':
      return /pid/i.test(usage);
    case 'count':
    case 'text':
      return new RegExp(`\\b${argument.name}\\b`, 'i').test(usage);
  }
}

/** `[--wait]`, `[a|b]`; what else it may take is not known. */
function guessed(token: string): Argument[] {
  const within = token.replace(/^[[<]|[\]>]$/g, '');
  if (within.startsWith('--')) return [{ kind: 'flag', flag: within }];
  const of = within.split('|');
  return of.every((word) => NAME_WORD.test(word)) ? [{ kind: 'word', name: within, of }] : [];
}
