/** The first words on a connection to the router: who it is, and what it is told. Runs at every end. */

/** Of what is in `hello` and `welcome`, and who says them; a router and its callers are of one installation. */
export const DIRTY_PROTOCOL = 4;

export interface CallerHello {
  role: 'web' | 'dirty';
  protocol: number;
  pid: number;
  /** Of the process, never used again. */
  age: number;
  generation: number;
}

export interface WorkerHello {
  role: 'worker';
  protocol: number;
  pid: number;
  age: number;
  generation: number;
  /** The numbers of the apps that it has loaded. */
  apps: number[];
  /** Shows that the dirty arbiter started it. */
  secret: string;
  /** Where it takes large payloads, if it does. */
  direct?: Door | undefined;
}

/** Where a worker takes connections of callers. */
export interface Door {
  address: string;
  /** Shows the worker that the router told of it. */
  secret: string;
}

/** What the router tells a caller of a worker. */
export interface Offer extends Door {
  /** The worker's age. */
  worker: number;
}

/** The first word of a caller to a worker. */
export interface DirectHello {
  role: 'direct';
  protocol: number;
  /** As the router numbers it. */
  caller: number;
  secret: string;
}

export interface Welcome {
  protocol: number;
  apps: { importPath: string; number: number }[];
  /** The largest payload, in bytes. */
  frameBytesMax: number;
  /** What the router calls this caller; 0: it is none. */
  caller: number;
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

/** What a peer said of itself; a text says what is wrong with it. */
export function helloOf(value: unknown): CallerHello | WorkerHello | string {
  const of = (value ?? {}) as Partial<Record<keyof WorkerHello, unknown>>;
  const { role, protocol, pid, age, generation, apps, secret, direct } = of;
  if (protocol !== DIRTY_PROTOCOL) return `protocol ${String(protocol)}, this is ${DIRTY_PROTOCOL}`;
  if (!isCount(pid) || !isCount(age) || !isCount(generation)) return 'a hello without who it is';
  if (role === 'web' || role === 'dirty') return { role, protocol, pid, age, generation };
  if (role !== 'worker' || typeof secret !== 'string') return 'a hello of no role';
  if (!Array.isArray(apps) || !apps.every(isCount)) return 'a hello without its apps';
  if (direct !== undefined && !isDoor(direct)) return 'a hello with a door that is none';
  return { role, protocol, pid, age, generation, apps, secret, direct };
}

function isDoor(value: unknown): value is Door {
  const { address, secret } = (value ?? {}) as Partial<Record<keyof Door, unknown>>;
  return typeof address === 'string' && typeof secret === 'string';
}

/** What the router told of a worker; undefined if that is not it. */
export function offerOf(value: unknown): Offer | undefined {
  const { worker } = (value ?? {}) as Partial<Record<keyof Offer, unknown>>;
  return isCount(worker) && isDoor(value) ? { ...value, worker } : undefined;
}

/** What a caller says of itself to a worker; undefined if that is not it. */
export function directHelloOf(value: unknown): DirectHello | undefined {
  const { role, protocol, caller, secret } = (value ?? {}) as Partial<Record<keyof DirectHello, unknown>>;
  if (role !== 'direct' || protocol !== DIRTY_PROTOCOL) return undefined;
  return isCount(caller) && typeof secret === 'string' ? { role, protocol, caller, secret } : undefined;
}

/** What the router said; undefined if that is not it. */
export function welcomeOf(value: unknown): Welcome | undefined {
  const { protocol, apps, frameBytesMax, caller } = (value ?? {}) as Partial<Record<keyof Welcome, unknown>>;
  if (protocol !== DIRTY_PROTOCOL || !Array.isArray(apps) || !isCount(frameBytesMax)) return undefined;
  return { protocol, apps: apps as Welcome['apps'], frameBytesMax, caller: isCount(caller) ? caller : 0 };
}
