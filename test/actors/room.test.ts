/** When a worker with a limit of connections stops accepting, and when it goes on. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { FaultError } from '../../src/actors/fault-error.ts';
import { prepareRoom, Room } from '../../src/actors/room.ts';

/** A gate that does what it is told at once, unless `fails` says that it cannot. */
function gated(t: TestContext, max: number) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let nowMs = 1_000_000;
  t.mock.method(performance, 'now', () => nowMs);
  const calls: string[] = [];
  const notices: string[] = [];
  const state: { fails?: boolean; refilled?: Promise<void> } = {};
  const may = async (): Promise<void> => {
    if (state.fails) throw new FaultError('worker.cannotPause', 'no copies');
  };
  const gate = {
    prepare: may,
    pause: async () => {
      calls.push('pause');
      await may();
      return true;
    },
    resume: () => void calls.push('resume'),
    refill: () => state.refilled ?? may(),
  };
  const notice = (_level: string, text: string) => void notices.push(text);
  const room = new Room(max, gate, notice);
  const pass = async (ms: number): Promise<void> => {
    nowMs += ms;
    t.mock.timers.tick(ms);
    await settled();
  };
  return { room, calls, notices, state, gate, notice, pass };
}

const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

test('it stops with the last one that fits, and goes on when a tenth has left', async (t) => {
  const { room, calls, notices } = gated(t, 100);
  for (let count = 1; count <= 99; count++) room.entered(count);
  assert.deepEqual([calls, room.isFull], [[], false]);
  room.entered(100);
  assert.deepEqual([calls, room.isFull], [['pause'], true]);
  await settled();
  for (let count = 99; count > 90; count--) room.left(count);
  await settled();
  assert.deepEqual(calls, ['pause']);
  room.left(90);
  await settled();
  assert.deepEqual([calls, room.isFull], [['pause', 'resume'], false]);
  assert.deepEqual(notices, [
    'full: it has as many connections as it may (100), and accepts no more until some have closed',
  ]);
});

test('of a small one that has room for one more, and of one that takes one at a time', async (t) => {
  for (const max of [5, 1]) {
    const { room, calls } = gated(t, max);
    room.entered(max);
    room.left(max - 1);
    await settled();
    assert.deepEqual(calls, ['pause', 'resume']);
    t.mock.reset();
  }
});

test('it does not go on more than forty times a second', async (t) => {
  const { room, calls, pass } = gated(t, 1);
  const turn = (): void => {
    room.entered(1);
    room.left(0);
  };
  turn();
  await settled();
  assert.deepEqual(calls, ['pause', 'resume']);
  turn();
  await pass(24);
  assert.deepEqual(calls, ['pause', 'resume', 'pause']);
  await pass(1);
  assert.deepEqual(calls, ['pause', 'resume', 'pause', 'resume']);
  await pass(500);
  turn();
  await settled();
  assert.equal(calls.length, 6);
});

test('where the last copies are left it waits for new ones', async (t) => {
  const { room, calls, state, pass } = gated(t, 1);
  let refill = (): void => {};
  state.refilled = new Promise((resolve) => {
    refill = resolve;
  });
  room.entered(1);
  await settled();
  room.left(0);
  await pass(1000);
  assert.deepEqual([calls, room.isFull], [['pause'], true]);
  refill();
  await settled();
  assert.deepEqual([calls, room.isFull], [['pause', 'resume'], false]);
});

test('where it cannot pause it says so, and tries again five seconds later', async (t) => {
  const { room, calls, notices, state, gate, notice, pass } = gated(t, 2);
  state.fails = true;
  await prepareRoom(gate, notice);
  assert.deepEqual(notices, ['--worker-connections may be exceeded: no copies']);
  room.entered(2);
  await settled();
  assert.deepEqual([calls, room.isFull, notices.length], [['pause'], false, 3]);
  room.entered(3);
  await pass(4999);
  room.entered(4);
  assert.equal(calls.length, 1);
  state.fails = false;
  await pass(1);
  room.entered(5);
  await settled();
  assert.deepEqual([calls, room.isFull], [['pause', 'pause'], true]);
  // It had more than its number: it goes on where it has less.
  room.left(2);
  await settled();
  assert.equal(calls.length, 2);
  room.left(1);
  await settled();
  assert.deepEqual(calls, ['pause', 'pause', 'resume']);
});

test('a worker that leaves does not wait for room, nor say that it has none', async (t) => {
  const { room, calls, pass } = gated(t, 1);
  room.entered(1);
  room.left(0);
  await settled();
  room.entered(1);
  room.left(0);
  room.end();
  await pass(1000);
  assert.deepEqual([calls, room.isFull], [['pause', 'resume', 'pause'], false]);
  room.entered(1);
  assert.equal(calls.length, 3);
});
