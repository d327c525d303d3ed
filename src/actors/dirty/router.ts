/**
 * Who answers which call. Runs in the dirty arbiter, beside its machines, which hear of a worker only when it is stuck
 * or has left. Plain code: every call passes here, and no payload but a hello is looked at. This file knows connections
 * and what may be said on them; which call runs where is `router-dispatch.ts`.
 */
import { Buffer } from 'node:buffer';
import { performance } from 'node:perf_hooks';
import type { Channel } from './channel.ts';
import { DirtyError, errorPayloadOf } from './errors.ts';
import {
  appOf,
  FRAME,
  FRAME_BYTES_MAX,
  HEADER_BYTES,
  idOf,
  NO_MORE,
  numberOf,
  payloadOf,
  readBytesOf,
  typeOf,
  UINT32_MAX,
  writeHeader,
} from './frames.ts';
import {
  type CallerHello,
  DIRTY_PROTOCOL,
  helloOf,
  type Offer,
  type Welcome,
  type WorkerHello,
} from './hello.ts';
import { pack, packFrame, unpack } from './packing.ts';
import { Backpressure } from './router-backpressure.ts';
import { Caller } from './router-callers.ts';
import { App } from './router-calls.ts';
import { Dispatch } from './router-dispatch.ts';
import { Leaving } from './router-leaving.ts';
import { Notices } from './router-notices.ts';
import { type RouterStats, statsOf } from './router-stats.ts';
import { Worker } from './router-workers.ts';
import type { StashReply } from './stash-service.ts';
import { Sweep } from './sweep.ts';

export interface AppEntry {
  importPath: string;
  number: number;
}

export interface RouterOptions {
  apps: readonly AppEntry[];
  /** Calls of one app that may wait. */
  queueMax: number;
  /** Calls at once in one worker. */
  threads: number;
  /** How long a worker may take to end a call that is not wanted any more, and then the others in it. */
  graceMs: number;
  /** The largest payload; default 64 MiB. */
  frameBytesMax?: number | undefined;
  /** Answers a `stash` frame's payload, which is valid until this returns. */
  stash(payload: Buffer): StashReply;
  /** The worker of that age keeps what it should have let go: it has to be killed. Said once. */
  stuck(age: number, why: string): void;
  /** The worker of that age was leaving, and runs nothing any more. Said once. */
  left(age: number): void;
  /** Tells of connections that were cut, and of workers that get no more calls. */
  notice?(text: string): void;
  /** Replaced in tests; milliseconds, monotonic. */
  now?(): number;
}

/** What waiting calls of one app may hold, in payloads of the largest kind. */
const QUEUE_FRAMES_MAX = 4;
/** How long a connection may take to say who it is. */
const HELLO_MS = 10_000;
/** Connections that have not said who they are. */
const STRANGERS_MAX = 1000;
/** How long a caller for which too much waits may read nothing. */
const CALLER_PATIENCE_MS = 30_000;

export class Router {
  readonly #options: RouterOptions;
  readonly #now: () => number;
  readonly #frameBytesMax: number;
  /** Every one that there ever was. */
  readonly apps = new Map<number, App>();
  readonly #workers = new Map<number, Worker>();
  readonly #callers = new Set<Caller>();
  /** Connections that have not said who they are, and since when. */
  readonly #strangers = new Map<Channel, number>();
  #lastCaller = 0;
  readonly #backpressure: Backpressure;
  readonly #dispatch: Dispatch;
  readonly #notices: Notices;
  readonly #sweep = new Sweep(() => this.sweep());
  #closed = false;
  #leaving: Leaving | undefined;

  constructor(options: RouterOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#frameBytesMax = options.frameBytesMax ?? FRAME_BYTES_MAX;
    this.#backpressure = new Backpressure(this.#frameBytesMax, CALLER_PATIENCE_MS, this.#now);
    this.#notices = new Notices((text) => options.notice?.(text), this.#now);
    this.#dispatch = new Dispatch(
      {
        queueMax: options.queueMax,
        queueBytesMax: this.#frameBytesMax * QUEUE_FRAMES_MAX,
        graceMs: options.graceMs,
        stuck: (age, why) => options.stuck(age, why),
        left: (age) => options.left(age),
        notice: options.notice && ((text) => options.notice?.(text)),
        now: this.#now,
      },
      this.#backpressure,
    );
    this.setApps(options.apps);
  }

  // ── what the dirty arbiter says ───────────────────────────────────────────────────────────────────────────────

  /** Adds what a new generation brings. An app that is known stays: connections know it by its number. */
  setApps(apps: readonly AppEntry[]): void {
    for (const { importPath, number } of apps)
      if (!this.apps.has(number)) this.apps.set(number, new App(importPath, number));
  }

  /** What a new generation is bound by. */
  setLimits({ queueMax, graceMs }: { queueMax?: number; graceMs?: number }): void {
    if (queueMax !== undefined) this.#dispatch.options.queueMax = queueMax;
    if (graceMs !== undefined) this.#dispatch.options.graceMs = graceMs;
  }

  /** A worker was started: it may come and show its secret. */
  expect(
    age: number,
    generation: number,
    apps: readonly number[],
    secret: string,
    threads = this.#options.threads,
  ): void {
    const known = apps.map((number) => {
      const app = this.apps.get(number);
      if (!app) throw new RangeError(`there is no app ${number}`);
      return app;
    });
    this.#workers.set(age, new Worker(age, generation, known, threads, secret));
  }

  /** It gets no more calls; `left` tells when it has none. */
  leaving(age: number): void {
    const worker = this.#workers.get(age);
    if (worker && !worker.isLeaving) this.#dispatch.leaving(worker);
  }

  /** Its process has ended. */
  gone(age: number): void {
    const worker = this.#workers.get(age);
    if (!worker) return;
    this.#workers.delete(age);
    for (const caller of this.#callers) caller.introduced.delete(age);
    const { channel } = worker;
    this.#dispatch.gone(worker, `the dirty worker ${age} ended`);
    channel?.close('its process has ended');
  }

  /** Whether a worker that has the app is on its way. Until this is said one is. */
  available(app: number, hope: 'coming' | 'none'): void {
    const known = this.apps.get(app);
    if (known) this.#dispatch.setComing(known, hope === 'coming');
  }

  /** Ends a call for its caller; false when there is none of that number. */
  cancel(number: number): boolean {
    const found = this.#dispatch.cancel(number);
    this.#sweep.arm();
    return found;
  }

  /** Begins no call any more: what waits, and what comes, waits for another dirty arbiter, or is refused. */
  leave(another: boolean): void {
    const leaving = new Leaving(this.#backpressure, another);
    this.#leaving = leaving;
    for (const caller of this.#callers) leaving.warn(caller);
    for (const { caller, frame, more } of this.#dispatch.takeWaiting()) leaving.turnAway(caller, frame, more);
  }

  stats(): RouterStats {
    return statsOf(this.apps.values(), this.#workers.values(), this.#dispatch.calls.values(), this.#now());
  }

  /** Ends all connections; whatever is pending ends with them. */
  close(): void {
    this.#closed = true;
    this.#sweep.stop();
    for (const channel of this.#strangers.keys()) channel.close();
    for (const { channel } of this.#callers) channel.close();
    for (const { channel } of this.#workers.values()) channel?.close();
  }

  // ── connections ───────────────────────────────────────────────────────────────────────────────────────────────

  /** A connection: who it is, it says itself. */
  accept(channel: Channel): void {
    if (this.#closed || this.#strangers.size >= STRANGERS_MAX) return channel.close();
    this.#strangers.set(channel, this.#now());
    let hear = (frame: Buffer, more: readonly Buffer[]): string | undefined => {
      const said = this.#enter(channel, frame, more);
      if (typeof said === 'string') return said;
      ({ hear, ended, drained } = said);
      return undefined;
    };
    let ended = (): void => {};
    let drained: (() => void) | undefined;
    // What is pending ends now, not when the last of what was sent has been read.
    const over = (): void => {
      this.#strangers.delete(channel);
      ended();
      ended = () => {};
    };
    channel.open({
      frame: (frame, more) => {
        if (channel.ended) return;
        const fault = hear(frame, more);
        if (!fault) return;
        this.#cut(channel, fault);
        over();
      },
      ended: (why, broken) => {
        if (broken) this.#noteCut(why);
        over();
      },
      drained: () => drained?.(),
    });
    this.#sweep.arm();
  }

  /** A frame that breaks the rules ends its connection at once, and with it everything that is pending on it. */
  #cut(channel: Channel, fault: string): void {
    this.#noteCut(fault);
    channel.close(fault);
  }

  #noteCut(why: string): void {
    this.#notices.cut(why);
    this.#sweep.arm();
  }

  #enter(channel: Channel, frame: Buffer, more: readonly Buffer[]): Role | string {
    if (typeOf(frame) !== FRAME.hello) return `a frame of type ${typeOf(frame)} before its hello`;
    let hello: ReturnType<typeof helloOf>;
    try {
      hello = helloOf(unpack(payloadOf(frame, more)));
    } catch (error) {
      return `a hello that cannot be read: ${(error as Error).message}`;
    }
    if (typeof hello === 'string') {
      // Whoever it is learns why: it may be of another version.
      channel.send(
        packFrame({ type: FRAME.error }, errorPayloadOf(new DirtyError('DIRTY_CONNECTION', hello))),
      );
      return hello;
    }
    const role =
      hello.role === 'worker' ? this.#enterWorker(channel, hello) : this.#enterCaller(channel, hello);
    if (typeof role !== 'string') this.#strangers.delete(channel);
    return role;
  }

  #welcome(channel: Channel, caller = 0): void {
    const welcome: Welcome = {
      protocol: DIRTY_PROTOCOL,
      apps: [...this.apps.values()].map(({ importPath, number }) => ({ importPath, number })),
      frameBytesMax: this.#frameBytesMax,
      caller,
    };
    channel.send(packFrame({ type: FRAME.welcome }, welcome));
  }

  #enterCaller(channel: Channel, { pid, generation, role }: CallerHello): Role {
    this.#lastCaller = this.#lastCaller >= UINT32_MAX ? 1 : this.#lastCaller + 1;
    const caller = new Caller(channel, this.#lastCaller, pid, generation, role);
    this.#callers.add(caller);
    this.#welcome(channel, caller.number);
    this.#leaving?.warn(caller);
    return {
      hear: (frame, more) => this.#heardCaller(caller, frame, more),
      ended: () => {
        this.#callers.delete(caller);
        this.#dispatch.callerGone(caller);
        this.#sweep.arm();
      },
      drained: () => this.#backpressure.release(caller),
    };
  }

  #enterWorker(channel: Channel, { age, generation, apps, secret, direct }: WorkerHello): Role | string {
    const worker = this.#workers.get(age);
    if (!worker?.knows(secret)) return `a worker of age ${age} that was not started here`;
    if (worker.channel || worker.lostMs !== undefined) return `worker ${age} is here twice`;
    const expected = worker.apps.map(({ number }) => number);
    if (worker.generation !== generation || !sameNumbers(expected, apps))
      return `worker ${age} is not the one that was started`;
    worker.channel = channel;
    if (direct) worker.offer = pack({ worker: age, ...direct } satisfies Offer);
    this.#welcome(channel);
    this.#dispatch.ready(worker);
    return {
      hear: (frame, more) => this.#heardWorker(worker, frame, more),
      ended: () => this.#lost(worker),
    };
  }

  /** A worker without its connection serves nobody. It ends by itself, or has to be ended. */
  #lost(worker: Worker): void {
    if (!worker.channel || this.#closed) return;
    worker.lostMs = this.#now();
    this.#dispatch.gone(worker, `the connection of dirty worker ${worker.age} ended`);
    if (worker.isLeaving) this.#dispatch.fill(worker);
    this.#sweep.arm();
  }

  // ── what is said ──────────────────────────────────────────────────────────────────────────────────────────────

  #heardCaller(caller: Caller, frame: Buffer, more: readonly Buffer[]): string | undefined {
    const id = idOf(frame);
    const known = caller.pending.get(id);
    this.#sweep.arm();
    switch (typeOf(frame)) {
      case FRAME.call: {
        if (known) return `id ${id} is pending already`;
        const app = this.apps.get(appOf(frame));
        if (this.#leaving) this.#leaving.turnAway(caller, frame, more);
        else if (app) this.#dispatch.submit(caller, app, frame, more);
        else
          this.#refuse(caller, id, new DirtyError('DIRTY_APP_NOT_FOUND', `there is no app ${appOf(frame)}`));
        return undefined;
      }
      // What is about a call that has just ended crossed its answer on the way.
      case FRAME.credit:
        return known && this.#dispatch.credit(known, numberOf(frame), readBytesOf(frame));
      case FRAME.cancel:
        if (known) this.#dispatch.drop(known);
        return undefined;
      case FRAME.payload:
        return known && this.#dispatch.payload(known, frame, more);
      case FRAME.stash:
        if (known) return `id ${id} is pending already`;
        this.#askStash(caller, id, payloadOf(frame, more));
        return undefined;
      default:
        return `a frame of type ${typeOf(frame)} from a caller`;
    }
  }

  #heardWorker(worker: Worker, frame: Buffer, more: readonly Buffer[]): string | undefined {
    switch (typeOf(frame)) {
      case FRAME.result:
      case FRAME.error:
      case FRAME.chunk:
      case FRAME.end:
        return this.#dispatch.answered(worker, frame, more);
      default:
        return `a frame of type ${typeOf(frame)} from a worker`;
    }
  }

  #refuse(caller: Caller, id: number, error: DirtyError): void {
    const frame = packFrame({ type: FRAME.error, id }, errorPayloadOf(error));
    this.#backpressure.send(caller, frame, NO_MORE);
  }

  #askStash(caller: Caller, id: number, payload: Buffer): void {
    const { ok, payload: answer } = this.#options.stash(payload);
    const frame = Buffer.allocUnsafe(HEADER_BYTES + answer.length);
    writeHeader(frame, { type: ok ? FRAME.result : FRAME.error, id });
    frame.set(answer, HEADER_BYTES);
    this.#backpressure.send(caller, frame, NO_MORE);
  }

  // ── time ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Looks at every limit; true while there is one. By itself every 50 ms. */
  sweep(): boolean {
    // Connections that end with it arm this once more.
    if (this.#closed) return false;
    const now = this.#now();
    this.#dispatch.sweep();
    this.#backpressure.sweep();
    this.#notices.sweep();
    for (const [channel, sinceMs] of this.#strangers)
      if (now - sinceMs > HELLO_MS) this.#cut(channel, `it has said nothing for ${HELLO_MS} ms`);
    let lost = 0;
    for (const worker of this.#workers.values()) {
      if (worker.lostMs === undefined || worker.isStuck) continue;
      lost++;
      if (now - worker.lostMs <= this.#dispatch.options.graceMs) continue;
      worker.isStuck = true;
      this.#options.stuck(worker.age, 'it lives on without its connection to the router');
    }
    return (
      this.#dispatch.calls.size > 0 ||
      this.#strangers.size > 0 ||
      lost > 0 ||
      !this.#backpressure.isIdle ||
      !this.#notices.isIdle
    );
  }
}

/** What a connection is once it has said who it is. */
interface Role {
  /** Why the frame breaks the connection; undefined when all is well. */
  hear(frame: Buffer, more: readonly Buffer[]): string | undefined;
  ended(): void;
  drained?: (() => void) | undefined;
}

const sameNumbers = (some: readonly number[], others: readonly number[]): boolean =>
  some.length === others.length && some.every((number) => others.includes(number));
