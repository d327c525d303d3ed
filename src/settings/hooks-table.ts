/**
 * Every hook, once: a function in the configuration file that is called when something happens. Names are Gunicorn's; in
 * camelCase too. What a hook is given, and what becomes of one that fails, is in docs/hooks.md.
 */
import { camel } from './camel.ts';

/** Whose process calls it: a dirty worker its own, the dirty arbiter a process that is kept for hooks. */
export type HookPlace = 'dirtyArbiter' | 'dirtyWorker';

export const HOOKS = {
  on_dirty_starting: { place: 'dirtyArbiter' },
  dirty_post_fork: { place: 'dirtyWorker' },
  dirty_worker_init: { place: 'dirtyWorker' },
  dirty_worker_exit: { place: 'dirtyArbiter' },
} as const satisfies Record<string, { place: HookPlace }>;

export type HookName = keyof typeof HOOKS;

export const hookNames = Object.keys(HOOKS) as HookName[];

/** The hooks that a configuration file has. */
export interface HookFile {
  /** Its absolute path. */
  readonly file: string;
  readonly names: readonly HookName[];
}

const BY_KEY = new Map(
  hookNames.flatMap((name): [string, HookName][] => [
    [name, name],
    [camel(name), name],
  ]),
);

/** The hook that a key of a configuration file stands for. */
export const hookOf = (key: string): HookName | undefined => BY_KEY.get(key);

/** Every way to write one. */
export const hookKeys = (): Iterable<string> => BY_KEY.keys();
