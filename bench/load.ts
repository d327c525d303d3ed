/** The load generator: wrk when it is installed, else autocannon, which is slower than what it measures. */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from './fleet.ts';
import { HOST } from './peers.ts';

export interface Load {
  connections: number;
  /** One connection per request. */
  closing: boolean;
  seconds: number;
}

export interface Measured {
  requests: number;
  perSecond: number;
  p99Ms: number;
  errors: number;
}

export interface LoadGenerator {
  name: string;
  fire(port: number, load: Load): Promise<Measured>;
}

/** What a run may take beyond its time. */
const BEYOND_MS = 15_000;
const limitMs = (load: Load) => load.seconds * 1000 + BEYOND_MS;
const threads = Math.min(2, availableParallelism());

export async function findLoadGenerator(): Promise<LoadGenerator> {
  const places = (process.env['PATH'] ?? '').split(delimiter);
  const wrk = places.map((place) => join(place, 'wrk')).find((file) => existsSync(file));
  return wrk ? await wrkAt(wrk) : autocannon();
}

async function wrkAt(wrk: string): Promise<LoadGenerator> {
  const report = fileURLToPath(new URL('wrk-report.lua', import.meta.url));
  // It prints its version with its usage, and ends with 1.
  const usage = await run([wrk, '-v'], BEYOND_MS).catch((error: Error) => error.message);
  const version = /wrk \S*?(\d+\.\d+\.\d+)/.exec(usage)?.[1] ?? '';
  return {
    name: `wrk ${version}, ${threads} threads`,
    async fire(port, load) {
      const command = [wrk, '-t', threads, '-c', load.connections, '-d', `${load.seconds}s`, '-s', report];
      if (load.closing) command.push('-H', 'Connection: close');
      const output = await run([...command, `http://${HOST}:${port}/`].map(String), limitMs(load));
      const line = output.split('\n').find((text) => text.startsWith('{'));
      if (line === undefined) throw new Error(`wrk told nothing: ${output.trim()}`);
      const told = JSON.parse(line) as Record<string, number>;
      return {
        requests: told['requests']!,
        perSecond: told['requests']! / (told['microseconds']! / 1e6),
        p99Ms: told['p99Us']! / 1000,
        errors: ['connect', 'read', 'write', 'status', 'timeout'].reduce((sum, key) => sum + told[key]!, 0),
      };
    },
  };
}

function autocannon(): LoadGenerator {
  const file = createRequire(import.meta.url).resolve('autocannon');
  const { version } = JSON.parse(readFileSync(join(file, '../package.json'), 'utf8')) as { version: string };
  return {
    name: `autocannon ${version}, ${threads} threads`,
    async fire(port, load) {
      const command = [process.execPath, file, '-j', '-n', '-w', threads, '-c', load.connections];
      command.push('-d', load.seconds);
      // Its own --reconnectRate 1 counts no answer at all. So it writes one request more, in vain, on each
      // connection before it sees the end; only answers are counted, one for each connection.
      if (load.closing) command.push('-H', 'Connection=close');
      const output = await run([...command, `http://${HOST}:${port}/`].map(String), limitMs(load));
      const told = JSON.parse(output) as {
        requests: { total: number };
        latency: { p99: number };
        duration: number;
        errors: number;
        timeouts: number;
        non2xx: number;
      };
      return {
        requests: told.requests.total,
        perSecond: told.requests.total / told.duration,
        p99Ms: told.latency.p99,
        errors: told.errors + told.timeouts + told.non2xx,
      };
    },
  };
}
