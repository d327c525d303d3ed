/**
 * A control socket: bound, listened on, and a session for each connection. Never fatal to serving: what cannot be
 * bound is told once and tried again, or given up where trying cannot help; so is an actor that fails.
 *
 *   open.opening    the socket is being bound
 *   open.listening  connections are taken
 *   waiting         it could not be bound; tried again after `retryWait`
 *   closed          it cannot be bound at all
 *
 * A socket whose name is lost is opened anew at once. Sessions outlive the socket they came through. Every state
 * meets every event on purpose: what is not answered in a state is listed at the root.
 */
import {
  type ActorRefFrom,
  assertEvent,
  assign,
  type ErrorActorEvent,
  enqueueActions,
  sendTo,
  setup,
  stopChild,
} from 'xstate';
import { controlSessionMachine } from './control-session.ts';
import type { ArbiterOrder } from './events/arbiter.ts';
import type {
  ControlReport,
  ControlSocketName,
  ControlSocketOrder,
  ControlSocketReport,
  SessionReport,
} from './events/control.ts';
import { crashFault, type Fault } from './faults.ts';
import { type Listener, port } from './ports.ts';

export interface ControlListenerInput {
  name: ControlSocketName;
  /** Most connections at once. */
  sessionsMax: number;
  arbiter: Listener<ArbiterOrder | ControlReport>;
}

export interface ControlListenerContext extends ControlListenerInput {
  sessions: number;
  /** Why it is not open, while it is not. */
  fault: Fault | null;
  /** The arbiter was told that it is not open. */
  told: boolean;
}

type SocketError = ErrorActorEvent<unknown, 'socket'>;
type SessionError = ErrorActorEvent<unknown, `session.${number}`>;

export type ControlListenerEvent = ControlSocketReport | SessionReport | SocketError | SessionError;

export const sessionId = (connection: number) => `session.${connection}` as const;

export const controlListenerMachine = setup({
  types: {
    context: {} as ControlListenerContext,
    input: {} as ControlListenerInput,
    events: {} as ControlListenerEvent,
    children: {} as { socket: 'socket' } & { [id: `session.${number}`]: 'session' },
  },
  actors: {
    socket: port<ControlSocketOrder, { name: ControlSocketName }>('control socket'),
    session: controlSessionMachine,
  },
  delays: {
    retryWait: 10_000,
  },
  guards: {
    isPermanent: ({ event }) => event.type === 'socket.failed' && event.permanent,
    hasRoom: ({ context }) => context.sessions < context.sessionsMax,
  },
  actions: {
    keepFault: assign({
      fault: ({ event }) => {
        assertEvent(event, ['socket.failed', 'xstate.error.actor.socket']);
        return event.type === 'socket.failed' ? event.fault : crashFault(event.error);
      },
    }),
    forgetFault: assign({ fault: null, told: false }),
    tellOpened: sendTo(
      ({ context }) => context.arbiter,
      ({ context, event }) => {
        assertEvent(event, 'socket.opened');
        return { type: 'control.opened', socket: context.name, path: event.path };
      },
    ),
    /** Once: a name that stays in use is no news every time. */
    tellUnavailable: enqueueActions(({ context, enqueue }) => {
      if (context.told || !context.fault) return;
      enqueue.sendTo(context.arbiter, {
        type: 'control.unavailable',
        socket: context.name,
        fault: context.fault,
      });
      enqueue.assign({ told: true });
    }),
    openSession: enqueueActions(({ context, event, enqueue, self }) => {
      assertEvent(event, 'connection.accepted');
      const { connection } = event;
      enqueue.spawnChild('session', {
        id: sessionId(connection),
        input: { connection, arbiter: context.arbiter, listener: self as ActorRefFrom<never> },
      });
      enqueue.assign({ sessions: context.sessions + 1 });
    }),
    refuseConnection: sendTo('socket', ({ event }) => {
      assertEvent(event, 'connection.accepted');
      return { type: 'connection.refuse' as const, connection: event.connection };
    }),
    forgetSession: stopChild(({ event }) => {
      assertEvent(event, ['session.ended', 'xstate.error.actor.session.*']);
      return event.type === 'session.ended' ? sessionId(event.connection) : event.actorId;
    }),
    countDown: assign({ sessions: ({ context }) => context.sessions - 1 }),
  },
}).createMachine({
  id: 'controlListener',
  options: { maxIterations: 100 },
  description: 'A control socket and the sessions of those who are connected.',
  context: ({ input }) => ({ ...input, sessions: 0, fault: null, told: false }),
  initial: 'open',
  on: {
    'session.ended': { actions: ['forgetSession', 'countDown'] },
    'xstate.error.actor.session.*': { actions: ['forgetSession', 'countDown'] },
    // Said by a socket that is being closed, or has failed; its connections are still good.
    'connection.accepted': [{ guard: 'hasRoom', actions: 'openSession' }, {}],
    'socket.opened': {},
    'socket.failed': {},
    'socket.lost': {},
    'xstate.error.actor.socket': {},
  },
  states: {
    open: {
      description: 'There is a socket, or will be.',
      initial: 'opening',
      invoke: {
        id: 'socket',
        src: 'socket',
        input: ({ context }) => ({ name: context.name }),
        onError: { target: 'waiting', actions: 'keepFault' },
      },
      on: {
        'socket.failed': [
          { guard: 'isPermanent', target: 'closed', actions: 'keepFault' },
          { target: 'waiting', actions: 'keepFault' },
        ],
        'connection.accepted': [
          { guard: 'hasRoom', actions: 'openSession' },
          { actions: 'refuseConnection' },
        ],
      },
      states: {
        opening: {
          description: 'The socket is being bound.',
          on: { 'socket.opened': { target: 'listening', actions: ['forgetFault', 'tellOpened'] } },
        },
        listening: {
          description: 'Connections are taken, as many as there is room for.',
          on: { 'socket.lost': { target: '#controlListener.open', reenter: true } },
        },
      },
    },
    waiting: {
      description: 'It could not be bound; it is tried again.',
      entry: 'tellUnavailable',
      after: { retryWait: { target: 'open' } },
    },
    closed: {
      description: 'It cannot be bound; trying again would not help.',
      entry: 'tellUnavailable',
    },
  },
});

export type ControlListenerActor = ActorRefFrom<typeof controlListenerMachine>;
