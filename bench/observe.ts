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
/** As often as an eager Prometheus. */
const SCRAPE_MS = 1000;
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
    for (const app of APP_NAMES)
      for (const [index] of WAY_NAMES.entries()) {
        // Each is the first as often as the others: what else the machine does comes and goes.
        const way = WAY_NAMES[(index + round) % WAY_NAMES.length]!;
        const sample = await measure(app, way, generator, log, seconds);
        samples[app][way].push(sample);
        const { title } = APPS[app];
        progress(
          `round ${round}/${rounds}  ${title}, ${WAYS[way].title}: ${whole(sample.perSecond)} requests/s`,
        );
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
  const text = `${WORKERS} workers, ${CONNECTIONS} keep-alive connections, ${rounds} rounds of ${seconds} s in turns; a ratio is the median of the rounds', to what is
measured without either. CPU is that of all processes of a server; it suffers less from what else the machine does.

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

async function measure(
  app: AppName,
  way: Way,
  generator: LoadGenerator,
  log: string,
  seconds: number,
): Promise<Sample> {
  const port = await freePort();
  const metricsPort = await freePort();
  const options: Record<Way, string[]> = {
    without: [],
    metrics: ['--metrics', `${HOST}:${metricsPort}`],
    log: ['--access-logfile', log],
    json: ['--access-logfile', log, '--access-logformat', 'json'],
  };
  const how = { workers: WORKERS, node: process.execPath };
  const file = join(servers, APPS[app].file);
  const command = kirinCommand(port, how, '--no-control-socket', ...options[way]);
  const server = startServer([...command.slice(0, -1), file]);
  try {
    await ready(server, port);
    const scraping = way === 'metrics' ? scrapeEvery(metricsPort) : undefined;
    const load = { connections: CONNECTIONS, closing: false };
    const warmUp = await generator.fire(port, { ...load, seconds: WARM_UP_SECONDS });
    const before = finelyCpuMsOf(server.pid);
    const { perSecond, requests, errors } = await generator.fire(port, { ...load, seconds });
    const after = finelyCpuMsOf(server.pid);
    if (errors > 0) throw new Error(`${errors} errors ${WAYS[way].title}`);
    await scraping?.end(warmUp.requests + requests);
    if (way === 'log' || way === 'json') await written(log, warmUp.requests + requests);
    const cpuUs =
      before === undefined || after === undefined ? undefined : ((after - before) * 1000) / requests;
    return { perSecond, cpuUs };
  } finally {
    await server.kill();
    rmSync(log, { force: true });
  }
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

/** What is measured is what is asked for: a server that counts nothing would be fast. */
function scrapeEvery(port: number) {
  const count = async (): Promise<number> => {
    const text = await textOf(port);
    return Number(/^kirin_http_requests_total\{status="200"\} (\d+)$/m.exec(text)?.[1] ?? 0);
  };
  const timer = setInterval(() => void count().catch(() => {}), SCRAPE_MS);
  return {
    async end(requests: number): Promise<void> {
      clearInterval(timer);
      await until('all requests are counted', async () => (await count()) >= requests);
    },
  };
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
