/** A clock that stands still until told to move, and then fires the earliest timer with `now` at its due time. */
import type { ActorOptions, AnyActorLogic } from 'xstate';

type Clock = NonNullable<ActorOptions<AnyActorLogic>['clock']>;

interface Timer {
  readonly id: number;
  readonly dueMs: number;
  readonly fire: () => void;
}

export class VirtualClock implements Clock {
  #nowMs = 0;
  #lastId = 0;
  #timers = new Map<number, Timer>();

  get nowMs(): number {
    return this.#nowMs;
  }

  get pending(): number {
    return this.#timers.size;
  }

  setTimeout = (fire: (...args: unknown[]) => void, timeoutMs: number): number => {
    const id = ++this.#lastId;
    this.#timers.set(id, { id, dueMs: this.#nowMs + Math.max(0, timeoutMs), fire });
    return id;
  };

  clearTimeout = (id: number): void => {
    this.#timers.delete(id);
  };

  /** Moves to the next timer and fires it; false when there is none before `untilMs`. */
  step(untilMs: number): boolean {
    let next: Timer | undefined;
    for (const timer of this.#timers.values())
      if (!next || timer.dueMs < next.dueMs || (timer.dueMs === next.dueMs && timer.id < next.id))
        next = timer;
    if (!next || next.dueMs > untilMs) {
      this.#nowMs = Math.max(this.#nowMs, untilMs);
      return false;
    }
    this.#timers.delete(next.id);
    this.#nowMs = Math.max(this.#nowMs, next.dueMs);
    next.fire();
    return true;
  }
}
