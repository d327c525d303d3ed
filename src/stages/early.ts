/**
 * The very first act of a start: binds, and starts the first workers, before a setting is known, as `plain-arguments.ts` guesses
 * them. Runs in the arbiter of a built Kirin. A worker needs as long to begin as its arbiter, and they do it at once.
 *
 * Nothing depends on the guess: the settings are read as ever, and whoever then starts a worker takes the process that is here
 * only if it was started with the very same words, variables and descriptors (`adopt`), and the socket only if it is bound as he
 * would bind it (`take`). What nobody takes is killed and closed. Until a worker is given its order to boot it runs nothing of
 * the user's.
 */
import type { ChildProcess } from 'node:child_process';
import { lstatSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { resolveApp, startDirectory } from '../actors/app-path.ts';
import { killChild } from '../actors/child-kill.ts';
import { processWords, type SpawnWords, spawnAsSaid } from '../actors/process-spawn.ts';
import { type BoundHandle, bindTcpHandle } from '../actors/socket-handle.ts';
import { CONFIG_FILES } from '../settings/config-names.ts';
import { TYPED_VARIABLE } from '../settings/typed-options.ts';
import { holdSignals } from './held-signals.ts';
import { type PlainOption, type PlainStart, plainStart } from './plain-arguments.ts';

/** Under this symbol of the global object whoever prepares the first generation finds what was started. */
export const EARLY: unique symbol = Symbol.for('kirin.early');

/** So many workers begin at once: more would only be in each other's way, and in the way of this process. The others begin when these serve. */
export const AT_ONCE_MAX = Math.max(1, availableParallelism() - 1);

export class EarlyStart {
  readonly #children = new Map<string, ChildProcess>();
  readonly #bound = new Map<string, BoundHandle>();

  constructor() {
    process.on('exit', () => this.dropProcesses());
  }

  /** Throws what the system says. */
  begin({ workers, bind, typed }: PlainStart, cwd: string, workerFile: string): void {
    for (const { host, port } of bind) {
      const name = placeName(host, port);
      if (!this.#bound.has(name)) this.#bound.set(name, bindTcpHandle(host, port));
    }
    const sockets = [...this.#bound.values()];
    const fds = sockets.flatMap(({ handle: { fd } }) => [fd, fd]);
    const env = { ...process.env, [TYPED_VARIABLE]: typed, PORT: String(sockets[0]!.name.port) };
    for (let slot = 0; slot < Math.min(workers, AT_ONCE_MAX); slot++) {
      const words = processWords(
        { cwd, env: env as Record<string, string>, fds },
        { age: slot + 1, slot },
        workerFile,
      );
      const child = spawnAsSaid(words);
      // Whoever starts one himself will hear of it.
      child.on('error', () => {});
      this.#children.set(nameOf(words), child);
    }
  }

  /** The process that was started so, once; undefined where there is none that lives. */
  adopt(words: SpawnWords): ChildProcess | undefined {
    const name = nameOf(words);
    const child = this.#children.get(name);
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return undefined;
    this.#children.delete(name);
    return child;
  }

  /** The socket that was bound for this place, once. */
  take(host: string, port: number): BoundHandle | undefined {
    const name = placeName(host, port);
    const bound = this.#bound.get(name);
    this.#bound.delete(name);
    return bound;
  }

  /** Ends those that nobody has taken. */
  dropProcesses(): void {
    for (const child of this.#children.values()) killChild(child);
    this.#children.clear();
  }

  drop(): void {
    this.dropProcesses();
    for (const { handle } of this.#bound.values()) handle.close();
    this.#bound.clear();
  }
}

/** Starts what can be started; what stands in the way is found, and told, when it is done as ever. */
export function startEarly(
  workerFile: string,
  argv: readonly string[],
  options: readonly PlainOption[],
): void {
  const plain = plainStart(argv, process.env, options);
  if (!plain) return;
  let early: EarlyStart | undefined;
  try {
    const directory = startDirectory();
    // What is in there may be anything.
    if (CONFIG_FILES.some((name) => lstatSync(join(directory, name), { throwIfNoEntry: false }))) return;
    const { cwd } = resolveApp({ app: plain.app, chdir: undefined });
    // From here on there is something that must not be left behind.
    holdSignals();
    early = new EarlyStart();
    early.begin(plain, cwd, workerFile);
    Object.defineProperty(globalThis, EARLY, { value: early });
  } catch {
    // The app, the address or the system is not as it should be.
    early?.drop();
  }
}

/** What was started before all else, if there is anything. */
export const earlyStart = (): EarlyStart | undefined => (globalThis as { [EARLY]?: EarlyStart })[EARLY];

const placeName = (host: string, port: number): string => `${host}:${port}`;

const nameOf = ({ args, options: { env, ...others } }: SpawnWords): string =>
  JSON.stringify([args, others, Object.entries(env).sort(([one], [other]) => (one < other ? -1 : 1))]);
