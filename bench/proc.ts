/** What Linux tells about processes in /proc. Elsewhere every answer is undefined or empty. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

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

/**
 * How often threads of a process and of its descendants were switched, waiting or not: each waiting one ends with a wakeup.
 * Counted are threads that live.
 */
export function switchesOf(root: number): number | undefined {
  const tree = treeOf(root);
  return tree.length === 0 ? undefined : tree.reduce((sum, { pid }) => sum + switchesOfOne(pid), 0);
}

function switchesOfOne(pid: number): number {
  try {
    // The process's own status tells of its first thread alone.
    return readdirSync(`/proc/${pid}/task`).reduce((sum, thread) => {
      const status = readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8');
      const counts = [...status.matchAll(/voluntary_ctxt_switches:\s+(\d+)/g)];
      return sum + counts.reduce((both, [, count]) => both + Number(count), 0);
    }, 0);
  } catch {
    return 0;
  }
}

/** The same, finer than by ticks, of the threads that live. */
export function finelyCpuMsOf(root: number): number | undefined {
  const tree = treeOf(root);
  if (tree.length === 0) return undefined;
  return tree.reduce((sum, { pid }) => sum + threadsCpuMs(pid), 0);
}

function threadsCpuMs(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/task`).reduce((sum, thread) => {
      const [ranNs] = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ');
      return sum + Number(ranNs) / 1e6;
    }, 0);
  } catch {
    return 0;
  }
}

/** CPU time used so far by the threads of one process that live, in milliseconds. */
export const cpuMsOfOne = (pid: number): number => threadsCpuMs(pid);

/** Whether every thread of a process stands still after SIGSTOP. */
export function isStopped(pid: number): boolean {
  return readdirSync(`/proc/${pid}/task`).every((thread) => {
    const text = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).startsWith('T');
  });
}

/** The ports of the clients whose TCP connections a process holds; `serverPort` is the one that they are connected to. */
export function clientPortsOf(pid: number, serverPort: number): Set<number> {
  const ports = new Set<number>();
  try {
    const inodes = new Set(
      readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
        try {
          return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
        } catch {
          return [];
        }
      }),
    );
    for (const line of readFileSync('/proc/net/tcp', 'utf8').split('\n').slice(1)) {
      const [, local, remote, , , , , , , inode] = line.trim().split(/\s+/);
      if (inode !== undefined && inodes.has(inode) && portOf(local!) === serverPort)
        ports.add(portOf(remote!));
    }
  } catch {
    // The process is gone, or this is not Linux.
  }
  return ports;
}

/** TIME-WAIT, in which the end that closed first keeps a connection for a minute. */
const TIME_WAIT = '06';

/** The ports of clients whose connections to `serverPort` ended within the last minute. */
export function endedPortsOf(serverPort: number): number[] {
  try {
    return readFileSync('/proc/net/tcp', 'utf8')
      .split('\n')
      .slice(1)
      .flatMap((line) => {
        const [, local, remote, state] = line.trim().split(/\s+/);
        if (state !== TIME_WAIT) return [];
        const [own, other] = [portOf(local!), portOf(remote!)];
        return own === serverPort ? [other] : other === serverPort ? [own] : [];
      });
  } catch {
    return [];
  }
}

const portOf = (address: string) => Number.parseInt(address.slice(address.indexOf(':') + 1), 16);

/** Memory that can be had, in MB; undefined where nobody says. */
export function availableMb(): number | undefined {
  try {
    const kb = /^MemAvailable:\s+(\d+)/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1];
    return kb === undefined ? undefined : Number(kb) / 1024;
  } catch {
    return undefined;
  }
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

/**
 * What the main thread of a process has computed so far, and how long it was ready to and waited for a core, in milliseconds. The second
 * is the machine's doing, and part of every delay that is measured from within.
 */
export function mainThreadOf(pid: number): { ranMs: number; waitedMs: number } | undefined {
  try {
    const [ran, waited] = readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'utf8').split(' ').map(Number);
    return { ranMs: ran! / 1e6, waitedMs: waited! / 1e6 };
  } catch {
    return undefined;
  }
}
