/**
 * One seeded run: the real arbiter, pool, child, control and dirty machines in a simulated world. Safety is checked after every
 * step while faults happen; then the faults stop and everything must converge, and at last stop and leave nothing.
 */
import { createActor, fromCallback, type InspectionEvent } from 'xstate';
import { arbiterMachine } from '../../src/machines/arbiter.ts';
import { childMachine } from '../../src/machines/child.ts';
import type { ArbiterOrder, LogOrder } from '../../src/machines/events/arbiter.ts';
import { jittered } from '../../src/machines/policy.ts';
import { poolMachine } from '../../src/machines/pool.ts';
import { backoffOf, type PoolContext } from '../../src/machines/pool-context.ts';
import { checkConverged, checkPool, timersOf, watch } from './checks.ts';
import { VirtualClock } from './clock.ts';
import { checkControl, checkQuiet } from './control-checks.ts';
import { ControlWorld } from './control-world.ts';
import { DirtyWorld } from './dirty-world.ts';
import { Ledger } from './ledger.ts';
import { Random } from './random.ts';
import { UpgradeWorld } from './upgrade-world.ts';
import { World } from './world.ts';

export interface Outcome {
  seed: number;
  /** What was broken, in the order found; empty: the run is sound. */
  violations: string[];
  steps: number;
  /** What happened, for a reader of a failing seed. */
  trace: string[];
  /** How orders ended, by type, and the exit code. */
  ends: Record<string, number>;
  exitCode: number | undefined;
}

const TRACE_MAX = 4000;
const VIOLATIONS_MAX = 5;

export function simulate(seed: number, observe?: (event: InspectionEvent) => void): Outcome {
  const random = new Random(seed);
  const clock = new VirtualClock();
  const world = new World(clock, random, {
    surge: random.pick([{ count: 1 }, { count: 2 }, { percent: 50 }, { percent: 100 }]),
    workers: random.between(1, 5),
    timeoutMs: random.pick([0, 5_000, 30_000]),
  });
  const outcome: Outcome = {
    seed,
    violations: world.violations,
    steps: 0,
    trace: [],
    ends: {},
    exitCode: undefined,
  };
  const trace = (line: string): void => {
    if (outcome.trace.length < TRACE_MAX) outcome.trace.push(`${String(clock.nowMs).padStart(8)} ${line}`);
  };
  const violate = (what: string): void => {
    if (world.violations.length < VIOLATIONS_MAX) world.violations.push(`at ${clock.nowMs} ms: ${what}`);
    trace(`VIOLATION ${what}`);
  };

  const control = new ControlWorld(clock, seed, violate);
  const dirty = new DirtyWorld(world, seed, { trace, violate, observe: (event) => observe?.(event) });
  const upgrade = new UpgradeWorld(clock, seed, { trace, violate });
  const ledger = new Ledger(control, violate);
  let order = (_order: ArbiterOrder): void => {};
  const actor = createActor(
    arbiterMachine.provide({
      actors: {
        signals: fromCallback(({ sendBack }) => {
          order = sendBack;
        }),
        generations: world.generationsActor(),
        logs: fromCallback<LogOrder>(() => {}),
        pool: poolMachine.provide({
          delays: {
            backoff: ({ context }) => jittered(backoffOf(context), random.next()),
          },
          actors: { child: childMachine.provide({ actors: { process: world.process() } }) },
        }),
        control: control.listenerMachine(),
        dirty: dirty.treeMachine(),
        successor: upgrade.successorMachine(),
        predecessor: upgrade.predecessorActor(),
      },
    }),
    {
      id: 'arbiter',
      clock,
      input: {
        workersMax: 8,
        controls: control.wishes,
        lameDuckMs: seed % 3 === 0 ? 2000 : 0,
        predecessor: upgrade.predecessor,
        noUpgrade: upgrade.noUpgrade,
      },
      inspect: (event) => {
        watch(event, trace, violate);
        ledger.watch(event);
        dirty.watch(event);
        observe?.(event);
      },
    },
  );

  actor.on('order.taken', (order) => {
    trace(`order.taken ${order.orderId} ${order.order}`);
    ledger.take(order);
  });
  for (const type of ['order.done', 'order.refused', 'order.failed', 'order.superseded'] as const)
    actor.on(type, (end) => {
      outcome.ends[type] = (outcome.ends[type] ?? 0) + 1;
      trace(`${type} ${end.orderId} ${end.order} ${end.fault?.message ?? ''}`);
      ledger.end(end);
      control.ended(end);
    });
  let failed: unknown;
  actor.subscribe({
    error: (error) => {
      failed = error;
    },
  });
  control.agesOf = () => [...world.live.keys()];
  control.running = () => running();
  dirty.webPool = () => pool();
  actor.start();

  const send = (event: ArbiterOrder): void => {
    trace(`order: ${JSON.stringify(event)}`);
    order(event);
  };
  const pool = (): PoolContext | undefined =>
    (actor.getSnapshot().children.pool?.getSnapshot() as { context: PoolContext } | undefined)?.context;
  const running = (): boolean => actor.getSnapshot().status === 'active' && failed === undefined;
  const check = (): void => {
    if (failed !== undefined)
      return violate(`the root machine is in error: ${String((failed as Error)?.stack ?? failed)}`);
    const context = pool();
    if (context && running()) checkPool(context, world, violate);
    dirty.check();
    ledger.check(actor.getSnapshot());
    if (running()) checkControl(actor.getSnapshot().children, violate);
    const left = world.live.size + dirty.left;
    if (!running() && left > 0) violate(`${left} processes outlive the arbiter`);
  };
  const run = (forMs: number): void => {
    const untilMs = clock.nowMs + forMs;
    while (world.violations.length === 0 && clock.step(untilMs)) {
      outcome.steps++;
      check();
    }
  };

  // Safety, under faults.
  const ops = random.between(5, 25);
  for (let op = 0; op < ops && running() && world.violations.length === 0; op++) {
    if (control.wishes.length > 0) {
      if (random.chance(0.5)) control.connect();
      if (random.chance(0.004)) control.flood();
    }
    if (dirty.wanted) dirty.disturb(send, run);
    disturb(world, dirty, random, send, trace, run);
    upgrade.disturb();
    check();
    run(random.pick([0, 5, 50, 500, 3000, 20_000]));
  }

  // Liveness, once they stop.
  world.pacify();
  control.pacify();
  dirty.pacify();
  upgrade.pacify();
  run(60_000);
  dirty.checkQuiet(ledger.open);
  run(60_000);
  if (running() && !isStopping(actor.getSnapshot().value)) {
    dirty.checkQuiet(ledger.open);
    send({ type: 'arbiter.reload', source: 'test' });
    run(120_000);
    const context = pool();
    if (context && running()) {
      checkConverged(context, world, violate);
      if (ledger.open.size > 0) violate(`orders never answered: ${[...ledger.open].join(', ')}`);
      if (dirty.wanted) dirty.checkConverged(context.committed);
      checkQuiet(actor.getSnapshot().children, violate);
    }
    send({ type: 'arbiter.stop', mode: 'graceful', source: 'test' });
    run(60_000);
  }
  run(60_000);
  if (actor.getSnapshot().status !== 'done')
    violate(`the arbiter did not stop: ${JSON.stringify(actor.getSnapshot().value)}`);
  if (world.live.size + dirty.left > 0)
    violate(`${world.live.size + dirty.left} processes left after the stop`);
  dirty.checkNobodyWaits();
  upgrade.checkEnd();
  if (ledger.open.size > 0) violate(`orders never answered: ${[...ledger.open].join(', ')}`);
  const timers = timersOf(actor);
  if (timers > 0) violate(`${timers} timers of machines left after the stop`);
  if (clock.pending > 0 && world.violations.length === 0) {
    run(600_000);
    if (clock.pending > 0) violate(`${clock.pending} timers left after the stop`);
  }
  if (dirty.workersLeft > 0) violate(`${dirty.workersLeft} dirty workers left after the stop`);
  outcome.exitCode = actor.getSnapshot().output?.exitCode;
  return outcome;
}

const isStopping = (value: unknown): boolean => JSON.stringify(value).includes('stopping');

/** One disturbance: an order, a kill from outside, or a machine that sleeps. */
function disturb(
  world: World,
  dirty: DirtyWorld,
  random: Random,
  send: (order: ArbiterOrder) => void,
  trace: (line: string) => void,
  run: (forMs: number) => void,
): void {
  const victim = (): ReturnType<World['live']['get']> => random.pick([...world.live.values()]);
  const dice = random.next();
  if (dice < 0.25) send({ type: 'arbiter.reload', source: 'test' });
  else if (dice < 0.45)
    send({ type: 'arbiter.scale', by: random.pick([1, 1, 2, -1, -1, -2]), source: 'test' });
  else if (dice < 0.5) send({ type: 'arbiter.reopen', source: 'test' });
  else if (dice < 0.515) send({ type: 'arbiter.upgrade', source: 'test' });
  else if (dice < 0.525) send({ type: 'arbiter.rest', source: 'test' });
  else if (dice < 0.55)
    for (let n = random.pick([1, 1, 2, 3, 4]); n > 0; n--) {
      send({ type: 'arbiter.stop', mode: random.pick(['graceful', 'quick']), source: 'test', signal: 15 });
      run(random.pick([0, 0, 100, 1500]));
    }
  else if (dice < 0.65)
    for (let n = random.pick([1, 1, 2]); n > 0; n--)
      send({
        type: 'arbiter.retire',
        age: random.chance(0.9) ? (victim()?.age ?? 0) : 100_000,
        leave: random.pick(['drain', 'quit', 'kill']),
        source: 'test',
      });
  else if (dice < 0.75) {
    const one = victim();
    trace(`kill -9 of worker ${one?.age}`);
    one?.kill('SIGKILL');
  } else if (dice < 0.85) {
    const one = victim();
    trace(`TERM to worker ${one?.age}`);
    one?.terminate();
  } else if (dice < 0.9) {
    trace('the machine sleeps');
    world.suspended = true;
    dirty.suspended = true;
    run(random.between(1000, 60_000));
    world.suspended = false;
    dirty.suspended = false;
  } else if (dice < 0.95)
    for (let n = random.between(2, 30); n > 0; n--) send({ type: 'arbiter.reload', source: 'test' });
  else for (const one of world.live.values()) one.kill('SIGKILL');
}
