/** One line, from its words to its output and exit status. */
import { splitWords, WordsError } from '../../actors/control/words.ts';
import { type Expanded, expand, SHELL_ENTRIES } from './commands.ts';
import { type Data, dataOf, isData, numberOf } from './data.ts';
import { EXIT, Interrupted, ShellError, WireError } from './errors.ts';
import { replyText } from './format.ts';
import { eventLine } from './format-own.ts';
import { usageLines } from './format-stock.ts';
import type { Output } from './output.ts';
import type { Session } from './session.ts';
import { cell, json } from './text.ts';

export interface Context {
  session: Session;
  output: Output;
  /** Aborted by Ctrl-C. */
  signal?: AbortSignal;
}

/** 'quit', or the exit status of the line. Never throws for what a user or a server does. */
export async function executeLine(line: string, context: Context): Promise<number | 'quit'> {
  try {
    return await executeWords(splitWords(line), context);
  } catch (error) {
    if (error instanceof Interrupted) return EXIT.interrupted;
    if (!(error instanceof ShellError || error instanceof WordsError)) throw error;
    context.output.complain(error.message + (await advice(error, context.output)));
    return EXIT.failed;
  }
}

/** Only for a person: a script compares the server's words. */
async function advice(error: Error, { terminal }: Output): Promise<string> {
  if (!terminal || !(error instanceof WireError)) return '';
  return (await import('./advice.ts')).adviceOn(error.message);
}

async function executeWords(typed: readonly string[], context: Context): Promise<number | 'quit'> {
  if (typed.length === 0) throw new ShellError('Empty command');
  if (typed.at(-1)!.endsWith('?')) return await listFollowing(typed, context);
  const expanded = expand(typed);
  const rest = expanded.words.slice(1);
  switch (expanded.entry?.own) {
    case 'quit':
      return 'quit';
    case 'help':
      return await help(rest, context);
    case 'watch':
      return await (await import('./watch.ts')).watch(rest, context);
    case 'top':
      return await (await import('./top.ts')).top(rest, context);
    case 'inspect':
      return await (await import('./inspect.ts')).inspect(rest, context);
    default:
      return await ask(expanded, context);
  }
}

/** What can follow at the question mark. */
async function listFollowing(typed: readonly string[], context: Context): Promise<number> {
  const { Completer } = await import('./complete.ts');
  const line = typed.join(' ').slice(0, -1);
  await context.output.print(await new Completer(context.session).listing(line));
  return EXIT.ok;
}

async function ask({ words, entry }: Expanded, context: Context): Promise<number> {
  const { session, output, signal } = context;
  const question = { words, repeatable: entry?.reads === true, ...(signal ? { signal } : {}) };
  if (words.length === 1 && words[0] === 'events') return await follow(context);
  if (!words.includes('--wait')) return await show(words, await session.ask(question), output);
  const { Progress } = await import('./progress.ts');
  const progress = new Progress(output);
  let data: unknown;
  try {
    data = await session.ask({ ...question, onProgress: (step) => progress.step(step) });
  } catch (error) {
    progress.end();
    if (error instanceof Interrupted) output.remark('Nobody waits any more; what was ordered goes on');
    throw error;
  }
  progress.end();
  return await show(words, data, output);
}

/** Prints a reply; an order that did not succeed fails the shell too. */
async function show(words: readonly string[], data: unknown, output: Output): Promise<number> {
  await output.print(output.json ? json(data) : replyText(words, data));
  if (!isData(data) || data['success'] !== false) return EXIT.ok;
  const { error, stack } = data;
  // In JSON a stack is one long line; who looks at a terminal wants to read it.
  if (output.terminal && !output.json && typeof stack === 'string') {
    output.complain(cell(error));
    for (const line of stack.split('\n')) output.remark(`  ${line}`);
  }
  return EXIT.failed;
}

/** Events as they come; what a slow reader of standard output does not take is counted, not kept. */
async function follow({ session, output, signal }: Context): Promise<number> {
  let lost = 0;
  const onProgress = (data: Data): void => {
    const { event, dropped } = data;
    lost += numberOf(dropped) ?? 0;
    if (output.backlog > BACKLOG_MAX) {
      lost++;
      return;
    }
    if (lost > 0) output.remark(`(${lost} events were lost: they came faster than they were read)`);
    lost = 0;
    if (output.json) void output.print(json(data));
    else if (isData(event)) void output.print(eventLine(event));
  };
  await session.ask({ words: ['events'], repeatable: true, onProgress, ...(signal ? { signal } : {}) });
  return EXIT.ok;
}
/** In characters or bytes. */
const BACKLOG_MAX = 1024 * 1024;

/** The server's own help, and what the shell adds; with words only what begins with them. */
async function help(rest: readonly string[], { session, output, signal }: Context): Promise<number> {
  const data = await session.ask({ words: ['help'], repeatable: true, ...(signal ? { signal } : {}) });
  const wanted = rest.map((word) => word.toLowerCase());
  const begins = (usage: string) =>
    wanted.every((word, at) => usage.split(' ')[at]?.toLowerCase().startsWith(word) === true);
  const commands = Object.fromEntries(
    Object.entries(dataOf(dataOf(data)['commands'])).filter(([usage]) => begins(usage)),
  );
  const own = SHELL_ENTRIES.filter(({ usage, own: kind }) => kind !== 'help' && begins(usage));
  if (Object.keys(commands).length + own.length === 0)
    throw new ShellError(`Unknown command: ${rest.join(' ')} (help alone lists them all)`);
  if (output.json) return await show(['help'], wanted.length > 0 ? { commands } : data, output);
  const lines = usageLines(own.map(({ usage, text }) => [usage, text]));
  const more = lines.length > 0 ? ['', 'In this shell:', '', ...lines] : [];
  await output.print([replyText(['help'], { commands }), ...more].join('\n'));
  return EXIT.ok;
}
