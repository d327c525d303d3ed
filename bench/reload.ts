/** `bench reload`: requests that fail while the workers are replaced again and again under load. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type ClientSpec, Clients } from './clients.ts';
import type { Server } from './fleet.ts';
import { DEFAULTS } from './options.ts';
import { PEERS, type Peer, type PeerName, startPeer, WORKERS, workersThatAnswer } from './peers.ts';
import { circumstances, fixed, median, progress, publish, table, whole } from './report.ts';

const RELOAD_MS = 30_000;
const POLL_MS = 100;
/** After the last reload, until the old workers have taken leave. */
const AFTER_MS = 4_000;

const SLOW = '/slow';
const LOAD: readonly ClientSpec[] = [
  { count: 16, path: '/', keepAlive: true, thinkMs: 0 },
  { count: 16, path: '/', keepAlive: true, thinkMs: 300 },
  { count: 8, path: '/', keepAlive: false, thinkMs: 0 },
  { count: 4, path: SLOW, keepAlive: true, thinkMs: 10 },
  { count: 4, path: SLOW, keepAlive: false, thinkMs: 10 },
];
const LOAD_TEXT = `16 keep-alive connections without a pause, 16 with a pause of 300 ms between requests, 8 clients with
one connection per request, 8 with requests that take 1 s. Nothing is retried.`;

const RELOADED = ['kirin', 'cluster'] as const satisfies readonly PeerName[];
const TITLES = { kirin: PEERS.kirin.title, cluster: 'node:cluster, fork then server.close()' };

interface ReloadResult {
  peer: (typeof RELOADED)[number];
  reloads: number;
  requests: number;
  failed: number;
  reasons: Record<string, number>;
  reloadMs: number;
  /** The fewest slow requests in flight when a reload began. */
  slowInFlightMin: number;
}

export const reloadLimitMs = (reloads: number): number => RELOADED.length * (reloads * RELOAD_MS + 60_000);

export async function reload(reloads: number, json: boolean): Promise<number> {
  const where = circumstances(`npm run bench -- reload --reloads ${reloads}`);
  const results: ReloadResult[] = [];
  for (const name of RELOADED) {
    const { server, port } = await startPeer(PEERS[name]);
    results.push(await reloadUnderLoad(name, server, port, reloads));
    await server.kill();
  }
  const failed = results.find(({ peer }) => peer === 'kirin')!.failed;
  const text = `${WORKERS} workers, ${reloads} reloads by SIGHUP, each begun when the one before was done. Load: ${LOAD_TEXT}

${resultTable(results)}

Goal: Kirin fails no request: ${failed === 0 ? 'met' : 'not met'}.`;
  publish(
    'reload',
    where,
    text,
    { workers: WORKERS, results },
    { json, long: reloads >= DEFAULTS.reload.reloads },
  );
  return failed === 0 ? 0 : 1;
}

async function reloadUnderLoad(
  name: (typeof RELOADED)[number],
  server: Server,
  port: number,
  reloads: number,
): Promise<ReloadResult> {
  const peer = PEERS[name];
  const clients = new Clients(port, LOAD);
  await sleep(1_000);
  const tookMs: number[] = [];
  let slowInFlightMin = Number.POSITIVE_INFINITY;
  let serving = await newWorkers(peer, server, port, new Set());
  for (let count = 1; count <= reloads; count++) {
    slowInFlightMin = Math.min(slowInFlightMin, clients.underWay(SLOW));
    const startedMs = performance.now();
    server.signal('SIGHUP');
    serving = await newWorkers(peer, server, port, serving);
    tookMs.push(performance.now() - startedMs);
    progress(
      `reload ${count}/${reloads}  ${TITLES[name]}: ${clients.requests} requests, ${clients.failed} failed`,
    );
  }
  await sleep(AFTER_MS);
  await clients.stop();
  const { requests, failed } = clients;
  const reasons = Object.fromEntries(clients.failures);
  return { peer: name, reloads, requests, failed, reasons, reloadMs: median(tookMs), slowInFlightMin };
}

/** Waits until new connections are answered by as many workers as there should be, none of them an old one. */
async function newWorkers(
  peer: Peer,
  server: Server,
  port: number,
  old: ReadonlySet<string>,
): Promise<ReadonlySet<string>> {
  const limit = performance.now() + RELOAD_MS;
  let seen = new Set<string>();
  // Seen twice, since an old worker that still accepts may happen not to answer.
  for (let agreed = 0; agreed < 2; ) {
    if (server.ended) throw new Error(`${peer.title} ended: ${server.complaint()}`);
    if (performance.now() > limit)
      throw new Error(`${peer.title} was not reloaded within ${RELOAD_MS / 1000} s: ${server.complaint()}`);
    await sleep(POLL_MS);
    const pids = new Set(await workersThatAnswer(port));
    const done = pids.size === peer.answering(WORKERS) && [...pids].every((pid) => !old.has(pid));
    agreed = done ? agreed + 1 : 0;
    seen = pids;
  }
  return seen;
}

const resultTable = (results: readonly ReloadResult[]): string =>
  table(
    ['server', 'reloads', 'requests', 'failed', 'slow in flight', 'a reload takes', 'failures'],
    results.map(({ peer, reloads, requests, failed, reasons, reloadMs, slowInFlightMin }) => [
      TITLES[peer],
      whole(reloads),
      whole(requests),
      whole(failed),
      `≥ ${slowInFlightMin}`,
      `${fixed(reloadMs / 1000, 1)} s`,
      Object.entries(reasons)
        .map(([reason, count]) => `${count} ${reason}`)
        .join(', '),
    ]),
  );
