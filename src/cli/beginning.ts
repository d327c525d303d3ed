/**
 * What the arbiter's process does before anything else, so that it must be the first import of its entry point: without a handler
 * SIGUSR1 opens the debugger, and SIGHUP ends the process.
 */
import { daemonHere } from '../actors/daemon.ts';
import { letLostTerminalGo } from '../actors/lost-terminal.ts';
import { takeSignals } from '../actors/signals.ts';
import { startContext } from '../actors/upgrade/start-context.ts';
import { handOnSignals } from '../stages/held-signals.ts';

export const signals = takeSignals();
export const daemon = daemonHere();
export const start = startContext();
letLostTerminalGo();
handOnSignals();
