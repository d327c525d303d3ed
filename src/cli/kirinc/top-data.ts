/** What `top` shows: one look at a server, and its processes in the order that was chosen. */
import {
  cell,
  type Data,
  dataList,
  dataOf,
  numberOf,
  type Session,
  stateOf,
  textList,
  WireError,
} from './core.ts';

export interface Row {
  kind: 'web' | 'dirty';
  pid: number;
  age: number | undefined;
  slot: number | undefined;
  generation: number | undefined;
  state: string;
  requestsPerSecond: number | undefined;
  requests: number | undefined;
  connections: number | undefined;
  inFlight: number | undefined;
  /** The 99th percentile. */
  loopDelayMs: number | undefined;
  utilization: number | undefined;
  rssBytes: number | undefined;
  uptimeSeconds: number | undefined;
  beatSeconds: number | undefined;
  apps: string;
}

export interface Sample {
  stats: Data;
  rows: Row[];
  dirtyArbiterPid: number | undefined;
  /** Why the pool is not as it should be; empty if it is. */
  problem: string;
  rollout: string;
  takenAt: Date;
}

/** Looks at a server. What it does not know is not asked for again. */
export class Sampler {
  readonly #session: Session;
  #knowsGenerations = true;

  constructor(session: Session) {
    this.#session = session;
  }

  async sample(signal: AbortSignal): Promise<Sample> {
    const ask = async (...words: string[]) =>
      dataOf(await this.#session.ask({ words, repeatable: true, signal }));
    const [stats, workers, all, generations] = await Promise.all([
      ask('show', 'stats'),
      ask('show', 'workers'),
      ask('show', 'all'),
      this.#generations(ask),
    ]);
    return {
      stats,
      rows: [
        ...dataList(workers['workers']).map((one) => rowOf(one, 'web')),
        ...dataList(all['dirty_workers']).map((one) => rowOf(one, 'dirty')),
      ],
      dirtyArbiterPid: numberOf(dataOf(all['dirty_arbiter'])['pid']),
      problem: problemOf(generations),
      rollout: cell(generations['rollout']),
      takenAt: new Date(),
    };
  }

  async #generations(ask: (...words: string[]) => Promise<Data>): Promise<Data> {
    if (!this.#knowsGenerations) return {};
    try {
      return await ask('show', 'generations');
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#knowsGenerations = false;
      return {};
    }
  }
}

const problemOf = ({ stalled, degraded, reason }: Data): string => {
  if (stalled !== true && degraded !== true) return '';
  return `${stalled === true ? 'STALLED' : 'DEGRADED'}: ${cell(reason)}`;
};

const rowOf = (worker: Data, kind: Row['kind']): Row => ({
  kind,
  pid: numberOf(worker['pid']) ?? 0,
  age: numberOf(worker['age']),
  slot: numberOf(worker['slot']),
  generation: numberOf(worker['generation']),
  state: cell(stateOf(worker)),
  requestsPerSecond: numberOf(worker['requests_per_second']),
  requests: numberOf(worker['requests']),
  connections: numberOf(worker['connections']),
  inFlight: numberOf(worker['in_flight']),
  loopDelayMs: numberOf(worker['loop_delay_p99_ms']),
  utilization: numberOf(worker['utilization']),
  rssBytes: numberOf(worker['rss_bytes']),
  uptimeSeconds: numberOf(worker['uptime']),
  beatSeconds: numberOf(worker['last_heartbeat']),
  apps: textList(worker['apps']).join(' '),
});

export type SortKey = keyof Row;

/** The rows by a key, those without a value last; equal ones by age. Web workers come before dirty ones. */
export function sorted(rows: readonly Row[], key: SortKey, descending: boolean): Row[] {
  const sign = descending ? -1 : 1;
  return [...rows].sort((a, b) => {
    if (a.kind !== b.kind) return a.kind === 'web' ? -1 : 1;
    const [left, right] = [a[key], b[key]];
    if (left === right) return (a.age ?? 0) - (b.age ?? 0);
    if (left === undefined) return 1;
    if (right === undefined) return -1;
    return left < right ? -sign : sign;
  });
}
