/**
 * The arbiter's process: the arbiter machine with the actors that touch the world. Owns what outlives the machine:
 * the pid file, the sockets, the log's last lines, and the emergency exit that leaves no orphan.
 */
import type { ChildProcess } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { createActor, fromCallback } from 'xstate';
import { type ArbiterOutput, arbiterMachine } from '../machines/arbiter.ts';
import { childMachine } from '../machines/child.ts';
import type { LogOrder } from '../machines/events/arbiter.ts';
import { EXIT, exitCodeOf } from '../machines/faults.ts';
import { jittered } from '../machines/policy.ts';
import { poolMachine } from '../machines/pool.ts';
import { backoffOf } from '../machines/pool-context.ts';
import type { Settings, SettingsSource } from '../settings.ts';
import { toFault } from './fault-error.ts';
import { Generations, generationsActor } from './generations.ts';
import { HeartbeatTable } from './heartbeat.ts';
import { ListenerTable } from './listeners.ts';
import { createLog, type Log } from './log.ts';
import { narrator, tellOrderEnd } from './narrator.ts';
import { writePidfile } from './pidfile.ts';
import { processActor } from './process.ts';
import type { Signals } from './signals.ts';

export interface ArbiterOptions {
  settings: Settings;
  /** Reads the settings afresh, at a reload. */
  source: SettingsSource;
  signals: Signals;
  /** The file that a worker runs. */
  workerFile: string;
  /** Kirin's own, for the log. */
  version: string;
}

/** The most workers an order to scale can ask for. */
const workersMax = (asked: number): number => Math.max(64, 4 * availableParallelism(), asked);

/** Runs a server until it is told to stop; resolves with the exit code. A bug ends the process itself, with 70. */
export async function runArbiter(options: ArbiterOptions): Promise<number> {
  const { settings } = options;
  const log = createLog({
    level: settings.logLevel,
    format: settings.logFormat,
    file: settings.errorLogfile,
  });
  const table = new ListenerTable();
  const live = new Set<ChildProcess>();
  let pidfile: { remove(): void } | undefined;
  /** No machine supervises any more: nothing that was started may live, and nothing may be left behind. */
  const crash = (error: unknown): never => {
    for (const child of live) child.kill('SIGKILL');
    const { message, stack } = toFault(error, 'worker.uncaught');
    log.fatal(`this is a bug in Kirin: ${message}`, { stack });
    table.close();
    pidfile?.remove();
    process.exit(EXIT.bug);
  };
  process.on('uncaughtException', crash);
  try {
    if (settings.pid !== undefined) pidfile = writePidfile(settings.pid);
  } catch (error) {
    const fault = toFault(error, 'file.unusable');
    log.fatal(fault.message);
    await log.close();
    return exitCodeOf(fault);
  }
  log.info(`kirin ${options.version} on Node.js ${process.version}, pid ${process.pid}`);
  const { exitCode, fault } = await supervise(options, { log, table, live, crash });
  // The stack, if any, was told when the worker ended.
  if (fault) {
    const reason =
      exitCodeOf(fault) >= EXIT.boot ? `the first start failed: ${fault.message}` : fault.message;
    log.fatal(reason);
    // Whoever started it by hand looks at the terminal, not into the log file.
    if (settings.errorLogfile !== '-') process.stderr.write(`kirin: ${reason}\n`);
  }
  if (!fault) log.info('stopped');
  table.close();
  pidfile?.remove();
  await log.close();
  return exitCode;
}

/** What is shared between the machine's actors and the emergency exit. */
interface House {
  log: Log;
  table: ListenerTable;
  /** Every process that lives. */
  live: Set<ChildProcess>;
  crash(error: unknown): never;
}

function supervise(
  { settings, source, signals, workerFile }: ArbiterOptions,
  { log, table, live, crash }: House,
) {
  const generations = new Generations({
    settings,
    source,
    table,
    random: Math.random,
    notice: (text) => log.warn(text),
  });
  const machine = arbiterMachine.provide({
    actors: {
      signals: fromCallback(({ sendBack }) => signals.attach(sendBack)),
      generations: generationsActor(generations),
      logs: fromCallback<LogOrder>(({ receive }) => receive(() => log.reopen())),
      pool: poolMachine.provide({
        delays: {
          backoff: ({ context }) => jittered(backoffOf(context), Math.random()),
        },
        actors: {
          child: childMachine.provide({
            actors: {
              process: processActor({
                generations,
                heartbeats: new HeartbeatTable(),
                live,
                workerFile,
                linkNotice: (text) => log.warn(text),
              }),
            },
          }),
        },
      }),
    },
  });
  const actor = createActor(machine, {
    id: 'arbiter',
    input: { workersMax: workersMax(settings.workers) },
    inspect: narrator(log, {
      app: () => settings.app,
      addresses: (generation) => generations.addresses(generation),
    }),
  });
  for (const type of ['order.done', 'order.refused', 'order.failed', 'order.superseded'] as const)
    actor.on(type, (end) => tellOrderEnd(log, end));

  return new Promise<ArbiterOutput>((resolve) => {
    actor.subscribe({
      complete: () => resolve(actor.getSnapshot().output ?? { exitCode: EXIT.bug, fault: null }),
      error: crash,
    });
    actor.start();
  });
}
