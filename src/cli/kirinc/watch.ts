/** `watch [SECONDS] COMMAND`: the same look again and again, in place on a terminal, else one below the other. */
import {
  type Context,
  EXIT,
  expand,
  Interrupted,
  json,
  replyText,
  ShellError,
  visible,
  WireError,
  withoutSeconds,
} from './core.ts';
import { pause, readSeconds } from './interval.ts';
import { takeKeys } from './keys.ts';
import { fit, fitMarked } from './layout.ts';

export async function watch(rest: readonly string[], context: Context): Promise<number> {
  const typed = withoutSeconds(rest);
  const seconds = readSeconds(rest.length > typed.length ? rest[0] : undefined);
  if (typed.length === 0) throw new ShellError('Missing command for watch (usage: watch [SECONDS] COMMAND)');
  const { words, entry } = expand(typed);
  if (entry ? !entry.reads || entry.own : words[0] !== 'show')
    throw new ShellError(`watch repeats show commands only, not "${words.join(' ')}"`);
  return context.output.terminal
    ? await watchInPlace(words, seconds, context)
    : await watchPlainly(words, seconds, context);
}

const title = (words: readonly string[], seconds: number, path: string): string =>
  visible(`${new Date().toTimeString().slice(0, 8)}  every ${seconds} s: ${words.join(' ')}  (${path})`);

/** Until a signal ends it, or the server says that it makes no sense. */
async function watchPlainly(words: readonly string[], seconds: number, context: Context): Promise<number> {
  const { session, output } = context;
  const signal = context.signal ?? new AbortController().signal;
  for (;;) {
    try {
      const data = await session.ask({ words, repeatable: true, signal });
      if (output.json) await output.print(json(data));
      else await output.print(`${title(words, seconds, session.path)}\n\n${replyText(words, data)}\n`);
    } catch (error) {
      if (!(error instanceof ShellError) || error instanceof WireError || error instanceof Interrupted)
        throw error;
      // It may be on its way back.
      output.complain(error.message);
    }
    await pause(seconds * 1000, signal);
    if (signal.aborted) return EXIT.interrupted;
  }
}

async function watchInPlace(words: readonly string[], seconds: number, context: Context): Promise<number> {
  const [{ createLogUpdate }, { default: cursor }] = await Promise.all([
    import('log-update'),
    import('cli-cursor'),
  ]);
  const { session, output } = context;
  const update = createLogUpdate(process.stdout);
  const ending = new AbortController();
  const signal = context.signal ? AbortSignal.any([context.signal, ending.signal]) : ending.signal;
  let status: number = EXIT.ok;
  let head = '';
  let lines: string[] = [];
  let notice = '';
  const show = (): void => {
    const { columns = 80, rows = 24 } = process.stdout;
    const most = Math.max(1, rows - 2);
    const more = lines.length - most + 1;
    const shown = more > 1 ? [...lines.slice(0, most - 1), `... ${more} more lines`] : lines;
    const body = shown.map((line) => fitMarked(line, columns));
    update([output.bold(fit(head, columns)), ...body].join('\n'));
  };
  const keys = takeKeys({
    onKey: ({ name, ctrl }) => {
      if (name === 'q' || (ctrl && (name === 'c' || name === 'd'))) {
        status = ctrl && name === 'c' ? EXIT.interrupted : EXIT.ok;
        ending.abort();
      }
    },
    onSuspend: () => cursor.show(),
    onResume: show,
  });
  const before = session.notice;
  session.notice = (line) => {
    notice = line;
  };
  process.stdout.on('resize', show);
  try {
    while (!signal.aborted) {
      const body = await look(words, context, signal);
      if (signal.aborted) break;
      head = title(words, seconds, session.path);
      lines = [...(notice ? [visible(notice)] : []), '', ...body];
      show();
      await pause(seconds * 1000, signal);
    }
  } finally {
    process.stdout.off('resize', show);
    session.notice = before;
    keys.release();
    update.done();
  }
  return context.signal?.aborted ? EXIT.interrupted : status;
}

/** The reply's lines, or why there is none: a server that is being replaced comes back. */
async function look(
  words: readonly string[],
  { session, output }: Context,
  signal: AbortSignal,
): Promise<string[]> {
  try {
    const data = await session.ask({ words, repeatable: true, signal });
    return (output.json ? json(data) : replyText(words, data)).split('\n');
  } catch (error) {
    if (error instanceof WireError || !(error instanceof ShellError)) throw error;
    return [`Error: ${visible(error.message)}`];
  }
}
