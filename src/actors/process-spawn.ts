/**
 * How a supervised process is started: its descriptors, its variables, its Node.js options. Runs in the parent; loads next to
 * nothing, since the first workers are started before the rest of the arbiter is loaded.
 */
import type { ChildProcess, StdioOptions } from 'node:child_process';
import type { Down, LinkKind } from '../machines/events/link.ts';
import { type Identity, type SpawnAs, spawnAs } from './identity.ts';
import { childStdio, inheritedEnv, inheritedOptions } from './inherited.ts';
import type { MemoryLimits } from './memory.ts';
import { spawn } from './priority.ts';

/** The process's descriptors: 0 to 2, the link, then two copies of each listening socket. */
export const LINK_FD = 3;
/** Where a process finds the first of the descriptors it inherits. */
export const FIRST_FD = LINK_FD + 1;

/** How one process is started. */
export interface ProcessLaunch<K extends LinkKind> {
  cwd: string;
  /** Kirin's own variables of the process are added to it. */
  env: Readonly<Record<string, string>>;
  /** Options of Node.js beside the arbiter's own. */
  nodeArgs?: readonly string[] | undefined;
  /** Descriptors it inherits, from `FIRST_FD` on; a pipe ends with its parent (`owner.ts`). */
  fds: readonly (number | 'pipe')[];
  boot: Down<K>;
  /** Whose it is to be; undefined: its parent's own. */
  identity?: Identity | undefined;
  /** The memory it may hold, in bytes; 0: any. */
  memory?: MemoryLimits;
  /** Whether a thread in it can be asked where it hangs, over the descriptor after the last of `fds`. */
  hangStack?: boolean;
  /** Whether what it prints is read by its parent; default: it has its parent's streams. */
  isCaptured?: boolean;
  /** Its debugger's port: while one is attached, no silence counts. */
  debuggerPort?: number | undefined;
}

/** Where a process belongs. */
export interface Placed {
  age: number;
  slot: number;
}

/** All that makes a process what it is when it starts: equal words start equal processes. */
export interface SpawnWords {
  args: string[];
  options: { cwd: string; stdio: Exclude<StdioOptions, string> } & SpawnAs;
}

export function processWords(
  {
    cwd,
    env,
    nodeArgs = [],
    fds,
    hangStack,
    isCaptured,
    identity,
  }: Omit<ProcessLaunch<LinkKind>, 'boot' | 'memory'>,
  { age, slot }: Placed,
  file: string,
): SpawnWords {
  const printed = isCaptured ? 'pipe' : 'inherit';
  const variables: Record<string, string> = {
    ...inheritedEnv(env),
    KIRIN_WORKER_AGE: String(age),
    KIRIN_WORKER_SLOT: String(slot),
    NODE_APP_INSTANCE: String(slot),
  };
  return {
    args: [...inheritedOptions(), ...nodeArgs, file],
    options: {
      cwd,
      ...spawnAs(identity, variables),
      stdio: ['ignore', printed, printed, 'pipe', ...fds, ...(hangStack ? (['pipe'] as const) : [])],
    },
  };
}

/** Throws, or the process tells of an error, where the system cannot start it. */
export function spawnProcess<K extends LinkKind>(
  launch: ProcessLaunch<K>,
  placed: Placed,
  file: string,
): ChildProcess {
  return spawnAsSaid(processWords(launch, placed, file));
}

export const spawnAsSaid = ({ args, options }: SpawnWords): ChildProcess =>
  spawn(process.execPath, args, { ...options, stdio: childStdio(options.stdio) });
