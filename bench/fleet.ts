/**
 * The processes of a benchmark: servers and load generators, each in a process group of its own. Whatever ends the
 * benchmark (its end, an error, Ctrl-C) ends all of them.
 */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';

const STDERR_CHARS_MAX = 4_000;
const REAP_MS = 5_000;
const live = new Set<ChildProcess>();
const places = new Set<string>();

/** Where a process runs, and with which variables besides the plain ones. */
export interface Surroundings {
  cwd?: string;
  env?: Readonly<Record<string, string>>;
}

export interface Server {
  readonly pid: number;
  /** The last it wrote to standard error. */
  complaint(): string;
  readonly ended: boolean;
  signal(signal: NodeJS.Signals): void;
  /** Ends it and all it started, and waits until it is reaped. */
  kill(): Promise<void>;
}

export function startServer(command: readonly string[], surroundings: Surroundings = {}): Server {
  const child = startProcess(command, ['ignore', 'ignore', 'pipe'], surroundings);
  let heard = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    heard = (heard + text).slice(-STDERR_CHARS_MAX);
  });
  const ended = () => child.exitCode !== null || child.signalCode !== null;
  return {
    pid: child.pid!,
    complaint: () => heard.trim(),
    get ended() {
      return ended();
    },
    signal: (signal) => void child.kill(signal),
    async kill() {
      killGroup(child);
      if (!ended()) await once(child, 'exit', { signal: AbortSignal.timeout(REAP_MS) });
      live.delete(child);
    },
  };
}

/** Runs a command to its end and returns what it wrote to standard output. Throws when it fails or takes too long. */
export async function run(
  command: readonly string[],
  limitMs: number,
  surroundings: Surroundings = {},
): Promise<string> {
  const child = startProcess(command, ['ignore', 'pipe', 'pipe'], surroundings);
  const limit = setTimeout(() => killGroup(child), limitMs);
  let output = '';
  let complaint = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(-STDERR_CHARS_MAX);
  });
  const [code, signal] = await once(child, 'close');
  clearTimeout(limit);
  live.delete(child);
  if (code !== 0)
    throw new Error(
      `${command.join(' ')} ended with ${signal ?? code}: ${complaint.trim() || output.trim()}`,
    );
  return output;
}

function startProcess(
  command: readonly string[],
  stdio: SpawnOptions['stdio'] & {},
  { cwd, env }: Surroundings,
): ChildProcess {
  const [file, ...args] = command;
  const child = spawn(file!, args, {
    detached: true,
    env: { ...plainEnvironment(), ...env },
    ...(cwd === undefined ? {} : { cwd }),
    stdio,
  });
  child.on('error', () => live.delete(child));
  if (child.pid === undefined) throw new Error(`${file} could not be started`);
  live.add(child);
  return child;
}

/** Nothing that npm, a shell or a settings variable adds may change what is measured. */
function plainEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(NODE_|npm_|KIRIN_|PORT$|WEB_CONCURRENCY$)/.test(name),
  );
  return { ...Object.fromEntries(kept), NODE_ENV: 'production' };
}

/** The group outlives its first process when that one died first, so it is always the group that is killed. */
function killGroup(child: ChildProcess): void {
  try {
    process.kill(-child.pid!, 'SIGKILL');
  } catch {
    // Nobody is left in it.
  }
}

/** A directory of this run's own, which does not outlive it. */
export function makePlace(name: string): string {
  const place = mkdtempSync(join(tmpdir(), `kirin-bench-${name}-`));
  places.add(place);
  return place;
}

/** From here on no way out of this process leaves one of its own behind, unless it is killed with -9. */
export function endWithUs(): void {
  process.on('exit', () => {
    for (const child of live) killGroup(child);
    for (const place of places) rmSync(place, { recursive: true, force: true });
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => process.exit(128 + constants.signals[signal]));
}

/** Ends the benchmark with one line when it takes longer than it can need. */
export function limitRun(limitMs: number): void {
  setTimeout(() => {
    console.error(`bench: not done within ${Math.round(limitMs / 1000)} s`);
    process.exit(1);
  }, limitMs).unref();
}
