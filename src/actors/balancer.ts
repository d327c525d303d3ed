/**
 * Spreads connections over web workers: looks at their heartbeats, and lets those that have more than their share ask some
 * clients to connect anew. Runs in the arbiter, beside the machines, as heartbeats do; it touches no connection itself.
 */
import { surplus } from '../machines/balance.ts';
import type { HeartbeatTable } from './heartbeat.ts';
import type { Look } from './looks.ts';
import type { ProcessHooks } from './process.ts';

export class Balancer {
  readonly #heartbeats: HeartbeatTable;
  readonly #isOn: () => boolean;
  readonly #isAway: (age: number) => boolean;
  readonly #processors: number;
  readonly #send = new Map<number, (connections: number) => void>();
  readonly #ready = new Set<number>();
  /** Who had too many at the last look. */
  #before: ReadonlySet<number> = new Set();

  /**
   * `isAway`: a worker that is paused, or rests, has no share: it neither gives nor counts. `processors`: those that the server may
   * use.
   */
  constructor(
    heartbeats: HeartbeatTable,
    isOn: () => boolean,
    isAway: (age: number) => boolean,
    processors: number,
  ) {
    this.#heartbeats = heartbeats;
    this.#isOn = isOn;
    this.#isAway = isAway;
    this.#processors = processors;
  }

  readonly hooks: ProcessHooks<'web'> = {
    linked: (age, _pid, send) =>
      void this.#send.set(age, (connections) => send({ type: 'worker.shed', connections })),
    ready: (age) => void this.#ready.add(age),
    leaving: (age) => {
      this.#ready.delete(age);
      return false;
    },
    gone: (age) => {
      this.#ready.delete(age);
      this.#send.delete(age);
    },
  };

  readonly look: Look = (areFull) => {
    if (!this.#isOn() || this.#ready.size < 2) return;
    const accepting = [...this.#ready].filter((age) => !this.#isAway(age));
    const loads = accepting.map((age) => {
      const pulse = this.#heartbeats.pulse(age);
      const requestsPerSecond = pulse?.requestsPerSecond ?? 0;
      return { age, connections: pulse?.figures?.connections ?? 0, requestsPerSecond };
    });
    const isOver = accepting.length > this.#processors;
    // Asked at every look, since it tells of the time between two.
    const asked = surplus(loads, isOver && areFull() ? this.#processors : undefined);
    const before = this.#before;
    this.#before = new Set(asked.map(({ age }) => age));
    for (const { age, connections } of asked) {
      // What began since the last look leaves processors idle in its figures, though they may be full from now on.
      if (!isOver || before.has(age)) this.#send.get(age)?.(connections);
    }
  };
}
