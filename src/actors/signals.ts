/**
 * Signals become orders to the arbiter machine. Runs in the arbiter's process, from its first moment: without a
 * handler SIGUSR1 opens the debugger and SIGHUP ends the process. Imports nothing heavy, so that it can be first.
 */
import { type ArbiterOrder, signalOrders } from '../machines/events/arbiter.ts';
import { FaultError } from './fault-error.ts';

/** Orders to stop that are kept until there is a machine: a second one hastens, a third kills, a fourth is nothing. */
const EARLY_STOPS_MAX = 3;

export interface Signals {
  /** From now on orders go to `deliver`, first those that came early. Returns what stops it. */
  attach(deliver: (order: ArbiterOrder) => void): () => void;
  /** Aborts with the first order to stop, whether there is a machine or not; the reason is `order.stopping`. */
  readonly stopped: AbortSignal;
}

export function takeSignals(): Signals {
  const early: ArbiterOrder[] = [];
  const stop = new AbortController();
  let deliver = (order: ArbiterOrder): void => {
    if (isNews(order, early)) early.push(order);
  };
  for (const [signal, order] of Object.entries(signalOrders))
    process.on(signal as NodeJS.Signals, () => {
      deliver(order);
      if (order.type === 'arbiter.stop')
        stop.abort(new FaultError('order.stopping', `stopped by ${signal} before it could start`));
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
