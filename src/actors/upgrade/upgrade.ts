/**
 * Both sides of an upgrade as one piece: what a new arbiter is given, and what it takes when the old one is gone. Runs in the
 * arbiter.
 */
import { fromCallback } from 'xstate';
import type { ArbiterActor } from '../../machines/arbiter.ts';
import type { PredecessorOrder } from '../../machines/events/upgrade.ts';
import { successorMachine } from '../../machines/successor.ts';
import type { Control } from '../control/control.ts';
import type { DirtyTree } from '../dirty/tree.ts';
import { FaultError } from '../fault-error.ts';
import type { ArbiterHooks } from '../hooks/arbiter-hooks.ts';
import type { ListenerTable } from '../listeners.ts';
import type { Log } from '../log.ts';
import type { MetricsOffice } from '../metrics/office.ts';
import { isPidOne, PID_ONE_NO_UPGRADE } from '../pid-one.ts';
import { type Pidfile, removePidfileOf, writePidfile } from '../pidfile.ts';
import { startMark } from '../process-identity.ts';
import type { Service } from '../systemd/service.ts';
import { BESIDE, bequeath } from './heritage.ts';
import type { Predecessor } from './predecessor.ts';
import type { StartContext } from './start-context.ts';
import { successorProcess } from './successor-process.ts';

export interface UpgradeDeps {
  /** The setting. */
  pid: string | undefined;
  /** With `--reload` there is nothing to upgrade: everything is restarted at each change. */
  reload: boolean;
  log: Log;
  start: StartContext;
  predecessor: Predecessor | undefined;
  table: ListenerTable;
  control: Control;
  metrics: MetricsOffice;
  dirty: DirtyTree | undefined;
  hooks: ArbiterHooks;
  service: Service | undefined;
}

export class Upgrade {
  readonly #deps: UpgradeDeps;
  #pidfile: Pidfile | undefined;
  #actor: ArbiterActor | undefined;

  constructor(deps: UpgradeDeps) {
    this.#deps = deps;
    const { predecessor, table } = deps;
    if (predecessor) table.inherit(predecessor.heritage.listeners);
  }

  /** Writes the pid file: beside the old arbiter's, while that runs. Throws FaultError `file.unusable`. */
  writePidfile(): void {
    const { pid, predecessor } = this.#deps;
    if (pid !== undefined) this.#pidfile = writePidfile(predecessor ? `${pid}${BESIDE}` : pid);
  }

  get pidfile(): Pidfile | undefined {
    return this.#pidfile;
  }

  /** For the arbiter machine's input. */
  get input(): { predecessor: number | undefined; noUpgrade: string | undefined } {
    const noUpgrade = isPidOne()
      ? PID_ONE_NO_UPGRADE
      : this.#deps.reload
        ? 'with --reload everything is started anew at each change'
        : undefined;
    return { predecessor: this.#deps.predecessor?.heritage.pid, noUpgrade };
  }

  /** For the arbiter machine. */
  get actors() {
    const { predecessor } = this.#deps;
    return {
      successor: successorMachine.provide({
        actors: {
          process: successorProcess({
            start: this.#deps.start,
            before: () => this.#deps.hooks.upgrading({}),
            handOver: () => this.#handOver(),
            yields: () => this.#deps.metrics.yields(),
            takeBack: (pid) => this.#takeBack(pid),
          }),
        },
      }),
      predecessor: predecessor
        ? predecessor.actor(() => this.#succeed())
        : fromCallback<PredecessorOrder>(() => {}),
    };
  }

  /** The arbiter machine is there, and about to be started. */
  attach(actor: ArbiterActor): void {
    this.#actor = actor;
    const { predecessor, metrics, service, log } = this.#deps;
    if (!predecessor) {
      void metrics.open(actor);
      service?.attach(actor);
      return;
    }
    log.info(`upgrade: beside process ${predecessor.heritage.pid}, whose sockets are inherited`);
    predecessor.whenYielded(() => void metrics.open(actor));
  }

  /** The first workers are ready. */
  serving(): void {
    this.#deps.predecessor?.serving();
  }

  #handOver(): { text: string; fds: number[] } {
    const { table, control, dirty } = this.#deps;
    const { pid } = process;
    return bequeath({
      pid,
      mark: startMark(pid) ?? '-',
      listeners: table.handOver(),
      controls: control.handOver(),
      ...(dirty ? { stash: dirty.stash } : {}),
    });
  }

  #takeBack(successor: number | undefined): void {
    const { table, control, metrics, pid } = this.#deps;
    // One that was killed has left its pid file, and its number may soon be another's.
    if (pid !== undefined && successor !== undefined) removePidfileOf(successor, `${pid}${BESIDE}`);
    table.takeBack();
    control.takeBack();
    if (this.#actor) void metrics.takeBack(this.#actor);
  }

  #succeed(): void {
    const { table, control, service, log, pid, predecessor } = this.#deps;
    table.succeed();
    control.succeed();
    if (this.#actor) service?.attach(this.#actor);
    if (pid === undefined || !predecessor) return;
    const beside = this.#pidfile;
    try {
      this.#pidfile = writePidfile(pid, { predecessor: predecessor.heritage.pid });
      beside?.remove();
    } catch (error) {
      if (!(error instanceof FaultError)) throw error;
      log.warn(`${error.message}; this arbiter's is ${pid}${BESIDE}`);
    }
  }
}
