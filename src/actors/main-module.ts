/**
 * Loads the app's file the way `node app.js` would: as the main module. Runs in web workers, once.
 *
 * A script that starts itself only under `if (require.main === module)`, `if (!module.parent)` or
 * `if (import.meta.main)` thus starts itself. Node has no public way for that; `Module._load` and `Module.runMain` are
 * what every tool that runs scripts (ts-node, PM2, nyc) is built on, and used in this one file.
 */
import { readFileSync } from 'node:fs';
import Module from 'node:module';
import { dirname, extname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { compileFunction } from 'node:vm';

/** A module's namespace: what it exports, by name. */
export type Exports = Record<string, unknown>;

interface ModuleInternals {
  /** Loads a CommonJS file; returns its exports, throws what it throws. */
  _load(path: string, parent: null, isMain: boolean): unknown;
  /** Node's own start of a main module. What an ES module throws is an uncaught exception. */
  runMain(path: string): void;
}

const { _load, runMain } = Module as unknown as ModuleInternals;

/** Runs the file as the main module, and gives what it exports. Rejects with what it throws. */
export async function importMain(path: string): Promise<Exports> {
  const { href } = pathToFileURL(path);
  if (isCommonJs(path)) {
    _load.call(Module, path, null, true);
    // From the cache; this way the names of its exports are those that any importer sees.
    return import(href);
  }
  if (!/\bimport\s*\.\s*meta\s*\.\s*main\b/.test(textOf(path))) return import(href);
  const failed = uncaughtMeanwhile();
  try {
    runMain.call(Module, path);
    // The same module: it is loaded once for one URL.
    return await Promise.race([import(href), failed.error]);
  } finally {
    // Node tells of the failure as an uncaught exception too, before or after the import is rejected.
    setImmediate(failed.stop);
  }
}

/** The first uncaught exception; not one that the app itself takes care of. */
function uncaughtMeanwhile() {
  let onUncaught: (error: unknown) => void = () => {};
  const error = new Promise<never>((_, reject) => {
    onUncaught = (thrown) => {
      if (process.listenerCount('uncaughtException') === 1) reject(thrown);
    };
  });
  error.catch(() => {});
  process.on('uncaughtException', onUncaught);
  return { error, stop: () => void process.removeListener('uncaughtException', onUncaught) };
}

/** Whether Node takes the file for CommonJS: by its ending, its package, or, where neither says it, by its text. */
function isCommonJs(path: string): boolean {
  const ending = extname(path);
  if (ending === '.cjs' || ending === '.cts') return true;
  if (ending === '.mjs' || ending === '.mts') return false;
  const type = packageType(path);
  if (type !== undefined) return type === 'commonjs';
  return ending === '.ts' || ending === '.tsx'
    ? !/^\s*(import\b\s*[^(\s.]|export\b)/m.test(textOf(path))
    : compiles(textOf(path));
}

/** The "type" of the package that the file is in; undefined where it has none. */
function packageType(path: string): 'commonjs' | 'module' | undefined {
  for (let directory = dirname(path); ; directory = dirname(directory)) {
    try {
      const { type } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as {
        type?: unknown;
      };
      return type === 'module' || type === 'commonjs' ? type : undefined;
    } catch (error) {
      // One that cannot be understood is Node's to complain about.
      if (!isMissing(error) || directory === dirname(directory)) return undefined;
    }
  }
}

const isMissing = (error: unknown) =>
  ['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '');

const MODULE_SYNTAX = /\b(import|export|await)\b/;
const WRAPPED_IN = ['exports', 'require', 'module', '__filename', '__dirname'];

/** Whether the text is a CommonJS module; only one that might be an ES module is parsed to find out. */
function compiles(text: string): boolean {
  if (!MODULE_SYNTAX.test(text)) return true;
  try {
    compileFunction(text.replace(/^#!.*/, ''), WRAPPED_IN);
    return true;
  } catch {
    return false;
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
