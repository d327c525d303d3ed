/**
 * Clients that count every request that fails, without retrying: each keeps one request under way. They honour
 * `Connection: close`, as any client does.
 */
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { ask } from './peers.ts';

export interface ClientSpec {
  /** How many of this kind. */
  count: number;
  path: string;
  /** Requests follow each other on one connection; else each has its own. */
  keepAlive: boolean;
  /** Pause between an answer and the next request; a connection is idle for so long. */
  thinkMs: number;
}

export class Clients {
  requests = 0;
  /** Failed requests by reason. */
  readonly failures = new Map<string, number>();
  readonly #underWay = new Map<string, number>();
  readonly #loops: Promise<void>[] = [];
  #stopped = false;

  constructor(port: number, specs: readonly ClientSpec[]) {
    for (const spec of specs)
      for (let index = 0; index < spec.count; index++)
        this.#loops.push(this.#loop(port, spec, (spec.thinkMs * index) / spec.count));
  }

  get failed(): number {
    return [...this.failures.values()].reduce((sum, count) => sum + count, 0);
  }

  /** Requests for `path` that are not answered yet. */
  underWay(path: string): number {
    return this.#underWay.get(path) ?? 0;
  }

  /** Lets what is under way be answered. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#loops);
  }

  async #loop(port: number, { path, keepAlive, thinkMs }: ClientSpec, firstMs: number): Promise<void> {
    // An agent for each client, so that no connection lies idle for longer than the client thinks.
    const agent = keepAlive && new http.Agent({ keepAlive: true, maxSockets: 1 });
    await sleep(firstMs);
    while (!this.#stopped) {
      this.#underWay.set(path, this.underWay(path) + 1);
      await ask(port, path, agent).catch((error: NodeJS.ErrnoException) => {
        const reason = error.code ?? error.message;
        this.failures.set(reason, (this.failures.get(reason) ?? 0) + 1);
      });
      this.requests++;
      this.#underWay.set(path, this.underWay(path) - 1);
      if (thinkMs > 0) await sleep(thinkMs);
    }
    if (agent) agent.destroy();
  }
}
