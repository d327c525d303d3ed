/**
 * The terminal that a process was started from, and what its HUP means. Runs in the arbiter, from its first moment; imports
 * nothing heavy.
 *
 * A terminal that goes sends HUP, by the kernel and often once more by the shell. The kernel has taken it from the process by
 * then: /dev/tty cannot be opened any more. A process that never had one (`setsid`, a service manager) gets no such HUP.
 */
import { closeSync, constants, openSync, readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';

/** How often it is looked whether the terminal is still there, so that a HUP long after it has gone is an operator's. */
const LOOK_MS = 1000;
/** A shell that is told to go may pass HUP on before the terminal goes: so long, and so often, it is looked after a HUP. */
const WAIT_MS = 300;
const WAIT_LOOK_MS = 50;
/** A terminal's own HUP comes no further than this from when it was seen to be gone. */
const HANG_UP_MS = 3000;

export interface Terminal {
  /** Whether there is one now; the size of its window is then no order. */
  readonly isThere: boolean;
  /**
   * Told at each HUP; says what it means, at once where there is no terminal: an order as from any operator, or that the terminal
   * has gone, which is said once. One that a process is to outlive means nothing.
   */
  hangUp(): void;
}

export interface TerminalDeps {
  /** Whether the process has a controlling terminal. */
  look(): boolean;
  /** Whether it was told to outlive it. */
  outlives(): boolean;
  /** Monotonic, in milliseconds. */
  now(): number;
}

const REAL: TerminalDeps = { look: hasTerminal, outlives: hasNohup, now: () => performance.now() };

export function watchTerminal(means: (what: 'order' | 'gone') => void, deps: TerminalDeps = REAL): Terminal {
  const { look, now } = deps;
  const isSheltered = deps.outlives();
  let isThere = look();
  let goneMs = Number.NEGATIVE_INFINITY;
  let hangUpMs = Number.NEGATIVE_INFINITY;
  let isTold = false;
  let pending: NodeJS.Timeout | undefined;
  const lookAgain = (): void => {
    if (!isThere || look()) return;
    isThere = false;
    goneMs = now();
    clearInterval(timer);
    clearTimeout(pending);
    if (goneMs - hangUpMs <= HANG_UP_MS) tellGone();
  };
  const tellGone = (): void => {
    if (isSheltered || isTold) return;
    isTold = true;
    means('gone');
  };
  const wait = (leftMs: number): void => {
    pending = setTimeout(() => {
      pending = undefined;
      lookAgain();
      if (!isThere) return;
      if (leftMs > WAIT_LOOK_MS) wait(leftMs - WAIT_LOOK_MS);
      else means('order');
    }, WAIT_LOOK_MS);
  };
  const timer = isThere ? setInterval(lookAgain, LOOK_MS).unref() : undefined;
  return {
    get isThere() {
      return isThere;
    },
    hangUp() {
      hangUpMs = now();
      lookAgain();
      if (isThere) {
        if (!pending) wait(WAIT_MS);
      } else if (hangUpMs - goneMs > HANG_UP_MS) means('order');
      else tellGone();
    },
  };
}

/** Whatever else keeps it from being opened (no descriptor is left, no device) says nothing about the terminal. */
let hadTerminal = false;
function hasTerminal(): boolean {
  try {
    closeSync(openSync('/dev/tty', constants.O_RDONLY | constants.O_NOCTTY | constants.O_NONBLOCK));
    hadTerminal = true;
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return hadTerminal && code !== 'ENXIO' && code !== 'EIO';
  }
}

/**
 * `nohup` has HUP ignored, which Node undoes before any script runs. What is left of it is standard input, which it opens for
 * writing alone where that was a terminal, and the name that a shell leaves in `_`.
 */
function hasNohup(): boolean {
  if (/(^|\/)nohup$/.test(process.env['_'] ?? '')) return true;
  try {
    const flags = /^flags:\s*(\d+)/m.exec(readFileSync('/proc/self/fdinfo/0', 'utf8'))?.[1];
    return flags !== undefined && (Number.parseInt(flags, 8) & constants.O_WRONLY) !== 0;
  } catch {
    return false;
  }
}
