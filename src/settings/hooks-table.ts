/**
 * Every hook, once: a function in the configuration file that is called when something happens. Names are Gunicorn's where it has
 * the hook; in camelCase too. What a hook is given, and what becomes of one that fails, is in docs/hooks.md.
 */
import { camel } from './camel.ts';

/**
 * Whose process calls it: a worker its own, web or dirty; the arbiter and the dirty arbiter a process that is kept for hooks.
 * Those of requests are called by the web worker on the way of each request.
 */
export type HookPlace = 'arbiter' | 'worker' | 'dirtyArbiter' | 'dirtyWorker';

interface Hook {
  place: HookPlace;
  /** What Gunicorn calls it, where that is another name. */
  gunicorn?: string;
}

export const HOOKS = {
  on_starting: { place: 'arbiter' },
  when_ready: { place: 'arbiter' },
  on_reload: { place: 'arbiter' },
  on_exit: { place: 'arbiter' },
  pre_spawn: { place: 'arbiter', gunicorn: 'pre_fork' },
  post_spawn: { place: 'worker', gunicorn: 'post_fork' },
  worker_init: { place: 'worker' },
  worker_ready: { place: 'worker', gunicorn: 'post_worker_init' },
  worker_abort: { place: 'arbiter' },
  worker_exit: { place: 'worker' },
  child_exit: { place: 'arbiter' },
  nworkers_changed: { place: 'arbiter' },
  pre_request: { place: 'worker' },
  post_request: { place: 'worker' },
  pre_upgrade: { place: 'arbiter', gunicorn: 'pre_exec' },
  on_dirty_starting: { place: 'dirtyArbiter' },
  dirty_post_fork: { place: 'dirtyWorker' },
  dirty_worker_init: { place: 'dirtyWorker' },
  dirty_worker_exit: { place: 'dirtyArbiter' },
} as const satisfies Record<string, Hook>;

export type HookName = keyof typeof HOOKS;

export const hookNames = Object.keys(HOOKS) as HookName[];

/** The hooks that a configuration file has. */
export interface HookFile {
  /** Its absolute path. */
  readonly file: string;
  readonly names: readonly HookName[];
}

const BY_KEY = new Map(
  hookNames.flatMap((name): [string, HookName][] => {
    const { gunicorn }: Hook = HOOKS[name];
    return [name, ...(gunicorn ? [gunicorn] : [])].flatMap((key): [string, HookName][] => [
      [key, name],
      [camel(key), name],
    ]);
  }),
);

/** Hooks of Gunicorn that cannot be here, and what to write instead. */
const STRANGE = new Map(
  Object.entries({
    worker_int: 'a worker takes no SIGINT here; worker_exit is called when it leaves',
    ssl_context: 'make the context in the app',
  }).flatMap(([key, why]): [string, string][] => [
    [key, why],
    [camel(key), why],
  ]),
);

/** The hook that a key of a configuration file stands for. */
export const hookOf = (key: string): HookName | undefined => BY_KEY.get(key);

/** Why there is no such hook, where Gunicorn has one. */
export const whyNoHook = (key: string): string | undefined => STRANGE.get(key);

/** Every way to write one. */
export const hookKeys = (): Iterable<string> => BY_KEY.keys();

/** Those of a file that are called in one place; undefined where there are none. */
export function hooksAt(place: HookPlace, hooks: HookFile | undefined): HookFile | undefined {
  const names = hooks?.names.filter((name) => HOOKS[name].place === place) ?? [];
  return hooks && names.length > 0 ? { file: hooks.file, names } : undefined;
}
