/**
 * An exclusive lock on a name, which a crash leaves behind and the next process takes over. Runs in any process.
 *
 * Node has no flock(2), and a single lock file cannot be taken over without a race: two that find it stale both
 * replace it. So a lock is a numbered file, `NAME.lock.N`, which holds pid and start time of its owner:
 * 1. A file whose process lives owns the name, or is about to find out that it does not.
 * 2. Whoever finds none makes the number above the highest with link(2), which succeeds for one only,
 * 3. then looks again: if any other number lives, its own was taken from an outdated view, and it withdraws. Of two
 *    the later one to link sees the other, whatever the numbers are; the last one to look stays.
 * 4. Only the owner removes dead files, and only their own processes remove live ones: no number is given twice.
 */
import { linkSync, readdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { isSameProcess, startMark } from './process-identity.ts';
import { randomName } from './random-name.ts';

export interface LockFile {
  release(): void;
}

const ATTEMPTS_MAX = 50;

/** Takes the lock beside `path`, or gives the pid of the live process that has it. */
export function acquireLock(path: string): { lock: LockFile } | { heldBy: number } {
  const directory = dirname(path);
  const prefix = `${basename(path)}.lock.`;
  // A name of chance: in a container the process number may be the same at each start, and a draft be left.
  const draft = join(directory, `.${prefix}${process.pid}-${randomName(6)}`);
  const fileOf = (number: number): string => join(directory, prefix + number);
  const ownerBeside = (numbers: number[]): number | undefined => {
    for (const number of numbers) {
      const owner = liveOwner(fileOf(number));
      if (owner !== undefined) return owner;
    }
    return undefined;
  };
  try {
    writeFileSync(draft, `${process.pid} ${startMark(process.pid) ?? '-'}\n`, { flag: 'wx', mode: 0o644 });
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const seen = numbersIn(directory, prefix);
      const heldBy = ownerBeside(seen);
      if (heldBy !== undefined) return { heldBy };

      const number = (seen.at(-1) ?? 0) + 1;
      const mine = fileOf(number);
      if (!linked(draft, mine)) continue;
      const others = numbersIn(directory, prefix).filter((other) => other !== number);
      if (ownerBeside(others) !== undefined) {
        unlinkIfThere(mine);
        continue;
      }
      for (const dead of others) unlinkIfThere(fileOf(dead));
      return { lock: { release: () => unlinkIfThere(mine) } };
    }
  } finally {
    unlinkIfThere(draft);
  }
  throw new Error(`${path}: the lock changed hands ${ATTEMPTS_MAX} times`);
}

function numbersIn(directory: string, prefix: string): number[] {
  return readdirSync(directory)
    .filter((name) => name.startsWith(prefix) && /^\d{1,9}$/.test(name.slice(prefix.length)))
    .map((name) => Number(name.slice(prefix.length)))
    .sort((a, b) => a - b);
}

function liveOwner(file: string): number | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const [pid, mark] = text.trim().split(' ');
  return pid && mark && /^\d+$/.test(pid) && isSameProcess(Number(pid), mark) ? Number(pid) : undefined;
}

function linked(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function unlinkIfThere(file: string): void {
  try {
    unlinkSync(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}
