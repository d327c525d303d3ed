/**
 * The processes below this one, as the inspector sees them: has them inspected while somebody watches, also those that are
 * started meanwhile, and tells of their lives and figures. Runs in the arbiter and in the dirty arbiter.
 */
import type { InspectOrder, InspectReport } from '../../machines/events/inspect.ts';
import type { Pulse } from '../heartbeat.ts';
import { clockMs } from './clock.ts';
import type { LocalRecord, ProcessFacts } from './records.ts';

/** How often figures are told. */
const BEAT_MS = 1000;
/** A process that lost records tells everything once more after so long; twice as long each time that it loses some again. */
const AGAIN_MS = 1000;
const AGAIN_MS_MAX = 16_000;
/** One that has lost none for so long begins anew. */
const CALM_MS = 32_000;

export interface InspectedChild extends ProcessFacts {
  pulse(): Pulse | undefined;
  send(order: InspectOrder): void;
  /** It has said what is not known. */
  unknown?(what: string): void;
}

export interface Audience {
  tell(record: LocalRecord): void;
  /** What a child says of itself, or passes on. */
  pass(child: ProcessFacts, report: InspectReport): void;
  /** The same, as it came; where there is no such function it is read first. */
  frame?(child: ProcessFacts, body: Buffer): void;
}

export type Spoken = Pick<ProcessFacts, 'pid' | 'process'>;

/** Only a dirty arbiter speaks for others. */
export const speakerOf = ({ process, pid }: Spoken, report: InspectReport): number =>
  process === 'dirtyArbiter' && report.pid > 0 ? report.pid : pid;

/** How many are lost with it. */
export const recordsOf = ({ records, dropped }: InspectReport): number => records.length + dropped;

export class InspectedChildren {
  readonly #children = new Map<number, InspectedChild>();
  readonly #again = new Map<number, NodeJS.Timeout>();
  /** How long each of those that lost records last waited, and when that was. */
  readonly #waits = new Map<number, { waitMs: number; atMs: number }>();
  #audience: Audience | undefined;
  #beats: NodeJS.Timeout | undefined;
  /** Called when others are there than before. */
  changed: (() => void) | undefined;

  linked(child: InspectedChild): void {
    this.#children.set(child.pid, child);
    this.changed?.();
    if (this.#audience) this.#begin(child);
  }

  heard(pid: number, report: InspectReport): void {
    const child = this.#children.get(pid);
    if (child) this.#audience?.pass(child, report);
  }

  /** What may be a report, as it came; false: it is to be read. */
  took(pid: number, body: Buffer): boolean {
    const child = this.#children.get(pid);
    if (!child || !this.#audience?.frame) return false;
    this.#audience.frame(child, body);
    return true;
  }

  /** What was taken from it is no report. */
  unknown(pid: number, what: string): void {
    this.#children.get(pid)?.unknown?.(what);
  }

  gone(pid: number): void {
    clearTimeout(this.#again.get(pid));
    this.#again.delete(pid);
    this.#waits.delete(pid);
    if (!this.#children.delete(pid)) return;
    this.changed?.();
    this.#audience?.tell({ t: 'ended', at: clockMs(), pid });
  }

  /** Whether there is a process of that kind. */
  has(kind: ProcessFacts['process']): boolean {
    for (const { process } of this.#children.values()) if (process === kind) return true;
    return false;
  }

  /** Somebody watches; called again where everything is to be told once more. */
  start(audience: Audience): void {
    this.#audience = audience;
    for (const child of this.#children.values()) this.#begin(child);
    this.#beats ??= setInterval(() => this.#beat(), BEAT_MS).unref();
    this.#beat();
  }

  stop(): void {
    this.#audience = undefined;
    clearInterval(this.#beats);
    this.#beats = undefined;
    for (const timer of this.#again.values()) clearTimeout(timer);
    this.#again.clear();
    this.#waits.clear();
    for (const child of this.#children.values()) child.send({ type: 'inspect.stop' });
  }

  /** What a child told was lost on its way: it is to tell everything that is. */
  again(pid: number): void {
    if (this.#again.has(pid)) return;
    const last = this.#waits.get(pid);
    const isCalm = !last || clockMs() - last.atMs > CALM_MS;
    const waitMs = isCalm ? AGAIN_MS : Math.min(last.waitMs * 2, AGAIN_MS_MAX);
    this.#waits.set(pid, { waitMs, atMs: clockMs() });
    const timer = setTimeout(() => {
      this.#again.delete(pid);
      if (this.#audience) this.#children.get(pid)?.send({ type: 'inspect.start' });
    }, waitMs);
    this.#again.set(pid, timer.unref());
  }

  #begin(child: InspectedChild): void {
    const { pid, process, age, slot, generation } = child;
    this.#audience?.tell({ t: 'process', at: clockMs(), pid, process, age, slot, generation });
    child.send({ type: 'inspect.start' });
  }

  #beat(): void {
    for (const { pid, pulse } of this.#children.values()) {
      const now = pulse();
      if (!now?.figures) continue;
      const { type: _, loopUtilization, ...figures } = now.figures;
      const { requestsPerSecond } = now;
      const beat = { ...figures, requestsPerSecond, utilization: loopUtilization };
      this.#audience?.tell({ t: 'beat', at: clockMs(), pid, ...beat });
    }
  }
}
