/** A real server with dirty workers, and code of a test that runs in its web workers. */
import assert from 'node:assert/strict';
import http from 'node:http';
import { resolve } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Dirty, stash as theStash, worker as theWorker } from '../../src/index.ts';
import { type Controlled, controlled, type Data } from './controlled.ts';
import { fixture, type Server, type ServerOptions } from './harness.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const index = pathToFileURL(resolve(root, process.env['KIRIN_DIST'] ?? 'dist', 'index.js')).href;

/** What the fixtures need to import the Kirin under test. */
export const environment = { TEST_KIRIN: index };

export const WORK = `${fixture('dirty-apps.mjs')}:Work`;
export const OTHER = `${fixture('dirty-apps.mjs')}:Other`;

/** What `inWeb` hands to its function. */
export interface Tools {
  dirty: Dirty;
  stash: typeof theStash;
  worker: typeof theWorker;
  /** Aborts when the request's connection is closed. */
  signal: AbortSignal;
  // biome-ignore lint/suspicious/noExplicitAny: whatever a test keeps from request to request.
  kept: any;
  /** An error as data. */
  errorOf(error: unknown): WebError;
}

/** An error of a call as the web worker saw it. */
export interface WebError {
  name: string;
  code: string;
  message: string;
  remoteName?: string;
  remoteStack?: string;
  cause?: string;
  isError: boolean;
}

export interface DirtyServer extends Controlled {
  /** Runs a function, which sees nothing of its surroundings, in a web worker. Rejects with its error. */
  inWeb<R, A extends unknown[]>(run: (tools: Tools, ...args: A) => R, ...args: A): Promise<Awaited<R>>;
  /** The error of one call from a web worker. */
  refusal(app: string, action: string, ...args: unknown[]): Promise<WebError>;
  /** What `show dirty` says. */
  status(): Promise<Data>;
  /** Waits until `show dirty` is as it should be. */
  shown(what: string, matches: (status: Data) => unknown): Promise<Data>;
  /** Waits until nothing runs and nothing waits. */
  idle(): Promise<void>;
  dirtyPids(): Promise<number[]>;
}

export async function dirtyServer(
  t: TestContext,
  args: readonly string[] = [],
  { env, ...options }: ServerOptions & { app?: string } = {},
): Promise<DirtyServer> {
  const common = ['-w', '1', '--dirty-workers', '2', '--dirty-graceful-timeout', '1'];
  const apps = args.includes('--dirty-app') ? [] : ['--dirty-app', WORK];
  const it = await controlled(t, [...common, ...apps, ...args], {
    app: fixture('dirty-web.mjs'),
    env: { ...environment, ...env },
    ...options,
  });
  // Calls wait for their workers; a test that counts what runs does not want to.
  await it.server.told(/^dirty workers are ready/);
  const status = () => it.ask('show dirty');
  const shown = async (what: string, matches: (status: Data) => unknown): Promise<Data> => {
    let last: Data;
    try {
      return await it.server.until(what, async () => {
        last = await status();
        return matches(last) ? last : undefined;
      });
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${JSON.stringify(last)}`, { cause: error });
    }
  };
  return {
    ...it,
    inWeb: (run, ...given) => inWeb(it.server, run, given),
    async refusal(app, action, ...given) {
      return await inWeb(
        it.server,
        async ({ dirty, errorOf }, ...[name, what, values]: [string, string, unknown[]]) => {
          try {
            return { unexpected: await dirty.execute(name, what, ...values) } as unknown as WebError;
          } catch (error) {
            return errorOf(error);
          }
        },
        [app, action, given],
      );
    },
    status,
    shown,
    async idle() {
      await shown('nothing runs or waits', ({ apps: all }) =>
        all.every(({ running, queued }: Data) => running === 0 && queued === 0),
      );
    },
    dirtyPids: async () => (await status()).workers.map(({ pid }: Data) => pid),
  };
}

export async function inWeb<R, A extends unknown[]>(
  server: Server,
  run: (tools: Tools, ...args: A) => R,
  args: A,
  signal?: AbortSignal,
): Promise<Awaited<R>> {
  const text = await post(server.port, JSON.stringify({ code: String(run), args }), signal);
  const { value, error } = JSON.parse(text) as { value: Awaited<R>; error?: WebError };
  if (error) throw Object.assign(new Error(`${error.code ?? error.name}: ${error.message}`), error);
  return value;
}

/** A request on a connection of its own; rejects when that is cut. */
function post(port: number, body: string, signal?: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = http.request(
      { host: '127.0.0.1', port, method: 'POST', agent: false, ...(signal && { signal }) },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('error', reject).on('end', () => resolve(text));
      },
    );
    request.on('error', reject).end(body);
  });
}

export const assertCode = (error: WebError, code: string, message?: RegExp): void => {
  assert.equal(error.code, code, JSON.stringify(error));
  if (message) assert.match(error.message, message);
};
