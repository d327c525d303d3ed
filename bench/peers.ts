/** The servers that are compared. All serve `servers/app.mjs`. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Server, startServer } from './fleet.ts';

export const HOST = '127.0.0.1';
export const WORKERS = 2;
const READY_MS = 15_000;
const ANSWER_MS = 5_000;
/** Asked at once, so that every worker gets one. */
const ASKED_TOGETHER = 8;

const root = fileURLToPath(new URL('..', import.meta.url));
const kirin = join(root, 'dist/kirin.js');
const servers = fileURLToPath(new URL('servers', import.meta.url));

export type PeerName = 'kirin' | 'handWritten' | 'cluster' | 'bare';

export interface Peer {
  name: PeerName;
  title: string;
  workers: number;
  command(port: number): string[];
}

const script = (file: string, port: number, ...more: string[]) => [
  process.execPath,
  join(servers, file),
  HOST,
  String(port),
  ...more,
];

export const PEERS: Record<PeerName, Peer> = {
  kirin: {
    name: 'kirin',
    title: 'Kirin',
    workers: WORKERS,
    command: (port) => [
      process.execPath,
      kirin,
      '-w',
      String(WORKERS),
      '-b',
      `${HOST}:${port}`,
      join(servers, 'app.mjs'),
    ],
  },
  handWritten: {
    name: 'handWritten',
    title: 'hand-written, shared descriptor',
    workers: WORKERS,
    command: (port) => script('hand-written.mjs', port, String(WORKERS)),
  },
  cluster: {
    name: 'cluster',
    title: 'node:cluster, round robin',
    workers: WORKERS,
    command: (port) => script('cluster.mjs', port, String(WORKERS)),
  },
  bare: {
    name: 'bare',
    title: 'bare single process',
    workers: 1,
    command: (port) => script('bare.mjs', port),
  },
};

/** What makes it impossible to measure the build in dist/, in one line. */
export const buildFault = (): string | undefined =>
  existsSync(kirin) ? undefined : 'dist/kirin.js is missing; run npm run build first';

/** What makes it doubtful. */
export function buildDoubt(): string | undefined {
  const built = statSync(kirin).mtimeMs;
  const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' });
  const newer = sources.find(
    (file) => file.endsWith('.ts') && statSync(join(root, 'src', file)).mtimeMs > built,
  );
  return newer && `dist/ is older than src/${newer}; npm run build would renew it`;
}

/** Starts a peer on a free port and waits until all its workers answer. */
export async function startPeer(peer: Peer): Promise<{ server: Server; port: number }> {
  const port = await freePort();
  const server = startServer(peer.command(port));
  const pids = new Set<string>();
  const limit = performance.now() + READY_MS;
  while (pids.size < peer.workers) {
    if (server.ended) throw new Error(`${peer.title} ended at once: ${server.complaint()}`);
    if (performance.now() > limit)
      throw new Error(`${peer.title}: ${pids.size} of ${peer.workers} workers answer; ${server.complaint()}`);
    for (const pid of await workersThatAnswer(port)) pids.add(pid);
    await sleep(20);
  }
  return { server, port };
}

/** The process ids in the answers to several requests at once; those that failed are left out. */
export async function workersThatAnswer(port: number): Promise<string[]> {
  const answers = Array.from({ length: ASKED_TOGETHER }, () => ask(port, '/pid').catch(() => []));
  return (await Promise.all(answers)).flat();
}

/** One request on a connection of its own; rejects unless it is answered with 200. */
export function ask(port: number, path: string, agent: http.Agent | false = false): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = http.get({ host: HOST, port, path, agent, timeout: ANSWER_MS }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      response.on('error', reject);
      response.on('end', () => {
        if (response.statusCode === 200 && response.complete) resolve(body);
        else reject(new Error(`answered ${response.statusCode}`));
      });
    });
    request.on('timeout', () => request.destroy(new Error('no answer in time')));
    request.on('error', reject);
  });
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = net.createServer().once('error', reject);
    server.listen(0, HOST, () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
