/** `bench balance`: how evenly two workers share the requests of connections that are kept, with and without `--no-balance`. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connected, within } from './control-client.ts';
import { makePlace, startServer } from './fleet.ts';
import { findLoadGenerator, type LoadGenerator, type Measured } from './load.ts';
import { DEFAULTS } from './options.ts';
import { freePort, kirinCommand, TWO, WORKERS, workersThatAnswer } from './peers.ts';
import { endedPortsOf } from './proc.ts';
import { circumstances, fixed, goalLine, progress, publish, table, whole } from './report.ts';

const CONNECTIONS = [50, 1_000] as const;
const READY_MS = 20_000;
/** Shares are of what is asked for after the burst in which the clients connected. */
const POLL_MS = 1_000;
const SHARE_MAX = 0.6;

interface WorkerShown {
  age: number;
  requests: number;
  connections: number;
}

interface BalanceResult {
  connections: number;
  balanced: boolean;
  measured: Measured;
  /** The largest part of all requests of the run that one worker answered. */
  share: number;
  /** The largest part of the connections that one worker had, second by second: the worst. */
  connectionShareMax: number;
  /** At the end. */
  connectionShareLast: number;
  /** Connections that ended during the run: those that were asked to, for nothing else ends one. */
  closed: number;
}

export const balanceLimitMs = (seconds: number): number => CONNECTIONS.length * 2 * (seconds + 60) * 1000;

export async function balance(seconds: number, json: boolean): Promise<number> {
  const generator = await findLoadGenerator();
  const where = circumstances(`npm run bench -- balance --seconds ${seconds}`, generator.name);
  const results: BalanceResult[] = [];
  for (const connections of CONNECTIONS)
    for (const balanced of [true, false]) {
      const result = await measure(generator, connections, balanced, seconds);
      results.push(result);
      progress(
        `${connections} connections${balanced ? '' : ', --no-balance'}: busiest ${percent(result.share)}, ${whole(result.measured.perSecond)} requests/s`,
      );
    }
  const of = (connections: number, balanced: boolean) =>
    results.find((one) => one.connections === connections && one.balanced === balanced)!;
  const goals = CONNECTIONS.map((connections) =>
    goalLine(
      `busiest worker's percentage of the requests, ${whole(connections)} connections`,
      of(connections, true).share * 100,
      '≤',
      SHARE_MAX * 100,
      1,
    ),
  );
  const costs = CONNECTIONS.map(
    (connections) =>
      `- ${whole(connections)} connections: ${fixed(of(connections, true).measured.perSecond / of(connections, false).measured.perSecond, 2)} × the requests/s of --no-balance`,
  );
  const text = `${WORKERS} workers, connections that are kept, ${seconds} s each. The share is the busiest worker's of all requests of the run, from
\`show workers\`; its share of the connections is looked at every second. Closed are connections that ended during the run.

${resultTable(results)}

${[...goals, ...costs].join('\n')}`;
  publish('balance', where, text, { seconds, results }, { json, long: seconds >= DEFAULTS.balance.seconds });
  return 0;
}

async function measure(
  generator: LoadGenerator,
  connections: number,
  balanced: boolean,
  seconds: number,
): Promise<BalanceResult> {
  const port = await freePort();
  const socket = join(makePlace('balance'), 'kirin.ctl');
  const more = ['--control-socket', socket, ...(balanced ? [] : ['--no-balance'])];
  const server = startServer(kirinCommand(port, TWO, ...more));
  try {
    const limit = performance.now() + READY_MS;
    const check = () => {
      if (server.ended || performance.now() > limit)
        throw new Error(`Kirin did not start: ${server.complaint()}`);
    };
    const seen = new Set<string>();
    while (seen.size < WORKERS) {
      check();
      for (const who of await workersThatAnswer(port)) seen.add(who);
      await sleep(20);
    }
    const shell = await connected(socket, 'show workers', check);
    const shown = async (): Promise<WorkerShown[]> => {
      await within(shell.roundTrips(1), READY_MS);
      return (JSON.parse(shell.last) as { data: { workers: WorkerShown[] } }).data.workers;
    };
    // Heartbeats bring the figures.
    await sleep(POLL_MS * 2);
    const before = await shown();
    const earlier = new Set(endedPortsOf(port));
    let worst = 0;
    let last = 0;
    let isOver = false;
    const ended = new Set<number>();
    const firing = generator.fire(port, { connections, closing: false, seconds }).finally(() => {
      isOver = true;
    });
    while (!isOver) {
      await Promise.race([firing.catch(() => {}), sleep(POLL_MS)]);
      const held = (await shown()).map((worker) => worker.connections);
      const all = held.reduce((sum, count) => sum + count, 0);
      if (isOver || all < connections / 2) continue;
      for (const client of endedPortsOf(port)) if (!earlier.has(client)) ended.add(client);
      last = Math.max(...held) / all;
      worst = Math.max(worst, last);
    }
    const measured = await firing;
    await sleep(POLL_MS * 2);
    const after = await shown();
    shell.close();
    const answered = after.map(({ age, requests }) => {
      return requests - (before.find((worker) => worker.age === age)?.requests ?? 0);
    });
    const all = answered.reduce((sum, count) => sum + count, 0);
    return {
      connections,
      balanced,
      measured,
      share: Math.max(...answered) / all,
      connectionShareMax: worst,
      connectionShareLast: last,
      closed: ended.size,
    };
  } finally {
    await server.kill();
  }
}

const percent = (share: number) => `${fixed(share * 100, 1)} %`;

const resultTable = (results: readonly BalanceResult[]): string =>
  table(
    [
      '',
      'requests/s',
      'p99 ms',
      'errors',
      'closed',
      'busiest, requests',
      'connections, worst',
      'connections, at last',
    ],
    results.map(({ connections, balanced, measured, ...shares }) => [
      `${whole(connections)} connections${balanced ? '' : ', --no-balance'}`,
      whole(measured.perSecond),
      fixed(measured.p99Ms, 1),
      whole(measured.errors),
      whole(shares.closed),
      percent(shares.share),
      percent(shares.connectionShareMax),
      percent(shares.connectionShareLast),
    ]),
  );
