/**
 * The inspector's page served by a command of its own, until it is told to end. Runs in `kirin inspect FILE` and `kirinc inspect`.
 * Always on a loopback address, and with a token made for this once: whoever may read the recording or the control socket is
 * told it, and other users of the machine are not.
 */
import { randomBytes } from 'node:crypto';
import { isLoopback, parseAddress } from '../../address.ts';
import { FaultError } from '../../fault-error.ts';
import { resolveHost } from '../../host-name.ts';
import { type Door, openDoor } from './door.ts';
import type { Stage } from './stage.ts';

/** Where it is served unless it is said; any free port where that one is taken. */
export const STAND_ALONE_ADDRESS = '127.0.0.1:8780';
const TOKEN_BYTES = 18;

export interface StandAloneOptions {
  stage: Stage;
  /** As the user gave it: PORT or HOST:PORT. */
  where: string | undefined;
  controls: boolean;
  /** A line for the user: where it is. */
  say(line: string): void;
  /** Ends it. */
  signal: AbortSignal;
}

/** Resolves when it has ended. Rejects with a FaultError where it cannot be served there. */
export async function serveStandAlone(options: StandAloneOptions): Promise<void> {
  const token = randomBytes(TOKEN_BYTES).toString('base64url');
  const door = await opened(options, token);
  options.say(`inspector at ${door.url}?token=${token} (Ctrl-C ends it)`);
  const { signal } = options;
  if (!signal.aborted)
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  await door.close();
}

async function opened({ stage, where, controls }: StandAloneOptions, token: string): Promise<Door> {
  const address = parseAddress(where ?? STAND_ALONE_ADDRESS);
  if (address.kind !== 'tcp')
    throw new FaultError(
      'settings.invalid',
      `the inspector is served at PORT or HOST:PORT, not at "${where}"`,
    );
  const { host } = await resolveHost(address);
  if (!isLoopback(host))
    throw new FaultError(
      'settings.invalid',
      `the inspector is served on a loopback address only, such as 127.0.0.1:${address.port}, not on ${address.host}`,
    );
  const open = (port: number) =>
    openDoor({ host, port, token, controls, stage: () => Promise.resolve(stage) });
  try {
    return await open(address.port);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'EADDRINUSE' && where === undefined) return await open(0);
    const why = code === 'EADDRINUSE' ? 'the address is in use' : message;
    throw new FaultError('bind.failed', `no inspector at ${where ?? STAND_ALONE_ADDRESS}: ${why}`);
  }
}
