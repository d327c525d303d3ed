/** The arbiter machine by paths: control sockets that are opened, fail, are required or throw. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ArbiterOrder } from '../../src/machines/events/arbiter.ts';
import type { ConnectionReport, ControlSocketReport } from '../../src/machines/events/control.ts';
import {
  arbiter,
  BOTH,
  failed,
  generation,
  inUse,
  missedOf,
  opened,
  serving,
  stop,
  wish,
} from './arbiter-harness.ts';

test('control sockets are opened from the first moment, and their orders are as good as any', () => {
  const one = arbiter({ controls: BOTH });
  assert.deepEqual([...one.sockets.keys()], ['control', 'controlReadonly']);
  one.socket('control', opened, { type: 'connection.accepted', connection: 1 });
  const ordered = (ticket: number): ConnectionReport => ({
    type: 'request.ordered',
    ticket,
    order: { type: 'arbiter.reload', source: 'control', ticket },
  });
  one.client(1, ordered(5));
  one.generations({ type: 'generation.prepared', orderId: 0, generation: generation(1) });
  one.client(1, ordered(6));
  assert.deepEqual(
    [one.faults[0]?.type, one.faults[0]?.ticket, one.taken[0]?.ticket],
    ['order.refused', 5, 6],
  );
});

test('without a wish there is no control socket', () => {
  assert.equal(arbiter().sockets.size, 0);
});

test('a control socket that cannot be opened is no reason to end', () => {
  const preparing = arbiter({ controls: BOTH });
  preparing.socket('control', failed);
  assert.match(preparing.state, /preparing/);
  const one = serving({ controls: BOTH });
  one.socket('control', failed);
  assert.match(one.state, /serving/);
  one.tell(stop('graceful', 15));
  one.socket('controlReadonly', failed);
  one.pool({ type: 'pool.stopped' });
  assert.deepEqual(one.output, { exitCode: 0, fault: null });
});

test('one that is required ends the server, before there is a pool or with it', () => {
  const controls = [wish('control', true), wish('controlReadonly')];
  const preparing = arbiter({ controls });
  preparing.socket('control', failed);
  assert.deepEqual(preparing.output, { exitCode: 1, fault: inUse });
  const one = serving({ controls });
  one.socket('controlReadonly', failed);
  assert.match(one.state, /serving/);
  one.socket('control', failed);
  assert.match(one.state, /stopping/);
  assert.deepEqual(one.toPool, [{ type: 'pool.stop', orderId: 0, leave: 'drain' }]);
  one.tell(stop('graceful', 15));
  assert.deepEqual(one.toPool.at(-1), { type: 'pool.stop', orderId: 1, leave: 'drain' });
  one.pool({ type: 'pool.stopped' });
  assert.deepEqual(one.output, { exitCode: 1, fault: inUse });
});

test('a stop that was ordered ends as ordered, also where a required socket fails meanwhile', () => {
  const one = serving({ controls: [wish('control', true)] });
  one.tell(stop('graceful', 15));
  one.socket('control', failed);
  assert.equal(one.toPool.length, 1);
  one.pool({ type: 'pool.stopped' });
  assert.deepEqual(one.output, { exitCode: 0, fault: null });
});

test('what a control listener says late or twice changes nothing', () => {
  const one = serving({ controls: BOTH });
  one.tell(stop('graceful', 15));
  one.controls(
    { type: 'control.opened', socket: 'control', path: '/run/kirin.ctl' },
    { type: 'control.unavailable', socket: 'control', fault: inUse },
  );
  assert.match(one.state, /stopping/);
});

test('whatever throws in the control interface, the server goes on', () => {
  const accepted: ControlSocketReport[] = [1, 2, 3].map((connection) => ({
    type: 'connection.accepted',
    connection,
  }));
  for (const bug of [
    'socket',
    'socket order',
    'connection',
    'connection order',
    'session',
    'listener',
  ] as const)
    for (const name of ['control', 'controlReadonly'] as const) {
      const one = serving({ controls: BOTH, bug });
      one.socket(name, opened, ...accepted);
      const order: ArbiterOrder = { type: 'arbiter.reopen', source: 'control', ticket: 1 };
      one.client(1, { type: 'request.ordered', ticket: 1, order }, { type: 'connection.violated' });
      assert.match(one.state, /serving/, bug);
      assert.equal(one.children().includes(name), bug !== 'listener', bug);
      assert.equal(one.children().length, bug === 'listener' ? 5 : 6, bug);
      one.tell(stop('graceful', 15));
      one.pool({ type: 'pool.stopped' });
      assert.deepEqual(one.output, { exitCode: 0, fault: null }, bug);
    }
});

test('a bug in a listener that is required ends the server as one that cannot be opened', () => {
  for (const bug of ['socket', 'listener'] as const) {
    const one = arbiter({ controls: [wish('control', true)], bug });
    one.socket('control', opened);
    assert.deepEqual(
      [one.output?.exitCode, one.output?.fault?.code, one.output?.fault?.message],
      [1, 'control.crashed', `this is a bug in Kirin: thrown by the ${bug}`],
    );
  }
});

test('a lame duck serves on without its control socket', () => {
  const one = serving({ controls: [wish('control')], lameDuckMs: 1000 });
  one.tell(stop('graceful', 15));
  one.controls({ type: 'control.unavailable', socket: 'control', fault: inUse });
  assert.match(one.state, /lameDuck/);
});

test('every transition has a test path', () => {
  assert.deepEqual(missedOf('control'), []);
});
