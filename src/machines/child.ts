/**
 * One supervised process, seen by its parent. The law of leaving, stated once: ask, wait, kill, reap.
 *
 *   spawned   the process exists; nobody has spoken
 *   booting   it said hello in our protocol and loads the app
 *   ready     it serves: `fresh`, then `stable` once it has lasted
 *   draining  asked to finish what it has; `graceMs`, then killing
 *   quitting  asked to cut what it has, or failed to boot and is ending; `quitMs`, then killing
 *   aborting  silent for too long: SIGABRT; `abortMs`, then killing
 *   killing   SIGKILL, again every `killAgainMs`
 *   reaped    gone and told
 *
 * Every state meets every event on purpose: what is not answered in a state is listed as ignored in `alive`.
 */
import { type ActorRefFrom, assertEvent, assign, sendTo, setup } from 'xstate';
import type { ChildExit, ChildOrder, ChildReport, LeavingCause } from './events/child.ts';
import type { ChildLimits } from './events/generation.ts';
import type { LifecycleReport } from './events/lifecycle.ts';
import type { ProcessOrder, ProcessReport } from './events/process.ts';
import type { Fault } from './faults.ts';
import { type Listener, port } from './ports.ts';

/** What the process actor is started with. */
export interface ProcessInput {
  age: number;
  slot: number;
  generation: number;
  /** Longest silence after `worker.ready` before `process.silent` is reported; 0: none. */
  timeoutMs: number;
  /** How long it may live on when its parent has died. */
  graceMs: number;
}

/** What people call a kind of process. */
export type ChildTitle = 'worker' | 'dirty arbiter' | 'dirty worker';

export interface ChildInput {
  title: ChildTitle;
  age: number;
  slot: number;
  generation: number;
  limits: ChildLimits;
  parent: Listener<ChildReport>;
}

export interface ChildContext extends ChildInput {
  /** 0 until spawned. */
  pid: number;
  phase: ChildExit['phase'];
  cause: LeavingCause | null;
  stable: boolean;
  orderId: number;
  fault: Fault | undefined;
  /** It was told to hold more memory than any may. */
  overweight: Fault | undefined;
  code: number | null;
  signal: string | null;
}

/** Heartbeats go into a table, not through the machine. */
export type ChildEvent = ChildOrder | ProcessReport | Exclude<LifecycleReport, { type: 'worker.heartbeat' }>;

export const childMachine = setup({
  types: {
    context: {} as ChildContext,
    input: {} as ChildInput,
    events: {} as ChildEvent,
    children: {} as { process: 'process' },
  },
  actors: { process: port<ProcessOrder, ProcessInput>('process') },
  delays: {
    bootLimit: ({ context }) => context.limits.bootMs,
    graceLimit: ({ context }) => context.limits.graceMs,
    quitLimit: ({ context }) => context.limits.quitMs,
    abortLimit: ({ context }) => context.limits.abortMs,
    stableTime: ({ context }) => context.limits.stableMs,
    killAgain: ({ context }) => context.limits.killAgainMs,
  },
  guards: {
    hasBootLimit: ({ context }) => context.limits.bootMs > 0,
    isHard: ({ event }) => event.type === 'process.swelled' && event.limit === 'hard',
    isUncaught: ({ event }) => event.type === 'worker.draining' && event.cause === 'uncaught',
    /** The pool's own kill, for its memory; not an operator's. */
    isOverweight: ({ context, event }) =>
      event.type === 'child.kill' && event.orderId === 0 && context.overweight !== undefined,
  },
  actions: {
    keepPid: assign(({ event }) => {
      assertEvent(event, 'process.spawned');
      return { pid: event.pid };
    }),
    /** The first fault told is the reason; later ones are its consequences. */
    keepFault: assign(({ context, event }) => {
      assertEvent(event, [
        'worker.bootFailed',
        'worker.lastWords',
        'process.linkBroken',
        'process.spawnFailed',
        'process.swelled',
      ]);
      return { fault: context.fault ?? event.fault };
    }),
    keepOverweight: assign(({ event }) => {
      assertEvent(event, 'process.swelled');
      return { overweight: event.fault };
    }),
    blameMemory: assign({ fault: ({ context }) => context.fault ?? context.overweight }),
    keepExit: assign(({ event }) => {
      assertEvent(event, 'process.exited');
      return { code: event.code, signal: event.signal };
    }),
    keepOrder: assign(({ event }) => {
      assertEvent(event, ['child.drain', 'child.quit', 'child.kill']);
      return { orderId: event.orderId };
    }),
    blameBootLimit: assign({
      fault: ({ context }): Fault => ({
        code: 'boot.timeout',
        // A worker is what everybody has; of the others the reason must say whose it is.
        message: `${context.title === 'worker' ? '' : `the ${context.title} was `}not ready within ${context.limits.bootMs / 1000} s (--boot-timeout)`,
      }),
    }),
    becomeReady: assign({ phase: 'ready' as const }),
    becomeStable: assign({ stable: true }),
    /** From here on it is leaving; the first cause is kept. */
    becomeLeaving: assign(({ context }, params: { cause: LeavingCause }) => ({
      phase: 'leaving' as const,
      cause: context.cause ?? params.cause,
    })),
    tellSpawned: sendTo(
      ({ context }) => context.parent,
      ({ context }) => ({ type: 'child.spawned', age: context.age, pid: context.pid }),
    ),
    tellReady: sendTo(
      ({ context }) => context.parent,
      ({ context }) => ({ type: 'child.ready', age: context.age }),
    ),
    tellStable: sendTo(
      ({ context }) => context.parent,
      ({ context }) => ({ type: 'child.stable', age: context.age }),
    ),
    tellRecycleDue: sendTo(
      ({ context }) => context.parent,
      ({ context, event }) => ({
        type: 'child.recycleDue',
        age: context.age,
        cause: event.type === 'process.swelled' ? ('memory' as const) : ('requests' as const),
        stable: context.stable,
      }),
    ),
    tellOverweight: sendTo(
      ({ context }) => context.parent,
      ({ context }) => ({ type: 'child.overweight', age: context.age }),
    ),
    tellLeaving: sendTo(
      ({ context }) => context.parent,
      ({ context }) => ({
        type: 'child.leaving',
        age: context.age,
        cause: context.cause ?? 'crashed',
        stable: context.stable,
        fault: context.fault,
      }),
    ),
    tellExited: sendTo(
      ({ context }) => context.parent,
      ({ context }) => ({
        type: 'child.exited',
        age: context.age,
        pid: context.pid,
        phase: context.phase,
        cause: context.cause ?? 'crashed',
        stable: context.stable,
        code: context.code,
        signal: context.signal,
        fault: context.fault,
      }),
    ),
    askDrain: sendTo('process', ({ context }) => ({
      type: 'worker.drain' as const,
      orderId: context.orderId,
      graceMs: context.limits.graceMs,
    })),
    askQuit: sendTo('process', ({ context }) => ({
      type: 'worker.quit' as const,
      orderId: context.orderId,
      graceMs: context.limits.quitMs,
    })),
    signalAbort: sendTo('process', { type: 'process.signal', signal: 'SIGABRT' }),
    signalKill: sendTo('process', { type: 'process.signal', signal: 'SIGKILL' }),
  },
}).createMachine({
  id: 'child',
  options: { maxIterations: 100 },
  description: 'One supervised process, seen by its parent.',
  context: ({ input }) => ({
    ...input,
    pid: 0,
    phase: 'starting',
    cause: null,
    stable: false,
    orderId: 0,
    fault: undefined,
    overweight: undefined,
    code: null,
    signal: null,
  }),
  initial: 'alive',
  states: {
    alive: {
      description: 'The process exists, or is being made.',
      initial: 'starting',
      invoke: {
        id: 'process',
        src: 'process',
        input: ({ context }) => ({
          age: context.age,
          slot: context.slot,
          generation: context.generation,
          timeoutMs: context.limits.timeoutMs,
          graceMs: context.limits.graceMs,
        }),
      },
      on: {
        'process.spawned': { actions: ['keepPid', 'tellSpawned'] },
        'process.spawnFailed': { target: 'reaped', actions: 'keepFault' },
        'process.exited': { target: 'reaped', actions: 'keepExit' },
        'worker.lastWords': { actions: 'keepFault' },
        'process.linkBroken': {
          target: '.killing',
          actions: ['keepFault', { type: 'becomeLeaving', params: { cause: 'linkBroken' } }, 'tellLeaving'],
        },
        'child.kill': [
          {
            guard: 'isOverweight',
            target: '.killing',
            actions: [
              'keepOrder',
              'blameMemory',
              { type: 'becomeLeaving', params: { cause: 'overweight' } },
              'tellLeaving',
            ],
          },
          {
            target: '.killing',
            actions: ['keepOrder', { type: 'becomeLeaving', params: { cause: 'ordered' } }, 'tellLeaving'],
          },
        ],
        // Ignored where no state below answers: said too late, or twice.
        'child.drain': {},
        'child.quit': {},
        'process.silent': {},
        'process.swelled': {},
        'worker.hello': {},
        'worker.ready': {},
        'worker.bootFailed': {},
        'worker.recycleDue': {},
        'worker.draining': {},
        'worker.drained': {},
        'worker.notice': {},
      },
      states: {
        starting: {
          description: 'On its way to ready; bounded by the boot limit as a whole.',
          initial: 'spawned',
          after: {
            bootLimit: {
              guard: 'hasBootLimit',
              target: 'killing',
              actions: [
                'blameBootLimit',
                { type: 'becomeLeaving', params: { cause: 'bootTimeout' } },
                'tellLeaving',
              ],
            },
          },
          on: {
            'worker.bootFailed': {
              target: 'quitting',
              actions: [
                'keepFault',
                { type: 'becomeLeaving', params: { cause: 'bootFailed' } },
                'tellLeaving',
              ],
            },
            'worker.draining': {
              target: 'quitting',
              actions: [{ type: 'becomeLeaving', params: { cause: 'terminated' } }, 'tellLeaving'],
            },
            'worker.ready': { target: 'ready' },
            'process.swelled': {
              guard: 'isHard',
              target: 'killing',
              actions: [
                'keepFault',
                { type: 'becomeLeaving', params: { cause: 'overweight' } },
                'tellLeaving',
              ],
            },
            'child.drain': {
              target: 'quitting',
              actions: ['keepOrder', { type: 'becomeLeaving', params: { cause: 'ordered' } }, 'tellLeaving'],
            },
            'child.quit': {
              target: 'quitting',
              actions: ['keepOrder', { type: 'becomeLeaving', params: { cause: 'ordered' } }, 'tellLeaving'],
            },
          },
          states: {
            spawned: {
              description: 'The process was started and has not spoken yet: no code of the app runs in it.',
              on: {
                'worker.hello': { target: 'booting' },
                'child.drain': {
                  target: '#child.alive.killing',
                  actions: [
                    'keepOrder',
                    { type: 'becomeLeaving', params: { cause: 'ordered' } },
                    'tellLeaving',
                  ],
                },
                'child.quit': {
                  target: '#child.alive.killing',
                  actions: [
                    'keepOrder',
                    { type: 'becomeLeaving', params: { cause: 'ordered' } },
                    'tellLeaving',
                  ],
                },
              },
            },
            booting: { description: 'It speaks our protocol and is loading the app.' },
          },
        },
        ready: {
          description: 'It serves.',
          initial: 'fresh',
          entry: ['becomeReady', 'tellReady'],
          on: {
            'worker.recycleDue': { actions: 'tellRecycleDue' },
            // Not all workers are to die at once: the pool says when.
            'process.swelled': [
              { guard: 'isHard', actions: ['keepOverweight', 'tellOverweight'] },
              { actions: 'tellRecycleDue' },
            ],
            'worker.draining': [
              {
                guard: 'isUncaught',
                target: 'draining',
                actions: [{ type: 'becomeLeaving', params: { cause: 'uncaught' } }, 'tellLeaving'],
              },
              {
                target: 'draining',
                actions: [{ type: 'becomeLeaving', params: { cause: 'terminated' } }, 'tellLeaving'],
              },
            ],
            'process.silent': {
              target: 'aborting',
              actions: [{ type: 'becomeLeaving', params: { cause: 'hung' } }, 'tellLeaving'],
            },
            'child.drain': {
              target: 'draining',
              actions: ['keepOrder', { type: 'becomeLeaving', params: { cause: 'ordered' } }, 'tellLeaving'],
            },
            'child.quit': {
              target: 'quitting',
              actions: ['keepOrder', { type: 'becomeLeaving', params: { cause: 'ordered' } }, 'tellLeaving'],
            },
          },
          states: {
            fresh: {
              description: 'Ready, but its end would still count as a crash loop.',
              after: { stableTime: { target: 'stable' } },
            },
            stable: {
              description: 'Ready for so long that its end says nothing against its code.',
              entry: ['becomeStable', 'tellStable'],
            },
          },
        },
        draining: {
          description: 'It accepts nothing new and answers what is in flight.',
          entry: 'askDrain',
          after: { graceLimit: { target: 'killing' } },
          on: {
            'process.silent': {
              target: 'aborting',
              actions: { type: 'becomeLeaving', params: { cause: 'hung' } },
            },
            'process.swelled': {
              guard: 'isHard',
              target: 'killing',
              actions: ['keepFault', { type: 'becomeLeaving', params: { cause: 'overweight' } }],
            },
            'child.quit': { target: 'quitting', actions: 'keepOrder' },
          },
        },
        quitting: {
          description: 'It cuts what it has and ends, or ends after a failed boot.',
          entry: 'askQuit',
          after: { quitLimit: { target: 'killing' } },
        },
        aborting: {
          description: 'Its event loop was silent for too long: it was sent SIGABRT.',
          entry: 'signalAbort',
          after: { abortLimit: { target: 'killing' } },
          on: { 'child.quit': { target: 'killing', actions: 'keepOrder' } },
        },
        killing: {
          description: 'It was sent SIGKILL and is about to be reaped.',
          entry: 'signalKill',
          after: { killAgain: { target: 'killing', reenter: true } },
          on: { 'child.kill': { actions: 'keepOrder' }, 'process.linkBroken': {} },
        },
      },
    },
    reaped: {
      description: 'The process is gone, and its parent was told how.',
      type: 'final',
      entry: 'tellExited',
    },
  },
});

export type ChildActor = ActorRefFrom<typeof childMachine>;
