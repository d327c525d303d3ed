/** Load on a server, from a process of its own; every request that fails is recorded. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';

/** How many clients of each kind. */
export interface LoadShape {
  /** Ask again and again over one connection. */
  keepAlive: number;
  /** A new connection for each request. */
  fresh: number;
  /** Ask for an answer that takes `slowMs`, one after the other, so that one is always in flight. */
  slow: number;
  slowMs: number;
}

export interface LoadResult {
  requests: number;
  /** What went wrong, with the kind of client and the time. */
  failures: string[];
  /** Answers by the version of the app that gave them. */
  versions: Record<string, number>;
  slowRequests: number;
}

export interface Load {
  /** Requests answered so far, as last told. */
  readonly requests: number;
  /** Lets what is in flight be answered, and tells the result. */
  stop(): Promise<LoadResult>;
}

const SHAPE: LoadShape = { keepAlive: 4, fresh: 4, slow: 2, slowMs: 300 };

export function startLoad(t: TestContext, port: number, shape: Partial<LoadShape> = {}): Load {
  const file = fileURLToPath(new URL('../fixtures/system/load-client.mjs', import.meta.url));
  const child = fork(file, [JSON.stringify({ ...SHAPE, ...shape, port })], { execArgv: [] });
  t.after(() => child.kill('SIGKILL'));
  let requests = 0;
  let result: LoadResult | undefined;
  child.on('message', (message: { requests?: number; result?: LoadResult }) => {
    requests = message.requests ?? requests;
    result = message.result ?? result;
  });
  return {
    get requests() {
      return requests;
    },
    async stop() {
      if (child.connected) child.send('stop');
      if (child.exitCode === null) await once(child, 'exit');
      if (!result) throw new Error('the load client ended without a result');
      return result;
    },
  };
}
