/** `bench start`: from the command to the first answer, and the memory of each process once it has served. */
import { setTimeout as sleep } from 'node:timers/promises';
import { run, type Server } from './fleet.ts';
import { DEFAULTS } from './options.ts';
import {
  ask,
  available,
  freePort,
  type How,
  type Peer,
  type PeerName,
  startPeer,
  WORKERS,
  workersThatAnswer,
} from './peers.ts';
import { finelyCpuMsOf, memoryOf } from './proc.ts';
import {
  circumstances,
  fixed,
  goalLine,
  median,
  medianKnown,
  progress,
  publish,
  table,
  whole,
} from './report.ts';

const START_MS = 20_000;
const RETRY_MS = 2;
/** Served before memory is read, so that what is loaded late is there. */
const REQUESTS = 2_000;
const REST_MS = 1_000;
const FETCH_MS = 400_000;
/** One peer, once: start, and end. */
const PEER_MS = 30_000;

const NAMES: readonly PeerName[] = ['kirin', 'handWritten', 'cluster', 'pm2', 'watt', 'bare'];
/** How much longer than a bare `node app.js` two supervised workers may take, by what starts Node.js itself takes. */
const BY_BARE = { '20': 2.5, newer: 4 };
const BY_HAND_WRITTEN = 1.25;
const WORKER_MB_MORE = 10;

interface Memory {
  /** Which process: its parent process (arbiter, primary, daemon) or a worker. */
  process: 'parent' | 'worker' | 'process';
  rssMb: number;
  pssMb: number;
}

interface Started {
  tookMs: number;
  /** Of the processes that it consists of, until the first answer. */
  cpuMs: number | undefined;
}

interface StartResult {
  peer: PeerName;
  title: string;
  firstAnswerMs: { median: number; min: number; max: number };
  cpuMs: number | undefined;
  memory: Memory[];
}

export const startLimitMs = (rounds: number): number => (rounds + 2) * NAMES.length * PEER_MS + FETCH_MS;

export async function start(rounds: number, json: boolean, node: string): Promise<number> {
  const how: How = { workers: WORKERS, node };
  const version = (await run([node, '--version'], START_MS)).trim();
  const { peers, versions, leftOut } = await available(NAMES, how);
  const other = node === process.execPath ? [] : [`servers on Node ${version}`];
  const words = node === process.execPath ? '' : ` --node ${node}`;
  const where = circumstances(`npm run bench -- start --rounds ${rounds}${words}`, ...other, ...versions);
  // Before anything is timed: what a server keeps for later starts, as Kirin its compiled code and the system the files, is there then.
  const memories = new Map<PeerName, Memory[]>();
  for (const peer of peers) memories.set(peer.name, await memory(peer, how));
  const taken = new Map(peers.map(({ name }) => [name, [] as Started[]]));
  for (let round = 1; round <= rounds; round++) {
    for (const peer of peers) {
      const started = await firstAnswer(peer, how);
      taken.get(peer.name)!.push(started);
      progress(`round ${round}/${rounds}  ${peer.title}: ${whole(started.tookMs)} ms`);
    }
  }
  const results: StartResult[] = [];
  for (const peer of peers) {
    const own = taken.get(peer.name)!;
    const took = own.map(({ tookMs }) => tookMs);
    results.push({
      peer: peer.name,
      title: peer.title,
      firstAnswerMs: { median: median(took), min: Math.min(...took), max: Math.max(...took) },
      cpuMs: medianKnown(own.map(({ cpuMs }) => cpuMs)),
      memory: memories.get(peer.name)!,
    });
  }
  const text = textOf(results, taken, version, rounds, leftOut);
  const long = rounds >= DEFAULTS.start.rounds && node === process.execPath;
  publish('start', where, text, { rounds, version, results, taken: [...taken] }, { json, long });
  return 0;
}

async function firstAnswer(peer: Peer, how: How): Promise<Started> {
  const port = await freePort();
  const opened = await peer.open(how);
  const startedMs = performance.now();
  const server = opened.launch(port);
  try {
    await answered(peer, server, port, startedMs + START_MS);
    const tookMs = performance.now() - startedMs;
    // What a command or a daemon that was there before takes is not in the processes that are looked at.
    return { tookMs, cpuMs: peer.name === 'pm2' ? undefined : finelyCpuMsOf(server.pid) };
  } finally {
    await server.kill();
  }
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

async function memory(peer: Peer, how: How): Promise<Memory[]> {
  const { server, port } = await startPeer(peer, how);
  try {
    for (let asked = 0; asked < REQUESTS; asked += 20)
      await Promise.all(Array.from({ length: 20 }, () => ask(port, '/')));
    const answering = new Set<number>();
    for (let more = 0; more < 50 && answering.size < peer.answering(how.workers); more++)
      for (const who of await workersThatAnswer(port)) answering.add(Number.parseInt(who, 10));
    await sleep(REST_MS);
    const own = memoryOf(server.pid);
    if (!own) return [];
    const workers = [...answering].filter((pid) => pid !== server.pid).flatMap((pid) => memoryOf(pid) ?? []);
    if (workers.length === 0) return [{ process: 'process', ...own }];
    const rssMb = median(workers.map((worker) => worker.rssMb));
    const pssMb = median(workers.map((worker) => worker.pssMb));
    return [
      { process: 'parent', ...own },
      { process: 'worker', rssMb, pssMb },
    ];
  } finally {
    await server.kill();
  }
}

function textOf(
  results: readonly StartResult[],
  taken: ReadonlyMap<PeerName, readonly Started[]>,
  version: string,
  rounds: number,
  leftOut: readonly string[],
): string {
  const by = (name: PeerName, other: PeerName): number | undefined => {
    const [own, others] = [taken.get(name), taken.get(other)];
    return own && others && median(own.map(({ tookMs }, round) => tookMs / others[round]!.tookMs));
  };
  const rss = (name: PeerName, process: Memory['process']) =>
    results.find(({ peer }) => peer === name)?.memory.find((one) => one.process === process)?.rssMb;
  const byBare = version.startsWith('v20.') ? BY_BARE['20'] : BY_BARE.newer;
  const [worker, bare] = [rss('kirin', 'worker'), rss('bare', 'process')];
  const goals = [
    goalLine('first answer by bare', by('kirin', 'bare'), '≤', byBare, 2),
    goalLine('first answer by hand-written', by('kirin', 'handWritten'), '≤', BY_HAND_WRITTEN, 2),
    goalLine("first answer by PM2's, whose daemon is up", by('kirin', 'pm2'), '<', 1, 2),
    goalLine(
      'MB (RSS) of a worker beyond the bare process',
      worker === undefined || bare === undefined ? undefined : worker - bare,
      '≤',
      WORKER_MB_MORE,
      1,
    ),
    goalLine("MB (RSS) of the arbiter, PM2's daemon's", rss('kirin', 'parent'), '<', rss('pm2', 'parent'), 1),
  ];
  return `${WORKERS} workers (the bare server has one process), ${rounds} rounds, Node.js ${version}. Time from the start of the command to the
first answer, of starts after the first; a client that is refused tries again after ${RETRY_MS} ms. CPU is that of all its processes until then. Memory after
${REQUESTS.toLocaleString('en-US')} requests, at rest; PSS counts what processes share once. Of the workers the median is shown.

${table(
  ['server', 'first answer ms', 'min', 'max', 'CPU ms', 'by bare'],
  results.map(({ peer, title, firstAnswerMs, cpuMs }) => [
    title,
    whole(firstAnswerMs.median),
    whole(firstAnswerMs.min),
    whole(firstAnswerMs.max),
    whole(cpuMs),
    `${fixed(by(peer, 'bare'), 2)} ×`,
  ]),
)}

${table(
  ['process', 'RSS MB', 'PSS MB'],
  results.flatMap(({ title, memory }) =>
    memory.map(({ process, rssMb, pssMb }) => [`${title}: ${process}`, fixed(rssMb, 1), fixed(pssMb, 1)]),
  ),
)}

${goals.join('\n')}${leftOut.map((line) => `\n\n${line}`).join('')}`;
}
