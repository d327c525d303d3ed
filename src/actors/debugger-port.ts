/**
 * Opens this worker's debugger port. Runs in web workers. While a predecessor in the same slot, which is leaving, still has the
 * port, its successor waits: so that a slot keeps its port.
 */
import { connect } from 'node:net';
import type { Notice } from './supervised.ts';

const AGAIN_MS = 500;
/** Longer than nearly any grace. */
const TRIES_MAX = 1200;
const PROBE_MS = 2000;

/** Loaded by those alone who ask for a port. */
const inspector = () => process.getBuiltinModule('node:inspector');

export interface DebuggerPlace {
  host: string;
  port: number;
}

export function openDebuggerPort(place: DebuggerPlace, notice: Notice): void {
  const where = `${place.host.includes(':') ? `[${place.host}]` : place.host}:${place.port}`;
  let tries = 0;
  void attempt();

  async function attempt(): Promise<void> {
    if (!(await isTaken(place)) && open(place))
      return notice('info', `debugger listening on ${inspector().url()}`);
    if (++tries === 1)
      notice('info', `the debugger's port ${where} is in use, likely by a worker that leaves: waiting`);
    if (tries >= TRIES_MAX)
      return notice('warn', `the debugger's port ${where} stays in use: this worker has none`);
    setTimeout(() => void attempt(), AGAIN_MS).unref();
  }
}

/** Node.js writes to standard error where a port is taken, each time: so it is looked at before. */
function isTaken({ host, port }: DebuggerPlace): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: PROBE_MS });
    const settle = (taken: boolean) => () => {
      socket.destroy();
      resolve(taken);
    };
    socket.unref();
    socket.once('connect', settle(true));
    socket.once('timeout', settle(true));
    socket.once('error', settle(false));
  });
}

function open({ host, port }: DebuggerPlace): boolean {
  try {
    inspector().open(port, host);
  } catch {
    // It is open already: something that was loaded before has opened it.
  }
  return inspector().url() !== undefined;
}
