/** What `bench serve` measured, judged and as text. Pure. */
import type { Measured } from './load.ts';
import { PEERS, type PeerName } from './peers.ts';
import { fixed, median, medianKnown, table, whole } from './report.ts';

export interface Sample extends Measured {
  cpuUsPerRequest: number | undefined;
  switchesPerRequest: number | undefined;
}

export interface Scenario {
  workers: number;
  connections: number;
  /** One connection per request. */
  closing: boolean;
  /** By peer, by round; undefined where a peer failed in a round. */
  samples: Map<PeerName, (Sample | undefined)[]>;
}

interface PeerResult {
  peer: PeerName;
  rounds: number;
  perSecond: { median: number; min: number; max: number } | undefined;
  p99Ms: number | undefined;
  cpuUsPerRequest: number | undefined;
  switchesPerRequest: number | undefined;
  errors: number;
  /** Kirin's figure by this peer's: the median of the ratios of the rounds. */
  kirinRatio: number | undefined;
  kirinP99Ratio: number | undefined;
  kirinCpuRatio: number | undefined;
}

interface Goal {
  text: string;
  found: number | undefined;
  met: boolean | undefined;
}

export interface Judged {
  workers: number;
  connections: number;
  closing: boolean;
  peers: PeerResult[];
  goals: Goal[];
}

/** How many times faster than a peer Kirin shall be, by what is measured. */
function ratesWanted({ workers, connections, closing }: Scenario): Partial<Record<PeerName, number>> {
  if (workers === 2 && connections <= 50)
    return closing ? { cluster: 1.8, pm2: 2.5 } : { cluster: 1, handWritten: 0.97 };
  if (workers === 2 && closing) return { pm2: 2.5 };
  if (workers === 8) return { cluster: closing ? 1.4 : 1.3 };
  return {};
}

export function judged(scenario: Scenario): Judged {
  const { workers, connections, closing, samples } = scenario;
  const peers = [...samples].map(([peer, own]) => resultOf(peer, own, samples.get('kirin')!));
  const of = (name: PeerName) => peers.find(({ peer, rounds }) => peer === name && rounds > 0);
  const goals: Goal[] = Object.entries(ratesWanted(scenario)).map(([name, wanted]) => {
    const found = of(name as PeerName)?.kirinRatio;
    const text = `requests/s ≥ ${fixed(wanted, 2)} × ${PEERS[name as PeerName].title}`;
    return { text, found, met: found === undefined ? undefined : found >= wanted };
  });
  const p99 = of('cluster')?.kirinP99Ratio;
  goals.push({
    text: `p99 ≤ 1 × ${PEERS.cluster.title}`,
    found: p99,
    met: p99 === undefined ? undefined : p99 <= 1,
  });
  return { workers, connections, closing, peers: peers.filter(({ rounds }) => rounds > 0), goals };
}

function resultOf(
  peer: PeerName,
  own: readonly (Sample | undefined)[],
  kirins: readonly (Sample | undefined)[],
): PeerResult {
  const known = own.filter((sample) => sample !== undefined);
  const rates = known.map(({ perSecond }) => perSecond);
  const ratio = (figure: (sample: Sample) => number | undefined) =>
    medianKnown(
      own.map((sample, round) => {
        const [kirins_, peers_] = [kirins[round] && figure(kirins[round]), sample && figure(sample)];
        return kirins_ === undefined || !peers_ ? undefined : kirins_ / peers_;
      }),
    );
  return {
    peer,
    rounds: known.length,
    perSecond:
      rates.length === 0
        ? undefined
        : { median: median(rates), min: Math.min(...rates), max: Math.max(...rates) },
    p99Ms: medianKnown(known.map(({ p99Ms }) => p99Ms)),
    cpuUsPerRequest: medianKnown(known.map(({ cpuUsPerRequest }) => cpuUsPerRequest)),
    switchesPerRequest: medianKnown(known.map(({ switchesPerRequest }) => switchesPerRequest)),
    errors: known.reduce((sum, { errors }) => sum + errors, 0),
    kirinRatio: ratio(({ perSecond }) => perSecond),
    kirinP99Ratio: ratio(({ p99Ms }) => p99Ms),
    kirinCpuRatio: ratio(({ cpuUsPerRequest }) => cpuUsPerRequest),
  };
}

export const serveText = (
  results: readonly Judged[],
  rounds: number,
  seconds: number,
  leftOut: readonly string[],
): string => `${rounds} rounds of ${seconds} s (the bare server has one process). "Kirin's": its figure by the peer's, taken round by round; the
median is shown. CPU and context switches (of all threads, waiting or not) are those of all processes of a server.

${results.map((result) => `### ${titleOf(result)}\n\n${peerTable(result.peers)}\n\n${goalLines(result.goals)}`).join('\n\n')}${leftOut.map((line) => `\n\n${line}`).join('')}`;

const titleOf = ({ workers, connections, closing }: Judged): string =>
  `${workers} workers, ${closing ? 'one connection per request' : 'keep-alive'}, ${whole(connections)} ${closing ? 'at a time' : 'connections'}`;

const times = (ratio: number | undefined) => (ratio === undefined ? '–' : `${fixed(ratio, 2)} ×`);

const goalLines = (goals: readonly Goal[]): string =>
  goals
    .map(
      ({ text, found, met }) =>
        `- ${text}: ${met === undefined ? 'not measured' : `${met ? 'met' : 'missed'}, ${fixed(found, 2)}`}`,
    )
    .join('\n');

const HEAD = [
  ...['server', 'requests/s', 'min', 'max', 'p99 ms', 'CPU µs/request', 'switches/request', 'errors'],
  ...["Kirin's requests/s", "Kirin's p99", "Kirin's CPU"],
];

const peerTable = (peers: readonly PeerResult[]): string =>
  table(
    HEAD,
    peers.map((result) => {
      const { peer, perSecond, p99Ms, cpuUsPerRequest, switchesPerRequest, errors } = result;
      const isKirin = peer === 'kirin';
      return [
        PEERS[peer].title,
        whole(perSecond?.median),
        whole(perSecond?.min),
        whole(perSecond?.max),
        fixed(p99Ms, 1),
        whole(cpuUsPerRequest),
        fixed(switchesPerRequest, 2),
        whole(errors),
        isKirin ? '' : times(result.kirinRatio),
        isKirin ? '' : times(result.kirinP99Ratio),
        isKirin ? '' : times(result.kirinCpuRatio),
      ];
    }),
  );
