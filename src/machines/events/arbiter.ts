/**
 * Orders to the arbiter machine. A signal, a control command and a test send the same event; `signalOrders`
 * is the table from one to the other.
 */

import type { Fault } from '../faults.ts';
import type { Leave } from './child.ts';

/** Who asked: shown in the log. */
export type OrderSource = `SIG${string}` | 'control' | 'settings' | 'change' | 'internal' | 'test';

/** What every order carries. */
interface Asked {
  source: OrderSource;
  /** What the asker calls the order; every report of it carries it back. */
  ticket?: number | undefined;
}

export type ArbiterOrder =
  /** Change the number of workers by `by`, as far as the bounds allow. */
  | ({ type: 'arbiter.scale'; by: number } & Asked)
  /** Start a new generation with code and settings read afresh. */
  | ({ type: 'arbiter.reload' } & Asked)
  /** Let the worker of one age go; it is replaced. */
  | ({ type: 'arbiter.retire'; age: number; leave: Leave } & Asked)
  /** Change the number of dirty workers by `by`, as far as their apps allow. */
  | ({ type: 'arbiter.dirtyScale'; by: number } & Asked)
  /** Let the dirty worker of one age go; it is replaced. */
  | ({ type: 'arbiter.dirtyRetire'; age: number; leave: Leave } & Asked)
  /** End one call of a dirty worker; its caller is told. */
  | ({ type: 'arbiter.dirtyCancel'; call: number } & Asked)
  /** Open the log files again. */
  | ({ type: 'arbiter.reopen' } & Asked)
  /** Stop. A second signal hastens, and `signal` (its number) then gives the exit code 128 + n. */
  | ({ type: 'arbiter.stop'; mode: 'graceful' | 'quick'; signal?: number | undefined } & Asked)
  /** Start a new arbiter beside this one, which inherits the sockets. */
  | ({ type: 'arbiter.upgrade' } & Asked)
  /** Let all workers go, and hire none: the new arbiter serves. A reload, or an order to scale, brings them back. */
  | ({ type: 'arbiter.rest' } & Asked);

/** The signals the arbiter takes, with their numbers where an exit code needs them. */
export const signalOrders = {
  SIGHUP: { type: 'arbiter.reload', source: 'SIGHUP' },
  SIGTERM: { type: 'arbiter.stop', mode: 'graceful', source: 'SIGTERM', signal: 15 },
  SIGINT: { type: 'arbiter.stop', mode: 'quick', source: 'SIGINT', signal: 2 },
  SIGQUIT: { type: 'arbiter.stop', mode: 'quick', source: 'SIGQUIT', signal: 3 },
  SIGTTIN: { type: 'arbiter.scale', by: 1, source: 'SIGTTIN' },
  SIGTTOU: { type: 'arbiter.scale', by: -1, source: 'SIGTTOU' },
  SIGUSR1: { type: 'arbiter.reopen', source: 'SIGUSR1' },
  SIGUSR2: { type: 'arbiter.upgrade', source: 'SIGUSR2' },
  SIGWINCH: { type: 'arbiter.rest', source: 'SIGWINCH' },
} as const satisfies Record<string, ArbiterOrder>;

/** What HUP means where it is the terminal's own: it has gone, and with it whoever looked at it. */
export const hangUpOrder: ArbiterOrder = {
  type: 'arbiter.stop',
  mode: 'graceful',
  source: 'SIGHUP',
  signal: 1,
};

/** Orders to the actor that owns the log files. */
export type LogOrder = { type: 'log.reopen' };

/** Which order a report is about. */
export interface OrderFacts {
  orderId: number;
  source: OrderSource;
  order: ArbiterOrder['type'];
  ticket?: number | undefined;
}

/** An order was accepted. For one to scale: the target before and after it, and why it is not what was asked. */
export type OrderTaken = OrderFacts & {
  previous?: number | undefined;
  total?: number | undefined;
  reason?: string | undefined;
};

/** How an order ended. Emitted by the arbiter machine, once for every order. */
export type OrderEnd = OrderFacts & {
  /** Why it did not end as asked. */
  fault?: Fault | undefined;
  /** For a reload: its generation, workers replaced, and old ones that go on serving. */
  generation?: number | undefined;
  /** For a refused order to scale: how many workers there should be. */
  total?: number | undefined;
  replaced?: number | undefined;
  /** Of these, dirty workers. */
  dirtyReplaced?: number | undefined;
  remaining?: number | undefined;
  /** Of an upgrade: the new arbiter. */
  pid?: number | undefined;
};
export type OrderEnded =
  | ({ type: 'order.done' } & OrderEnd)
  | ({ type: 'order.refused' } & OrderEnd)
  | ({ type: 'order.failed' } & OrderEnd)
  | ({ type: 'order.superseded' } & OrderEnd);

export type ArbiterReport = ({ type: 'order.taken' } & OrderTaken) | OrderEnded;
