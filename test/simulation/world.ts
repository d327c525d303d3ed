/**
 * The world of a simulation: processes that never boot, crash, hang, ignore drain, exit late and report twice, and
 * generations that cannot be prepared. Everything it does comes from one seed and one clock.
 */
import { fromCallback } from 'xstate';
import type { ProcessInput } from '../../src/machines/child.ts';
import type { Generation, GenerationOrder, GenerationReport } from '../../src/machines/events/generation.ts';
import type { ProcessOrder, ProcessReport } from '../../src/machines/events/process.ts';
import type { WorkerReport } from '../../src/machines/events/worker.ts';
import type { Fault } from '../../src/machines/faults.ts';
import type { VirtualClock } from './clock.ts';
import type { Random } from './random.ts';

const FAULTY = [
  'spawnFails',
  'neverSpeaks',
  'neverReady',
  'bootFails',
  'diesBooting',
  'crashes',
  'hangs',
  'ignoresDrain',
  'exitsLate',
  'reportsTwice',
  'breaksLink',
  'recycles',
  'terminated',
  'slowToDie',
  'swells',
  'bursts',
  'failsLate',
] as const;
type Behaviour = 'sound' | (typeof FAULTY)[number];

const NEVER_READY = ['spawnFails', 'neverSpeaks', 'neverReady', 'bootFails', 'diesBooting'] as const;

export interface SimProcess {
  readonly age: number;
  readonly generation: number;
  readonly behaviour: Behaviour;
  kill(signal: string): void;
  terminate(): void;
}

const fault: Fault = { code: 'app.loadFailed', message: 'simulated' };
const memoryExceeded = (limit: 'soft' | 'hard'): ProcessReport => ({
  type: 'process.swelled',
  limit,
  fault: { code: 'worker.overweight', message: 'simulated' },
});

export class World {
  readonly live = new Map<number, SimProcess>();
  readonly ages = new Set<number>();
  /** Generations prepared and not released. */
  readonly generations = new Set<number>();
  /** The listeners are closed: nothing may be started any more. */
  closed = false;
  /** Code that cannot boot at all, by generation. */
  readonly broken = new Set<number>();
  /** While true, processes misbehave; a simulation ends with a world at peace. */
  faults = true;
  /** While true nothing in the world makes progress, though time passes for the machines: a stopped machine. */
  suspended = false;

  constructor(
    readonly clock: VirtualClock,
    readonly random: Random,
    readonly shape: { surge: Generation['surge']; workers: number; timeoutMs: number },
    readonly violations: string[] = [],
  ) {}

  /** The dirty workers of a generation, where there are any. */
  dirtyOf = (_number: number): Generation['dirty'] => undefined;

  /** Something that happens later, unless the process is gone; waits while the world is suspended. */
  later(delayMs: number, happen: () => void): void {
    this.clock.setTimeout(() => (this.suspended ? this.later(1000, happen) : happen()), delayMs);
  }

  #behaviour(generation: number): Behaviour {
    if (!this.faults) return 'sound';
    // A first start that fails ends the server: most runs are to see what comes after it.
    if (generation === 1 && this.clock.nowMs < 1000 && this.random.chance(0.9)) return 'sound';
    if (this.broken.has(generation)) return this.random.pick(NEVER_READY);
    return this.random.chance(0.3) ? this.random.pick(FAULTY) : 'sound';
  }

  process = () =>
    fromCallback<ProcessOrder, ProcessInput>(({ sendBack, receive, input }) => {
      const report = sendBack as (event: ProcessReport | WorkerReport) => void;
      const { age, generation } = input;
      const behaviour = this.#behaviour(generation);
      const random = this.random;
      let alive = true;
      let deaf = false;

      if (this.ages.has(age)) this.violations.push(`age ${age} was used twice`);
      this.ages.add(age);
      if (this.closed) this.violations.push(`worker ${age} was started while stopping`);
      if (!this.generations.has(generation))
        this.violations.push(`a worker of generation ${generation}, which is released`);

      const say = (delayMs: number, event: ProcessReport | WorkerReport): void =>
        this.later(delayMs, () => {
          if (!alive) return;
          report(event);
          if (behaviour === 'reportsTwice') report(event);
        });
      const die = (delayMs: number, code: number | null, signal: string | null): void =>
        this.later(delayMs, () => {
          if (!alive) return;
          alive = false;
          this.live.delete(age);
          report({ type: 'process.exited', code, signal });
        });

      if (behaviour === 'spawnFails') {
        this.later(1, () => report({ type: 'process.spawnFailed', fault }));
        return;
      }
      this.live.set(age, {
        age,
        generation,
        behaviour,
        kill: (signal) => die(1, null, signal),
        terminate: () => {
          if (deaf) return;
          say(1, { type: 'worker.draining', orderId: 0, cause: 'terminated' });
          die(random.between(2, 2000), 0, null);
        },
      });
      report({ type: 'process.spawned', pid: 1000 + age });
      this.#live(behaviour, input, say, die, () => {
        deaf = true;
      });

      receive((order) => {
        if (order.type === 'process.signal') {
          const slow = behaviour === 'slowToDie' && random.chance(0.7);
          if (order.signal === 'SIGKILL') die(slow ? random.between(1000, 9000) : 1, null, 'SIGKILL');
          else if (behaviour !== 'ignoresDrain' && !slow && !(behaviour === 'hangs' && random.chance(0.5)))
            die(2, null, order.signal);
          return;
        }
        if (deaf || behaviour === 'ignoresDrain' || behaviour === 'neverSpeaks') return;
        if (order.type === 'worker.drain') {
          say(1, { type: 'worker.draining', orderId: order.orderId, cause: 'ordered' });
          const late =
            behaviour === 'exitsLate' ? order.graceMs + random.between(0, 5000) : random.between(2, 3000);
          say(late - 1, { type: 'worker.drained', cut: 0 });
          die(late, 0, null);
        }
        if (order.type === 'worker.quit')
          die(random.between(1, behaviour === 'exitsLate' ? 5000 : 500), 0, null);
      });
    });

  #live(
    behaviour: Behaviour,
    input: ProcessInput,
    say: (delayMs: number, event: ProcessReport | WorkerReport) => void,
    die: (delayMs: number, code: number | null, signal: string | null) => void,
    goDeaf: () => void,
  ): void {
    const { random } = this;
    if (behaviour === 'neverSpeaks') return goDeaf();
    const helloMs = random.between(1, 80);
    say(helloMs, {
      type: 'worker.hello',
      protocol: 1,
      kind: 'web',
      age: input.age,
      generation: input.generation,
    });
    const readyMs = helloMs + random.between(1, 900);
    switch (behaviour) {
      case 'neverReady':
        return;
      case 'bootFails':
        say(readyMs, { type: 'worker.bootFailed', fault });
        return die(readyMs + random.between(0, 5000), 4, null);
      case 'diesBooting':
        return die(readyMs, random.chance(0.5) ? 1 : null, 'SIGKILL');
      default:
    }
    say(readyMs, { type: 'worker.ready' });
    const atMs = readyMs + random.between(1, 30_000);
    switch (behaviour) {
      case 'crashes':
        say(atMs, { type: 'worker.lastWords', fault: { ...fault, code: 'worker.uncaught' } });
        return die(atMs + 1, 1, null);
      case 'hangs':
        this.later(atMs, goDeaf);
        if (this.shape.timeoutMs > 0)
          say(atMs + this.shape.timeoutMs, { type: 'process.silent', silentMs: this.shape.timeoutMs });
        return;
      case 'breaksLink':
        return say(atMs, {
          type: 'process.linkBroken',
          fault: { code: 'link.mismatch', message: 'simulated' },
        });
      case 'recycles':
        return say(atMs, { type: 'worker.recycleDue', requests: 1000 });
      case 'swells':
        return say(atMs, memoryExceeded('soft'));
      case 'bursts':
        // Told again while it lasts, and perhaps before it is ready.
        say(random.between(1, readyMs + 200), memoryExceeded('soft'));
        for (let time = 0; time < 20; time++) say(atMs + 1000 * time, memoryExceeded('hard'));
        return;
      case 'failsLate':
        say(atMs, { type: 'worker.lastWords', fault: { ...fault, code: 'worker.uncaught' } });
        say(atMs, { type: 'worker.draining', orderId: 0, cause: 'uncaught' });
        return die(atMs + random.between(1, 7000), 1, null);
      case 'terminated':
        say(atMs, { type: 'worker.draining', orderId: 0, cause: 'terminated' });
        return die(atMs + random.between(1, 3000), 0, null);
      default:
    }
  }

  generationsActor = () =>
    fromCallback<GenerationOrder>(({ sendBack, receive }) => {
      const report = sendBack as (event: GenerationReport) => void;
      receive((order) => {
        if (order.type === 'generation.release') {
          if (!this.generations.delete(order.number))
            this.violations.push(`generation ${order.number} released twice`);
          for (const { age, generation } of this.live.values())
            if (generation === order.number)
              this.violations.push(`generation ${generation} released while worker ${age} lives`);
          return;
        }
        if (order.type === 'generation.close') {
          this.closed = true;
          return;
        }
        const { number, orderId } = order;
        const refused = this.faults && this.random.chance(number === 1 ? 0.02 : 0.1);
        if (this.faults && this.random.chance(number === 1 ? 0.03 : 0.25)) this.broken.add(number);
        this.later(this.random.between(0, 200), () => {
          if (refused)
            return report({
              type: 'generation.refused',
              orderId,
              number,
              fault: { code: 'bind.inUse', message: 'simulated' },
            });
          this.generations.add(number);
          report({ type: 'generation.prepared', orderId, generation: this.generation(number) });
        });
      });
    });

  generation(number: number): Generation {
    return {
      number,
      limits: {
        bootMs: 10_000,
        timeoutMs: this.shape.timeoutMs,
        graceMs: 8_000,
        quitMs: 2_000,
        abortMs: 1_000,
        stableMs: 10_000,
        killAgainMs: 5_000,
      },
      surge: this.shape.surge,
      settleMs: 1_000,
      workers: number % 7 === 6 ? this.shape.workers + 1 : this.shape.workers,
      dirty: this.dirtyOf(number),
    };
  }

  /** From now on everything is sound: broken code is mended, and nobody misbehaves anew. */
  pacify(): void {
    this.faults = false;
    this.suspended = false;
    this.broken.clear();
  }
}
