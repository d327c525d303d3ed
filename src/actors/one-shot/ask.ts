/**
 * Runs somebody else's code once, in a process of its own, which lives only as long as that takes. Runs in the arbiter, to
 * which nothing of that code comes but the result: a hang, a stray rejection, `process.exit`, a timer and what its modules
 * keep all end with that process. The other side is `answer.ts`.
 */
import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { killChild } from '../child-kill.ts';
import { stdioOf } from '../child-stdio.ts';
import { FaultError } from '../fault-error.ts';
import { type Identity, spawnAs } from '../identity.ts';
import { childStdio, inheritedEnv } from '../inherited.ts';
import { OWNER_FD } from '../owner.ts';
import { spawn } from '../priority.ts';

const RESULT_BYTES_MAX = 1024 * 1024;
const RESULT_FD = 3;

export interface OneShot {
  /** The file that it runs: one of these, the first that is there. */
  entries: readonly URL[];
  argument: string;
  env: NodeJS.ProcessEnv;
  cwd: string;
  /** Options of Node.js. */
  nodeArgs?: readonly string[] | undefined;
  /** Whose its process is to be. Default: the arbiter's own. */
  identity?: Identity | undefined;
  signal?: AbortSignal | undefined;
  limitMs: number;
  /** What it does, for the error of being given up. */
  doing: string;
}

/** The JSON it told. Throws a plain error of one line, or FaultError `order.superseded` (or the signal's own). */
export function askOnce(shot: OneShot): Promise<unknown> {
  const { signal, limitMs } = shot;
  if (signal?.aborted) return Promise.reject(givenUp(shot));
  return new Promise((resolve, reject) => {
    const child = start(shot);
    let text = '';
    const settle = (end: () => void) => {
      clearTimeout(limit);
      signal?.removeEventListener('abort', abort);
      end();
    };
    const giveUp = (error: Error) =>
      settle(() => {
        reject(error);
        killChild(child);
        for (const stream of stdioOf(child)) stream?.destroy();
      });
    const abort = () => giveUp(givenUp(shot));
    const limit = setTimeout(
      () => giveUp(new Error(`took longer than ${limitMs / 1000} s to load`)),
      limitMs,
    );
    signal?.addEventListener('abort', abort);
    child.once('error', (error: NodeJS.ErrnoException) =>
      giveUp(new Error(`no process could be started for it (${error.code})`)),
    );
    stdioOf(child)
      [RESULT_FD]?.setEncoding('utf8')
      .on('data', (part: string) => {
        text += part;
        if (text.length > RESULT_BYTES_MAX) giveUp(new Error('is larger than 1 MiB'));
      });
    for (const stream of stdioOf(child)) stream?.on('error', () => {});
    // With the exit the arbiter's end of it has no use any more, and would hold 'close' back.
    child.once('exit', () => stdioOf(child)[OWNER_FD]?.destroy());
    child.once('close', (code, by) =>
      settle(() => {
        try {
          resolve(resultIn(text, by ?? `exit code ${code}`));
        } catch (error) {
          reject(error);
        }
      }),
    );
  });
}

function start({ entries, argument, env, cwd, nodeArgs = [], identity }: OneShot): ChildProcess {
  const files = entries.map((entry) => fileURLToPath(entry));
  const file = files.find((one) => existsSync(one)) ?? files[0]!;
  // Among the sources the entry is TypeScript. Options of Node come with NODE_OPTIONS; the arbiter's own stay its own.
  const options = file.endsWith('.ts') ? ['--import', import.meta.resolve('tsx')] : [];
  return spawn(process.execPath, [...options, ...nodeArgs, file, argument], {
    cwd,
    ...spawnAs(identity, inheritedEnv(env)),
    stdio: childStdio(['ignore', 2, 2, 'pipe', 'pipe']),
  });
}

function resultIn(text: string, end: string): unknown {
  let result: { result: unknown } | { error: string };
  try {
    result = JSON.parse(text) as typeof result;
  } catch {
    throw new Error(`its process ended early (${end})`);
  }
  if ('error' in result) throw new Error(result.error);
  return result.result;
}

const givenUp = ({ signal, doing }: OneShot): Error =>
  signal?.reason instanceof FaultError
    ? signal.reason
    : new FaultError('order.superseded', `${doing} was given up`);
