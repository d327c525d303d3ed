/**
 * A reload that two pools pass together: one canary of each must stand before either commits; then the dirty workers are
 * rolled over, then the web workers. Pure: what is known of it, and what to do next.
 */
import type { Fault } from './faults.ts';

/**
 * Where a pool is on its way. `committing`: the order to commit is on its way to it, and its candidates may still fail;
 * `rolling`: it said that it passed its commit point.
 */
export type Stage = 'trying' | 'standing' | 'committing' | 'rolling' | 'done';

export interface Joint {
  readonly orderId: number;
  readonly web: Stage;
  readonly dirty: Stage;
  /** Why the dirty pool did not roll over completely, after its commit point. */
  readonly fault: Fault | null;
  /** Dirty workers replaced, and old ones that go on. */
  readonly replaced: number;
  readonly remaining: number;
}

export const startOf = (orderId: number): Joint => ({
  orderId,
  web: 'trying',
  dirty: 'trying',
  fault: null,
  replaced: 0,
  remaining: 0,
});

/** Nothing is committed, for the dirty pool is first: a failure of either pool ends the trial of both. */
export const isUncommitted = ({ dirty }: Joint): boolean => dirty !== 'rolling' && dirty !== 'done';

/** What may be committed now that `joint` stands as it does; null: nothing. */
export function nextCommit({ web, dirty }: Joint): 'dirty' | 'web' | null {
  if (dirty === 'standing' && web !== 'trying') return 'dirty';
  return dirty === 'done' && web === 'standing' ? 'web' : null;
}

/** The joints with one of them changed. */
export const changedJoint = (
  joints: readonly Joint[],
  orderId: number,
  change: Partial<Omit<Joint, 'orderId'>>,
): readonly Joint[] => joints.map((one) => (one.orderId === orderId ? { ...one, ...change } : one));

/** The joints without one that is over. */
export const withoutJoint = (joints: readonly Joint[], orderId: number): readonly Joint[] =>
  joints.filter((one) => one.orderId !== orderId);
