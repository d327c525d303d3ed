/**
 * Notices that a server has ended while nothing is asked of it: a connection of its own says so. One that comes back in time, as at a
 * restart or an upgrade, counts as the same. Runs in `kirinc inspect`.
 */
import { Client } from './core.ts';
import { pause } from './interval.ts';

/** How often it is looked. */
const LOOK_MS = 500;
/** How long nobody may listen there. */
export const GONE_MS = 10_000;

/** Resolves when nobody has listened there for `GONE_MS`, or when the signal is aborted. Never rejects. */
export async function untilGone(path: string, signal: AbortSignal): Promise<void> {
  let client: Client | undefined;
  let sinceMs: number | undefined;
  while (!signal.aborted) {
    try {
      if (!client || client.lost) client = await Client.connect(path);
      sinceMs = undefined;
    } catch {
      client = undefined;
      sinceMs ??= performance.now();
      if (performance.now() - sinceMs >= GONE_MS) return;
    }
    await pause(LOOK_MS, signal);
  }
  client?.close();
}
