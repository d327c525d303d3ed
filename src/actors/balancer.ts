/**
 * Spreads connections over web workers: looks at their heartbeats, and lets those that have more than their share ask some
 * clients to connect anew. Runs in the arbiter, beside the machines, as heartbeats do; it touches no connection itself.
 */
import { surplus } from '../machines/balance.ts';
import type { HeartbeatTable } from './heartbeat.ts';
import type { ProcessHooks } from './process.ts';
import type { Processors } from './processors.ts';

/** Two heartbeats: what was asked of a worker shows in its next figures. */
const LOOK_MS = 2000;

export class Balancer {
  readonly #heartbeats: HeartbeatTable;
  readonly #isOn: () => boolean;
  readonly #isPaused: (age: number) => boolean;
  readonly #processors: Processors;
  readonly #send = new Map<number, (connections: number) => void>();
  readonly #ready = new Set<number>();
  #timer: NodeJS.Timeout | undefined;

  /** A worker that is paused has no share: it neither gives nor counts. */
  constructor(
    heartbeats: HeartbeatTable,
    isOn: () => boolean,
    isPaused: (age: number) => boolean,
    processors: Processors,
  ) {
    this.#heartbeats = heartbeats;
    this.#isOn = isOn;
    this.#isPaused = isPaused;
    this.#processors = processors;
  }

  readonly hooks: ProcessHooks<'web'> = {
    linked: (age, _pid, send) =>
      void this.#send.set(age, (connections) => send({ type: 'worker.shed', connections })),
    ready: (age) => {
      this.#ready.add(age);
      this.#timer ??= setInterval(() => this.#look(), LOOK_MS).unref();
    },
    leaving: (age) => {
      this.#ready.delete(age);
      return false;
    },
    gone: (age) => {
      this.#ready.delete(age);
      this.#send.delete(age);
      if (this.#send.size > 0) return;
      clearInterval(this.#timer);
      this.#timer = undefined;
    },
  };

  #look(): void {
    if (!this.#isOn() || this.#ready.size < 2) return;
    const accepting = [...this.#ready].filter((age) => !this.#isPaused(age));
    const loads = accepting.map((age) => {
      const pulse = this.#heartbeats.pulse(age);
      const requestsPerSecond = pulse?.requestsPerSecond ?? 0;
      return { age, connections: pulse?.figures?.connections ?? 0, requestsPerSecond };
    });
    // Asked at every look, since it tells of the time between two.
    const isCrowded = accepting.length > this.#processors.count && this.#processors.areFull();
    for (const { age, connections } of surplus(loads, isCrowded)) this.#send.get(age)?.(connections);
  }
}
