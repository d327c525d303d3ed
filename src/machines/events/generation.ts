/** Generations: code, settings and listeners that belong together. The actor prepares and releases them. */
import type { Claims } from '../claims.ts';
import type { Fault } from '../faults.ts';
import type { DirtyGeneration } from './dirty.ts';

/** Limits of one child, in milliseconds; 0 turns a limit off where it says so. */
export interface ChildLimits {
  /** From spawn to ready; 0: none. */
  bootMs: number;
  /** Longest silence of a ready worker's event loop; 0: none. */
  timeoutMs: number;
  /** From the order to drain to the kill. */
  graceMs: number;
  /** From the order to quit to the kill. */
  quitMs: number;
  /** From SIGABRT to SIGKILL. */
  abortMs: number;
  /** Ready for so long, a worker counts as stable and its end starts no backoff. */
  stableMs: number;
  /** SIGKILL is sent again after so long. */
  killAgainMs: number;
}

/** What the machines know of a generation; code, environment and descriptors stay with the actors. */
export interface Generation {
  number: number;
  limits: ChildLimits;
  /** Most candidates or replacements beyond the target during a reload; a count or a share of the target. */
  surge: { count: number } | { percent: number };
  /** How long candidates must stay ready before a reload is committed. */
  settleMs: number;
  /** The number of workers the settings ask for. */
  workers: number;
  /** What its children hold of which there is only so much; undefined: nothing. */
  claims?: Claims | undefined;
  /** Its dirty workers, where there are any, and the limits of the dirty arbiter itself. */
  dirty?: { generation: DirtyGeneration; limits: ChildLimits } | undefined;
}

export type GenerationOrder =
  | { type: 'generation.prepare'; number: number; orderId: number }
  /** Close the listeners that only this generation has. */
  | { type: 'generation.release'; number: number }
  /** Close all listeners: nothing is started any more, and what connects is to go elsewhere. */
  | { type: 'generation.close' };

export type GenerationReport =
  | { type: 'generation.prepared'; orderId: number; generation: Generation }
  | { type: 'generation.refused'; orderId: number; number: number; fault: Fault };
