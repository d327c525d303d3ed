/** Host names to numbers, for binding. Runs in the arbiter. */
import { isIP } from 'node:net';
import type { TcpName } from './address.ts';
import { FaultError } from './fault-error.ts';

const LOOKUP_MS = 10_000;

/** Looks a name up; a test has its own. */
export type Lookup = (host: string) => Promise<{ address: string; family: number }[]>;

/** What looks names up is loaded for names alone. */
const byName: Lookup = (host) => process.getBuiltinModule('node:dns/promises').lookup(host, { all: true });

/** Every address of a host, IPv4 first, each once. */
export async function resolveHosts({ host, port }: TcpName, look: Lookup = byName): Promise<TcpName[]> {
  if (isIP(host.replace(/%.*$/, ''))) return [{ host, port }];
  const found = await withinLimit(host, look(host)).catch((error: NodeJS.ErrnoException) => {
    if (error instanceof FaultError) throw error;
    throw new FaultError(
      'bind.badAddress',
      `cannot bind ${host}:${port}: no address found for "${host}" (${error.code})`,
    );
  });
  if (found.length === 0)
    throw new FaultError('bind.badAddress', `cannot bind ${host}:${port}: "${host}" has no address`);
  const sorted = [...found].sort((a, b) => a.family - b.family);
  return [...new Set(sorted.map(({ address }) => address))].map((address) => ({ host: address, port }));
}

/** The first IPv4 address of a host, else its first address; `localhost` is thus 127.0.0.1. */
export const resolveHost = async (name: TcpName): Promise<TcpName> => (await resolveHosts(name))[0]!;

async function withinLimit<T>(host: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () =>
        reject(new FaultError('bind.failed', `the name server took longer than 10 s to look up "${host}"`)),
      LOOKUP_MS,
    );
  });
  return await Promise.race([promise, limit]).finally(() => clearTimeout(timer));
}
