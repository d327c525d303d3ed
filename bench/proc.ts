/** What Linux tells about processes in /proc. Elsewhere every answer is undefined or empty. */
import { readdirSync, readFileSync } from 'node:fs';

/** USER_HZ, which is 100 on every architecture that Node runs on. */
const TICK_MS = 10;

interface Stat {
  pid: number;
  parent: number;
  cpuMs: number;
}

function statOf(pid: number): Stat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name is in parentheses and may hold anything.
    const fields = text
      .slice(text.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number);
    return { pid, parent: fields[1]!, cpuMs: (fields[11]! + fields[12]!) * TICK_MS };
  } catch {
    return undefined;
  }
}

function allStats(): Stat[] {
  try {
    const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
    return pids.flatMap((pid) => statOf(Number(pid)) ?? []);
  } catch {
    return [];
  }
}

/** A process and all its descendants. */
function treeOf(root: number): Stat[] {
  const stats = allStats();
  const tree = stats.filter(({ pid }) => pid === root);
  for (const { pid } of tree) tree.push(...stats.filter(({ parent }) => parent === pid));
  return tree;
}

export const childrenOf = (root: number): number[] =>
  allStats()
    .filter(({ parent }) => parent === root)
    .map(({ pid }) => pid);

/** CPU time used so far by a process and its descendants that live, in milliseconds. */
export function cpuMsOf(root: number): number | undefined {
  const tree = treeOf(root);
  return tree.length === 0 ? undefined : tree.reduce((sum, { cpuMs }) => sum + cpuMs, 0);
}

/** Resident memory in MB; `pss` shares what several processes have in common among them. */
export function memoryOf(pid: number): { rssMb: number; pssMb: number } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
    const kb = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1]);
    return { rssMb: kb('Rss') / 1024, pssMb: kb('Pss') / 1024 };
  } catch {
    return undefined;
  }
}
