/**
 * The configuration file: found, loaded afresh each time, and its keys checked. Runs in the arbiter; the file itself
 * is evaluated elsewhere (`config-process.ts`).
 */
import { existsSync, lstatSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { FaultError } from '../actors/fault-error.ts';
import { CONFIG_FILES } from './config-names.ts';
import { type Evaluated, type Evaluation, evaluateConfig } from './config-process.ts';
import { whyNotHere } from './gunicorn-only.ts';
import { type HookName, hookKeys, hookOf } from './hooks-table.ts';
import { oneLine } from './one-line.ts';
import { invalid } from './parse.ts';
import { type Entries, plainEntries } from './plain-data.ts';
import { whyPm2 } from './pm2-words.ts';
import { didYouMean } from './suggest.ts';
import { fileKeysOf, type SettingKey, settingList } from './table.ts';

/** So many that are not known are told; the line is to be read. */
const UNKNOWN_MAX = 5;

export interface ConfigFile {
  path: string;
  /** As written, by setting, with the key it was written under. */
  values: Map<SettingKey | 'app', { key: string; raw: unknown }>;
  /** The hooks it has. */
  hooks: HookName[];
}

/** The file of `directory`, if it has one; two are an error, since one of them would be ignored. */
export function findConfigFile(directory: string): string | undefined {
  // A link that leads nowhere is found too: a server must not start without the settings it was meant to have.
  const found = CONFIG_FILES.filter((name) => lstatSync(join(directory, name), { throwIfNoEntry: false }));
  if (found.length > 1)
    throw invalid(`${directory} has both ${found[0]} and ${found[1]}: keep one, or choose with --config`);
  return found[0] && join(directory, found[0]);
}

/**
 * Loads a file that must exist. Its default export is an object, or a function (which may be async) that returns one.
 * Throws FaultError `settings.invalid`, or `order.superseded` when it is given up.
 */
export async function loadConfigFile(path: string, evaluation: Evaluation): Promise<ConfigFile> {
  const name = basename(path);
  if (!existsSync(path))
    throw invalid(
      lstatSync(path, { throwIfNoEntry: false })
        ? `${path} is a link that leads to no file`
        : `--config: there is no file ${path}`,
    );
  // A pipe would be waited for without end.
  if (!statSync(path).isFile()) throw invalid(`--config: ${path} is no file`);
  let evaluated: Evaluated;
  try {
    evaluated = path.endsWith('.json')
      ? { entries: plainEntries(JSON.parse(readFileSync(path, 'utf8'))), hooks: [] }
      : await evaluateConfig(path, evaluation);
  } catch (error) {
    if (error instanceof FaultError) throw error;
    throw invalid(`${name}: ${oneLine(error)}`);
  }
  return { path, values: assign(name, evaluated.entries), hooks: evaluated.hooks };
}

function assign(name: string, entries: Entries): ConfigFile['values'] {
  const values: ConfigFile['values'] = new Map();
  const owners = new Map<string, SettingKey | 'app'>([['app', 'app']]);
  for (const setting of settingList) for (const key of fileKeysOf(setting)) owners.set(key, setting.key);
  const unknown: string[] = [];
  for (const [key, raw] of entries) {
    const owner = owners.get(key);
    // Where functions can be, hooks have been taken out already.
    if (owner === undefined && hookOf(key) !== undefined)
      throw invalid(`${name}: "${key}" is a hook, a function, which JSON cannot hold: write kirin.config.js`);
    const why = owner === undefined ? (whyNotHere(key) ?? whyPm2(key)) : undefined;
    if (why !== undefined) throw invalid(`${name}: "${key}" ${why}`);
    if (owner === undefined) {
      unknown.push(`"${key}"${didYouMean(key, [...owners.keys(), ...hookKeys()])}`);
      continue;
    }
    if (raw === undefined) continue;
    const other = values.get(owner);
    if (other) throw invalid(`${name}: "${other.key}" and "${key}" are the same setting; keep one`);
    values.set(owner, { key, raw });
  }
  if (unknown.length > 0) throw invalid(`${name}: ${unknownOnes(unknown)}`);
  return values;
}

function unknownOnes(all: readonly string[]): string {
  const told = all.slice(0, UNKNOWN_MAX).join(', ');
  const more = all.length > UNKNOWN_MAX ? ` and ${all.length - UNKNOWN_MAX} more` : '';
  return `unknown setting${all.length > 1 ? 's' : ''} ${told}${more}`;
}
