/** Runs `app-worker.ts` bundled, as a real worker is: no loader that would change how an app is imported. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import type { WorkerListener, WorkerSpec } from '../../src/machines/events/worker.ts';
import type { Fault } from '../../src/machines/faults.ts';
import type { Order } from './app-worker.ts';

export const root = fileURLToPath(new URL('../..', import.meta.url));
export const fixture = (name: string) => path.join(root, 'test/fixtures/apps', name);

// Inside node_modules, so that the lazy imports of the bundle are found from there.
const bundle = path.join(root, `node_modules/.cache/kirin-test/app-worker-${process.pid}.mjs`);
let built: Promise<unknown> | undefined;
process.on('exit', () => rmSync(bundle, { force: true }));

interface Handle {
  fd: number;
  close(): void;
  getsockname(out: object): number;
}
const createServerHandle = (
  net as unknown as { _createServerHandle(host: string, port: number, family: number): Handle | number }
)._createServerHandle;

/** A bound socket that is not listening yet, as an arbiter holds it. Port -1: a path. */
export function bind(
  t: TestContext,
  host = '127.0.0.1',
  port = 0,
): { fd: number; listener: Omit<WorkerListener, 'fd' | 'spareFd'>; port: number } {
  const family = port === -1 ? -1 : host.includes(':') ? 6 : 4;
  const handle = createServerHandle(host, port, family);
  if (typeof handle === 'number') throw new Error(`cannot bind ${host}:${port}: ${handle}`);
  t.after(() => handle.close());
  if (family === -1) return { fd: handle.fd, port: -1, listener: { address: `unix:${host}`, type: 'unix' } };
  const name = {} as { port: number };
  handle.getsockname(name);
  const shown = family === 6 ? `[${host}]:${name.port}` : `${host}:${name.port}`;
  return {
    fd: handle.fd,
    port: name.port,
    listener: { address: shown, type: family === 6 ? 'tcp6' : 'tcp' },
  };
}

export type Bound = ReturnType<typeof bind>;
type Said = { said: string; order?: string; result?: unknown; fault?: Fault; [key: string]: unknown };

export class AppProcess {
  readonly child: ChildProcess;
  readonly bounds: Bound[];
  readonly said: Said[] = [];
  stdout = '';
  stderr = '';
  #wake: Array<() => void> = [];

  constructor(child: ChildProcess, bounds: Bound[]) {
    this.child = child;
    this.bounds = bounds;
    child.on('message', (said: Said) => {
      this.said.push(said);
      this.#turn();
    });
    child.on('exit', () => this.#turn());
    child.stdout!.on('data', (data) => {
      this.stdout += data;
      this.#turn();
    });
    child.stderr!.on('data', (data) => {
      this.stderr += data;
      this.#turn();
    });
  }

  #turn() {
    for (const wake of this.#wake.splice(0)) wake();
  }

  /** Waits until `holds` does, looking again at everything the process says; with a limit. */
  async until<T>(what: string, holds: () => T | undefined | false): Promise<T> {
    const endMs = performance.now() + 20_000;
    for (;;) {
      const found = holds();
      if (found) return found;
      if (performance.now() > endMs)
        throw new Error(
          `waited in vain for ${what}; said: ${JSON.stringify(this.said)}; stderr: ${this.stderr}`,
        );
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 200);
        this.#wake.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  send(order: Order): void {
    this.child.send(order);
  }

  /** Waits for the answer to an order given before. */
  async answer(order: Order['order']): Promise<Said> {
    return this.until(`the answer to ${order}`, () => {
      const at = this.said.findIndex((said) => said.order === order);
      return at >= 0 && this.said.splice(at, 1)[0];
    });
  }

  async order<T = unknown>(order: Order): Promise<T> {
    this.send(order);
    const answer = await this.answer(order.order);
    if (answer.said === 'failed')
      throw Object.assign(new Error(answer.fault!.message), { fault: answer.fault });
    return answer.result as T;
  }

  counts() {
    return this.order<{ requests: number; connections: number; inFlight: number }>({ order: 'counts' });
  }

  heard(said: string): Said | undefined {
    return this.said.find((each) => each.said === said);
  }

  notices(): string[] {
    return this.said
      .filter((each) => each.said === 'notice')
      .map((each) => `${each['level']}: ${each['text']}`);
  }

  /** Waits until `count` connections or requests are there. */
  async reach(key: 'requests' | 'connections' | 'inFlight', count: number): Promise<void> {
    const endMs = performance.now() + 20_000;
    while ((await this.counts())[key] !== count) {
      if (performance.now() > endMs) throw new Error(`never reached ${count} ${key}`);
    }
  }

  async exit(): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
    if (this.child.exitCode === null && this.child.signalCode === null) await once(this.child, 'exit');
    return { code: this.child.exitCode, signal: this.child.signalCode };
  }

  get port(): number {
    return this.bounds[0]!.port;
  }

  get(url = '/', options: http.RequestOptions = {}): Promise<Reply> {
    return get({ port: this.port, path: url, ...options });
  }
}

export interface Reply {
  status: number;
  headers: http.IncomingHttpHeaders;
  body: string;
}

export function get(options: http.RequestOptions, body?: string): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const request = http.request({ host: '127.0.0.1', agent: false, ...options }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (data) => {
        text += data;
      });
      response.on('error', reject);
      response.on('end', () =>
        resolve({ status: response.statusCode!, headers: response.headers, body: text }),
      );
    });
    request.on('error', reject);
    request.end(body);
  });
}

export interface LaunchOptions extends Partial<Omit<WorkerSpec, 'app' | 'listeners'>> {
  exportName?: string;
  bounds?: Bound[];
  env?: NodeJS.ProcessEnv;
  flags?: string[];
}

/** Starts the process and orders it to start the app; does not wait for the answer. */
export async function launch(t: TestContext, app: string, options: LaunchOptions = {}): Promise<AppProcess> {
  built ??= build({
    entryPoints: [path.join(root, 'test/actors/app-worker.ts')],
    outfile: bundle,
    bundle: true,
    platform: 'node',
    format: 'esm',
    external: ['jiti', '@hono/node-server'],
    logLevel: 'warning',
  });
  await built;
  const { exportName, bounds = [bind(t)], env, flags = [], ...spec } = options;
  const fds = bounds.flatMap((bound) => [bound.fd, bound.fd]);
  const child = spawn(process.execPath, [...flags, bundle], {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc', ...fds],
    env: { ...process.env, ...env },
  });
  t.after(() => void child.kill('SIGKILL'));
  const worker = new AppProcess(child, bounds);
  await worker.until('the process', () => worker.heard('up'));
  const listeners = bounds.map((bound, index) => ({
    ...bound.listener,
    fd: 4 + 2 * index,
    spareFd: 5 + 2 * index,
  }));
  const file = path.isAbsolute(app) ? app : fixture(app);
  worker.send({
    order: 'start',
    spec: {
      age: 7,
      slot: 1,
      generation: 3,
      backlog: 128,
      idleGraceMs: 300,
      graceMs: 10_000,
      maxRequests: 0,
      heartbeatMs: 1_000,
      dirty: null,
      ...spec,
      app: { spec: app, path: file, ...(exportName !== undefined && { exportName }) },
      listeners,
    },
  });
  return worker;
}

/** Starts the app and waits until it serves. Rejects with the fault where it does not. */
export async function serve(t: TestContext, app: string, options: LaunchOptions = {}): Promise<AppProcess> {
  const worker = await launch(t, app, options);
  const answer = await worker.answer('start');
  if (answer.said === 'failed')
    throw Object.assign(new Error(answer.fault!.message), { fault: answer.fault });
  return worker;
}

/** Starts an app that must not start, and returns the fault. */
export async function fails(t: TestContext, app: string, options: LaunchOptions = {}): Promise<Fault> {
  const worker = await launch(t, app, options);
  const answer = await worker.answer('start');
  if (answer.said !== 'failed') throw new Error(`${app} started`);
  return answer.fault!;
}
