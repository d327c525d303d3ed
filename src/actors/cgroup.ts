/**
 * What a container may use: the limits of its control group, of version 2 or 1. Runs in the arbiter. A limit may stand at
 * any level above a process, and the smallest counts. `root` is where the file system begins, so that a test can make one up.
 */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

export interface Limits {
  /** Processors, with fractions; undefined: no limit. */
  cpus: number | undefined;
  memoryBytes: number | undefined;
}

/** Version 1 writes no limit as nearly all of 64 bits. */
const MEMORY_MAX = 2 ** 53;
const DEPTH_MAX = 64;
/** A worker with a small app needs about so much. */
const WORKER_BYTES = 64 * 1024 ** 2;

interface Group {
  /** Where its files are. */
  mount: string;
  path: string;
}

export function cgroupLimits(root = '/'): Limits {
  const rows = textOf(join(root, 'proc/self/cgroup'))
    .split('\n')
    .map((line) => /^(\d+):([^:]*):(.*)$/.exec(line))
    .filter((row) => row !== null)
    .map(([, , controllers = '', path = '/']) => ({ controllers: controllers.split(','), path }));
  const unified = rows.find(({ controllers }) => controllers[0] === '');
  const of = (controller: string): Group[] => {
    const old = rows.find(({ controllers }) => controllers.includes(controller));
    if (!old) return [];
    // Both controllers of processors may be mounted together.
    const mounts = [controller, old.controllers.join(','), [...old.controllers].reverse().join(',')];
    return [...new Set(mounts)].map((name) => ({ mount: join(root, 'sys/fs/cgroup', name), path: old.path }));
  };
  // Beside version 1 the unified tree may be mounted apart, and then it has no controllers.
  const group = { mount: join(root, 'sys/fs/cgroup'), path: unified?.path ?? '/' };
  return {
    cpus: smallest([
      ...eachLevel(group, (directory) => cpusOf(textOf(join(directory, 'cpu.max')))),
      ...of('cpu').flatMap((one) =>
        eachLevel(one, (directory) =>
          cpusOf(
            `${textOf(join(directory, 'cpu.cfs_quota_us')).trim()} ${textOf(join(directory, 'cpu.cfs_period_us'))}`,
          ),
        ),
      ),
    ]),
    memoryBytes: smallest([
      ...eachLevel(group, (directory) => bytesIn(textOf(join(directory, 'memory.max')))),
      ...of('memory').flatMap((one) =>
        eachLevel(one, (directory) => bytesIn(textOf(join(directory, 'memory.limit_in_bytes')))),
      ),
    ]),
  };
}

/**
 * How many workers `auto` is: one for each processor that may be used, as far as there is memory for them, and at least one.
 */
export function workersFor(cores: number, { cpus, memoryBytes }: Limits): number {
  const byMemory = memoryBytes === undefined ? Number.POSITIVE_INFINITY : memoryBytes / WORKER_BYTES;
  return Math.max(1, Math.floor(Math.min(cores, cpus ?? cores, byMemory)));
}

/** A worker's share of the memory: one more share is for the arbiter and for the worker that takes over. 0: no limit. */
export const memoryShare = (workers: number, { memoryBytes }: Limits): number =>
  memoryBytes === undefined ? 0 : Math.floor(memoryBytes / (workers + 1));

/** From its own directory up to the mount; in a container its path may be the host's, and not be there. */
function eachLevel<T>({ mount, path }: Group, read: (directory: string) => T): T[] {
  const found: T[] = [];
  let at = join('/', path);
  for (let depth = 0; depth < DEPTH_MAX; depth++) {
    found.push(read(join(mount, at)));
    if (at === '/') break;
    at = dirname(at);
  }
  return found;
}

/** "200000 100000" is two processors, "max 100000" and "-1 100000" no limit. */
function cpusOf(text: string): number | undefined {
  const [, quota, period] = /^\s*(\d+)\s+(\d+)\s*$/.exec(text) ?? [];
  const cpus = Number(quota) / Number(period);
  return quota !== undefined && cpus > 0 && Number.isFinite(cpus) ? cpus : undefined;
}

function bytesIn(text: string): number | undefined {
  const bytes = /^\d+$/.test(text.trim()) ? Number(text) : 0;
  return bytes > 0 && bytes < MEMORY_MAX ? bytes : undefined;
}

function smallest(values: (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
