/** `bench dirty`: what a call of a dirty app costs, beside `fork` and piscina. */

import { floorOfEchoes } from './dirty-floor.ts';
import { hasPiscina, type Peer, type PeerName, type PeerOptions, startPeer, TITLES } from './dirty-peers.ts';
import { DEFAULTS } from './options.ts';
import { cpuMsOf } from './proc.ts';
import { circumstances, fixed, median, progress, publish, table, whole } from './report.ts';

const SMALL = 'x'.repeat(100);
const WARM_UP = 4000;
const ONE_BY_ONE = 4000;
const AT_ONCE = 64;
const MANY = 40_000;
const MEBIBYTE = Buffer.alloc(1024 * 1024, 7);
/** So many that what is compiled while it runs, and memory that is used again, are as they stay. */
const LARGE = 1500;
const CHUNKS = 10_000;
/** Each caller of the grid has so many calls in flight. */
const GRID_EACH = 16;
const GRID_CALLS = 20_000;
const LONG_MS = 2000;
const SHORT_MS = 1;
const SHORT_AT_ONCE = 2;
/** Short calls with nothing beside them, for comparison. */
const UNLOADED = 1000;

export const dirtyLimitMs = (rounds: number): number => 120_000 + rounds * 120_000;

type Figures = Record<string, number>;
type Results = Map<PeerName, Figures[]>;

export async function dirty(rounds: number, json: boolean): Promise<number> {
  const where = circumstances(`npm run bench -- dirty --rounds ${rounds}`);
  const names: PeerName[] = ['kirin', 'fork', ...((await hasPiscina()) ? (['piscina'] as const) : [])];
  if (names.length < 3) progress('bench: piscina is not installed, and is left out');
  const results: Results = new Map(names.map((name) => [name, []]));
  const grid: Figures[] = [];
  for (let round = 1; round <= rounds; round++) {
    progress(`round ${round} of ${rounds}`);
    // In turns, so that what else the machine does meets all of them.
    for (const name of round % 2 === 0 ? names.toReversed() : names)
      results.get(name)!.push({ ...(await measureOne(name)), ...(await measureMixed(name)) });
    grid.push(await measureGrid());
  }
  const text = describe(names, results, grid, rounds);
  publish(
    'dirty',
    where,
    text,
    { results: Object.fromEntries(results), grid },
    { json, long: rounds >= DEFAULTS.dirty.rounds },
  );
  return 0;
}

async function using<T>(name: PeerName, options: PeerOptions, work: (peer: Peer) => Promise<T>): Promise<T> {
  const peer = await startPeer(name, options);
  try {
    return await work(peer);
  } finally {
    await peer.close();
  }
}

/** One worker, one caller. */
async function measureOne(name: PeerName): Promise<Figures> {
  const figures: Figures = await using(name, { workers: 1, threads: 1 }, async (peer) => {
    await calls(peer, WARM_UP, 1, SMALL);
    const tookUs = await calls(peer, ONE_BY_ONE, 1, SMALL);
    await calls(peer, WARM_UP, AT_ONCE, SMALL);
    const alone = await perSecond(MANY / 2, () => calls(peer, MANY / 2, AT_ONCE, SMALL));
    return { p50Us: at(tookUs, 0.5), p99Us: at(tookUs, 0.99), perSecondOneThread: alone };
  });
  const more: Figures = await using(name, { workers: 1, threads: AT_ONCE }, async (peer) => {
    await calls(peer, WARM_UP, AT_ONCE, SMALL);
    const before = cpuOf(peer);
    const perSecond64 = await perSecond(MANY, () => calls(peer, MANY, AT_ONCE, SMALL));
    const after = cpuOf(peer);
    const cpu = (key: 'othersMs' | 'oursMs') => ((after[key] - before[key]) * 1000) / MANY;
    const large = await echoes(peer);
    const chunks = peer.stream
      ? await perSecond(CHUNKS, async () => {
          for await (const chunk of peer.stream!('chunks', CHUNKS)) void chunk;
        })
      : Number.NaN;
    return { perSecond64, othersCpuUs: cpu('othersMs'), oursCpuUs: cpu('oursMs'), large, chunks };
  });
  if (name !== 'kirin') return { ...figures, ...more };
  const routed = await using(name, { workers: 1, threads: 1, isRouted: true }, echoes);
  return { ...figures, ...more, routed, floor: await floorOfEchoes(MEBIBYTE, LARGE) };
}

/** Echoes of 1 MiB, a second. */
async function echoes(peer: Peer): Promise<number> {
  await calls(peer, LARGE, 1, MEBIBYTE);
  return perSecond(LARGE, () => calls(peer, LARGE, 1, MEBIBYTE));
}

/** One long call among short ones: how long the short ones take when a worker is free at any time. */
const measureMixed = (name: PeerName): Promise<Figures> =>
  using(name, { workers: 4, threads: 1 }, async (peer) => {
    await Promise.all(Array.from({ length: 100 }, () => peer.call(0, 'noop')));
    const tookMs = async (goesOn: () => boolean): Promise<number[]> => {
      const took: number[] = [];
      const short = async (): Promise<void> => {
        while (goesOn()) {
          const startedMs = performance.now();
          await peer.call(0, 'block', SHORT_MS);
          took.push(performance.now() - startedMs);
        }
      };
      await Promise.all(Array.from({ length: SHORT_AT_ONCE }, short));
      return took;
    };
    let left = UNLOADED;
    const unloaded = await tookMs(() => left-- > 0);
    let isLong = true;
    const long = peer.call(0, 'block', LONG_MS).finally(() => {
      isLong = false;
    });
    const [loaded] = await Promise.all([tookMs(() => isLong), long]);
    return {
      aloneP99Ms: at(unloaded, 0.99),
      shortP50Ms: at(loaded, 0.5),
      shortP99Ms: at(loaded, 0.99),
      shortMaxMs: Math.max(...loaded),
    };
  });

/** Kirin alone: callers by workers. */
async function measureGrid(): Promise<Figures> {
  const figures: Figures = {};
  for (const workers of [1, 4])
    for (const callers of [1, 4, 16])
      figures[`${callers}×${workers}`] = await using(
        'kirin',
        { workers, threads: GRID_EACH, callers },
        async (peer) => {
          const work = (count: number) =>
            Promise.all(
              Array.from({ length: callers }, (_, caller) =>
                calls(peer, count / callers, GRID_EACH, SMALL, caller),
              ),
            );
          await work(WARM_UP);
          return perSecond(GRID_CALLS, () => work(GRID_CALLS));
        },
      );
  return figures;
}

/** So many calls, so many at once; how long each took, in µs. */
async function calls(
  peer: Peer,
  count: number,
  atOnce: number,
  value: unknown,
  caller = 0,
): Promise<number[]> {
  const tookUs: number[] = [];
  let begun = 0;
  const one = async (): Promise<void> => {
    while (begun < count) {
      begun++;
      const startedMs = performance.now();
      await peer.call(caller, value === SMALL ? 'noop' : 'echo', value);
      tookUs.push((performance.now() - startedMs) * 1000);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, one));
  return tookUs;
}

async function perSecond(count: number, work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return (count * 1000) / (performance.now() - startedMs);
}

const at = (values: readonly number[], share: number): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length * share)]!;

function cpuOf(peer: Peer): { othersMs: number; oursMs: number } {
  const { user, system } = process.cpuUsage();
  const othersMs = peer.pids.reduce((sum, pid) => sum + (cpuMsOf(pid) ?? Number.NaN), 0);
  return { othersMs, oursMs: (user + system) / 1000 };
}

function describe(names: readonly PeerName[], results: Results, grid: Figures[], rounds: number): string {
  const of = (name: PeerName, key: string): number | undefined => {
    const known = results.get(name)?.map((figures) => figures[key] ?? Number.NaN);
    return known && !known.some(Number.isNaN) ? median(known) : undefined;
  };
  /** Kirin's by the peer's, taken round by round. */
  const ratio = (name: PeerName, key: string, theirKey = key): number | undefined => {
    const [ours, theirs] = [results.get('kirin')!, results.get(name)];
    return theirs && median(ours.map((figures, round) => figures[key]! / theirs[round]![theirKey]!));
  };
  const kirin = of('kirin', 'othersCpuUs')!;
  const goal = (text: string, value: number | undefined, isMet: (value: number) => boolean): string =>
    value === undefined
      ? `${text}: not measured`
      : `${text}: ${isMet(value) ? 'met' : 'missed'}, ${fixed(value, 2)}`;
  const row = (title: string, key: string, digits = 0) => [
    title,
    ...names.map((name) => {
      const value = of(name, key);
      return digits === 0 ? whole(value) : fixed(value, digits);
    }),
  ];
  return `One worker and one caller, but for the mixed load; medians of ${rounds} rounds, in which the peers take turns. Kirin's router, worker and
caller are three processes, fork's are two, piscina's is one.

${table(
  ['', ...names.map((name) => TITLES[name])],
  [
    row('call of 100 bytes, p50, µs', 'p50Us'),
    row('call of 100 bytes, p99, µs', 'p99Us'),
    row(`calls/s, ${AT_ONCE} in flight, all in the worker`, 'perSecond64'),
    row(`calls/s, ${AT_ONCE} in flight, one at a time in the worker`, 'perSecondOneThread'),
    row('CPU of the other processes, µs a call', 'othersCpuUs', 1),
    row('CPU of the caller, µs a call', 'oursCpuUs', 1),
    row('echo of 1 MiB, calls/s', 'large'),
    row('the same, through the router', 'routed'),
    row('the same, copies alone', 'floor'),
    row(`stream of ${whole(CHUNKS)} chunks, chunks/s`, 'chunks'),
    row(`${SHORT_MS} ms calls beside one of ${LONG_MS / 1000} s, 4 workers, p50, ms`, 'shortP50Ms', 1),
    row('their p99, ms', 'shortP99Ms', 1),
    row('the slowest of them, ms', 'shortMaxMs', 1),
    row('p99 of such calls with nothing beside them, ms', 'aloneP99Ms', 1),
  ],
)}

Goals:

- ${goal('p50 ≤ 1.5 × piscina’s', ratio('piscina', 'p50Us'), (value) => value <= 1.5)}
- ${goal(`calls/s at ${AT_ONCE} ≥ 1.6 × fork's`, ratio('fork', 'perSecond64'), (value) => value >= 1.6)}
- ${goal(`calls/s at ${AT_ONCE} ≥ 3 × piscina's as it comes, one at a time`, ratio('piscina', 'perSecond64', 'perSecondOneThread'), (value) => value >= 3)}
- ${goal("1 MiB through the router ≥ 1.1 × fork's", ratio('fork', 'routed', 'large'), (value) => value >= 1.1)}
- ${goal("1 MiB past the router ≥ 2 × fork's", ratio('fork', 'large'), (value) => value >= 2)}
- ${goal(`CPU of router and worker ≤ 20 µs a call, ${AT_ONCE} in flight`, kirin, (value) => value <= 20)}
- ${goal('p99 of short calls beside a long one ≤ 3 × their p99 alone', ratio('kirin', 'shortP99Ms', 'aloneP99Ms'), (value) => value <= 3)}

"Copies alone" is the floor for payloads of their own memory at both ends: two processes that write 1 MiB into shared memory, read it into
a new buffer, and back, and do nothing else: ${fixed(ratio('kirin', 'floor', 'large'), 2)} × what Kirin does, ${fixed(ratio('fork', 'floor', 'large'), 2)} × what fork does.

A pool of fork written by hand gives calls to its children in turn, so that some wait behind the long one. One call at a time is
what a worker has by default (\`--dirty-threads 1\`); its next one is sent when the answer is there, so that it is never
behind a long one while another worker is free.

Kirin's calls/s by callers × workers, ${GRID_EACH} in flight for each caller, all of them in this process:

${table(
  ['callers × workers', 'calls/s'],
  Object.keys(grid[0]!).map((key) => [key, whole(median(grid.map((figures) => figures[key]!)))]),
)}`;
}
