/**
 * The settings of a server, resolved from command line, environment, configuration file and defaults, in this
 * order. Runs in the arbiter; read at the start and afresh at each reload. The table itself is `settings/table.ts`.
 */
import { statSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { activationOf } from './actors/activation.ts';
import { startDirectory } from './actors/app-path.ts';
import { cgroupLimits } from './actors/cgroup.ts';
import { overlayEnv } from './actors/environment.ts';
import type { Learn } from './actors/redaction.ts';
import { type ConfigFile, findConfigFile, loadConfigFile } from './settings/config-file.ts';
import { refuseContradictions } from './settings/contradictions.ts';
import { IN_DEVELOPMENT } from './settings/development-table.ts';
import type { HookFile } from './settings/hooks-table.ts';
import { sharedMemory } from './settings/memory-share.ts';
import { invalid, parseValue } from './settings/parse.ts';
import { isList, variablesIn } from './settings/raw-values.ts';
import { SETTINGS, type Setting, type SettingKey, settingList, variableOf } from './settings/table.ts';
import { CONTROL_SOCKET, DEFAULTS, type Settings } from './settings/values.ts';

export type { Settings };

/**
 * Reads everything afresh but the command line. Throws FaultError `settings.invalid` with
 * one line; when `signal` aborts `order.superseded`, or the signal's own reason if that is a FaultError. `learn` is told of
 * variables as soon as they are read, before anything can go wrong with them.
 */
export type SettingsSource = (signal?: AbortSignal, learn?: Learn) => Promise<Settings>;

/** The command line, read once: what was typed for each setting, every repetition of it. */
export interface CommandLine {
  app?: string | undefined;
  config?: string | undefined;
  flags: Partial<Record<SettingKey, string[]>>;
  /** Those of `KIRIN_CMD_ARGS`. */
  variableFlags?: CommandLine['flags'] | undefined;
}

/** The origin of addresses that are given open. */
export const ACTIVATED = 'LISTEN_FDS';

/** Where the values of settings came from; what is not in there is the default. */
const origins = new WeakMap<Settings, ReadonlyMap<SettingKey | 'app', string>>();

/** Where a value came from: `--workers`, `KIRIN_WORKERS`, `"workers" in kirin.config.js`, `PORT`, or `default`. */
export const originOf = (settings: Settings, key: SettingKey | 'app'): string =>
  origins.get(settings)?.get(key) ?? 'default';

/** A source of settings for a command line; `env` and `directory` are the arbiter's own unless a test gives them. */
export function settingsSource(
  commandLine: CommandLine,
  env: NodeJS.ProcessEnv = process.env,
  directory: string = startDirectory(),
): SettingsSource {
  return (signal, learn) => new Reading(commandLine, env, directory, signal).settings(learn);
}

/** A value as it was found, and where. */
interface Found {
  raw: unknown;
  origin: string;
  /** A relative path is taken from where it was written: the file's directory, or where `kirin` was started. */
  directory: string;
}

/** One reading of all sources. */
class Reading {
  readonly #commandLine: CommandLine;
  readonly #startDirectory: string;
  readonly #signal: AbortSignal | undefined;
  #env: NodeJS.ProcessEnv;
  #file: ConfigFile | undefined;

  constructor(
    commandLine: CommandLine,
    env: NodeJS.ProcessEnv,
    directory: string,
    signal: AbortSignal | undefined,
  ) {
    this.#commandLine = commandLine;
    this.#signal = signal;
    this.#env = env;
    this.#startDirectory = directory;
  }

  /** In the order in which they need each other: directory, file, environment files, everything else. */
  async settings(learn: Learn = () => {}): Promise<Settings> {
    this.#file = await this.#configFile(this.#chdir() ?? this.#startDirectory);
    const chdir = this.#chdir();
    const envFile = (this.#value('envFile') as string[] | undefined) ?? [];
    learn(variablesIn(this.#find('env')?.raw));
    const env = (this.#value('env') as Record<string, string> | undefined) ?? {};
    learn(overlayEnv({}, envFile, {}));
    this.#env = overlayEnv(this.#env, envFile, env);

    const resolved: Record<string, unknown> = {
      ...DEFAULTS,
      ...(this.#value('reload') === true ? IN_DEVELOPMENT : {}),
      controlSocket: resolve(this.#startDirectory, CONTROL_SOCKET),
    };
    const found = new Map<SettingKey | 'app', string>();
    for (const { key } of settingList) {
      const value = this.#value(key);
      if (value === undefined) continue;
      resolved[key] = value;
      found.set(key, this.#find(key)!.origin);
    }
    if (resolved['maxMemoryBytes'] === 'auto')
      resolved['maxMemoryBytes'] = sharedMemory(resolved['workers'] as number, cgroupLimits());
    this.#takeSockets(resolved, found);
    const { app, origin } = this.#app();
    found.set('app', origin);
    const hooks = this.#hooks();
    const settings = {
      ...(resolved as unknown as Settings),
      app,
      chdir,
      envFile,
      env,
      hooks,
      configFile: this.#file?.path,
    };
    refuseContradictions(settings);
    origins.set(settings, found);
    return settings;
  }

  /** As in Gunicorn: sockets that are given count more than addresses that are asked for. */
  #takeSockets(resolved: Record<string, unknown>, found: Map<SettingKey | 'app', string>): void {
    const activation = activationOf(process.env);
    if (!activation) return;
    resolved['bind'] = activation.addresses;
    const origin = found.get('bind');
    found.set('bind', origin === undefined || origin === 'PORT' ? ACTIVATED : `${ACTIVATED}, not ${origin}`);
  }

  #hooks(): HookFile | undefined {
    const { path: file, hooks: names } = this.#file ?? {};
    return file === undefined || !names?.length ? undefined : { file, names };
  }

  #chdir(): string | undefined {
    const found = this.#find('chdir');
    if (!found) return undefined;
    const path = parseValue(SETTINGS.chdir, found.raw, {
      ...found,
      directory: this.#startDirectory,
    }) as string;
    if (!statSync(path, { throwIfNoEntry: false })?.isDirectory())
      throw invalid(`${found.origin}: there is no directory ${path}`);
    return path;
  }

  async #configFile(directory: string): Promise<ConfigFile | undefined> {
    // A variable of a script that is not set: what it was to name must not be done without.
    if (this.#commandLine.config === '') throw invalid('--config must be a path, not ""');
    const given = this.#commandLine.config ?? (this.#env['KIRIN_CONFIG'] || undefined);
    const path = given ? resolve(this.#startDirectory, given) : findConfigFile(directory);
    if (path === undefined) return undefined;
    const evaluation = { env: this.#env, directory: this.#startDirectory, signal: this.#signal };
    return await loadConfigFile(path, evaluation);
  }

  #app(): { app: string; origin: string } {
    const written = this.#file?.values.get('app');
    const sources: [unknown, string][] = [
      [this.#commandLine.app, 'command line'],
      [this.#env['KIRIN_APP'] || undefined, 'KIRIN_APP'],
      [written?.raw, `"app" in ${basename(this.#file?.path ?? '')}`],
    ];
    const [app, origin] = sources.find(([raw]) => raw !== undefined) ?? [undefined, ''];
    if (typeof app === 'string' && app !== '') return { app, origin };
    if (app !== undefined) throw invalid(`app must be MODULE[:EXPORT], not "${JSON.stringify(app)}"`);
    throw invalid('no app given: kirin [options] MODULE[:EXPORT], such as "kirin app.js" (see kirin --help)');
  }

  #value(key: SettingKey): unknown {
    const found = this.#find(key);
    return found && parseValue(SETTINGS[key], found.raw, found);
  }

  #find(key: SettingKey): Found | undefined {
    return (
      this.#fromFlag(key, this.#commandLine.flags) ??
      this.#fromFlag(key, this.#commandLine.variableFlags, ' in KIRIN_CMD_ARGS') ??
      this.#fromEnvironment(key) ??
      this.#fromFile(key) ??
      this.#fromPlatform(key)
    );
  }

  #fromFlag(key: SettingKey, flags: CommandLine['flags'] = {}, where = ''): Found | undefined {
    const setting: Setting = SETTINGS[key];
    const given = flags[key];
    if (!given?.length) return undefined;
    // A single value is the last one typed, so that a wrapper script's can be overridden by appending.
    const raw = isList(setting) ? given : given.at(-1);
    return { raw, origin: `--${setting.flag}${where}`, directory: this.#startDirectory };
  }

  /** An empty variable is as good as none. */
  #fromEnvironment(key: SettingKey): Found | undefined {
    const setting: Setting = SETTINGS[key];
    const origin = variableOf(setting);
    const text = origin && this.#env[origin]?.trim();
    if (!origin || !text) return undefined;
    const raw = isList(setting) ? text.split(',').map((part) => part.trim()) : text;
    return { raw, origin, directory: this.#startDirectory };
  }

  /** What the platform says ($PORT, $WEB_CONCURRENCY) is a default: whatever was written for Kirin comes first. */
  #fromPlatform(key: SettingKey): Found | undefined {
    if (key === 'bind') return this.#fromPort();
    const origin = (SETTINGS[key] as Setting).fieldVariable;
    const raw = origin && this.#env[origin]?.trim();
    return origin && raw ? { raw, origin, directory: this.#startDirectory } : undefined;
  }

  /** Platforms that set $PORT route to it from outside, hence every interface. */
  #fromPort(): Found | undefined {
    const text = this.#env['PORT']?.trim();
    if (!text) return undefined;
    if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535)
      throw invalid(`PORT must be a whole number from 0 to 65535, not "${text}"`);
    return { raw: [`0.0.0.0:${Number(text)}`], origin: 'PORT', directory: this.#startDirectory };
  }

  #fromFile(key: SettingKey): Found | undefined {
    const written = this.#file?.values.get(key);
    if (!this.#file || !written) return undefined;
    const { path } = this.#file;
    return { raw: written.raw, origin: `"${written.key}" in ${basename(path)}`, directory: dirname(path) };
  }
}

/** The settings in force after a reload: those it can change are new, the others stay; the app and its directory are new. */
export function inForce(first: Settings, reloaded: Settings): Settings {
  const kept = settingList.filter(({ reloadable }) => !reloadable).map(({ key }) => key);
  const effective = { ...reloaded, ...Object.fromEntries(kept.map((key) => [key, first[key]])) } as Settings;
  const found = new Map(origins.get(reloaded));
  for (const key of kept) found.set(key, originOf(first, key));
  origins.set(effective, found);
  return effective;
}

/** The settings (by flag) that differ and that a reload cannot change. */
export function needsRestart(before: Settings, after: Settings): string[] {
  return settingList
    .filter(
      ({ key, reloadable }) => !reloadable && JSON.stringify(before[key]) !== JSON.stringify(after[key]),
    )
    .map(({ flag }) => `--${flag}`)
    .concat(before.dirtyWorkers > 0 === after.dirtyWorkers > 0 ? [] : ['--dirty-workers (to or from 0)']);
}
