/** What the child machine's states are made of: guards, actions and delays, and what it knows. The states are in child.ts. */
import { assertEvent, assign, sendTo, setup } from 'xstate';
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

export const childSetup = setup({
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
});
