/**
 * What a configuration file exports. Runs in the process that evaluates it for its settings, and in those that call its hooks;
 * never in an arbiter.
 */
import { pathToFileURL } from 'node:url';
import { type HookName, hookKeys, hookOf, whyNoHook } from './hooks-table.ts';
import { didYouMean } from './suggest.ts';
import { typedIn } from './typed-options.ts';

/** The object itself; that of a function which makes it, given what was typed. Throws whatever the file throws. */
export async function configValue(path: string): Promise<unknown> {
  const { createJiti } = await import('jiti');
  const jiti = createJiti(pathToFileURL(path).href, { fsCache: false, tryNative: false });
  const exported: unknown = await jiti.import(path, { default: true });
  return typeof exported === 'function' ? await exported(typedIn(process.env)) : exported;
}

// biome-ignore lint/complexity/noBannedTypes: whatever the user wrote; it is looked at no closer before it is called.
export type Hooks = Map<HookName, Function>;

/** What is not a hook, and the hooks. Throws an error of one line for a hook that is no function, or is there twice. */
export function separateHooks(exported: unknown): { rest: unknown; hooks: Hooks } {
  const hooks: Hooks = new Map();
  if (typeof exported !== 'object' || exported === null || Array.isArray(exported))
    return { rest: exported, hooks };
  const rest: [string, unknown][] = [];
  const writtenAs = new Map<HookName, string>();
  for (const [key, value] of Object.entries(exported)) {
    const name = hookOf(key);
    if (name === undefined) {
      if (typeof value === 'function') refuseNearly(key);
      rest.push([key, value]);
    } else if (value === undefined) continue;
    else if (typeof value !== 'function')
      throw new Error(`"${key}" is a hook: a function, not ${value === null ? 'null' : `a ${typeof value}`}`);
    else if (hooks.has(name))
      throw new Error(`"${writtenAs.get(name)}" and "${key}" are the same hook; keep one`);
    else {
      hooks.set(name, value);
      writtenAs.set(name, key);
    }
  }
  return { rest: Object.fromEntries(rest), hooks };
}

/** A function can only have been meant as a hook. */
function refuseNearly(key: string): void {
  const why = whyNoHook(key);
  if (why !== undefined) throw new Error(`there is no hook "${key}": ${why}`);
  const hint = didYouMean(key, hookKeys());
  if (hint !== '') throw new Error(`there is no hook "${key}"${hint}`);
}
