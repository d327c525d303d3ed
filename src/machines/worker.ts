/**
 * A worker, web or dirty, seen by itself; it runs in the worker process and its parent's view is `child.ts`. What claiming,
 * loading, serving and draining are is the actors' business.
 *
 *   connecting  said hello, waits for the order to boot
 *   claiming    puts each socket into listening, so that clients queue before the app is loaded
 *   loading     loads the app and begins to accept
 *   serving     answers requests
 *   lingering   TERM came from outside to a worker whose calls somebody else sends: it answers them until it is ordered to leave
 *   leaving     `draining` (answers what is in flight), then `closing` (the app's own clean-up), within the grace
 *   dismissed   TERM came from outside before it served
 *   failed      it could not boot, and says why
 *   gone        the process exits with the output's code
 */
import { type ActorRefFrom, assertEvent, assign, fromPromise, sendTo, setup } from 'xstate';
import type { DirtyWorkerOrder, DirtyWorkerSpec } from './events/dirty.ts';
import type { WorkerInternal, WorkerOrder, WorkerReport, WorkerSpec } from './events/worker.ts';
import { EXIT, exitCodeOf, type Fault } from './faults.ts';
import { port } from './ports.ts';

export interface WorkerInput {
  /** The longest wait for the order to boot. */
  bootOrderMs: number;
  /** Calls are sent to it by its parent, which must hear first that it leaves: it waits for the order to. Default: false. */
  leavesByOrder?: boolean;
  /** Turns what was thrown into a fault; given by the process, which knows its error classes. */
  faultOf(error: unknown): Fault;
}

/** What a worker of either kind is told. */
export type AnyWorkerSpec = WorkerSpec | DirtyWorkerSpec;

interface WorkerContext extends WorkerInput {
  spec: AnyWorkerSpec | null;
  /** The time in which the worker must be gone, once it is leaving. */
  graceMs: number;
  /** The order that made it leave; 0: nobody's. */
  orderId: number;
  cut: number;
  /** Why it could not boot. */
  fault: Fault | null;
  /** The uncaught error that makes it leave. */
  crash: Fault | null;
}

const promised = <TOutput, TInput>(name: string) =>
  fromPromise<TOutput, TInput>(() => {
    throw new Error(`the actor '${name}' was not provided`);
  });

/** Kept back from a drain's time for the app's own clean-up, and from the whole for the way out. */
const closeReserveMs = (graceMs: number): number => Math.min(1000, 0.3 * graceMs);
const exitReserveMs = (graceMs: number): number => Math.min(250, graceMs / 10);

const drainCause = ({ orderId, crash }: WorkerContext): 'ordered' | 'terminated' | 'uncaught' => {
  if (orderId > 0) return 'ordered';
  return crash ? 'uncaught' : 'terminated';
};

const exitCode = ({ fault, crash }: WorkerContext): number => {
  if (fault) return exitCodeOf(fault);
  // What Node.js itself ends with.
  return crash ? EXIT.runtime : EXIT.ok;
};

export const workerMachine = setup({
  types: {
    context: {} as WorkerContext,
    input: {} as WorkerInput,
    output: {} as { exitCode: number },
    events: {} as WorkerOrder | DirtyWorkerOrder | WorkerInternal,
    children: {} as { link: 'link'; signals: 'signals'; server: 'server'; heartbeat: 'heartbeat' },
  },
  actors: {
    /** The worker's end of its link. */
    link: port<WorkerReport>('link'),
    signals: port<{ type: 'signals.none' }>('signals'),
    /** Owns what serves for the other actors; cuts what is in flight when told. */
    server: port<{ type: 'server.cut' }, AnyWorkerSpec>('server'),
    heartbeat: port<{ type: 'heartbeat.none' }, AnyWorkerSpec>('heartbeat'),
    claim: promised<void, AnyWorkerSpec>('claim'),
    load: promised<void, AnyWorkerSpec>('load'),
    drain: promised<{ cut: number }, { graceMs: number }>('drain'),
    /** `limitMs` counts from the beginning of the drain. */
    close: promised<void, { limitMs: number }>('close'),
  },
  delays: {
    bootOrderLimit: ({ context }) => context.bootOrderMs,
    /** So that some of the grace is left for the app's own clean-up. */
    orderLimit: ({ context }) => context.graceMs - closeReserveMs(context.graceMs),
    leaveLimit: ({ context }) => context.graceMs - exitReserveMs(context.graceMs),
  },
  guards: {
    leavesByOrder: ({ context }) => context.leavesByOrder === true,
  },
  actions: {
    keepSpec: assign(({ event }) => {
      assertEvent(event, 'worker.boot');
      return { spec: event.spec, graceMs: event.spec.graceMs };
    }),
    keepOrder: assign(({ event }) => {
      assertEvent(event, ['worker.drain', 'worker.quit']);
      return { orderId: event.orderId, graceMs: event.graceMs };
    }),
    keepRest: assign({ graceMs: ({ context }) => closeReserveMs(context.graceMs) }),
    keepBootFault: assign({
      fault: ({ context, event }) => context.faultOf((event as unknown as { error: unknown }).error),
    }),
    keepCrash: assign(({ event }) => {
      assertEvent(event, 'app.crashed');
      return { crash: event.fault };
    }),
    keepCut: assign({
      cut: ({ event }) => (event as unknown as { output: { cut: number } }).output.cut,
    }),
    cutConnections: sendTo('server', { type: 'server.cut' }),
    tellReady: sendTo('link', { type: 'worker.ready' }),
    tellBootFailed: sendTo('link', ({ context }) => ({
      type: 'worker.bootFailed' as const,
      fault: context.fault ?? { code: 'app.startFailed' as const, message: 'unknown' },
    })),
    tellRecycleDue: sendTo('link', ({ event }) => {
      assertEvent(event, 'server.recycleDue');
      return { type: 'worker.recycleDue' as const, requests: event.requests };
    }),
    tellDraining: sendTo('link', ({ context }) => ({
      type: 'worker.draining' as const,
      orderId: context.orderId,
      cause: drainCause(context),
    })),
    tellDrained: sendTo('link', ({ context }) => ({ type: 'worker.drained' as const, cut: context.cut })),
  },
}).createMachine({
  id: 'worker',
  options: { maxIterations: 100 },
  description: 'A worker, web or dirty, seen by itself.',
  context: ({ input }) => ({
    ...input,
    spec: null,
    graceMs: 0,
    orderId: 0,
    cut: 0,
    fault: null,
    crash: null,
  }),
  output: ({ context }) => ({ exitCode: exitCode(context) }),
  initial: 'alive',
  states: {
    alive: {
      description: 'The process runs.',
      initial: 'connecting',
      invoke: [
        { id: 'link', src: 'link' },
        { id: 'signals', src: 'signals' },
      ],
      on: {
        'worker.boot': {},
        'worker.drain': {},
        'link.ended': {},
        'signals.terminated': {},
        'app.crashed': {},
        'server.recycleDue': {},
      },
      states: {
        connecting: {
          description: 'It said hello and waits for the order to boot.',
          after: { bootOrderLimit: { target: '#worker.gone' } },
          on: {
            'worker.boot': { target: 'booted', actions: 'keepSpec' },
            'worker.drain': { target: '#worker.gone' },
            'worker.quit': { target: '#worker.gone' },
            'signals.terminated': { target: 'dismissed' },
            'link.ended': { target: '#worker.gone' },
          },
        },
        booted: {
          description: 'It knows what to serve.',
          initial: 'starting',
          invoke: [
            { id: 'server', src: 'server', input: ({ context }) => context.spec! },
            { id: 'heartbeat', src: 'heartbeat', input: ({ context }) => context.spec! },
          ],
          states: {
            starting: {
              description: 'Not serving yet; whoever wants it gone need not wait.',
              initial: 'claiming',
              on: {
                'worker.drain': { target: '#worker.gone' },
                'worker.quit': { target: '#worker.gone' },
                'signals.terminated': { target: '#worker.alive.dismissed' },
                'link.ended': { target: '#worker.gone' },
              },
              states: {
                claiming: {
                  description: 'Each socket is put into listening, so that clients queue.',
                  invoke: {
                    src: 'claim',
                    input: ({ context }) => context.spec!,
                    onDone: { target: 'loading' },
                    onError: { target: '#worker.alive.failed', actions: 'keepBootFault' },
                  },
                },
                loading: {
                  description: 'The app is being loaded.',
                  invoke: {
                    src: 'load',
                    input: ({ context }) => context.spec!,
                    onDone: { target: '#worker.alive.booted.serving' },
                    onError: { target: '#worker.alive.failed', actions: 'keepBootFault' },
                  },
                },
              },
            },
            serving: {
              description: 'It answers requests.',
              entry: 'tellReady',
              on: {
                'server.recycleDue': { actions: 'tellRecycleDue' },
                'worker.drain': { target: 'leaving', actions: ['keepOrder', 'tellDraining'] },
                'worker.quit': {
                  target: 'leaving',
                  actions: ['keepOrder', 'tellDraining', 'cutConnections'],
                },
                'signals.terminated': [
                  { guard: 'leavesByOrder', target: 'lingering', actions: 'tellDraining' },
                  { target: 'leaving', actions: 'tellDraining' },
                ],
                'link.ended': { target: 'leaving', actions: 'tellDraining' },
                'app.crashed': { target: 'leaving', actions: ['keepCrash', 'tellDraining'] },
              },
            },
            lingering: {
              description:
                'TERM came from outside, and it said so; calls may be on their way to it, so that it answers until it is ordered to leave.',
              after: { orderLimit: { target: 'leaving', actions: 'keepRest' } },
              on: {
                'worker.drain': { target: 'leaving', actions: 'keepOrder' },
                'worker.quit': { target: 'leaving', actions: ['keepOrder', 'cutConnections'] },
                'link.ended': { target: 'leaving' },
              },
            },
            leaving: {
              description: 'It is on its way out, within the grace.',
              initial: 'draining',
              after: { leaveLimit: { target: '#worker.gone' } },
              on: {
                'worker.quit': {
                  target: 'leaving',
                  actions: ['keepOrder', 'tellDraining', 'cutConnections'],
                  reenter: true,
                },
              },
              states: {
                draining: {
                  description: 'It accepts nothing new and answers what is in flight.',
                  invoke: {
                    src: 'drain',
                    input: ({ context }) => ({ graceMs: context.graceMs - closeReserveMs(context.graceMs) }),
                    onDone: { target: 'closing', actions: ['keepCut', 'tellDrained'] },
                    onError: { target: 'closing' },
                  },
                },
                closing: {
                  description: 'The last answer is out; the app cleans up.',
                  invoke: {
                    src: 'close',
                    input: ({ context }) => ({
                      limitMs: context.graceMs - 2 * exitReserveMs(context.graceMs),
                    }),
                    onDone: { target: '#worker.gone' },
                    onError: { target: '#worker.gone' },
                  },
                },
              },
            },
          },
        },
        dismissed: {
          description: 'TERM came from outside before it served: it says so, and goes.',
          entry: 'tellDraining',
          always: { target: '#worker.gone' },
        },
        failed: {
          description: 'It could not boot, and says why while it still has its link.',
          entry: 'tellBootFailed',
          always: { target: '#worker.gone' },
        },
      },
    },
    gone: { description: 'The process exits.', type: 'final' },
  },
});

export type WorkerActor = ActorRefFrom<typeof workerMachine>;
