/**
 * The process that an arbiter keeps for the hooks of one configuration, seen from the arbiter: whatever a hook does, it does not
 * do it to the one who supervises. Runs in the dirty arbiter. Started by the first call; one call at a time, each for a limited
 * time; a process that overran or ended is started again by the next call.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { HookFile, HookName } from '../../settings/hooks-table.ts';
import { hookFailed } from './run-hook.ts';

/** Calls that may wait; more are refused. */
const WAITING_MAX = 100;

export interface HookHostOptions {
  file: HookFile;
  env: Record<string, string>;
  cwd: string;
  /** How long a call may take, its loading of the file included, in milliseconds; 0: as long as it likes. */
  limitMs: number;
}

/** What the process is asked, and what it answers. */
export interface HookCall {
  name: HookName;
  subject: object;
}
export interface HookAnswer {
  error?: string;
}

interface Waiting extends HookCall {
  done(error?: Error): void;
}

/** Beside this file's bundle in the package, or above its chunk; among the sources when they are run directly. */
const ENTRIES = import.meta.url.endsWith('.ts') ? ['../entry/hooks.ts'] : ['./hooks.js', '../hooks.js'];

export class HookHost {
  readonly #options: HookHostOptions;
  readonly #waiting: Waiting[] = [];
  #current: Waiting | undefined;
  #limit: NodeJS.Timeout | undefined;
  #child: ChildProcess | undefined;
  #isClosing = false;
  #idle: (() => void)[] = [];

  constructor(options: HookHostOptions) {
    this.#options = options;
  }

  /** Resolves when the hook has ended, and at once where there is none. Rejects with FaultError `hook.failed`. */
  run(name: HookName, subject: object): Promise<void> {
    const { file } = this.#options.file;
    if (!this.#options.file.names.includes(name)) return Promise.resolve();
    if (this.#waiting.length >= WAITING_MAX)
      return Promise.reject(hookFailed(file, name, `${WAITING_MAX} calls of hooks wait already`));
    return new Promise((resolve, reject) => {
      this.#waiting.push({ name, subject, done: (error) => (error ? reject(error) : resolve()) });
      this.#next();
    });
  }

  /** Resolves when nothing runs or waits. */
  idle(): Promise<void> {
    if (!this.#current) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  /** Ends the process when what was asked has been answered. */
  close(): void {
    this.#isClosing = true;
    if (!this.#current) this.#end();
  }

  /** Ends the process at once, and what waits with it. */
  kill(): void {
    this.#isClosing = true;
    const waiting = this.#waiting.splice(0);
    this.#end();
    for (const { name, done } of waiting) done(this.#failed(name, 'hooks have ended'));
  }

  #next(): void {
    if (this.#current) return;
    const call = this.#waiting.shift();
    if (!call) {
      for (const resolve of this.#idle.splice(0)) resolve();
      if (this.#isClosing) this.#end();
      return;
    }
    this.#current = call;
    const { limitMs } = this.#options;
    if (limitMs > 0)
      this.#limit = setTimeout(() => {
        this.#settle(this.#failed(call.name, `it has not ended for ${limitMs / 1000} s (--hook-timeout)`));
      }, limitMs);
    const { name, subject } = call;
    this.#process().send({ name, subject } satisfies HookCall, (error) => {
      if (error && this.#current === call) this.#settle(this.#failed(name, error.message));
    });
  }

  /** What runs has ended; with an error of ours its process is of no use any more. */
  #settle(error?: Error, isOurs = true): void {
    const call = this.#current;
    clearTimeout(this.#limit);
    this.#current = undefined;
    if (error && isOurs) this.#end();
    call?.done(error);
    this.#next();
  }

  #process(): ChildProcess {
    if (this.#child) return this.#child;
    const { env, cwd, file } = this.#options;
    const entries = ENTRIES.map((place) => fileURLToPath(new URL(place, import.meta.url)));
    const entry = entries.find((one) => existsSync(one)) ?? entries[0]!;
    const options = entry.endsWith('.ts') ? ['--import', import.meta.resolve('tsx')] : [];
    const child = spawn(process.execPath, [...options, entry, JSON.stringify(file)], {
      cwd,
      env,
      stdio: ['ignore', 2, 2, 'ipc'],
    });
    this.#child = child;
    const ended = (why: string): void => {
      if (this.#child !== child) return;
      this.#child = undefined;
      const name = this.#current?.name;
      if (name) this.#settle(this.#failed(name, why));
    };
    child.on('message', ({ error }: HookAnswer) => {
      if (this.#child !== child || !this.#current) return;
      this.#settle(error === undefined ? undefined : this.#failed(this.#current.name, error), false);
    });
    child.on('error', (error) => ended(`its process could not be started: ${error.message}`));
    child.on('exit', (code, signal) => ended(`its process ended (${signal ?? `exit code ${code}`})`));
    return child;
  }

  #end(): void {
    const child = this.#child;
    this.#child = undefined;
    child?.kill('SIGKILL');
  }

  #failed(name: HookName, why: string): Error {
    return hookFailed(this.#options.file.file, name, why);
  }
}
