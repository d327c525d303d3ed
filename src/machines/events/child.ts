/** What a pool says to a child machine, and what the child machine says to its pool. */
import type { Fault } from '../faults.ts';

/** How a child is asked to leave: a drain answers what is in flight; a quit cuts it; a kill asks nobody. */
export type Leave = 'drain' | 'quit' | 'kill';

export type ChildOrder =
  | { type: 'child.drain'; orderId: number }
  | { type: 'child.quit'; orderId: number }
  | { type: 'child.kill'; orderId: number };

/** Why a child left, as its machine saw it. */
export type LeavingCause =
  | 'ordered'
  | 'terminated'
  | 'bootFailed'
  | 'bootTimeout'
  | 'hung'
  | 'overweight'
  | 'uncaught'
  | 'linkBroken'
  | 'crashed';

export interface ChildExit {
  age: number;
  pid: number;
  /** The state the process died in. */
  phase: 'starting' | 'ready' | 'leaving';
  cause: LeavingCause;
  /** Whether it had been ready for the stable time, so that its end says nothing against its code. */
  stable: boolean;
  code: number | null;
  signal: string | null;
  /** The boot failure or the last words, if there were any. */
  fault?: Fault | undefined;
}

export type ChildReport =
  | { type: 'child.spawned'; age: number; pid: number }
  | { type: 'child.ready'; age: number }
  /** Ready for the stable time. */
  | { type: 'child.stable'; age: number }
  /** It is to be replaced, its replacement ready first. `stable`: it had been ready for the stable time. */
  | { type: 'child.recycleDue'; age: number; cause: 'requests' | 'memory'; stable: boolean }
  /** It holds more memory than any may: it is to be killed as soon as enough others are ready. */
  | { type: 'child.overweight'; age: number }
  /** It no longer takes work, on an order, a TERM from outside, or because it is being killed. */
  | { type: 'child.leaving'; age: number; cause: LeavingCause; stable: boolean; fault?: Fault | undefined }
  | ({ type: 'child.exited' } & ChildExit);
