/** Metrics, health and statsd as a whole: what is counted, and where it is asked for or sent. Runs in the arbiter. */
import { performance } from 'node:perf_hooks';
import type { ArbiterActor } from '../../machines/arbiter.ts';
import type { Settings } from '../../settings.ts';
import { parseAddress } from '../address.ts';
import type { Journal } from '../control/journal.ts';
import type { Ledger } from '../control/ledger.ts';
import { Scene } from '../control/scene.ts';
import { residentBytes } from '../descriptors.ts';
import type { DirtyTree } from '../dirty/tree.ts';
import type { HeartbeatTable } from '../heartbeat.ts';
import { resolveHost } from '../host-name.ts';
import type { ListenerTable } from '../listeners.ts';
import type { Log } from '../log.ts';
import { readinessOf } from '../readiness.ts';
import type { Backlog } from './backlog.ts';
import type { Door } from './door.ts';
import type { Figures } from './exposition.ts';
import type { Statsd } from './statsd.ts';
import { Tally } from './tally.ts';

/** An address in use is tried again so often. */
const AGAIN_MS = 5000;
/** Lists of what workers that are gone had counted, before they are made one though nobody asks. */
const GONE_MAX = 16;

export interface OfficeDeps {
  settings: Settings;
  log: Log;
  journal: Journal;
  ledger: Ledger;
  heartbeats: HeartbeatTable;
  dirty: DirtyTree | undefined;
  listeners: Pick<ListenerTable, 'list'>;
  version: string;
}

export class MetricsOffice {
  readonly tally = new Tally();
  readonly #deps: OfficeDeps;
  #door: Door | undefined;
  #statsd: Statsd | undefined;
  #again: NodeJS.Timeout | undefined;
  #statsdAgain: NodeJS.Timeout | undefined;
  #isOver = false;
  #isYielded = false;

  constructor(deps: OfficeDeps) {
    this.#deps = deps;
    const { hooks, goneApps } = this.tally;
    goneApps.warn = (text) => deps.log.warn(text);
    const gone = hooks.gone!;
    hooks.gone = (age) => {
      gone(age);
      if (goneApps.count > GONE_MAX)
        void import('./exposition.ts').then(({ mergeApps }) => goneApps.merged(mergeApps)).catch(() => {});
    };
  }

  /** Opens what the settings ask for. Never rejects: serving goes on without it, and the log says why. */
  async open(actor: ArbiterActor): Promise<void> {
    const { metrics, statsdHost, enableBacklogMetric } = this.#deps.settings;
    if (enableBacklogMetric && process.platform !== 'linux')
      this.#deps.log.warn(
        '--enable-backlog-metric: only Linux tells how many connections wait; nothing is told',
      );
    if (metrics !== undefined) await this.#openDoor(metrics, actor);
    if (statsdHost !== undefined) await this.#openStatsd(statsdHost, actor);
  }

  /** Frees the address for a new arbiter; `open` takes it again. */
  yields(): Promise<void> {
    this.#isYielded = true;
    clearTimeout(this.#again);
    this.#again = undefined;
    const door = this.#door;
    this.#door = undefined;
    return door?.close() ?? Promise.resolve();
  }

  /** Takes the address again that was freed. */
  async takeBack(actor: ArbiterActor): Promise<void> {
    const { metrics } = this.#deps.settings;
    if (!this.#isYielded) return;
    this.#isYielded = false;
    if (metrics !== undefined) await this.#openDoor(metrics, actor);
  }

  async end(): Promise<void> {
    this.#isOver = true;
    clearTimeout(this.#again);
    clearTimeout(this.#statsdAgain);
    void this.#door?.close();
    await this.#statsd?.end();
  }

  async #openDoor(where: string, actor: ArbiterActor): Promise<void> {
    const { log } = this.#deps;
    const address = parseAddress(where);
    if (address.kind === 'fd') return;
    try {
      const { openDoor } = await import('./door.ts');
      const door = await openDoor({
        address: address.kind === 'tcp' ? { ...address, ...(await resolveHost(address)) } : address,
        readiness: () => readinessOf(actor),
        metrics: async () => {
          const { CONTENT_TYPE, exposition } = await import('./exposition.ts');
          return { type: CONTENT_TYPE, text: await exposition(await this.#figures(actor), this.tally) };
        },
      });
      if (this.#isOver || this.#isYielded) return void (await door.close());
      this.#door = door;
      log.info(`metrics at ${door.place}`);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      const isInUse = code === 'EADDRINUSE';
      const hope = isInUse ? `; tried again every ${AGAIN_MS / 1000} s` : '';
      if (!this.#again)
        log.warn(`no metrics at ${where}: ${isInUse ? 'the address is in use' : message}${hope}`);
      if (isInUse && !this.#isOver && !this.#isYielded)
        this.#again = setTimeout(() => void this.#openDoor(where, actor), AGAIN_MS).unref();
    }
  }

  async #openStatsd(where: string, actor: ArbiterActor): Promise<void> {
    const { settings, log, journal } = this.#deps;
    const address = parseAddress(where);
    if (address.kind !== 'tcp') return;
    try {
      const { host } = await resolveHost(address);
      const { Statsd: Made } = await import('./statsd.ts');
      if (this.#isOver) return;
      this.#statsd = new Made({
        host,
        port: address.port,
        prefix: settings.statsdPrefix,
        tags: settings.dogstatsdTags,
        tally: this.tally,
        calls: () => this.#deps.dirty?.calls.sums() ?? [],
        workers: () => new Scene(actor).workers().length,
        logged: () => journal.levels,
        waiting: this.#waiting,
      });
    } catch (error) {
      if (!this.#statsdAgain)
        log.warn(
          `nothing is sent to statsd at ${where}: ${(error as Error).message.replace(/^cannot bind \S+: /, '')}; tried again every ${AGAIN_MS / 1000} s`,
        );
      // The name server may be the one that is not up yet.
      if (!this.#isOver)
        this.#statsdAgain = setTimeout(() => void this.#openStatsd(where, actor), AGAIN_MS).unref();
    }
  }

  /** Undefined where nobody wants to know. */
  readonly #waiting = async (): Promise<Backlog[] | undefined> =>
    this.#deps.settings.enableBacklogMetric
      ? await (await import('./backlog.ts')).backlogs(this.#deps.listeners.list())
      : undefined;

  async #figures(actor: ArbiterActor): Promise<Figures> {
    const { ledger, heartbeats, dirty, version } = this.#deps;
    const status = await dirty?.describe();
    const scene = new Scene(actor);
    return {
      version,
      generation: scene.pool()?.context.committed.number ?? 0,
      target: scene.context.target,
      ready: readinessOf(actor).ready,
      spawned: ledger.spawned,
      uptimeSeconds: (performance.now() - ledger.startedMs) / 1000,
      rssBytes: residentBytes(),
      workers: scene.workers().map(({ member: { age, slot, generation }, state }) => ({
        age,
        slot,
        generation,
        state,
        pulse: heartbeats.pulse(age),
      })),
      dirty: status,
      backlogs: await this.#waiting(),
      calls: dirty?.calls.sums() ?? [],
    };
  }
}
