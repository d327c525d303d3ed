/**
 * Lets web workers rest that only take turns from others, and wakes them. Runs in the arbiter, beside the machines: a worker that
 * rests is as ready as any other, it only accepts nothing new for a while. Who is to rest is decided in `rest.ts`, by heartbeats.
 */
import { acceptingMin, holdMs, toRest, toWake, whyWakeAll } from '../machines/rest.ts';
import type { HeartbeatTable } from './heartbeat.ts';
import type { Look } from './looks.ts';
import type { ProcessHooks } from './process.ts';

/** How often those that accept are looked after while others rest. */
const TEND_MS = 500;
/** A heartbeat is due every second; whoever is so late does not count as one that accepts. */
const SILENT_MS = 4000;
/** So long a worker that has become ready accepts in any case: a reload tries it by that. */
const SETTLED_MS = 5_000;
/** Between two lines of the same kind. */
const TELL_MS = 60_000;

interface Member {
  order(type: 'worker.rest' | 'worker.wake'): void;
  /** Monotonic time; undefined: it is not ready, or leaves. */
  readyMs?: number | undefined;
  /** Since when it rests; undefined: it does not. */
  restingMs?: number | undefined;
}

export interface ShiftDeps {
  heartbeats: Pick<HeartbeatTable, 'pulse' | 'now'>;
  isOn(): boolean;
  /** By an operator. */
  isPaused(age: number): boolean;
  /** Those that the server may use. */
  processors: number;
  tell(text: string): void;
}

const WHY = {
  room: 'the processors have room again',
  few: 'few new connections come',
  off: '--no-balance',
};

export class Shift {
  readonly #deps: ShiftDeps;
  readonly #members = new Map<number, Member>();
  readonly #toldMs = new Map<string, number>();
  #fullLooks = 0;
  #beganMs = 0;
  #holdMs = 0;
  #holdUntilMs = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;

  constructor(deps: ShiftDeps) {
    this.#deps = deps;
  }

  readonly hooks: ProcessHooks<'web'> = {
    linked: (age, _pid, send) => void this.#members.set(age, { order: (type) => send({ type }) }),
    ready: (age) => {
      const member = this.#members.get(age);
      if (member) member.readyMs = this.#deps.heartbeats.now();
    },
    reported: (age, { type }) => {
      // An operator's word ends a rest: resumed it accepts, and paused it is of no use as one that can be woken.
      if (type !== 'worker.paused' && type !== 'worker.resumed') return;
      this.#wake(age);
      this.#tend();
    },
    leaving: (age) => {
      const member = this.#members.get(age);
      if (member) member.readyMs = member.restingMs = undefined;
      this.#tend();
      return false;
    },
    gone: (age) => {
      this.#members.delete(age);
      this.#tend();
    },
  };

  /** Whether it was told to accept nothing new. */
  isResting(age: number): boolean {
    return this.#members.get(age)?.restingMs !== undefined;
  }

  readonly look: Look = (areFull) => {
    const { heartbeats, isOn, processors } = this.#deps;
    const nowMs = heartbeats.now();
    const isAnyResting = this.#resting().length > 0;
    const ready = [...this.#members.values()].filter(({ readyMs }) => readyMs !== undefined);
    const isConcerned = isAnyResting || (isOn() && nowMs >= this.#holdUntilMs && ready.length > processors);
    this.#fullLooks = isConcerned && areFull() ? this.#fullLooks + 1 : 0;
    if (!isConcerned) return;
    const bustle = {
      processors,
      fullLooks: this.#fullLooks,
      connectionsPerSecond: this.#acceptedPerSecond(),
    };
    const why = isOn() ? whyWakeAll(bustle) : 'off';
    if (why) return this.#wakeAll(WHY[why]);
    const accepting = this.#accepting();
    const ages = toRest(
      accepting.map((age) => ({
        age,
        connections: heartbeats.pulse(age)?.figures?.connections ?? 0,
        mayRest: nowMs - (this.#members.get(age)?.readyMs ?? nowMs) >= SETTLED_MS,
      })),
      bustle,
    );
    if (ages.length === 0) return;
    if (!isAnyResting) {
      this.#beganMs = nowMs;
      const surplus = accepting.length - acceptingMin(processors);
      this.#tell(
        'rest',
        `${surplus} of ${ready.length} workers rest, one after the other: so many new connections come that workers beyond the ` +
          `processors (${processors}), which are full, only take turns from each other`,
      );
    }
    for (const age of ages) this.#rest(age, nowMs);
    this.#timer ??= setInterval(() => this.#tend(), TEND_MS).unref();
  };

  /** Ready, and neither paused nor resting. */
  #accepting(): number[] {
    const { heartbeats, isPaused } = this.#deps;
    const nowMs = heartbeats.now();
    return [...this.#members].flatMap(([age, { readyMs, restingMs }]) => {
      if (readyMs === undefined || restingMs !== undefined || isPaused(age)) return [];
      const pulse = heartbeats.pulse(age);
      // One that hangs, or has no room, accepts nothing either.
      return pulse && nowMs - pulse.lastMs <= SILENT_MS && !pulse.figures?.full ? [age] : [];
    });
  }

  /** Whoever rests longest comes first. */
  #resting(): number[] {
    return [...this.#members]
      .flatMap(([age, { restingMs }]) => (restingMs === undefined ? [] : [{ age, restingMs }]))
      .sort((one, other) => one.restingMs - other.restingMs || one.age - other.age)
      .map(({ age }) => age);
  }

  #acceptedPerSecond(): number {
    const { heartbeats } = this.#deps;
    const nowMs = heartbeats.now();
    let sum = 0;
    for (const age of this.#members.keys()) {
      const pulse = heartbeats.pulse(age);
      if (pulse && nowMs - pulse.lastMs <= SILENT_MS) sum += Math.max(0, pulse.acceptedPerSecond);
    }
    return sum;
  }

  /** Sees to it that enough accept. */
  #tend(): void {
    const resting = this.#resting();
    if (resting.length === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
      return;
    }
    const lacking = toWake(this.#accepting().length, resting.length, this.#deps.processors);
    for (const age of resting.slice(0, lacking)) this.#wake(age);
  }

  #rest(age: number, nowMs: number): void {
    const member = this.#members.get(age);
    if (!member) return;
    member.restingMs = nowMs;
    member.order('worker.rest');
  }

  #wake(age: number): void {
    const member = this.#members.get(age);
    if (member?.restingMs === undefined) return;
    member.restingMs = undefined;
    member.order('worker.wake');
  }

  #wakeAll(why: string): void {
    const resting = this.#resting();
    if (resting.length === 0) return;
    for (const age of resting) this.#wake(age);
    const nowMs = this.#deps.heartbeats.now();
    this.#holdMs = holdMs(this.#holdMs, nowMs - this.#beganMs);
    this.#holdUntilMs = nowMs + this.#holdMs;
    this.#fullLooks = 0;
    this.#tend();
    this.#tell('wake', `all workers accept again: ${why}`);
  }

  #tell(kind: string, text: string): void {
    const nowMs = this.#deps.heartbeats.now();
    if (nowMs - (this.#toldMs.get(kind) ?? Number.NEGATIVE_INFINITY) < TELL_MS) return;
    this.#toldMs.set(kind, nowMs);
    this.#deps.tell(text);
  }
}
