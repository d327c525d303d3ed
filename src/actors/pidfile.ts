/** The file that names the arbiter's process, for scripts and service managers. Runs in the arbiter. */
import {
  lstatSync,
  readFileSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { FaultError } from './fault-error.ts';
import { acquireLock, type LockFile } from './lock-file.ts';
import { isRunning, startedAtMs } from './process-identity.ts';
import { randomName } from './random-name.ts';

export interface Pidfile {
  /** Gives it the time of now, if it is still ours: it must be later than the process, by the clock as it is now. */
  touch(): void;
  /** Removes the file if it is still ours. */
  remove(): void;
}

/** The kernel tells start times to a hundredth of a second, but the boot time only to a whole one. */
const CLOCK_SLACK_MS = 2000;

/**
 * Writes the file in one step: it is never seen empty. Throws FaultError `file.unusable` where it names another
 * process that lives, is no pid file, or cannot be written. What names the `predecessor`, which has ended, is replaced.
 */
export function writePidfile(
  path: string,
  { pid = process.pid, predecessor }: { pid?: number; predecessor?: number } = {},
): Pidfile {
  try {
    // Between the look at the old file and the new one in its place no other arbiter may do the same.
    const lock = takeLock(path);
    try {
      refuseIfOwned(path, [pid, predecessor]);
      const text = `${pid}\n`;
      const { dev, ino } = replace(path, text);
      const own = { path, dev, ino, text };
      return {
        touch: () => ifOwn(own, () => utimesSync(path, new Date(), new Date())),
        remove: () => ifOwn(own, () => unlinkSync(path)),
      };
    } finally {
      lock.release();
    }
  } catch (error) {
    if (error instanceof FaultError) throw error;
    throw new FaultError(
      'file.unusable',
      `cannot write the pid file ${path}: ${(error as NodeJS.ErrnoException).code ?? String(error)}`,
    );
  }
}

/** Removes the file that process `pid`, which is gone, has left. */
export function removePidfileOf(pid: number, path: string): void {
  try {
    if (readFileSync(path, 'utf8') === `${pid}\n`) unlinkSync(path);
  } catch {
    // It has removed it itself, as it should.
  }
}

interface OwnFile {
  path: string;
  dev: number;
  ino: number;
  text: string;
}

function takeLock(path: string): LockFile {
  const taken = acquireLock(path);
  if ('lock' in taken) return taken.lock;
  throw new FaultError(
    'file.unusable',
    `process ${taken.heldBy} is about to write ${path}: choose another --pid`,
  );
}

/** The draft is made afresh (O_EXCL follows no link), under a name that nobody can know and prepare. */
function replace(path: string, text: string): Stats {
  const draft = `${path}.${randomName(6)}.new`;
  try {
    // On a full disk it is made, and stays empty.
    writeFileSync(draft, text, { mode: 0o644, flag: 'wx' });
    const made = lstatSync(draft);
    renameSync(draft, path);
    return made;
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  }
}

function refuseIfOwned(path: string, own: readonly (number | undefined)[]): void {
  if (!statSync(path, { throwIfNoEntry: false })) return;
  const text = readFileSync(path, 'utf8').trim();
  if (text === '') return;
  // Somebody's file, mistyped: it must not be lost.
  if (!/^\d{1,10}$/.test(text))
    throw new FaultError('file.unusable', `${path} is no pid file: choose another --pid`);
  const other = Number(text);
  if (own.includes(other) || other === 0 || !isRunning(other)) return;
  // A process that started after the file was written has merely the same number: a container's pids begin anew.
  const startedMs = startedAtMs(other);
  if (startedMs !== undefined && startedMs > statSync(path).mtimeMs + CLOCK_SLACK_MS) return;
  throw new FaultError(
    'file.unusable',
    `${path} names process ${other}, which is running: stop it, or choose another --pid`,
  );
}

function ifOwn({ path, dev, ino, text }: OwnFile, act: () => void): void {
  try {
    const now = lstatSync(path);
    // The number of a file that was removed may be that of the next one.
    if (now.dev === dev && now.ino === ino && readFileSync(path, 'utf8') === text) act();
  } catch {
    // It is gone already, or cannot be written any more.
  }
}
