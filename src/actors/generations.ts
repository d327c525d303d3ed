/**
 * What belongs to a generation and is not the machines' business: code, directory, environment, descriptors. Runs in
 * the arbiter. Prepares a generation (reads settings afresh, resolves the app, binds what is new) and releases it.
 */
import type { ProcessInput } from '../machines/child.ts';
import type { DirtyGeneration } from '../machines/events/dirty.ts';
import type { Generation } from '../machines/events/generation.ts';
import type { AppSpec, WorkerSpec } from '../machines/events/worker.ts';
import type { Fault } from '../machines/faults.ts';
import { hooksAt } from '../settings/hooks-table.ts';
import { splitList } from '../settings/networks.ts';
import { inForce, needsRestart, type Settings, type SettingsSource } from '../settings.ts';
import { parseAddress } from './address.ts';
import { resolveApp } from './app-path.ts';
import { generationEnv, withPort } from './environment.ts';
import { toFault } from './fault-error.ts';
import { giveFile } from './given-file.ts';
import { headsOf } from './heads/spec.ts';
import type { ArbiterHooks } from './hooks/arbiter-hooks.ts';
import { resolvedHooks } from './hooks/hook-file.ts';
import type { Identity } from './identity.ts';
import type { BoundListener, ListenerTable } from './listeners.ts';
import { isCounting } from './metrics/counting.ts';
import { nodeOptions } from './node-options.ts';
import { FIRST_FD, type ProcessLaunch } from './process-spawn.ts';
import { type Learn, type Redactor, VALUES_MAX } from './redaction.ts';
import { accessLogOf } from './syslog/own-log.ts';

/** Limits that are not settings, in milliseconds. */
const QUIT_MS = 2000;
/** Whoever presses Ctrl-C sits before it. */
const QUIT_IN_DEVELOPMENT_MS = 500;
const ABORT_MS = 1000;
const STABLE_MS = 10_000;
const KILL_AGAIN_MS = 5000;
const HEARTBEAT_MS = 1000;
const PORT_MAX = 65_535;

/** How a worker of one generation is started. */
interface Launch {
  generation: Generation;
  settings: Settings;
  cwd: string;
  env: Record<string, string>;
  nodeArgs: readonly string[];
  listeners: readonly BoundListener[];
  /** What the worker is told; it inherits two descriptors for each socket. */
  spec(age: number, slot: number): WorkerSpec;
}

export interface GenerationsDeps {
  settings: Settings;
  source: SettingsSource;
  /** Whose its processes are to be; undefined: the arbiter's own. */
  identity: Identity | undefined;
  table: ListenerTable;
  /** Chance, for the jitter of `max-requests`; in [0, 1). */
  random(): number;
  /** Where dirty workers are reached, if there are any; undefined: there are none, and none can be made. */
  dirtySocket: string | undefined;
  /** Told of the dirty workers of the first generation, before they are started. */
  dirtyPrepared(first: DirtyGeneration): void;
  /** Knows what must not be told of a generation, and takes it out of why it is refused. */
  redactor: Redactor;
  notice(text: string): void;
}

export class Generations {
  /** What is told of generations, once there is somebody to tell. */
  hooks: ArbiterHooks | undefined;
  #launches = new Map<number, Launch>();
  #deps: GenerationsDeps;

  constructor(deps: GenerationsDeps) {
    this.#deps = deps;
  }

  /** How one of its workers is started. */
  launchOf({
    age,
    slot,
    generation,
  }: Pick<ProcessInput, 'age' | 'slot' | 'generation'>): ProcessLaunch<'web'> {
    const launch = this.#launches.get(generation);
    if (!launch) throw new Error(`generation ${generation} is not prepared`);
    const { settings, cwd, env, nodeArgs, listeners } = launch;
    return {
      cwd,
      env,
      nodeArgs,
      fds: listeners.flatMap(({ fd }) => [fd, fd]),
      memory: { softBytes: settings.maxMemoryBytes, hardBytes: settings.maxMemoryHardBytes },
      hangStack: settings.hangStack,
      isCaptured: this.#deps.settings.captureOutput,
      debuggerPort: debuggerOf(settings, slot)?.port,
      identity: this.#deps.identity,
      boot: { type: 'worker.boot', spec: launch.spec(age, slot) },
    };
  }

  /** The settings in force while a generation is the committed one; what needs a restart is as it was at the start. */
  settingsOf(number: number): Settings {
    const launch = this.#launches.get(number);
    return launch ? inForce(this.#deps.settings, launch.settings) : this.#deps.settings;
  }

  /** The addresses a generation listens on, for the log. */
  addresses(number: number): string[] {
    return this.#launches.get(number)?.listeners.map(({ address }) => address) ?? [];
  }

  /** What is prepared already, by the head start, is not prepared again. */
  async prepare(number: number, signal: AbortSignal): Promise<Generation> {
    const { table, notice } = this.#deps;
    const known = this.#launches.get(number);
    if (known) return known.generation;
    // A newer reload has come while this one waited for its turn.
    signal.throwIfAborted();
    const learn: Learn = (variables) => this.#learn(number, variables);
    const settings = number === 1 ? this.#deps.settings : await this.#deps.source(signal, learn);
    signal.throwIfAborted();
    for (const flag of needsRestart(this.#deps.settings, settings))
      notice(`${flag} was changed, which needs a restart: it stays as it was`);
    const { cwd, app } = resolveApp(settings);
    const node = await nodeOptions(settings, cwd, notice, this.#deps.identity);
    const env = { ...generationEnv(settings), ...node.env };
    await this.#callHooks(number, settings, { cwd, env, signal });
    const dirty = this.#deps.dirtySocket
      ? await (await import('./dirty/prepare.ts')).prepareDirty(number, settings, {
          cwd,
          env,
          nodeArgs: node.args,
          name: this.#deps.settings.procName,
          identity: this.#deps.identity,
          signal,
          notice,
        })
      : undefined;
    if (dirty && number === 1) this.#deps.dirtyPrepared(dirty.generation);
    const listeners = await table.bind(settings.bind, number, {
      signal,
      onRetry: notice,
      ipv6Only: this.#deps.settings.ipv6Only,
      reusePort: this.#deps.settings.reusePort,
      owner: this.#deps.identity,
    });
    const parts = {
      cwd,
      app,
      env: withPort(env, settings.env, listeners),
      nodeArgs: node.args,
      listeners,
    };
    this.#giveLog(settings);
    const generation: Generation = {
      number,
      limits: {
        bootMs: settings.bootTimeoutMs,
        timeoutMs: settings.timeoutMs,
        graceMs: settings.gracefulTimeoutMs,
        quitMs: settings.reload ? QUIT_IN_DEVELOPMENT_MS : QUIT_MS,
        abortMs: ABORT_MS,
        stableMs: STABLE_MS,
        killAgainMs: KILL_AGAIN_MS,
      },
      surge: settings.maxSurge,
      settleMs: settings.reloadSettleMs,
      workers: settings.workers,
      ...(dirty ? { dirty } : {}),
    };
    this.#launches.set(number, { ...this.#launchOf(number, settings, parts), generation });
    return generation;
  }

  async #callHooks(
    number: number,
    settings: Settings,
    { cwd, env, signal }: { cwd: string; env: Record<string, string>; signal: AbortSignal },
  ): Promise<void> {
    const { hooks } = this;
    if (!hooks) return;
    const file = hooksAt('arbiter', settings.hooks);
    const limitMs = settings.hookTimeoutMs;
    await hooks.keep(number, file && { file: resolvedHooks(file), cwd, env, limitMs });
    await (number === 1 ? hooks.starting(signal) : hooks.reloading(number, signal));
  }

  /** Log files were renamed: before workers open theirs again, there are new ones that they may open. */
  giveLogs(): void {
    for (const { settings } of this.#launches.values()) this.#giveLog(settings);
  }

  #giveLog({ accessLogfile: file }: Settings): void {
    const { identity } = this.#deps;
    if (identity && file !== undefined && file !== '-') giveFile(file, identity);
  }

  /** Why a generation is refused, without what must not be told of it. */
  refusal(error: unknown): Fault {
    return this.#deps.redactor.fault(toFault(error, 'bind.failed'));
  }

  #learn(number: number, variables: Readonly<Record<string, string | undefined>>): void {
    const left = this.#deps.redactor.learn(number, variables, { all: true });
    if (left > 0)
      this.#deps.notice(
        `${left} values of the environment may show in replies and in the log: only ${VALUES_MAX} are looked for`,
      );
  }

  release(number: number): void {
    this.#deps.redactor.forget(number);
    this.hooks?.release(number);
    this.#launches.delete(number);
    this.#deps.table.release(number);
  }

  close(): void {
    this.#deps.table.close();
  }

  #launchOf(
    number: number,
    settings: Settings,
    parts: Pick<Launch, 'cwd' | 'env' | 'nodeArgs' | 'listeners'> & { app: AppSpec },
  ): Omit<Launch, 'generation'> {
    const { cwd, app, env, nodeArgs, listeners } = parts;
    const hooks = workerHooks(settings);
    const jitter = (): number => Math.floor(this.#deps.random() * (settings.maxRequestsJitter + 1));
    return {
      settings,
      cwd,
      env,
      nodeArgs,
      listeners,
      spec: (age, slot) => ({
        age,
        slot,
        generation: number,
        app,
        name: this.#deps.settings.procName,
        listeners: listeners.map(({ address, type }, index) => ({
          address,
          type,
          fd: FIRST_FD + 2 * index,
          spareFd: FIRST_FD + 2 * index + 1,
        })),
        backlog: settings.backlog,
        keepAliveMs: settings.keepAliveMs,
        idleGraceMs: settings.idleGraceMs,
        graceMs: settings.gracefulTimeoutMs,
        maxRequests: settings.maxRequests > 0 ? settings.maxRequests + jitter() : 0,
        connectionsMax: settings.workerConnections > 0 ? settings.workerConnections : undefined,
        onUncaught: settings.onUncaught,
        hangStackFd: settings.hangStack ? FIRST_FD + 2 * listeners.length : undefined,
        inspect: debuggerOf(settings, slot),
        edge: edgeOf(settings),
        accessLog: accessLogOf(settings, this.#deps.settings),
        metrics: isCounting(settings),
        hooks,
        ...(settings.reload ? { tellsModules: true } : {}),
        dirty: this.#deps.dirtySocket
          ? { socket: this.#deps.dirtySocket, timeoutMs: settings.dirtyTimeoutMs }
          : null,
        heartbeatMs: settings.timeoutMs > 0 ? Math.min(HEARTBEAT_MS, settings.timeoutMs / 3) : HEARTBEAT_MS,
      }),
    };
  }
}

/** Undefined where nothing was said of it: then a server is as bare as can be. */
function edgeOf(settings: Settings): WorkerSpec['edge'] {
  const { certfile, keyfile, caCerts, certReqs, ciphers, sslMinVersion, http2, http2Streams } = settings;
  const { maxHeaderBytes, headersTimeoutMs, requestTimeoutMs } = settings;
  const { proxyProtocol: versions, proxyAllowIps } = settings;
  const proxy = versions === 'off' ? undefined : { versions, allow: splitList(proxyAllowIps) };
  const limits = { maxHeaderBytes, headersTimeoutMs, requestTimeoutMs, proxy, heads: headsOf(settings) };
  if (certfile === undefined)
    return Object.values(limits).every((limit) => limit === undefined) ? undefined : limits;
  return {
    ...limits,
    tls: {
      certfile,
      keyfile: keyfile ?? certfile,
      caCerts,
      clients: certReqs,
      ciphers,
      minVersion: sslMinVersion,
      maxVersion: settings.sslMaxVersion,
    },
    http2Streams: http2 ? http2Streams : undefined,
  };
}

/** A worker beyond the number of a generation may have a port beyond all: then it has none. */
function debuggerOf({ inspect }: Settings, slot: number): WorkerSpec['inspect'] {
  const address = inspect === undefined ? undefined : parseAddress(inspect);
  if (address?.kind !== 'tcp' || address.port + slot > PORT_MAX) return undefined;
  return { host: address.host, port: address.port + slot };
}

function workerHooks({ hooks, hookTimeoutMs: limitMs }: Settings): WorkerSpec['hooks'] {
  const own = hooksAt('worker', hooks);
  return own && { file: resolvedHooks(own).file, names: [...own.names], limitMs };
}
