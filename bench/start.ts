/** `bench start`: from the command to the first answer, and the memory of each process once it has served. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Server, startServer } from './fleet.ts';
import { DEFAULTS } from './options.ts';
import { ask, freePort, PEERS, type Peer, type PeerName, startPeer, WORKERS } from './peers.ts';
import { childrenOf, memoryOf } from './proc.ts';
import { circumstances, fixed, median, progress, publish, table, whole } from './report.ts';

const START_MS = 15_000;
const RETRY_MS = 2;
/** Served before memory is read, so that what is loaded late is there. */
const REQUESTS = 2_000;
const REST_MS = 1_000;

interface Memory {
  /** Which process: its parent process (arbiter, primary) or a worker. */
  process: string;
  rssMb: number;
  pssMb: number;
}

interface StartResult {
  peer: PeerName;
  firstAnswerMs: { median: number; min: number; max: number };
  memory: Memory[];
}

export const startLimitMs = (rounds: number): number => (rounds + 2) * 4 * 20_000;

export async function start(rounds: number, json: boolean): Promise<number> {
  const where = circumstances(`npm run bench -- start --rounds ${rounds}`);
  const times: Record<PeerName, number[]> = { kirin: [], handWritten: [], cluster: [], bare: [] };
  for (let round = 1; round <= rounds; round++) {
    for (const peer of Object.values(PEERS)) {
      const tookMs = await firstAnswer(peer);
      times[peer.name].push(tookMs);
      progress(`round ${round}/${rounds}  ${peer.title}: ${whole(tookMs)} ms`);
    }
  }
  const results: StartResult[] = [];
  for (const peer of Object.values(PEERS)) {
    const took = times[peer.name];
    results.push({
      peer: peer.name,
      firstAnswerMs: { median: median(took), min: Math.min(...took), max: Math.max(...took) },
      memory: await memory(peer),
    });
  }
  const text = `${WORKERS} workers (the bare server has one process), ${rounds} rounds. Time from the start of the command to the first
answer; a client that is refused tries again after ${RETRY_MS} ms. Memory after ${REQUESTS.toLocaleString('en-US')} requests, at rest; PSS counts
what processes share once. Of the workers the median is shown.

${table(
  ['server', 'first answer ms', 'min', 'max', 'by bare'],
  results.map(({ peer, firstAnswerMs }) => [
    PEERS[peer].title,
    whole(firstAnswerMs.median),
    whole(firstAnswerMs.min),
    whole(firstAnswerMs.max),
    `${fixed(median(times[peer].map((tookMs, round) => tookMs / times.bare[round]!)), 2)} ×`,
  ]),
)}

${table(
  ['process', 'RSS MB', 'PSS MB'],
  results.flatMap(({ peer, memory }) =>
    memory.map(({ process, rssMb, pssMb }) => [
      `${PEERS[peer].title}: ${process}`,
      fixed(rssMb, 0),
      fixed(pssMb, 0),
    ]),
  ),
)}`;
  publish(
    'start',
    where,
    text,
    { workers: WORKERS, rounds, results, times },
    { json, long: rounds >= DEFAULTS.start.rounds },
  );
  return 0;
}

async function firstAnswer(peer: Peer): Promise<number> {
  const port = await freePort();
  const startedMs = performance.now();
  const server = startServer(peer.command(port));
  await answered(peer, server, port, startedMs + START_MS);
  const tookMs = performance.now() - startedMs;
  await server.kill();
  return tookMs;
}

async function answered(peer: Peer, server: Server, port: number, limit: number): Promise<void> {
  for (;;) {
    try {
      await ask(port, '/');
      return;
    } catch (error) {
      if (server.ended) throw new Error(`${peer.title} ended at once: ${server.complaint()}`);
      if (performance.now() > limit)
        throw new Error(`${peer.title} did not answer: ${(error as Error).message}; ${server.complaint()}`);
      await sleep(RETRY_MS);
    }
  }
}

async function memory(peer: Peer): Promise<Memory[]> {
  const { server, port } = await startPeer(peer);
  for (let asked = 0; asked < REQUESTS; asked += 20)
    await Promise.all(Array.from({ length: 20 }, () => ask(port, '/')));
  await sleep(REST_MS);
  const own = memoryOf(server.pid);
  const workers = childrenOf(server.pid).flatMap((pid) => memoryOf(pid) ?? []);
  await server.kill();
  if (!own) return [];
  if (workers.length === 0) return [{ process: 'process', ...own }];
  const rssMb = median(workers.map((worker) => worker.rssMb));
  const pssMb = median(workers.map((worker) => worker.pssMb));
  return [
    { process: 'parent', ...own },
    { process: 'worker', rssMb, pssMb },
  ];
}
