/** `bench serve`: what a request costs, next to peers that are measured in the same rounds. */
import { findLoadGenerator, type Load, type LoadGenerator, type Measured } from './load.ts';
import { DEFAULTS } from './options.ts';
import { PEERS, type Peer, type PeerName, startPeer, WORKERS } from './peers.ts';
import { cpuMsOf } from './proc.ts';
import { circumstances, fixed, median, medianKnown, progress, publish, table, whole } from './report.ts';

const CONNECTIONS = 50;
/** Until the code is compiled and the connections are spread. */
const WARM_UP_SECONDS = 2;

const SCENARIOS = [
  { name: 'keepAlive', title: `keep-alive, ${CONNECTIONS} connections`, closing: false },
  {
    name: 'perRequest',
    title: `one connection per request, ${CONNECTIONS} at a time`,
    closing: true,
  },
] as const;
type ScenarioName = (typeof SCENARIOS)[number]['name'];

/** How many times faster than a peer Kirin shall be. */
const GOALS: Record<ScenarioName, Partial<Record<PeerName, number>>> = {
  keepAlive: { cluster: 1.0, handWritten: 0.97 },
  perRequest: { cluster: 1.8 },
};

interface Sample extends Measured {
  cpuUsPerRequest: number | undefined;
}
type Samples = Record<PeerName, Sample[]>;

interface PeerResult {
  peer: PeerName;
  perSecond: { median: number; min: number; max: number };
  p99Ms: number;
  cpuUsPerRequest: number | undefined;
  errors: number;
  /** Kirin's requests per second by this peer's: the median of the ratios of the rounds. */
  kirinRatio: number;
  /** Kirin's CPU per request by this peer's, likewise; it suffers less from what else the machine does. */
  kirinCpuRatio: number | undefined;
  goal: number | undefined;
  met: boolean | undefined;
}

export function serveLimitMs(rounds: number, seconds: number): number {
  return (rounds * 4 * SCENARIOS.length * (seconds + WARM_UP_SECONDS + 10) + 60) * 1000;
}

export async function serve(rounds: number, seconds: number, json: boolean): Promise<number> {
  const generator = await findLoadGenerator();
  const where = circumstances(
    `npm run bench -- serve --rounds ${rounds} --seconds ${seconds}`,
    generator.name,
  );
  const samples: Record<ScenarioName, Samples> = { keepAlive: none(), perRequest: none() };
  for (let round = 1; round <= rounds; round++) {
    for (const peer of Object.values(PEERS)) {
      const { server, port } = await startPeer(peer);
      for (const { name, title, closing } of SCENARIOS) {
        const load = { connections: CONNECTIONS, closing, seconds };
        const sample = await measure(generator, server.pid, port, load);
        samples[name][peer.name].push(sample);
        progress(`round ${round}/${rounds}  ${peer.title}, ${title}: ${whole(sample.perSecond)} requests/s`);
      }
      if (server.ended) throw new Error(`${peer.title} ended under load: ${server.complaint()}`);
      await server.kill();
    }
  }

  const results = SCENARIOS.map(({ name, title }) => ({
    scenario: name,
    title,
    peers: Object.values(PEERS).map((peer) => judge(peer, name, samples[name])),
  }));
  const text = `${WORKERS} workers (the bare server has one process), ${rounds} rounds of ${seconds} s. "Kirin is": its requests per second
by the peer's, taken round by round; the median is shown. CPU is that of all processes of a server.

${results.map(({ title, peers }) => `### ${upper(title)}\n\n${peerTable(peers)}`).join('\n\n')}`;
  const { serve: least } = DEFAULTS;
  const long = rounds >= least.rounds && rounds * seconds >= least.rounds * least.seconds;
  publish('serve', where, text, { workers: WORKERS, rounds, seconds, results, samples }, { json, long });
  return 0;
}

const none = (): Samples => ({ kirin: [], handWritten: [], cluster: [], bare: [] });

async function measure(generator: LoadGenerator, pid: number, port: number, load: Load): Promise<Sample> {
  await generator.fire(port, { ...load, seconds: WARM_UP_SECONDS });
  const before = cpuMsOf(pid);
  const measured = await generator.fire(port, load);
  const after = cpuMsOf(pid);
  if (measured.requests === 0) throw new Error(`${generator.name} got no answer at all`);
  const cpuUsPerRequest =
    before === undefined || after === undefined ? undefined : ((after - before) * 1000) / measured.requests;
  return { ...measured, cpuUsPerRequest };
}

function judge(peer: Peer, scenario: ScenarioName, samples: Samples): PeerResult {
  const own = samples[peer.name];
  const rates = own.map(({ perSecond }) => perSecond);
  const kirinRatio = median(rates.map((rate, round) => samples.kirin[round]!.perSecond / rate));
  const cpuRatios = own.map(({ cpuUsPerRequest: cpuUs }, round) => {
    const kirinUs = samples.kirin[round]!.cpuUsPerRequest;
    return cpuUs === undefined || kirinUs === undefined ? undefined : kirinUs / cpuUs;
  });
  const goal = GOALS[scenario][peer.name];
  return {
    peer: peer.name,
    perSecond: { median: median(rates), min: Math.min(...rates), max: Math.max(...rates) },
    p99Ms: median(own.map(({ p99Ms }) => p99Ms)),
    cpuUsPerRequest: medianKnown(own.map(({ cpuUsPerRequest }) => cpuUsPerRequest)),
    errors: own.reduce((sum, { errors }) => sum + errors, 0),
    kirinRatio,
    kirinCpuRatio: medianKnown(cpuRatios),
    goal,
    met: goal === undefined ? undefined : kirinRatio >= goal,
  };
}

const peerTable = (peers: readonly PeerResult[]): string =>
  table(
    [
      'server',
      'requests/s',
      'min',
      'max',
      'p99 ms',
      'CPU µs/request',
      'errors',
      'Kirin is',
      'goal',
      '',
      'its CPU is',
    ],
    peers.map(({ peer, perSecond, p99Ms, cpuUsPerRequest, errors, kirinRatio, kirinCpuRatio, goal, met }) => [
      PEERS[peer].title,
      whole(perSecond.median),
      whole(perSecond.min),
      whole(perSecond.max),
      fixed(p99Ms, 1),
      whole(cpuUsPerRequest),
      whole(errors),
      peer === 'kirin' ? '' : `${fixed(kirinRatio, 2)} ×`,
      goal === undefined ? '' : `≥ ${fixed(goal, 2)} ×`,
      met === undefined ? '' : met ? 'met' : 'not met',
      peer === 'kirin' || kirinCpuRatio === undefined ? '' : `${fixed(kirinCpuRatio, 2)} ×`,
    ]),
  );

const upper = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);
