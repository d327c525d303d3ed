/**
 * What the processes of web and dirty workers do alike: the worker machine with its link, its signals, its heartbeat, its
 * last words and its exit. What serving is, each of them says as `WorkerWork`. Runs in the worker and owns its exit: why it
 * ends is told over the link before it does.
 */
import { Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import { createActor, fromCallback, fromPromise } from 'xstate';
import type { InspectReport } from '../machines/events/inspect.ts';
import { type Down, LINK_PROTOCOL, linkSchemas, type MachineOrder } from '../machines/events/link.ts';
import {
  type ModulesReport,
  type TrafficOrder,
  type TrafficReport,
  trafficOrders,
  type WorkerInternal,
  type WorkerReport,
} from '../machines/events/worker.ts';
import type { Fault, FaultCode } from '../machines/faults.ts';
import { type AnyWorkerSpec, workerMachine } from '../machines/worker.ts';
import { announceInspection } from './app-bridge.ts';
import { shieldSignals } from './app-signals.ts';
import { toFault } from './fault-error.ts';
import { inspectionDesk, isInspectOrder } from './inspect/desk.ts';
import { UserRoots } from './inspect/user-roots.ts';
import { type Link, openLink } from './link.ts';
import { letLostTerminalGo } from './lost-terminal.ts';
import { steadyOutput } from './steady-output.ts';
import {
  BOOT_ORDER_MS,
  beat,
  type Counts,
  exitAfter,
  LINK_FD,
  type Notice,
  noticeOver,
  speakLastWords,
} from './supervised.ts';
import { drainOnUncaught } from './uncaught.ts';

type WorkerKind = 'web' | 'dirtyWorker';
type SpecOf<K extends WorkerKind> = Extract<Down<K>, { type: 'worker.boot' }>['spec'];
type ToMachine<K extends WorkerKind> =
  | MachineOrder<K>
  | Extract<WorkerInternal, { type: 'link.ended' | 'app.crashed' }>;

/** What the work is given to speak with. */
export interface WorkerVoice {
  /** A line for the arbiter's log. */
  readonly notice: Notice;
  /** `--max-requests` were taken. */
  recycleDue(requests: number): void;
  /** It is of no use any more: ends the process with these last words, unless it is leaving anyway. */
  die(fault: Fault): void;
  /** What became of an order that concerns traffic. */
  tell(report: TrafficReport | ModulesReport): void;
  /** As `tell`, at once, where nothing waits to be written. */
  tellNow(report: TrafficReport | ModulesReport): void;
}

/** What one kind of worker serves with; times are in milliseconds. */
export interface WorkerWork<Spec> {
  /** The order to boot is there, and the parent knows who this is: announce it to the app, and make what serves. */
  begin(spec: Spec): void;
  /** For heartbeats; also asked before `begin`. */
  counts(): Counts;
  /** Clients can queue from here on. */
  claim(spec: Spec): Promise<void>;
  /** Load the app and begin to serve. */
  load(spec: Spec): Promise<void>;
  /** Finish what is in flight; `cut` counts what was not finished. */
  drain(graceMs: number): Promise<{ cut: number }>;
  /** The app's own clean-up. */
  close(limitMs: number): Promise<void>;
  /** Cut what is in flight. */
  cut(): void;
  /** Cut the one request that Node.js was at work for when an error was thrown. */
  abandon?(resource: object): void;
  /** What concerns connections and no state. */
  traffic?(order: TrafficOrder): void;
}

/**
 * The machine's limits do not hold the process: an app that has let go of everything is seen to have finished, and is
 * not waited for until its grace is over.
 */
const UNHELD = {
  setTimeout: (run: () => void, ms: number) => setTimeout(run, ms).unref(),
  clearTimeout: (timer: NodeJS.Timeout) => clearTimeout(timer),
};

/** `loadFault` is what an error without a code of its own means while the app is loaded. */
export function superviseWorker<K extends WorkerKind>(
  kind: K,
  loadFault: FaultCode,
  workOf: (voice: WorkerVoice) => WorkerWork<SpecOf<K>>,
): void {
  const age = Number(process.env['KIRIN_WORKER_AGE'] ?? 0);
  const stream = new Socket({ fd: LINK_FD, readable: true, writable: true });
  let toMachine = (_event: ToMachine<K>): void => {};
  let recycleDue = (_requests: number): void => {};
  let terminated = (): void => {};
  let drainingSinceMs = 0;
  shieldSignals(() => terminated());
  letLostTerminalGo();

  const link: Link<WorkerReport | InspectReport> = openLink<Down<K>, WorkerReport | InspectReport>(
    stream,
    LINK_FD,
    linkSchemas[kind].down,
    {
      event: (order) => {
        if (isInspectOrder(order)) return desk.take(order);
        if (isTrafficOrder(order)) return work.traffic?.(order);
        if (order.type === 'worker.boot') hello(order.spec as SpecOf<K>);
        toMachine(order as MachineOrder<K>);
      },
      unknown: (what) => notice('warn', `an order that is not known: ${what}`),
      broken: () => stream.destroy(),
      ended: () => toMachine({ type: 'link.ended' }),
    },
  );
  const notice = noticeOver(link);
  steadyOutput(notice);
  const users = new UserRoots();
  announceInspection(users);
  const desk = inspectionDesk({
    send: (report) => link.send(report),
    root: () => actor,
    users,
    notice: (text) => notice('error', text),
  });
  const isUp = (): boolean => {
    const snapshot = actor.getSnapshot();
    return snapshot.status === 'active' && !snapshot.matches({ alive: { booted: 'leaving' } });
  };
  const work = workOf({
    notice,
    recycleDue: (requests) => recycleDue(requests),
    die(fault) {
      if (!isUp()) return;
      link.sendSync({ type: 'worker.lastWords', fault });
      process.exit(1);
    },
    tell: (report) => void link.send(report),
    tellNow: (report) => void link.sendSync(report),
  });
  /** The first frame; the generation is known from the order to boot. */
  const hello = (spec: SpecOf<K>): void => {
    link.send({ type: 'worker.hello', protocol: LINK_PROTOCOL, kind, age, generation: spec.generation });
    work.begin(spec);
  };
  const drainCrashes = (): void =>
    drainOnUncaught({
      isServing: isUp,
      leave: (why) => {
        link.send({ type: 'worker.lastWords', fault: why });
        toMachine({ type: 'app.crashed', fault: why });
      },
      abandon: (resource) => work.abandon?.(resource),
      notice,
    });
  /** What the machine keeps is what it was told over this kind's link. */
  const specOf = (spec: AnyWorkerSpec): SpecOf<K> => spec as SpecOf<K>;

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
      server: fromCallback<{ type: 'server.cut' }, AnyWorkerSpec>(({ sendBack, receive }) => {
        recycleDue = (requests) => sendBack({ type: 'server.recycleDue', requests });
        receive(() => work.cut());
        return () => {
          recycleDue = () => {};
        };
      }),
      heartbeat: fromCallback<{ type: 'heartbeat.none' }, AnyWorkerSpec>(({ input }) =>
        beat(link, input.heartbeatMs, () => work.counts()),
      ),
      claim: fromPromise<void, AnyWorkerSpec>(({ input }) => work.claim(specOf(input))),
      load: fromPromise<void, AnyWorkerSpec>(async ({ input }) => {
        // While the app loads the link does not hold the process, so that an event loop that runs empty shows.
        stream.unref();
        try {
          await work.load(specOf(input));
          if ('onUncaught' in input && input.onUncaught === 'drain') drainCrashes();
        } finally {
          stream.ref();
        }
      }),
      drain: fromPromise<{ cut: number }, { graceMs: number }>(({ input }) => {
        drainingSinceMs = performance.now();
        return work.drain(input.graceMs);
      }),
      close: fromPromise<void, { limitMs: number }>(async ({ input }) => {
        // The app's clean-up may end by leaving nothing to run; the link must not hide that.
        stream.unref();
        await work.close(Math.max(0, input.limitMs - (performance.now() - drainingSinceMs)));
      }),
    },
  });

  const actor = createActor(machine, {
    clock: UNHELD,
    input: {
      bootOrderMs: BOOT_ORDER_MS,
      // The router sends it calls until it hears that it leaves.
      leavesByOrder: kind === 'dirtyWorker',
      faultOf: (error) => toFault(error, loadFault),
    },
  });
  speakLastWords(link, isUp);
  actor.subscribe({
    complete: () => {
      desk.flush();
      exitAfter(link, actor.getSnapshot().output?.exitCode ?? 0);
    },
    error: (error) => {
      link.sendSync({ type: 'worker.lastWords', fault: toFault(error, 'worker.uncaught') });
      console.error(error);
      process.exit(70);
    },
  });
  actor.start();
}

const isTrafficOrder = (order: { type: string }): order is TrafficOrder =>
  Object.hasOwn(trafficOrders, order.type);
