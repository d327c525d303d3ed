/**
 * A web worker's process: the worker machine with actors that serve the app. Runs in the worker and owns its exit:
 * last words are told over the link before the process ends, for whatever reason.
 */
import { Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import { createActor, fromCallback, fromPromise } from 'xstate';
import { LINK_PROTOCOL, linkSchemas } from '../machines/events/link.ts';
import type { WorkerInternal, WorkerOrder, WorkerReport, WorkerSpec } from '../machines/events/worker.ts';
import { type AnyWorkerSpec, workerMachine } from '../machines/worker.ts';
import { announceDirty, announceWorker } from './app-bridge.ts';
import { shieldSignals } from './app-signals.ts';
import { toFault } from './fault-error.ts';
import { type Link, openLink } from './link.ts';
import { BOOT_ORDER_MS, beat, exitAfter, LINK_FD, noticeOver, speakLastWords } from './supervised.ts';
import { createWebServer, type WebServer } from './web-server.ts';

export function runWorker(): void {
  const age = Number(process.env['KIRIN_WORKER_AGE'] ?? 0);
  const stream = new Socket({ fd: LINK_FD, readable: true, writable: true });
  let web: WebServer | undefined;
  let drainingSinceMs = 0;
  let toMachine = (_event: WorkerOrder | Extract<WorkerInternal, { type: 'link.ended' }>): void => {};
  let terminated = (): void => {};
  shieldSignals(() => terminated());

  const link: Link<WorkerReport> = openLink<WorkerOrder, WorkerReport>(
    stream,
    LINK_FD,
    linkSchemas.web.down,
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
  /** The first frame; the generation is known from the order to boot. */
  const hello = (spec: WorkerSpec): void => {
    link.send({
      type: 'worker.hello',
      protocol: LINK_PROTOCOL,
      kind: 'web',
      age,
      generation: spec.generation,
    });
    // Seen in `ps` and `top`; an app may give itself another.
    process.title = `kirin: worker ${spec.age} in slot ${spec.slot} ${spec.app.spec}`;
    const { slot, generation, dirty } = spec;
    announceWorker({ age, slot, generation });
    announceDirty(dirty && { role: 'web', ...dirty, generation, age });
  };
  const server = (): WebServer => {
    if (!web) throw new Error('there is no web server yet');
    return web;
  };

  const machine = workerMachine.provide({
    actors: {
      link: fromCallback<WorkerReport>(({ sendBack, receive }) => {
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
      server: fromCallback<{ type: 'server.cut' }, AnyWorkerSpec>(({ input, sendBack, receive }) => {
        const spec = input as WorkerSpec;
        web = createWebServer({
          listeners: spec.listeners,
          backlog: spec.backlog,
          ...(spec.keepAliveMs === undefined ? {} : { keepAliveMs: spec.keepAliveMs }),
          idleGraceMs: spec.idleGraceMs,
          maxRequests: spec.maxRequests,
          notice,
          recycleDue: (requests) => sendBack({ type: 'server.recycleDue', requests }),
        });
        receive(() => {
          web?.cut();
        });
      }),
      heartbeat: fromCallback<{ type: 'heartbeat.none' }, AnyWorkerSpec>(({ input }) =>
        beat(link, input.heartbeatMs, () => web?.counts() ?? { requests: 0, connections: 0, inFlight: 0 }),
      ),
      claim: fromPromise(() => server().claim()),
      load: fromPromise(async ({ input }) => {
        // While the app loads the link does not hold the process, so that an event loop that runs empty shows.
        stream.unref();
        try {
          await server().start((input as WorkerSpec).app);
        } finally {
          stream.ref();
        }
      }),
      drain: fromPromise(({ input }) => {
        drainingSinceMs = performance.now();
        return server().drain(input.graceMs);
      }),
      close: fromPromise(async ({ input }) => {
        // The app's clean-up may end by leaving nothing to run; the link must not hide that.
        stream.unref();
        await server().close(Math.max(0, input.limitMs - (performance.now() - drainingSinceMs)));
      }),
    },
  });

  const actor = createActor(machine, {
    input: { bootOrderMs: BOOT_ORDER_MS, faultOf: (error) => toFault(error, 'app.loadFailed') },
  });
  speakLastWords(link, () => {
    const snapshot = actor.getSnapshot();
    return snapshot.status === 'active' && !snapshot.matches({ alive: { booted: 'leaving' } });
  });
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
