/** Calls hooks of one configuration file, which is loaded when the first is called. Runs where hooks run: never in an arbiter. */
import { basename } from 'node:path';
import { configValue, type Hooks, separateHooks } from '../../settings/config-value.ts';
import type { HookFile, HookName } from '../../settings/hooks-table.ts';
import { errorLine } from '../app-errors.ts';
import { FaultError } from '../fault-error.ts';
import { hopeful } from '../patience.ts';

/** A reason is one line of the log, in UTF-16 units. */
const REASON_MAX = 1024;

export class HookRunner {
  readonly #file: HookFile | null;
  #hooks: Promise<Hooks> | undefined;

  /** null: there are none. */
  constructor(file: HookFile | null) {
    this.#file = file;
  }

  /**
   * Resolves when the hook has ended, and at once where there is none. Rejects with FaultError `hook.failed`, also when
   * nothing is left to run that could end it.
   */
  async run(name: HookName, subject: object): Promise<void> {
    const neverEnded = (): Error => new Error('it never ended: what it waits for cannot happen any more');
    try {
      await hopeful(this.call(name, subject), neverEnded);
    } catch (error) {
      throw hookFailed(this.#file!.file, name, shortReason(error), error);
    }
  }

  /** As `run`, without that last; rejects with whatever the hook throws. */
  async call(name: HookName, subject: object): Promise<void> {
    if (!this.#file?.names.includes(name)) return;
    await (await this.hooks()).get(name)?.(subject);
  }

  /** All of the file, which is loaded once. Rejects with whatever it throws. */
  async hooks(): Promise<Hooks> {
    if (!this.#file) return new Map();
    this.#hooks ??= configValue(this.#file.file).then((exported) => separateHooks(exported).hooks);
    return await this.#hooks;
  }
}

/** Whatever was thrown, in one line of limited length. */
export function shortReason(error: unknown): string {
  try {
    const line = errorLine(error);
    return line.length > REASON_MAX ? `${line.slice(0, REASON_MAX)}...` : line;
  } catch {
    return 'threw what cannot be shown';
  }
}

export function hookFailed(file: string, name: HookName, why: string, cause?: unknown): FaultError {
  const stack = cause instanceof Error ? cause.stack : undefined;
  return new FaultError('hook.failed', `${name} in ${basename(file)} failed: ${why}`, stack);
}
