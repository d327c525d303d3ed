/**
 * Which web workers accept connections, where an operator takes one out of rotation. Runs in the arbiter, beside the machines: a
 * paused worker is as ready as any other, it only accepts nothing new. Whoever replaces it is not paused.
 */
import type { LeaveOrder } from '../machines/events/lifecycle.ts';
import { type TrafficOrder, type TrafficReport, trafficReports } from '../machines/events/worker.ts';
import type { ProcessHooks } from './process.ts';

/** The longest wait for a worker's answer; it may hang. */
const ANSWER_MS = 15_000;

/** What becomes of a worker that was told to. */
export type Turn = 'paused' | 'resumed';

const ORDERS: Record<Turn, TrafficOrder['type'] & ('worker.pause' | 'worker.resume')> = {
  paused: 'worker.pause',
  resumed: 'worker.resume',
};

interface Member {
  send(order: TrafficOrder): void;
  isPaused: boolean;
  /** Those who wait for the answer to the last order; an error goes on from the worker's name. */
  waiting: { turn: Turn; answer(error?: string): void }[];
}

export class Rotation {
  readonly #members = new Map<number, Member>();

  /** Whether it said that it accepts nothing new. */
  isPaused(age: number): boolean {
    return this.#members.get(age)?.isPaused ?? false;
  }

  /** Tells a worker that is ready; resolves once it is so, or with why it is not. */
  turn(age: number, turn: Turn): Promise<string | undefined> {
    const member = this.#members.get(age);
    if (!member) return Promise.resolve('has ended already');
    for (const one of member.waiting.splice(0))
      if (one.turn === turn) member.waiting.push(one);
      else one.answer('was told otherwise meanwhile');
    return new Promise((resolve) => {
      const waiter = {
        turn,
        answer: (error?: string): void => {
          clearTimeout(limit);
          resolve(error);
        },
      };
      const limit = setTimeout(() => {
        member.waiting = member.waiting.filter((one) => one !== waiter);
        resolve(`has not answered within ${ANSWER_MS / 1000} s: it hangs or is busy, and may yet do it`);
      }, ANSWER_MS).unref();
      member.waiting.push(waiter);
      member.send({ type: ORDERS[turn] });
    });
  }

  /** Every worker goes on in new log files. */
  reopen(): void {
    for (const { send } of this.#members.values()) send({ type: 'worker.reopen' });
  }

  readonly hooks: ProcessHooks<'web'> = {
    linked: (age, _pid, send) => void this.#members.set(age, { send, isPaused: false, waiting: [] }),
    reported: (age, report) => {
      if (Object.hasOwn(trafficReports, report.type)) this.#heard(age, report as TrafficReport);
    },
    leaving: (age, _order: LeaveOrder) => {
      this.#answer(age, 'is leaving already');
      return false;
    },
    gone: (age) => {
      this.#answer(age, 'has ended already');
      this.#members.delete(age);
    },
  };

  #heard(age: number, report: TrafficReport): void {
    const member = this.#members.get(age);
    if (!member) return;
    if (report.type === 'worker.pauseFailed')
      return this.#answer(age, `cannot be paused: ${report.fault.message}`);
    member.isPaused = report.type === 'worker.paused';
    const turn: Turn = member.isPaused ? 'paused' : 'resumed';
    const done = member.waiting.filter((one) => one.turn === turn);
    member.waiting = member.waiting.filter((one) => one.turn !== turn);
    for (const { answer } of done) answer();
  }

  /** Whatever was asked of it will not be. */
  #answer(age: number, error: string): void {
    for (const { answer } of this.#members.get(age)?.waiting.splice(0) ?? []) answer(error);
  }
}
