/**
 * The router's side of a dirty worker: who is expected, who is ready, and what runs where. Runs in the dirty arbiter.
 * A worker says hello when all its apps are ready, so that one whose hello came may be sent calls.
 */
import { Buffer } from 'node:buffer';
import { timingSafeEqual } from 'node:crypto';
import type { Channel } from './channel.ts';
import type { Caller } from './router-callers.ts';
import type { App, Call } from './router-calls.ts';

export class Worker {
  readonly age: number;
  readonly generation: number;
  readonly apps: readonly App[];
  readonly threads: number;
  readonly #secret: string;
  channel: Channel | undefined;
  /** What holds a slot, by the number of the call. */
  readonly running = new Map<number, Call>();
  /** Calls that it was given. */
  calls = 0;
  /** What callers are told, so that they can bring large payloads to it; undefined when it has no door. */
  offer: Buffer | undefined;
  isLeaving = false;
  /** Told once that nothing runs in one that leaves. */
  hasLeft = false;
  /** Since when it gets no more calls because one in it does not end; monotonic. */
  shunnedMs: number | undefined;
  /** Told once that a slot does not come free. */
  isStuck = false;
  /** When its connection ended while it lived; monotonic. */
  lostMs: number | undefined;
  /** Callers that do not read what it sends; while there are any, it is not read. */
  readonly heldBy = new Set<Caller>();

  constructor(age: number, generation: number, apps: readonly App[], threads: number, secret: string) {
    this.age = age;
    this.generation = generation;
    this.apps = apps;
    this.threads = threads;
    this.#secret = secret;
  }

  get isReady(): boolean {
    return this.channel !== undefined && !this.isLeaving && this.shunnedMs === undefined;
  }

  get hasRoom(): boolean {
    return this.isReady && this.running.size < this.threads;
  }

  knows(secret: string): boolean {
    const [ours, theirs] = [Buffer.from(this.#secret), Buffer.from(secret)];
    return ours.length === theirs.length && timingSafeEqual(ours, theirs);
  }

  /** The oldest call of any of its apps, if it can be one of its own generation. */
  oldestWaiting(): Call | undefined {
    return this.#oldest(false) ?? this.#oldest(true);
  }

  #oldest(anyone: boolean): Call | undefined {
    let oldest: Call | undefined;
    for (const app of this.apps) {
      const call = app.oldestFor(this, anyone);
      if (call && (!oldest || call.order < oldest.order)) oldest = call;
    }
    return oldest;
  }
}
