/**
 * With `--reload` a server whose first start fails does not end: it waits for the change that mends it, and starts anew. Runs in the
 * arbiter's process, around one arbiter after the other.
 */
import { EXIT } from '../../machines/faults.ts';
import type { Settings } from '../../settings.ts';
import { FaultError } from '../fault-error.ts';
import { sayAtTheEnd } from '../log-sink.ts';
import { Development } from './development.ts';

export interface MendingOptions {
  settings: Settings;
  /** Reads the settings afresh. */
  source(): Promise<Settings>;
  /** Aborted when the server is to stop. */
  stopped: AbortSignal;
  /** One server from its start to its end; resolves with the exit code. */
  run(settings: Settings, development: Development): Promise<number>;
}

/** Resolves with the exit code of the last one. */
export async function untilMended({ settings, source, stopped, run }: MendingOptions): Promise<number> {
  const development = new Development(settings);
  await development.open();
  try {
    for (let current = settings; ; current = await next(development, source, stopped, current)) {
      const code = await run(current, development);
      development.detach();
      if (code !== EXIT.boot && code !== EXIT.app) return code;
      await development.change(stopped);
      if (stopped.aborted) return EXIT.ok;
    }
  } finally {
    await development.close();
  }
}

/** Settings that are wrong now are told, and wait for a change too. */
async function next(
  development: Development,
  source: () => Promise<Settings>,
  stopped: AbortSignal,
  former: Settings,
): Promise<Settings> {
  for (;;) {
    try {
      return await source();
    } catch (error) {
      if (!(error instanceof FaultError) || stopped.aborted) throw error;
      sayAtTheEnd(`kirin: ${error.message}; waiting for a change`);
      await development.change(stopped);
      if (stopped.aborted) return former;
    }
  }
}
