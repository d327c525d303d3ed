/** `--print-config` and `--check-config`: what would be run, and whether it would. Run in place of the arbiter, and end. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { resolveApp } from '../actors/app-path.ts';
import { generationEnv } from '../actors/environment.ts';
import type { Identity } from '../actors/identity.ts';
import { nodeOptions } from '../actors/node-options.ts';
import { hooksAt } from '../settings/hooks-table.ts';
import { shownSettings } from '../settings/shown.ts';
import type { Settings } from '../settings.ts';

/** One line a setting, in Gunicorn's names: `name = JSON`, and where a value is not the default its origin. */
export function printedSettings(settings: Settings): string {
  const shown = shownSettings(settings);
  const width = Math.max(...shown.map(({ name }) => name.length));
  return shown
    .map(({ name, value, origin }) => {
      const line = `${name.padEnd(width)} = ${JSON.stringify(value)}`;
      return `${line}${origin === 'default' ? '' : `  # ${origin}`}\n`;
    })
    .join('');
}

export interface Trial {
  settings: Settings;
  /** Removes what the trial has left. */
  end(): void;
}

/**
 * Looks at the dirty apps as a start does before anything is started: their modules are loaded, but no instance is made, which may be large
 * and need what a server beside this one holds. Throws FaultError as that would.
 */
export async function tryDirtyApps(
  settings: Settings,
  identity: Identity | undefined,
  signal: AbortSignal,
): Promise<void> {
  if (settings.dirtyWorkers === 0) return;
  const { prepareDirty } = await import('../actors/dirty/prepare.ts');
  const notice = (): void => {};
  const { cwd } = resolveApp(settings);
  const { env, args } = await nodeOptions(settings, cwd, notice, identity);
  await prepareDirty(1, settings, {
    cwd,
    env: { ...generationEnv(settings), ...env },
    nodeArgs: args,
    identity,
    signal,
    notice,
  });
}

/**
 * The settings with which an app is tried: one worker that nobody can reach, beside a server that may run. Its dirty apps are
 * looked at by themselves.
 */
export function trialOf(settings: Settings): Trial {
  const directory = mkdtempSync(join(tmpdir(), 'kirin-check-'));
  return {
    settings: {
      ...settings,
      bind: [`unix:${join(directory, 'app.sock')}`],
      workers: 1,
      lameDuckMs: 0,
      dirtyWorkers: 0,
      dirtyApps: [],
      reloadSettleMs: 0,
      pid: undefined,
      daemon: false,
      errorLogfile: '-',
      accessLogfile: undefined,
      syslog: false,
      logTransports: [],
      logLevel: 'error',
      inspect: undefined,
      // The app may need what these do; the others tell the world of a server.
      hooks: hooksAt('worker', settings.hooks),
      reload: false,
      inspector: undefined,
      inspectorRecord: undefined,
      metrics: undefined,
      statsdHost: undefined,
      controlSocketDisable: true,
      controlSocketReadonly: undefined,
      controlSocketRequired: false,
    },
    end: () => rmSync(directory, { recursive: true, force: true }),
  };
}
