/**
 * What a service manager (systemd with `Type=notify`) is told of the server: that it is ready, reloads, stops, and is alive. Runs in
 * the arbiter; only reads the arbiter machine.
 */
import type { ArbiterActor } from '../../machines/arbiter.ts';
import type { ArbiterReport } from '../../machines/events/arbiter.ts';
import { readinessOf } from '../readiness.ts';
import { Sender } from './sender.ts';

/** Longer than this no timer of Node.js waits. */
const WATCHDOG_MS_MAX = 24 * 3600 * 1000;

export interface Service {
  attach(actor: ArbiterActor): void;
  heard(report: ArbiterReport): void;
  end(): Promise<void>;
}

/** Undefined where nobody wants to be told. */
export function serviceOf(
  notice: (text: string) => void,
  env: NodeJS.ProcessEnv = process.env,
): Service | undefined {
  const socket = env['NOTIFY_SOCKET'];
  if (!socket) return undefined;
  if (!/^[@/]./.test(socket)) {
    notice(`the service manager is told nothing: NOTIFY_SOCKET must be a path or @NAME, not "${socket}"`);
    return undefined;
  }
  return new NotifiedService(new Sender({ socket, notice, env }), watchdogMs(env));
}

/** How often a sign of life is wanted, at half the limit; undefined: not at all, or of another process. */
export function watchdogMs(env: NodeJS.ProcessEnv, pid = process.pid): number | undefined {
  const { WATCHDOG_USEC: limit = '', WATCHDOG_PID: owner } = env;
  if (!/^\d{1,18}$/.test(limit) || Number(limit) === 0) return undefined;
  if (owner && Number(owner) !== pid) return undefined;
  return Math.min(Math.max(1, Math.floor(Number(limit) / 2000)), WATCHDOG_MS_MAX);
}

class NotifiedService implements Service {
  readonly #sender: Sender;
  readonly #watchdogMs: number | undefined;
  #actor: ArbiterActor | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isReady = false;
  #isStopping = false;
  readonly #reloads = new Set<number>();

  constructor(sender: Sender, watchdog: number | undefined) {
    this.#sender = sender;
    this.#watchdogMs = watchdog;
  }

  attach(actor: ArbiterActor): void {
    this.#actor = actor;
    actor.subscribe({ next: () => this.#look(actor), complete: () => this.#stopping(), error: () => {} });
    this.#look(actor);
    if (this.#watchdogMs === undefined) return;
    // A timer that fires is an event loop that turns; a machine that is in error answers nobody.
    this.#timer = setInterval(() => {
      const { status } = actor.getSnapshot();
      if (status === 'error') return;
      this.#sender.send(['WATCHDOG=1', ...this.#status()]);
    }, this.#watchdogMs).unref();
  }

  /** A reload that is refused at once was none. */
  heard(report: ArbiterReport): void {
    if (report.order !== 'arbiter.reload' || !this.#isReady || this.#isStopping) return;
    if (report.type === 'order.taken') {
      this.#reloads.add(report.orderId);
      // The clock is the kernel's monotonic one, and the time must not be before that of the HUP.
      const microseconds = process.hrtime.bigint() / 1000n;
      this.#sender.send(['RELOADING=1', `MONOTONIC_USEC=${microseconds}`, 'STATUS=reloading']);
      return;
    }
    if (!this.#reloads.delete(report.orderId) || this.#reloads.size > 0) return;
    const fault = 'fault' in report && report.fault ? `; the reload failed: ${report.fault.message}` : '';
    this.#sender.send(['READY=1', ...this.#status(fault)]);
  }

  async end(): Promise<void> {
    clearInterval(this.#timer);
    this.#stopping();
    await this.#sender.end();
  }

  #look(actor: ArbiterActor): void {
    const snapshot = actor.getSnapshot();
    const { context } = snapshot;
    const serves = snapshot.matches({ alive: { supervising: 'serving' } });
    if (!serves) {
      if (!snapshot.matches({ alive: 'preparing' })) this.#stopping();
      return;
    }
    if (this.#isReady || !context.webOpened || (context.hasDirty && !context.dirtyOpened)) return;
    this.#isReady = true;
    this.#sender.send(['READY=1', ...this.#status()]);
  }

  #stopping(): void {
    if (this.#isStopping) return;
    this.#isStopping = true;
    const { successor } = this.#actor?.getSnapshot().context ?? {};
    // The service goes on: it has another main process.
    if (successor?.isServing) this.#sender.send([`MAINPID=${successor.pid}`]);
    else this.#sender.send(['STOPPING=1', 'STATUS=stopping']);
  }

  #status(more = ''): string[] {
    const why = this.#actor ? readinessOf(this.#actor).why : 'starting';
    return [`STATUS=${oneLine(`${why}${more}`)}`];
  }
}

const oneLine = (text: string): string => text.replace(/\p{Cc}+/gu, ' ').slice(0, 500);
