/** `bench control`: what a command to the control socket costs, and `kirinc -c` as a whole. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ControlClient } from './control-client.ts';
import { type Server, startServer } from './fleet.ts';
import { findLoadGenerator } from './load.ts';
import { DEFAULTS } from './options.ts';
import { freePort, HOST, WORKERS } from './peers.ts';
import { circumstances, fixed, median, progress, publish, table, whole } from './report.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const COMMAND = 'show stats';
const WARM_UP = 5000;
const ROUND_TRIPS = 5000;
const PIPELINED = 50_000;
const WINDOW = 500;
const CLIENTS = 50;
/** Commands over which memory is watched, and how often it is looked at. */
const FLAT = 100_000;
const FLAT_STEPS = 5;
const LOAD_SECONDS = 6;
const READY_MS = 15_000;

export const controlLimitMs = (rounds: number): number => 240_000 + rounds * 2000;

interface Latency {
  p50Us: number;
  p99Us: number;
}

interface Figures {
  idle: Latency;
  perSecond1: number;
  perSecond50: number;
}

export async function control(rounds: number, json: boolean): Promise<number> {
  const generator = await findLoadGenerator();
  const where = circumstances(`npm run bench -- control --rounds ${rounds}`, generator.name);
  const directory = mkdtempSync(join(tmpdir(), 'kirin-bench-'));
  try {
    const path = join(directory, 'kirin.ctl');
    const port = await freePort();
    const kirin = startServer([
      process.execPath,
      join(root, 'dist/kirin.cjs'),
      '-w',
      String(WORKERS),
      '-b',
      `${HOST}:${port}`,
      '--control-socket',
      path,
      join(root, 'bench/servers/app.mjs'),
    ]);
    await opened(kirin, path);
    const first = await ControlClient.connect(path, COMMAND);
    await first.roundTrips(1);
    const reply = first.last;
    const floorPath = join(directory, 'floor');
    const floorServer = startServer([
      process.execPath,
      join(root, 'bench/servers/frames.mjs'),
      floorPath,
      reply,
    ]);
    await opened(floorServer, floorPath);

    progress('idle');
    const own = await measure(path);
    const floor = await measure(floorPath);
    await floorServer.kill();
    progress('under full HTTP load');
    const fire = generator.fire(port, { connections: 50, seconds: LOAD_SECONDS, closing: false });
    await sleep(500);
    const loaded = await underLoad(first, fire);
    progress('memory');
    const memory = await flat(first);
    first.close();
    progress('kirinc');
    const shell = commandLine(path, rounds);
    await kirin.kill();
    const text = describe(own, floor, loaded, memory, shell);
    publish(
      'control',
      where,
      text,
      { own, floor, loaded, memory, shell },
      { json, long: rounds >= DEFAULTS.control.rounds },
    );
    return 0;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function opened(server: Server, path: string): Promise<void> {
  const limit = performance.now() + READY_MS;
  while (!existsSync(path)) {
    if (server.ended || performance.now() > limit) throw new Error(`no socket: ${server.complaint()}`);
    await sleep(20);
  }
  // The workers boot beside it.
  await sleep(1500);
}

async function measure(path: string): Promise<Figures> {
  const one = await ControlClient.connect(path, COMMAND);
  await one.roundTrips(WARM_UP);
  const idle = latencyOf(await one.roundTrips(ROUND_TRIPS));
  await one.pipelined(PIPELINED, WINDOW);
  const perSecond1 = await perSecond(PIPELINED, () => one.pipelined(PIPELINED, WINDOW));
  one.close();
  const many = await Promise.all(Array.from({ length: CLIENTS }, () => ControlClient.connect(path, COMMAND)));
  const each = PIPELINED / CLIENTS;
  const perSecond50 = await perSecond(PIPELINED, () =>
    Promise.all(many.map((client) => client.pipelined(each, 20))),
  );
  for (const client of many) client.close();
  return { idle, perSecond1, perSecond50 };
}

async function perSecond(count: number, work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return (count * 1000) / (performance.now() - startedMs);
}

function latencyOf(tookUs: readonly number[]): Latency {
  const sorted = tookUs.toSorted((a, b) => a - b);
  return { p50Us: median(sorted), p99Us: sorted[Math.floor(sorted.length * 0.99)]! };
}

async function underLoad(client: ControlClient, fire: Promise<{ perSecond: number }>) {
  let firing = true;
  const load = fire.finally(() => {
    firing = false;
  });
  const tookUs: number[] = [];
  while (firing) tookUs.push(...(await client.roundTrips(20)));
  return { ...latencyOf(tookUs), roundTrips: tookUs.length, httpPerSecond: (await load).perSecond };
}

/** The arbiter's memory as it tells it itself, in MB: before, and after each part of the commands. */
async function flat(client: ControlClient): Promise<number[]> {
  const memory: number[] = [];
  for (let step = 0; step <= FLAT_STEPS; step++) {
    await client.pipelined(step === 0 ? FLAT / FLAT_STEPS : FLAT / FLAT_STEPS, WINDOW);
    await client.roundTrips(1);
    const { data } = JSON.parse(client.last) as { data: { rss_bytes: number } };
    memory.push(data.rss_bytes / 1024 / 1024);
  }
  return memory;
}

/** `kirinc -c` beside a Node.js that does nothing, in turns. */
function commandLine(path: string, rounds: number) {
  const kirinc = [join(root, 'dist/kirinc.js'), '-s', path, '-c', COMMAND];
  const took = { kirincMs: [] as number[], nodeMs: [] as number[] };
  for (let round = -1; round < rounds; round++) {
    const kirincMs = timed(kirinc);
    const nodeMs = timed(['-e', '0']);
    // The first finds nothing in the file system's cache.
    if (round < 0) continue;
    took.kirincMs.push(kirincMs);
    took.nodeMs.push(nodeMs);
  }
  return {
    kirincMs: median(took.kirincMs),
    nodeMs: median(took.nodeMs),
    ratio: median(took.kirincMs.map((ms, round) => ms / took.nodeMs[round]!)),
  };
}

function timed(args: string[]): number {
  const startedMs = performance.now();
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`node ${args.join(' ')} ended with ${status}: ${stderr}`);
  return performance.now() - startedMs;
}

function describe(
  own: Figures,
  floor: Figures,
  loaded: Latency & { roundTrips: number; httpPerSecond: number },
  memory: number[],
  shell: { kirincMs: number; nodeMs: number; ratio: number },
): string {
  const met = (reached: boolean) => (reached ? 'met' : 'missed');
  const row = (title: string, value: number, of: number | undefined, goal: string, reached?: boolean) => [
    title,
    whole(value),
    of === undefined ? '' : whole(of),
    of === undefined ? '' : `${fixed(value / of, 2)} ×`,
    goal,
    reached === undefined ? '' : met(reached),
  ];
  return `\`${COMMAND}\` to an arbiter with ${WORKERS} workers. The floor is a server that answers every frame with the same bytes and
looks at nothing; both are asked by the same client. ${ROUND_TRIPS.toLocaleString('en-US')} round trips one after the other, ${PIPELINED.toLocaleString('en-US')} commands
pipelined.

${table(
  ['', 'Kirin', 'floor', 'by floor', 'goal', ' '],
  [
    row('round trip, idle, p50, µs', own.idle.p50Us, floor.idle.p50Us, '≤ 120', own.idle.p50Us <= 120),
    row('round trip, idle, p99, µs', own.idle.p99Us, floor.idle.p99Us, '≤ 400', own.idle.p99Us <= 400),
    row('commands/s, 1 client', own.perSecond1, floor.perSecond1, '≥ 25,000', own.perSecond1 >= 25_000),
    row(
      `commands/s, ${CLIENTS} clients`,
      own.perSecond50,
      floor.perSecond50,
      '≥ 25,000',
      own.perSecond50 >= 25_000,
    ),
    row('round trip under full HTTP load, p50, µs', loaded.p50Us, undefined, ''),
    row('round trip under full HTTP load, p99, µs', loaded.p99Us, undefined, ''),
  ],
)}

Under load: ${whole(loaded.httpPerSecond)} HTTP requests/s over 50 keep-alive connections beside ${whole(loaded.roundTrips)} round trips; clients, load
generator, workers and arbiter share the cores, so this is mostly the time until the arbiter has its turn.

Memory of the arbiter over ${FLAT.toLocaleString('en-US')} commands, MB: ${memory.map((mb) => fixed(mb, 1)).join(', ')}.

\`kirinc -c '${COMMAND}'\` as a whole takes ${fixed(shell.kirincMs, 1)} ms, \`node -e 0\` ${fixed(shell.nodeMs, 1)} ms: ${fixed(shell.ratio, 2)} × (goal: ≤ 1.5 ×, ${met(shell.ratio <= 1.5)}).`;
}
