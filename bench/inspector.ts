/** `bench inspector`: what the inspector costs requests, with nobody and with somebody watching, and what many workers cost it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { type ControlClient, connected } from './control-client.ts';
import { type Server, startServer } from './fleet.ts';
import { findLoadGenerator, type LoadGenerator } from './load.ts';
import { DEFAULTS } from './options.ts';
import { freePort, HOST, WORKERS, workersThatAnswer } from './peers.ts';
import { cpuMsOf, mainThreadOf, memoryOf } from './proc.ts';
import { circumstances, fixed, median, progress, publish, table, whole } from './report.ts';
import { openWatcher, type Watching } from './watching.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const kirin = join(root, 'dist/kirin.cjs');
const CONNECTIONS = 50;
const WARM_UP_SECONDS = 2;
const READY_MS = 120_000;
const MANY = 100;
const EVENTS = 50;
const MANY_SECONDS = 20;
const PAUSE_MS = 10;

const WAYS = {
  without: { title: 'without --inspector', goal: undefined },
  unwatched: { title: 'with it, nobody watches', goal: 0.99 },
  watched: { title: 'with it, a page watches', goal: 0.95 },
} as const;
type Way = keyof typeof WAYS;
const NAMES = Object.keys(WAYS) as Way[];

export const inspectorLimitMs = (rounds: number, seconds: number): number =>
  rounds * NAMES.length * (seconds + WARM_UP_SECONDS + 15) * 1000 + READY_MS * 2 + MANY_SECONDS * 2000;

export async function inspector(rounds: number, seconds: number, json: boolean): Promise<number> {
  const generator = await findLoadGenerator();
  const command = `npm run bench -- inspector --rounds ${rounds} --seconds ${seconds}`;
  const where = circumstances(command, generator.name);
  const samples: Record<Way, Sample[]> = { without: [], unwatched: [], watched: [] };
  for (let round = 1; round <= rounds; round++) {
    // Each is the first as often as the others: what else the machine does comes and goes.
    const turn = NAMES.map((_, index) => NAMES[(index + round) % NAMES.length]!);
    for (const way of turn) {
      samples[way].push(await measure(way, generator, seconds));
      progress(
        `round ${round}/${rounds}  ${WAYS[way].title}: ${whole(samples[way].at(-1)?.perSecond)} requests/s`,
      );
    }
  }
  /** By what is measured without it, round by round. */
  const ratioOf = (way: Way, figure: keyof Sample): number =>
    median(samples[way].map((one, n) => one[figure] / samples.without[n]![figure]));
  progress(`${MANY} workers`);
  const many = await manyWorkers();
  const rows = NAMES.map((way) => {
    const { title, goal } = WAYS[way];
    const ratio = ratioOf(way, 'perSecond');
    const met = goal === undefined ? '' : ratio >= goal ? 'met' : 'not met';
    return [
      title,
      whole(median(samples[way].map(({ perSecond }) => perSecond))),
      fixed(ratio, 3),
      goal === undefined ? '' : `≥ ${goal}`,
      met,
      fixed(median(samples[way].map(({ cpuUs }) => cpuUs)), 2),
      fixed(ratioOf(way, 'cpuUs'), 3),
    ];
  });
  const delay = (ms: number): string => (ms < 20 ? 'met' : 'not met');
  const text = `${WORKERS} workers, ${CONNECTIONS} keep-alive connections, ${rounds} rounds of ${seconds} s in turns; a ratio is the median of the rounds'. CPU is that of all
processes of a server; it suffers less from what else the machine does.

${table(['', 'requests/s', 'ratio', 'goal', ' ', 'CPU µs/request', 'its ratio'], rows)}

${MANY} workers, each with a machine that takes ${EVENTS} events a second, for ${MANY_SECONDS} s; one page reads all, another reads nothing:

${table(
  ['', 'value', 'goal', ' '],
  [
    [
      'loop delay of the arbiter, p99 of a second, median, ms',
      fixed(many.delayMs, 1),
      '< 20',
      delay(many.delayMs),
    ],
    ['the worst second, ms', fixed(many.delayMaxMs, 1), '', ''],
    ["CPU time of the arbiter's main thread, ms a second", fixed(many.ranMs, 0), '', ''],
    ['its waits for a core, ms a second', fixed(many.waitedMs, 0), '', ''],
    ['control round trip, p50, µs', whole(many.p50Us), '', ''],
    ['control round trip, p99, µs', whole(many.p99Us), '', ''],
    ['the same while nobody watches, p50, µs', whole(many.quiet.p50Us), '', ''],
    ['the same while nobody watches, p99, µs', whole(many.quiet.p99Us), '', ''],
    ['RSS of the arbiter, before it is watched, MB', fixed(many.rssMb[0], 1), '', ''],
    ['when everybody is seen, MB', fixed(many.rssMb[1], 1), '', ''],
    ['at the end, MB', fixed(many.rssMb[2], 1), '', ''],
    ['records told a second', whole(many.toldPerSecond), '', ''],
    ['records lost by processes', whole(many.lostByProcesses), '', ''],
    ['records lost for the page that reads', whole(many.lostByPage), '', ''],
    ['records lost for the one that does not', whole(many.lostBySlow), '', ''],
  ],
)}`;
  const { inspector: least } = DEFAULTS;
  const long = rounds >= least.rounds && rounds * seconds >= least.rounds * least.seconds;
  publish('inspector', where, text, { rounds, seconds, samples, many }, { json, long });
  return 0;
}

interface Sample {
  perSecond: number;
  /** CPU time of the server for each request, in microseconds. */
  cpuUs: number;
}

interface Started {
  server: Server;
  port: number;
  inspectorPort: number;
  control: string;
  end(): Promise<void>;
}

async function started(app: string, workers: number, isInspected: boolean): Promise<Started> {
  const directory = mkdtempSync(join(tmpdir(), 'kirin-bench-'));
  const [port, inspectorPort] = [await freePort(), await freePort()];
  const control = join(directory, 'kirin.ctl');
  const command = [process.execPath, kirin, '-w', `${workers}`, '-b', `${HOST}:${port}`];
  command.push('--control-socket', control, '--env', `BENCH_EVENTS=${EVENTS}`);
  command.push('--env', `BENCH_KIRIN=${pathToFileURL(join(root, 'dist/index.js')).href}`);
  if (isInspected) command.push('--inspector', `${HOST}:${inspectorPort}`);
  const server = startServer([...command, join(root, 'bench/servers', app)]);
  const end = async (): Promise<void> => {
    await server.kill();
    rmSync(directory, { recursive: true, force: true });
  };
  return { server, port, inspectorPort, control, end };
}

async function until(
  server: Server,
  what: string,
  condition: () => boolean | Promise<boolean>,
): Promise<void> {
  const limit = performance.now() + READY_MS;
  while (!(await condition())) {
    if (server.ended || performance.now() > limit) throw new Error(`in vain: ${what}; ${server.complaint()}`);
    await sleep(50);
  }
}

async function measure(way: Way, generator: LoadGenerator, seconds: number): Promise<Sample> {
  const { server, port, inspectorPort, end } = await started('app.mjs', WORKERS, way !== 'without');
  const pids = new Set<string>();
  await until(server, 'all workers answer', async () => {
    for (const pid of await workersThatAnswer(port)) pids.add(pid);
    return pids.size === WORKERS;
  });
  const watching = way === 'watched' ? await openWatcher(inspectorPort) : undefined;
  const load = { connections: CONNECTIONS, closing: false };
  await generator.fire(port, { ...load, seconds: WARM_UP_SECONDS });
  const before = cpuMsOf(server.pid) ?? 0;
  const { perSecond, requests } = await generator.fire(port, { ...load, seconds });
  const cpuUs = (((cpuMsOf(server.pid) ?? 0) - before) * 1000) / requests;
  if (watching) {
    const { told } = await watching.counted();
    if (told === 0) throw new Error('the page that watches was told nothing');
    watching.end();
  }
  await end();
  return { perSecond, cpuUs };
}

interface Many {
  delayMs: number;
  delayMaxMs: number;
  /** Of the arbiter's main thread, a second. */
  ranMs: number;
  waitedMs: number;
  p50Us: number;
  p99Us: number;
  quiet: { p50Us: number; p99Us: number };
  rssMb: number[];
  toldPerSecond: number;
  lostByProcesses: number;
  lostByPage: number;
  lostBySlow: number;
}

async function manyWorkers(): Promise<Many> {
  const one = await started('inspected.mjs', MANY, true);
  try {
    return await measureMany(one);
  } finally {
    await one.end();
  }
}

async function measureMany({ server, inspectorPort, control }: Started): Promise<Many> {
  const limit = performance.now() + READY_MS;
  const check = (): void => {
    if (server.ended || performance.now() > limit)
      throw new Error(`it does not start; ${server.complaint()}`);
  };
  // The socket is there a moment before it is listened on.
  const client = await connected(control, 'show stats', check);
  const current = async (): Promise<number> => {
    await client.pipelined(1, 1);
    return (JSON.parse(client.last) as { data: { workers_current: number } }).data.workers_current;
  };
  const ready = await connected(control, 'show workers', check);
  await until(server, 'all workers are ready', async () => {
    await ready.pipelined(1, 1);
    const { workers } = (JSON.parse(ready.last) as { data: { workers: { booted: boolean }[] } }).data;
    return workers.filter(({ booted }) => booted).length === MANY;
  });
  ready.close();
  if ((await current()) !== MANY) throw new Error(`not all of ${MANY} workers are there`);
  const quiet = latencyOf(await roundTrips(client, MANY_SECONDS / 4));
  const rssMb = [memoryOf(server.pid)?.rssMb ?? 0];
  const page = await openWatcher(inspectorPort);
  const slow = await openWatcher(inspectorPort);
  slow.pause();
  // Everybody attaches.
  await sleep(5000);
  rssMb.push(memoryOf(server.pid)?.rssMb ?? 0);
  const before = await page.counted();
  const mainBefore = mainThreadOf(server.pid);
  const startedMs = performance.now();
  const latency = latencyOf(await roundTrips(client, MANY_SECONDS));
  const mainAfter = mainThreadOf(server.pid);
  const after = await page.counted();
  const took = (performance.now() - startedMs) / 1000;
  rssMb.push(memoryOf(server.pid)?.rssMb ?? 0);
  slow.resume();
  await sleep(3000);
  const slowCount = await slow.counted();
  const delays = after.delaysMs.slice(before.delaysMs.length);
  const result: Many = {
    delayMs: median(delays.length === 0 ? [0] : delays),
    delayMaxMs: Math.max(0, ...delays),
    ranMs: ((mainAfter?.ranMs ?? Number.NaN) - (mainBefore?.ranMs ?? Number.NaN)) / took,
    waitedMs: ((mainAfter?.waitedMs ?? Number.NaN) - (mainBefore?.waitedMs ?? Number.NaN)) / took,
    ...latency,
    quiet,
    rssMb,
    toldPerSecond: (after.told - before.told) / took,
    lostByProcesses: after.lostByProcesses,
    lostByPage: after.lost,
    lostBySlow: slowCount.lost,
  };
  for (const one of [page, slow] satisfies Watching[]) one.end();
  client.close();
  return result;
}

async function roundTrips(client: ControlClient, seconds: number): Promise<number[]> {
  const tookUs: number[] = [];
  for (const endMs = performance.now() + seconds * 1000; performance.now() < endMs; ) {
    tookUs.push(...(await client.roundTrips(1)));
    await sleep(PAUSE_MS);
  }
  return tookUs;
}

function latencyOf(tookUs: readonly number[]): { p50Us: number; p99Us: number } {
  const sorted = tookUs.toSorted((a, b) => a - b);
  return { p50Us: median(sorted), p99Us: sorted[Math.floor(sorted.length * 0.99)]! };
}
