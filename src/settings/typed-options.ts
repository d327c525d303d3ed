/**
 * What was typed, for a configuration that is a function. It comes in the environment, since a configuration is evaluated in
 * several processes: for its settings, and wherever its hooks are called. Runs in all of these.
 */
import type { ConfigKeys } from './config.ts';

export const TYPED_VARIABLE = 'KIRIN_COMMAND_LINE';

export interface TypedOptions {
  /** The app, if it was on the command line. */
  readonly app?: string | undefined;
  /** As text, lists as lists, switches as true; by the keys of a configuration. No values of `env`, no tokens. */
  readonly options: { readonly [K in keyof ConfigKeys]?: string | true | readonly string[] };
}

/** Nothing typed where the variable is missing or is somebody else's. */
export function typedIn(env: NodeJS.ProcessEnv): TypedOptions {
  try {
    const { app, options } = JSON.parse(env[TYPED_VARIABLE] ?? '') as TypedOptions;
    return { app, options: { ...options } };
  } catch {
    return { options: {} };
  }
}
