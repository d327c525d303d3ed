/**
 * Loads the app's module: ES module, CommonJS or TypeScript. Runs in web workers, once in a process's life, so
 * that nothing is ever cached from an older version of the app.
 */
import { existsSync } from 'node:fs';
import { extname } from 'node:path';
import type { AppSpec } from '../machines/events/worker.ts';
import { errorLine, errorPlace } from './app-errors.ts';
import { FaultError } from './fault-error.ts';
import { type Exports, importMain } from './main-module.ts';
import { hopeful } from './patience.ts';
import { syntaxErrorPlace } from './syntax-error-place.ts';

export type { Exports };

const TYPESCRIPT = new Set(['.ts', '.mts', '.cts', '.tsx']);

/** What Node's type stripping cannot do, and the loader can. */
const UNSTRIPPABLE = new Set([
  'ERR_UNKNOWN_FILE_EXTENSION',
  'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX',
  'ERR_UNSUPPORTED_NODE_MODULES_TYPE_STRIPPING',
]);

/** Told what the app's module threw, as it was thrown. */
let onLoadFailure: ((error: unknown) => void) | undefined;
export const watchLoadFailure = (watch: (error: unknown) => void): void => {
  onLoadFailure = watch;
};

/** Imports the app's module. Rejects with app.notFound or app.loadFailed. */
export async function loadModule({ spec, path }: AppSpec): Promise<Exports> {
  if (!existsSync(path)) throw new FaultError('app.notFound', `no such app: ${path} (from ${spec})`);
  try {
    return await hopeful(
      importModule(path),
      () => new Error('it never finished: its top-level await waits for ever'),
    );
  } catch (error) {
    onLoadFailure?.(error);
    throw await loadFault(path, error);
  }
}

async function importModule(path: string): Promise<Exports> {
  if (!TYPESCRIPT.has(extname(path))) return importMain(path);
  const stripping = (process.features as { typescript?: unknown }).typescript;
  if (stripping) {
    try {
      return await importMain(path);
    } catch (error) {
      if (!UNSTRIPPABLE.has((error as NodeJS.ErrnoException)?.code ?? '')) throw error;
    }
  }
  // No cache on disk: it would lie in a folder that others may write to.
  const { createJiti } = await import('jiti');
  return createJiti(import.meta.url, { fsCache: false, interopDefault: false }).import(path);
}

async function loadFault(path: string, error: unknown): Promise<FaultError> {
  let place = errorPlace(error);
  let stack = error instanceof Error ? error.stack : undefined;
  if (error instanceof SyntaxError && place === undefined) {
    // Node keeps the place of an ES module's syntax error to itself.
    const found = await syntaxErrorPlace(path);
    if (found !== undefined) {
      place = found.place;
      stack = found.text;
    }
  }
  const line = `cannot load ${path}: ${errorLine(error)}`;
  return new FaultError('app.loadFailed', place === undefined ? line : `${line} (${place})`, stack);
}
