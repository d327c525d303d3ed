/**
 * The hooks of a web worker, called where it lives. Runs in web workers that have some. Those at its start are waited for, within
 * the limit of the boot; one that fails keeps it from booting. Later ones only make a warning.
 */
import type { Server } from 'node:net';
import type { WorkerSpec } from '../../machines/events/worker.ts';
import type { HookFile, HookName } from '../../settings/hooks-table.ts';
import { settles } from '../patience.ts';
import type { Notice } from '../supervised.ts';
import { RequestHooks } from './request-hooks.ts';
import { HookRunner, hookFailed, shortReason } from './run-hook.ts';

export class WorkerHooks {
  readonly #file: HookFile;
  readonly #limitMs: number;
  readonly #runner: HookRunner;
  readonly #subject: object;
  readonly #notice: Notice;
  #requests: RequestHooks | undefined;

  constructor({ file, names, limitMs }: NonNullable<WorkerSpec['hooks']>, subject: object, notice: Notice) {
    this.#file = { file, names: names as HookName[] };
    this.#limitMs = limitMs;
    this.#runner = new HookRunner(this.#file);
    this.#subject = subject;
    this.#notice = notice;
  }

  /** Rejects with FaultError `hook.failed`. */
  async spawned(): Promise<void> {
    await this.#runner.run('post_spawn', this.#subject);
  }

  /** Before the app is loaded. Rejects with FaultError `hook.failed`. */
  async init(): Promise<void> {
    await this.#runner.run('worker_init', this.#subject);
    const { names } = this.#file;
    if (!names.includes('pre_request') && !names.includes('post_request')) return;
    const hooks = await this.#runner.hooks();
    const [pre, post] = [hooks.get('pre_request'), hooks.get('post_request')];
    this.#requests = new RequestHooks({ pre, post, limitMs: this.#limitMs }, this.#warn);
  }

  /** From now on requests of this server are seen. */
  watch(server: Server): void {
    this.#requests?.watch(server);
  }

  /** It accepts; nobody waits. */
  ready(): void {
    void this.#told('worker_ready', this.#limitMs);
  }

  /** The app has cleaned up. */
  async exit(leftMs: number): Promise<void> {
    await this.#told('worker_exit', this.#limitMs === 0 ? leftMs : Math.min(leftMs, this.#limitMs));
  }

  async #told(name: HookName, limitMs: number): Promise<void> {
    if (!this.#file.names.includes(name)) return;
    try {
      const running = this.#runner.call(name, this.#subject);
      const outcome =
        limitMs > 0 ? await settles(running, limitMs) : await running.then(() => 'done' as const);
      if (outcome === 'late') this.#warn(name, `it has not ended for ${Math.round(limitMs) / 1000} s`);
      if (outcome === 'hopeless') this.#warn(name, 'it cannot end: nothing is left to run');
    } catch (error) {
      this.#warn(name, shortReason(error));
    }
  }

  #warn = (name: HookName, why: string): void =>
    this.#notice('warn', hookFailed(this.#file.file, name, why).message);
}
