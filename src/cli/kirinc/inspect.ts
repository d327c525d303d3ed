/** `inspect [PORT | HOST:PORT] [--control]`: the live inspector's page, served from here, of the server whose socket this is. */
import { DistantStage } from '../../actors/inspect/door/distant-stage.ts';
import { serveStandAlone } from '../../actors/inspect/door/stand-alone.ts';
import type { Message } from '../../actors/inspect/records.ts';
import { type Context, dataOf, EXIT, ShellError, told } from './core.ts';
import { GONE_MS, untilGone } from './lookout.ts';

const CONTROL = '--control';
const USAGE = 'usage: inspect [PORT | HOST:PORT] [--control]';

export async function inspect(rest: readonly string[], context: Context): Promise<number> {
  const flags = rest.filter((word) => word.startsWith('-'));
  const [where, ...more] = rest.filter((word) => !word.startsWith('-'));
  const unknown = flags.find((word) => word !== CONTROL) ?? more[0];
  if (unknown !== undefined) throw new ShellError(`Unexpected argument for inspect: ${unknown} (${USAGE})`);
  const { session, output } = context;
  const signal = context.signal ?? new AbortController().signal;
  // A server that is not there, or knows no inspector, is told before a page is served.
  const stats = dataOf(await session.ask({ words: ['show', 'stats'], repeatable: true, signal }));
  const stage = new DistantStage({
    inspect(take, ended) {
      const stopped = new AbortController();
      session
        .ask({
          words: ['inspect'],
          repeatable: true,
          signal: stopped.signal,
          onProgress: (data) => take(data as unknown as Message),
        })
        .then(
          () => ended('the server has ended it'),
          (error: Error) => ended(error.message),
        );
      return () => stopped.abort();
    },
    command: async (words) =>
      dataOf(
        await session.ask({
          words,
          repeatable: false,
          // What waits has no limit of time, and says on the way what it does.
          ...(words.includes('--wait') ? { onProgress: () => {} } : {}),
        }),
      ),
  });
  const over = new AbortController();
  const stopped = AbortSignal.any([signal, over.signal]);
  // Nothing is asked of it while no page is open, and a page waits for a server that comes back.
  void untilGone(session.path, stopped).then(() => over.abort());
  try {
    await serveStandAlone({
      stage,
      where,
      controls: flags.includes(CONTROL),
      signal: stopped,
      say: (line) => output.remark(`${line}, of the server with pid ${stats['pid']}`),
    });
  } catch (error) {
    // A port that is taken, or no address.
    throw error instanceof Error && error.name === 'FaultError' ? new ShellError(error.message) : error;
  } finally {
    over.abort();
  }
  if (!signal.aborted)
    throw new ShellError(
      told('The server has ended', session.path, `nobody has listened there for ${GONE_MS / 1000} s`),
    );
  return EXIT.ok;
}
