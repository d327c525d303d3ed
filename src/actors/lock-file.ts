/**
 * An exclusive lock on a name, which a crash leaves behind and the next process takes over. Runs in any process.
 *
 * Node has no flock(2), and a single lock file cannot be taken over without a race: two that find it stale both
 * replace it. So a lock is a numbered file, `NAME.lock.N`, which holds pid and start time of its owner:
 * 1. The file of the highest number owns the name, if its process lives.
 * 2. Whoever finds it dead makes the next number with link(2), which succeeds for one only,
 * 3. then looks again: if there is a still higher one, its own was taken from an outdated view, and it withdraws.
 */
import { linkSync, readdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { isSameProcess, startMark } from './process-identity.ts';

export interface LockFile {
  release(): void;
}

const ATTEMPTS_MAX = 50;
let drafts = 0;

/** Takes the lock beside `path`, or gives the pid of the live process that has it. */
export function acquireLock(path: string): { lock: LockFile } | { heldBy: number } {
  const directory = dirname(path);
  const prefix = `${basename(path)}.lock.`;
  const draft = join(directory, `.${prefix}${process.pid}-${drafts++}`);
  writeFileSync(draft, `${process.pid} ${startMark(process.pid) ?? '-'}\n`, { flag: 'wx', mode: 0o644 });
  try {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const seen = numbersIn(directory, prefix);
      const highest = seen.at(-1);
      const heldBy = highest === undefined ? undefined : liveOwner(join(directory, prefix + highest));
      if (heldBy !== undefined) return { heldBy };

      const number = (highest ?? 0) + 1;
      const mine = join(directory, prefix + number);
      if (!linked(draft, mine)) continue;
      if (numbersIn(directory, prefix).at(-1) !== number) {
        unlinkIfThere(mine);
        continue;
      }
      for (const stale of seen) unlinkIfThere(join(directory, prefix + stale));
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
