/**
 * The new arbiter, as the old one sees it: started, serving beside it, gone. It is no child in the sense of a worker: it is not
 * supervised, not replaced, and it lives on when this arbiter ends, whatever its state.
 *
 *   alive.starting  it boots; limited by `startLimit`
 *   alive.serving   it serves, until one of the two is told to end
 *   alive.ending    it did not serve in time, and is told to end
 *   alive.killing   nor did it end
 *   gone            its process has ended, or could not be started
 */
import { type ActorRefFrom, assertEvent, assign, sendTo, setup } from 'xstate';
import type { SuccessorNews, SuccessorOrder, SuccessorReport } from './events/upgrade.ts';
import type { Fault } from './faults.ts';
import { type Listener, port } from './ports.ts';

export interface SuccessorInput {
  parent: Listener<SuccessorReport>;
  orderId: number;
  /** How long it may take to serve, in milliseconds. */
  limitMs: number;
}

export interface SuccessorContext extends SuccessorInput {
  /** 0 until its process is started. */
  pid: number;
  /** Why it is being ended. */
  fault: Fault | null;
}

export const successorMachine = setup({
  types: {
    context: {} as SuccessorContext,
    input: {} as SuccessorInput,
    events: {} as SuccessorNews,
    children: {} as { process: 'process' },
  },
  actors: {
    /** Calls the hook before it, starts the process, hands it what it inherits, and tells of it. */
    process: port<SuccessorOrder>('process'),
  },
  delays: {
    startLimit: ({ context }) => context.limitMs,
    endLimit: 10_000,
    killAgain: 5000,
  },
  actions: {
    keepPid: assign({
      pid: ({ event }) => {
        assertEvent(event, 'successor.started');
        return event.pid;
      },
    }),
    blameTime: assign({
      fault: ({ context }): Fault => ({
        code: 'upgrade.failed',
        message: `the new arbiter (pid ${context.pid}) did not serve within ${Math.round(context.limitMs / 1000)} s`,
      }),
    }),
    end: sendTo('process', { type: 'successor.end', signal: 'SIGTERM' }),
    kill: sendTo('process', { type: 'successor.end', signal: 'SIGKILL' }),
    tellServing: sendTo(
      ({ context }) => context.parent,
      ({ context }) => ({ type: 'successor.serving' as const, orderId: context.orderId, pid: context.pid }),
    ),
    tellFailed: sendTo(
      ({ context }) => context.parent,
      ({ context, event }) => {
        assertEvent(event, 'successor.ended');
        const fault = context.fault ?? event.fault;
        return { type: 'successor.failed' as const, orderId: context.orderId, fault };
      },
    ),
    tellGone: sendTo(
      ({ context }) => context.parent,
      ({ context }) => ({ type: 'successor.gone' as const, pid: context.pid }),
    ),
  },
}).createMachine({
  id: 'successor',
  options: { maxIterations: 100 },
  description: 'The new arbiter of an upgrade, as the old one sees it.',
  context: ({ input }) => ({ ...input, pid: 0, fault: null }),
  initial: 'alive',
  states: {
    alive: {
      description: 'There is a new arbiter, or will be.',
      invoke: { id: 'process', src: 'process' },
      initial: 'starting',
      on: { 'successor.started': { actions: 'keepPid' } },
      states: {
        starting: {
          description: 'It boots; this arbiter serves as before.',
          on: {
            'successor.stands': { target: 'serving', actions: 'tellServing' },
            'successor.ended': { target: '#successor.gone', actions: 'tellFailed' },
          },
          after: { startLimit: { target: 'ending', actions: 'blameTime' } },
        },
        serving: {
          description: 'Both serve: whoever connects is answered by either.',
          on: {
            'successor.stands': {},
            'successor.ended': { target: '#successor.gone', actions: 'tellGone' },
          },
        },
        ending: {
          description: 'It did not serve in time, and is told to end.',
          entry: 'end',
          on: {
            'successor.stands': {},
            'successor.ended': { target: '#successor.gone', actions: 'tellFailed' },
          },
          after: { endLimit: { target: 'killing' } },
        },
        killing: {
          description: 'It did not end when it was told to.',
          entry: 'kill',
          on: {
            'successor.stands': {},
            'successor.ended': { target: '#successor.gone', actions: 'tellFailed' },
          },
          after: { killAgain: { target: 'killing', reenter: true } },
        },
      },
    },
    gone: { description: 'Its process has ended, or could not be started.', type: 'final' },
  },
});

export type SuccessorActor = ActorRefFrom<typeof successorMachine>;
