/**
 * What the classes of dirty apps ask for (how many workers, which resources), learned in a process of its own before there are
 * any workers: that process loads their modules and makes no instance. Runs in the arbiter.
 */
import type { DirtyAppSpec } from '../../machines/events/dirty.ts';
import type { Fault } from '../../machines/faults.ts';
import { FaultError } from '../fault-error.ts';
import type { Identity } from '../identity.ts';
import { askOnce } from '../one-shot/ask.ts';
import type { FoundApp } from './apps.ts';

/** Above this file's chunk in the package; beside this file among the sources. */
const ENTRIES = import.meta.url.endsWith('.ts')
  ? ['../entry/dirty-inspect.ts']
  : ['../dirty-inspect.js', './dirty-inspect.js'];

export interface Inspection {
  cwd: string;
  env: Record<string, string>;
  nodeArgs: readonly string[];
  identity: Identity | undefined;
  signal: AbortSignal;
  limitMs: number;
}

/** Throws FaultError `app.*`, or `order.superseded` when it is given up. */
export async function inspectDirtyApps(found: FoundApp[], inspection: Inspection): Promise<DirtyAppSpec[]> {
  const { limitMs } = inspection;
  let result: { apps: DirtyAppSpec[] } | { fault: Fault };
  try {
    result = (await askOnce({
      ...inspection,
      limitMs: limitMs > 0 ? limitMs : 2 ** 31 - 1,
      entries: ENTRIES.map((place) => new URL(place, import.meta.url)),
      argument: JSON.stringify(found),
      doing: 'looking at the dirty apps',
    })) as typeof result;
  } catch (error) {
    if (error instanceof FaultError) throw error;
    const names = found.map(({ importPath }) => importPath).join(', ');
    throw new FaultError('app.loadFailed', `cannot load ${names}: ${(error as Error).message}`);
  }
  if ('fault' in result) throw new FaultError(result.fault.code, result.fault.message, result.fault.stack);
  return result.apps;
}
