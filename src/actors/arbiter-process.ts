/**
 * The arbiter's process: the arbiter machine with the actors that touch the world. Owns what outlives the machine:
 * the pid file, the sockets, the log's last lines, and the emergency exit that leaves no orphan.
 */
import type { ChildProcess } from 'node:child_process';
import { EXIT, exitCodeOf } from '../machines/faults.ts';
import { earlyStart } from '../stages/early.ts';
import { keepCodeSoon } from '../stages/keep.ts';
import { printedTo } from './captured-output.ts';
import { killChild } from './child-kill.ts';
import { jumpText, watchClock } from './clock.ts';
import { Control } from './control/control.ts';
import { Journal } from './control/journal.ts';
import { Ledger } from './control/ledger.ts';
import { DirtyTree } from './dirty/tree.ts';
import { toFault } from './fault-error.ts';
import { Generations } from './generations.ts';
import { Guardian } from './guardian.ts';
import { HeartbeatTable } from './heartbeat.ts';
import { ArbiterHooks } from './hooks/arbiter-hooks.ts';
import { Inspector } from './inspect/inspector.ts';
import { ListenerTable } from './listeners.ts';
import { createLog } from './log.ts';
import { sayAtTheEnd } from './log-sink.ts';
import { transportsOf } from './log-transports/named.ts';
import { isCounting } from './metrics/counting.ts';
import { MetricsOffice } from './metrics/office.ts';
import { tellPlace } from './place-notices.ts';
import { raisePriority } from './priority.ts';
import { Rotation } from './rotation.ts';
import type { Signals } from './signals.ts';
import { type ArbiterOptions, supervise } from './supervision.ts';
import { syslogOf } from './syslog/own-log.ts';
import { serviceOf } from './systemd/service.ts';
import { Upgrade } from './upgrade/upgrade.ts';

/** Runs a server until it is told to stop; resolves with the exit code. A bug ends the process itself, with 70. */
export async function runArbiter(options: ArbiterOptions): Promise<number> {
  const { settings, identity, redactor, head, signals, predecessor } = options;
  const journal = new Journal();
  const written = createLog({
    level: settings.logLevel,
    format: settings.logFormat,
    file: settings.errorLogfile,
    syslog: await syslogOf(settings, (text) => log.warn(text)),
    transports: await transportsOf(settings, (text) => log.warn(text)),
  });
  const log = journal.over(written);
  const printed = settings.captureOutput ? printedTo(written, redactor) : undefined;
  const table = head?.table ?? new ListenerTable({ early: earlyStart() });
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
    upgrade.pidfile?.remove();
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
          metrics: isCounting(settings),
          printed: printed?.('dirty arbiter'),
          arbiterFile: options.dirtyArbiterFile,
          stash: predecessor?.heritage.stash,
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
    heritage: predecessor?.heritage.controls,
    version: options.version,
  });
  const metrics = new MetricsOffice({
    settings,
    log,
    journal,
    ledger,
    heartbeats,
    dirty,
    listeners: table,
    version: options.version,
  });
  const service = options.isTrial ? undefined : serviceOf((text) => log.warn(text));
  const upgrade = new Upgrade({
    pid: settings.pid,
    reload: settings.reload,
    log,
    start: options.start,
    predecessor,
    table,
    control,
    metrics,
    dirty,
    hooks,
    service,
  });
  process.on('uncaughtException', crash);
  // Node would write them to standard error itself, and wait where nobody reads it.
  // With `--no-warnings` nobody listens, and nobody shall.
  if (process.listenerCount('warning') > 0)
    process
      .removeAllListeners('warning')
      .on('warning', ({ name, message, stack }) => log.warn(`${name}: ${message}`, { stack }));
  try {
    upgrade.writePidfile();
  } catch (error) {
    const fault = toFault(error, 'file.unusable');
    log.fatal(fault.message);
    if (settings.daemon) sayAtTheEnd(`kirin: ${fault.message}`);
    head?.drop();
    table.close();
    await log.close();
    return exitCodeOf(fault);
  }
  const unraised = raisePriority(settings.arbiterPriority);
  log.info(`kirin ${options.version} on Node.js ${process.version}, pid ${process.pid}`);
  tellPlace(settings, log);
  if (unraised !== undefined)
    log.debug(`the arbiter has no priority over its workers: the system does not permit it (${unraised})`);
  keepCodeSoon();
  const unwatchClock = watchClock((byMs) => {
    log.info(jumpText(byMs));
    upgrade.pidfile?.touch();
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
    upgrade,
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
  upgrade.pidfile?.remove();
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

/** Everything is gone but hooks; whoever cannot wait for these says it by a signal, as to a server that stops. */
async function lastHooks(hooks: ArbiterHooks, signals: Signals, exitCode: number): Promise<void> {
  const hasten = new AbortController();
  const detach = signals.attach(({ type }) => {
    if (type === 'arbiter.stop') hasten.abort();
  });
  await hooks.exit({ pid: process.pid, exitCode }, hasten.signal);
  detach();
}
