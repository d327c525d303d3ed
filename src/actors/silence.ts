/**
 * What is done about the silence of one process before its machine is told: nothing while a debugger is attached; else it is asked
 * where it hangs, where it can be. Runs in the parent; no step takes longer than a few seconds.
 */
import type { Duplex } from 'node:stream';
import type { Found } from '../machines/events/process.ts';
import { isDebuggerAttached } from './debugger-attached.ts';
import { stackAsker } from './hang-stack/asker.ts';
import type { HeartbeatTable } from './heartbeat.ts';
import type { Redactor } from './redaction.ts';

export interface SilenceOptions {
  age: number;
  /** What people call it: `worker 1`. */
  name: string;
  pid: number;
  heartbeats: HeartbeatTable;
  debuggerPort: number | undefined;
  /** What leads to the thread that knows; undefined: there is none. */
  asker: Duplex | undefined;
  redactor: Pick<Redactor, 'report'>;
  notice(text: string): void;
  report(silentMs: number, found: Found | undefined): void;
}

export class Silence {
  readonly #options: SilenceOptions;
  readonly #ask: (() => Promise<Found>) | undefined;
  #isToldOfDebugger = false;

  constructor(options: SilenceOptions) {
    this.#options = options;
    this.#ask = options.asker && stackAsker(options.asker, options.pid);
  }

  async heard(silentMs: number): Promise<void> {
    const { pid, debuggerPort, report } = this.#options;
    if (debuggerPort !== undefined && (await isDebuggerAttached(pid, debuggerPort))) return this.#forgive();
    const found = await this.#ask?.();
    report(silentMs, found && this.#redacted(found));
  }

  #forgive(): void {
    const { age, name, heartbeats, notice } = this.#options;
    heartbeats.forgive(age);
    if (!this.#isToldOfDebugger)
      notice(`${name} is silent and a debugger is attached to it: --timeout does not count`);
    this.#isToldOfDebugger = true;
  }

  #redacted(found: Found): Found {
    return 'stack' in found ? { stack: this.#options.redactor.report({ text: found.stack }).text } : found;
  }
}
