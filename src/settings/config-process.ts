/**
 * Evaluates a configuration file in a process of its own, which lives only as long as that takes. Runs in the
 * arbiter, to which nothing of the file comes but the result: a hang, a stray rejection, `process.exit`, a timer and
 * what its modules keep all end with that process.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { FaultError } from '../actors/fault-error.ts';
import type { Entries } from './plain-data.ts';

/** How long a configuration may take to make up its mind. */
const LOAD_MS = 30_000;
const RESULT_BYTES_MAX = 1024 * 1024;
const RESULT_FD = 3;
const ARBITER_FD = 4;

export interface Evaluation {
  env: NodeJS.ProcessEnv;
  /** Where `kirin` was started; the file's own directory stands in where that is gone. */
  directory: string;
  signal?: AbortSignal | undefined;
  /** Default 30,000. */
  limitMs?: number;
}

/** Throws a plain error of one line, or FaultError `order.superseded` (or the signal's own) when it is given up. */
export function evaluateConfig(path: string, evaluation: Evaluation): Promise<Entries> {
  const { env, directory, signal, limitMs = LOAD_MS } = evaluation;
  if (signal?.aborted) return Promise.reject(givenUp(signal));
  return new Promise((resolve, reject) => {
    const child = start(path, env, directory);
    let text = '';
    const settle = (end: () => void) => {
      clearTimeout(limit);
      signal?.removeEventListener('abort', abort);
      end();
    };
    const giveUp = (error: Error) =>
      settle(() => {
        reject(error);
        child.kill('SIGKILL');
        for (const stream of child.stdio) stream?.destroy();
      });
    const abort = () => giveUp(givenUp(signal!));
    const limit = setTimeout(
      () => giveUp(new Error(`took longer than ${limitMs / 1000} s to load`)),
      limitMs,
    );
    signal?.addEventListener('abort', abort);
    child.once('error', (error: NodeJS.ErrnoException) =>
      giveUp(new Error(`no process could be started for it (${error.code})`)),
    );
    (child.stdio[RESULT_FD] as Readable | undefined)?.setEncoding('utf8').on('data', (part: string) => {
      text += part;
      if (text.length > RESULT_BYTES_MAX) giveUp(new Error('is larger than 1 MiB'));
    });
    for (const stream of child.stdio) stream?.on('error', () => {});
    // With the exit the arbiter's end of descriptor 4 has no use any more, and would hold 'close' back.
    child.once('exit', () => child.stdio[ARBITER_FD]?.destroy());
    child.once('close', (code, by) =>
      settle(() => {
        try {
          resolve(entriesIn(text, by ?? `exit code ${code}`));
        } catch (error) {
          reject(error);
        }
      }),
    );
  });
}

function start(path: string, env: NodeJS.ProcessEnv, directory: string): ChildProcess {
  const entry = entryFile();
  const isThere = statSync(directory, { throwIfNoEntry: false })?.isDirectory();
  // Among the sources the entry is TypeScript. Options of Node come with NODE_OPTIONS; the arbiter's own stay its own.
  const options = entry.endsWith('.ts') ? ['--import', import.meta.resolve('tsx')] : [];
  return spawn(process.execPath, [...options, entry, path], {
    cwd: isThere ? directory : dirname(path),
    env,
    stdio: ['ignore', 2, 2, 'pipe', 'pipe'],
  });
}

/** Above this file's chunk in the package; beside this file among the sources. */
function entryFile(): string {
  const places = import.meta.url.endsWith('.ts') ? ['./config-entry.ts'] : ['../config.js', './config.js'];
  const files = places.map((place) => fileURLToPath(new URL(place, import.meta.url)));
  return files.find((file) => existsSync(file)) ?? files[0]!;
}

function entriesIn(text: string, end: string): Entries {
  let result: { entries: Entries } | { error: string };
  try {
    result = JSON.parse(text) as typeof result;
  } catch {
    throw new Error(`its process ended early (${end})`);
  }
  if ('error' in result) throw new Error(result.error);
  return result.entries;
}

const givenUp = ({ reason }: AbortSignal): Error =>
  reason instanceof FaultError
    ? reason
    : new FaultError('order.superseded', 'reading the settings was given up');
