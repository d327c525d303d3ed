/** The systems of actors of an app that asked to be seen. Runs in workers; it keeps none of them alive. */
import type { AnyActorRef } from 'xstate';

/** Systems of one process that are known; those beyond are not seen. */
const ROOTS_MAX = 1000;
/** How often those that have ended are looked for, where there is no room for others. */
const SWEEP_MS = 1000;

export class UserRoots {
  readonly #roots = new Set<WeakRef<AnyActorRef>>();
  #sweptMs = Number.NEGATIVE_INFINITY;
  /** Hears of a new one while somebody watches. */
  onSeen: ((root: AnyActorRef) => void) | undefined;

  seen(actor: object): void {
    const root = actor as AnyActorRef;
    if (this.#roots.size >= ROOTS_MAX) this.#sweep();
    if (this.#roots.size >= ROOTS_MAX) return;
    this.#roots.add(new WeakRef(root));
    this.onSeen?.(root);
  }

  /** Those that still are. */
  *living(): Generator<AnyActorRef> {
    for (const one of this.#roots) {
      const root = one.deref();
      if (root && isActive(root)) yield root;
      else this.#roots.delete(one);
    }
  }

  /** An app that makes an actor for each request must not pay for all of them each time. */
  #sweep(): void {
    const nowMs = performance.now();
    if (nowMs - this.#sweptMs < SWEEP_MS) return;
    this.#sweptMs = nowMs;
    for (const one of this.#roots) {
      const root = one.deref();
      // One that is just being made has no snapshot yet.
      if (!root || hasEnded(root)) this.#roots.delete(one);
    }
  }
}

const isActive = (root: AnyActorRef): boolean => root.getSnapshot()?.status === 'active';

function hasEnded(root: AnyActorRef): boolean {
  try {
    const status = root.getSnapshot()?.status;
    return status !== undefined && status !== 'active';
  } catch {
    return false;
  }
}
