/**
 * Commands that change something: each becomes one event to the arbiter machine, and its reply is made from what the
 * machine reports of it. Runs in the arbiter. Plain commands are answered when the order is accepted, those with
 * `--wait` when it has ended; whoever asked for a stream hears in between what happens.
 */
import { performance } from 'node:perf_hooks';
import type { ArbiterOrder, ArbiterReport, OrderEnded } from '../../machines/events/arbiter.ts';
import type { Call } from './call.ts';
import type { Command } from './grammar.ts';
import type { Journal } from './journal.ts';
import type { Ledger } from './ledger.ts';
import type { Scene } from './scene.ts';

interface Waiting {
  call: Call;
  waits: boolean;
  startedMs: number;
  /** How it was accepted, if it was. */
  taken: ArbiterReport | undefined;
  /** Ages of workers that were leaving when the order was done, and are waited for; then its end. */
  leaving?: Set<number>;
  end?: OrderEnded;
  /** What the plain command answers. */
  plain(report: ArbiterReport): object | string;
  /** How far it is, for those who asked for a stream. */
  progress(): Progress;
}

interface Progress {
  done: number;
  /** Null where nobody knows it. */
  total: number | null;
}

export interface OrdersDeps {
  scene: Scene;
  ledger: Ledger;
  journal: Journal;
}

/** The document's words. */
const DIRTY_OFF = { success: false, error: 'Dirty arbiter not running' };

export class Orders {
  readonly #deps: OrdersDeps;
  readonly #waiting = new Map<number, Waiting>();
  #steps: string[] = [];

  constructor(deps: OrdersDeps) {
    this.#deps = deps;
    deps.journal.watch(({ text }) => this.#onStep(text));
  }

  /** Carries out a command, or answers false where it is none of these. */
  take(command: Command, call: Call): boolean {
    const { spec, count = 1, word, wait: waits } = command;
    switch (spec.name) {
      case 'worker add':
        this.#scale(call, waits, count);
        return true;
      case 'worker remove':
        this.#scale(call, waits, -count);
        return true;
      case 'worker kill':
        this.#kill(call, command.pid!, word === 'quick');
        return true;
      case 'dirty add':
      case 'dirty remove':
        call.reply(DIRTY_OFF);
        return true;
      case 'reload':
        this.#order(
          call,
          waits,
          { type: 'arbiter.reload', source: 'control' },
          {
            plain: () => ({ status: 'reloading' }),
            progress: () => this.#reloadProgress(),
          },
        );
        return true;
      case 'reopen':
        this.#order(
          call,
          false,
          { type: 'arbiter.reopen', source: 'control' },
          {
            plain: () => ({ status: 'reopening' }),
          },
        );
        return true;
      case 'shutdown':
        this.#shutdown(call, waits, word === 'quick' ? 'quick' : 'graceful');
        return true;
      default:
        return false;
    }
  }

  /** To be called with everything the arbiter machine reports of orders. */
  heard(report: ArbiterReport): void {
    if (report.ticket === undefined) return;
    const waiting = this.#waiting.get(report.ticket);
    if (!waiting) return;
    if (report.type === 'order.taken') {
      waiting.taken = report;
      if (!waiting.waits) waiting.call.reply(waiting.plain(report) as object);
      return;
    }
    this.#onEnded(waiting, report);
  }

  #onEnded(waiting: Waiting, report: OrderEnded): void {
    const { call, waits, startedMs, taken, plain } = waiting;
    // The pool is done with a worker when it has let it go; who waits wants to see it gone.
    if (waits && report.type === 'order.done' && report.order === 'arbiter.scale' && !waiting.leaving) {
      waiting.leaving = this.#leaving();
      waiting.end = report;
    }
    if (waiting.leaving && waiting.leaving.size > 0) return;
    const reply = plain(taken ?? report);
    if (!waits) {
      if (report.type === 'order.done' || typeof reply === 'object') return void call.reply(reply as object);
      return call.fail(sentence(report.fault?.message ?? reply));
    }
    const { fault, generation, replaced, remaining } = report;
    const isReload = report.order === 'arbiter.reload';
    call.reply({
      success: report.type === 'order.done',
      status: report.type.slice('order.'.length),
      ...(typeof reply === 'object' && !('status' in reply) ? reply : {}),
      ...(isReload ? { generation, replaced: replaced ?? 0, remaining: remaining ?? 0 } : {}),
      duration_ms: Math.round(performance.now() - startedMs),
      ...(report.type === 'order.done' ? {} : { error: reasonOf(report) }),
      ...(fault?.stack === undefined ? {} : { stack: fault.stack }),
    });
  }

  /** The bounds may leave nothing to do, which is an answer and no error. */
  #scale(call: Call, waits: boolean, by: number): void {
    const did = by > 0 ? 'added' : 'removed';
    this.#order(
      call,
      waits,
      { type: 'arbiter.scale', by, source: 'control' },
      {
        plain: (report) => {
          if (report.type === 'order.taken') {
            const { previous = 0, total = 0, reason } = report;
            return {
              [did]: Math.abs(total - previous),
              previous,
              total,
              ...(reason === undefined ? {} : { reason }),
            };
          }
          if (report.fault?.code !== 'order.outOfBounds' || report.total === undefined) return 'refused';
          const { total } = report;
          return { [did]: 0, previous: total, total, reason: report.fault.message };
        },
        progress: this.#scaleProgress(by),
      },
    );
  }

  #kill(call: Call, pid: number, quick: boolean): void {
    const found = this.#deps.scene.workers().find((worker) => worker.pid === pid);
    const refuse = (error: string) => call.reply({ success: false, error });
    if (!found) {
      if (pid === process.pid) return refuse(`${pid} is the arbiter: use "shutdown"`);
      return refuse(`Worker ${pid} ${this.#deps.ledger.isGone(pid) ? 'has ended already' : 'not found'}`);
    }
    const { age } = found.member;
    this.#order(
      call,
      false,
      { type: 'arbiter.retire', age, leave: quick ? 'quit' : 'drain', source: 'control' },
      {
        plain: (report) => {
          if (report.type === 'order.done') return { success: true, killed: pid };
          return report.type === 'order.refused' && report.fault?.code === 'order.unknown'
            ? { success: false, error: `Worker ${pid} is leaving already` }
            : 'refused';
        },
      },
    );
  }

  #shutdown(call: Call, waits: boolean, mode: 'graceful' | 'quick'): void {
    const before = this.#deps.scene.workers().length;
    this.#order(
      call,
      waits,
      { type: 'arbiter.stop', mode, source: 'control' },
      {
        plain: () => (waits ? { mode } : { status: 'shutting_down', mode }),
        progress: () => ({ done: Math.max(0, before - this.#deps.scene.workers().length), total: before }),
      },
    );
  }

  #order(
    call: Call,
    waits: boolean,
    order: ArbiterOrder,
    { plain, progress }: Pick<Waiting, 'plain'> & Partial<Pick<Waiting, 'progress'>>,
  ): void {
    this.#waiting.set(call.ticket, {
      call,
      waits,
      startedMs: performance.now(),
      taken: undefined,
      plain,
      progress: progress ?? (() => ({ done: 0, total: null })),
    });
    call.onOver = () => this.#waiting.delete(call.ticket);
    call.begin(true);
    call.order(order);
  }

  #leaving(): Set<number> {
    const leaving = this.#deps.scene.workers().filter(({ member }) => member.phase === 'leaving');
    return new Set(leaving.map(({ member }) => member.age));
  }

  #readyWorkers(): number {
    return this.#deps.scene.workers().filter(({ member }) => member.phase === 'ready').length;
  }

  /** Of those that there are to be, how many are ready; of those to be removed, how many are gone. */
  #scaleProgress(by: number): () => Progress {
    const { scene } = this.#deps;
    const before = scene.context.target;
    return () => {
      const { target } = scene.context;
      if (by > 0) return { done: this.#readyWorkers(), total: target };
      const total = Math.max(0, before - target);
      return { done: Math.max(0, total - Math.max(0, scene.workers().length - target)), total };
    };
  }

  #reloadProgress(): Progress {
    const pool = this.#deps.scene.pool()?.context;
    if (!pool) return { done: 0, total: null };
    const newest = pool.trial?.generation.number ?? pool.committed.number;
    const done = pool.members.filter(({ generation, phase }) => generation === newest && phase === 'ready');
    return { done: done.length, total: pool.target };
  }

  /** Told once the machines have taken in what the line is about. */
  #onStep(text: string): void {
    if (![...this.#waiting.values()].some(({ waits }) => waits)) return;
    this.#steps.push(text);
    if (this.#steps.length > 1) return;
    setImmediate(() => {
      const steps = this.#steps;
      this.#steps = [];
      for (const { call, waits, progress } of this.#waiting.values())
        if (waits && call.streams) for (const step of steps) call.progress({ step, ...progress() });
      for (const waiting of [...this.#waiting.values()]) this.#lookWhoLeft(waiting);
    });
  }

  #lookWhoLeft(waiting: Waiting): void {
    const { leaving, end } = waiting;
    if (!leaving || !end) return;
    const still = this.#leaving();
    for (const age of leaving) if (!still.has(age)) leaving.delete(age);
    if (leaving.size === 0) this.#onEnded(waiting, end);
  }
}

const reasonOf = ({ type, fault }: OrderEnded): string => {
  if (type === 'order.superseded') return 'Superseded by a newer order';
  return sentence(fault?.message ?? type.slice('order.'.length));
};

/** Messages of faults go on from a name; an answer stands alone. Words such as `app.js` keep their case. */
const sentence = (text: string): string =>
  /^[a-z]+ /.test(text) ? text.charAt(0).toUpperCase() + text.slice(1) : text;
