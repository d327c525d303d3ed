/**
 * Signals become orders to the arbiter machine. Runs in the arbiter's process, from its first moment: without a
 * handler SIGUSR1 opens the debugger and SIGHUP ends the process. Imports nothing heavy, so that it can be first.
 */
import { performance } from 'node:perf_hooks';
import { type ArbiterOrder, hangUpOrder, signalOrders } from '../machines/events/arbiter.ts';
import { FaultError } from './fault-error.ts';
import { watchTerminal } from './terminal.ts';

/** Orders to stop that are kept until there is a machine: a second one hastens, a third kills, a fourth is nothing. */
const EARLY_STOPS_MAX = 3;
/**
 * The same signal to stop counts once within this time: a Ctrl-C comes from the terminal and once more from npm, a TERM from
 * timeout(1) twice, and neither means that somebody is in a hurry.
 */
const SAME_STOP_MS = 500;

export interface Signals {
  /** From now on orders go to `deliver`, first those that came early. Returns what stops it. */
  attach(deliver: (order: ArbiterOrder) => void): () => void;
  /** Aborts with the first order to stop, whether there is a machine or not; the reason is `order.stopping`. */
  readonly stopped: AbortSignal;
}

/** `watch` and `now` (milliseconds, monotonic) are replaced in tests. */
export function takeSignals(watch = watchTerminal, now: () => number = () => performance.now()): Signals {
  const early: ArbiterOrder[] = [];
  const stop = new AbortController();
  const countedMs = new Map<string, number>();
  let deliver = (order: ArbiterOrder): void => {
    if (isNews(order, early)) early.push(order);
  };
  const isRepeated = ({ type, source }: ArbiterOrder): boolean => {
    if (type !== 'arbiter.stop') return false;
    const again = now() - (countedMs.get(source) ?? Number.NEGATIVE_INFINITY) < SAME_STOP_MS;
    if (!again) countedMs.set(source, now());
    return again;
  };
  const take = (order: ArbiterOrder): void => {
    if (isRepeated(order)) return;
    deliver(order);
    if (order.type === 'arbiter.stop')
      stop.abort(new FaultError('order.stopping', `stopped by ${order.source} before it could start`));
  };
  const terminal = watch((what) => take(what === 'gone' ? hangUpOrder : signalOrders.SIGHUP));
  for (const signal of Object.keys(signalOrders) as (keyof typeof signalOrders)[])
    process.on(signal, () => {
      if (signal === 'SIGHUP') terminal.hangUp();
      // A window has another size: that is no operator's order.
      else if (signal !== 'SIGWINCH' || !terminal.isThere) take(signalOrders[signal]);
    });
  return {
    stopped: stop.signal,
    attach(to) {
      deliver = to;
      for (const order of early.splice(0)) to(order);
      // The handlers stay: a signal after the end must not kill what is still cleaning up.
      return () => {
        deliver = () => {};
      };
    },
  };
}

/**
 * Whether an early order says what those before it do not. One of each signal is enough: a second start, reopening or
 * refusal is the same as the first. Orders to stop are counted apart, so that no others can crowd them out.
 */
function isNews(order: ArbiterOrder, early: readonly ArbiterOrder[]): boolean {
  if (order.type === 'arbiter.stop')
    return early.filter(({ type }) => type === 'arbiter.stop').length < EARLY_STOPS_MAX;
  return !early.some(({ source }) => source === order.source);
}
