/**
 * The configuration file: found, loaded afresh each time, and its keys checked. Runs in the arbiter. The loader
 * (jiti, for TypeScript on any Node) is imported only where there is a file.
 */
import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { invalid } from './parse.ts';
import { didYouMean } from './suggest.ts';
import { fileKeysOf, type SettingKey, settingList } from './table.ts';

const NAMES = ['ts', 'mts', 'js', 'mjs', 'cjs', 'json'].map((ending) => `kirin.config.${ending}`);
/** How long a configuration may take to make up its mind. */
const LOAD_MS = 30_000;

export interface ConfigFile {
  path: string;
  /** As written, by setting, with the key it was written under. */
  values: Map<SettingKey | 'app', { key: string; raw: unknown }>;
}

/** The file of `directory`, if it has one; two are an error, since one of them would be ignored. */
export function findConfigFile(directory: string): string | undefined {
  const found = NAMES.filter((name) => existsSync(join(directory, name)));
  if (found.length > 1)
    throw invalid(`${directory} has both ${found[0]} and ${found[1]}: keep one, or choose with --config`);
  return found[0] && join(directory, found[0]);
}

/** Loads a file that must exist. Its default export is an object, or a function (which may be async) that returns one. */
export async function loadConfigFile(path: string): Promise<ConfigFile> {
  const name = basename(path);
  if (!existsSync(path)) throw invalid(`--config: there is no file ${path}`);
  let loaded: unknown;
  try {
    loaded = await withinLimit(name, path.endsWith('.json') ? readJson(path) : evaluate(path));
  } catch (error) {
    throw invalid(`${name}: ${firstLine(error)}`);
  }
  if (typeof loaded !== 'object' || loaded === null || Array.isArray(loaded))
    throw invalid(`${name} must export an object by default, or a function that returns one`);
  return { path, values: assign(name, loaded as Record<string, unknown>) };
}

async function readJson(path: string): Promise<unknown> {
  return JSON.parse(readFileSync(path, 'utf8'));
}

async function evaluate(path: string): Promise<unknown> {
  const { createJiti } = await import('jiti');
  // Nothing is kept: neither in memory nor on disk nor by Node's own cache, so that a reload sees what is there.
  const jiti = createJiti(pathToFileURL(path).href, { moduleCache: false, fsCache: false, tryNative: false });
  const exported: unknown = await jiti.import(path, { default: true });
  return typeof exported === 'function' ? await exported() : exported;
}

function assign(name: string, object: Record<string, unknown>): ConfigFile['values'] {
  const values: ConfigFile['values'] = new Map();
  const owners = new Map<string, SettingKey | 'app'>([['app', 'app']]);
  for (const setting of settingList) for (const key of fileKeysOf(setting)) owners.set(key, setting.key);
  for (const [key, raw] of Object.entries(object)) {
    const owner = owners.get(key);
    if (owner === undefined)
      throw invalid(`${name}: unknown setting "${key}"${didYouMean(key, owners.keys())}`);
    if (raw === undefined) continue;
    const other = values.get(owner);
    if (other) throw invalid(`${name}: "${other.key}" and "${key}" are the same setting; keep one`);
    values.set(owner, { key, raw });
  }
  return values;
}

const firstLine = (error: unknown): string => {
  const text =
    error instanceof Error
      ? (error.name === 'Error' ? '' : `${error.name}: `) + error.message
      : String(error);
  return text.trim().split('\n', 1)[0]!;
};

async function withinLimit<T>(name: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`took longer than ${LOAD_MS / 1000} s to load (${name})`)),
      LOAD_MS,
    );
  });
  return await Promise.race([promise, limit]).finally(() => clearTimeout(timer));
}
