/**
 * What a new arbiter inherits of the old one: descriptors, and in a variable what they are. Runs in both; they may be of different
 * versions of Kirin, so that what is said has a version of its own.
 */
import * as v from 'valibot';
import { UPGRADE_PROTOCOL } from '../../machines/events/upgrade.ts';
import { FaultError } from '../fault-error.ts';

export const VARIABLE = 'KIRIN_UPGRADE';
/** Behind the names of the new arbiter's pid file and control sockets while the old one has those without it; Gunicorn's. */
export const BESIDE = '.2';
/** Where the new arbiter finds the pipe to the old one; what it inherits follows. */
export const WORD_FD = 3;
export const FIRST_FD = WORD_FD + 1;

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
/** A name in the file system that is a socket's, with what shows that it still is. */
const placed = v.object({ path: v.string(), dev: v.number(), ino: v.number() });

const listener = v.object({
  fd: count,
  address: v.string(),
  type: v.picklist(['tcp', 'tcp6', 'unix']),
  names: v.array(v.string()),
  tcp: v.exactOptional(v.object({ host: v.string(), port: count, ipv6Only: v.exactOptional(v.boolean()) })),
  access: v.string(),
  /** Of a Unix socket that Kirin has made. */
  placed: v.exactOptional(placed),
  /** Given to the old arbiter open, as systemd does. */
  inherited: v.boolean(),
});

const heritage = v.object({
  protocol: v.literal(UPGRADE_PROTOCOL),
  /** The old arbiter. */
  pid: count,
  mark: v.string(),
  listeners: v.array(listener),
  controls: v.array(v.object({ ...placed.entries, fd: count })),
  /** The file of the dirty workers' stash. */
  stash: v.exactOptional(v.string()),
});

/** A listening socket; `fd` is its descriptor in whoever has it. */
export type HandedListener = v.InferOutput<typeof listener>;
/** A control socket. */
export type HandedSocket = v.InferOutput<typeof placed> & { fd: number };
export type Heritage = v.InferOutput<typeof heritage>;

/** For the environment and the descriptors of a new arbiter. */
export function bequeath(what: Omit<Heritage, 'protocol'>): { text: string; fds: number[] } {
  const fds: number[] = [];
  const placed = <T extends { fd: number }>(one: T): T => ({ ...one, fd: FIRST_FD + fds.push(one.fd) - 1 });
  const told: Heritage = {
    protocol: UPGRADE_PROTOCOL,
    ...what,
    listeners: what.listeners.map(placed),
    controls: what.controls.map(placed),
  };
  return { text: JSON.stringify(told), fds };
}

/** Undefined where nothing was inherited. Throws FaultError `settings.invalid`. The variable is for this process alone. */
export function inheritedFrom(env: NodeJS.ProcessEnv): Heritage | undefined {
  const text = env[VARIABLE];
  delete env[VARIABLE];
  if (text === undefined) return undefined;
  let told: unknown;
  try {
    told = JSON.parse(text);
  } catch {
    // Said below.
  }
  const parsed = v.safeParse(heritage, told);
  if (parsed.success) return parsed.output;
  throw notInherited();
}

export const notInherited = (): FaultError =>
  new FaultError(
    'settings.invalid',
    `${VARIABLE} is not what this version of Kirin inherits: it is set by a running server for the new one of an upgrade, and by nobody else`,
  );
