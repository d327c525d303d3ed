/**
 * The environment of a generation's workers. Runs in the arbiter, whose own environment is the base and cannot
 * change while it runs; files and pairs are read afresh with each generation.
 */
import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import type { Settings } from '../settings.ts';
import { FaultError } from './fault-error.ts';
import { rootOf } from './heads/spec.ts';

const ENV_FILE_BYTES_MAX = 1024 * 1024;

/** The base, then each file (a later one wins), then the pairs. */
export function overlayEnv(
  base: NodeJS.ProcessEnv,
  files: readonly string[],
  pairs: Readonly<Record<string, string>>,
): Record<string, string> {
  const merged: Record<string, string> = {};
  for (const layer of [base, ...files.map(readEnvFile), pairs])
    for (const [name, value] of Object.entries(layer)) if (value !== undefined) merged[name] = value;
  return merged;
}

/** What a worker of these settings finds in `process.env`, before Kirin's own variables are added. */
export const generationEnv = (
  settings: Settings,
  base: NodeJS.ProcessEnv = process.env,
): Record<string, string> =>
  overlayEnv(
    {
      ...(settings.reload ? { NODE_ENV: 'development' } : {}),
      ...base,
      ...(settings.rootPath === undefined ? {} : { KIRIN_ROOT_PATH: rootOf(settings.rootPath) }),
    },
    settings.envFile,
    settings.env,
  );

/**
 * The same with `PORT` as the first TCP port that is served, since scripts listen there and tell others of it; one that
 * was given for the workers alone (`--env PORT=...`) stays.
 */
export function withPort(
  env: Record<string, string>,
  given: Readonly<Record<string, string>>,
  listeners: readonly { address: string; type: string }[],
): Record<string, string> {
  const tcp = listeners.find(({ type }) => type !== 'unix');
  const port = tcp && /:(\d+)$/.exec(tcp.address)?.[1];
  return port === undefined || Object.hasOwn(given, 'PORT') ? env : { ...env, PORT: port };
}

function readEnvFile(path: string): NodeJS.Dict<string> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'there is no such file' : code === 'EACCES' ? 'permission denied' : code;
    throw new FaultError('settings.invalid', `cannot read the environment file ${path}: ${why}`);
  }
  if (text.length > ENV_FILE_BYTES_MAX || text.includes('\0'))
    throw new FaultError('settings.invalid', `${path} is no environment file: it is too large, or binary`);
  return parseEnv(text);
}
