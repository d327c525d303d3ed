/**
 * Copies of the descriptors that a web worker accepts on, so that it can close one and go on with another. Runs in the worker.
 *
 * Node.js has no dup(2). What it has is a channel to a child process, over which that sends what it has inherited. So a process
 * is started that sends some copies and ends; most workers never need one, and pay nothing. The other way, a channel from the
 * arbiter, would have to be there from the start, would put `process.send` before the app, and a stray write of the app to
 * its descriptor would end the arbiter: Node.js throws there at what it cannot read.
 */
import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { killChild } from './child-kill.ts';
import type { CopyWord } from './copy-process.ts';
import { FaultError } from './fault-error.ts';

/** A socket that is bound but does not accept, as far as it matters here. */
export interface Copy {
  readonly fd: number;
  close(): void;
}

/** So many of each are fetched at once, unless more are wanted: each is one resumption without a process. */
const COPIES = 16;
/** And so many of all together, where there are many listeners; at least one of each. */
const COPIES_ALL = 64;
/** The longest time in which the copies must be there. */
const FETCH_MS = 10_000;

/** Beside this file's bundle in the package, or above its chunk. */
const ENTRIES = ['./copies.js', '../copies.js'];

export class DescriptorCopies {
  /** One copy of each descriptor, in their order, for each time that they may be taken. */
  #sets: Copy[][] = [];
  #child: ChildProcess | undefined;
  #isClosed = false;

  get isEmpty(): boolean {
    return this.#sets.length === 0;
  }

  /** The next resumption takes the last ones. */
  get isLow(): boolean {
    return this.#sets.length < 2;
  }

  /** What more can be copied from; empty where there are none. */
  get fds(): number[] {
    return (this.#sets.at(-1) ?? []).map(({ fd }) => fd);
  }

  /** One copy of each descriptor; the taker closes them. Undefined where none are left. */
  take(): Copy[] | undefined {
    return this.#sets.pop();
  }

  /** Gets new ones. Throws FaultError `worker.cannotPause`, and then has none. */
  async fetch(fds: readonly number[], wanted = COPIES): Promise<void> {
    const rounds = Math.max(1, Math.min(wanted, Math.floor(COPIES_ALL / fds.length)));
    const { spawn } = await import('./priority.ts');
    const received: Copy[][] = fds.map(() => []);
    try {
      await this.#receive(received, rounds, () =>
        spawn(process.execPath, [entryFile(), String(fds.length), String(rounds)], {
          // None of the app's options and variables: it only shares the binary, and what that needs to be loaded.
          env: loaderEnv(),
          // The directory of a release may be gone.
          cwd: '/',
          stdio: ['ignore', 'ignore', 'ignore', 'ipc', ...fds],
        }),
      );
    } catch (error) {
      for (const copy of received.flat()) copy.close();
      throw error;
    }
    for (let round = 0; round < rounds; round++) this.#sets.push(received.map((copies) => copies[round]!));
    if (this.#isClosed) this.close();
  }

  /** Closes what is left, and ends what is being fetched. */
  close(): void {
    this.#isClosed = true;
    killChild(this.#child);
    for (const copy of this.#sets.flat()) copy.close();
    this.#sets = [];
  }

  #receive(received: Copy[][], rounds: number, start: () => ChildProcess): Promise<void> {
    return new Promise((resolve, reject) => {
      let isSettled = false;
      const settle = (failed?: string): void => {
        if (isSettled) return;
        isSettled = true;
        clearTimeout(limit);
        this.#child = undefined;
        killChild(child);
        if (failed === undefined) resolve();
        else reject(new FaultError('worker.cannotPause', `no copies of its descriptors: ${failed}`));
      };
      const limit = setTimeout(() => settle(`none came within ${FETCH_MS / 1000} s`), FETCH_MS);
      let child: ChildProcess | undefined;
      try {
        child = start();
      } catch (error) {
        settle((error as Error).message);
        return;
      }
      this.#child = child;
      child.on('error', (error) => settle(error.message));
      child.on('exit', (code, signal) =>
        settle(`the process that sends them ended (${signal ?? `exit code ${code}`})`),
      );
      child.on('message', (word: CopyWord, handle) => {
        if (word === 'all') {
          const isComplete = received.every(({ length }) => length === rounds);
          return settle(isComplete ? undefined : 'this process has too many descriptors open');
        }
        const copy = handle as unknown as Copy;
        if (isSettled) return copy.close();
        received[word.index]?.push(copy);
      });
    });
  }
}

function entryFile(): string {
  const files = ENTRIES.map((place) => fileURLToPath(new URL(place, import.meta.url)));
  return files.find((file) => existsSync(file)) ?? files[0]!;
}

function loaderEnv(): Record<string, string> {
  const names = ['LD_LIBRARY_PATH', 'DYLD_LIBRARY_PATH'];
  return Object.fromEntries(
    names.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
  );
}
