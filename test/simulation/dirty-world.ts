/**
 * The dirty tree of a simulation: dirty arbiters that never speak, cannot open, crash, hang or lose their links, and what
 * is ordered of them. Its chance is its own, so that a run without a dirty tree is the same run.
 */
import { fromCallback, type InspectionEvent } from 'xstate';
import { TreeGenerations } from '../../src/actors/dirty/tree-generations.ts';
import { childMachine, type ProcessInput } from '../../src/machines/child.ts';
import { type DirtyLinkReport, dirtyTreeMachine } from '../../src/machines/dirty-tree.ts';
import type { ArbiterOrder } from '../../src/machines/events/arbiter.ts';
import type {
  DirtyArbiterReport,
  DirtyGeneration,
  DirtyOrder,
  DirtyReport,
} from '../../src/machines/events/dirty.ts';
import type { ChildLimits, Generation } from '../../src/machines/events/generation.ts';
import type { ProcessOrder, ProcessReport } from '../../src/machines/events/process.ts';
import type { WorkerReport } from '../../src/machines/events/worker.ts';
import { jittered } from '../../src/machines/policy.ts';
import { poolMachine } from '../../src/machines/pool.ts';
import { backoffOf, type PoolContext } from '../../src/machines/pool-context.ts';
import { checkConverged } from './checks.ts';
import { DirtyProcess } from './dirty-process.ts';
import { Random } from './random.ts';
import type { World } from './world.ts';

const SHARE = 0.25;
/** As many as the largest pool can hold, so that a reload has to make room. */
const GPUS = [6, 6, 3];
const FAULTY = ['spawnFails', 'neverSpeaks', 'opensNot', 'crashes', 'hangs', 'losesLink'] as const;
type Behaviour = 'sound' | (typeof FAULTY)[number];

/** What of an order to the dirty tree is given and ends; the others are told as they are. */
const GIVEN = new Set(['dirty.scale', 'dirty.replace', 'dirty.retire', 'dirty.cancel']);
const ENDS = new Set(['dirty.done', 'dirty.refused', 'dirty.failed', 'dirty.superseded']);

type Told = (report: DirtyLinkReport) => void;

interface Telling {
  trace(line: string): void;
  violate(what: string): void;
  observe(event: InspectionEvent): void;
}

export class DirtyWorld {
  /** Whether this run has a dirty tree. */
  readonly wanted: boolean;
  readonly processes = new Set<DirtyProcess>();
  readonly #generations = new TreeGenerations({
    send: (order) => {
      if (!this.#linked) this.#telling.violate(`${order.type} has no dirty arbiter to go to`);
      this.#linked?.tell(order);
    },
    quit: () => this.#newest?.tell({ type: 'worker.quit', orderId: 0, graceMs: 2000 }),
    report: (report) => this.#toTree(report),
  });
  /** The dirty arbiter that was started last. */
  #newest: DirtyProcess | undefined;
  readonly #web: World;
  readonly #random: Random;
  readonly #telling: Telling;
  readonly #limits: ChildLimits;
  readonly #orderLimitMs: number;
  readonly #gpus: number;
  readonly #startedWith = new WeakMap<DirtyProcess, DirtyGeneration>();
  readonly #workers: World[] = [];
  readonly #given = new Set<number>();
  readonly #ended = new Set<number>();
  #toTree: Told = () => {};
  /** Whose link the tree was told of. */
  #linked: DirtyProcess | undefined;
  /** The web pool's context, where there is one. */
  webPool = (): PoolContext | undefined => undefined;

  constructor(web: World, seed: number, telling: Telling) {
    const random = new Random(seed ^ 0x2c1b3c6d);
    this.#random = random;
    this.#web = web;
    this.#telling = telling;
    this.wanted = random.chance(SHARE);
    const timeoutMs = random.pick([5_000, 30_000]);
    this.#limits = {
      bootMs: 15_000,
      timeoutMs,
      graceMs: 12_000,
      quitMs: 4_000,
      abortMs: 1_000,
      stableMs: 10_000,
      killAgainMs: 5_000,
    };
    this.#orderLimitMs = random.pick([15_000, 60_000, 110_000]);
    const workers = random.between(1, 3);
    this.#gpus = random.pick(GPUS);
    if (this.wanted)
      web.dirtyOf = (number) => ({ generation: this.#generation(number, workers), limits: this.#limits });
  }

  #generation(number: number, workers: number): DirtyGeneration {
    const { surge, timeoutMs } = this.#web.shape;
    const generation: DirtyGeneration = {
      generation: number,
      apps: [
        { importPath: 'a', number: 0, path: '/a', className: 'A', workers: null, resources: { gpu: 1 } },
      ],
      cwd: '/',
      env: {},
      workers: number % 5 === 4 ? workers + 2 : workers,
      threads: 1,
      resources: { gpu: this.#gpus },
      queueMax: 10,
      callTimeoutMs: 0,
      hooks: null,
      bootMs: 10_000,
      timeoutMs,
      graceMs: 8_000,
      settleMs: 1_000,
      surge,
    };
    if (!this.committed) this.#generations.begin(generation);
    return generation;
  }

  /** What the next dirty arbiter is started with, unless a reload is its trial. */
  get committed(): DirtyGeneration | undefined {
    return this.#generations.committed;
  }

  /** The tree machine, with the dirty arbiters of this world. */
  treeMachine = () =>
    dirtyTreeMachine.provide({
      delays: { orderLimit: this.#orderLimitMs },
      actors: {
        link: fromCallback<DirtyOrder>(({ sendBack, receive }) => {
          this.#toTree = sendBack as Told;
          receive((order) => this.#pass(order));
        }),
        pool: poolMachine.provide({
          delays: { backoff: ({ context }) => jittered(backoffOf(context), this.#random.next()) },
          actors: { child: childMachine.provide({ actors: { process: this.#process() } }) },
        }),
      },
    });

  #pass(order: DirtyOrder): void {
    if (order.type === 'dirty.commit' && this.webPool()?.trial?.orderId !== order.orderId)
      this.#telling.violate(`the dirty pool is to commit ${order.orderId}, which the web pool does not try`);
    this.#generations.pass(order);
    if (order.type === 'dirty.commit') this.#spoil();
  }

  /** The moments around a commit are those where most can go wrong. */
  #spoil(): void {
    const random = this.#random;
    const process = this.#linked;
    if (!process || !this.#web.faults || !random.chance(0.5)) return;
    const worker = random.pick([...process.workers.live.values()].slice(-2));
    const spoilt = random.pick([
      () => worker?.kill('SIGKILL'),
      () => process.signal({ type: 'signals.reload' }),
      () => process.signal({ type: 'signals.scale', by: 3 }),
      () => process.signal({ type: 'signals.stop', leave: 'drain' }),
      () => process.die(0, null, 'SIGKILL'),
      () => random.pick([...this.#web.live.values()].slice(-2))?.kill('SIGKILL'),
    ]);
    process.workers.later(random.pick([0, 5, 20, 500]), spoilt);
  }

  #behaviour(): Behaviour {
    const { faults, clock } = this.#web;
    if (!faults || (clock.nowMs < 1000 && this.#random.chance(0.95))) return 'sound';
    return this.#random.chance(0.3) ? this.#random.pick(FAULTY) : 'sound';
  }

  #process = () =>
    fromCallback<ProcessOrder, ProcessInput>(({ sendBack, receive, input }) => {
      const report = sendBack as (event: ProcessReport | WorkerReport) => void;
      const { violate } = this.#telling;
      const random = this.#random;
      const web = this.#web;
      const behaviour = this.#behaviour();
      if (behaviour === 'spawnFails') {
        const fault = { code: 'process.spawnFailed', message: 'simulated' } as const;
        web.later(1, () => report({ type: 'process.spawnFailed', fault }));
        return;
      }
      if (this.processes.size > 0) violate('there are two dirty arbiters');
      const started = this.#generations.launched();
      const process: DirtyProcess = new DirtyProcess({
        ...this.#telling,
        age: input.age,
        web,
        random,
        opensNot: behaviour === 'opensNot',
        hear: (event) => this.#hear(process, event, report),
        exited: (code, signal) => {
          this.processes.delete(process);
          // In this order: its successor is started at once.
          this.#unlink(process);
          report({ type: 'process.exited', code, signal });
        },
      });
      this.processes.add(process);
      this.#newest = process;
      this.#startedWith.set(process, started!);
      this.#workers.push(process.workers);
      report({ type: 'process.spawned', pid: 10_000 + input.age });
      const kind = 'dirtyArbiter';
      if (behaviour !== 'neverSpeaks')
        process.up.push({
          type: 'worker.hello',
          protocol: 1,
          kind,
          age: input.age,
          generation: input.generation,
        });
      this.#trouble(process, behaviour, report);
      receive((order) => {
        if (order.type !== 'process.signal') return process.tell(order);
        if (order.signal === 'SIGKILL' || !process.hung || random.chance(0.5))
          process.die(1, null, order.signal);
      });
    });

  /** What goes wrong with it after a while. */
  #trouble(
    process: DirtyProcess,
    behaviour: Behaviour,
    report: (event: ProcessReport | WorkerReport) => void,
  ): void {
    const afterMs = this.#random.between(1, 30_000);
    const later = process.workers.later.bind(process.workers);
    if (behaviour === 'crashes') process.die(afterMs, this.#random.chance(0.5) ? 70 : null, 'SIGSEGV');
    if (behaviour === 'losesLink') later(afterMs, () => this.#lose(process, report));
    if (behaviour === 'hangs')
      later(afterMs, () => {
        process.hung = true;
        const silentMs = this.#limits.timeoutMs;
        later(silentMs, () => process.alive && report({ type: 'process.silent', silentMs }));
      });
  }

  #lose(process: DirtyProcess, report: (event: ProcessReport | WorkerReport) => void): void {
    if (!process.alive) return;
    process.cut();
    this.#unlink(process);
    report({ type: 'process.linkBroken', fault: { code: 'link.mismatch', message: 'simulated' } });
  }

  #unlink(process: DirtyProcess): void {
    if (this.#newest !== process) return;
    this.#newest = undefined;
    this.#linked = undefined;
    this.#generations.gone();
  }

  /** What a dirty arbiter said has arrived. */
  #hear(
    process: DirtyProcess,
    event: DirtyArbiterReport,
    report: (event: ProcessReport | WorkerReport) => void,
  ): void {
    if (event.type === 'worker.heartbeat' || event.type === 'dirty.described') return;
    if (event.type === 'dirty.committed') {
      this.#generations.heard(event);
      this.#telling.trace(`the dirty arbiter is of generation ${this.committed?.generation} from now on`);
      this.#spoil();
    } else this.#generations.heard(event);
    if (event.type.startsWith('dirty.')) return this.#toTree(event as DirtyReport);
    report(event as WorkerReport);
    if (event.type === 'worker.hello') {
      process.tell({ type: 'worker.boot', spec: this.#spec(process) });
      this.#generations.linked();
    }
    if (event.type !== 'worker.ready') return;
    this.#linked = process;
    this.#generations.ready();
  }

  #spec = (process: DirtyProcess) => ({
    age: process.age,
    socket: '/simulated',
    stashFile: '/simulated',
    stashBytesMax: 1,
    heartbeatMs: 1000,
    workerFile: '/simulated',
    generation: this.#startedWith.get(process)!,
  });

  /** Each order to the tree ends in exactly one report. */
  watch(event: InspectionEvent): void {
    if (event.type !== '@xstate.event' || !('orderId' in event.event)) return;
    const { type, orderId } = event.event as { type: string; orderId: number };
    const { id } = event.actorRef as unknown as { id: string };
    if (id === 'dirty' && GIVEN.has(type)) this.#given.add(orderId);
    if (id !== 'arbiter' || !ENDS.has(type)) return;
    if (this.#ended.has(orderId)) this.#telling.violate(`the dirty tree ended order ${orderId} twice`);
    if (!this.#given.has(orderId))
      this.#telling.violate(`the dirty tree ended order ${orderId}, which nobody gave`);
    this.#ended.add(orderId);
  }

  /** One thing that happens to the dirty tree. */
  disturb(send: (order: ArbiterOrder) => void, run: (forMs: number) => void): void {
    const random = this.#random;
    if (random.chance(0.2)) {
      // A reload that is left alone for a while, so that it comes as far as its commit points.
      run(random.pick([0, 0, 1500]));
      send({ type: 'arbiter.reload', source: 'test' });
      run(random.between(1500, 6000));
    }
    const process = random.pick([...this.processes]);
    const worker = process && random.pick([...process.workers.live.values()]);
    const age = worker && random.chance(0.9) ? worker.age : 100_000;
    const leave = random.pick(['drain', 'quit', 'kill'] as const);
    const dice = random.next();
    const source = 'test';
    if (dice < 0.25)
      send({ type: 'arbiter.dirtyScale', by: random.pick([1, 1, 2, 20, -1, -1, -20]), source });
    else if (dice < 0.35) send({ type: 'arbiter.dirtyRetire', age, leave, source });
    else if (dice < 0.42) send({ type: 'arbiter.dirtyCancel', call: 1, source });
    else if (dice < 0.424)
      for (let n = 0; n < 300; n++) send({ type: 'arbiter.dirtyCancel', call: n, source });
    else if (dice < 0.6) worker?.kill('SIGKILL');
    else if (dice < 0.65) worker?.terminate();
    else if (dice < 0.75) process?.die(random.pick([1, 1, 1500]), null, 'SIGKILL');
    else if (dice < 0.8) process?.signal({ type: 'signals.stop', leave: random.pick(['drain', 'quit']) });
    else if (dice < 0.9) process?.signal({ type: 'signals.reload' });
    else if (dice < 0.95) process?.signal({ type: 'signals.scale', by: random.pick([1, -1]) });
    else process?.signal({ type: 'router.stuck', age, why: 'simulated' });
  }

  set suspended(value: boolean) {
    for (const { workers } of this.processes) workers.suspended = value;
  }

  pacify(): void {
    for (const { workers } of this.processes) workers.pacify();
  }

  /** What must hold after every step. */
  check(): void {
    const web = this.webPool()?.committed.number ?? 0;
    if (this.committed && web > this.committed.generation)
      this.#telling.violate(
        `the web pool committed ${web} before the dirty pool, which is at ${this.committed.generation}`,
      );
    for (const process of this.processes) process.check();
  }

  /** A dirty pool tries nothing but what the arbiter has open, and is of what the arbiter knows as committed. */
  checkQuiet(open: ReadonlySet<number>): void {
    const { violate } = this.#telling;
    for (const { pool, actor } of this.processes) {
      if (pool?.trial && !open.has(pool.trial.orderId))
        violate(`the dirty pool tries what order ${pool.trial.orderId} asked for, which has ended`);
      const { committed } = actor.getSnapshot().context;
      const wanted = this.#generations.trial ?? this.committed;
      if (pool && committed?.generation !== wanted?.generation)
        violate(`the dirty pool is of ${committed?.generation}, it should be ${wanted?.generation}`);
    }
  }

  /** What must hold once the faults have stopped: one generation in both pools. */
  checkConverged(web: Generation): void {
    const { violate } = this.#telling;
    const [process] = this.processes;
    if (!process?.pool || this.processes.size !== 1)
      return violate(`there are ${this.processes.size} dirty arbiters`);
    checkConverged(process.pool, process.workers, violate);
    const { committed } = process.actor.getSnapshot().context;
    if (committed?.generation !== web.number || this.committed?.generation !== web.number)
      violate(`the dirty pool is of generation ${committed?.generation}, the web pool of ${web.number}`);
    this.checkNobodyWaits();
  }

  checkNobodyWaits(): void {
    const waiting = [...this.#given].filter((orderId) => !this.#ended.has(orderId));
    if (waiting.length > 0) this.#telling.violate(`orders the dirty tree never ended: ${waiting.join(', ')}`);
  }

  get left(): number {
    return this.processes.size;
  }

  /** Dirty workers that live, those of dead dirty arbiters included. */
  get workersLeft(): number {
    return this.#workers.reduce((sum, { live }) => sum + live.size, 0);
  }
}
