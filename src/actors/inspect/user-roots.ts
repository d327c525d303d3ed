/** The systems of actors of an app that asked to be seen. Runs in workers; it keeps none of them alive. */
import type { AnyActorRef } from 'xstate';

/** Systems of one process that are known; those beyond are not seen. */
const ROOTS_MAX = 1000;

export class UserRoots {
  readonly #roots = new Set<WeakRef<AnyActorRef>>();
  /** Hears of a new one while somebody watches. */
  onSeen: ((root: AnyActorRef) => void) | undefined;

  seen(actor: object): void {
    const root = actor as AnyActorRef;
    if (this.#roots.size >= ROOTS_MAX)
      for (const one of this.#roots) if (!one.deref()) this.#roots.delete(one);
    if (this.#roots.size >= ROOTS_MAX) return;
    this.#roots.add(new WeakRef(root));
    this.onSeen?.(root);
  }

  /** Those that still are. */
  *living(): Generator<AnyActorRef> {
    for (const one of this.#roots) {
      const root = one.deref();
      if (root?.getSnapshot()?.status === 'active') yield root;
      else this.#roots.delete(one);
    }
  }
}
