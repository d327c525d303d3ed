/**
 * What the processes that Kirin starts inherit: of the environment all but what belongs to the process that was given it, of the
 * descriptors those that are passed on purpose. Runs in the arbiter and in the dirty arbiter.
 */
import type { StdioOptions } from 'node:child_process';
import { openSync, readdirSync, readFileSync } from 'node:fs';

/** Would mislead whoever inherits it: systemd's sockets, readiness and watchdog, and the channels of node:child_process and node:cluster. */
const NOT_INHERITED: ReadonlySet<string> = new Set([
  'LISTEN_FDS',
  'LISTEN_PID',
  'LISTEN_PIDFDID',
  'LISTEN_FDNAMES',
  'NOTIFY_SOCKET',
  'WATCHDOG_PID',
  'WATCHDOG_USEC',
  'NODE_CHANNEL_FD',
  'NODE_CHANNEL_SERIALIZATION_MODE',
  'KIRIN_CMD_ARGS',
]);

/** `--inspect`, `--inspect-brk=9230` and `--inspect-port 0`: a debugger's port is for one process alone, and a second one would not start. */
const INSPECT_OPTION = /(^|\s)--inspect(-brk|-port|-wait|-publish-uid)?([=\s]("[^"]*"|[^\s-]\S*))?(?=\s|$)/g;

/** A copy of `env` for a process of Kirin's. */
export function inheritedEnv(env: Readonly<NodeJS.ProcessEnv>): Record<string, string> {
  const inherited: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (value === undefined || NOT_INHERITED.has(name)) continue;
    inherited[name] = name === 'NODE_OPTIONS' ? value.replace(INSPECT_OPTION, '').trim() : value;
  }
  return inherited;
}

/** Node's options of this process go for those it starts too. */
export const inheritedOptions = (options: readonly string[] = process.execArgv): string[] =>
  options.filter((option) => !option.startsWith('--inspect'));

/** Higher ones are left alone; the array of a child's descriptors is as long as the highest of them. */
const STRAY_MAX = 4096;
/** Up to here Node.js itself sees to it, at its start. */
const CLOSED_BY_NODE = 15;
const CLOSE_ON_EXEC = 0o2000000;

let strays: readonly number[] | undefined;
let nowhere: number | undefined;

/**
 * A child's descriptors, without those that whoever started this process had open by chance, such as a lock of the shell
 * idiom `exec 200>lock; flock 200`: a worker that outlives us would hold it. Node.js closes the first sixteen and what follows them
 * without a gap; the others become /dev/null, since there is no other way to keep them from a child.
 */
export function childStdio(stdio: readonly Exclude<StdioOptions, string>[number][]): StdioOptions {
  strays ??= strayDescriptors();
  const last = strays.at(-1) ?? 0;
  if (last < stdio.length) return [...stdio];
  try {
    nowhere ??= openSync('/dev/null', 'r+');
  } catch {
    // No descriptor is left: whether a process can be started at all is for others to find out.
    return [...stdio];
  }
  const [from, all] = [stdio.length, new Set(strays)];
  const rest = Array.from({ length: last + 1 - from }, (_, at) => (all.has(from + at) ? nowhere! : 'ignore'));
  return [...stdio, ...(rest as ('ignore' | number)[])];
}

/** Those that an exec would not close, in order: none that this process has opened itself is. macOS passes none on. */
function strayDescriptors(): number[] {
  if (process.platform !== 'linux') return [];
  try {
    return readdirSync('/proc/self/fd')
      .map(Number)
      .filter((fd) => fd > CLOSED_BY_NODE && fd <= STRAY_MAX && survivesExec(fd))
      .sort((a, b) => a - b);
  } catch {
    return [];
  }
}

function survivesExec(fd: number): boolean {
  try {
    const flags = /^flags:\s+([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1];
    return flags !== undefined && (Number.parseInt(flags, 8) & CLOSE_ON_EXEC) === 0;
  } catch {
    // What listed them is closed by now.
    return false;
  }
}
