/**
 * Takes orders to inspect, in a supervised process. What carries them out is loaded when the first one comes, and holds
 * nothing when the last watcher has left.
 */
import type { AnyActorRef } from 'xstate';
import type { InspectOrder, InspectReport } from '../../machines/events/inspect.ts';
import type { InspectedChildren } from './children.ts';
import type { Outlet } from './outlet.ts';
import type { UserRoots } from './user-roots.ts';

export interface DeskDeps {
  send(report: InspectReport): 'sent' | 'full' | 'ended';
  /** The process's own machine. */
  root(): AnyActorRef;
  /** The app's machines. */
  users?: UserRoots;
  /** A dirty arbiter's workers. */
  children?: InspectedChildren;
  notice(text: string): void;
}

export interface Desk {
  take(order: InspectOrder): void;
  /** Tells what is left, before the process ends. */
  flush(): void;
}

export const isInspectOrder = (order: { type: string }): order is InspectOrder =>
  order.type === 'inspect.start' || order.type === 'inspect.stop';

export function inspectionDesk(deps: DeskDeps): Desk {
  let outlet: Outlet | undefined;
  let loading: Promise<Outlet> | undefined;
  let wanted = false;
  const load = async (): Promise<Outlet> => {
    const [{ Outlet: Made }, { LocalWatch }] = await Promise.all([
      import('./outlet.ts'),
      import('./local-watch.ts'),
    ]);
    outlet = new Made({
      send: deps.send,
      watched: new LocalWatch(deps),
      ...(deps.children ? { children: deps.children } : {}),
    });
    return outlet;
  };
  return {
    take({ type }) {
      wanted = type === 'inspect.start';
      if (!wanted) return outlet?.stop();
      loading ??= load();
      loading.then(
        (loaded) => {
          if (wanted) loaded.start();
        },
        (error: Error) => deps.notice(`this process cannot be inspected: ${error.message}`),
      );
    },
    flush() {
      if (wanted) outlet?.flush();
    },
  };
}
