/**
 * Real servers for tests: each is a child process in a process group of its own, with its log as JSON. A test waits
 * for what the log tells or polls with a deadline, and never sleeps. Whatever a test starts is gone when it ends: a
 * process that outlives its server fails the test.
 *
 * `KIRIN_DIST` names another build than `dist`.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Answer, type Asking, ask } from './client.ts';
import { guard, unguard } from './guardian.ts';
import { groupMembers, guardiansOf } from './processes.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const dist = resolve(root, process.env['KIRIN_DIST'] ?? 'dist');

/** Far longer than anything should take, so that a busy machine fails no test. */
const DEADLINE_MS = 30_000;
const POLL_MS = 10;
/** What a failed wait shows of the log. */
const TAIL_LINES = 40;

/** One of the built commands. */
export const command = (name: 'kirin' | 'kirinc'): string => join(dist, `${name}.js`);

export const fixture = (name: string): string => join(root, 'test/fixtures/system', name);

/** One line of the server's log. */
export interface LogLine {
  time: string;
  level: 'debug' | 'info' | 'warn' | 'error' | 'fatal';
  msg: string;
  pid: number;
  age?: number;
  slot?: number;
  generation?: number;
  addresses?: string[];
  stack?: string;
  [field: string]: unknown;
}

/** A worker as the log tells of it. */
export interface WorkerSeen {
  age: number;
  slot: number;
  generation: number;
  pid: number;
  state: 'starting' | 'ready' | 'leaving';
}

export interface ServerOptions {
  cwd?: string;
  env?: Record<string, string>;
  /** Leave out `--log-format json` and what else the harness adds. */
  plain?: boolean;
  /** False: the address is given by other means than the command line. */
  bind?: boolean;
  /** True: with the control socket that a user gets. Default: none. */
  control?: boolean;
  /** Descriptors of the test that the server finds open by chance, under these numbers. */
  strays?: Readonly<Record<number, number>>;
  /** A program and its arguments that becomes the server, or starts it. */
  through?: readonly string[];
}

/** Polls until `condition` gives something true; throws with `what` when the deadline is over. */
export async function eventually<T>(
  what: string,
  condition: () => T | Promise<T>,
  deadlineMs = DEADLINE_MS,
): Promise<NonNullable<T>> {
  const endMs = performance.now() + deadlineMs;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (performance.now() > endMs) throw new Error(`waited ${deadlineMs} ms in vain until ${what}`);
    await sleep(POLL_MS);
  }
}

/** A directory that is removed after the test; short, since Unix sockets may lie in it. */
export class Site {
  readonly directory: string;

  constructor(t: TestContext) {
    this.directory = mkdtempSync(join(realpathSync(tmpdir()), 'kirin-'));
    t.after(() => rmSync(this.directory, { recursive: true, force: true }));
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  write(name: string, text: string): string {
    const path = this.path(name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    return path;
  }

  read(name: string): string {
    return readFileSync(this.path(name), 'utf8');
  }

  remove(name: string): void {
    rmSync(this.path(name), { recursive: true, force: true });
  }

  /** Puts the common app there, to be told apart by its version. */
  deploy(version: string, name = 'app.mjs', more = ''): string {
    return this.write(
      name,
      `import { app } from ${JSON.stringify(fixture('app.mjs'))};\n${more}\nexport default app('${version}');\n`,
    );
  }
}

export class Server {
  readonly child: ChildProcess;
  readonly lines: LogLine[] = [];
  /** What is not a line of the log: the workers' own output on both streams. */
  output = '';
  exited: { code: number | null; signal: NodeJS.Signals | null } | undefined;
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  #partial = '';

  constructor(args: readonly string[], given: ServerOptions = {}) {
    const { cwd, env, plain, control, strays = {}, through = [] } = given;
    const options = plain ? [] : ['--log-format', 'json', '--log-level', 'debug'];
    const [program = '', ...rest] = [...through, process.execPath, command('kirin'), ...options, ...args];
    this.child = spawn(program, rest, {
      cwd: cwd ?? root,
      env: { ...cleanEnvironment(), ...(control ? {} : { KIRIN_NO_CONTROL_SOCKET: 'true' }), ...env },
      stdio: withStrays(['ignore', 'pipe', 'pipe'], strays),
      detached: true,
    });
    this.child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      this.output += text;
    });
    this.child.stderr!.setEncoding('utf8').on('data', (text: string) => this.#read(text));
    if (this.child.pid !== undefined) guard(this.child.pid);
    this.ended = new Promise((resolve) => {
      this.child.once('exit', (code, signal) => {
        this.exited = { code, signal };
        resolve(this.exited);
      });
    });
  }

  #read(text: string): void {
    const lines = (this.#partial + text).split('\n');
    this.#partial = lines.pop()!;
    for (const line of lines) {
      // A worker that is still writing an endless line to the same pipe may stand before it.
      const start = line.indexOf('{"time":');
      const told = start < 0 ? undefined : parsed(line.slice(start));
      if (told) this.lines.push(told);
      this.output += told ? line.slice(0, start) : `${line}\n`;
    }
  }

  get pid(): number {
    return this.child.pid!;
  }

  signal(name: NodeJS.Signals): void {
    this.child.kill(name);
  }

  /** The place in the log from which `told` may be asked to look. */
  mark(): number {
    return this.lines.length;
  }

  /** The lines told since a mark that match. */
  all(pattern: RegExp, from = 0): LogLine[] {
    return this.lines.slice(from).filter(({ msg }) => pattern.test(msg));
  }

  /** Waits until the log has told a line that matches, at or after the mark `from`. */
  async told(pattern: RegExp, from = 0, deadlineMs = DEADLINE_MS): Promise<LogLine> {
    return await this.until(`the log tells ${pattern}`, () => this.all(pattern, from)[0], deadlineMs);
  }

  /** As `eventually`, but gives up when the server is gone, and shows the log. */
  async until<T>(
    what: string,
    condition: () => T | Promise<T>,
    deadlineMs = DEADLINE_MS,
  ): Promise<NonNullable<T>> {
    const attempt = async (): Promise<T> => {
      // Its last lines may come after the news of its exit.
      const gone = this.child.stderr!.closed ? this.exited : undefined;
      const value = await condition();
      if (!value && gone) throw new Error(`the server exited (${gone.code ?? gone.signal}) before ${what}`);
      return value;
    };
    try {
      return await eventually(what, attempt, deadlineMs);
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${this.tail()}`, { cause: error });
    }
  }

  tail(): string {
    const lines = this.lines
      .slice(-TAIL_LINES)
      .map(({ time, level, msg }) => `  ${time} ${level} ${msg.slice(0, 300)}`);
    return `the log's end:\n${lines.join('\n')}\nother output:\n${this.output.slice(-2000)}`;
  }

  /** Waits for something in the workers' own output. */
  async printed(pattern: RegExp): Promise<RegExpExecArray> {
    return await this.until(`${pattern} is printed`, () => pattern.exec(this.output));
  }

  /** The addresses that are listened on, newest first. */
  get addresses(): string[] {
    return this.lines.findLast(({ addresses }) => addresses)?.addresses ?? [];
  }

  /** The port of the first address. */
  get port(): number {
    const port = Number(/:(\d+)$/.exec(this.addresses[0] ?? '')?.[1]);
    if (!port) throw new Error(`no port is known yet\n${this.tail()}`);
    return port;
  }

  /** Workers that live, by age. */
  workers(): WorkerSeen[] {
    const seen = new Map<number, WorkerSeen>();
    for (const { msg, age, slot, generation, pid } of this.lines) {
      if (age === undefined || slot === undefined || generation === undefined) continue;
      const workerPid = Number(/\(pid (\d+)\)/.exec(msg)?.[1] ?? pid);
      const before = seen.get(age);
      if (/\) started/.test(msg)) seen.set(age, { age, slot, generation, pid: workerPid, state: 'starting' });
      else if (!before) continue;
      else if (/\) is ready/.test(msg)) before.state = 'ready';
      else if (/\) is draining|\) is killed|: sent SIGABRT/.test(msg)) before.state = 'leaving';
      else if (/\) (ended|could not boot)/.test(msg)) seen.delete(age);
    }
    return [...seen.values()];
  }

  ready(): WorkerSeen[] {
    return this.workers().filter(({ state }) => state === 'ready');
  }

  /**
   * Waits until there are exactly so many workers, and all of them are ready; of one generation, if it is given:
   * between two workers of a reload there may be as many of mixed ones.
   */
  async settled(count: number, generation?: number): Promise<WorkerSeen[]> {
    const which = generation === undefined ? '' : ` of generation ${generation}`;
    return await this.until(`there are ${count} workers${which}, all ready`, () => {
      const workers = this.workers();
      const settled = workers.every(
        (one) => one.state === 'ready' && (generation === undefined || one.generation === generation),
      );
      return workers.length === count && settled ? workers : undefined;
    });
  }

  async get(path = '/', asking: Asking = {}): Promise<Answer> {
    return await ask(asking.port ?? (asking.socketPath === undefined ? this.port : 0), path, asking);
  }

  /** Orders a reload and waits for its end. */
  async reload(): Promise<LogLine> {
    const from = this.mark();
    this.signal('SIGHUP');
    return await this.told(/^reload (done|failed|refused|superseded)/, from);
  }

  /** Waits for the exit; the log is complete then. */
  async exit(): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
    await eventually(`the server exits\n${this.tail()}`, () => this.exited);
    // Workers hold the pipes too: their end is the log's end.
    await eventually('the output is closed', () => this.child.stderr!.closed || this.#orphans().length > 0);
    return this.exited!;
  }

  /** Stops as an operator would, and returns the exit code. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    this.signal(signal);
    return (await this.exit()).code;
  }

  /** A second signal to stop: of the same kind it counts once for half a second, so it is sent until it counts. */
  async hasten(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const again = (): boolean => this.all(/ again: what is in flight is cut/).length > 0;
    await this.until('it is hastened', () => {
      if (!again()) this.signal(signal);
      return again() || this.exited;
    });
  }

  #orphans(): number[] {
    return groupMembers(this.pid).filter((pid) => pid !== this.pid);
  }

  killAll(): void {
    try {
      process.kill(-this.pid, 'SIGKILL');
    } catch {
      // Nobody is left.
    }
  }

  /** Ends what is left after a test; throws if the server could not end it itself. */
  async dispose(): Promise<void> {
    try {
      if (!this.exited) {
        this.signal('SIGCONT');
        this.signal('SIGINT');
        await eventually(`the server stops\n${this.tail()}`, () => this.exited);
      }
      await eventually(
        `no process outlives the server (${this.#orphans().join(', ')} do)\n${this.tail()}`,
        () => groupMembers(this.pid).length === 0,
      );
      await eventually('no guardian outlives the server', () => guardiansOf(this.pid).length === 0);
    } finally {
      this.killAll();
      unguard(this.pid);
    }
  }
}

function withStrays(stdio: ('ignore' | 'pipe' | number)[], strays: ServerOptions['strays'] = {}) {
  for (const [at, fd] of Object.entries(strays)) {
    while (stdio.length < Number(at)) stdio.push('ignore');
    stdio.push(fd);
  }
  return stdio;
}

function parsed(line: string): LogLine | undefined {
  try {
    return JSON.parse(line) as LogLine;
  } catch {
    return undefined;
  }
}

/** Starts a server on a port of its own and waits until it serves. */
export async function serve(
  t: TestContext,
  app: string,
  args: readonly string[] = [],
  options: ServerOptions = {},
): Promise<Server> {
  const server = launch(t, app, args, options);
  await server.told(/^serving /);
  return server;
}

/** Starts a server and does not wait. */
export function launch(
  t: TestContext,
  app: string,
  args: readonly string[] = [],
  options: ServerOptions = {},
): Server {
  const bind = args.includes('-b') || options.bind === false ? [] : ['-b', '127.0.0.1:0'];
  const server = new Server([...bind, ...QUICKLY, ...args, app], options);
  t.after(() => server.dispose());
  return server;
}

/** Short limits, so that tests are; a later option of the same name wins. */
const QUICKLY = ['--reload-settle', '0.1', '--graceful-timeout', '5', '--idle-grace', '0.2'];

/** Nothing of the test's own surroundings reaches a server. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = {};
  for (const [name, value] of Object.entries(process.env))
    if (!/^(KIRIN_|NODE_|LISTEN_|NOTIFY_|WATCHDOG_|PORT$|WEB_CONCURRENCY$)/.test(name)) env[name] = value;
  return env;
}

/** Open descriptors of a process; Linux only. */
export const descriptors = (pid: number): string[] => readdirSync(`/proc/${pid}/fd`);

/** What a descriptor of a process leads to; empty when it is closed. Linux only. */
export function linkOf(pid: number, fd: string): string {
  try {
    return readlinkSync(`/proc/${pid}/fd/${fd}`);
  } catch {
    return '';
  }
}

/** A reason to skip what needs /proc, or false. */
export const needsProc = process.platform === 'linux' ? false : 'there is no /proc here';
