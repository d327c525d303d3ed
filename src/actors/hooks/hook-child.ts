/** One process for hooks and the link to it, for `host.ts`. Runs in the dirty arbiter. */
import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { HookFile, HookName } from '../../settings/hooks-table.ts';
import { killChild } from '../child-kill.ts';
import { stdioOf } from '../child-stdio.ts';
import type { Guardian } from '../guardian.ts';
import { childStdio, inheritedEnv } from '../inherited.ts';
import { type Link, openLink } from '../link.ts';
import { spawn } from '../priority.ts';
import { HOOK_LINK_FD, type HookAnswer, type HookCall, hookAnswers } from './wire.ts';

/** Beside this file's bundle in the package, or above its chunk; among the sources when they are run directly. */
const ENTRIES = import.meta.url.endsWith('.ts') ? ['../entry/hooks.ts'] : ['./hooks.js', '../hooks.js'];

export interface HookLaunch {
  file: HookFile;
  env: Record<string, string>;
  cwd: string;
  /** It ends with this process by itself, unless it is stopped. */
  guardian?: Pick<Guardian, 'add' | 'remove'> | undefined;
}

export interface HookChildHandlers {
  answered(answer: HookAnswer): void;
  /** It has ended or could not be started; never before the constructor is through. */
  ended(why: string): void;
}

export class HookChild {
  #process: ChildProcess | undefined;
  #link: Link<HookCall> | undefined;

  constructor({ file, env, cwd, guardian }: HookLaunch, { answered, ended }: HookChildHandlers) {
    const notStarted = ({ message }: Error): void => ended(`its process could not be started: ${message}`);
    const entries = ENTRIES.map((place) => fileURLToPath(new URL(place, import.meta.url)));
    const entry = entries.find((one) => existsSync(one)) ?? entries[0]!;
    const options = entry.endsWith('.ts') ? ['--import', import.meta.resolve('tsx')] : [];
    try {
      const child = spawn(process.execPath, [...options, entry, JSON.stringify(file)], {
        cwd,
        env: inheritedEnv(env),
        // The last is never written to: it ends with this process, whatever becomes of it.
        stdio: childStdio(['ignore', 2, 2, 'pipe', 'pipe']),
      });
      this.#process = child;
      child.on('error', notStarted);
      child.on('exit', (code, signal) => {
        if (child.pid !== undefined) guardian?.remove(child.pid);
        ended(`its process ended (${signal ?? `exit code ${code}`})`);
      });
      for (const stream of stdioOf(child)) stream?.on('error', () => {});
      if (child.pid === undefined) return;
      guardian?.add(child.pid, 0);
      this.#link = openLink<HookAnswer, HookCall>(child.stdio[HOOK_LINK_FD] as Duplex, null, hookAnswers, {
        event: answered,
        unknown: () => ended('its process wrote what is no answer'),
        broken: () => ended('its process wrote what is no answer'),
        // The exit says more, and follows; one that does not come is the limit's to notice.
        ended: () => {},
      });
    } catch (error) {
      setImmediate(notStarted, error as Error);
    }
  }

  call(name: HookName, subject: object): void {
    this.#link?.send({ type: 'hook.call', name, subject: { ...subject } });
  }

  kill(): void {
    killChild(this.#process);
    for (const stream of this.#process ? stdioOf(this.#process) : []) stream?.destroy();
  }
}
