/**
 * One connection to a control socket. Requests that only read are answered beside it; it passes orders on to the
 * arbiter, knows which requests take time, and sees to it that every connection ends.
 *
 *   alive.quiet      nothing is under way; the idle time runs
 *   alive.busy       requests are waited for
 *   alive.finishing  the client sends no more and waits for what it asked
 *   alive.closing    `flushing` (what is left is written), then `destroying`, each within its limit
 *   closed           both ends are closed, or their actor has failed
 *
 * Every state meets every event on purpose: what is not answered in a state is listed in `alive`.
 */
import { type ActorRefFrom, assertEvent, assign, cancel, enqueueActions, sendTo, setup } from 'xstate';
import type { ArbiterOrder } from './events/arbiter.ts';
import type { ConnectionOrder, ConnectionReport, SessionReport } from './events/control.ts';
import { type Listener, port } from './ports.ts';

export interface ControlSessionInput {
  connection: number;
  arbiter: Listener<ArbiterOrder>;
  listener: Listener<SessionReport>;
}

export interface ControlSessionContext extends ControlSessionInput {
  /** Tickets of the requests that take time. Their actor bounds them: it violates rather than begin one too many. */
  running: readonly number[];
  /** It has sent all it had to say, and waits for its answers. */
  owed: boolean;
}

export type ControlSessionEvent = ConnectionReport | { type: 'request.overdue'; ticket: number };

const overdueId = (ticket: number): string => `overdue.${ticket}`;

export const controlSessionMachine = setup({
  types: {
    context: {} as ControlSessionContext,
    input: {} as ControlSessionInput,
    events: {} as ControlSessionEvent,
    children: {} as { connection: 'connection' },
  },
  actors: { connection: port<ConnectionOrder, { connection: number }>('control connection') },
  delays: {
    /** Provided: the setting of the time per command. */
    commandLimit: 600_000,
    /** Who asked and closed its end is owed its answers, and may read them slowly. */
    flushLimit: ({ context }) => (context.owed ? 30_000 : 1000),
    destroyLimit: 1000,
  },
  guards: {
    isLast: ({ context, event }) =>
      (event.type === 'request.ended' || event.type === 'request.overdue') &&
      context.running.every((ticket) => ticket === event.ticket),
    isLimited: ({ event }) => event.type === 'request.began' && event.limited,
  },
  actions: {
    passOn: sendTo(
      ({ context }) => context.arbiter,
      ({ event }) => {
        assertEvent(event, 'request.ordered');
        return event.order;
      },
    ),
    note: assign(({ context, event }) => {
      assertEvent(event, 'request.began');
      return { running: [...context.running, event.ticket] };
    }),
    setLimit: enqueueActions(({ event, enqueue }) => {
      assertEvent(event, 'request.began');
      const { ticket } = event;
      enqueue.raise({ type: 'request.overdue', ticket }, { id: overdueId(ticket), delay: 'commandLimit' });
    }),
    forget: assign(({ context, event }) => {
      assertEvent(event, ['request.ended', 'request.overdue']);
      return { running: context.running.filter((ticket) => ticket !== event.ticket) };
    }),
    dropLimit: cancel(({ event }) => {
      assertEvent(event, 'request.ended');
      return overdueId(event.ticket);
    }),
    expire: sendTo('connection', ({ event }) => {
      assertEvent(event, 'request.overdue');
      return { type: 'request.expire' as const, ticket: event.ticket };
    }),
    /** The connection answers what is under way as it closes; nothing is left to expire. */
    abandon: enqueueActions(({ context, enqueue }) => {
      for (const ticket of context.running) enqueue.cancel(overdueId(ticket));
      enqueue.assign({ running: [], owed: false });
    }),
    owe: assign({ owed: true }),
    close: sendTo('connection', { type: 'connection.close' }),
    destroy: sendTo('connection', { type: 'connection.destroy' }),
    tellEnded: sendTo(
      ({ context }) => context.listener,
      ({ context }) => ({ type: 'session.ended', connection: context.connection }),
    ),
  },
}).createMachine({
  id: 'controlSession',
  options: { maxIterations: 100 },
  description: 'One connection to a control socket.',
  context: ({ input }) => ({ ...input, running: [], owed: false }),
  initial: 'alive',
  states: {
    alive: {
      description: 'There is a connection.',
      initial: 'quiet',
      invoke: {
        id: 'connection',
        src: 'connection',
        input: ({ context }) => ({ connection: context.connection }),
        onError: { target: 'closed' },
      },
      on: {
        'request.ordered': { actions: 'passOn' },
        'request.began': [{ guard: 'isLimited', actions: ['note', 'setLimit'] }, { actions: 'note' }],
        'connection.violated': { target: '.closing' },
        'connection.closed': { target: 'closed' },
        // Ignored where no state below answers: an expired one ends, waiting is not idling, nobody finishes twice.
        'request.ended': {},
        'request.overdue': {},
        'connection.idled': {},
        'connection.finished': {},
      },
      states: {
        quiet: {
          description: 'Nothing is under way.',
          on: {
            'request.began': [
              { guard: 'isLimited', target: 'busy', actions: ['note', 'setLimit'] },
              { target: 'busy', actions: 'note' },
            ],
            'connection.idled': { target: 'closing' },
            'connection.finished': { target: 'closing', actions: 'owe' },
          },
        },
        busy: {
          description: 'Requests that take time are under way.',
          on: {
            'request.ended': [
              { guard: 'isLast', target: 'quiet', actions: ['forget', 'dropLimit'] },
              { actions: ['forget', 'dropLimit'] },
            ],
            'request.overdue': [
              { guard: 'isLast', target: 'quiet', actions: ['forget', 'expire'] },
              { actions: ['forget', 'expire'] },
            ],
            'connection.finished': { target: 'finishing', actions: 'owe' },
          },
        },
        finishing: {
          description: 'The client sends no more; what it asked for is still answered.',
          on: {
            'request.ended': [
              { guard: 'isLast', target: 'closing', actions: ['forget', 'dropLimit'] },
              { actions: ['forget', 'dropLimit'] },
            ],
            'request.overdue': [
              { guard: 'isLast', target: 'closing', actions: ['forget', 'expire'] },
              { actions: ['forget', 'expire'] },
            ],
          },
        },
        closing: {
          description: 'Nothing more is taken, and nobody is waited for beyond a limit.',
          initial: 'flushing',
          entry: 'abandon',
          on: {
            'request.ordered': {},
            'request.began': {},
            'connection.violated': {},
          },
          states: {
            flushing: {
              description: 'What is left is written.',
              entry: 'close',
              after: { flushLimit: { target: 'destroying' } },
            },
            destroying: {
              description: 'The client does not read: it is cut.',
              entry: 'destroy',
              after: { destroyLimit: { target: '#controlSession.closed' } },
            },
          },
        },
      },
    },
    closed: {
      description: 'Both ends are closed, or their actor has failed.',
      type: 'final',
      entry: 'tellEnded',
    },
  },
});

export type ControlSessionActor = ActorRefFrom<typeof controlSessionMachine>;
