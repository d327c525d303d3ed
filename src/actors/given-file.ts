/**
 * A log file that workers append to and root's directory holds: made by the arbiter, and given to them. Runs in the arbiter, which is
 * root. Where others could have put a link or somebody's file under that name, nothing is given away.
 */
import { closeSync, constants, fchownSync, fstatSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Owner } from './unix-socket.ts';

const { O_APPEND, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_WRONLY } = constants;

/** What cannot be done is not told here: the worker that cannot open its file says so. */
export function giveFile(file: string, owner: Owner): void {
  try {
    const made = openNew(file);
    const fd = made ?? openSync(file, O_WRONLY | O_APPEND | O_NOFOLLOW | O_NONBLOCK);
    try {
      if (made !== undefined || isRootsAlone(file, fd)) fchownSync(fd, owner.uid, owner.gid);
    } finally {
      closeSync(fd);
    }
  } catch {
    // No directory, a link, a read-only disk.
  }
}

/** Undefined where there is something of that name. */
function openNew(file: string): number | undefined {
  try {
    return openSync(file, O_WRONLY | O_APPEND | O_CREAT | O_EXCL, 0o644);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return undefined;
    throw error;
  }
}

/** A plain file of root's that nobody else can have put there: left by a server without `--user`. */
function isRootsAlone(file: string, fd: number): boolean {
  const found = fstatSync(fd);
  const directory = statSync(dirname(file));
  return (
    found.isFile() &&
    found.uid === 0 &&
    found.nlink === 1 &&
    directory.uid === 0 &&
    (directory.mode & 0o022) === 0
  );
}
