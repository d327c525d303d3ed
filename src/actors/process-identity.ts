/**
 * Whether a process number written down earlier still means the process that wrote it. A pid alone is reused;
 * a pid and a start time are not. Runs in any process; reads /proc, or asks ps where there is none.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** When a process started, in an opaque form; undefined: no such process, or nobody tells. A zombie is gone. */
export function startMark(pid: number): string | undefined {
  if (process.platform !== 'linux') return askPs(pid)?.replace(/\s+/g, '_');
  const fields = statFields(pid);
  return fields && !isDead(fields[0]) ? fields[19] : undefined;
}

/** Whether a process of this number runs now; one of another user counts, a zombie does not. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  return !isDead(statFields(pid)?.[0]);
}

/** Whether process `pid` runs and is the one that had `mark`. Where /proc hides it, it counts as the same. */
export function isSameProcess(pid: number, mark: string): boolean {
  if (!isRunning(pid)) return false;
  const now = startMark(pid);
  return now === undefined || mark === '-' || now === mark;
}

/** When a process started, in milliseconds since 1970, to about a second; undefined where nobody tells. */
export const startedAtMs = (pid: number): number | undefined => startedByProc(pid) ?? startedByPs(pid);

function startedByProc(pid: number): number | undefined {
  const ticks = Number(statFields(pid)?.[19]);
  try {
    const bootS = Number(/^btime (\d+)$/m.exec(readFileSync('/proc/stat', 'utf8'))?.[1]);
    // The kernel tells user space 100 ticks a second on every architecture Node runs on.
    const atMs = (bootS + ticks / 100) * 1000;
    return Number.isFinite(atMs) ? atMs : undefined;
  } catch {
    return undefined;
  }
}

/** As `startedAtMs`, by ps alone: where there is no /proc, or it hides others' processes. */
export function startedByPs(pid: number): number | undefined {
  const atMs = Date.parse(`${askPs(pid)} UTC`);
  return Number.isFinite(atMs) ? atMs : undefined;
}

/** When a process started, such as "Sun Nov 22 17:36:11 2026"; the same words in every zone and language. */
function askPs(pid: number): string | undefined {
  const env = { ...process.env, LC_ALL: 'C', TZ: 'UTC' };
  const asked = spawnSync('ps', ['-o', 'lstart=', '-p', String(pid)], {
    encoding: 'utf8',
    timeout: 2000,
    env,
  });
  return asked.stdout?.trim() || undefined;
}

const isDead = (state: string | undefined) => state === 'Z' || state === 'X';

/** Fields of /proc/PID/stat from the third (the state) on; the second, the name, may itself hold brackets. */
function statFields(pid: number): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}
