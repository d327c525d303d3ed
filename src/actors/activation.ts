/**
 * Sockets that whoever started this process has opened for it, as systemd does: `LISTEN_FDS` says how many, from
 * descriptor 3 on, and `LISTEN_PID` for whom. Runs in the arbiter; reads variables and touches no descriptor. They are not ours:
 * a Unix socket among them is not removed at the end, and all are kept over reloads, since nobody gives them twice.
 */
import { FaultError } from './fault-error.ts';

const FIRST_FD = 3;
/** More sockets than this are a mistake. */
const SOCKETS_MAX = 256;

export interface Activation {
  /** As `--bind` would name them. */
  addresses: string[];
  /** What systemd calls them, one for each; empty where it does not say. */
  names: string[];
}

/** Undefined where there are none, or where they are meant for another process. Throws FaultError `settings.invalid`. */
export function activationOf(env: Readonly<NodeJS.ProcessEnv>, pid = process.pid): Activation | undefined {
  const { LISTEN_FDS: count, LISTEN_PID: owner, LISTEN_FDNAMES: list } = env;
  if (!count || owner === undefined || Number(owner) !== pid) return undefined;
  const number = /^\d{1,6}$/.test(count) ? Number(count) : Number.NaN;
  if (!(number <= SOCKETS_MAX))
    throw new FaultError(
      'settings.invalid',
      `LISTEN_FDS must be a whole number of at most ${SOCKETS_MAX}, not "${count}"`,
    );
  if (number === 0) return undefined;
  const names = list ? list.split(':') : [];
  return {
    addresses: Array.from({ length: number }, (_, at) => `fd://${FIRST_FD + at}`),
    names: names.length === number ? names : [],
  };
}

/** For the log: how many there are, and what they are called. */
export function activationText({ addresses, names }: Activation): string {
  const called = names.filter((name) => name !== 'unknown');
  const count = addresses.length === 1 ? '1 socket' : `${addresses.length} sockets`;
  return `socket activation: ${count} taken over${called.length > 0 ? ` (${called.join(', ')})` : ''}`;
}
