/**
 * `bench kill`: a worker is killed with -9 every second under load. What it had in flight is lost; nothing else may be. So that
 * this is known and not guessed, the worker is stopped first, its connections are read from /proc, and then it is killed: a
 * failure is its own when it came over one of these, or over one that it had answered on.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClientSpec } from './clients.ts';
import { type Failure, KillClients } from './kill-clients.ts';
import { DEFAULTS } from './options.ts';
import { available, type Peer, type PeerName, startPeer, TWO, WORKERS } from './peers.ts';
import { clientPortsOf, isStopped } from './proc.ts';
import { circumstances, goalLine, progress, publish, table, whole } from './report.ts';

const NAMES: readonly PeerName[] = ['kirin', 'cluster', 'pm2'];
const EVERY_MS = 1_000;
/** Who has answered within this time lives. */
const LIVES_MS = 900;
const STOP_MS = 500;
const AFTER_MS = 3_000;
/** A victim is waited for no longer, where a server has none left. */
const VICTIM_MS = 10_000;
/** A port may belong to another connection later. */
const OWN_MS = 12_000;
const FETCH_MS = 200_000;

const LOAD: readonly ClientSpec[] = [
  { count: 16, path: '/whose', keepAlive: true, thinkMs: 0 },
  { count: 16, path: '/whose', keepAlive: true, thinkMs: 100 },
  { count: 8, path: '/whose', keepAlive: false, thinkMs: 0 },
  { count: 4, path: '/slow', keepAlive: true, thinkMs: 10 },
  { count: 4, path: '/slow', keepAlive: false, thinkMs: 10 },
];
const LOAD_TEXT = `16 keep-alive connections without a pause, 16 with a pause of 100 ms between requests, 8 clients with one
connection per request, 8 with requests that take 1 s. Nothing is retried.`;

interface Kill {
  pid: number;
  atMs: number;
  ports: ReadonlySet<number>;
}

interface KillResult {
  peer: PeerName;
  title: string;
  kills: number;
  requests: number;
  /** Of requests that were in flight in the killed worker. */
  inFlight: number;
  /** Begun on a connection of the killed worker after its death, before its client knew. */
  tooLate: number;
  /** What nobody killed. */
  others: number;
  reasons: Record<string, number>;
  longestMs: number;
}

export const killLimitMs = (kills: number): number =>
  NAMES.length * (kills * (EVERY_MS + 1_500) + VICTIM_MS + 60_000) + FETCH_MS;

export async function kill(kills: number, json: boolean): Promise<number> {
  if (process.platform !== 'linux')
    throw new Error('whose a connection was is read from /proc, on Linux alone');
  const { peers, versions, leftOut } = await available(NAMES, TWO);
  const where = circumstances(`npm run bench -- kill --kills ${kills}`, ...versions);
  const results: KillResult[] = [];
  for (const peer of peers) results.push(await killUnderLoad(peer, kills));
  const kirin = results.find(({ peer }) => peer === 'kirin')!;
  const text = `${WORKERS} workers, one of them killed with -9 every second, ${kills} times. Load: ${LOAD_TEXT}
Failed requests by whose they were: in flight in the worker that was killed; sent to it before its client knew that it was dead; of
no worker that was killed.

${resultTable(results)}

${goalLine('requests of Kirin that failed and were of no killed worker', kirin.others, '≤', 0, 0)}
${goalLine('workers of Kirin that were killed', kirin.kills, '≥', kills, 0)}${leftOut.map((line) => `\n\n${line}`).join('')}`;
  publish('kill', where, text, { kills, results }, { json, long: kills >= DEFAULTS.kill.kills });
  return kirin.others === 0 && kirin.kills === kills ? 0 : 1;
}

async function killUnderLoad(peer: Peer, wanted: number): Promise<KillResult> {
  const { server, port } = await startPeer(peer);
  const clients = new KillClients(port, LOAD);
  const killed: Kill[] = [];
  try {
    await sleep(EVERY_MS);
    let nextMs = performance.now();
    while (killed.length < wanted) {
      const pid = await victim(clients, killed);
      if (pid === undefined || server.ended) break;
      const one = await killKnowing(pid, port);
      if (one) killed.push(one);
      progress(
        `kill ${killed.length}/${wanted}  ${peer.title}: ${clients.requests} requests, ${clients.failures.length} failed`,
      );
      nextMs = Math.max(nextMs + EVERY_MS, performance.now());
      await sleep(nextMs - performance.now());
    }
    await sleep(AFTER_MS);
    await clients.stop();
  } finally {
    await server.kill();
  }
  const whose = clients.failures.map((failure) => ({ failure, of: killOf(failure, killed) }));
  const others = whose.filter(({ of }) => !of).map(({ failure }) => failure);
  const reasons: Record<string, number> = {};
  for (const { reason } of others) reasons[reason] = (reasons[reason] ?? 0) + 1;
  return {
    peer: peer.name,
    title: peer.title,
    kills: killed.length,
    requests: clients.requests,
    inFlight: whose.filter(({ failure, of }) => of && failure.begunMs <= of.atMs).length,
    tooLate: whose.filter(({ failure, of }) => of && failure.begunMs > of.atMs).length,
    others: others.length,
    reasons,
    longestMs: clients.longestMs,
  };
}

/** One that answers, in turn the one that has lived longest; undefined where nobody answers any more. */
async function victim(clients: KillClients, killed: readonly Kill[]): Promise<number | undefined> {
  const limit = performance.now() + VICTIM_MS;
  while (performance.now() < limit) {
    const now = performance.now();
    const living = [...clients.seenMs].filter(
      ([pid, seenMs]) => now - seenMs < LIVES_MS && !killed.some((one) => one.pid === pid),
    );
    if (living.length > 0) return living[0]![0];
    await sleep(20);
  }
  return undefined;
}

/** Undefined where it was gone already. */
async function killKnowing(pid: number, port: number): Promise<Kill | undefined> {
  try {
    process.kill(pid, 'SIGSTOP');
    const limit = performance.now() + STOP_MS;
    while (!isStopped(pid) && performance.now() < limit) await sleep(1);
    const ports = clientPortsOf(pid, port);
    process.kill(pid, 'SIGKILL');
    return { pid, atMs: performance.now(), ports };
  } catch {
    return undefined;
  }
}

const killOf = ({ lastPid, localPort, failedMs }: Failure, killed: readonly Kill[]): Kill | undefined =>
  killed.find(
    ({ pid, atMs, ports }) =>
      pid === lastPid ||
      (localPort !== undefined &&
        ports.has(localPort) &&
        failedMs >= atMs - STOP_MS &&
        failedMs < atMs + OWN_MS),
  );

const resultTable = (results: readonly KillResult[]): string =>
  table(
    [
      'server',
      'kills',
      'requests',
      'in flight',
      'sent too late',
      'others',
      'longest answer ms',
      'why others',
    ],
    results.map(({ title, kills, requests, inFlight, tooLate, others, longestMs, reasons }) => [
      title,
      whole(kills),
      whole(requests),
      whole(inFlight),
      whole(tooLate),
      whole(others),
      whole(longestMs),
      Object.entries(reasons)
        .map(([reason, count]) => `${count} ${reason}`)
        .join(', '),
    ]),
  );
