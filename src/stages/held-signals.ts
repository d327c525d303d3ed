/**
 * Signals that come before anybody takes them, when first workers are started already: they are held, and handed on to who takes
 * signals. Runs in the arbiter of a built Kirin.
 */

/** Those that would end this process, or open the debugger. */
const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const;
type Held = Partial<Record<NodeJS.Signals, number>>;
/** Under this symbol of the global object whoever takes them finds them. */
const HELD: unique symbol = Symbol.for('kirin.heldSignals');
const place = globalThis as { [HELD]?: { came: Held; release(): void } };
/** Of each; a second one hastens a stop, a third kills. */
const OF_EACH_MAX = 3;

export function holdSignals(): void {
  const came: Held = {};
  const hold = (signal: NodeJS.Signals): void => {
    came[signal] = Math.min(OF_EACH_MAX, (came[signal] ?? 0) + 1);
  };
  for (const signal of SIGNALS) process.on(signal, hold);
  place[HELD] = {
    came,
    release: () => {
      for (const signal of SIGNALS) process.removeListener(signal, hold);
    },
  };
}

/** Whoever has just begun to listen to signals is told of those that came before. */
export function handOnSignals(): void {
  const held = place[HELD];
  if (!held) return;
  delete place[HELD];
  held.release();
  for (const [signal, times] of Object.entries(held.came))
    for (let time = 0; time < times; time++) process.emit(signal as NodeJS.Signals, signal as NodeJS.Signals);
}
