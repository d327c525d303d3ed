/**
 * The arbiter's process: the arbiter machine with the actors that touch the world. Owns what outlives the machine:
 * the pid file, the sockets, the log's last lines, and the emergency exit that leaves no orphan.
 */
import type { ChildProcess } from 'node:child_process';
import { createActor, fromCallback } from 'xstate';
import { type ArbiterOutput, arbiterMachine } from '../machines/arbiter.ts';
import { childMachine } from '../machines/child.ts';
import { type ArbiterReport, type LogOrder, signalOrders } from '../machines/events/arbiter.ts';
import { EXIT, exitCodeOf } from '../machines/faults.ts';
import { jittered } from '../machines/policy.ts';
import { poolMachine } from '../machines/pool.ts';
import { backoffOf } from '../machines/pool-context.ts';
import type { Settings, SettingsSource } from '../settings.ts';
import { Balancer } from './balancer.ts';
import { printedTo } from './captured-output.ts';
import { killChild } from './child-kill.ts';
import { jumpText, watchClock } from './clock.ts';
import { Control } from './control/control.ts';
import { Journal } from './control/journal.ts';
import { Ledger } from './control/ledger.ts';
import { Scene } from './control/scene.ts';
import type { Development } from './development/development.ts';
import { DirtyTree } from './dirty/tree.ts';
import { toFault } from './fault-error.ts';
import { Generations } from './generations.ts';
import { generationsActor } from './generations-actor.ts';
import { Guardian } from './guardian.ts';
import type { HeadStart } from './head-start.ts';
import { HeartbeatTable } from './heartbeat.ts';
import { ArbiterHooks } from './hooks/arbiter-hooks.ts';
import { hookWatch } from './hooks/hook-watch.ts';
import type { Identity } from './identity.ts';
import { Inspector } from './inspect/inspector.ts';
import { ListenerTable } from './listeners.ts';
import { createLog, type Log } from './log.ts';
import { sayAtTheEnd } from './log-sink.ts';
import { MemoryTable } from './memory.ts';
import { MetricsOffice } from './metrics/office.ts';
import { narrator, tellOrder } from './narrator.ts';
import { type Pidfile, writePidfile } from './pidfile.ts';
import { tellPlace } from './place-notices.ts';
import { type ProcessDeps, processActor, together } from './process.ts';
import type { Redactor } from './redaction.ts';
import { Rotation } from './rotation.ts';
import type { Signals } from './signals.ts';
import { syslogOf } from './syslog/own-log.ts';
import { type Service, serviceOf } from './systemd/service.ts';

export interface ArbiterOptions {
  settings: Settings;
  /** Reads the settings afresh, at a reload. */
  source: SettingsSource;
  signals: Signals;
  /** Whose workers are to be; undefined: the arbiter's own. */
  identity: Identity | undefined;
  /** Knows what must not be told; of generation 1 already. */
  redactor: Redactor;
  /** The files that a worker and a dirty arbiter run. */
  workerFile: string;
  dirtyArbiterFile: string;
  /** Kirin's own, for the log. */
  version: string;
  /** It stops as soon as it serves. */
  isTrial?: boolean;
  /** With `--reload`: told what is loaded, and orders reloads. */
  development?: Development | undefined;
  /** Called once it serves. */
  serving?: (() => void) | undefined;
  /** What has been started already, if anything has. */
  head?: HeadStart | undefined;
}

/** Runs a server until it is told to stop; resolves with the exit code. A bug ends the process itself, with 70. */
export async function runArbiter(options: ArbiterOptions): Promise<number> {
  const { settings, identity, redactor, head, signals } = options;
  const journal = new Journal();
  const written = createLog({
    level: settings.logLevel,
    format: settings.logFormat,
    file: settings.errorLogfile,
    syslog: await syslogOf(settings, (text) => log.warn(text)),
  });
  const log = journal.over(written);
  const printed = settings.captureOutput ? printedTo(written, redactor) : undefined;
  const table = head?.table ?? new ListenerTable();
  const live = new Set<ChildProcess>();
  const guardian = new Guardian((text) => log.warn(text));
  const ledger = new Ledger();
  const heartbeats = new HeartbeatTable();
  const inspector = new Inspector({
    settings,
    redactor,
    journal,
    log,
    version: options.version,
  });
  let pidfile: Pidfile | undefined;
  /** No machine supervises any more: nothing that was started may live, and nothing may be left behind. */
  const crash = (error: unknown): never => {
    for (const child of live) killChild(child);
    head?.drop();
    hooks.kill();
    const { message, stack } = toFault(error, 'worker.uncaught');
    log.fatal(`this is a bug in Kirin: ${message}`, { stack });
    inspector.crash();
    table.close();
    control.remove();
    pidfile?.remove();
    dirty?.remove();
    process.exit(EXIT.bug);
  };
  const dirty =
    settings.dirtyWorkers > 0
      ? new DirtyTree({
          heartbeats: new HeartbeatTable(),
          inspected: inspector.children,
          live,
          guardian,
          redactor,
          identity,
          stashBytesMax: settings.dirtyStashBytesMax,
          printed: printed?.('dirty arbiter'),
          arbiterFile: options.dirtyArbiterFile,
          notice: (text) => log.warn(text),
        })
      : undefined;
  head?.tell((text) => log.warn(text));
  const generations =
    head?.generations ??
    new Generations({
      settings,
      dirtySocket: dirty?.socket,
      dirtyPrepared: (first) => dirty?.begin(first),
      source: options.source,
      identity,
      table,
      random: Math.random,
      redactor,
      notice: (text) => log.warn(text),
    });
  const hooks = new ArbiterHooks({ warn: (text) => log.warn(redactor.text(text)), guardian });
  generations.hooks = hooks;
  const rotation = new Rotation();
  const control = new Control({
    settings,
    log,
    ledger,
    journal,
    heartbeats,
    generations,
    dirty,
    listeners: table,
    inspector,
    rotation,
    version: options.version,
  });
  const metrics = new MetricsOffice({
    settings,
    log,
    journal,
    ledger,
    heartbeats,
    dirty,
    version: options.version,
  });
  const service = options.isTrial ? undefined : serviceOf((text) => log.warn(text));
  process.on('uncaughtException', crash);
  // Node would write them to standard error itself, and wait where nobody reads it.
  // With `--no-warnings` nobody listens, and nobody shall.
  if (process.listenerCount('warning') > 0)
    process
      .removeAllListeners('warning')
      .on('warning', ({ name, message, stack }) => log.warn(`${name}: ${message}`, { stack }));
  try {
    if (settings.pid !== undefined) pidfile = writePidfile(settings.pid);
  } catch (error) {
    const fault = toFault(error, 'file.unusable');
    log.fatal(fault.message);
    if (settings.daemon) sayAtTheEnd(`kirin: ${fault.message}`);
    head?.drop();
    table.close();
    await log.close();
    return exitCodeOf(fault);
  }
  log.info(`kirin ${options.version} on Node.js ${process.version}, pid ${process.pid}`);
  tellPlace(settings, log);
  const unwatchClock = watchClock((byMs) => {
    log.info(jumpText(byMs));
    pidfile?.touch();
  });
  const { exitCode, fault } = await supervise(options, {
    log,
    generations,
    heartbeats,
    inspector,
    ledger,
    control,
    dirty,
    metrics,
    service,
    rotation,
    hooks,
    live,
    guardian,
    printed: printed?.('worker'),
    crash,
  });
  head?.drop();
  await lastHooks(hooks, signals, exitCode);
  // The stack, if any, was told when the worker ended.
  if (fault) {
    const reason =
      exitCodeOf(fault) >= EXIT.boot ? `the first start failed: ${fault.message}` : fault.message;
    log.fatal(reason);
    // Whoever started it by hand looks at the terminal, not into the log file.
    if (settings.errorLogfile !== '-' || settings.daemon) sayAtTheEnd(`kirin: ${reason}`);
  }
  if (!fault) log.info('stopped');
  else if (options.development && exitCodeOf(fault) >= EXIT.boot && !signals.stopped.aborted)
    log.info('waiting for a change that mends it');
  table.close();
  unwatchClock();
  pidfile?.remove();
  dirty?.remove();
  await guardian.end();
  await inspector.end('the server has stopped');
  await metrics.end();
  await service?.end();
  process.off('uncaughtException', crash);
  // Last of all: for whoever waits for the end, the end of the connection is the end of the server.
  await control.close();
  await log.close();
  return exitCode;
}

/** What is shared between the machine's actors and the emergency exit. */
interface House {
  log: Log;
  generations: Generations;
  heartbeats: HeartbeatTable;
  inspector: Inspector;
  ledger: Ledger;
  control: Control;
  dirty: DirtyTree | undefined;
  metrics: MetricsOffice;
  /** Tells the service manager, if there is one. */
  service: Service | undefined;
  rotation: Rotation;
  hooks: ArbiterHooks;
  /** Every process that lives. */
  live: Set<ChildProcess>;
  /** Sees to it that none outlives us. */
  guardian: Guardian;
  /** Takes what workers print, if it is captured. */
  printed: ProcessDeps<'web'>['printed'] | undefined;
  crash(error: unknown): never;
}

function supervise(
  { settings, signals, workerFile, redactor, head, development, isTrial, serving }: ArbiterOptions,
  {
    log,
    generations,
    heartbeats,
    inspector,
    ledger,
    control,
    dirty,
    metrics,
    service,
    rotation,
    hooks,
    live,
    guardian,
    printed,
    crash,
  }: House,
) {
  const isBalanced = (): boolean => {
    const committed = new Scene(actor).pool()?.context.committed.number ?? 1;
    return !generations.settingsOf(committed).noBalance;
  };
  const balancer = new Balancer(heartbeats, isBalanced, (age) => rotation.isPaused(age));
  const machine = arbiterMachine.provide({
    actors: {
      signals: fromCallback(({ sendBack }) => signals.attach(sendBack)),
      generations: generationsActor(generations),
      logs: fromCallback<LogOrder>(({ receive }) =>
        receive(() => {
          log.reopen();
          generations.giveLogs();
          rotation.reopen();
        }),
      ),
      control: control.machine,
      ...(dirty ? { dirty: dirty.machine } : {}),
      pool: poolMachine.provide({
        delays: {
          backoff: ({ context }) => jittered(backoffOf(context), Math.random()),
        },
        actors: {
          child: childMachine.provide({
            actors: {
              process: processActor({
                kind: 'web',
                title: 'worker',
                launch: (input) => generations.launchOf(input),
                early: (input) => head?.take(input),
                before: (input) => hooks.spawning(input),
                hooks: together(
                  rotation.hooks,
                  balancer.hooks,
                  metrics.tally.hooks,
                  ...(development ? [development.hooks] : []),
                ),
                heartbeats,
                inspected: inspector.children,
                live,
                guardian,
                memory: new MemoryTable(),
                ...(printed ? { printed } : {}),
                file: workerFile,
                redactor,
                linkNotice: (text) => log.warn(text),
              }),
            },
          }),
        },
      }),
    },
  });
  const narrate = narrator(log, {
    app: () => settings.app,
    addresses: (generation) => generations.addresses(generation),
  });
  const tellHooks = hookWatch(hooks, { addresses: (generation) => generations.addresses(generation) });
  const actor = createActor(machine, {
    id: 'arbiter',
    input: {
      workersMax: Math.max(settings.workersMax, settings.workers),
      controls: control.wishes,
      lameDuckMs: settings.lameDuckMs,
    },
    inspect: (inspection) =>
      harmless(log, () => {
        ledger.note(inspection);
        metrics.tally.note(inspection);
        narrate(inspection);
        tellHooks(inspection);
        development?.watch(inspection);
      }),
  });
  inspector.attach(actor, control.attach(actor));
  development?.attach(log, (order) => actor.send(order));
  service?.attach(actor);
  for (const type of REPORTS)
    actor.on(type, (report) =>
      harmless(log, () => {
        tellOrder(log, report);
        control.heard(report);
        service?.heard(report);
        if (report.type !== 'order.taken') metrics.tally.ended(report);
        development?.heard(report);
      }),
    );

  const opened = actor.subscribe(({ context: { webOpened, hasDirty, dirtyOpened } }) => {
    if (!webOpened || (hasDirty && !dirtyOpened)) return;
    opened.unsubscribe();
    serving?.();
    if (isTrial) actor.send(signalOrders.SIGTERM);
  });
  return new Promise<ArbiterOutput>((resolve) => {
    actor.subscribe({
      complete: () => resolve(actor.getSnapshot().output ?? { exitCode: EXIT.bug, fault: null }),
      error: crash,
    });
    actor.start();
    void inspector.open();
    void metrics.open(actor);
  });
}

/** Everything is gone but hooks; whoever cannot wait for these says it by a signal, as to a server that stops. */
async function lastHooks(hooks: ArbiterHooks, signals: Signals, exitCode: number): Promise<void> {
  const hasten = new AbortController();
  const detach = signals.attach(({ type }) => {
    if (type === 'arbiter.stop') hasten.abort();
  });
  await hooks.exit({ pid: process.pid, exitCode }, hasten.signal);
  detach();
}

/** Those who only watch: a bug in them is told, and puts no machine in error. */
function harmless(log: Log, watch: () => void): void {
  try {
    watch();
  } catch (error) {
    log.error('this is a bug in Kirin: what watches its machines failed', {
      stack: error instanceof Error ? error.stack : String(error),
    });
  }
}

const REPORTS = [
  'order.taken',
  'order.done',
  'order.refused',
  'order.failed',
  'order.superseded',
] as const satisfies ArbiterReport['type'][];
