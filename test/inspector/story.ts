/** A made-up server's story, as the inspector would tell it: an arbiter, a pool and workers that boot, serve, drain and end. */
import type { Hello, Plain, State, Told } from '../../src/actors/inspect/records.ts';

export const ARBITER = 4000;
const POOL = `${ARBITER}/5`;
export const BEGIN = 1_764_000_000_000;

export const child = (age: number): string => `${ARBITER}/${100 + age}`;
/** The actor `process` of a child machine. */
export const holder = (age: number): string => `${ARBITER}/${10_000 + age}`;
export const pidOf = (age: number): number => 5000 + age;

export const hello = (some: Partial<Hello> = {}): { type: 'hello' } & Hello => ({
  type: 'hello',
  protocol: 1,
  kirin: '0.1.0',
  node: 'v22.1.0',
  pid: ARBITER,
  app: 'app.js',
  at: BEGIN,
  source: 'live',
  control: false,
  commands: [],
  file: null,
  from: null,
  to: null,
  ...some,
});

export class Story {
  at = BEGIN;
  seq = 0;

  constructor(readonly generation = 1) {}

  /** Of workers that take another one's place, it is theirs. */
  readonly slots = new Map<number, number>();

  slotOf(age: number): number {
    return this.slots.get(age) ?? age - 1;
  }

  #tick(): number {
    this.at += 3;
    return this.at;
  }

  #actor(id: string, parent: string | null, machine: string | null, value: Plain, some: object = {}): Told {
    const pid = Number(id.split('/')[0]);
    return {
      t: 'actor',
      at: this.#tick(),
      id,
      pid,
      parent,
      root: false,
      name: machine ?? 'process',
      machine,
      user: false,
      status: 'active',
      value,
      context: machine === null ? null : { workers: 2, settings: { graceMs: 30_000, env: '***' } },
      about: null,
      ...some,
    } as Told;
  }

  /** An arbiter with an empty pool. */
  arbiter(): Told[] {
    const process = {
      pid: ARBITER,
      process: 'arbiter',
      age: null,
      slot: null,
      generation: null,
      parent: null,
    };
    return [
      { t: 'process', at: this.#tick(), ...process } as Told,
      this.#actor(`${ARBITER}/1`, null, 'arbiter', { alive: { supervising: 'serving' } }, { root: true }),
      this.#actor(`${ARBITER}/2`, `${ARBITER}/1`, null, null, { name: 'signals' }),
      this.#actor(
        POOL,
        `${ARBITER}/1`,
        'pool',
        { alive: { running: { rollout: 'settled', hiring: 'free', sizing: 'steady' } } },
        { name: 'pool' },
      ),
    ];
  }

  /** A dirty arbiter with one dirty worker, eight levels below the arbiter. */
  dirty(): Told[] {
    const [arbiter, worker] = [6000, 6001];
    const settled = { alive: { running: { rollout: 'settled', hiring: 'free', sizing: 'steady' } } };
    const about = (title: string, pid: number) => ({ title, age: 1, slot: 0, generation: 1, pid });
    const process = (pid: number, kind: string, parent: string) =>
      ({
        t: 'process',
        at: this.#tick(),
        pid,
        process: kind,
        age: 1,
        slot: 0,
        generation: 1,
        parent,
      }) as Told;
    const child = (id: string, parent: string, title: string, pid: number) =>
      this.#actor(
        id,
        parent,
        'child',
        { alive: { ready: 'stable' } },
        { name: 'child.1', about: about(title, pid) },
      );
    return [
      this.#actor(
        `${ARBITER}/4`,
        `${ARBITER}/1`,
        'dirtyTree',
        { alive: { running: 'up' } },
        { name: 'dirty' },
      ),
      this.#actor(`${ARBITER}/7`, `${ARBITER}/4`, 'pool', settled),
      child(`${ARBITER}/8`, `${ARBITER}/7`, 'dirty arbiter', arbiter),
      process(arbiter, 'dirtyArbiter', `${ARBITER}/8`),
      this.#actor(
        `${arbiter}/1`,
        `${ARBITER}/8`,
        'dirtyArbiter',
        { alive: { supervising: 'serving' } },
        { root: true },
      ),
      this.#actor(`${arbiter}/7`, `${arbiter}/1`, 'pool', settled),
      child(`${arbiter}/8`, `${arbiter}/7`, 'dirty worker', worker),
      process(worker, 'dirtyWorker', `${arbiter}/8`),
      this.#actor(`${worker}/1`, `${arbiter}/8`, 'worker', { alive: { booted: 'serving' } }, { root: true }),
    ];
  }

  #about(age: number, pid: number): object {
    return { title: 'worker', age, slot: this.slotOf(age), generation: this.generation, pid };
  }

  /** Its child machine begins, with the actor that holds its process. */
  hire(age: number): Told[] {
    const about = this.#about(age, 0);
    return [
      this.#actor(
        child(age),
        POOL,
        'child',
        { alive: { starting: 'spawned' } },
        { name: `child.${age}`, about },
      ),
      this.#actor(holder(age), child(age), null, null, { name: 'process' }),
    ];
  }

  event(from: string | null, to: string, type: string, some: object = {}): Told {
    return { t: 'event', at: this.#tick(), from, to, event: { type, ...some } };
  }

  /** The child machine takes an event, by default one of its process. */
  step(age: number, type: string, source: string, value: Plain, some: object = {}): Told[] {
    const from = /^(worker|process)\./.test(type) ? holder(age) : null;
    return [this.event(from, child(age), type), this.#step(child(age), 'child', type, source, value, some)];
  }

  #step(id: string, machine: string, type: string, source: string, value: Plain, some: object): Told {
    const path = (inner: Plain): string =>
      typeof inner === 'string'
        ? inner
        : Object.entries(inner as object).map(([key, one]) => `${key}.${path(one)}`)[0]!;
    return {
      t: 'step',
      at: this.#tick(),
      id,
      event: { type },
      status: 'active',
      value,
      took: [{ source: `${machine}.${source}`, target: [`${machine}.${path(value)}`], event: type }],
      actions: ['note'],
      ...some,
    } as Told;
  }

  boot(age: number): Told[] {
    const pid = pidOf(age);
    return [
      {
        t: 'process',
        at: this.#tick(),
        pid,
        process: 'web',
        age,
        slot: this.slotOf(age),
        generation: this.generation,
        parent: child(age),
      },
      ...this.step(
        age,
        'worker.hello',
        'alive.starting.spawned',
        { alive: { starting: 'booting' } },
        { about: this.#about(age, pid) },
      ),
      this.#actor(
        `${pid}/1`,
        child(age),
        'worker',
        { alive: { booted: { starting: 'loading' } } },
        { root: true },
      ),
      this.#actor(`${pid}/2`, `${pid}/1`, null, null, { name: 'link' }),
    ];
  }

  /** As on a real server, the parent tells what it got before the worker tells that it said it. */
  ready(age: number): Told[] {
    const root = `${pidOf(age)}/1`;
    const starting = 'alive.booted.starting';
    return [
      ...this.step(age, 'worker.ready', 'alive.starting', { alive: { ready: 'fresh' } }),
      this.event(child(age), POOL, 'child.ready', { age }),
      { t: 'log', at: this.#tick(), level: 'info', text: `worker ${age} is ready` },
      this.#step(root, 'worker', 'load done', starting, { alive: { booted: 'serving' } }, {}),
      this.event(root, `${pidOf(age)}/2`, 'worker.ready'),
    ];
  }

  drain(age: number): Told[] {
    return this.step(age, 'child.drain', 'alive.ready', { alive: 'draining' });
  }

  /** The order to drain, down to the worker, which tells of it first here. */
  askDrain(age: number): Told[] {
    const root = `${pidOf(age)}/1`;
    return [
      ...this.drain(age),
      this.event(child(age), holder(age), 'worker.drain', { graceMs: 30_000 }),
      this.event(`${pidOf(age)}/2`, root, 'worker.drain', { graceMs: 29_999 }),
      this.#step(root, 'worker', 'worker.drain', 'alive.booted.serving', { alive: 'draining' }, {}),
    ];
  }

  /** Its process ends, then its child machine; last it is told that all of the process is gone. */
  end(age: number, how: { code: number | null; signal: string | null } = { code: 0, signal: null }): Told[] {
    return [
      this.event(holder(age), child(age), 'process.exited', how),
      this.#step(child(age), 'child', 'process.exited', 'alive', 'reaped', { status: 'done' }),
      { t: 'gone', at: this.#tick(), id: child(age), status: 'done' },
      { t: 'ended', at: this.#tick(), pid: pidOf(age) },
    ];
  }

  /** The arbiter ends as it should: last of all it tells that it is done. */
  stop(): Told[] {
    const id = `${ARBITER}/1`;
    const supervising = 'alive.supervising';
    return [
      this.#step(id, 'arbiter', 'arbiter.stop', supervising, { alive: { supervising: 'stopping' } }, {}),
      { t: 'gone', at: this.#tick(), id: POOL, status: 'done' },
      this.#step(id, 'arbiter', 'pool.stopped', supervising, 'stopped', { status: 'done' }),
      { t: 'gone', at: this.#tick(), id: `${ARBITER}/2`, status: 'stopped' },
      { t: 'gone', at: this.#tick(), id, status: 'done' },
      { t: 'log', at: this.#tick(), level: 'info', text: 'stopped' },
    ];
  }

  beat(age: number, requestsPerSecond: number): Told {
    const figures = {
      requests: 1000,
      connections: 4,
      inFlight: 1,
      loopDelayMs: 1.2,
      utilization: 0.2,
      rssBytes: 7e7 + age * 1e6,
    };
    return { t: 'beat', at: this.#tick(), pid: pidOf(age), requestsPerSecond, ...figures };
  }

  state(state: Partial<State> = {}): object {
    return {
      type: 'state',
      part: 1,
      of: 1,
      at: this.at,
      seq: this.seq,
      processes: [],
      actors: [],
      beats: [],
      ...state,
    };
  }

  records(records: readonly Told[]): object {
    const seq = this.seq + 1;
    this.seq += records.length;
    return { type: 'records', seq, records };
  }

  live(): object {
    return { type: 'live', at: this.at, seq: this.seq };
  }
}

/** From an empty past to so many ready workers. */
export function fleet(story: Story, workers: number): object[] {
  const ages = Array.from({ length: workers }, (_, index) => index + 1);
  const records = [
    ...story.arbiter(),
    ...ages.flatMap((age) => [
      ...story.hire(age),
      ...story.boot(age),
      ...story.ready(age),
      story.beat(age, 90 + age),
    ]),
  ];
  return [hello(), story.state(), story.records(records), story.live()];
}
