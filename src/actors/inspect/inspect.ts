/** What an app hands to its own state machines to have them seen. Runs in workers, in the app's copy of `kirin`. */
import { appBridge } from '../app-bridge.ts';

/** What is used of XState's inspection events. */
export interface InspectedEvent {
  readonly actorRef: unknown;
}

interface ActorLike {
  readonly system?: object;
  readonly _parent?: ActorLike;
}

const known = new WeakSet<object>();

/**
 * Shows an app's own XState machines in Kirin's inspector, below the worker that they run in. Costs next to nothing while
 * nobody watches, and does nothing where the app runs without Kirin. What is shown is bounded, and values of what is named
 * like a secret are left out. Machines that are known so number at most 1,000 a worker; they are not kept from being collected.
 *
 * @example
 * createActor(machine, { inspect }).start();
 */
export function inspect(event: InspectedEvent): void {
  const { inspected } = appBridge;
  if (!inspected) return;
  let root = event.actorRef as ActorLike;
  if (!root.system || known.has(root.system)) return;
  known.add(root.system);
  while (root._parent) root = root._parent;
  inspected.seen(root);
}
