/**
 * Evaluates a configuration file in a process of its own. Runs in the arbiter, to which nothing of the file comes but the
 * result.
 */
import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import { askOnce } from '../actors/one-shot/ask.ts';
import type { HookName } from './hooks-table.ts';
import type { Entries } from './plain-data.ts';

/** How long a configuration may take to make up its mind. */
const LOAD_MS = 30_000;
/** Above this file's chunk in the package; beside this file among the sources. */
const ENTRIES = import.meta.url.endsWith('.ts') ? ['./config-entry.ts'] : ['../config.js', './config.js'];

export interface Evaluation {
  env: NodeJS.ProcessEnv;
  /** Where `kirin` was started; the file's own directory stands in where that is gone. */
  directory: string;
  signal?: AbortSignal | undefined;
  /** Default 30,000. */
  limitMs?: number;
}

/** What a file says: its settings, and which hooks it has. */
export interface Evaluated {
  entries: Entries;
  hooks: HookName[];
}

/** Throws a plain error of one line, or FaultError `order.superseded` (or the signal's own) when it is given up. */
export async function evaluateConfig(path: string, evaluation: Evaluation): Promise<Evaluated> {
  const { env, directory, signal, limitMs = LOAD_MS } = evaluation;
  const isThere = statSync(directory, { throwIfNoEntry: false })?.isDirectory();
  return (await askOnce({
    entries: ENTRIES.map((place) => new URL(place, import.meta.url)),
    argument: path,
    env,
    cwd: isThere ? directory : dirname(path),
    signal,
    limitMs,
    doing: 'reading the settings',
  })) as Evaluated;
}
