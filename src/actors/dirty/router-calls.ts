/**
 * What the router knows of a call, and the queue of an app. Runs in the dirty arbiter; plain data, no sockets.
 *
 * A call waits in the queue of its app, in the list of its caller's generation, since a worker of that generation is
 * preferred for it. It leaves from anywhere in constant time: deadlines and cancellations take it out of the middle.
 */
import type { Buffer } from 'node:buffer';
import { CallTimes } from './call-times.ts';
import type { Caller } from './router-callers.ts';
import type { Worker } from './router-workers.ts';

/**
 * - waiting: in the queue of its app
 * - running: sent to a worker
 * - abandoned: its caller has its answer, or is gone; the worker was told, and its slot is not free yet
 * - ended: nothing knows it any more
 */
export type CallState = 'waiting' | 'running' | 'abandoned' | 'ended';

/** Its deadline has passed; or its caller is gone or does not want it, or an operator ended it. */
export type Abandonment = 'overdue' | 'cancelled';

export interface Call {
  /** The router's own number: its id on the worker's connection, and what operators call it. */
  readonly number: number;
  /** Counts up without end: which call is older. */
  readonly order: number;
  readonly caller: Caller;
  /** Its id on the caller's connection. */
  readonly callerId: number;
  readonly app: App;
  readonly isStream: boolean;
  /** Its payload stays with its caller until it runs. */
  readonly isDirect: boolean;
  /** Its payload came through the router after all. */
  hasPayload: boolean;
  readonly bytes: number;
  readonly arrivedMs: number;
  /** Monotonic; Infinity without a limit. */
  readonly deadlineMs: number;
  state: CallState;
  /** The frame, while it waits. */
  frame: Buffer | undefined;
  more: readonly Buffer[];
  /** Chunks that its caller is ready to take. */
  credit: number;
  worker: Worker | undefined;
  /** When it was abandoned, monotonic, and why. */
  abandonedMs: number;
  abandonedFor: Abandonment;
  list: CallList | undefined;
  before: Call | undefined;
  after: Call | undefined;
}

/** Calls that wait, the oldest first. */
export class CallList {
  first: Call | undefined;
  last: Call | undefined;

  add(call: Call): void {
    call.list = this;
    call.before = this.last;
    if (this.last) this.last.after = call;
    else this.first = call;
    this.last = call;
  }

  remove(call: Call): void {
    if (call.before) call.before.after = call.after;
    else this.first = call.after;
    if (call.after) call.after.before = call.before;
    else this.last = call.before;
    call.list = call.before = call.after = undefined;
  }
}

export interface AppCounts {
  calls: number;
  errors: number;
  timeouts: number;
  cancelled: number;
  overloaded: number;
}

/** One dirty app: who waits for it, and who can serve it. */
export class App {
  readonly importPath: string;
  readonly number: number;
  readonly counts: AppCounts = { calls: 0, errors: 0, timeouts: 0, cancelled: 0, overloaded: 0 };
  readonly times = new CallTimes();
  /** Workers that have it, are ready and do not leave. */
  readonly workers = new Set<Worker>();
  /** Whether a worker that has it is on its way. */
  isComing = true;
  queued = 0;
  /** What those that wait hold. */
  queuedBytes = 0;
  running = 0;
  #waiting = new Map<number, CallList>();

  constructor(importPath: string, number: number) {
    this.importPath = importPath;
    this.number = number;
  }

  /** Nobody has it, and nobody will. */
  get isUnavailable(): boolean {
    return !this.isComing && this.workers.size === 0;
  }

  enqueue(call: Call): void {
    const { generation } = call.caller;
    let list = this.#waiting.get(generation);
    if (!list) {
      list = new CallList();
      this.#waiting.set(generation, list);
    }
    list.add(call);
    this.queued++;
    this.queuedBytes += call.bytes;
  }

  dequeue(call: Call): void {
    const { list } = call;
    if (!list) return;
    list.remove(call);
    this.queued--;
    this.queuedBytes -= call.bytes;
    // Generations come and go; what they waited in must not stay.
    if (!list.first) this.#waiting.delete(call.caller.generation);
  }

  /** Every call that waits, the oldest of each generation first. */
  *waiting(): Generator<Call> {
    for (const list of [...this.#waiting.values()])
      for (let call = list.first; call; ) {
        const { after }: Call = call;
        yield call;
        call = after;
      }
  }

  /** Whether calls of this generation have a worker of their own. */
  hasOwn(generation: number): boolean {
    for (const worker of this.workers) if (worker.generation === generation) return true;
    return false;
  }

  /**
   * The oldest call for this worker: of its own generation, or of one that has no worker of its own. With `anyone` of all
   * generations, since a slot must not be free while a call waits.
   */
  oldestFor(worker: Worker, anyone: boolean): Call | undefined {
    let oldest: Call | undefined;
    for (const [generation, { first }] of this.#waiting) {
      if (!first || (oldest && oldest.order < first.order)) continue;
      if (anyone || generation === worker.generation || !this.hasOwn(generation)) oldest = first;
    }
    return oldest;
  }

  /** A free worker for a call of this generation: the least busy of its own, and where none of these is free of the others. */
  freeWorkerFor(generation: number): Worker | undefined {
    let best: Worker | undefined;
    for (const worker of this.workers) {
      if (!worker.hasRoom) continue;
      const isOwn = worker.generation === generation;
      const isBestOwn = best?.generation === generation;
      if (!best || (isOwn && !isBestOwn)) best = worker;
      else if (isOwn === isBestOwn && worker.running.size < best.running.size) best = worker;
    }
    return best;
  }
}
