/**
 * A call as its client keeps it until it has ended, and what becomes of one that a router hands back since it leaves. Runs where
 * calls are made.
 */
import { Buffer } from 'node:buffer';
import { performance } from 'node:perf_hooks';
import type { Pending } from './client-call.ts';
import type { WaitingPayload } from './client-payload.ts';
import { DirtyConnectionError, type DirtyError, DirtyTimeoutError } from './errors.ts';

/** What the router is granted beyond a deadline before the caller goes without its answer. */
export const ROUTER_GRACE_MS = 2000;
/** So often a call may be handed back, each time by another dirty arbiter. */
const RETURNS_MAX = 8;

export interface Entry {
  readonly id: number;
  readonly call: Pending;
  /** Undefined: a question to the stash. */
  app: string | undefined;
  /** What is to be sent when the router that leaves has gone, and how often it came back. */
  held: Buffer | undefined;
  returns: number;
  /** Once it is sent with the router's grace; monotonic, Infinity without a limit. */
  limitMs: number;
  /** Passed once already: it ends only when the next look finds it pending too, since we may be the late ones. */
  isOverdue: boolean;
  isSent: boolean;
  /** What the worker is brought when the router says so. */
  payload: WaitingPayload | undefined;
  /** The worker that has sent its result on its own way; undefined when none has. */
  from: number | undefined;
  readonly signal: AbortSignal | undefined;
}

/** The call has not begun there: it is kept for the next router. An error when that was so too often. */
export function takenBack(entry: Entry, frame: Buffer, more: readonly Buffer[]): DirtyError | undefined {
  if (++entry.returns > RETURNS_MAX)
    return new DirtyConnectionError(`dirty arbiters that left have handed it back ${RETURNS_MAX} times`);
  // Of a large one the payload is here still; a small one lies in memory that is used again.
  entry.held = entry.payload ? entry.payload.asCall() : Buffer.concat([frame, ...more]);
  entry.payload = undefined;
  if (!entry.held) return lostPayload();
  entry.isSent = false;
  entry.limitMs -= ROUTER_GRACE_MS;
  return undefined;
}

/** How long it may still take, in milliseconds; 0: it has no limit. */
export const restMs = ({ limitMs }: Entry): number =>
  limitMs === Number.POSITIVE_INFINITY ? 0 : Math.max(1, limitMs - performance.now());

export const late = ({ isSent }: Entry): DirtyError =>
  new DirtyTimeoutError(`the dirty arbiter ${isSent ? 'did not answer' : 'was not there'} in time`);

export const lostResult = (): DirtyError =>
  new DirtyConnectionError('the connection to the dirty worker ended before its result had come');

export const lostPayload = (): DirtyError =>
  new DirtyConnectionError('the memory that its payload lay in cannot be read any more');
