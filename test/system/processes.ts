/** What the operating system says about processes, on Linux and macOS. */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

interface Row {
  pid: number;
  parent: number;
  group: number;
  state: string;
}

function rows(): Row[] {
  if (process.platform === 'linux')
    return readdirSync('/proc').flatMap((pid) => (/^\d+$/.test(pid) ? (rowOf(Number(pid)) ?? []) : []));
  const { stdout } = spawnSync('ps', ['-A', '-o', 'pid=,ppid=,pgid=,stat='], { encoding: 'utf8' });
  return stdout
    .trim()
    .split('\n')
    .map((line) => {
      const [pid, parent, group, state] = line.trim().split(/\s+/);
      return { pid: Number(pid), parent: Number(parent), group: Number(group), state: state ?? '' };
    });
}

/** One process from /proc; undefined when it is gone. */
function rowOf(pid: number): Row | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name, in brackets, may hold anything.
    const [state, parent, group] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { pid, parent: Number(parent), group: Number(group), state: state ?? '' };
  } catch {
    return undefined;
  }
}

const isZombie = ({ state }: Row): boolean => state.startsWith('Z') || state.startsWith('X');

/** Processes of a group that live; a zombie does not. */
export const groupMembers = (group: number): number[] =>
  rows()
    .filter((row) => row.group === group && !isZombie(row))
    .map(({ pid }) => pid);

/** Children of a process that ended and were not reaped. */
export const zombiesOf = (parent: number): number[] =>
  rows()
    .filter((row) => row.parent === parent && isZombie(row))
    .map(({ pid }) => pid);

/** Those it supervises: its guardian is none of them. */
export const childrenOf = (parent: number): number[] =>
  rows()
    .filter((row) => row.parent === parent && !isZombie(row) && !commandOf(row.pid).includes(GUARDIAN))
    .map(({ pid }) => pid);

const GUARDIAN = 'kirin: guardian of';

/** The guardians of a process that live; it may have died itself. */
export const guardiansOf = (owner: number): number[] =>
  rows()
    .filter((row) => !isZombie(row) && commandOf(row.pid).endsWith(`${GUARDIAN} ${owner}`))
    .map(({ pid }) => pid);

/** The command line of a process, its arguments one after the other; empty when it is gone. */
export function commandOf(pid: number): string {
  if (process.platform !== 'linux')
    return spawnSync('ps', ['-o', 'args=', '-p', String(pid)], { encoding: 'utf8' }).stdout.trim();
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').join(' ').trim();
  } catch {
    return '';
  }
}

export function isAlive(pid: number): boolean {
  const row = rows().find((each) => each.pid === pid);
  return row !== undefined && !isZombie(row);
}
