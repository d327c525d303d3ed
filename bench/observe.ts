/** `bench observe`: what it costs requests to be counted and to be written down. */
import { readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { makePlace, type Server, startServer } from './fleet.ts';
import { findLoadGenerator, type LoadGenerator } from './load.ts';
import { DEFAULTS } from './options.ts';
import { freePort, HOST, kirinCommand, WORKERS, workersThatAnswer } from './peers.ts';
import { finelyCpuMsOf } from './proc.ts';
import { circumstances, fixed, goalLine, median, progress, publish, table, whole } from './report.ts';

const CONNECTIONS = 50;
const WARM_UP_SECONDS = 2;
const READY_MS = 20_000;
/** Once in each turn of a second: more often than an eager Prometheus. */
const SCRAPE_AFTER_MS = 500;
const WRITTEN_MS = 5000;
const servers = fileURLToPath(new URL('servers', import.meta.url));

const APPS = {
  empty: { title: 'an empty handler', file: 'app.mjs' },
  express: { title: 'Express, 1 KiB of JSON', file: 'express.mjs' },
} as const;
const WAYS = {
  without: { title: 'without', goal: undefined },
  metrics: { title: '`--metrics`, asked every second', goal: 0.98 },
  log: { title: '`--access-logfile`', goal: 0.95 },
  json: { title: '`--access-logfile`, as JSON', goal: undefined },
} as const;
type AppName = keyof typeof APPS;
type Way = keyof typeof WAYS;
const APP_NAMES = Object.keys(APPS) as AppName[];
const WAY_NAMES = Object.keys(WAYS) as Way[];

interface Sample {
  perSecond: number;
  /** CPU time of all processes of the server for each request, in microseconds. */
  cpuUs: number | undefined;
}

export const observeLimitMs = (rounds: number, seconds: number): number =>
  rounds * APP_NAMES.length * WAY_NAMES.length * (seconds + WARM_UP_SECONDS + 15) * 1000 + READY_MS;

export async function observe(rounds: number, seconds: number, json: boolean): Promise<number> {
  const generator = await findLoadGenerator();
  const command = `npm run bench -- observe --rounds ${rounds} --seconds ${seconds}`;
  const where = circumstances(command, generator.name);
  const samples = Object.fromEntries(
    APP_NAMES.map((app) => [app, { without: [], metrics: [], log: [], json: [] }]),
  ) as unknown as Record<AppName, Record<Way, Sample[]>>;
  const log = join(makePlace('observe'), 'access.log');
  for (let round = 1; round <= rounds; round++)
    for (const app of APP_NAMES) {
      const measured = await measure(app, round, generator, log, seconds);
      for (const way of WAY_NAMES) samples[app][way].push(measured[way]);
      const told = WAY_NAMES.map((way) => `${way} ${whole(measured[way].perSecond)}`).join(', ');
      progress(`round ${round}/${rounds}  ${APPS[app].title}, requests/s: ${told}`);
    }
  const figures = APP_NAMES.map((app) => ({
    app,
    ways: WAY_NAMES.map((way) => figuresOf(samples[app], way)),
  }));
  const tables = figures.map(({ app, ways }) => {
    const rows = ways.map(({ way, perSecond, ratio, cpuUs, cpuRatio }) => [
      WAYS[way].title,
      whole(perSecond),
      fixed(ratio, 3),
      fixed(cpuUs, 2),
      fixed(cpuRatio, 3),
    ]);
    const goals = ways.flatMap(({ way, ratio }) => {
      const { title, goal } = WAYS[way];
      return goal === undefined ? [] : [goalLine(`${title}: its requests/s`, ratio, '≥', goal, 3)];
    });
    const head = [APPS[app].title, 'requests/s', 'ratio', 'CPU µs/request', 'its ratio'];
    return `${table(head, rows)}\n\n${goals.join('\n')}`;
  });
  const text = `${WORKERS} workers, ${CONNECTIONS} keep-alive connections, ${rounds} rounds, in each of which new servers are asked in turns of a second, ${seconds} times;
a ratio is the median of the rounds', to what is measured without either. CPU is that of all processes of a server; it suffers less from what else the machine does.

${tables.join('\n\n')}`;
  const { observe: least } = DEFAULTS;
  const long = rounds >= least.rounds && rounds * seconds >= least.rounds * least.seconds;
  publish('observe', where, text, { rounds, seconds, samples }, { json, long });
  return 0;
}

function figuresOf(samples: Record<Way, Sample[]>, way: Way) {
  const [own, without] = [samples[way], samples.without];
  const known = own.flatMap(({ cpuUs }, n) => {
    const before = without[n]!.cpuUs;
    return cpuUs === undefined || before === undefined ? [] : [{ cpuUs, ratio: cpuUs / before }];
  });
  return {
    way,
    perSecond: median(own.map(({ perSecond }) => perSecond)),
    ratio: median(own.map(({ perSecond }, n) => perSecond / without[n]!.perSecond)),
    cpuUs: known.length === 0 ? undefined : median(known.map(({ cpuUs }) => cpuUs)),
    cpuRatio: known.length === 0 ? undefined : median(known.map(({ ratio }) => ratio)),
  };
}

/**
 * One server for each way, all new and all there at once, that are asked in turns of a second: what else the machine does changes within
 * seconds, and by more than what is measured.
 */
async function measure(
  app: AppName,
  round: number,
  generator: LoadGenerator,
  log: string,
  seconds: number,
): Promise<Record<Way, Sample>> {
  const load = { connections: CONNECTIONS, closing: false };
  const contenders: Contender[] = [];
  try {
    for (const way of WAY_NAMES) contenders.push(await contend(app, way, log));
    for (const one of contenders)
      one.asked += (await generator.fire(one.port, { ...load, seconds: WARM_UP_SECONDS })).requests;
    for (let second = 0; second < seconds; second++)
      for (const [index] of contenders.entries()) {
        // Each is the first as often as the others.
        const one = contenders[(index + round + second) % contenders.length]!;
        const before = finelyCpuMsOf(one.server.pid);
        const [{ perSecond, requests, errors }] = await Promise.all([
          generator.fire(one.port, { ...load, seconds: 1 }),
          one.metricsPort === undefined ? undefined : scrapeOnce(one.metricsPort),
        ]);
        if (errors > 0) throw new Error(`${errors} errors ${WAYS[one.way].title}`);
        one.asked += requests;
        one.perSecond.push(perSecond);
        one.measured += requests;
        one.cpuMs += (finelyCpuMsOf(one.server.pid) ?? Number.NaN) - (before ?? Number.NaN);
      }
    for (const { way, asked, metricsPort, logFile } of contenders) {
      // What is measured is what is asked for: a server that counts nothing would be fast.
      if (way === 'metrics') await until('all requests are counted', () => isCounted(metricsPort!, asked));
      if (logFile !== undefined) await written(logFile, asked);
    }
    const sampled = contenders.map(({ way, perSecond, measured, cpuMs }): [Way, Sample] => {
      const cpuUs = (cpuMs * 1000) / measured;
      const mean = perSecond.reduce((sum, one) => sum + one, 0) / perSecond.length;
      return [way, { perSecond: mean, cpuUs: Number.isNaN(cpuUs) ? undefined : cpuUs }];
    });
    return Object.fromEntries(sampled) as Record<Way, Sample>;
  } finally {
    for (const { server, logFile } of contenders) {
      await server.kill();
      if (logFile !== undefined) rmSync(logFile, { force: true });
    }
  }
}

interface Contender {
  way: Way;
  server: Server;
  port: number;
  metricsPort: number | undefined;
  logFile: string | undefined;
  /** Requests since its start, and those that were measured. */
  asked: number;
  measured: number;
  perSecond: number[];
  cpuMs: number;
}

async function contend(app: AppName, way: Way, log: string): Promise<Contender> {
  const port = await freePort();
  const metricsPort = way === 'metrics' ? await freePort() : undefined;
  const logFile = way === 'log' || way === 'json' ? `${log}.${way}` : undefined;
  const options = [
    ...(metricsPort === undefined ? [] : ['--metrics', `${HOST}:${metricsPort}`]),
    ...(logFile === undefined ? [] : ['--access-logfile', logFile]),
    ...(way === 'json' ? ['--access-logformat', 'json'] : []),
  ];
  const how = { workers: WORKERS, node: process.execPath };
  const command = kirinCommand(port, how, '--no-control-socket', ...options);
  const server = startServer([...command.slice(0, -1), join(servers, APPS[app].file)]);
  try {
    await ready(server, port);
  } catch (error) {
    await server.kill();
    throw error;
  }
  const none = { asked: 0, measured: 0, perSecond: [], cpuMs: 0 };
  return { way, server, port, metricsPort, logFile, ...none };
}

async function ready(server: Server, port: number): Promise<void> {
  const pids = new Set<string>();
  const limit = performance.now() + READY_MS;
  while (pids.size < WORKERS) {
    for (const pid of await workersThatAnswer(port)) pids.add(pid);
    if (server.ended || performance.now() > limit)
      throw new Error(`not all workers answer; ${server.complaint()}`);
    if (pids.size < WORKERS) await sleep(20);
  }
}

async function scrapeOnce(port: number): Promise<void> {
  await sleep(SCRAPE_AFTER_MS);
  await textOf(port);
}

async function isCounted(port: number, requests: number): Promise<boolean> {
  const text = await textOf(port);
  return Number(/^kirin_http_requests_total\{status="200"\} (\d+)$/m.exec(text)?.[1] ?? 0) >= requests;
}

const textOf = (port: number): Promise<string> =>
  new Promise((resolve, reject) => {
    http
      .get({ host: HOST, port, path: '/metrics', agent: false }, async (response) => {
        let text = '';
        for await (const chunk of response.setEncoding('utf8')) text += chunk;
        resolve(text);
      })
      .on('error', reject);
  });

const written = (file: string, requests: number): Promise<void> =>
  until('all requests are written down', () => {
    let lines = 0;
    for (const byte of readFileSync(file)) if (byte === 10) lines++;
    return lines >= requests;
  });

async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const limit = performance.now() + WRITTEN_MS;
  while (!(await condition())) {
    if (performance.now() > limit) throw new Error(`in vain: ${what}`);
    await sleep(100);
  }
}
