/** The first words on a connection to the router: who it is, and what it is told. Runs at every end. */

/** Of what is in `hello` and `welcome`; a router and its callers are of one installation. */
export const DIRTY_PROTOCOL = 1;

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
}

export interface Welcome {
  protocol: number;
  apps: { importPath: string; number: number }[];
  /** The largest payload, in bytes. */
  frameBytesMax: number;
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

/** What a peer said of itself; a text says what is wrong with it. */
export function helloOf(value: unknown): CallerHello | WorkerHello | string {
  const of = (value ?? {}) as Partial<Record<keyof WorkerHello, unknown>>;
  const { role, protocol, pid, age, generation, apps, secret } = of;
  if (protocol !== DIRTY_PROTOCOL) return `protocol ${String(protocol)}, this is ${DIRTY_PROTOCOL}`;
  if (!isCount(pid) || !isCount(age) || !isCount(generation)) return 'a hello without who it is';
  if (role === 'web' || role === 'dirty') return { role, protocol, pid, age, generation };
  if (role !== 'worker' || typeof secret !== 'string') return 'a hello of no role';
  if (!Array.isArray(apps) || !apps.every(isCount)) return 'a hello without its apps';
  return { role, protocol, pid, age, generation, apps, secret };
}

/** What the router said; undefined if that is not it. */
export function welcomeOf(value: unknown): Welcome | undefined {
  const { protocol, apps, frameBytesMax } = (value ?? {}) as Partial<Record<keyof Welcome, unknown>>;
  if (protocol !== DIRTY_PROTOCOL || !Array.isArray(apps) || !isCount(frameBytesMax)) return undefined;
  return { protocol, apps: apps as Welcome['apps'], frameBytesMax };
}
