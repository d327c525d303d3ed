/**
 * The old arbiter, as the new one of an upgrade sees it: a pipe, whose end is its end. Runs in the new arbiter.
 */
import { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fromCallback } from 'xstate';
import {
  type PredecessorOrder,
  type PredecessorReport,
  type PredecessorWord,
  predecessorWords,
  type SuccessorWord,
} from '../../machines/events/upgrade.ts';
import { type Link, openLink } from '../link.ts';
import { isSameProcess } from '../process-identity.ts';
import { type Heritage, notInherited, WORD_FD } from './heritage.ts';

/** The kernel closes a process's pipes before it has ended: so long at most it is waited for. */
const END_MS = 5000;
const LOOK_MS = 5;

export class Predecessor {
  readonly heritage: Heritage;
  readonly #link: Link<SuccessorWord>;
  #isGone = false;
  readonly #waiting: (() => void)[] = [];
  #hasYielded = false;
  #gone: () => void = () => {};

  constructor(heritage: Heritage) {
    this.heritage = heritage;
    const stream = openWord();
    this.#link = openLink<PredecessorWord, SuccessorWord>(stream, null, predecessorWords, {
      event: () => this.#yield(),
      unknown() {},
      broken() {},
      ended: () => void this.#end(),
    });
    stream.unref();
  }

  /** Tells it that this one serves. */
  serving(): void {
    this.#link.send({ type: 'successor.stands' });
  }

  /** Calls when what only one of the two can have is free: it was yielded, or the old arbiter is gone. */
  whenYielded(call: () => void): void {
    if (this.#hasYielded) call();
    else this.#waiting.push(call);
  }

  /** The actor of the arbiter machine; `succeed` takes what the old arbiter had. */
  actor(succeed: () => void) {
    const { pid } = this.heritage;
    return fromCallback<PredecessorOrder>(({ sendBack, receive }) => {
      const tell = sendBack as (report: PredecessorReport) => void;
      receive(succeed);
      if (this.#isGone) tell({ type: 'predecessor.gone', pid });
      else this.#gone = () => tell({ type: 'predecessor.gone', pid });
      return () => {
        this.#gone = () => {};
      };
    });
  }

  #yield(): void {
    if (this.#hasYielded) return;
    this.#hasYielded = true;
    for (const call of this.#waiting.splice(0)) call();
  }

  async #end(): Promise<void> {
    const { pid, mark } = this.heritage;
    const endMs = performance.now() + END_MS;
    while (isSameProcess(pid, mark) && performance.now() < endMs) await sleep(LOOK_MS);
    this.#isGone = true;
    this.#yield();
    this.#gone();
  }
}

/** Throws FaultError `settings.invalid` where somebody has set the variable by hand: the descriptor is another thing, or none. */
function openWord(): Socket {
  try {
    return new Socket({ fd: WORD_FD, readable: true, writable: true });
  } catch {
    throw notInherited();
  }
}
