/**
 * Signals become orders to the arbiter machine. Runs in the arbiter's process, from its first moment: without a
 * handler SIGUSR1 opens the debugger and SIGHUP ends the process. Imports nothing heavy, so that it can be first.
 */
import { type ArbiterOrder, signalOrders } from '../machines/events/arbiter.ts';

/** Orders kept until there is a machine; more than these are the same ones again. */
const EARLY_MAX = 16;

export interface Signals {
  /** From now on orders go to `deliver`, first those that came early. Returns what stops it. */
  attach(deliver: (order: ArbiterOrder) => void): () => void;
}

export function takeSignals(): Signals {
  const early: ArbiterOrder[] = [];
  let deliver = (order: ArbiterOrder): void => {
    if (early.length < EARLY_MAX) early.push(order);
  };
  for (const [signal, order] of Object.entries(signalOrders))
    process.on(signal as NodeJS.Signals, () => deliver(order));
  return {
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
