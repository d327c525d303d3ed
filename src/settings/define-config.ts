/** For those who write a configuration file in TypeScript, or in an editor that completes. Runs where the file is evaluated. */
import type { ConfigKeys, OtherKeys } from './config.ts';
import type { Hooks } from './hook-types.ts';
import type { HookName } from './hooks-table.ts';
import type { TypedOptions } from './typed-options.ts';

type Snake<S extends string> = S extends `${infer First}${infer Rest}`
  ? `${First extends Lowercase<First> ? First : `_${Lowercase<First>}`}${Snake<Rest>}`
  : '';

type Camel<S extends string> = S extends `${infer Head}_${infer Rest}`
  ? `${Head}${Capitalize<Camel<Rest>>}`
  : S;

/** `other_name` and `otherName` for `OtherKeys`, and `snake_case` for all. */
type Spelled = ConfigKeys & {
  [K in keyof ConfigKeys as Snake<K>]?: ConfigKeys[K];
} & {
  [K in keyof OtherKeys as K | Snake<K>]?: ConfigKeys[OtherKeys[K]];
};

/** Functions that are called when something happens: docs/hooks.md. */
type HookFunctions = { [K in HookName as K | Camel<K>]?: Hooks[Camel<K> & keyof Hooks] };

/** What a configuration file may hold; undefined: not given. */
export type Config = { [K in keyof (Spelled & HookFunctions)]?: (Spelled & HookFunctions)[K] | undefined };

/** An object, or a function that makes one, given what was typed on the command line. */
export type ConfigExport = Config | ((typed: TypedOptions) => Config | Promise<Config>);

/**
 * Returns its argument: it is there for the types.
 *
 * @example
 * // kirin.config.ts
 * export default defineConfig({ app: 'app.ts', workers: 'auto', gracefulTimeout: 10 });
 */
export function defineConfig(config: ConfigExport): ConfigExport {
  return config;
}
