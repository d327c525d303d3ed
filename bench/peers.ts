/** The servers that are compared. All serve `servers/app.mjs`. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Server, startServer } from './fleet.ts';
import { openPm2, openWatt } from './foreign.ts';
import { progress } from './report.ts';

export const HOST = '127.0.0.1';
export const WORKERS = 2;
const READY_MS = 20_000;
const READY_MS_EACH = 1_000;
const ANSWER_MS = 5_000;
/** Asked at once, so that every worker gets one. */
const ASKED_TOGETHER = 8;

const root = fileURLToPath(new URL('..', import.meta.url));
const kirin = join(root, 'dist/kirin.cjs');
const servers = fileURLToPath(new URL('servers', import.meta.url));

export type PeerName = 'kirin' | 'handWritten' | 'cluster' | 'pm2' | 'watt' | 'bare';

/** How a peer is run. */
export interface How {
  workers: number;
  /** The Node.js that runs it. */
  node: string;
}

export interface Opened {
  /** Of a peer that was fetched. */
  version?: string;
  /** Starts it and does not wait. Killing it ends all that belongs to it. */
  launch(port: number): Server;
  /** Where nothing was launched. */
  close(): Promise<void>;
}

export interface Peer {
  name: PeerName;
  title: string;
  /** How many processes, or threads, answer. */
  answering(workers: number): number;
  /** Gets ready what must be there before the command is given. */
  open(how: How): Promise<Opened>;
}

type Command = (port: number, how: How) => string[];
const plain = (command: Command) => (how: How) =>
  Promise.resolve({ launch: (port: number) => startServer(command(port, how)), close: async () => {} });
const script =
  (file: string): Command =>
  (port, { workers, node }) => [node, join(servers, file), HOST, String(port), String(workers)];
const all = (workers: number) => workers;

/** The command that serves the app with Kirin. */
export const kirinCommand = (port: number, { workers, node }: How, ...options: string[]): string[] => [
  ...[node, kirin, '-w', String(workers), '-b', `${HOST}:${port}`],
  ...[...options, join(servers, 'app.mjs')],
];

export const PEERS: Record<PeerName, Peer> = {
  kirin: {
    name: 'kirin',
    title: 'Kirin',
    answering: all,
    open: plain((port, how) => kirinCommand(port, how)),
  },
  handWritten: {
    name: 'handWritten',
    title: 'hand-written, shared descriptor',
    answering: all,
    open: plain(script('hand-written.mjs')),
  },
  cluster: {
    name: 'cluster',
    title: 'node:cluster, round robin',
    answering: all,
    open: plain(script('cluster.mjs')),
  },
  pm2: {
    name: 'pm2',
    title: 'PM2, cluster mode',
    answering: all,
    open: (how) => openPm2(how, HOST),
  },
  watt: {
    name: 'watt',
    title: 'Watt, threads',
    answering: all,
    open: (how) => openWatt(how, HOST),
  },
  bare: {
    name: 'bare',
    title: 'bare single process',
    answering: () => 1,
    open: plain(script('bare.mjs')),
  },
};

export const TWO: How = { workers: WORKERS, node: process.execPath };

/** What makes it impossible to measure the build in dist/, in one line. */
export const buildFault = (): string | undefined =>
  existsSync(kirin) ? undefined : 'dist/kirin.cjs is missing; run npm run build first';

/** What makes it doubtful. */
export function buildDoubt(): string | undefined {
  const built = statSync(kirin).mtimeMs;
  const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' });
  const newer = sources.find(
    (file) => file.endsWith('.ts') && statSync(join(root, 'src', file)).mtimeMs > built,
  );
  return newer && `dist/ is older than src/${newer}; npm run build would renew it`;
}

/** Those of `names` that can be run here, and a line for each that cannot. */
export async function available(
  names: readonly PeerName[],
  how: How,
): Promise<{ peers: Peer[]; versions: string[]; leftOut: string[] }> {
  const [peers, versions, leftOut]: [Peer[], string[], string[]] = [[], [], []];
  for (const name of names) {
    const peer = PEERS[name];
    if (name !== 'pm2' && name !== 'watt') {
      peers.push(peer);
      continue;
    }
    try {
      const opened = await peer.open(how);
      const { server } = await startOpened(peer, opened, how);
      await server.kill();
      peers.push(peer);
      versions.push(opened.version!);
    } catch (error) {
      const line = `${peer.title} is left out: ${(error as Error).message.split('\n', 1)[0]}`;
      progress(line);
      leftOut.push(line);
    }
  }
  return { peers, versions, leftOut };
}

/** Starts a peer on a free port and waits until all its workers answer. */
export async function startPeer(peer: Peer, how: How = TWO): Promise<{ server: Server; port: number }> {
  return await startOpened(peer, await peer.open(how), how);
}

async function startOpened(peer: Peer, opened: Opened, how: How): Promise<{ server: Server; port: number }> {
  const port = await freePort();
  const server = opened.launch(port);
  try {
    await allAnswer(peer, server, port, how);
  } catch (error) {
    await server.kill();
    throw error;
  }
  return { server, port };
}

async function allAnswer(peer: Peer, server: Server, port: number, { workers }: How): Promise<void> {
  const answering = peer.answering(workers);
  const together = Math.max(ASKED_TOGETHER, answering * 2);
  const pids = new Set<string>();
  const limit = performance.now() + READY_MS + workers * READY_MS_EACH;
  while (pids.size < answering) {
    if (server.ended) throw new Error(`${peer.title} ended at once: ${server.complaint()}`);
    if (performance.now() > limit)
      throw new Error(`${peer.title}: ${pids.size} of ${answering} workers answer; ${server.complaint()}`);
    for (const pid of await workersThatAnswer(port, together)) pids.add(pid);
    await sleep(20);
  }
}

/** Who answered several requests at once: process ids. Those that failed are left out. */
export async function workersThatAnswer(port: number, together = ASKED_TOGETHER): Promise<string[]> {
  const answers = Array.from({ length: together }, () => ask(port, '/pid').catch(() => []));
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
