/** Calls hooks of one configuration file, which is loaded when the first is called. Runs where hooks run: never in an arbiter. */
import { basename } from 'node:path';
import { configValue, type Hooks, separateHooks } from '../../settings/config-value.ts';
import type { HookFile, HookName } from '../../settings/hooks-table.ts';
import { errorLine } from '../app-errors.ts';
import { FaultError } from '../fault-error.ts';

export class HookRunner {
  readonly #file: HookFile | null;
  #hooks: Promise<Hooks> | undefined;

  /** null: there are none. */
  constructor(file: HookFile | null) {
    this.#file = file;
  }

  /** Resolves when the hook has ended, and at once where there is none. Rejects with FaultError `hook.failed`. */
  async run(name: HookName, subject: object): Promise<void> {
    try {
      await this.call(name, subject);
    } catch (error) {
      throw hookFailed(this.#file!.file, name, errorLine(error), error);
    }
  }

  /** The same; rejects with whatever the hook throws. */
  async call(name: HookName, subject: object): Promise<void> {
    if (!this.#file?.names.includes(name)) return;
    this.#hooks ??= configValue(this.#file.file).then((exported) => separateHooks(exported).hooks);
    await (await this.#hooks).get(name)?.(subject);
  }
}

export function hookFailed(file: string, name: HookName, why: string, cause?: unknown): FaultError {
  const stack = cause instanceof Error ? cause.stack : undefined;
  return new FaultError('hook.failed', `${name} in ${basename(file)} failed: ${why}`, stack);
}
