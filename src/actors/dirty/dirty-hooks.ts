/**
 * The hooks that a dirty arbiter calls, of each edition its own, in processes that are kept for them. Runs in the dirty arbiter,
 * which none of them can hold or end.
 */
import type { DirtyGeneration } from '../../machines/events/dirty.ts';
import { HOOKS, type HookName } from '../../settings/hooks-table.ts';
import type { HookLaunch } from '../hooks/hook-child.ts';
import { HookHost } from '../hooks/host.ts';

export interface ArbiterSubject {
  /** Of the dirty arbiter. */
  pid: number;
  age: number;
}

/** A dirty worker that has ended. */
export interface ExitSubject {
  pid: number;
  age: number;
  slot: number;
  code: number | null;
  signal: string | null;
  /** Why, where it was not told to leave. */
  reason: string | null;
}

export class DirtyHooks {
  readonly #hosts = new Map<number, HookHost>();
  /** Those of editions that are gone, while what they were asked has not ended. */
  readonly #closing = new Set<HookHost>();
  readonly #warn: (text: string) => void;
  readonly #guardian: HookLaunch['guardian'];

  constructor(warn: (text: string) => void, guardian: HookLaunch['guardian']) {
    this.#warn = warn;
    this.#guardian = guardian;
  }

  keep(edition: number, { hooks, env, cwd }: DirtyGeneration): void {
    if (!hooks || this.#hosts.has(edition)) return;
    const names = (hooks.names as HookName[]).filter((name) => HOOKS[name].place === 'dirtyArbiter');
    if (names.length === 0) return;
    const { file, limitMs } = hooks;
    const [warn, guardian] = [this.#warn, this.#guardian];
    this.#hosts.set(edition, new HookHost({ file: { file, names }, env, cwd, limitMs, guardian, warn }));
  }

  release(edition: number): void {
    const host = this.#hosts.get(edition);
    if (!host) return;
    this.#hosts.delete(edition);
    this.#closing.add(host);
    host.close();
    void host.idle().then(() => this.#closing.delete(host));
  }

  /** Before the first worker. Rejects with FaultError `hook.failed`, and when it is given up, which ends the hook. */
  async starting(edition: number, subject: ArbiterSubject, signal: AbortSignal): Promise<void> {
    const host = this.#hosts.get(edition);
    const cut = (): void => host?.kill();
    signal.addEventListener('abort', cut);
    try {
      await host?.run('on_dirty_starting', subject);
    } finally {
      signal.removeEventListener('abort', cut);
    }
    signal.throwIfAborted();
  }

  /** Nobody waits for it; one that fails is a warning. */
  workerExit(edition: number, subject: ExitSubject): void {
    this.#hosts
      .get(edition)
      ?.run('dirty_worker_exit', subject)
      .catch(({ message }: Error) => this.#warn(message));
  }

  /** Resolves when all that was called has ended. */
  async idle(): Promise<void> {
    await Promise.all([...this.#hosts.values(), ...this.#closing].map((host) => host.idle()));
  }

  /** Ends what runs; resolves when its ends have been told. */
  async kill(): Promise<void> {
    for (const host of [...this.#hosts.values(), ...this.#closing]) host.kill();
    this.#hosts.clear();
    await new Promise((resolve) => setImmediate(resolve));
  }
}
