/** `bench serve`: what a request costs, next to peers that are measured in the same rounds. */
import { findLoadGenerator, type Load, type LoadGenerator } from './load.ts';
import { available, type How, type Peer, type PeerName, startPeer, TWO } from './peers.ts';
import { cpuMsOf, switchesOf } from './proc.ts';
import { circumstances, progress, publish, whole } from './report.ts';
import { judged, type Sample, type Scenario, serveText } from './serve-report.ts';

/** Until the code is compiled and the connections are spread. */
const WARM_UP_SECONDS = 1;
/** The standard set: rounds are begun as long as another is likely to end within this time. */
const BUDGET_MS = 11 * 60_000;
const ROUNDS_MAX = 7;
/** So many make a standard run that is worth being written down. */
const ROUNDS_LEAST = 3;
const SECONDS = 2;
/** What starting one server and its measurements may take beyond their time. */
const BEYOND_SECONDS = 40;
const FETCH_SECONDS = 400;

interface Plan {
  workers: number;
  connections: readonly number[];
  peers: readonly PeerName[];
}

const ALL: readonly PeerName[] = ['kirin', 'handWritten', 'cluster', 'pm2', 'watt', 'bare'];
/** More workers than cores: against the peers whose way of sharing is what is compared. */
const MANY: readonly PeerName[] = ['kirin', 'handWritten', 'cluster'];
const CONNECTIONS = [50, 1_000] as const;
const STANDARD: readonly Plan[] = [
  { workers: 2, connections: CONNECTIONS, peers: ALL },
  { workers: 8, connections: CONNECTIONS, peers: MANY },
  { workers: 32, connections: CONNECTIONS, peers: MANY },
];

export interface ServeOptions {
  rounds: number | undefined;
  seconds: number | undefined;
  /** Undefined: the standard set. */
  workers: number[] | undefined;
  connections: number[] | undefined;
  node: string | undefined;
  json: boolean;
}

const plansOf = ({ workers, connections }: ServeOptions): readonly Plan[] =>
  workers === undefined && connections === undefined
    ? STANDARD
    : (workers ?? [2]).map((count) => ({
        workers: count,
        connections: connections ?? CONNECTIONS,
        peers: count === 2 ? ALL : MANY,
      }));

export function serveLimitMs(options: ServeOptions): number {
  const seconds = options.seconds ?? SECONDS;
  const round = plansOf(options).reduce(
    (sum, { workers, connections, peers }) =>
      sum + peers.length * (connections.length * 2 * (seconds + WARM_UP_SECONDS) + BEYOND_SECONDS + workers),
    0,
  );
  return options.rounds === undefined
    ? BUDGET_MS + (round + FETCH_SECONDS) * 1000
    : (options.rounds * round + FETCH_SECONDS) * 1000;
}

export async function serve(options: ServeOptions): Promise<number> {
  const { json, rounds: roundsWanted, seconds = SECONDS } = options;
  const node = options.node ?? TWO.node;
  const generator = await findLoadGenerator();
  const plans = plansOf(options);
  const foreign = await available([...new Set(plans.flatMap(({ peers }) => peers))], { ...TWO, node });
  const where = circumstances(
    `npm run bench -- serve${wordsOf(options)}`,
    ...(options.node ? [`servers on ${options.node}`] : []),
    generator.name,
    ...foreign.versions,
  );
  const scenarios = plans.flatMap(scenariosOf);
  const startedMs = performance.now();
  const left = new Map<string, string>();
  let rounds = 0;
  let longestMs = 0;
  const another = () =>
    roundsWanted === undefined
      ? rounds === 0 || (rounds < ROUNDS_MAX && performance.now() - startedMs + longestMs < BUDGET_MS)
      : rounds < roundsWanted;
  while (another()) {
    const roundMs = performance.now();
    rounds++;
    for (const plan of plans)
      for (const peer of foreign.peers.filter(({ name }) => plan.peers.includes(name))) {
        const tag = `round ${rounds}${roundsWanted === undefined ? '' : `/${roundsWanted}`}`;
        const of = scenarios.filter(({ workers }) => workers === plan.workers);
        await measurePeer(peer, { workers: plan.workers, node }, of, generator, seconds, tag, left);
      }
    longestMs = Math.max(longestMs, performance.now() - roundMs);
  }
  const results = scenarios.map(judged);
  const text = serveText(results, rounds, seconds, [...foreign.leftOut, ...left.values()]);
  const standard = plans === STANDARD && options.node === undefined;
  const long = standard && rounds >= ROUNDS_LEAST && seconds >= SECONDS;
  publish('serve', where, text, { rounds, seconds, results, scenarios }, { json, long });
  return 0;
}

const wordsOf = ({ rounds, seconds, workers, connections, node }: ServeOptions) =>
  Object.entries({ rounds, seconds, workers: workers?.join(), connections: connections?.join(), node })
    .map(([name, value]) => (value === undefined ? '' : ` --${name} ${value}`))
    .join('');

const scenariosOf = ({ workers, connections, peers }: Plan): Scenario[] =>
  connections.flatMap((count) =>
    [false, true].map((closing) => ({
      workers,
      connections: count,
      closing,
      samples: new Map(peers.map((peer) => [peer, []])),
    })),
  );

/** One server, all its scenarios. Kirin's own faults end the run; a peer that fails has a round less, and is told. */
async function measurePeer(
  peer: Peer,
  how: How,
  scenarios: readonly Scenario[],
  generator: LoadGenerator,
  seconds: number,
  tag: string,
  left: Map<string, string>,
): Promise<void> {
  try {
    const { server, port } = await startPeer(peer, how);
    try {
      for (const { connections, closing, workers, samples } of scenarios) {
        const sample = await measure(generator, server.pid, port, { connections, closing, seconds });
        samples.get(peer.name)!.push(sample);
        const title = `${workers} workers, ${connections} ${closing ? 'at a time, new' : 'kept'}`;
        progress(`${tag}  ${peer.title}, ${title}: ${whole(sample?.perSecond)} requests/s`);
      }
      if (server.ended) throw new Error(`${peer.title} ended under load: ${server.complaint()}`);
    } finally {
      await server.kill();
    }
  } catch (error) {
    if (peer.name === 'kirin') throw error;
    const line = `${peer.title} with ${how.workers} workers lacks a round: ${(error as Error).message.split('\n', 1)[0]}`;
    progress(line);
    left.set(`${peer.name} ${how.workers}`, line);
    // Rounds are compared by their number.
    for (const { samples } of scenarios) {
      const own = samples.get(peer.name)!;
      const kirins = samples.get('kirin')!.length;
      while (own.length < kirins) own.push(undefined);
    }
  }
}

/** Undefined where nothing was answered, which is a result as well. */
async function measure(
  generator: LoadGenerator,
  pid: number,
  port: number,
  load: Load,
): Promise<Sample | undefined> {
  await generator.fire(port, { ...load, seconds: WARM_UP_SECONDS });
  const [cpuBefore, switchesBefore] = [cpuMsOf(pid), switchesOf(pid)];
  const measured = await generator.fire(port, load);
  const [cpuAfter, switchesAfter] = [cpuMsOf(pid), switchesOf(pid)];
  const { requests } = measured;
  if (requests === 0) return undefined;
  const per = (before: number | undefined, after: number | undefined) =>
    before === undefined || after === undefined ? undefined : (after - before) / requests;
  const cpuMs = per(cpuBefore, cpuAfter);
  return {
    ...measured,
    cpuUsPerRequest: cpuMs === undefined ? undefined : cpuMs * 1000,
    switchesPerRequest: per(switchesBefore, switchesAfter),
  };
}
