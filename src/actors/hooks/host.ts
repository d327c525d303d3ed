/**
 * The process that an arbiter keeps for the hooks of one configuration, seen from the arbiter: whatever a hook does, it does not
 * do it to the one who supervises. Runs in the dirty arbiter. Started by the first call; one call at a time, each for a limited
 * time; a process that overran, ended or was left with an error is started again by the next call.
 */
import { basename } from 'node:path';
import type { HookFile, HookName } from '../../settings/hooks-table.ts';
import { HookChild, type HookLaunch } from './hook-child.ts';
import { hookFailed } from './run-hook.ts';
import type { HookAnswer } from './wire.ts';

/** Calls that may wait; more are refused. */
const WAITING_MAX = 100;

export interface HookHostOptions {
  file: HookFile;
  env: Record<string, string>;
  cwd: string;
  guardian?: HookLaunch['guardian'];
  /** How long a call may take, its loading of the file included, in milliseconds; 0: as long as it likes. */
  limitMs: number;
  /** Told of what shows when no hook runs. */
  warn(text: string): void;
}

interface Waiting {
  name: HookName;
  subject: object;
  done(error?: Error): void;
}

export class HookHost {
  readonly #options: HookHostOptions;
  readonly #waiting: Waiting[] = [];
  #current: Waiting | undefined;
  #limit: NodeJS.Timeout | undefined;
  #child: HookChild | undefined;
  #isClosing = false;
  #idle: (() => void)[] = [];

  constructor(options: HookHostOptions) {
    this.#options = options;
  }

  /** Resolves when the hook has ended, and at once where there is none. Rejects with FaultError `hook.failed`. */
  run(name: HookName, subject: object): Promise<void> {
    if (!this.has(name)) return Promise.resolve();
    if (this.#isClosing) return Promise.reject(this.#failed(name, 'its process is not kept any more'));
    if (this.#waiting.length >= WAITING_MAX)
      return Promise.reject(this.#failed(name, `${WAITING_MAX} calls of hooks wait already`));
    return new Promise((resolve, reject) => {
      this.#waiting.push({ name, subject, done: (error) => (error ? reject(error) : resolve()) });
      this.#next();
    });
  }

  has(name: HookName): boolean {
    return this.#options.file.names.includes(name);
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

  /** Ends the process at once; what runs or waits has failed. */
  kill(): void {
    this.#isClosing = true;
    this.cut();
  }

  /** What runs or waits has failed; the next call starts another process. */
  cut(): void {
    this.#end();
    for (const { name, done } of this.#waiting.splice(0)) done(this.#failed(name, 'it was cut short'));
    const current = this.#current;
    if (current) this.#settle(this.#failed(current.name, 'it was cut short'));
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
      this.#limit = setTimeout(
        () => this.#lost(`it has not ended for ${limitMs / 1000} s (--hook-timeout)`),
        limitMs,
      );
    this.#child ??= this.#start();
    this.#child.call(call.name, call.subject);
  }

  #settle(error?: Error): void {
    const call = this.#current;
    clearTimeout(this.#limit);
    this.#current = undefined;
    call?.done(error);
    this.#next();
  }

  /** Its process is of no use any more, and what runs has failed. */
  #lost(why: string): void {
    this.#end();
    if (this.#current) this.#settle(this.#failed(this.#current.name, why));
  }

  #start(): HookChild {
    const child: HookChild = new HookChild(this.#options, {
      answered: (answer) => this.#child === child && this.#answered(answer),
      ended: (why) => this.#child === child && this.#lost(why),
    });
    return child;
  }

  #answered(answer: HookAnswer): void {
    const { file, warn } = this.#options;
    const current = this.#current;
    if (answer.type === 'hook.stray') {
      if (!current) warn(`a hook in ${basename(file.file)} left an error behind: ${answer.why}`);
      this.#lost(answer.why);
    } else if (current)
      this.#settle(answer.type === 'hook.done' ? undefined : this.#failed(current.name, answer.why));
  }

  #end(): void {
    this.#child?.kill();
    this.#child = undefined;
  }

  #failed(name: HookName, why: string): Error {
    return hookFailed(this.#options.file.file, name, why);
  }
}
