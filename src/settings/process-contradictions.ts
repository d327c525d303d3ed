/** What no process can have, and what Node.js cannot be told in a worker, or not in two ways at once. Runs in the arbiter, when settings are read. */
import type { Settings } from '../settings.ts';
import { invalid } from './parse.ts';

type Told = Pick<
  Settings,
  'umask' | 'nodeArgs' | 'maxOldSpaceMib' | 'threadpoolSize' | 'compileCache' | 'preload' | 'env'
>;

/** With these Node.js runs something else than a worker, or ends at once. */
const OTHER_WORK = [
  '-c, --check',
  '-e, --eval',
  '-h, --help',
  '-i, --interactive',
  '-p, --print',
  '-v, --version',
  '--build-snapshot',
  '--completion-bash',
  '--experimental-sea-config',
  '--prof-process',
  '--run',
  '--test',
  '--v8-options',
  '--watch',
];
const OTHER_NAMES = new Set(OTHER_WORK.flatMap((names) => names.split(', ')));

/** What Kirin makes for itself it must be able to use. */
const OWNERS_BITS = 0o700;

/** Throws FaultError `settings.invalid`. */
export function refuseProcessSettings(settings: Told): void {
  if (((settings.umask ?? 0) & OWNERS_BITS) !== 0)
    throw invalid("--umask must leave its owner's permissions: 0077 at most");
  for (const arg of settings.nodeArgs) refuseOption(arg);
  const options = new Set(settings.nodeArgs.map(nameOf));
  if (settings.maxOldSpaceMib !== undefined && options.has('--max-old-space-size'))
    throw invalid('--max-old-space-size and --node-arg --max-old-space-size are the same: keep one');
  refuseVariable(settings, '--threadpool-size', settings.threadpoolSize, 'UV_THREADPOOL_SIZE');
  refuseVariable(settings, '--compile-cache', settings.compileCache, 'NODE_COMPILE_CACHE');
  for (const module of settings.preload)
    if (/^[a-z][a-z0-9+.-]*:/i.test(module) && !module.startsWith('node:'))
      throw invalid(`--preload: "${module}" must be a path or the name of a package`);
}

function refuseOption(arg: string): void {
  if (!/^-{1,2}[a-z]/i.test(arg))
    throw invalid(`--node-arg must be one option with its value, such as --stack-size=2000, not "${arg}"`);
  const name = nameOf(arg);
  if (OTHER_NAMES.has(name))
    throw invalid(`--node-arg ${arg} would make Node.js run no worker: leave it out`);
  if (name.startsWith('--inspect'))
    throw invalid(`--node-arg ${arg}: each worker needs a port of its own: use --inspect`);
}

/** Words of an option may be parted by underscores, as V8 has it. */
const nameOf = (arg: string): string => arg.split('=', 1)[0]!.replaceAll('_', '-');

function refuseVariable({ env }: Told, flag: string, value: unknown, name: string): void {
  if (value !== undefined && Object.hasOwn(env, name))
    throw invalid(`${flag} and --env ${name}=... are the same: keep one`);
}
