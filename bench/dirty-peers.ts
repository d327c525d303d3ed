/** Who is compared by `bench dirty`: Kirin's router and workers, `fork`, and piscina where it is installed. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { DIRTY_PROTOCOL } from '../src/actors/dirty/hello.ts';
import { unpack } from '../src/actors/dirty/packing.ts';
import { dirtyBundle } from './dirty-bundle.ts';
import { startServer } from './fleet.ts';

const servers = fileURLToPath(new URL('servers', import.meta.url));
const APP = './bench.js:Bench';
const READY_MS = 20_000;

export type PeerName = 'kirin' | 'fork' | 'piscina';
export const TITLES: Record<PeerName, string> = {
  kirin: 'Kirin',
  fork: 'fork, advanced serialization',
  piscina: 'piscina',
};

export interface PeerOptions {
  workers: number;
  /** Calls at once in one worker. */
  threads: number;
  /** Connections that call. Kirin alone knows more than one. */
  callers?: number;
  /** Large payloads too go through Kirin's router. */
  isRouted?: boolean;
}

export interface Peer {
  /** Processes beside this one. */
  readonly pids: readonly number[];
  call(caller: number, action: string, ...args: unknown[]): Promise<unknown>;
  /** Undefined where there are no streams. */
  stream?(action: string, ...args: unknown[]): AsyncIterable<unknown>;
  close(): Promise<void>;
}

export async function hasPiscina(): Promise<boolean> {
  return (await piscinaClass()) !== undefined;
}

export async function startPeer(name: PeerName, options: PeerOptions): Promise<Peer> {
  if (name === 'kirin') return startKirin(options);
  return name === 'fork' ? startFork(options) : startPiscina(options);
}

async function startKirin({ workers, threads, callers = 1, isRouted = false }: PeerOptions): Promise<Peer> {
  const directory = mkdtempSync(join(tmpdir(), 'kirin-bench-'));
  const path = join(directory, 'dirty');
  const bundle = await dirtyBundle();
  const script = (file: string, ...args: string[]) => startServer([process.execPath, file, path, ...args]);
  const router = script(bundle.router, String(workers), String(threads));
  const clients = Array.from(
    { length: callers },
    (_, index) =>
      new bundle.DirtyClient({
        connect: isRouted ? () => bundle.connectChannel(path) : path,
        hello: { role: 'web', protocol: DIRTY_PROTOCOL, pid: process.pid, age: index + 1, generation: 1 },
        defaultTimeoutMs: 60_000,
      }),
  );
  await until('the router listens', () => existsSync(path), router.complaint);
  const dirtyWorkers = Array.from({ length: workers }, (_, index) =>
    script(bundle.worker, String(index + 1)),
  );
  const areReady = async () => unpack(await clients[0]!.askStash(Buffer.alloc(0))) === workers;
  await until('the workers are ready', areReady, () => dirtyWorkers.map((one) => one.complaint()).join(' '));
  return {
    pids: [router.pid, ...dirtyWorkers.map(({ pid }) => pid)],
    call: (caller, action, ...args) => clients[caller]!.execute(APP, action, ...args),
    stream: (action, ...args) => clients[0]!.stream(APP, action, ...args),
    async close() {
      for (const client of clients) client.close();
      await Promise.all([router, ...dirtyWorkers].map((server) => server.kill()));
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  complaint: () => string,
): Promise<void> {
  const limit = performance.now() + READY_MS;
  while (!(await condition())) {
    if (performance.now() > limit) throw new Error(`waited in vain until ${what}: ${complaint()}`);
    await sleep(20);
  }
}

type Message = [id: number, value: unknown, isLast: boolean];

/** Calls go to the children in turn, as a pool written by hand does it. */
async function startFork({ workers }: PeerOptions): Promise<Peer> {
  const pending = new Map<number, { heard(value: unknown, isLast: boolean): void }>();
  const children: ChildProcess[] = [];
  for (let index = 0; index < workers; index++) {
    const child = fork(join(servers, 'dirty-fork.mjs'), { serialization: 'advanced', execArgv: [] });
    await once(child, 'message');
    child.on('message', ([id, value, isLast]: Message) => {
      const call = pending.get(id);
      if (isLast) pending.delete(id);
      call?.heard(value, isLast);
    });
    children.push(child);
  }
  let last = 0;
  const send = (
    action: string,
    args: unknown[],
    isStream: boolean,
    heard: (...of: [unknown, boolean]) => void,
  ) => {
    const id = ++last;
    pending.set(id, { heard });
    children[id % workers]!.send([id, action, args, isStream]);
  };
  return {
    pids: children.map(({ pid }) => pid!),
    call: (_, action, ...args) => new Promise((resolve) => send(action, args, false, resolve)),
    async *stream(action, ...args) {
      const chunks: unknown[] = [];
      let ended = false;
      let wake = () => {};
      send(action, args, true, (value, isLast) => {
        if (isLast) ended = true;
        else chunks.push(value);
        wake();
      });
      for (let at = 0; ; ) {
        if (at < chunks.length) yield chunks[at++];
        else if (ended) return;
        else
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
      }
    },
    async close() {
      for (const child of children) child.kill('SIGKILL');
    },
  };
}

interface PiscinaPool {
  run(task: unknown): Promise<unknown>;
  destroy(): Promise<void>;
}
type PiscinaClass = new (options: object) => PiscinaPool;

/** It is installed for the benchmark alone, and may be missing. */
async function piscinaClass(): Promise<PiscinaClass | undefined> {
  const name = 'piscina';
  try {
    const module = (await import(name)) as { Piscina?: PiscinaClass; default: PiscinaClass };
    return module.Piscina ?? module.default;
  } catch {
    return undefined;
  }
}

async function startPiscina({ workers, threads }: PeerOptions): Promise<Peer> {
  const Pool = await piscinaClass();
  if (!Pool) throw new Error('piscina is not installed');
  const pool = new Pool({
    filename: join(servers, 'dirty-piscina.mjs'),
    minThreads: workers,
    maxThreads: workers,
    concurrentTasksPerWorker: threads,
    execArgv: [],
  });
  await pool.run({ action: 'noop', args: [] });
  return {
    pids: [],
    call: (_, action, ...args) => pool.run({ action, args }),
    close: () => pool.destroy(),
  };
}
