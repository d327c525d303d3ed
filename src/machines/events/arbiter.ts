/**
 * Orders to the arbiter machine. A signal, a control command and a test send the same event; `signalOrders`
 * is the table from one to the other.
 */

import type { Fault } from '../faults.ts';
import type { Leave } from './child.ts';

/** Who asked: shown in the log. */
export type OrderSource = `SIG${string}` | 'control' | 'settings' | 'internal' | 'test';

export type ArbiterOrder =
  /** Change the number of workers by `by`; never below 1. */
  | { type: 'arbiter.scale'; by: number; source: OrderSource }
  /** Start a new generation with code and settings read afresh. */
  | { type: 'arbiter.reload'; source: OrderSource }
  /** Let the worker of one age go; it is replaced. */
  | { type: 'arbiter.retire'; age: number; leave: Leave; source: OrderSource }
  /** Open the log files again. */
  | { type: 'arbiter.reopen'; source: OrderSource }
  /** Stop; a second order to stop hastens, and `signal` (its number) then gives the exit code 128 + n. */
  | { type: 'arbiter.stop'; mode: 'graceful' | 'quick'; source: OrderSource; signal?: number | undefined }
  /** Taken, so that it does no harm, and logged as not supported. */
  | { type: 'arbiter.unsupported'; source: OrderSource };

/** The signals the arbiter takes, with their numbers where an exit code needs them. */
export const signalOrders = {
  SIGHUP: { type: 'arbiter.reload', source: 'SIGHUP' },
  SIGTERM: { type: 'arbiter.stop', mode: 'graceful', source: 'SIGTERM', signal: 15 },
  SIGINT: { type: 'arbiter.stop', mode: 'quick', source: 'SIGINT', signal: 2 },
  SIGQUIT: { type: 'arbiter.stop', mode: 'quick', source: 'SIGQUIT', signal: 3 },
  SIGTTIN: { type: 'arbiter.scale', by: 1, source: 'SIGTTIN' },
  SIGTTOU: { type: 'arbiter.scale', by: -1, source: 'SIGTTOU' },
  SIGUSR1: { type: 'arbiter.reopen', source: 'SIGUSR1' },
  SIGUSR2: { type: 'arbiter.unsupported', source: 'SIGUSR2' },
  SIGWINCH: { type: 'arbiter.unsupported', source: 'SIGWINCH' },
} as const satisfies Record<string, ArbiterOrder>;

/** Orders to the actor that owns the log files. */
export type LogOrder = { type: 'log.reopen' };

/** How an order ended. Emitted by the arbiter machine, once for every order. */
export type OrderEnd = {
  orderId: number;
  source: OrderSource;
  order: ArbiterOrder['type'];
  /** Why it did not end as asked. */
  fault?: Fault | undefined;
  /** For a reload: workers replaced, and old ones that go on serving. */
  replaced?: number | undefined;
  remaining?: number | undefined;
};
export type ArbiterReport =
  | ({ type: 'order.done' } & OrderEnd)
  | ({ type: 'order.refused' } & OrderEnd)
  | ({ type: 'order.failed' } & OrderEnd)
  | ({ type: 'order.superseded' } & OrderEnd);
