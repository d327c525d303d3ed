/**
 * The arbiter machine with its actors, and with those who watch it: log, control interface, inspector, metrics, hooks, the service
 * manager. Runs in the arbiter's process, from its start until everything that it supervises is gone.
 */
import type { ChildProcess } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { createActor, fromCallback } from 'xstate';
import { type ArbiterOutput, arbiterMachine } from '../machines/arbiter.ts';
import { childMachine } from '../machines/child.ts';
import { type ArbiterReport, type LogOrder, signalOrders } from '../machines/events/arbiter.ts';
import { EXIT } from '../machines/faults.ts';
import { jittered } from '../machines/policy.ts';
import { poolMachine } from '../machines/pool.ts';
import { backoffOf } from '../machines/pool-context.ts';
import type { Settings, SettingsSource } from '../settings.ts';
import { Balancer } from './balancer.ts';
import type { Control } from './control/control.ts';
import type { Ledger } from './control/ledger.ts';
import { Scene } from './control/scene.ts';
import type { Development } from './development/development.ts';
import type { DirtyTree } from './dirty/tree.ts';
import type { Generations } from './generations.ts';
import { generationsActor } from './generations-actor.ts';
import type { Guardian } from './guardian.ts';
import type { HeadStart } from './head-start.ts';
import type { HeartbeatTable } from './heartbeat.ts';
import type { ArbiterHooks } from './hooks/arbiter-hooks.ts';
import { hookWatch } from './hooks/hook-watch.ts';
import type { Identity } from './identity.ts';
import type { Inspector } from './inspect/inspector.ts';
import type { Log } from './log.ts';
import { Looks } from './looks.ts';
import { MemoryTable } from './memory.ts';
import type { MetricsOffice } from './metrics/office.ts';
import { narrator, tellOrder } from './narrator.ts';
import { type ProcessDeps, processActor, together } from './process.ts';
import { Processors } from './processors.ts';
import type { Redactor } from './redaction.ts';
import type { Rotation } from './rotation.ts';
import { Shift } from './shift.ts';
import type { Signals } from './signals.ts';
import type { Service } from './systemd/service.ts';
import type { Predecessor } from './upgrade/predecessor.ts';
import type { StartContext } from './upgrade/start-context.ts';
import type { Upgrade } from './upgrade/upgrade.ts';

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
  /** How this process was started. */
  start: StartContext;
  /** The old arbiter of an upgrade, if this is the new one. */
  predecessor?: Predecessor | undefined;
  /** What has been started already, if anything has. */
  head?: HeadStart | undefined;
}

/** What is shared between the machine's actors and the emergency exit. */
export interface House {
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
  upgrade: Upgrade;
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

/** Starts the arbiter machine with its actors; resolves when it has ended. */
export function supervise(
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
    upgrade,
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
  const processors = new Processors(availableParallelism());
  const isPaused = (age: number): boolean => rotation.isPaused(age);
  const shift = new Shift({
    heartbeats,
    isOn: isBalanced,
    isPaused,
    processors: processors.count,
    tell: (text) => log.info(text),
  });
  const isAway = (age: number): boolean => isPaused(age) || shift.isResting(age);
  const balancer = new Balancer(heartbeats, isBalanced, isAway, processors.count);
  const looks = new Looks(processors, [shift.look, balancer.look]);
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
      ...upgrade.actors,
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
                  shift.hooks,
                  looks.hooks,
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
      ...upgrade.input,
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
    upgrade.serving();
    if (isTrial) actor.send(signalOrders.SIGTERM);
  });
  return new Promise<ArbiterOutput>((resolve) => {
    actor.subscribe({
      complete: () => resolve(actor.getSnapshot().output ?? { exitCode: EXIT.bug, fault: null }),
      error: crash,
    });
    actor.start();
    void inspector.open();
    upgrade.attach(actor);
  });
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
