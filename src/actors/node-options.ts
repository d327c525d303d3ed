/**
 * What Node.js is told in web and dirty workers, as their settings have it. Runs in the arbiter, once a generation, so that a
 * mistake is one line there and no worker that cannot start.
 */
import { pathToFileURL } from 'node:url';
import type { Settings } from '../settings.ts';
import { isPackage, moduleFile } from './app-path.ts';
import { compileCacheOf } from './compile-cache.ts';
import { FaultError } from './fault-error.ts';
import { inheritedEnv } from './inherited.ts';
import { spawn } from './priority.ts';
import type { Owner } from './unix-socket.ts';

/** How long Node.js may take to say what it thinks of its options. */
const TRIAL_MS = 10_000;
const SAID_MAX = 4096;

export interface NodeOptions {
  /** Before the file that a worker runs. */
  args: string[];
  env: Record<string, string>;
}

type Wanted = Pick<Settings, 'nodeArgs' | 'maxOldSpaceMib' | 'threadpoolSize' | 'preload' | 'compileCache'>;

/** Throws FaultError `settings.invalid`. */
export async function nodeOptions(
  settings: Wanted,
  cwd: string,
  notice: (text: string) => void,
  owner?: Owner,
): Promise<NodeOptions> {
  const { nodeArgs, maxOldSpaceMib, threadpoolSize, preload } = settings;
  if (nodeArgs.length > 0) await tryOptions(nodeArgs);
  const cache = compileCacheOf(settings.compileCache, notice, undefined, owner);
  return {
    args: [
      ...nodeArgs,
      ...(maxOldSpaceMib === undefined ? [] : [`--max-old-space-size=${maxOldSpaceMib}`]),
      ...preload.map((module) => `--import=${preloadOf(module, cwd)}`),
    ],
    env: {
      ...(threadpoolSize === undefined ? {} : { UV_THREADPOOL_SIZE: String(threadpoolSize) }),
      ...(cache === undefined ? {} : { NODE_COMPILE_CACHE: cache }),
    },
  };
}

/** What Node.js imports: a file's address, or a name that it resolves from the app's directory. */
function preloadOf(module: string, cwd: string): string {
  const file = module.startsWith('node:') ? undefined : moduleFile(module, cwd);
  if (file !== undefined) return pathToFileURL(file).href;
  if (module.startsWith('node:') || isPackage(module, cwd)) return module;
  throw new FaultError(
    'settings.invalid',
    `--preload: there is no module "${module}" in ${cwd}, and no such package for it`,
  );
}

/** Node.js alone knows which options it has. */
function tryOptions(args: readonly string[]): Promise<void> {
  const { NODE_OPTIONS: _, ...env } = inheritedEnv(process.env);
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...args, '--version'], {
      env,
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: TRIAL_MS,
      killSignal: 'SIGKILL',
    });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (part: string) => {
      said = (said + part).slice(0, SAID_MAX);
    });
    child.stderr.on('error', () => {});
    // What cannot be started now says so again when a worker is.
    child.once('error', () => resolve());
    child.once('close', (code) => {
      if (code === 0 || code === null) return resolve();
      const why = said.split('\n').find((line) => line.trim() !== '') ?? `exit code ${code}`;
      reject(new FaultError('settings.invalid', `--node-arg: Node.js refuses it: ${reasonIn(why)}`));
    });
  });
}

/** `node: bad option: --x`, `/usr/bin/node: bad option: --x`, `Error: illegal value for flag …` */
const reasonIn = (line: string): string => line.replace(/^(Error|\S*node\S*): /, '').trim();
