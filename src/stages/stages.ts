/**
 * Loads the joined files of a start (`scripts/join-stages.mjs`). Runs in the arbiter and in web workers of a built Kirin, before
 * anything else of it, and imports nothing that Node.js has not loaded by then.
 *
 * They are scripts and no ES modules, because only a script can be given what V8 has made of it before: it is kept in the
 * package's own directory once a process has started, functions that were compiled on the way included, and saves each later start
 * from compiling. What was kept counts as the package's code does, so it is read only where it belongs to who owns that, and
 * nobody else may write to it; and only the owner writes it. Nothing depends on it being there.
 */
import {
  closeSync,
  fstatSync,
  lstatSync,
  openSync,
  promises,
  readFileSync,
  type Stats,
  statSync,
} from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Script } from 'node:vm';
import { crc32 } from 'node:zlib';

export type Exports = Record<string, unknown>;
type Load = (specifier: string) => Promise<unknown>;

export interface Stages {
  /** What a stage exports; it is evaluated when it is first asked for. */
  (name: string): Exports;
  /** Keeps what V8 has made of the stages that were loaded here, for later starts. Takes some ms; never rejects. */
  keep(): Promise<void>;
}

/** Under this symbol of the global object whatever is loaded later finds the stages. */
export const STAGES: unique symbol = Symbol.for('kirin.stages');

const OTHERS_WRITE = 0o022;
const DIRECTORY_MODE = 0o755;
const FILE_MODE = 0o644;
/** Files of other versions of Node.js, and of other machines that share the directory; then all are made anew. */
const FILES_MAX = 32;
/** At the end of a file, of all before it: V8 looks at the length alone, and code that is damaged ends the process. */
const SUM_BYTES = 4;

interface Loaded {
  script: Script;
  /** Where its code is kept. */
  kept: string;
  wasKept: boolean;
}

/** `place`: the directory of what was built; `files`: the script of each stage, below `chunks`. `load` is an import() of a file there. */
export function openStages(
  place: string,
  files: Readonly<Record<string, string>>,
  native: (id: string) => unknown,
  load: Load,
): Stages {
  const chunks = join(place, 'chunks');
  const cache = join(place, 'cache');
  const build = buildName();
  const exported = new Map<string, { exports: Exports }>();
  const loaded: Loaded[] = [];
  const url = pathToFileURL(join(place, 'stage.js')).href;

  const importFrom: Load = (specifier) =>
    load(/^\.\.?\//.test(specifier) ? pathToFileURL(resolve(chunks, specifier)).href : specifier);
  const requireFrom = (id: string): unknown => (id.startsWith('.') ? stage(basename(id, '.js')) : native(id));

  function stage(name: string): Exports {
    const known = exported.get(name);
    if (known) return known.exports;
    const module = { exports: {} };
    exported.set(name, module);
    const file = join(chunks, files[name]!);
    // The build writes ASCII alone.
    const kept = build === undefined ? undefined : join(cache, `${files[name]}-${build}`);
    const cachedData = kept === undefined ? undefined : keptCode(kept, file);
    const script = new Script(readFileSync(file, 'latin1'), {
      filename: file,
      ...(cachedData ? { cachedData } : {}),
    });
    if (kept !== undefined)
      loaded.push({ script, kept, wasKept: cachedData !== undefined && script.cachedDataRejected === false });
    const run = script.runInThisContext() as (...given: unknown[]) => void;
    run(module, requireFrom, importFrom, url);
    return module.exports;
  }

  const keep = async (): Promise<void> => {
    const missing = loaded.filter(({ wasKept }) => !wasKept);
    if (missing.length === 0 || process.env['NODE_DISABLE_COMPILE_CACHE']) return;
    try {
      if (process.geteuid?.() !== lstatSync(place).uid) return;
      await promises.mkdir(cache, { recursive: true, mode: DIRECTORY_MODE });
      const names = await promises.readdir(cache);
      if (names.length > FILES_MAX) for (const name of names) await promises.unlink(join(cache, name));
      for (const one of missing) {
        await write(one);
        one.wasKept = true;
      }
    } catch {
      // A package that cannot be written to: later starts take as long as this one.
    }
  };
  const stages = Object.assign(stage, { keep });
  Object.defineProperty(globalThis, STAGES, { value: stages, configurable: true });
  return stages;
}

/** Undefined where there is none that can be trusted as much as the file that it was made of. */
function keptCode(kept: string, file: string): Buffer | undefined {
  if (process.env['NODE_DISABLE_COMPILE_CACHE']) return undefined;
  let fd: number | undefined;
  try {
    fd = openSync(kept, 'r');
    const about: Stats = fstatSync(fd);
    const isOurs = about.isFile() && about.uid === lstatSync(file).uid && (about.mode & OTHERS_WRITE) === 0;
    return isOurs ? whole(readFileSync(fd)) : undefined;
  } catch {
    return undefined;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** What was written, without its sum; undefined where it is not what was written. */
function whole(bytes: Buffer): Buffer | undefined {
  const length = bytes.length - SUM_BYTES;
  const code = bytes.subarray(0, Math.max(0, length));
  return length > 0 && bytes.readUInt32LE(length) === crc32(code) ? code : undefined;
}

/** Others find the whole file or none. */
async function write({ script, kept }: Loaded): Promise<void> {
  const draft = `${kept}.${process.pid}`;
  try {
    const file = await promises.open(draft, 'wx', FILE_MODE);
    try {
      const code = script.createCachedData();
      const sum = Buffer.alloc(SUM_BYTES);
      sum.writeUInt32LE(crc32(code));
      await file.writeFile(Buffer.concat([code, sum]));
      await file.sync();
    } finally {
      await file.close();
    }
    await promises.rename(draft, kept);
  } catch (error) {
    await promises.rm(draft, { force: true });
    throw error;
  }
}

/** Code is for one build of Node.js alone, and V8 knows less of that than its version. Undefined where that may not be looked at. */
function buildName(): string | undefined {
  try {
    const { size, mtimeMs } = statSync(process.execPath);
    const build = `${size.toString(36)}-${Math.trunc(mtimeMs).toString(36)}`;
    return `${process.version}-${process.platform}-${process.arch}-${build}`;
  } catch {
    // The permission model of Node.js.
    return undefined;
  }
}
