/** Host names to numbers, for binding. Runs in the arbiter. */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { TcpName } from './address.ts';
import { FaultError } from './fault-error.ts';

const LOOKUP_MS = 10_000;

/** The first IPv4 address of a host, else its first address; `localhost` is thus 127.0.0.1. */
export async function resolveHost({ host, port }: TcpName): Promise<TcpName> {
  if (isIP(host)) return { host, port };
  const found = await withinLimit(host, lookup(host, { all: true })).catch((error: NodeJS.ErrnoException) => {
    if (error instanceof FaultError) throw error;
    throw new FaultError(
      'bind.badAddress',
      `cannot bind ${host}:${port}: no address found for "${host}" (${error.code})`,
    );
  });
  const first = found.find(({ family }) => family === 4) ?? found[0];
  if (!first)
    throw new FaultError('bind.badAddress', `cannot bind ${host}:${port}: "${host}" has no address`);
  return { host: first.address, port };
}

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
