/**
 * Calls and slots: which call waits, which runs where, and how each ends. Runs in the dirty arbiter.
 *
 * 1. First come, first served in each app; no slot is free while a call waits that its worker could run.
 * 2. A call goes to a worker of its caller's generation where one of these is free, else to any; a slot that comes free takes the
 *    oldest call of its own generation, else of any.
 * 3. Every call ends in exactly one answer. What comes after it is dropped here.
 * 4. A large payload need not pass here: its call waits without it, and its caller brings it to the worker when it runs.
 * 5. A slot is busy until its worker says that the call has ended. What becomes of one that keeps it is `router-overrun.ts`.
 */
import { Buffer } from 'node:buffer';
import type { CallOutcome } from '../../machines/events/metrics.ts';
import type { DirtyCode } from './errors.ts';
import {
  bareFrame,
  DIRECT_BYTES,
  FLAG_DIRECT,
  FLAG_STREAM,
  FRAME,
  flagsOf,
  HEADER_BYTES,
  idOf,
  LARGE_BYTES,
  NO_MORE,
  numberOf,
  payloadBytesOf,
  setId,
  setNumber,
  setOrigin,
  typeOf,
  UINT32_MAX,
  writeHeader,
} from './frames.ts';
import { packFrame } from './packing.ts';
import type { Backpressure } from './router-backpressure.ts';
import type { Caller } from './router-callers.ts';
import type { Abandonment, App, Call } from './router-calls.ts';
import { Overruns } from './router-overrun.ts';
import type { Worker } from './router-workers.ts';

export interface DispatchOptions {
  /** Calls of one app that may wait. */
  queueMax: number;
  /** Bytes that waiting calls of one app may hold. One alone may always wait. */
  queueBytesMax: number;
  /** How long a worker may take to end a call that is not wanted any more. */
  graceMs: number;
  /** A slot of the worker does not come free. Said once. */
  stuck(age: number, why: string): void;
  /** Nothing runs in a worker that was leaving. Said once. */
  left(age: number): void;
  notice?: ((text: string) => void) | undefined;
  /** Monotonic, in milliseconds. */
  now(): number;
}

/** As many chunks a caller may be ahead of what came: more is a caller that does not count. */
const CREDIT_MAX = 1_000_000;

/** Of a worker that has no door. */
const NO_OFFER = Buffer.alloc(0);

export class Dispatch {
  readonly options: DispatchOptions;
  /** Every call that has not ended, by its number. */
  readonly calls = new Map<number, Call>();
  #backpressure: Backpressure;
  readonly #overruns: Overruns;
  #number = 0;
  #order = 0;

  constructor(options: DispatchOptions, backpressure: Backpressure) {
    this.options = options;
    this.#backpressure = backpressure;
    this.#overruns = new Overruns(options);
  }

  // ── what callers ask ──────────────────────────────────────────────────────────────────────────────────────────

  submit(caller: Caller, app: App, frame: Buffer, more: readonly Buffer[]): void {
    const now = this.options.now();
    const limitMs = numberOf(frame);
    const bytes = frame.length + more.reduce((sum, one) => sum + one.length, 0);
    const call: Call = {
      number: this.#nextNumber(),
      order: ++this.#order,
      caller,
      callerId: idOf(frame),
      app,
      isStream: (flagsOf(frame) & FLAG_STREAM) !== 0,
      isDirect: (flagsOf(frame) & FLAG_DIRECT) !== 0,
      hasPayload: false,
      bytes,
      arrivedMs: now,
      deadlineMs: limitMs === 0 ? Number.POSITIVE_INFINITY : now + limitMs,
      state: 'waiting',
      frame,
      more,
      credit: 0,
      worker: undefined,
      abandonedMs: 0,
      abandonedFor: 'cancelled',
      list: undefined,
      before: undefined,
      after: undefined,
    };
    app.counts.calls++;
    caller.pending.set(call.callerId, call);
    this.calls.set(call.number, call);
    const worker = app.freeWorkerFor(caller.generation);
    if (worker) return this.#run(call, worker, now);
    if (app.isUnavailable)
      return this.#refuse(call, 'DIRTY_UNAVAILABLE', `no worker has ${app.importPath}, and none is coming`);
    const { queueMax, queueBytesMax } = this.options;
    if (app.queued >= queueMax)
      return this.#refuse(call, 'DIRTY_OVERLOADED', `${queueMax} calls of ${app.importPath} wait already`);
    if (app.queued > 0 && app.queuedBytes + bytes > queueBytesMax) {
      const why = `calls of ${app.importPath} that wait hold ${app.queuedBytes} bytes already`;
      return this.#refuse(call, 'DIRTY_OVERLOADED', why);
    }
    // A small frame lies in memory that is read into again.
    if (bytes < LARGE_BYTES) call.frame = Buffer.from(frame);
    app.enqueue(call);
  }

  /** Why the frame breaks its connection; undefined when all is well. */
  credit(call: Call, chunks: number, readBytes: number): string | undefined {
    if (!call.isStream) return 'credit for a call that is no stream';
    if (chunks === 0 && readBytes === 0) return 'credit for nothing';
    call.credit += chunks;
    if (call.credit > CREDIT_MAX) return `credit for more than ${CREDIT_MAX} chunks`;
    if (call.state === 'running') this.#sendCredit(call, chunks, readBytes);
    return undefined;
  }

  /**
   * The payload of a direct call, from a caller that could not bring it to the worker itself. Why the frame breaks its
   * connection; undefined when all is well.
   */
  payload(call: Call, frame: Buffer, more: readonly Buffer[]): string | undefined {
    if (!call.isDirect || call.hasPayload || call.state !== 'running')
      return 'a payload that nobody has asked for';
    call.hasPayload = true;
    setId(frame, call.number);
    call.worker?.channel?.send(frame, more);
    return undefined;
  }

  /** Its caller does not want it any more: nobody is told. */
  drop(call: Call): void {
    call.app.counts.cancelled++;
    this.#time(call, 'cancelled');
    this.#abandon(call, 'cancelled');
  }

  callerGone(caller: Caller): void {
    for (const call of [...caller.pending.values()]) this.drop(call);
    caller.pending.clear();
    this.#backpressure.release(caller);
  }

  /** An operator's word; false when there is no such call. */
  cancel(number: number): boolean {
    const call = this.calls.get(number);
    if (!call || call.state === 'abandoned') return false;
    call.app.counts.cancelled++;
    this.#time(call, 'cancelled');
    this.#answer(call, 'DIRTY_CANCELLED', 'the call was cancelled by an operator');
    this.#abandon(call, 'cancelled');
    return true;
  }

  /** Takes out every call that has not begun; nobody is told. */
  takeWaiting(): { caller: Caller; frame: Buffer; more: readonly Buffer[] }[] {
    const waiting = [...this.calls.values()].filter(({ state }) => state === 'waiting');
    return waiting.map((call) => {
      const { caller, more } = call;
      const frame = call.frame!;
      this.#end(call);
      return { caller, frame, more };
    });
  }

  // ── what workers say ──────────────────────────────────────────────────────────────────────────────────────────

  /** An answer, or a part of one. Why the frame breaks its connection; undefined when all is well. */
  answered(worker: Worker, frame: Buffer, more: readonly Buffer[]): string | undefined {
    const call = worker.running.get(idOf(frame));
    if (!call) return `an answer to ${idOf(frame)}, which it does not run`;
    const type = typeOf(frame);
    if (type === FRAME.end && (flagsOf(frame) & FLAG_DIRECT) !== 0)
      return this.#answeredDirectly(call, worker);
    if (call.isStream ? type === FRAME.result : type === FRAME.chunk || type === FRAME.end)
      return `${call.isStream ? 'a result of a stream' : 'a chunk of a call that is no stream'}`;
    // One look at the clock for the end of this call, and for the beginning of the next.
    const now = type === FRAME.chunk ? 0 : this.options.now();
    if (call.state === 'running') {
      if (type === FRAME.chunk && call.credit-- <= 0) return 'a chunk that nobody has asked for';
      if (type === FRAME.error) call.app.counts.errors++;
      if (type !== FRAME.chunk) this.#time(call, type === FRAME.error ? 'error' : 'ok', now);
      setId(frame, call.callerId);
      const isLarge = payloadBytesOf(frame) >= DIRECT_BYTES;
      this.#backpressure.send(call.caller, frame, more, worker);
      // So that the next large result need not pass here.
      if (isLarge) this.#introduce(call.caller, worker);
    }
    if (type !== FRAME.chunk) {
      this.#end(call);
      this.fill(worker, now);
    }
    return undefined;
  }

  /** The result is on its way by another connection, which its caller is told so that it knows what it waits for. */
  #answeredDirectly(call: Call, worker: Worker): string | undefined {
    if (call.isStream) return 'a direct result of a stream';
    const now = this.options.now();
    if (call.state === 'running') {
      this.#time(call, 'ok', now);
      const told = { type: FRAME.end, flags: FLAG_DIRECT, id: call.callerId, number: worker.age };
      this.#backpressure.send(call.caller, bareFrame(told), NO_MORE);
    }
    this.#end(call);
    this.fill(worker, now);
    return undefined;
  }

  /** Tells a caller where the worker takes large payloads. */
  #introduce(caller: Caller, worker: Worker, callerId = 0): void {
    if (callerId === 0 && (!worker.offer || caller.introduced.has(worker.age))) return;
    caller.introduced.add(worker.age);
    const offer = worker.offer ?? NO_OFFER;
    const frame = Buffer.allocUnsafe(HEADER_BYTES + offer.length);
    writeHeader(frame, { type: FRAME.direct, id: callerId, number: worker.age });
    frame.set(offer, HEADER_BYTES);
    this.#backpressure.send(caller, frame, NO_MORE);
  }

  /** Gives a worker's free slots what waits for them; tells when it has nothing to do any more. */
  fill(worker: Worker, now = this.options.now()): void {
    if (worker.shunnedMs !== undefined && this.#overruns.isOver(worker, now)) this.#admit(worker);
    while (worker.hasRoom) {
      const call = worker.oldestWaiting();
      if (!call) break;
      this.#run(call, worker, now);
    }
    if (worker.isLeaving && worker.running.size === 0 && !worker.hasLeft) {
      worker.hasLeft = true;
      this.options.left(worker.age);
    }
  }

  ready(worker: Worker): void {
    this.#admit(worker);
    this.fill(worker);
  }

  leaving(worker: Worker): void {
    worker.isLeaving = true;
    this.#withdraw(worker);
    this.fill(worker);
  }

  /** Whatever runs in it has ended with it. */
  gone(worker: Worker, why: string): void {
    worker.channel = undefined;
    for (const caller of worker.heldBy) caller.holds.delete(worker);
    worker.heldBy.clear();
    for (const call of [...worker.running.values()]) {
      if (call.state === 'running') {
        call.app.counts.errors++;
        this.#time(call, 'error');
        this.#answer(call, 'DIRTY_WORKER_DIED', `${why} while it ran the call`);
      }
      this.#end(call);
    }
    this.#withdraw(worker);
  }

  /** Whether a worker that has the app is on its way. */
  setComing(app: App, isComing: boolean): void {
    app.isComing = isComing;
    this.#refuseUnavailable(app);
  }

  // ── time ──────────────────────────────────────────────────────────────────────────────────────────────────────

  sweep(): void {
    const now = this.options.now();
    for (const call of this.calls.values()) {
      if (call.state === 'abandoned') this.#overruns.look(call, now);
      else if (call.deadlineMs <= now) {
        call.app.counts.timeouts++;
        this.#time(call, 'timeout', now);
        const tookMs = Math.round(now - call.arrivedMs);
        const where = call.state === 'waiting' ? 'waiting for a worker' : 'running';
        this.#answer(call, 'DIRTY_TIMEOUT', `the call was still ${where} after ${tookMs} ms`);
        this.#abandon(call, 'overdue');
      }
    }
  }

  // ── the ends of a call ────────────────────────────────────────────────────────────────────────────────────────

  #run(call: Call, worker: Worker, now: number): void {
    call.app.dequeue(call);
    const frame = call.frame!;
    const { more } = call;
    call.frame = undefined;
    call.more = NO_MORE;
    call.state = 'running';
    call.worker = worker;
    call.app.running++;
    call.app.times.began(now - call.arrivedMs);
    worker.calls++;
    worker.running.set(call.number, call);
    setId(frame, call.number);
    setOrigin(frame, call.caller.number, call.callerId);
    if (call.deadlineMs !== Number.POSITIVE_INFINITY)
      setNumber(frame, Math.max(1, Math.ceil(call.deadlineMs - now)));
    // The caller first: the worker can begin when the payload is there, and reads it together with the word, if it can.
    if (call.isDirect) this.#introduce(call.caller, worker, call.callerId);
    worker.channel!.send(frame, more);
    if (call.credit > 0) this.#sendCredit(call, call.credit);
  }

  #sendCredit(call: Call, number: number, readBytes = 0): void {
    call.worker?.channel?.send(bareFrame({ type: FRAME.credit, id: call.number, number, readBytes }));
  }

  #refuse(call: Call, code: DirtyCode, message: string): void {
    const isOverload = code === 'DIRTY_OVERLOADED';
    if (isOverload) call.app.counts.overloaded++;
    else call.app.counts.errors++;
    this.#time(call, isOverload ? 'overloaded' : 'error');
    this.#answer(call, code, message);
    this.#end(call);
  }

  /** Once for each call: when its caller has its answer, or wants none. */
  #time(call: Call, outcome: CallOutcome, now = this.options.now()): void {
    call.app.times.ended(outcome, now - call.arrivedMs);
  }

  #answer(call: Call, code: DirtyCode, message: string): void {
    const frame = packFrame({ type: FRAME.error, id: call.callerId }, { code, message });
    this.#backpressure.send(call.caller, frame, NO_MORE);
  }

  /** Its caller has its answer, or is gone: a call that waits ends, one that runs is to end soon. */
  #abandon(call: Call, why: Abandonment): void {
    if (call.state === 'waiting') return this.#end(call);
    if (call.state !== 'running') return;
    call.state = 'abandoned';
    call.abandonedMs = this.options.now();
    call.abandonedFor = why;
    call.caller.pending.delete(call.callerId);
    call.worker?.channel?.send(bareFrame({ type: FRAME.cancel, id: call.number }));
  }

  /** Nothing knows it any more. */
  #end(call: Call): void {
    call.app.dequeue(call);
    // The id may belong to another call since it was abandoned.
    if (call.caller.pending.get(call.callerId) === call) call.caller.pending.delete(call.callerId);
    if (call.worker) {
      call.worker.running.delete(call.number);
      call.app.running--;
    }
    call.state = 'ended';
    call.frame = undefined;
    call.more = NO_MORE;
    this.calls.delete(call.number);
  }

  /** From now on it is among those that are given calls. */
  #admit(worker: Worker): void {
    if (worker.isReady) for (const app of worker.apps) app.workers.add(worker);
  }

  /** It takes no calls any more. No other slot is free for what waits, but there may be nobody left to wait for. */
  #withdraw(worker: Worker): void {
    for (const app of worker.apps) {
      app.workers.delete(worker);
      this.#refuseUnavailable(app);
    }
  }

  #refuseUnavailable(app: App): void {
    if (!app.isUnavailable) return;
    for (const call of app.waiting())
      this.#refuse(call, 'DIRTY_UNAVAILABLE', `no worker has ${app.importPath}, and none is coming`);
  }

  #nextNumber(): number {
    do this.#number = this.#number >= UINT32_MAX ? 1 : this.#number + 1;
    while (this.calls.has(this.#number));
    return this.#number;
  }
}
