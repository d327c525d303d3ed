/**
 * The directory where workers keep compiled code. Runs in the arbiter. What lies there is run: nobody else may be able to
 * write to it, or to put another one in its place.
 */
import { lchownSync, lstatSync, mkdirSync, type Stats } from 'node:fs';
import * as nodeModule from 'node:module';
import { dirname } from 'node:path';
import { FaultError } from './fault-error.ts';
import type { Owner } from './unix-socket.ts';

const PRIVATE = 0o700;
const OTHERS_WRITE = 0o022;
const STICKY = 0o1000;

/** Where Node.js has such a cache, its directory, which is made if it is not there. It is the workers' own, `owner`'s. Throws FaultError `settings.invalid`. */
export function compileCacheOf(
  path: string | undefined,
  notice: (text: string) => void,
  isKnown = 'enableCompileCache' in nodeModule,
  owner?: Owner,
): string | undefined {
  if (path === undefined) return undefined;
  if (!isKnown) {
    notice(`--compile-cache needs Node.js 22.1, and this is ${process.version}: workers go without`);
    return undefined;
  }
  try {
    const isNew = mkdirSync(path, { recursive: true, mode: PRIVATE }) !== undefined;
    if (isNew && owner) lchownSync(path, owner.uid, owner.gid);
    const why = oddityOf(lstatSync(path), owner?.uid ?? process.geteuid?.()) ?? placeOddity(dirname(path));
    if (why === undefined) return path;
    throw unusable(path, why);
  } catch (error) {
    if (error instanceof FaultError) throw error;
    throw unusable(path, `cannot be used (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`);
  }
}

function oddityOf(about: Stats, uid: number | undefined): string | undefined {
  if (!about.isDirectory()) return 'is no directory';
  if (about.uid !== uid) return 'belongs to somebody else';
  return (about.mode & OTHERS_WRITE) === 0 ? undefined : 'can be written to by others: chmod go-w';
}

/** In a sticky directory such as /tmp others can put nothing in the place of what is ours. */
function placeOddity(parent: string): string | undefined {
  const { mode } = lstatSync(parent);
  const isOpen = (mode & OTHERS_WRITE) !== 0 && (mode & STICKY) === 0;
  return isOpen ? `lies in ${parent}, where others can put something else in its place` : undefined;
}

const unusable = (path: string, why: string): FaultError =>
  new FaultError('settings.invalid', `--compile-cache: ${path} ${why}`);
