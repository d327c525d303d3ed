/**
 * The arbiter's process: the arbiter machine with the actors that touch the world. Owns what outlives the machine:
 * the pid file, the sockets, the log's last lines, and the emergency exit that leaves no orphan.
 */
import type { ChildProcess } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { createActor, fromCallback } from 'xstate';
import { arbiterMachine } from '../machines/arbiter.ts';
import { childMachine } from '../machines/child.ts';
import type { LogOrder } from '../machines/events/arbiter.ts';
import { EXIT, exitCodeOf } from '../machines/faults.ts';
import { backoffMs, jittered } from '../machines/policy.ts';
import { poolMachine } from '../machines/pool.ts';
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

declare const KIRIN_VERSION: string;

export interface ArbiterOptions {
  settings: Settings;
  /** Reads the settings afresh, at a reload. */
  source: SettingsSource;
  signals: Signals;
  /** The file that a worker runs. */
  workerFile: string;
}

/** The most workers an order to scale can ask for. */
const workersMax = (asked: number): number => Math.max(64, 4 * availableParallelism(), asked);

/** Runs a server until it is told to stop; resolves with the exit code. */
export async function runArbiter(options: ArbiterOptions): Promise<number> {
  const { settings } = options;
  const log = createLog({
    level: settings.logLevel,
    format: settings.logFormat,
    file: settings.errorLogfile,
  });
  let pidfile: { remove(): void } | undefined;
  try {
    if (settings.pid !== undefined) pidfile = writePidfile(settings.pid);
  } catch (error) {
    const fault = toFault(error, 'file.unusable');
    log.fatal(fault.message);
    await log.close();
    return exitCodeOf(fault);
  }
  log.info(`kirin ${KIRIN_VERSION} on Node.js ${process.version}, pid ${process.pid}`);
  const table = new ListenerTable();
  try {
    const { exitCode, fault } = await supervise(options, log, table);
    // The stack, if any, was told when the worker ended.
    if (fault)
      log.fatal(exitCodeOf(fault) >= EXIT.boot ? `the first start failed: ${fault.message}` : fault.message);
    else log.info('stopped');
    return exitCode;
  } finally {
    table.close();
    pidfile?.remove();
    await log.close();
  }
}

function supervise(
  { settings, source, signals, workerFile }: ArbiterOptions,
  log: Log,
  table: ListenerTable,
) {
  const generations = new Generations({
    settings,
    source,
    table,
    random: Math.random,
    notice: (text) => log.warn(text),
  });
  const live = new Set<ChildProcess>();
  const machine = arbiterMachine.provide({
    actors: {
      signals: fromCallback(({ sendBack }) => signals.attach(sendBack)),
      generations: generationsActor(generations),
      logs: fromCallback<LogOrder>(({ receive }) => receive(() => log.reopen())),
      pool: poolMachine.provide({
        delays: {
          backoff: ({ context }) => jittered(backoffMs(context.failures, context.judgement), Math.random()),
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

  return new Promise<{ exitCode: number; fault: ReturnType<typeof toFault> | null }>((resolve) => {
    actor.subscribe({
      complete: () => resolve(actor.getSnapshot().output ?? { exitCode: EXIT.bug, fault: null }),
      error: (error) => {
        // A bug: no machine supervises any more, so nothing it started may live.
        for (const child of live) child.kill('SIGKILL');
        const fault = toFault(error, 'worker.uncaught');
        log.fatal(`this is a bug in Kirin: ${fault.message}`, { stack: fault.stack });
        resolve({ exitCode: EXIT.bug, fault: null });
      },
    });
    actor.start();
  });
}
