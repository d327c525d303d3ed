/** What a process actor (the operating system's side of one supervised process) is told and tells. */
import type { Fault } from '../faults.ts';
import type { LeaveOrder } from './lifecycle.ts';

/** The signals the shutdown ladder uses. */
export type LadderSignal = 'SIGTERM' | 'SIGABRT' | 'SIGKILL';

/** Orders to a process actor; those to leave go over the link to the process inside. */
export type ProcessOrder = { type: 'process.signal'; signal: LadderSignal } | LeaveOrder;

/** What was found out about a process that is silent: where its main thread is, or why nobody knows. */
export type Found = { stack: string } | { why: string };

/** Reports of a process actor to its child machine; reports of the process inside are passed on as they are. */
export type ProcessReport =
  | { type: 'process.spawned'; pid: number }
  | { type: 'process.spawnFailed'; fault: Fault }
  /** No heartbeat for longer than the limit. */
  | { type: 'process.silent'; silentMs: number; found?: Found | undefined }
  /** It holds more memory than it may: beyond the soft limit it is to be replaced, beyond the hard one to be killed. Told again while it does. */
  | { type: 'process.swelled'; limit: 'soft' | 'hard'; fault: Fault }
  /** The peer broke the link's protocol (garbage, an oversized frame) or said hello in another version. */
  | { type: 'process.linkBroken'; fault: Fault }
  /** The last event: the process is reaped and its last words were delivered. */
  | { type: 'process.exited'; code: number | null; signal: string | null };
