/**
 * Orders that somebody waits for, from the event to the arbiter machine to the reply made from its reports. Runs in the
 * arbiter. Plain commands are answered when the order is accepted, those with `--wait` when it has ended; whoever asked
 * for a stream hears in between what happens.
 */
import { performance } from 'node:perf_hooks';
import type { ArbiterOrder, ArbiterReport, OrderEnded } from '../../machines/events/arbiter.ts';
import type { Call } from './call.ts';
import type { Journal, JournalEvent } from './journal.ts';
import type { Scene } from './scene.ts';

export interface Progress {
  done: number;
  /** Null where nobody knows it. */
  total: number | null;
}

/** How an order is answered. */
export interface Answers {
  /** The fields of the reply once it is accepted. */
  accepted(report: ArbiterReport): object;
  /** The fields in place of an error, where it was refused and that is no mistake. */
  refused?(report: OrderEnded): object | undefined;
  /** How far it is. */
  progress?(): Progress;
  /** Resolves when those that it removed have gone, where they are not the arbiter's own workers; `isOver`: nobody waits. */
  gone?(isOver: () => boolean): Promise<void>;
  /** Whether an event is about it; without this only what the log says of the order itself is. */
  concerns?(event: JournalEvent): boolean;
}

interface Waiting extends Answers {
  call: Call;
  /** Whether the end is waited for. */
  waits: boolean;
  startedMs: number;
  /** Ages of workers that were leaving before. */
  leavingBefore: ReadonlySet<number>;
  /** How it was accepted, if it was. */
  taken?: ArbiterReport;
  /** Ages of workers that were leaving when the order was done, and are waited for; then its end. */
  leaving?: Set<number>;
  end?: OrderEnded;
  /** Somebody else says when those that are removed have gone. */
  isHeld?: boolean;
  /** Connections that were cut meanwhile. */
  cut: number;
}

export class OrderBook {
  readonly #scene: Scene;
  readonly #waiting = new Map<number, Waiting>();
  #steps: JournalEvent[] = [];

  constructor(scene: Scene, journal: Journal) {
    this.#scene = scene;
    journal.watch((event) => this.#onStep(event));
  }

  /** Hands an order to the arbiter machine and answers the call from its reports. */
  place(call: Call, waits: boolean, order: ArbiterOrder, answers: Answers): void {
    const leavingBefore = waits ? this.#leaving() : new Set<number>();
    this.#waiting.set(call.ticket, {
      ...answers,
      call,
      waits,
      leavingBefore,
      cut: 0,
      startedMs: performance.now(),
    });
    call.onOver = () => this.#waiting.delete(call.ticket);
    call.begin(true);
    call.order(order);
  }

  /** To be called with everything the arbiter machine reports of orders. */
  heard(report: ArbiterReport): void {
    const waiting = report.ticket === undefined ? undefined : this.#waiting.get(report.ticket);
    if (!waiting) return;
    if (report.type !== 'order.taken') return this.#onEnded(waiting, report);
    waiting.taken = report;
    if (!waiting.waits) waiting.call.reply(waiting.accepted(report));
  }

  /** The server ends: whoever still waits is answered now. */
  close(): void {
    for (const waiting of [...this.#waiting.values()]) {
      this.#lookWhoLeft(waiting);
      // Everybody who was to leave has left.
      waiting.leaving?.clear();
      waiting.isHeld = false;
      if (waiting.end) this.#onEnded(waiting, waiting.end);
      else waiting.call.fail('The server has stopped');
    }
  }

  #onEnded(waiting: Waiting, end: OrderEnded): void {
    const { call, waits, startedMs } = waiting;
    // The pool is done with a worker when it has let it go; who waits for its removal wants to see it gone.
    if (waits && end.type === 'order.done' && isRemoval(waiting) && !waiting.end) {
      waiting.end = end;
      if (waiting.gone) return void this.#hold(waiting, waiting.gone, end);
      waiting.leaving = this.#leaving();
      for (const age of waiting.leavingBefore) waiting.leaving.delete(age);
    }
    if (waiting.isHeld || (waiting.leaving && waiting.leaving.size > 0)) return;
    if (waits) this.#tellSteps();
    const fields = fieldsOf(waiting, end);
    if (waits)
      call.reply({
        success: end.type === 'order.done',
        status: end.type.slice('order.'.length),
        ...fields,
        ...this.#reloadFields(end),
        ...(end.order === 'arbiter.stop' ? { cut: waiting.cut } : {}),
        ...(end.pid === undefined ? {} : { pid: end.pid }),
        duration_ms: Math.round(performance.now() - startedMs),
        ...(end.type === 'order.done' ? {} : { error: reasonOf(end) }),
        ...(end.fault?.stack === undefined ? {} : { stack: end.fault.stack }),
      });
    else if (fields) call.reply(fields);
    else call.fail(reasonOf(end));
  }

  async #hold(waiting: Waiting, gone: NonNullable<Answers['gone']>, end: OrderEnded): Promise<void> {
    waiting.isHeld = true;
    const isOver = (): boolean => this.#waiting.get(waiting.call.ticket) !== waiting;
    await gone(isOver);
    if (isOver()) return;
    waiting.isHeld = false;
    this.#onEnded(waiting, end);
  }

  #leaving(): Set<number> {
    const leaving = this.#scene.workers().filter(({ member }) => member.phase === 'leaving');
    return new Set(leaving.map(({ member }) => member.age));
  }

  /** Told once the machines have taken in what the line is about. */
  #onStep(event: JournalEvent): void {
    if (![...this.#waiting.values()].some(({ waits }) => waits)) return;
    this.#steps.push(event);
    if (this.#steps.length > 1) return;
    setImmediate(() => {
      this.#tellSteps();
      for (const waiting of [...this.#waiting.values()]) this.#lookWhoLeft(waiting);
    });
  }

  #tellSteps(): void {
    const steps = this.#steps.splice(0);
    for (const waiting of this.#waiting.values()) if (waiting.waits) tellSteps(waiting, steps);
  }

  /** What became of the workers of before: those that stay, and those that still finish what they have. */
  #reloadFields({ type, order, generation, replaced = 0, remaining }: OrderEnded): object {
    if (order !== 'arbiter.reload') return {};
    const former = this.#scene.workers().filter(({ member }) => member.generation !== generation);
    const leaving = former.filter(({ member }) => member.phase === 'leaving').length;
    const left = type === 'order.done' ? 0 : (remaining ?? former.length - leaving);
    return { generation: generation ?? null, replaced, remaining: left, leaving };
  }

  #lookWhoLeft(waiting: Waiting): void {
    const { leaving, end } = waiting;
    if (!leaving || !end) return;
    const still = this.#leaving();
    for (const age of leaving) if (!still.has(age)) leaving.delete(age);
    if (leaving.size === 0) this.#onEnded(waiting, end);
  }
}

const isRemoval = ({ taken }: Waiting): boolean =>
  taken?.type === 'order.taken' && (taken.total ?? 0) < (taken.previous ?? 0);

function tellSteps(waiting: Waiting, steps: readonly JournalEvent[]): void {
  const { call, taken, progress, concerns } = waiting;
  const mine = steps.filter((event) => event['orderId'] === taken?.orderId || concerns?.(event));
  for (const { cut } of mine) waiting.cut += Number(cut ?? 0);
  if (!call.streams || mine.length === 0) return;
  const { done, total } = progress?.() ?? { done: 0, total: null };
  for (const { text } of mine) call.progress({ step: text, done, total });
}

function fieldsOf({ taken, accepted, refused }: Waiting, end: OrderEnded): object | undefined {
  if (taken) return accepted(taken);
  return end.type === 'order.done' ? accepted(end) : refused?.(end);
}

function reasonOf({ type, fault }: OrderEnded): string {
  if (type === 'order.superseded') return 'Superseded by a newer order';
  return sentence(fault?.message ?? type.slice('order.'.length));
}

/** Messages of faults go on from a name; an answer stands alone. Words such as `app.js` keep their case. */
const sentence = (text: string): string =>
  /^[a-z]+ /.test(text) ? text.charAt(0).toUpperCase() + text.slice(1) : text;
