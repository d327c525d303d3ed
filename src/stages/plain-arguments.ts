/**
 * A first look at the command line and the environment: how the first workers will be started, if nothing is out of the ordinary.
 * Runs in the arbiter of a built Kirin before its settings are known. A guess: whether it was right is found out before anything
 * that was started by it is used (`early.ts`), so that what is not understood here is only started later.
 */

import { byName, type LineOption, plainLine } from './plain-line.ts';

export interface PlainOption extends LineOption {
  /** Its key in a configuration. */
  key: string;
  /** Told to workers as what it is; a secret is not. */
  told: 'switch' | 'list' | 'value' | 'secret';
}

export interface PlainStart {
  app: string;
  workers: number;
  /** IPv4 alone, each with its port. */
  bind: readonly { host: string; port: number }[];
  /** As `cli/source.ts` tells workers what was typed. */
  typed: string;
}

/** What changes how a worker is started, or whether this process starts any. */
const NOT_PLAIN =
  /^(args|capture-output|chdir|compile-cache|config|daemon|dirty-.*|env|env-file|group|hang-stack|initgroups|inspect|ipv6-only|max-old-space-size|node-arg|preload|reload|reuse-port|root-path|threadpool-size|umask|user)$/;
const VARIABLE = /^(KIRIN_(APP|BIND|CMD_ARGS|CONFIG|DAEMON_FD|UPGRADE|WORKERS)|LISTEN_FDS)$/;
const IPV4_PORT = /^(\d{1,3}(?:\.\d{1,3}){3}):(\d{1,5})$/;
const COUNT = /^[1-9]\d{0,3}$/;
const PORT_MAX = 65_535;
const DEFAULT_BIND = '127.0.0.1:8000';

/** Undefined for whatever is not plain. */
export function plainStart(
  argv: readonly string[],
  env: Readonly<NodeJS.ProcessEnv>,
  options: readonly PlainOption[],
): PlainStart | undefined {
  const line = plainLine(argv, byName(options.filter(({ flag }) => !NOT_PLAIN.test(flag))));
  const [app, ...others] = line?.words ?? [];
  if (!line || app === undefined || app === 'inspect' || others.length > 0 || !isPlain(env)) return undefined;
  const { given } = line;
  const port = env['PORT']?.trim();
  const bind = (given.get('bind') ?? [port ? `0.0.0.0:${port}` : DEFAULT_BIND]).map(placeOf);
  const workers = given.get('workers')?.at(-1) ?? (env['WEB_CONCURRENCY']?.trim() || '1');
  if (!COUNT.test(workers) || bind.length === 0) return undefined;
  const places = bind.filter((place) => place !== undefined);
  if (places.length < bind.length) return undefined;
  const words: Record<string, unknown> = {};
  for (const { flag, key, told: kind } of options) {
    const values = given.get(flag);
    if (!values || kind === 'secret') continue;
    words[key] = kind === 'list' ? values : kind === 'switch' ? values.at(-1) === 'true' : values.at(-1);
  }
  return { app, workers: Number(workers), bind: places, typed: JSON.stringify({ app, options: words }) };
}

function isPlain(env: Readonly<NodeJS.ProcessEnv>): boolean {
  return !Object.keys(env).some(
    (name) => VARIABLE.test(name) || (name.startsWith('KIRIN_') && NOT_PLAIN.test(flagOf(name))),
  );
}

const flagOf = (variable: string): string =>
  variable.slice('KIRIN_'.length).toLowerCase().replaceAll('_', '-');

function placeOf(text: string): { host: string; port: number } | undefined {
  const [, host, digits] = IPV4_PORT.exec(text) ?? [];
  const port = Number(digits);
  return host === undefined || port > PORT_MAX ? undefined : { host, port };
}
