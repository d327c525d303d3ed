/** A dirty worker's process: what is supervised there loads dirty apps and runs their actions. Runs in the dirty worker. */

import type { DirtyWorkerSpec } from '../../machines/events/dirty.ts';
import type { HookFile } from '../../settings/hooks-table.ts';
import { announceDirty, announceWorker } from '../app-bridge.ts';
import { FaultError } from '../fault-error.ts';
import { HookRunner } from '../hooks/run-hook.ts';
import { endWithOwner } from '../owner.ts';
import { settles } from '../patience.ts';
import { titleOf } from '../process-title.ts';
import { superviseWorker, type WorkerVoice, type WorkerWork } from '../supervised-worker.ts';
import type { Channel } from './channel.ts';
import { FRAME, typeOf } from './frames.ts';
import { DIRTY_PROTOCOL, type WorkerHello } from './hello.ts';
import { packFrame } from './packing.ts';
import { DirtyRuntime } from './runtime.ts';
import { DirtyWorkerApps } from './runtime-apps.ts';
import { RuntimeDoor } from './runtime-door.ts';
import { connectChannel } from './socket-channel.ts';

/** How long the router may take to answer a hello. */
const WELCOME_MS = 10_000;
/** How long it may live on without its dirty arbiter, to close its apps: the next one's workers wait for nobody. */
const ORPHANED_MS = 2000;
/** How long calls that were cancelled at the end may take to clean up. */
const CANCELLED_MS = 200;

export function runDirtyWorker(): void {
  superviseWorker('dirtyWorker', 'app.startFailed', (voice) => new Serving(voice));
}

/** What takes calls: the connection to the router, the apps and what runs them. */
class Serving implements WorkerWork<DirtyWorkerSpec> {
  readonly #voice: WorkerVoice;
  #channel: Channel | undefined;
  #apps: DirtyWorkerApps | undefined;
  #runtime: DirtyRuntime | undefined;
  #door: RuntimeDoor | undefined;

  constructor(voice: WorkerVoice) {
    this.#voice = voice;
  }

  begin({
    age,
    slot,
    socket,
    callTimeoutMs,
    name = '',
    arbiterGeneration: generation,
  }: DirtyWorkerSpec): void {
    process.title = titleOf(`dirty worker ${age} in slot ${slot}`, name);
    endWithOwner({ graceMs: ORPHANED_MS, warn: this.#warn });
    announceWorker({ age, slot, generation });
    announceDirty({ role: 'dirty', socket, timeoutMs: callTimeoutMs, generation, age });
  }

  counts() {
    return { requests: this.#runtime?.ended ?? 0, connections: 0, inFlight: this.#runtime?.running ?? 0 };
  }

  /** Calls queue in the router, whoever is there to take them. */
  async claim(): Promise<void> {}

  async load(spec: DirtyWorkerSpec): Promise<void> {
    const { age, slot, apps, tokens, arbiterGeneration, hooks: file } = spec;
    const hooks = new HookRunner(file as (HookFile & typeof file) | null);
    const subject = {
      pid: process.pid,
      age,
      slot,
      generation: arbiterGeneration,
      apps: apps.map(({ importPath }) => importPath),
      resources: tokens,
    };
    await hooks.run('dirty_post_fork', subject);
    this.#apps = new DirtyWorkerApps(apps);
    // Kept by the dirty arbiter, for whoever asks why this never ended.
    await this.#apps.start((what) => this.#voice.notice('debug', what));
    await hooks.run('dirty_worker_init', subject);
    // Only now: the router gives nobody long to say who he is, and an app may take minutes to load.
    const channel = await connectChannel(spec.socket);
    this.#channel = channel;
    const runtime = new DirtyRuntime({
      apps: this.#apps.running,
      send: (frame) => channel.send(frame),
      sendNow: (frame, more) => channel.sendNow?.(frame, more) ?? false,
      direct: (caller) => door.to(caller),
      notice: this.#warn,
    });
    this.#runtime = runtime;
    const door = new RuntimeDoor({
      payload: (...brought) => runtime.brought(...brought),
      withdrawn: (...call) => runtime.withdrawn(...call),
      callerGone: (caller) => runtime.callerGone(caller),
    });
    this.#door = door;
    const direct = await door.open(spec.door);
    const { secret } = spec;
    const hello: WorkerHello = {
      role: 'worker',
      protocol: DIRTY_PROTOCOL,
      pid: process.pid,
      age,
      generation: arbiterGeneration,
      apps: apps.map(({ number }) => number),
      secret,
      direct,
    };
    await new Promise<void>((resolve, reject) => {
      const limit = setTimeout(() => reject(refused(`no welcome for ${WELCOME_MS} ms`)), WELCOME_MS);
      channel.open({
        frame: (frame, more) => {
          if (typeOf(frame) === FRAME.welcome) {
            clearTimeout(limit);
            resolve();
          } else if (!runtime.take(frame, more)) channel.close('the router sent what is no call');
        },
        ended: (why) => {
          clearTimeout(limit);
          reject(refused(why));
          this.#lost(why);
        },
      });
      channel.send(packFrame({ type: FRAME.hello }, hello));
    });
  }

  cut(): void {
    this.#runtime?.cancelAll('the worker was told to quit');
  }

  /** Waits for what runs, and cuts what is left at the end. */
  async drain(graceMs: number): Promise<{ cut: number }> {
    const runtime = this.#runtime;
    if (!runtime) return { cut: 0 };
    const untilMs = performance.now() + graceMs;
    await settles(runtime.drain(), graceMs);
    // A call has ended for the router when its large result is on its way to a caller that may be slow to read it.
    await this.#door?.flushed(untilMs - performance.now());
    const cut = runtime.running;
    runtime.cancelAll('the worker leaves');
    // What was cancelled cleans up before the apps are closed.
    await settles(runtime.drain(), CANCELLED_MS);
    return { cut };
  }

  async close(limitMs: number): Promise<void> {
    await this.#apps?.close(limitMs, this.#warn);
    this.#channel?.close();
    this.#door?.close();
  }

  /** Nobody can call it any more. Where the dirty arbiter has died the link ends too, and tells. */
  #lost(why: string): void {
    this.#runtime?.cancelAll(why);
    this.#voice.die({ code: 'link.mismatch', message: `its connection to the router ended: ${why}` });
  }

  readonly #warn = (text: string): void => this.#voice.notice('warn', text);
}

const refused = (why: string): FaultError =>
  new FaultError('link.mismatch', `the router did not take this worker: ${why}`);
