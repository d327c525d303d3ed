/**
 * The router under random callers, workers, payloads that pass it and that do not, deaths, cancellations, deadlines and overload, all arriving in any order.
 * After every step: no queue beyond its bound, none waits while a worker that may take it is free. At the end: every
 * call has ended exactly once with its own answer, and nothing of it is left. `KIRIN_SEED` runs one seed alone.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FLAG_DIRECT, FLAG_STREAM, FRAME } from '../../src/actors/dirty/frames.ts';
import type { CallDurations } from '../../src/machines/events/metrics.ts';
import { APPS, type Peer, World } from './dirty-world.ts';

const RUNS = 300;
const STEPS = 150;
const QUEUE_MAX = 4;

const countOf = ({ durations }: CallDurations): number => durations.reduce((sum, count) => sum + count, 0);

/** Mulberry32: the same seed gives the same run everywhere. */
function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

interface Asked {
  value: string;
  isStream: boolean;
  isCancelled: boolean;
  /** Chunks granted and not yet used. */
  credit: number;
  chunks: number;
  end: string | undefined;
}

interface CallerSide {
  peer: Peer;
  generation: number;
  asked: Map<number, Asked>;
  lastId: number;
  isGone: boolean;
  /** As the router numbers it. */
  number: number;
}

interface WorkerSide {
  peer: Peer;
  age: number;
  generation: number;
  apps: number[];
  running: Map<
    number,
    { value: string; isStream: boolean; isDirect: boolean; credit: number; chunks: number }
  >;
  /** Calls that run and whose payload has not come. */
  words: Map<number, { key: string; isStream: boolean; credit: number }>;
  isLeaving: boolean;
}

class Run {
  readonly #random: (below: number) => number;
  readonly #threads: number;
  readonly world: World;
  readonly callers = new Map<number, CallerSide>();
  readonly workers = new Map<number, WorkerSide>();
  #serial = 0;
  #hopeless = new Set<number>();
  /** Payloads that callers brought to workers by themselves. */
  readonly #brought = new Map<string, string>();

  constructor(seed: number) {
    this.#random = randomOf(seed);
    this.#threads = 1 + this.#random(3);
    const graceMs = 1 + this.#random(100);
    this.world = new World({ queueMax: QUEUE_MAX, threads: this.#threads, graceMs }, this.#random);
  }

  /** Chooses one of a list; undefined of none. */
  #one<T>(list: Iterable<T>): T | undefined {
    const all = [...list];
    return all[this.#random(Math.max(1, all.length))];
  }

  act(): void {
    const acts = [
      ...Array(8).fill(() => this.call()),
      ...Array(8).fill(() => this.answer()),
      ...Array(20).fill(() => this.world.step()),
      ...Array(3).fill(() => this.world.pass(this.#random(40))),
      ...Array(2).fill(() => this.cancel()),
      () => this.arrive(),
      () => this.hire(),
      () => this.bury(),
      () => this.leaves(),
      () => this.quit(),
      () => this.operator(),
      () => this.hope(),
      () => this.pauses(),
    ];
    this.#one(acts)!();
  }

  // ── callers ───────────────────────────────────────────────────────────────────────────────────────────────────

  arrive(): void {
    if (this.callers.size >= 5) return;
    const pid = 100 + ++this.#serial;
    const generation = 1 + this.#random(2);
    const peer = this.world.caller(generation, pid);
    this.callers.set(pid, { peer, generation, asked: new Map(), lastId: 0, isGone: false, number: 0 });
  }

  call(): void {
    const caller = this.#one(this.callers.values());
    if (!caller || caller.isGone) return;
    const id = ++caller.lastId;
    const isStream = this.#random(3) === 0;
    const value = `value ${++this.#serial}`;
    const credit = isStream ? 1 + this.#random(4) : 0;
    caller.asked.set(id, { value, isStream, isCancelled: false, credit, chunks: 0, end: undefined });
    const ms = this.#random(3) === 0 ? 1 + this.#random(200) : 0;
    const app = this.#random(2);
    if (this.#random(3) > 0) caller.peer.call(id, { app, ms, stream: isStream, value });
    else {
      const flags = FLAG_DIRECT | (isStream ? FLAG_STREAM : 0);
      caller.peer.send({ type: FRAME.call, id, app, number: ms, flags });
    }
    if (isStream) caller.peer.send({ type: FRAME.credit, id, number: credit });
  }

  cancel(): void {
    const caller = this.#one(this.callers.values());
    const id = caller && this.#one(caller.asked.keys());
    if (!caller || caller.isGone || id === undefined) return;
    caller.asked.get(id)!.isCancelled = true;
    caller.peer.send({ type: FRAME.cancel, id });
  }

  quit(): void {
    const caller = this.#one(this.callers.values());
    if (!caller) return;
    caller.isGone = true;
    caller.peer.channel.close();
  }

  pauses(): void {
    const { channel } = this.#one(this.callers.values())?.peer ?? {};
    if (channel?.isPaused) channel.resume();
    else channel?.pause();
  }

  // ── workers ───────────────────────────────────────────────────────────────────────────────────────────────────

  hire(apps = [[0], [1], [0, 1]][this.#random(3)]!): void {
    if (this.workers.size >= 4) return;
    const age = ++this.#serial;
    const generation = 1 + this.#random(2);
    this.workers.set(age, {
      peer: this.world.worker(
        age,
        apps,
        generation,
        this.#random(2) === 0 ? { address: 'door', secret: 'open' } : undefined,
      ),
      age,
      generation,
      apps,
      running: new Map(),
      words: new Map(),
      isLeaving: false,
    });
  }

  bury(): void {
    const worker = this.#one(this.workers.values());
    if (!worker) return;
    if (this.#random(2) === 0) worker.peer.channel.close();
    this.world.router.gone(worker.age);
    this.workers.delete(worker.age);
  }

  /** Who is stuck is killed, as the pool does. */
  kill(): void {
    for (const age of this.world.stuck) {
      if (!this.workers.delete(age)) continue;
      const { running } = this.world.router.stats().workers.find((worker) => worker.age === age)!;
      assert.ok(running.some(({ state }) => state === 'abandoned'));
      this.world.router.gone(age);
    }
  }

  leaves(): void {
    const worker = this.#one(this.workers.values());
    if (!worker) return;
    worker.isLeaving = true;
    this.world.router.leaving(worker.age);
  }

  /** A worker does something about a call that it has. */
  answer(): void {
    const worker = this.#one(this.workers.values());
    if (!worker || worker.peer.ended) return;
    this.#read(worker);
    const id = this.#one(worker.running.keys());
    if (id === undefined) return;
    const call = worker.running.get(id)!;
    const { peer } = worker;
    if (call.isStream && call.credit > 0 && this.#random(3) > 0) {
      call.credit--;
      return peer.send({ type: FRAME.chunk, id }, [call.value, call.chunks++]);
    }
    worker.running.delete(id);
    if (this.#random(5) === 0)
      peer.send({ type: FRAME.error, id }, { code: 'DIRTY_APP_ERROR', message: call.value });
    else if (call.isStream) peer.send({ type: FRAME.end, id });
    else if (call.isDirect && this.#random(2) === 0) peer.send({ type: FRAME.end, flags: FLAG_DIRECT, id });
    else peer.result(id, call.value);
  }

  #read(worker: WorkerSide): void {
    const { running, words } = worker;
    const begins = (id: number, value: string): void => {
      const { isStream, credit } = words.get(id)!;
      words.delete(id);
      running.set(id, { value, isStream, isDirect: true, credit, chunks: 0 });
    };
    for (const { type, id, number, value, flags, caller, callerId } of worker.peer.heard.splice(0)) {
      const isStream = (flags & FLAG_STREAM) !== 0;
      if (type === FRAME.call && (flags & FLAG_DIRECT) !== 0)
        words.set(id, { key: `${caller}:${callerId}`, isStream, credit: 0 });
      else if (type === FRAME.call) {
        const [, [said]] = value as [string, [string]];
        running.set(id, { value: said, isStream, isDirect: false, credit: 0, chunks: 0 });
      } else if (type === FRAME.payload && words.has(id)) begins(id, (value as [string, [string]])[1][0]);
      else if (type === FRAME.credit && running.has(id)) running.get(id)!.credit += number;
      else if (type === FRAME.credit && words.has(id)) words.get(id)!.credit += number;
      else if (type === FRAME.cancel && words.delete(id))
        worker.peer.send({ type: FRAME.error, id }, { code: 'DIRTY_CANCELLED', message: 'unwanted' });
      assert.ok(running.size + words.size <= this.#threads, 'more than its threads');
    }
    for (const [id, { key }] of [...words]) {
      const value = this.#brought.get(key);
      if (value !== undefined) begins(id, value);
    }
  }

  operator(): void {
    const call = this.#one(this.world.router.stats().calls);
    if (call) this.world.router.cancel(call.id);
  }

  hope(): void {
    const app = this.#random(2);
    const isNone = !this.#hopeless.delete(app);
    if (isNone) this.#hopeless.add(app);
    this.world.router.available(app, isNone ? 'none' : 'coming');
  }

  // ── what must be true ─────────────────────────────────────────────────────────────────────────────────────────

  check(): void {
    const { apps, workers, calls } = this.world.router.stats();
    for (const app of apps) {
      assert.ok(app.queued <= QUEUE_MAX, `${app.queued} wait`);
      const waiting = calls.filter((call) => call.state === 'queued' && call.app === app.importPath);
      assert.equal(app.queued, waiting.length);
      assert.equal(
        app.running,
        calls.filter((call) => call.state !== 'queued' && call.app === app.importPath).length,
      );
      const able = workers.filter(
        ({ age, ready }) => ready && this.workers.get(age)?.apps.includes(app.number),
      );
      if (waiting.length > 0)
        for (const worker of able)
          assert.ok(worker.busy >= worker.threads, `a call waits while worker ${worker.age} is free`);
    }
    for (const caller of this.callers.values()) this.#hear(caller);
  }

  #hear(caller: CallerSide): void {
    for (const { type, id, value, flags } of caller.peer.heard.splice(0)) {
      if (type === FRAME.welcome) {
        caller.number = (value as { caller: number }).caller;
        continue;
      }
      const asked = caller.asked.get(id);
      if (type === FRAME.direct) {
        this.#bring(caller, id, asked);
        continue;
      }
      assert.ok(asked, `an answer to ${id}, which was not asked`);
      assert.equal(asked.end, undefined, `${id} ended with ${asked.end} and goes on`);
      if (type === FRAME.chunk) {
        assert.deepEqual(value, [asked.value, asked.chunks++]);
        assert.ok(--asked.credit >= 0, 'a chunk beyond its credit');
        if (caller.isGone || this.#random(2) === 0) continue;
        asked.credit += 2;
        caller.peer.send({ type: FRAME.credit, id, number: 2 });
      } else if (type === FRAME.result) {
        assert.equal(value, asked.value);
        asked.end = 'result';
      } else if (type === FRAME.end) asked.end = (flags & FLAG_DIRECT) === 0 ? 'end' : 'direct';
      else {
        const { code, message } = value as { code: string; message: string };
        if (code === 'DIRTY_APP_ERROR') assert.equal(message, asked.value);
        asked.end = code;
      }
    }
  }

  /** The router said that the call runs: its payload goes there, by one way or the other, if it is still wanted. */
  #bring(caller: CallerSide, id: number, asked: Asked | undefined): void {
    if (!asked || asked.end || asked.isCancelled || caller.isGone) return;
    if (this.#random(2) === 0) caller.peer.send({ type: FRAME.payload, id }, ['act', [asked.value]]);
    else this.#brought.set(`${caller.number}:${id}`, asked.value);
  }

  /** The faults stop: what is left must come to its end by itself. */
  finish(): void {
    for (const { peer } of this.callers.values()) peer.channel.resume();
    for (const [app] of APPS.entries()) this.world.router.available(app, 'coming');
    this.world.settle();
    for (let round = 0; round < 1000 && this.world.router.stats().calls.length > 0; round++) {
      for (const [age, { isLeaving, peer, apps }] of [...this.workers])
        if (isLeaving || peer.ended || apps.length < 2) {
          this.world.router.gone(age);
          this.workers.delete(age);
        }
      this.hire([0, 1]);
      for (const worker of this.workers.values()) {
        this.#read(worker);
        if (worker.running.size > 0) this.answer();
        else if (worker.words.size > 0) this.check();
      }
      this.world.settle();
      this.check();
    }
    this.world.settle();
    this.check();
    assert.ok(this.world.notices.every((text) => text.includes('gets no more calls')));
    const { calls, apps, workers } = this.world.router.stats();
    assert.deepEqual(calls, []);
    for (const { queued, running } of apps) assert.deepEqual([queued, running], [0, 0]);
    // Every call has ended once, one way or another, for its durations too.
    for (const { counts, times } of this.world.router.apps.values()) {
      const { waits, ends } = times.shown();
      const [ok, errors, timeouts, cancelled, overloaded] = ends.map(countOf);
      const { calls: all, ...others } = counts;
      assert.deepEqual({ errors, timeouts, cancelled, overloaded }, others);
      assert.equal(ok! + errors! + timeouts! + cancelled! + overloaded!, all);
      assert.ok(countOf(waits) <= all && countOf(waits) >= ok!);
    }
    for (const { busy } of workers) assert.equal(busy, 0);
    for (const { asked, isGone } of this.callers.values())
      for (const [id, { end, isCancelled }] of asked)
        assert.ok(isGone || isCancelled || end, `call ${id} never ended`);
  }
}

test('every call ends exactly once, whatever happens', () => {
  const only = process.env['KIRIN_SEED'];
  const ends = new Map<string, number>();
  const note = (what: string, times = 1): void => void ends.set(what, (ends.get(what) ?? 0) + times);
  for (let seed = Number(only ?? 1); seed <= Number(only ?? RUNS); seed++) {
    const run = new Run(seed);
    try {
      for (let step = 0; step < STEPS; step++) {
        run.act();
        run.kill();
        run.check();
      }
      run.finish();
    } catch (error) {
      throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
    }
    for (const { asked } of run.callers.values()) for (const { end } of asked.values()) note(`${end}`);
    note('stuck', run.world.stuck.length);
    note('shunned', run.world.notices.length);
    assert.ok(run.world.stuck.length === new Set(run.world.stuck).size, 'stuck is said once');
    assert.ok(run.world.left.length === new Set(run.world.left).size, 'left is said once');
  }
  if (only) return;
  // What a run of this length must have met, or it has shown nothing.
  for (const end of [
    'result',
    'end',
    'direct',
    'DIRTY_APP_ERROR',
    'DIRTY_TIMEOUT',
    'DIRTY_OVERLOADED',
    'DIRTY_WORKER_DIED',
    'DIRTY_UNAVAILABLE',
    'DIRTY_CANCELLED',
    'stuck',
    'shunned',
  ])
    assert.ok(ends.get(end)! > 10, `${end}: ${ends.get(end)}`);
});
