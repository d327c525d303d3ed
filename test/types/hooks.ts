/** Every hook of the table has a type for whoever writes a configuration, and no other has. Compiled, never run. */
import { defineConfig, type Hooks } from '../../src/index.ts';
import type { HookName } from '../../src/settings/hooks-table.ts';

type Camel<S extends string> = S extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<Camel<Tail>>}`
  : S;
type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false;

export const everyHookHasItsType: Same<keyof Hooks, Camel<HookName>> = true;

export const config: Hooks & { workers: number } = {
  workers: 2,
  workerInit: ({ slot, age }) => slot + age,
  childExit: async ({ reason }) => reason?.toUpperCase(),
  preRequest: ({ request }) => request.headers.host,
  // @ts-expect-error: a hook is a function
  onExit: 3,
};

export const configured = defineConfig({
  workers: 2,
  child_exit: ({ signal }) => signal?.startsWith('SIG'),
  postRequest: ({ response, durationMs }) => response.statusCode + durationMs,
});
