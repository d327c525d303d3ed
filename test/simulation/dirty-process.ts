/**
 * One simulated dirty arbiter: the real machine, with the real pool of dirty workers, in an actor system of its own behind a
 * link that is slow and keeps the order. It can be killed at any moment; its workers then live on for a while, and are nobody's.
 */
import { type Actor, type AnyActorLogic, createActor, fromCallback, type InspectionEvent } from 'xstate';
import { childMachine } from '../../src/machines/child.ts';
import {
  type DirtyArbiterInternal,
  dirtyArbiterMachine,
  type EditionOrder,
} from '../../src/machines/dirty-arbiter.ts';
import type { DirtyArbiterOrder, DirtyArbiterReport } from '../../src/machines/events/dirty.ts';
import { jittered } from '../../src/machines/policy.ts';
import { poolMachine } from '../../src/machines/pool.ts';
import { backoffOf, type PoolContext } from '../../src/machines/pool-context.ts';
import { checkPool, timersOf, watch } from './checks.ts';
import type { Random } from './random.ts';
import { World } from './world.ts';

/** The machines' limits that are no settings. */
const LIMITS = { quitMs: 2_000, abortMs: 1_000, stableMs: 10_000, killAgainMs: 5_000 };

export interface DirtyProcessGiven {
  readonly age: number;
  readonly web: World;
  readonly random: Random;
  /** Whether its socket cannot be bound. */
  readonly opensNot: boolean;
  /** What arrives at the arbiter's end of the link. */
  hear(report: DirtyArbiterReport): void;
  /** The last event: it is gone. */
  exited(code: number | null, signal: string | null): void;
  trace(line: string): void;
  violate(what: string): void;
  observe(event: InspectionEvent): void;
}

/** One direction of a link: late, and in order. */
class Wire<T> {
  readonly #queue: T[] = [];
  readonly #deliver: (event: T) => void;
  readonly #later: (happen: () => void) => void;
  open = true;

  constructor(deliver: (event: T) => void, later: (happen: () => void) => void) {
    this.#deliver = deliver;
    this.#later = later;
  }

  push(event: T): void {
    if (!this.open) return;
    this.#queue.push(event);
    this.#later(() => this.#next());
  }

  #next(): void {
    const event = this.#queue.shift();
    if (event && this.open) this.#deliver(event);
  }

  /** What was said before the end arrives before it. */
  flush(): void {
    while (this.open && this.#queue.length > 0) this.#next();
  }
}

export class DirtyProcess {
  readonly age: number;
  /** Its dirty workers; the generations of their world are its editions. */
  readonly workers: World;
  readonly up: Wire<DirtyArbiterReport>;
  readonly down: Wire<DirtyArbiterOrder>;
  readonly actor: Actor<typeof dirtyArbiterMachine>;
  alive = true;
  /** Its event loop stands still: it neither hears nor speaks. */
  hung = false;
  readonly #given: DirtyProcessGiven;
  #hears = (_order: DirtyArbiterOrder): void => {};
  #signalled = (_event: DirtyArbiterInternal): void => {};

  constructor(given: DirtyProcessGiven) {
    const { web, random, age } = given;
    this.age = age;
    this.#given = given;
    const workers = new World(web.clock, random, web.shape, web.violations);
    this.workers = workers;
    workers.faults = web.faults;
    const later = (happen: () => void) => workers.later(random.between(0, 20), happen);
    this.up = new Wire((report) => given.hear(report), later);
    this.down = new Wire((order) => this.#hears(order), later);
    this.actor = createActor(this.#machine(), {
      id: `dirty ${age}`,
      clock: web.clock,
      input: {
        bootOrderMs: 5_000,
        limits: LIMITS,
        faultOf: () => ({ code: 'bind.inUse', message: 'simulated' }),
      },
      inspect: (event) => {
        watch(event, (line) => given.trace(`dirty ${age}: ${line}`), given.violate);
        given.observe(event);
      },
    });
    this.actor.subscribe({
      complete: () => {
        // A kill completes it too.
        if (!this.alive) return;
        if (workers.live.size > 0)
          given.violate(`${workers.live.size} dirty workers outlive their dirty arbiter`);
        const timers = timersOf(this.actor);
        if (timers > 0) given.violate(`${timers} timers of a dirty arbiter are left`);
        this.die(random.between(0, 50), this.actor.getSnapshot().output?.exitCode ?? null, null);
      },
      error: (error) =>
        given.violate(`a dirty arbiter is in error: ${String((error as Error)?.stack ?? error)}`),
    });
    this.actor.start();
  }

  #machine = () => {
    const { random, opensNot } = this.#given;
    const { workers } = this;
    return dirtyArbiterMachine.provide({
      actors: {
        link: fromCallback<DirtyArbiterReport>(({ sendBack, receive }) => {
          this.#hears = sendBack;
          receive((report) => {
            if (!this.hung) this.up.push(report);
          });
        }),
        signals: fromCallback(({ sendBack }) => {
          this.#signalled = sendBack;
        }),
        heartbeat: fromCallback(() => {}),
        editions: fromCallback<EditionOrder>(({ receive }) => receive((order) => this.#edit(order))),
        router: fromCallback(({ receive }) => receive((order) => this.#route(order as DirtyArbiterOrder))),
        open: opening(workers, random.between(1, 200), opensNot) as never,
        pool: poolMachine.provide({
          delays: { backoff: ({ context }) => jittered(backoffOf(context), random.next()) },
          actors: { child: childMachine.provide({ actors: { process: workers.process() } }) },
        }),
      },
    }) as typeof dirtyArbiterMachine;
  };

  #edit(order: EditionOrder): void {
    const { random, violate } = this.#given;
    const { generations, live, broken, faults } = this.workers;
    if (order.type === 'edition.keep') {
      generations.add(order.edition);
      if (faults && random.chance(order.edition === 1 ? 0.02 : 0.25)) broken.add(order.edition);
      return;
    }
    if (!generations.delete(order.edition)) violate(`edition ${order.edition} released twice`);
    for (const { age, generation } of live.values())
      if (generation === order.edition)
        violate(`edition ${generation} released while dirty worker ${age} lives`);
  }

  /** Ends a call, or knows none, or forgets to answer. */
  #route(order: DirtyArbiterOrder): void {
    if (order.type !== 'dirty.cancel') return;
    const { orderId } = order;
    const { random } = this.#given;
    if (this.workers.faults && random.chance(0.1)) return;
    if (random.chance(0.5)) return this.up.push({ type: 'dirty.done', orderId, replaced: 0 });
    const fault = { code: 'order.unknown', message: 'simulated' } as const;
    this.up.push({ type: 'dirty.refused', orderId, fault });
  }

  /** An order from the other end of the link. */
  tell(order: DirtyArbiterOrder): void {
    if (!this.hung) this.down.push(order);
  }

  /** A signal, or a worker that the router cannot free. */
  signal(event: DirtyArbiterInternal): void {
    if (this.alive && !this.hung) this.#signalled(event);
  }

  /** Both ends lose each other. */
  cut(): void {
    this.up.open = false;
    this.down.open = false;
    this.signal({ type: 'link.ended' });
  }

  die(delayMs: number, code: number | null, signal: string | null): void {
    this.workers.later(delayMs, () => {
      if (!this.alive) return;
      this.alive = false;
      if (signal === null && !this.hung) this.up.flush();
      this.up.open = false;
      this.down.open = false;
      this.actor.stop();
      const orphans = [...this.workers.live.values()];
      for (const one of orphans)
        this.workers.later(this.#given.random.between(1, 3000), () => one.kill('the end of its link'));
      this.#given.exited(code, signal);
    });
  }

  get pool(): PoolContext | undefined {
    const pool = this.actor.getSnapshot().children.pool;
    return (pool?.getSnapshot() as { context: PoolContext } | undefined)?.context;
  }

  /** What must hold after every step. */
  check(): void {
    const { pool } = this;
    if (pool && this.alive && this.actor.getSnapshot().status === 'active')
      checkPool(pool, this.workers, this.#given.violate);
  }
}

/** The opening of the router's socket: over after a time, on the virtual clock, where a promise would not be. */
function opening(world: World, afterMs: number, fails: boolean): AnyActorLogic {
  const over = { type: 'opening.over' };
  const logic = {
    getInitialSnapshot: () => ({ status: 'active', output: undefined, error: undefined }),
    getPersistedSnapshot: (snapshot: unknown) => snapshot,
    transition: (snapshot: object, event: { type: string }) => {
      if (event.type === 'xstate.stop') return { ...snapshot, status: 'stopped' };
      if (event.type !== over.type) return snapshot;
      return fails
        ? { ...snapshot, status: 'error', error: new Error('simulated') }
        : { ...snapshot, status: 'done' };
    },
    start: (_snapshot: unknown, { self }: { self: { send(event: { type: string }): void } }) =>
      world.later(afterMs, () => self.send(over)),
  };
  return logic as unknown as AnyActorLogic;
}
