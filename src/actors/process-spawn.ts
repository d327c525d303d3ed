/**
 * How a supervised process is started: its descriptors, its variables, its Node.js options. Runs in the parent; loads next to
 * nothing, since the first workers are started before the rest of the arbiter is loaded.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Down, LinkKind } from '../machines/events/link.ts';

/** The process's descriptors: 0 to 2, the link, then two copies of each listening socket. */
export const LINK_FD = 3;
/** Where a process finds the first of the descriptors it inherits. */
export const FIRST_FD = LINK_FD + 1;

/** What belongs to the arbiter alone and would mislead a worker or what it starts. */
const NOT_INHERITED = [
  'LISTEN_FDS',
  'LISTEN_PID',
  'LISTEN_FDNAMES',
  'NOTIFY_SOCKET',
  'WATCHDOG_PID',
  'WATCHDOG_USEC',
  'NODE_CHANNEL_FD',
  'NODE_CHANNEL_SERIALIZATION_MODE',
  'KIRIN_CMD_ARGS',
];

/** Node's options of this process go for its workers too; a debugger's port is for one process alone. */
const nodeOptions = process.execArgv.filter((option) => !option.startsWith('--inspect'));

/** How one process is started. */
export interface ProcessLaunch<K extends LinkKind> {
  cwd: string;
  /** Kirin's own variables of the process are added to it. */
  env: Readonly<Record<string, string>>;
  /** Descriptors it inherits, from `FIRST_FD` on. */
  fds: readonly number[];
  boot: Down<K>;
}

/** Where a process belongs. */
export interface Placed {
  age: number;
  slot: number;
}

/** Throws, or the process tells of an error, where the system cannot start it. */
export function spawnProcess<K extends LinkKind>(
  { cwd, env, fds }: ProcessLaunch<K>,
  { age, slot }: Placed,
  file: string,
): ChildProcess {
  const variables: Record<string, string> = {
    ...env,
    KIRIN_WORKER_AGE: String(age),
    KIRIN_WORKER_SLOT: String(slot),
    NODE_APP_INSTANCE: String(slot),
  };
  for (const name of NOT_INHERITED) delete variables[name];
  return spawn(process.execPath, [...nodeOptions, file], {
    cwd,
    env: variables,
    stdio: ['ignore', 'inherit', 'inherit', 'pipe', ...fds],
  });
}
