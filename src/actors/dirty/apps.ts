/**
 * Which dirty apps there are: `MODULE:CLASS[:N]`, found anew for each generation through symbolic links, like the web
 * app. Runs in the arbiter, before any of their code is loaded.
 */
import type { DirtyAppSpec } from '../../machines/events/dirty.ts';
import { resolveApp } from '../app-path.ts';
import { FaultError } from '../fault-error.ts';

/** More workers than this are a typing error. */
const WORKERS_MAX = 1024;
/** The wire has two bytes for an app; nobody has that many. */
const APPS_MAX = 1000;
const CLASS_NAME = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u;
const FORM = 'a dirty app is MODULE:CLASS[:WORKERS], such as ./ml.js:Model';

/** A dirty app as the settings name it. */
export interface NamedApp {
  module: string;
  className: string;
  /** The setting's; null: the class decides. */
  workers: number | null;
}

/** An app that is found and not yet loaded: of `workers` the class may have a word. */
export type FoundApp = Omit<DirtyAppSpec, 'resources'>;

/** Throws FaultError `settings.invalid`. A path may have colons: the last parts count. */
export function parseDirtyApp(text: string): NamedApp {
  const parts = text.split(':');
  let workers: number | null = null;
  if (parts.length > 1 && /^[-+]?\.?\d/.test(parts.at(-1)!)) workers = workersOf(text, parts.pop()!);
  const className = parts.pop() ?? '';
  const module = parts.join(':');
  if (module === '') throw invalid(text, `names no class: ${FORM}`);
  if (!CLASS_NAME.test(className))
    throw invalid(
      text,
      className === '' ? `names no class: ${FORM}` : `"${className}" is no name of a class: ${FORM}`,
    );
  return { module, className, workers };
}

function workersOf(text: string, number: string): number {
  const workers = /^\d+$/.test(number) ? Number(number) : 0;
  if (workers < 1 || workers > WORKERS_MAX)
    throw invalid(text, `"${number}" is no number of workers: it is a whole number from 1 to ${WORKERS_MAX}`);
  return workers;
}

/** Finds the modules, below `directory`, and numbers them. Throws FaultError `settings.invalid` and `app.notFound`. */
export function findDirtyApps(texts: readonly string[], directory: string): FoundApp[] {
  if (texts.length > APPS_MAX)
    throw new FaultError('settings.invalid', `--dirty-app: ${texts.length} apps, there may be ${APPS_MAX}`);
  const found = texts.map((text, number) => findDirtyApp(text, directory, number));
  const seen = new Map<string, string>();
  for (const [index, { path, className }] of found.entries()) {
    const same = seen.get(`${path}:${className}`);
    if (same !== undefined) throw invalid(texts[index]!, `is the same class as "${same}": name it once`);
    seen.set(`${path}:${className}`, texts[index]!);
  }
  return found;
}

function findDirtyApp(text: string, directory: string, number: number): FoundApp {
  const { module, className, workers } = parseDirtyApp(text);
  const importPath = `${module}:${className}`;
  const path = pathOf(importPath, directory) ?? rethrown(text, module, className, directory);
  return { importPath, number, path, className, workers };
}

function pathOf(importPath: string, directory: string): string | undefined {
  try {
    const { app } = resolveApp({ app: importPath, chdir: directory });
    return app.exportName === undefined ? undefined : app.path;
  } catch (error) {
    if (error instanceof FaultError && error.fault.code === 'app.notFound') return undefined;
    throw error;
  }
}

/** Of `./ml.js:Model:two` the number was meant to be one. */
function rethrown(text: string, module: string, className: string, directory: string): never {
  if (module.includes(':') && pathOf(module, directory) !== undefined) workersOf(text, className);
  resolveApp({ app: `${module}:${className}`, chdir: directory });
  throw invalid(text, `names a file, and no class: ${FORM}`);
}

const invalid = (text: string, why: string): FaultError =>
  new FaultError('settings.invalid', `--dirty-app: "${text}" ${why}`.replace('" "', '": "'));
