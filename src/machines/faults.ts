/**
 * The one catalogue of faults: what can go wrong in the world, the exit code it stands for when it ends the
 * server, and who uses it. A fault is data and travels in events; a bug is an exception and ends the process (70).
 */

/** Exit codes of `kirin`. 3 and 4 are Gunicorn's. A second signal n while stopping gives 128 + n. */
export const EXIT = { ok: 0, runtime: 1, settings: 2, boot: 3, app: 4, bug: 70 } as const;

/** Every fault's code with the exit code it ends the server with, if it does. */
export const FAULTS = {
  'bind.inUse': EXIT.runtime,
  'bind.denied': EXIT.runtime,
  'bind.badAddress': EXIT.runtime,
  'bind.overlaps': EXIT.runtime,
  'bind.failed': EXIT.runtime,
  'file.unusable': EXIT.runtime,
  'settings.invalid': EXIT.settings,
  'app.notFound': EXIT.app,
  'app.loadFailed': EXIT.app,
  'app.exportMissing': EXIT.app,
  'app.notServable': EXIT.app,
  'app.startFailed': EXIT.boot,
  'hook.failed': EXIT.boot,
  'boot.timeout': EXIT.boot,
  'boot.exited': EXIT.boot,
  'process.spawnFailed': EXIT.boot,
  'link.mismatch': EXIT.boot,
  'worker.uncaught': EXIT.boot,
  'worker.exitCalled': EXIT.boot,
  'worker.overweight': EXIT.boot,
  'worker.cannotPause': EXIT.ok,
  'order.stopping': EXIT.ok,
  'order.starting': EXIT.ok,
  'order.unknown': EXIT.ok,
  'order.outOfBounds': EXIT.ok,
  'order.superseded': EXIT.ok,
  'order.tooMany': EXIT.ok,
  'upgrade.refused': EXIT.ok,
  'upgrade.failed': EXIT.ok,
  'control.crashed': EXIT.runtime,
  'dirty.down': EXIT.ok,
  'dirty.died': EXIT.ok,
  'dirty.overdue': EXIT.ok,
} as const satisfies Record<string, number>;

export type FaultCode = keyof typeof FAULTS;

export const FAULT_CODES = Object.keys(FAULTS) as [FaultCode, ...FaultCode[]];

/** What went wrong, in one line for a person, and the stack of the app's own error where there is one. */
export interface Fault {
  code: FaultCode;
  message: string;
  stack?: string | undefined;
}

/** The exit code with which a fault ends the server. */
export const exitCodeOf = (fault: Fault): number => FAULTS[fault.code];

/** A bug of the control interface, as a fault: it ends the interface, and nothing else. */
export const crashFault = (error: unknown): Fault => ({
  code: 'control.crashed',
  message: `this is a bug in Kirin: ${error instanceof Error ? error.message : 'something else than an error was thrown'}`,
  stack: error instanceof Error ? error.stack : undefined,
});
