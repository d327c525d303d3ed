/** The control session machine by paths: each test is one connection, and together they take every transition. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createActor, fromCallback } from 'xstate';
import { controlSessionMachine } from '../../src/machines/control-session.ts';
import type { ArbiterOrder } from '../../src/machines/events/arbiter.ts';
import type { ConnectionOrder, ConnectionReport, SessionReport } from '../../src/machines/events/control.ts';
import { VirtualClock } from '../simulation/clock.ts';
import { probe } from './probe.ts';
import { transitionRecorder, transitionsOf } from './transitions.ts';

const recorder = transitionRecorder();
const COMMAND_LIMIT_MS = 600_000;
const FLUSH_LIMIT_MS = 1000;
const DESTROY_LIMIT_MS = 1000;
const CONNECTION = 7;
const STATES = ['quiet', 'busy', 'finishing', 'flushing', 'destroying'] as const;

/** A session whose connection is the test's to play; it may be one that throws. */
function session({ throws }: { throws?: 'at start' | 'on an order' | 'in its cleanup' } = {}) {
  const clock = new VirtualClock();
  const arbiter = probe<ArbiterOrder>();
  const listener = probe<SessionReport>();
  const asked: ConnectionOrder[] = [];
  let tell = (_event: ConnectionReport): void => {};
  let open = false;
  const failIf = (when: typeof throws): void => {
    if (throws === when) throw new Error(`thrown ${when}`);
  };
  const actor = createActor(
    controlSessionMachine.provide({
      actors: {
        connection: fromCallback<ConnectionOrder, { connection: number }>(({ sendBack, receive, input }) => {
          assert.deepEqual(input, { connection: CONNECTION });
          failIf('at start');
          open = true;
          tell = sendBack as typeof tell;
          receive((order) => {
            failIf('on an order');
            asked.push(order);
          });
          return () => {
            open = false;
            failIf('in its cleanup');
          };
        }),
      },
    }),
    {
      clock,
      inspect: recorder.watch,
      input: { connection: CONNECTION, arbiter: arbiter.ref, listener: listener.ref },
    },
  );
  actor.start();
  return {
    hears(...events: ConnectionReport[]) {
      for (const event of events) tell(event);
    },
    overdue(ticket: number) {
      actor.send({ type: 'request.overdue', ticket });
    },
    pass(ms: number) {
      const untilMs = clock.nowMs + ms;
      while (clock.step(untilMs));
    },
    /** The innermost state: `quiet`, `flushing`, `closed`. */
    get state() {
      return JSON.stringify(actor.getSnapshot().value).match(/"(\w+)"\}*$/)?.[1];
    },
    get status() {
      return actor.getSnapshot().status;
    },
    get running() {
      return actor.getSnapshot().context.running;
    },
    get asked() {
      return asked.map((order) =>
        order.type === 'request.expire' ? `expire ${order.ticket}` : order.type.replace('connection.', ''),
      );
    },
    ordered: arbiter.heard,
    told: listener.heard,
    get open() {
      return open;
    },
    timers: () => clock.pending,
  };
}

const began = (ticket: number, limited = true): ConnectionReport => ({
  type: 'request.began',
  ticket,
  limited,
});
const ended = (ticket: number): ConnectionReport => ({ type: 'request.ended', ticket });
const ordered = (ticket: number): ConnectionReport => ({
  type: 'request.ordered',
  ticket,
  order: { type: 'arbiter.reload', source: 'control', ticket },
});
const idled: ConnectionReport = { type: 'connection.idled' };
const finished: ConnectionReport = { type: 'connection.finished' };
const violated: ConnectionReport = { type: 'connection.violated' };
const closed: ConnectionReport = { type: 'connection.closed' };

/** A session in one of its states, with request 1 under way where one can be. */
function sessionIn(state: (typeof STATES)[number]) {
  const one = session();
  if (state === 'busy' || state === 'finishing') one.hears(began(1));
  if (state === 'finishing') one.hears(finished);
  if (state === 'flushing' || state === 'destroying') one.hears(violated);
  if (state === 'destroying') one.pass(FLUSH_LIMIT_MS);
  assert.equal(one.state, state);
  return one;
}

/** Told once, nothing left behind. */
function assertEnded(one: ReturnType<typeof session>): void {
  assert.deepEqual([one.status, one.state, one.open, one.timers()], ['done', 'closed', false, 0]);
  assert.deepEqual(one.told, [{ type: 'session.ended', connection: CONNECTION }]);
}

test('a sound life: asked, answered, finished, closed', () => {
  const one = session();
  one.hears(ordered(1), began(1));
  assert.equal(one.state, 'busy');
  one.hears(ended(1));
  assert.deepEqual([one.state, one.timers()], ['quiet', 0]);
  one.hears(finished);
  assert.deepEqual([one.state, one.asked], ['flushing', ['close']]);
  one.hears(closed);
  assertEnded(one);
});

test('orders go to the arbiter as they are, ticket and all, until it closes', () => {
  for (const state of STATES) {
    const one = sessionIn(state);
    one.hears(ordered(9));
    const passed = state === 'flushing' || state === 'destroying' ? [] : [9];
    assert.deepEqual(
      one.ordered.map(({ ticket }) => ticket),
      passed,
      state,
    );
    assert.equal(one.state, state);
  }
});

test('each request has a limit of its own, from its own beginning', () => {
  const one = session();
  one.hears(began(1));
  one.pass(1000);
  one.hears(began(2));
  one.pass(COMMAND_LIMIT_MS - 1001);
  assert.deepEqual([one.asked, one.running], [[], [1, 2]]);
  one.pass(1);
  assert.deepEqual([one.state, one.asked, one.running], ['busy', ['expire 1'], [2]]);
  one.pass(1000);
  assert.deepEqual([one.state, one.asked, one.running], ['quiet', ['expire 1', 'expire 2'], []]);
});

test('a request without a limit may take for ever; one that ended in time is not expired', () => {
  const one = session();
  one.hears(began(1, false), began(2, true), ended(2));
  one.pass(1e9);
  assert.deepEqual([one.state, one.asked, one.running], ['busy', [], [1]]);
});

test('what an expired request still says changes nothing', () => {
  const one = session();
  one.hears(began(1));
  one.pass(COMMAND_LIMIT_MS);
  one.hears(ended(1));
  assert.equal(one.state, 'quiet');
  one.hears(began(2), ended(1));
  assert.deepEqual([one.state, one.running], ['busy', [2]]);
});

test('a client that has finished is answered before it is closed, also what begins late', () => {
  const one = session();
  one.hears(began(1), finished, began(2, false), began(3), ended(1));
  assert.deepEqual([one.state, one.asked, one.running], ['finishing', [], [2, 3]]);
  one.pass(COMMAND_LIMIT_MS);
  assert.deepEqual([one.state, one.asked, one.running], ['finishing', ['expire 3'], [2]]);
  one.hears(ended(3), ended(2));
  assert.deepEqual([one.state, one.asked], ['flushing', ['expire 3', 'close']]);
  one.hears(closed);
  assertEnded(one);
});

test('a client that has finished is told that its last request took too long, then closed', () => {
  const one = session();
  one.hears(began(1), finished);
  one.pass(COMMAND_LIMIT_MS);
  assert.deepEqual([one.state, one.asked], ['flushing', ['expire 1', 'close']]);
});

test('idling closes a quiet connection; waiting for an answer is not idling', () => {
  for (const state of STATES) {
    const one = sessionIn(state);
    one.hears(idled);
    assert.equal(one.state, state === 'quiet' ? 'flushing' : state);
  }
});

test('finishing closes a quiet connection, and counts once', () => {
  const to = { quiet: 'flushing', busy: 'finishing' } as Record<string, string>;
  for (const state of STATES) {
    const one = sessionIn(state);
    one.hears(finished);
    assert.equal(one.state, to[state] ?? state);
  }
});

test('a violation closes it in any state, and nothing is waited for any more', () => {
  for (const state of STATES) {
    const one = sessionIn(state);
    one.hears(violated);
    assert.equal(one.state, state === 'destroying' ? 'destroying' : 'flushing');
    assert.deepEqual(one.running, []);
    assert.equal(one.timers(), 1, 'the limit of a request outlives its connection');
    assert.equal(one.asked.filter((what) => what === 'close').length, 1);
  }
});

test('closed by the other side in any state: told once, and no timer is left', () => {
  for (const state of STATES) {
    const one = sessionIn(state);
    one.hears(closed);
    assertEnded(one);
  }
});

test('a client that does not read is cut, and let go even if its connection says nothing', () => {
  const one = session();
  one.hears(violated);
  one.pass(FLUSH_LIMIT_MS - 1);
  assert.deepEqual(one.asked, ['close']);
  one.pass(1);
  assert.deepEqual([one.state, one.asked], ['destroying', ['close', 'destroy']]);
  one.pass(DESTROY_LIMIT_MS);
  assertEnded(one);
});

test('while it closes, what is said too late is ignored', () => {
  for (const state of ['flushing', 'destroying'] as const) {
    const one = sessionIn(state);
    one.hears(ordered(9), began(9), ended(9), ended(1), idled, finished, violated);
    assert.deepEqual([one.state, one.ordered, one.running, one.timers()], [state, [], [], 1]);
  }
});

test('a connection that throws ends its session, and only that', () => {
  assertEnded(session({ throws: 'at start' }));
  for (const state of ['quiet', 'busy'] as const) {
    const one = session({ throws: 'on an order' });
    if (state === 'busy') one.hears(began(1), began(2));
    one.hears(violated);
    // What an actor in error has open is its own to close: its cleanup does not run.
    assert.deepEqual([one.status, one.state, one.timers()], ['done', 'closed', 0]);
    assert.deepEqual(one.told, [{ type: 'session.ended', connection: CONNECTION }]);
  }
  const expired = session({ throws: 'on an order' });
  expired.hears(began(1));
  expired.pass(COMMAND_LIMIT_MS);
  assert.deepEqual([expired.status, expired.told.length], ['done', 1]);
  const cleanup = session({ throws: 'in its cleanup' });
  cleanup.hears(closed);
  assertEnded(cleanup);
});

test('a limit that comes when nothing is under way changes nothing', () => {
  const one = sessionIn('quiet');
  one.overdue(1);
  assert.deepEqual([one.state, one.asked], ['quiet', []]);
});

test('every transition has a test path', () => {
  const missed = [...transitionsOf(controlSessionMachine)].filter((name) => !recorder.taken.has(name));
  assert.deepEqual(missed, [], 'transitions without a test path');
});
