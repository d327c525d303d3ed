/**
 * The hooks that the arbiter calls, of each generation its own, in processes that are kept for them. Runs in the arbiter, which none
 * of them can hold or end. What is only told is not waited for, in the order in which it happened; what is waited for has a limit.
 */
import type { HookFile, HookName } from '../../settings/hooks-table.ts';
import type { HookLaunch } from './hook-child.ts';
import type { HookHost } from './host.ts';

/** At the end of the server: how long hooks that are told may still take, and then on_exit, in milliseconds. */
const TOLD_MS = 3000;
const EXIT_MS = 10_000;

/** Where the hooks of a generation lie, and what they run in. */
export interface HookPlaceOfGeneration {
  file: HookFile;
  env: Record<string, string>;
  cwd: string;
  limitMs: number;
}

export interface ArbiterHooksDeps {
  warn(text: string): void;
  guardian?: HookLaunch['guardian'];
}

export class ArbiterHooks {
  readonly #deps: ArbiterHooksDeps;
  readonly #hosts = new Map<number, HookHost>();
  /** Those of generations that are gone, while what they were asked has not ended. */
  readonly #closing = new Set<HookHost>();
  /** The generation that speaks for the server, and those that are gone but for that. */
  #current = 1;
  readonly #released = new Set<number>();
  #hasStarted = false;

  constructor(deps: ArbiterHooksDeps) {
    this.#deps = deps;
  }

  /** Whether there is anything to be told. */
  get isEmpty(): boolean {
    return this.#hosts.size === 0;
  }

  /** Before anything of a generation is started; a generation without hooks is not kept. */
  async keep(generation: number, place: HookPlaceOfGeneration | undefined): Promise<void> {
    if (!place || this.#hosts.has(generation)) return;
    const { HookHost } = await import('./host.ts');
    this.#hosts.set(generation, new HookHost({ ...place, ...this.#deps }));
  }

  /** The last process of a generation is gone, or it is not to be. */
  release(generation: number): void {
    // Before it is gone the server itself has something to say.
    if (generation === this.#current) this.#released.add(generation);
    else this.#close(generation);
  }

  /** From now on this generation speaks for the server. */
  commit(generation: number): void {
    const former = this.#current;
    this.#current = generation;
    if (this.#released.delete(former)) this.#close(former);
  }

  /** Before anything is bound. Rejects with FaultError `hook.failed`, and with the signal's reason when it is given up. */
  async starting(signal: AbortSignal): Promise<void> {
    await this.#cutBy(signal, 1, () => this.#run(1, 'on_starting', { pid: process.pid }));
    this.#hasStarted = true;
  }

  /** When the settings of a new generation are known. One that fails is a warning. */
  async reloading(generation: number, signal: AbortSignal): Promise<void> {
    await this.#cutBy(signal, generation, () =>
      this.#run(generation, 'on_reload', { pid: process.pid, generation }).catch(this.#warn),
    );
  }

  /** Before a worker is started, which waits for it; undefined where there is nothing to wait for. */
  spawning(worker: { age: number; slot: number; generation: number }): Promise<void> | undefined {
    if (!this.#hosts.get(worker.generation)?.has('pre_spawn')) return undefined;
    const { age, slot, generation } = worker;
    return this.#run(generation, 'pre_spawn', { age, slot, generation }).catch(this.#warn);
  }

  /**
   * Before a new executable takes the server's place. Rejects with FaultError `hook.failed`: whoever upgrades had better not.
   */
  async upgrading(subject: object): Promise<void> {
    await this.#run(this.#current, 'pre_upgrade', { pid: process.pid, ...subject });
  }

  /** Tells one generation, by default that which speaks for the server; nobody waits for it, and one that fails is a warning. */
  tell(name: HookName, subject: object, generation: number = this.#current): void {
    void this.#run(generation, name, subject).catch(this.#warn);
  }

  /**
   * At the end of the server: what was told may still end, then comes on_exit, unless the server has not even started. Never
   * rejects; once `hasten` aborts, nothing is waited for.
   */
  async exit(subject: object, hasten: AbortSignal): Promise<void> {
    const all = [...this.#hosts.values(), ...this.#closing];
    if (all.length === 0) return;
    const cut = (): void => {
      for (const host of all) host.cut();
    };
    hasten.addEventListener('abort', cut);
    await within(TOLD_MS, Promise.all(all.map((host) => host.idle())), cut);
    const last = this.#hasStarted && !hasten.aborted && this.#run(this.#current, 'on_exit', subject);
    if (last) await within(EXIT_MS, last.catch(this.#warn), cut);
    for (const host of all) host.kill();
    // What was cut is told.
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** At once; for an end that waits for nobody. */
  kill(): void {
    for (const host of [...this.#hosts.values(), ...this.#closing]) host.kill();
  }

  #run(generation: number, name: HookName, subject: object): Promise<void> {
    return this.#hosts.get(generation)?.run(name, subject) ?? Promise.resolve();
  }

  #warn = ({ message }: Error): void => this.#deps.warn(message);

  #close(generation: number): void {
    const host = this.#hosts.get(generation);
    if (!host) return;
    this.#hosts.delete(generation);
    this.#closing.add(host);
    host.close();
    void host.idle().then(() => this.#closing.delete(host));
  }

  async #cutBy(signal: AbortSignal, generation: number, run: () => Promise<void>): Promise<void> {
    const cut = (): void => this.#hosts.get(generation)?.cut();
    signal.addEventListener('abort', cut);
    try {
      await run();
    } finally {
      signal.removeEventListener('abort', cut);
    }
    signal.throwIfAborted();
  }
}

/** Waits so long at most; then `cut` is to end it. */
async function within(limitMs: number, done: Promise<unknown>, cut: () => void): Promise<void> {
  const limit = setTimeout(cut, limitMs);
  await done;
  clearTimeout(limit);
}
