/**
 * A dirty worker's process: the worker machine with actors that load dirty apps and run their actions. Runs in the dirty
 * worker and owns its exit.
 */

import { Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import { createActor, fromCallback, fromPromise } from 'xstate';
import type { DirtyWorkerOrder, DirtyWorkerSpec } from '../../machines/events/dirty.ts';
import type { LifecycleReport } from '../../machines/events/lifecycle.ts';
import { LINK_PROTOCOL, linkSchemas } from '../../machines/events/link.ts';
import type { WorkerInternal } from '../../machines/events/worker.ts';
import { type AnyWorkerSpec, workerMachine } from '../../machines/worker.ts';
import { announceDirty, announceWorker } from '../app-bridge.ts';
import { shieldSignals } from '../app-signals.ts';
import { FaultError, toFault } from '../fault-error.ts';
import { type Link, openLink } from '../link.ts';
import { settles } from '../patience.ts';
import { BOOT_ORDER_MS, beat, exitAfter, LINK_FD, noticeOver, speakLastWords } from '../supervised.ts';
import type { Channel } from './channel.ts';
import { FRAME, typeOf } from './frames.ts';
import { DIRTY_PROTOCOL, type WorkerHello } from './hello.ts';
import { packFrame } from './packing.ts';
import { DirtyRuntime } from './runtime.ts';
import { DirtyWorkerApps } from './runtime-apps.ts';
import { connectChannel } from './socket-channel.ts';

/** How long the router may take to answer a hello. */
const WELCOME_MS = 10_000;
/** How long calls that were cancelled at the end may take to clean up. */
const CANCELLED_MS = 200;

type Internal = DirtyWorkerOrder | Extract<WorkerInternal, { type: 'link.ended' }>;

export function runDirtyWorker(): void {
  const age = Number(process.env['KIRIN_WORKER_AGE'] ?? 0);
  const stream = new Socket({ fd: LINK_FD, readable: true, writable: true });
  const serving = new Serving();
  let toMachine = (_event: Internal): void => {};
  let terminated = (): void => {};
  shieldSignals(() => terminated());

  const link: Link<LifecycleReport> = openLink<DirtyWorkerOrder, LifecycleReport>(
    stream,
    LINK_FD,
    linkSchemas.dirtyWorker.down,
    {
      event: (order) => {
        if (order.type === 'worker.boot') hello(order.spec);
        toMachine(order);
      },
      unknown: (what) => notice('warn', `an order that is not known: ${what}`),
      broken: () => stream.destroy(),
      ended: () => toMachine({ type: 'link.ended' }),
    },
  );
  const notice = noticeOver(link);
  const hello = ({
    generation: edition,
    arbiterGeneration: generation,
    slot,
    socket,
  }: DirtyWorkerSpec): void => {
    link.send({
      type: 'worker.hello',
      protocol: LINK_PROTOCOL,
      kind: 'dirtyWorker',
      age,
      generation: edition,
    });
    process.title = `kirin: dirty worker ${age} in slot ${slot}`;
    announceWorker({ age, slot, generation });
    announceDirty({ role: 'dirty', socket, timeoutMs: 0, generation, age });
  };
  let drainingSinceMs = 0;

  const machine = workerMachine.provide({
    actors: {
      link: fromCallback<LifecycleReport>(({ sendBack, receive }) => {
        toMachine = sendBack as typeof toMachine;
        receive((report) => {
          link.send(report);
        });
        return () => {
          toMachine = () => {};
        };
      }),
      signals: fromCallback(({ sendBack }) => {
        terminated = () => sendBack({ type: 'signals.terminated' });
        return () => {
          terminated = () => {};
        };
      }),
      server: fromCallback<{ type: 'server.cut' }, AnyWorkerSpec>(({ receive }) => {
        receive(() => serving.cut('the worker was told to quit'));
      }),
      heartbeat: fromCallback<{ type: 'heartbeat.none' }, AnyWorkerSpec>(({ input }) =>
        beat(link, input.heartbeatMs, () => ({ requests: 0, connections: 0, inFlight: serving.running })),
      ),
      claim: fromPromise<void, AnyWorkerSpec>(({ input }) =>
        serving.connect((input as DirtyWorkerSpec).socket),
      ),
      load: fromPromise<void, AnyWorkerSpec>(async ({ input }) => {
        // While the apps load the link does not hold the process, so that an event loop that runs empty shows.
        stream.unref();
        try {
          await serving.start(input as DirtyWorkerSpec, (text) => notice('warn', text), lost);
        } finally {
          stream.ref();
        }
      }),
      drain: fromPromise<{ cut: number }, { graceMs: number }>(({ input }) => {
        drainingSinceMs = performance.now();
        return serving.drain(input.graceMs);
      }),
      close: fromPromise<void, { limitMs: number }>(async ({ input }) => {
        stream.unref();
        const limitMs = Math.max(0, input.limitMs - (performance.now() - drainingSinceMs));
        await serving.close(limitMs, (text) => notice('warn', text));
      }),
    },
  });

  const actor = createActor(machine, {
    input: { bootOrderMs: BOOT_ORDER_MS, faultOf: (error) => toFault(error, 'app.startFailed') },
  });
  const isUp = (): boolean => {
    const snapshot = actor.getSnapshot();
    return snapshot.status === 'active' && !snapshot.matches({ alive: { booted: 'leaving' } });
  };
  /** Nobody can call it any more: it is of no use. Where the dirty arbiter has died the link ends too, and tells. */
  function lost(why: string): void {
    serving.cut(why);
    if (!isUp()) return;
    const fault = { code: 'link.mismatch' as const, message: `its connection to the router ended: ${why}` };
    link.sendSync({ type: 'worker.lastWords', fault });
    process.exit(1);
  }
  speakLastWords(link, isUp);
  actor.subscribe({
    complete: () => exitAfter(link, actor.getSnapshot().output?.exitCode ?? 0),
    error: (error) => {
      link.sendSync({ type: 'worker.lastWords', fault: toFault(error, 'worker.uncaught') });
      console.error(error);
      process.exit(70);
    },
  });
  actor.start();
}

/** What takes calls: the connection to the router, the apps and what runs them. */
class Serving {
  #channel: Channel | undefined;
  #apps: DirtyWorkerApps | undefined;
  #runtime: DirtyRuntime | undefined;

  get running(): number {
    return this.#runtime?.running ?? 0;
  }

  async connect(socket: string): Promise<void> {
    this.#channel = await connectChannel(socket);
    this.#channel.unref();
  }

  /** Loads the apps, and then lets calls come. `lost` is called when the connection has ended. */
  async start(
    spec: DirtyWorkerSpec,
    notice: (text: string) => void,
    lost: (why: string) => void,
  ): Promise<void> {
    const channel = this.#channel!;
    this.#apps = new DirtyWorkerApps(spec.apps);
    await this.#apps.start();
    const runtime = new DirtyRuntime({
      apps: this.#apps.running,
      send: (frame) => channel.send(frame),
      notice,
    });
    this.#runtime = runtime;
    const { age, arbiterGeneration: generation, secret } = spec;
    const apps = spec.apps.map(({ number }) => number);
    const hello: WorkerHello = {
      role: 'worker',
      protocol: DIRTY_PROTOCOL,
      pid: process.pid,
      age,
      generation,
      apps,
      secret,
    };
    channel.ref();
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
          lost(why);
        },
      });
      channel.send(packFrame({ type: FRAME.hello }, hello));
    });
  }

  cut(why: string): void {
    this.#runtime?.cancelAll(why);
  }

  /** Waits for what runs, and cuts what is left at the end. */
  async drain(graceMs: number): Promise<{ cut: number }> {
    const runtime = this.#runtime;
    if (!runtime) return { cut: 0 };
    await settles(runtime.drain(), graceMs);
    const cut = runtime.running;
    runtime.cancelAll('the worker leaves');
    // What was cancelled cleans up before the apps are closed.
    await settles(runtime.drain(), CANCELLED_MS);
    return { cut };
  }

  async close(limitMs: number, notice: (text: string) => void): Promise<void> {
    await this.#apps?.close(limitMs, notice);
    this.#channel?.close();
  }
}

const refused = (why: string): FaultError =>
  new FaultError('link.mismatch', `the router did not take this worker: ${why}`);
