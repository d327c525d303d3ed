/** Whether the server is ready for traffic, for those who route it. Runs in the arbiter; reads snapshots and changes nothing. */
import type { ArbiterActor } from '../machines/arbiter.ts';
import { Scene } from './control/scene.ts';

export interface Readiness {
  ready: boolean;
  /** One line, for people. */
  why: string;
}

/**
 * Ready: it is not leaving, a worker of the generation in force accepts, and its first dirty workers, if it has any, have become ready, without
 * which the first start may still fail. A reload under way changes nothing.
 */
export function readinessOf(actor: ArbiterActor): Readiness {
  const snapshot = actor.getSnapshot();
  const supervising = snapshot.status === 'active' && snapshot.matches({ alive: { supervising: 'serving' } });
  const pool = supervising ? new Scene(actor).pool() : undefined;
  if (!pool) {
    if (snapshot.status !== 'active') return { ready: false, why: 'stopping' };
    if (snapshot.matches({ alive: 'preparing' })) return { ready: false, why: 'starting' };
    const isLame = snapshot.matches({ alive: { supervising: 'lameDuck' } });
    return { ready: false, why: isLame ? 'about to stop' : 'stopping' };
  }
  const { members, committed } = pool.context;
  if (pool.rollout === 'opening') return { ready: false, why: 'starting' };
  const { hasDirty, dirtyOpened } = snapshot.context;
  if (hasDirty && !dirtyOpened) return { ready: false, why: 'dirty workers are starting' };
  const ready = members.filter(
    ({ phase, generation }) => phase === 'ready' && generation === committed.number,
  ).length;
  const why = `${ready} of ${snapshot.context.target} workers are ready`;
  return { ready: ready > 0 || snapshot.context.target === 0, why };
}
