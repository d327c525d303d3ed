/**
 * A reload that two pools pass together: one canary of each must stand before either commits; then the dirty workers are
 * rolled over, then the web workers. Pure: what is known of it, and what to do next.
 */
import type { Fault } from './faults.ts';

export interface Joint {
  readonly orderId: number;
  /** Where each pool is on its way; `rolling` is past the commit point. */
  readonly web: 'trying' | 'standing' | 'rolling';
  readonly dirty: 'trying' | 'standing' | 'rolling' | 'done';
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

/** Nothing is committed: a failure of either pool ends the trial of both. */
export const isUncommitted = ({ web, dirty }: Joint): boolean =>
  web !== 'rolling' && (dirty === 'trying' || dirty === 'standing');

/** What may be committed now that `joint` stands as it does; null: nothing. */
export function nextCommit({ web, dirty }: Joint): 'dirty' | 'web' | null {
  if (dirty === 'standing' && web !== 'trying') return 'dirty';
  return dirty === 'done' && web === 'standing' ? 'web' : null;
}

/** The joint after a commit was ordered. */
export const committing = (joint: Joint, which: 'dirty' | 'web'): Joint => ({ ...joint, [which]: 'rolling' });
