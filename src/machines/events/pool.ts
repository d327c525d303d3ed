/** What an arbiter says to a pool machine, and what the pool machine says to its arbiter. */
import type { Fault } from '../faults.ts';
import type { Leave } from './child.ts';
import type { Generation } from './generation.ts';

export type PoolOrder =
  | { type: 'pool.scale'; orderId: number; target: number }
  /** Roll over to a new generation; with `hold` its candidates stand and wait for the order to commit. */
  | { type: 'pool.replace'; orderId: number; generation: Generation; hold?: boolean | undefined }
  /** Candidates that stand take over. */
  | { type: 'pool.commit'; orderId: number }
  /** A trial is given up; its order ends as refused. */
  | { type: 'pool.abandon'; orderId: number; fault: Fault }
  /** Let one child go; it is replaced. */
  | { type: 'pool.retire'; orderId: number; age: number; leave: Leave }
  | { type: 'pool.stop'; orderId: number; leave: Leave }
  /** What was waited out may be cured: the next hire does not wait. */
  | { type: 'pool.hurry' };

/** Every order with an `orderId` ends in exactly one of done, refused, superseded or failed. */
export type PoolReport =
  /** The first worker is ready. */
  | { type: 'pool.opened' }
  /** No worker was ever ready, and one failed to boot. */
  | { type: 'pool.openFailed'; fault: Fault }
  /** The candidates of a reload that is held are ready and have lasted. */
  | { type: 'pool.standing'; orderId: number }
  /** A reload passed its commit point; `workers` is the number its settings ask for. */
  | { type: 'pool.committed'; orderId: number; generation: number; workers: number }
  | { type: 'pool.done'; orderId: number; replaced: number }
  | { type: 'pool.refused'; orderId: number; fault: Fault }
  | { type: 'pool.failed'; orderId: number; fault: Fault; replaced: number; remaining: number }
  | { type: 'pool.superseded'; orderId: number; by: number }
  /** A replacement could not boot; what is ready goes on serving. `slot`: whose, or 0 where all slots run the same. */
  | { type: 'pool.degraded'; fault: Fault; retryInMs: number; slot: number }
  /** The last process of a generation is gone. */
  | { type: 'pool.generationGone'; generation: number }
  | { type: 'pool.stopped' };
