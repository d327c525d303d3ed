/**
 * Where the app is: directory and module are resolved anew for each generation, through symbolic links, so that
 * a deploy that moves a link (`current`) is followed by a reload. Runs in the arbiter.
 */
import { readFileSync, realpathSync, type Stats, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { AppSpec } from '../machines/events/worker.ts';
import type { Settings } from '../settings.ts';
import { FaultError } from './fault-error.ts';

const ENDINGS = ['.js', '.mjs', '.cjs', '.ts', '.mts', '.cts'];
const EXPORT_NAME = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u;

/**
 * The directory as the shell sees it: $PWD where it names the working directory, since `cd current` keeps the
 * link in $PWD while the kernel knows only where it led at that moment.
 */
export function logicalDirectory(pwd: string | undefined, cwd: string): string {
  if (!pwd?.startsWith('/')) return cwd;
  const [named, real] = [stat(pwd), stat(cwd)];
  return named && real && named.dev === real.dev && named.ino === real.ino ? resolve(pwd) : cwd;
}

const started = workingDirectory();

/**
 * Where `kirin` was started; read once, since the link may have moved and the directory be gone later. Throws FaultError
 * `settings.invalid` where it was gone already: only to who asks, since nobody can catch what the loading of this file throws.
 */
export function startDirectory(): string {
  if (started !== undefined) return started;
  throw new FaultError(
    'settings.invalid',
    'the directory that kirin is started in is gone: change to one that is there',
  );
}

function workingDirectory(): string | undefined {
  try {
    return logicalDirectory(process.env['PWD'], process.cwd());
  } catch {
    return undefined;
  }
}

/** Throws FaultError `app.notFound`, or `settings.invalid` where `chdir` is gone. */
export function resolveApp(settings: Pick<Settings, 'app' | 'chdir'> & Partial<Pick<Settings, 'args'>>): {
  cwd: string;
  app: AppSpec;
} {
  const base = settings.chdir ?? startDirectory();
  let cwd: string;
  try {
    cwd = realpathSync(base);
    if (!stat(cwd)?.isDirectory()) throw new Error('no directory');
  } catch {
    throw new FaultError(
      'settings.invalid',
      settings.chdir === undefined
        ? `there is no directory ${base}, where kirin was started`
        : `--chdir: there is no directory ${base}`,
    );
  }
  const app = findApp(settings.app, cwd);
  return { cwd, app: settings.args?.length ? { ...app, args: settings.args } : app };
}

/** The file that `module` names as seen from `directory`, as an app is named. */
export const moduleFile = (module: string, directory: string): string | undefined =>
  findModule(resolve(directory, module));

/** Whether `module` is in a package that is found from `directory`. */
export function isPackage(module: string, directory: string): boolean {
  const name = /^(?:@[^/\\]+\/)?[^./\\@][^/\\]*/.exec(module)?.[0];
  if (name === undefined) return false;
  for (let at = directory; ; at = dirname(at)) {
    if (stat(join(at, 'node_modules', name))?.isDirectory()) return true;
    if (at === dirname(at)) return false;
  }
}

function findApp(spec: string, cwd: string): AppSpec {
  // A file may have a colon in its name: the whole text is tried first.
  const whole = findModule(resolve(cwd, spec));
  if (whole) return { spec, path: whole };
  const colon = spec.lastIndexOf(':');
  if (colon > 0) {
    const [module, exportName] = [spec.slice(0, colon), spec.slice(colon + 1)];
    const path = findModule(resolve(cwd, module));
    if (path && EXPORT_NAME.test(exportName)) return { spec, path, exportName };
    if (path)
      throw new FaultError(
        'app.notFound',
        `"${exportName}" is no name of an export: an app is MODULE[:EXPORT]`,
      );
    throw notFound(spec, resolve(cwd, module));
  }
  throw notFound(spec, resolve(cwd, spec));
}

function notFound(spec: string, path: string): FaultError {
  const directory = dirname(path);
  const why = stat(directory)?.isDirectory()
    ? stat(path)?.isDirectory()
      ? `${path} is a directory without a package.json "main" or an index file`
      : `there is no file ${path}, nor with ${ENDINGS.join(', ')}`
    : `there is no directory ${directory}`;
  return new FaultError('app.notFound', `cannot find the app "${spec}": ${why}`);
}

/** The file itself, with an ending, or a directory's main file; with links resolved. */
function findModule(path: string): string | undefined {
  const direct = [path, ...ENDINGS.map((ending) => path + ending)].find((candidate) =>
    stat(candidate)?.isFile(),
  );
  if (direct) return realpathSync(direct);
  if (!stat(path)?.isDirectory()) return undefined;
  const main = mainOf(path);
  const named =
    main === undefined ? [] : [join(path, main), ...ENDINGS.map((ending) => join(path, main + ending))];
  const inside = [...named, ...ENDINGS.map((ending) => join(path, `index${ending}`))].find((candidate) =>
    stat(candidate)?.isFile(),
  );
  return inside && realpathSync(inside);
}

function mainOf(directory: string): string | undefined {
  try {
    const { main } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as { main?: unknown };
    return typeof main === 'string' ? main : undefined;
  } catch {
    return undefined;
  }
}

function stat(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}
