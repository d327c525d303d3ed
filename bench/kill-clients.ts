/**
 * Clients that know whose connection they lost: each keeps one request under way and notes, of one that fails, the port that it
 * came from, the process that had answered on that connection, and when it was begun. Nothing is retried.
 */
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClientSpec } from './clients.ts';
import { HOST } from './peers.ts';

const ANSWER_MS = 10_000;

export interface Failure {
  reason: string;
  begunMs: number;
  failedMs: number;
  /** Undefined where there was no connection yet. */
  localPort: number | undefined;
  /** Who answered last on this connection. */
  lastPid: number | undefined;
}

/** One connection's, while it lasts. */
interface Held {
  localPort: number | undefined;
  lastPid: number | undefined;
}

export class KillClients {
  requests = 0;
  readonly failures: Failure[] = [];
  /** When each process was last heard of. */
  readonly seenMs = new Map<number, number>();
  /** The longest that a request took which was answered at once. */
  longestMs = 0;
  readonly #port: number;
  readonly #held = new WeakMap<object, Held>();
  readonly #loops: Promise<void>[] = [];
  #stopped = false;

  constructor(port: number, specs: readonly ClientSpec[]) {
    this.#port = port;
    for (const spec of specs)
      for (let index = 0; index < spec.count; index++)
        this.#loops.push(this.#loop(spec, (spec.thinkMs * index) / spec.count));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#loops);
  }

  async #loop({ path, keepAlive, thinkMs }: ClientSpec, firstMs: number): Promise<void> {
    const agent = keepAlive && new http.Agent({ keepAlive: true, maxSockets: 1 });
    await sleep(firstMs);
    while (!this.#stopped) {
      const begunMs = performance.now();
      const failed = await this.#ask(path, agent);
      const endedMs = performance.now();
      this.requests++;
      if (failed) this.failures.push({ ...failed, begunMs, failedMs: endedMs });
      else if (path !== '/slow') this.longestMs = Math.max(this.longestMs, endedMs - begunMs);
      // One that is refused at once must not fill the machine.
      if (thinkMs > 0 || failed) await sleep(Math.max(thinkMs, failed ? 5 : 0));
    }
    if (agent) agent.destroy();
  }

  /** Undefined where it was answered whole. */
  #ask(
    path: string,
    agent: http.Agent | false,
  ): Promise<Pick<Failure, 'reason' | 'localPort' | 'lastPid'> | undefined> {
    return new Promise((resolve) => {
      let held: Held = { localPort: undefined, lastPid: undefined };
      const fail = (error: NodeJS.ErrnoException) =>
        resolve({ reason: error.code ?? error.message, ...held });
      const request = http.get(
        { host: HOST, port: this.#port, path, agent, timeout: ANSWER_MS },
        (response) => {
          const pid = Number(response.headers['x-pid']);
          held.lastPid = pid;
          this.seenMs.set(pid, performance.now());
          response.on('error', fail);
          response.resume().on('end', () => {
            if (response.statusCode === 200 && response.complete) resolve(undefined);
            else fail(new Error(`answered ${response.statusCode}`));
          });
        },
      );
      request.on('socket', (socket) => {
        const known = this.#held.get(socket);
        if (known) {
          held = known;
          return;
        }
        this.#held.set(socket, held);
        socket.once('connect', () => {
          held.localPort = socket.localPort;
        });
      });
      request.on('timeout', () => request.destroy(new Error('no answer in time')));
      request.on('error', fail);
    });
  }
}
