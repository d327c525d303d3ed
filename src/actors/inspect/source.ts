/**
 * What is inspected, seen from the arbiter: its own actors, lines of the log and figures, and what its processes tell. Attached
 * while somebody watches; before that and after it nothing is. Runs in the arbiter's main thread.
 */
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import type { AnyActorRef } from 'xstate';
import { residentBytes } from '../descriptors.ts';
import type { Audience, InspectedChildren } from './children.ts';
import { clockMs } from './clock.ts';
import { ActorNumbers, Probe } from './probe.ts';

const BEAT_MS = 1000;
const DELAY_RESOLUTION_MS = 20;

/** Hears everything; none of its functions throws. */
export interface Ear extends Audience {
  /** A line of the log. */
  log(at: number, level: string, text: string): void;
  /** Everything of this process was told once more: these actors live, and no others. */
  alive(numbers: readonly number[]): void;
  /** The inspection itself went wrong here. */
  failed(error: unknown): void;
}

export interface Source {
  start(ear: Ear): void;
  stop(): void;
  /** What that process told was lost: it is to tell everything that is once more, a little later. */
  again(pid: number): void;
}

export interface ArbiterSourceDeps {
  /** The arbiter machine. */
  root: AnyActorRef;
  children: InspectedChildren;
  /** Calls with every line of the log, until the returned function is called. */
  watchLog(line: (level: string, text: string) => void): () => void;
}

/** This process tells everything once more so long after some of it was lost. */
const AGAIN_MS = 1000;

export class ArbiterSource implements Source {
  readonly #deps: ArbiterSourceDeps;
  readonly #numbers = new ActorNumbers();
  #probe: Probe | undefined;
  #detach: (() => void) | undefined;
  #again: NodeJS.Timeout | undefined;
  #ear: Ear | undefined;

  constructor(deps: ArbiterSourceDeps) {
    this.#deps = deps;
  }

  start(ear: Ear): void {
    const { root, children, watchLog } = this.#deps;
    this.#ear = ear;
    this.#probe = new Probe({
      root,
      numbers: this.#numbers,
      tell: (record) => ear.tell(record),
      hasRoom: () => true,
      failed: (error) => ear.failed(error),
    });
    const facts = { process: 'arbiter', age: null, slot: null, generation: null } as const;
    ear.tell({ t: 'process', at: clockMs(), pid: process.pid, ...facts });
    this.#probe.start();
    children.start(ear);
    const stopLog = watchLog((level, text) => ear.log(clockMs(), level, text));
    const stopBeat = this.#beat(ear);
    this.#detach = () => {
      stopLog();
      stopBeat();
    };
  }

  stop(): void {
    if (!this.#ear) return;
    this.#ear = undefined;
    this.#probe?.stop();
    this.#probe = undefined;
    this.#detach?.();
    this.#detach = undefined;
    clearTimeout(this.#again);
    this.#again = undefined;
    this.#deps.children.stop();
  }

  again(pid: number): void {
    if (pid !== process.pid) return this.#deps.children.again(pid);
    this.#again ??= setTimeout(() => {
      this.#again = undefined;
      this.#probe?.start();
      this.#ear?.alive(this.#probe?.alive() ?? []);
    }, AGAIN_MS).unref();
  }

  /** The arbiter's own figures; nothing else measures them. */
  #beat(ear: Ear): () => void {
    const delay = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS });
    delay.enable();
    let utilization = performance.eventLoopUtilization();
    const timer = setInterval(() => {
      const now = performance.eventLoopUtilization();
      ear.tell({
        t: 'beat',
        at: clockMs(),
        pid: process.pid,
        requests: 0,
        requestsPerSecond: 0,
        connections: 0,
        inFlight: 0,
        loopDelayMs: delay.count > 0 ? Math.max(0, delay.percentile(99) / 1e6 - DELAY_RESOLUTION_MS) : 0,
        utilization: performance.eventLoopUtilization(now, utilization).utilization,
        rssBytes: residentBytes(),
      });
      utilization = now;
      delay.reset();
    }, BEAT_MS).unref();
    return () => {
      clearInterval(timer);
      delay.disable();
    };
  }
}
