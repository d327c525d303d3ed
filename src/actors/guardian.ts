/**
 * The guardian of an arbiter's processes: a shell at the other end of a pipe, which sees it close when the arbiter dies, however it
 * dies. Children whose loop turns see that themselves and drain; those that hang or are stopped cannot, and the guardian kills
 * them when their grace is over. Runs in the arbiter and in the dirty arbiter, each with one of its own.
 *
 * It is told who lives: the pid and when it started, both of which it checks before it kills.
 */
import type { ChildProcess } from 'node:child_process';
import type { Writable } from 'node:stream';
import { killChild } from './child-kill.ts';
import { GUARDIAN_IGNORES, GUARDIAN_SCRIPT } from './guardian-script.ts';
import { childStdio } from './inherited.ts';
import { spawn } from './priority.ts';
import { startMark } from './process-identity.ts';

const SHELL = '/bin/sh';
/** Before the kill: a worker that drains leaves by itself a quarter of a second before its grace is over. */
const RESERVE_TENTHS = 1;
/** Bytes that a guardian may leave unread; one that is stopped is replaced by one that reads. */
const UNREAD_BYTES_MAX = 64 * 1024;
/** The wait before the next one after one has died, and the longest; it doubles. */
const AGAIN_MS = 1000;
const AGAIN_MS_MAX = 60_000;
/** How long one may take to end when it is told that nobody is left. */
const END_MS = 500;

export class Guardian {
  readonly #notice: (text: string) => void;
  readonly #shell: string;
  /** The line that names a process, by its pid. */
  readonly #lines = new Map<number, string>();
  #child: ChildProcess | undefined;
  #again: NodeJS.Timeout | undefined;
  #waitMs = AGAIN_MS;
  #isEnding = false;
  #isTold = false;
  #wasHitEarly = false;

  /** `notice` is told, once, that a guardian has died or cannot be started; another `shell` is for tests. */
  constructor(notice: (text: string) => void, shell = SHELL) {
    this.#notice = notice;
    this.#shell = shell;
    // The kernel ends everybody in a container with its first process.
    if (process.platform === 'linux' && process.pid === 1) this.#isEnding = true;
  }

  /** Its pid, for those who ask; undefined while there is none. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** This process is not to outlive ours by more than `graceMs`. Said at once after it was spawned, when its pid is surely its own. */
  add(pid: number, graceMs: number): void {
    if (this.#isEnding) return;
    const mark = process.platform === 'linux' ? startMark(pid) : '-';
    // Ended already: it was never ours to kill.
    if (mark === undefined) return;
    const line = `+ ${pid} ${mark} ${Math.max(0, Math.floor(graceMs / 100) - RESERVE_TENTHS)}\n`;
    this.#lines.set(pid, line);
    if (this.#child) this.#write(line);
    // After the workers themselves: clients wait for those.
    else this.#again ??= setTimeout(() => this.#start(), 0);
  }

  /** It is reaped: from now on its pid may be anybody's. */
  remove(pid: number): void {
    if (this.#lines.delete(pid)) this.#write(`- ${pid}\n`);
  }

  /** Nobody is left to be guarded. Resolves when the guardian is gone. */
  async end(): Promise<void> {
    this.#isEnding = true;
    clearTimeout(this.#again);
    const child = this.#child;
    if (!child) return;
    child.ref();
    await new Promise<void>((resolve) => {
      const limit = setTimeout(() => {
        killChild(child);
        resolve();
      }, END_MS);
      child.once('exit', () => {
        clearTimeout(limit);
        resolve();
      });
      child.stdin?.end();
    });
  }

  #start(): void {
    this.#again = undefined;
    if (this.#isEnding) return;
    try {
      this.#guardBy(this.#spawn());
    } catch (error) {
      // Out of memory, say: a fault of the world, which is told as one that comes later.
      this.#lost(undefined, `could not be started: ${(error as Error).message}`);
    }
  }

  /** A session of its own: what a terminal or an operator sends to our process group does not reach it. */
  #spawn(): ChildProcess {
    return spawn(this.#shell, ['-c', 'eval "$KIRIN_GUARDIAN"', `kirin: guardian of ${process.pid}`], {
      cwd: '/',
      env: {
        KIRIN_GUARDIAN: GUARDIAN_SCRIPT,
        PATH: process.env['PATH'] ?? '/usr/bin:/bin',
        LC_ALL: 'C',
        TZ: 'UTC',
      },
      stdio: childStdio(['pipe', 'ignore', 'ignore']),
      detached: true,
    });
  }

  #guardBy(child: ChildProcess): void {
    child.once('error', (error) => this.#lost(child, `could not be started: ${error.message}`));
    child.once('exit', (code, signal) => {
      if (isIgnored(signal) && !this.#wasHitEarly) this.#hitEarly(child);
      else this.#lost(child, `has ended (${signal ?? `exit code ${code}`})`);
    });
    // It does not hold our process, which may end in many ways.
    child.unref();
    (child.stdin as unknown as { unref?(): void } | null)?.unref?.();
    child.stdin?.on('error', () => {});
    this.#child = child;
    this.#write([...this.#lines.values()].join(''));
  }

  #write(text: string): void {
    const stdin: Writable | null | undefined = this.#child?.stdin;
    if (!stdin || text === '') return;
    // Its successor is told everything.
    if (stdin.writableLength > UNREAD_BYTES_MAX) return void killChild(this.#child);
    stdin.write(text);
  }

  /** A Ctrl-C in the instant after it was forked: it was still of our process group, and had not begun. The next one is not. */
  #hitEarly(child: ChildProcess): void {
    if (this.#child !== child) return;
    this.#wasHitEarly = true;
    this.#child = undefined;
    this.#start();
  }

  #lost(child: ChildProcess | undefined, what: string): void {
    if (this.#child !== child) return;
    this.#child = undefined;
    if (this.#isEnding) return;
    if (!this.#isTold)
      this.#notice(
        `the guardian ${what}: while there is none, a worker that hangs may outlive a server that is killed`,
      );
    this.#isTold = true;
    this.#again = setTimeout(() => this.#start(), this.#waitMs);
    this.#again.unref();
    this.#waitMs = Math.min(2 * this.#waitMs, AGAIN_MS_MAX);
  }
}

/** A guardian that has begun does not end by it. */
function isIgnored(signal: NodeJS.Signals | null): boolean {
  return signal !== null && GUARDIAN_IGNORES.split(' ').includes(signal.slice(3));
}
