/**
 * The other arbiter of an upgrade in a simulation: a new one that cannot be started, never serves, serves late, ends at any moment, or
 * does not end when it is told to; and an old one that lives for a while. Its chance is its own, as the control sockets' is.
 */
import { fromCallback } from 'xstate';
import type { PredecessorOrder, SuccessorNews, SuccessorOrder } from '../../src/machines/events/upgrade.ts';
import type { Fault } from '../../src/machines/faults.ts';
import { successorMachine } from '../../src/machines/successor.ts';
import type { VirtualClock } from './clock.ts';
import { Random } from './random.ts';

const OLD_PID = 77;
const ended: Fault = { code: 'upgrade.failed', message: 'the new arbiter ended' };

interface Successor {
  pid: number;
  serves: boolean;
  end(): void;
}

export class UpgradeWorld {
  /** The old arbiter's process number, where this one is the new one of an upgrade. */
  readonly predecessor: number | undefined;
  readonly noUpgrade: string | undefined;
  readonly #clock: VirtualClock;
  readonly #random: Random;
  readonly #trace: (line: string) => void;
  readonly #violate: (what: string) => void;
  #faults = true;
  #lastPid = 1000;
  #isPredecessorGone = false;
  #hasSucceeded = false;
  #successor: Successor | undefined;

  constructor(
    clock: VirtualClock,
    seed: number,
    { trace, violate }: { trace(line: string): void; violate(what: string): void },
  ) {
    this.#clock = clock;
    this.#random = new Random(seed ^ 0x2f6e2b1);
    this.#trace = trace;
    this.#violate = violate;
    this.predecessor = this.#random.chance(0.3) ? OLD_PID : undefined;
    this.noUpgrade = this.#random.chance(0.1) ? 'this is process 1' : undefined;
  }

  /** From now on whoever serves goes on. */
  pacify(): void {
    this.#faults = false;
  }

  /** What must hold when the arbiter has ended: the new one lives on, and what was to be taken is taken. */
  checkEnd(): void {
    if (this.#isPredecessorGone && !this.#hasSucceeded) this.#violate('nobody took what the old arbiter had');
  }

  /** A new arbiter that serves ends, now. */
  disturb(): void {
    if (!this.#successor || !this.#random.chance(0.2)) return;
    this.#trace(`the new arbiter ${this.#successor.pid} ends`);
    this.#successor.end();
  }

  predecessorActor() {
    return fromCallback<PredecessorOrder>(({ sendBack, receive }) => {
      const timer = this.#clock.setTimeout(
        () => {
          this.#isPredecessorGone = true;
          sendBack({ type: 'predecessor.gone', pid: OLD_PID });
        },
        this.#random.between(0, 20_000),
      );
      receive(() => {
        if (!this.#isPredecessorGone) this.#violate('what the old arbiter has was taken while it runs');
        this.#hasSucceeded = true;
      });
      return () => this.#clock.clearTimeout(timer);
    });
  }

  successorMachine(): typeof successorMachine {
    return successorMachine.provide({
      actors: {
        process: fromCallback<SuccessorOrder>(({ sendBack, receive }) => {
          const tell = sendBack as (news: SuccessorNews) => void;
          const random = this.#random;
          if (this.#successor) this.#violate('there are two new arbiters');
          const timers: number[] = [];
          const later = (ms: number, act: () => void): void => {
            timers.push(this.#clock.setTimeout(act, ms));
          };
          let over = false;
          const end = (): void => {
            if (over) return;
            over = true;
            this.#successor = undefined;
            tell({ type: 'successor.ended', fault: ended });
          };
          const one: Successor = { pid: ++this.#lastPid, serves: false, end };
          this.#successor = one;
          if (this.#faults && random.chance(0.1)) later(0, end);
          else {
            later(random.between(0, 50), () => !over && tell({ type: 'successor.started', pid: one.pid }));
            if (!this.#faults || random.chance(0.8))
              later(random.pick([100, 2000, 50_000, 200_000]), () => {
                if (over) return;
                one.serves = true;
                tell({ type: 'successor.stands' });
              });
            if (this.#faults && random.chance(0.3)) later(random.between(0, 60_000), end);
          }
          receive(({ signal }) => {
            if (signal === 'SIGKILL' || random.chance(0.6)) later(random.between(0, 100), end);
          });
          return () => {
            // It lives on: its end is told to nobody.
            over = true;
            this.#successor = undefined;
            for (const timer of timers) this.#clock.clearTimeout(timer);
          };
        }),
      },
    });
  }
}
