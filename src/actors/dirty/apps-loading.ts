/**
 * From a found dirty app to its class: loads the module and checks what it exports. Runs in dirty workers, and in the
 * process that learns what the classes ask for before there are any.
 */
import type { DirtyAppSpec } from '../../machines/events/dirty.ts';
import { choose } from '../app.ts';
import { describe } from '../app-kinds.ts';
import { loadModule } from '../app-loader.ts';
import { FaultError } from '../fault-error.ts';
import { type DirtyClass, isDirtyClass } from './app.ts';
import type { FoundApp } from './apps.ts';

type Named = Pick<DirtyAppSpec, 'importPath' | 'path' | 'className'>;

/** Rejects with FaultError `app.notFound`, `app.loadFailed`, `app.exportMissing` or `app.notServable`. */
export async function loadDirtyClass({ importPath, path, className }: Named): Promise<DirtyClass> {
  const spec = { spec: importPath, path, exportName: className };
  const value = choose(spec, await loadModule(spec))?.value;
  if (isDirtyClass(value)) return value;
  throw new FaultError(
    'app.notServable',
    `${path}: its export ${className} is ${describe(value)}; a dirty app is a class that extends DirtyApp`,
  );
}

/** What is known of an app when its class is, too: the setting's number of workers beats the class's own. */
export async function inspectDirtyApp(found: FoundApp): Promise<DirtyAppSpec> {
  const Class = await loadDirtyClass(found);
  return {
    ...found,
    workers: found.workers ?? workersOf(found, Class),
    resources: resourcesOf(found, Class),
  };
}

function workersOf({ path, className }: Named, { workers }: DirtyClass): number | null {
  if (workers === undefined || workers === null) return null;
  if (isAmount(workers)) return workers;
  throw wrong(`${path}: ${className}.workers is ${shown(workers)}; it is a whole number from 1`);
}

function resourcesOf({ path, className }: Named, { resources }: DirtyClass): Record<string, number> {
  if (resources === undefined || resources === null) return {};
  const place = `${path}: ${className}.resources`;
  if (typeof resources !== 'object' || Array.isArray(resources))
    throw wrong(`${place} is ${describe(resources)}; it is an object such as { gpu: 1 }`);
  const entries = Object.entries(resources);
  for (const [name, amount] of entries)
    if (!isAmount(amount)) throw wrong(`${place}.${name} is ${shown(amount)}; it is a whole number from 1`);
  // As the setting has them.
  return Object.fromEntries(entries.map(([name, amount]) => [name.toLowerCase(), amount as number]));
}

const isAmount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 1;

const shown = (value: unknown): string => (typeof value === 'number' ? String(value) : describe(value));

const wrong = (message: string): FaultError => new FaultError('app.notServable', message);
