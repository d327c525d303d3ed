/**
 * A web worker's process: the worker machine with actors that serve the app. Runs in the worker and owns its exit:
 * last words are told over the link before the process ends, for whatever reason.
 */
import { Socket } from 'node:net';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { createActor, fromCallback, fromPromise } from 'xstate';
import { LINK_PROTOCOL, linkSchemas } from '../machines/events/link.ts';
import type { WorkerInternal, WorkerOrder, WorkerReport, WorkerSpec } from '../machines/events/worker.ts';
import type { FaultCode } from '../machines/faults.ts';
import { workerMachine } from '../machines/worker.ts';
import { announceWorker } from './app-bridge.ts';
import { shieldSignals } from './app-signals.ts';
import { fault, toFault } from './fault-error.ts';
import { type Link, openLink } from './link.ts';
import { createWebServer, type WebServer } from './web-server.ts';

const LINK_FD = 3;
/** The order to boot is written as soon as the process is spawned; a parent that does not send it is gone. */
const BOOT_ORDER_MS = 10_000;
/** How long the last frames may take to be written. */
const FLUSH_MS = 500;
/** How often the event loop's delay is looked at; what Node measures is the time between two looks. */
const DELAY_RESOLUTION_MS = 20;
/** A line for the log is no longer than this, in UTF-16 units. */
const NOTICE_MAX = 4 * 1024;

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
  const notice = (level: 'debug' | 'info' | 'warn' | 'error', text: string): void => {
    link.send({ type: 'worker.notice', level, text: text.slice(0, NOTICE_MAX) });
  };
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
    announceWorker({ age: spec.age, slot: spec.slot, generation: spec.generation });
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
      server: fromCallback<{ type: 'server.cut' }, WorkerSpec>(({ input: spec, sendBack, receive }) => {
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
      heartbeat: fromCallback<{ type: 'heartbeat.none' }, WorkerSpec>(({ input }) =>
        beat(link, input.heartbeatMs, () => web?.counts() ?? { requests: 0, connections: 0, inFlight: 0 }),
      ),
      claim: fromPromise(() => server().claim()),
      load: fromPromise(async ({ input }) => {
        // While the app loads the link does not hold the process, so that an event loop that runs empty shows.
        stream.unref();
        try {
          await server().start(input.app);
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

/** Sends heartbeats; the timer does not hold the process. */
function beat(
  link: Link<WorkerReport>,
  everyMs: number,
  counts: () => { requests: number; connections: number; inFlight: number },
): () => void {
  const delay = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS });
  delay.enable();
  let utilization = performance.eventLoopUtilization();
  const timer = setInterval(() => {
    const now = performance.eventLoopUtilization();
    link.send({
      type: 'worker.heartbeat',
      ...counts(),
      loopDelayMs: delay.count > 0 ? Math.max(0, delay.percentile(99) / 1e6 - DELAY_RESOLUTION_MS) : 0,
      loopUtilization: performance.eventLoopUtilization(now, utilization).utilization,
      rssBytes: process.memoryUsage.rss(),
    });
    utilization = now;
    delay.reset();
  }, everyMs);
  timer.unref();
  return () => {
    clearInterval(timer);
    delay.disable();
  };
}

/** Node's rule stays (an uncaught error ends the process), but the arbiter learns why. */
function speakLastWords(link: Link<WorkerReport>, unexpected: () => boolean): void {
  let said = false;
  const say = (code: FaultCode, message: string, stack?: string): void => {
    if (said || !unexpected()) return;
    said = true;
    link.sendSync({ type: 'worker.lastWords', fault: fault(code, message, stack) });
  };
  process.on('uncaughtExceptionMonitor', (error, origin) => {
    // An app that handles it goes on.
    if (process.listenerCount('uncaughtException') > 0 || process.hasUncaughtExceptionCaptureCallback())
      return;
    const what = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    say(
      'worker.uncaught',
      origin === 'unhandledRejection' ? `unhandled rejection: ${what}` : what,
      error instanceof Error ? error.stack : undefined,
    );
  });
  process.on('exit', (code) => {
    // process.exit() calls this handler: the frames below its own are the app's.
    const frames = (new Error().stack ?? '').split('\n');
    const call = frames.findIndex(
      (frame) => frame.includes('at process.exit ') || frame.includes('reallyExit'),
    );
    if (call < 0) return say('worker.exitCalled', `it ended by itself with code ${code}`);
    const stack = [`process.exit(${code})`, ...frames.slice(call + 1)].join('\n');
    say('worker.exitCalled', `the app called process.exit(${code})`, stack);
  });
}

function exitAfter(link: Link<WorkerReport>, code: number): void {
  const limit = setTimeout(() => process.exit(code), FLUSH_MS);
  link.flush().then(() => {
    clearTimeout(limit);
    process.exit(code);
  });
}
