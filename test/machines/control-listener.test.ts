/** The control listener machine by paths: its socket and its connections are played by the test. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createActor, fromCallback } from 'xstate';
import { controlListenerMachine } from '../../src/machines/control-listener.ts';
import { controlSessionMachine } from '../../src/machines/control-session.ts';
import type { ArbiterOrder } from '../../src/machines/events/arbiter.ts';
import type {
  ConnectionOrder,
  ConnectionReport,
  ControlReport,
  ControlSocketName,
  ControlSocketOrder,
  ControlSocketReport,
} from '../../src/machines/events/control.ts';
import { VirtualClock } from '../simulation/clock.ts';
import { probe } from './probe.ts';
import { transitionRecorder, transitionsOf } from './transitions.ts';

const recorder = transitionRecorder();
const RETRY_MS = 10_000;
const SESSIONS_MAX = 2;

type Throws = 'at start' | 'on an order' | 'in its cleanup';
interface Faults {
  /** When the socket throws. */
  socket?: Throws;
  /** When each connection throws. */
  connection?: Throws;
  /** A bug in the session machine itself: its first action throws, at this event. */
  session?: boolean;
}

/** A listener whose socket and connections are the test's to play; each may throw. */
function listener(faults: Faults = {}) {
  const clock = new VirtualClock();
  const arbiter = probe<ArbiterOrder | ControlReport>();
  const refused: number[] = [];
  const connections = new Map<number, (report: ConnectionReport) => void>();
  let sockets = 0;
  let open = 0;
  let tell = (_event: ControlSocketReport): void => {};
  const failIf = (when: Throws, throws: Throws | undefined): void => {
    if (when === throws) throw new Error(`thrown ${when}`);
  };
  const actor = createActor(
    controlListenerMachine.provide({
      actors: {
        socket: fromCallback<ControlSocketOrder, { name: ControlSocketName }>(
          ({ sendBack, receive, input }) => {
            assert.deepEqual(input, { name: 'control' });
            sockets++;
            failIf('at start', faults.socket);
            open++;
            tell = sendBack as typeof tell;
            receive((order) => {
              failIf('on an order', faults.socket);
              refused.push(order.connection);
            });
            return () => {
              open--;
              failIf('in its cleanup', faults.socket);
            };
          },
        ),
        session: controlSessionMachine.provide({
          actors: {
            connection: fromCallback<ConnectionOrder, { connection: number }>(
              ({ sendBack, receive, input }) => {
                failIf('at start', faults.connection);
                connections.set(input.connection, sendBack as (report: ConnectionReport) => void);
                receive(() => failIf('on an order', faults.connection));
                return () => {
                  connections.delete(input.connection);
                  failIf('in its cleanup', faults.connection);
                };
              },
            ),
          },
          ...(faults.session && {
            actions: {
              note: () => {
                throw new Error('a bug of a session');
              },
            },
          }),
        }),
      },
    }),
    {
      clock,
      inspect: recorder.watch,
      input: { name: 'control', sessionsMax: SESSIONS_MAX, arbiter: arbiter.ref },
    },
  );
  let failed: unknown;
  actor.subscribe({
    error: (error) => {
      failed = error;
    },
  });
  actor.start();
  return {
    hears(...events: ControlSocketReport[]) {
      for (const event of events) tell(event);
    },
    /** What a socket says that is in error, or about to end: not through an actor of its own any more. */
    overhears(...events: ControlSocketReport[]) {
      for (const event of events) actor.send(event);
    },
    client(connection: number, ...reports: ConnectionReport[]) {
      for (const report of reports) connections.get(connection)?.(report);
    },
    accepts(...numbers: number[]) {
      for (const connection of numbers) tell({ type: 'connection.accepted', connection });
    },
    pass(ms: number) {
      const untilMs = clock.nowMs + ms;
      while (clock.step(untilMs));
    },
    /** The state, and the count of sessions, which is that of the machines there are. */
    get state() {
      assert.equal(failed, undefined);
      const { value, context, children } = actor.getSnapshot();
      const machines = Object.keys(children).filter((id) => id.startsWith('session.'));
      assert.equal(context.sessions, machines.length);
      return typeof value === 'string' ? value : value.open;
    },
    get sessions() {
      return actor.getSnapshot().context.sessions;
    },
    get fault() {
      return actor.getSnapshot().context.fault;
    },
    get told() {
      return (arbiter.heard as ControlReport[]).map((report) =>
        report.type === 'control.opened' ? `opened ${report.path}` : `unavailable ${report.fault.code}`,
      );
    },
    ordered: arbiter.heard,
    refused,
    get sockets() {
      return { opened: sockets, open };
    },
    stop: () => actor.stop(),
  };
}

const opened: ControlSocketReport = { type: 'socket.opened', path: '/run/kirin.ctl' };
const lost: ControlSocketReport = { type: 'socket.lost' };
const failed = (
  permanent: boolean,
  code: 'bind.inUse' | 'bind.denied' = 'bind.inUse',
): ControlSocketReport => ({
  type: 'socket.failed',
  fault: { code, message: 'simulated' },
  permanent,
});
const closed: ConnectionReport = { type: 'connection.closed' };

function listening(faults?: Faults) {
  const one = listener(faults);
  one.hears(opened);
  assert.equal(one.state, 'listening');
  return one;
}

test('a socket is opened, and told with its path', () => {
  const one = listener();
  assert.equal(one.state, 'opening');
  one.hears(opened);
  assert.deepEqual([one.state, one.told, one.fault], ['listening', ['opened /run/kirin.ctl'], null]);
});

test('what cannot be bound is tried again after a wait, and told once', () => {
  const one = listener();
  one.hears(failed(false));
  assert.deepEqual([one.state, one.sockets.open], ['waiting', 0]);
  one.pass(RETRY_MS - 1);
  assert.equal(one.state, 'waiting');
  one.pass(1);
  assert.deepEqual([one.state, one.sockets.open], ['opening', 1]);
  one.hears(failed(false, 'bind.denied'));
  one.pass(RETRY_MS);
  one.hears(failed(false));
  assert.deepEqual([one.state, one.told], ['waiting', ['unavailable bind.inUse']]);
});

test('once it was open in between, it is told again', () => {
  const one = listener();
  one.hears(failed(false));
  one.pass(RETRY_MS);
  one.hears(opened, lost, failed(false, 'bind.denied'));
  assert.deepEqual(one.told, ['unavailable bind.inUse', 'opened /run/kirin.ctl', 'unavailable bind.denied']);
});

test('what cannot be bound at all is given up, at once or later', () => {
  for (const before of [[], [failed(false)]]) {
    const one = listener();
    one.hears(...before);
    one.pass(RETRY_MS);
    one.hears(failed(true));
    one.pass(1e9);
    assert.deepEqual([one.state, one.sockets.open], ['closed', 0]);
    assert.deepEqual(one.told, ['unavailable bind.inUse']);
  }
});

test('a socket that fails while it listens is opened anew after a wait', () => {
  const one = listening();
  one.hears(failed(false));
  assert.deepEqual([one.state, one.sockets.open], ['waiting', 0]);
  one.pass(RETRY_MS);
  one.hears(opened);
  assert.equal(one.state, 'listening');
});

test('a socket whose name is lost is opened anew at once; its sessions go on', () => {
  const one = listening();
  one.accepts(1);
  one.hears(lost);
  assert.deepEqual([one.state, one.sockets, one.sessions], ['opening', { opened: 2, open: 1 }, 1]);
  one.hears(opened);
  one.accepts(2);
  assert.equal(one.sessions, 2);
  one.client(1, closed);
  assert.deepEqual([one.state, one.sessions], ['listening', 1]);
});

test('sessions outlive a socket that cannot be opened again', () => {
  const one = listening();
  one.accepts(1);
  one.hears(lost, failed(true));
  one.client(1, {
    type: 'request.ordered',
    ticket: 5,
    order: { type: 'arbiter.reload', source: 'control', ticket: 5 },
  });
  assert.deepEqual(one.ordered.at(-1), { type: 'arbiter.reload', source: 'control', ticket: 5 });
  one.client(1, closed);
  assert.deepEqual([one.state, one.sessions], ['closed', 0]);
});

test('as many sessions as there is room for; others are refused, until one ends', () => {
  const one = listening();
  one.accepts(1, 2, 3, 4);
  assert.deepEqual([one.state, one.sessions, one.refused], ['listening', SESSIONS_MAX, [3, 4]]);
  one.client(2, closed);
  one.accepts(5, 6);
  assert.deepEqual([one.sessions, one.refused], [SESSIONS_MAX, [3, 4, 6]]);
});

test('a connection that comes before the news of the socket is taken, or refused', () => {
  const one = listener();
  one.accepts(1, 2, 3);
  assert.deepEqual([one.state, one.sessions, one.refused], ['opening', 2, [3]]);
});

test('what a socket says too late or twice changes nothing; a connection it still has is taken', () => {
  for (const end of [failed(false), failed(true)]) {
    const one = listening();
    one.hears(opened, end);
    const { state } = one;
    one.overhears(opened, lost, failed(false), failed(true));
    for (const connection of [1, 2, 3]) one.overhears({ type: 'connection.accepted', connection });
    assert.deepEqual([one.state, one.sessions, one.refused], [state, SESSIONS_MAX, []]);
    assert.deepEqual(one.told, ['opened /run/kirin.ctl', 'unavailable bind.inUse']);
  }
  const opening = listener();
  opening.overhears(lost);
  assert.deepEqual([opening.state, opening.sockets.opened], ['opening', 1]);
});

test('a socket that throws at its start is told as a bug, once, and tried again', () => {
  const one = listener({ socket: 'at start' });
  one.pass(5 * RETRY_MS);
  assert.deepEqual(
    [one.state, one.told, one.sockets.opened],
    ['waiting', ['unavailable control.crashed'], 6],
  );
  assert.match(one.fault?.message ?? '', /bug in Kirin: thrown at start/);
});

test('a socket that throws when it is told something is opened anew after a wait; its sessions go on', () => {
  const one = listening({ socket: 'on an order' });
  one.accepts(1, 2, 3);
  assert.deepEqual([one.state, one.sessions], ['waiting', 2]);
  // It is in error, which is not stopped: it can still say something.
  one.hears(lost, opened);
  one.pass(RETRY_MS);
  one.hears(opened);
  assert.equal(one.state, 'listening');
});

test('a socket that throws in its cleanup ends nothing', () => {
  const ends = [
    [failed(false), 'waiting'],
    [failed(true), 'closed'],
    // Told of what was there before, it takes that for the new one, and tries again.
    [lost, 'waiting'],
  ] as const;
  for (const [end, state] of ends) {
    const one = listening({ socket: 'in its cleanup' });
    one.accepts(1);
    one.hears(end);
    assert.deepEqual([one.state, one.sessions], [state, 1]);
  }
});

test('a connection that throws ends its session and no other', () => {
  const start = listening({ connection: 'at start' });
  start.accepts(1, 2, 3);
  assert.deepEqual([start.state, start.sessions, start.refused], ['listening', 0, []]);
  const order = listening({ connection: 'on an order' });
  order.accepts(1, 2);
  order.client(1, { type: 'connection.violated' });
  assert.deepEqual([order.state, order.sessions], ['listening', 1]);
  const cleanup = listening({ connection: 'in its cleanup' });
  cleanup.accepts(1, 2);
  cleanup.client(2, closed);
  assert.deepEqual([cleanup.state, cleanup.sessions], ['listening', 1]);
});

test('a bug in a session ends that session and no other', () => {
  const one = listening({ session: true });
  one.accepts(1, 2);
  one.client(1, { type: 'request.began', ticket: 1, limited: true });
  assert.deepEqual([one.state, one.sessions], ['listening', 1]);
  one.accepts(3, 4);
  assert.deepEqual([one.sessions, one.refused], [2, [4]]);
});

test('stopped with its parent, it leaves no socket and no connection', () => {
  const one = listening();
  one.accepts(1, 2);
  one.stop();
  assert.equal(one.sockets.open, 0);
});

test('every transition has a test path', () => {
  const missed = [...transitionsOf(controlListenerMachine)].filter((name) => !recorder.taken.has(name));
  assert.deepEqual(missed, [], 'transitions without a test path');
});
