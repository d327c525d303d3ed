/** Who rests and who is woken: by figures of heartbeats and of processors, on a clock that the test turns. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Shift } from '../../src/actors/shift.ts';

const LOOK_MS = 2000;
const TEND_MS = 500;
const MINUTE_MS = 60_000;

interface Seen {
  connections: number;
  acceptedPerSecond: number;
  lastMs: number;
  /** Its heartbeats have stopped. */
  isSilent?: boolean;
  full?: boolean;
}

/** So many workers that are ready since long, on two processors that are full, with many new connections. */
function shiftOf(t: TestContext, workers: number) {
  t.mock.timers.enable({ apis: ['setInterval'] });
  let nowMs = 1000;
  const seen = new Map<number, Seen>();
  const paused = new Set<number>();
  const orders: string[] = [];
  const told: string[] = [];
  const world = { areFull: true, isOn: true };
  const shift = new Shift({
    heartbeats: {
      now: () => nowMs,
      pulse(age) {
        const one = seen.get(age);
        if (!one) return undefined;
        const { connections, acceptedPerSecond, lastMs, full = false } = one;
        const figures = { connections, full } as never;
        return { age, lastMs, figures, requestsPerSecond: 0, acceptedPerSecond };
      },
    },
    isOn: () => world.isOn,
    isPaused: (age) => paused.has(age),
    processors: 2,
    tell: (text) => told.push(text),
  });
  const { hooks } = shift;
  const add = (age: number): void => {
    seen.set(age, { connections: age, acceptedPerSecond: 500, lastMs: nowMs });
    hooks.linked?.(age, 1000 + age, ({ type }) => orders.push(`${age} ${type.replace('worker.', '')}`));
    hooks.ready?.(age);
  };
  const gone = (age: number): void => {
    seen.delete(age);
    hooks.gone?.(age);
  };
  const pass = (ms: number): void => {
    for (let passed = 0; passed < ms; passed += TEND_MS) {
      nowMs += TEND_MS;
      for (const one of seen.values()) if (!one.isSilent) one.lastMs = nowMs;
      t.mock.timers.tick(TEND_MS);
    }
  };
  /** What was ordered since it was asked last. */
  const ordered = (): string[] => orders.splice(0);
  const look = (): string[] => {
    pass(LOOK_MS);
    shift.look(() => world.areFull);
    return ordered();
  };
  const resting = (): number[] => [...seen.keys()].filter((age) => shift.isResting(age));
  for (let age = 1; age <= workers; age++) add(age);
  t.after(() => [...seen.keys()].forEach(gone));
  pass(MINUTE_MS);
  return { shift, hooks, seen, paused, told, world, add, gone, pass, ordered, look, resting };
}

/** The same, with all resting that may: 1 to 5 of 8, by their connections. */
function restful(t: TestContext) {
  const all = shiftOf(t, 8);
  assert.deepEqual(all.look(), [], 'full at one look');
  assert.deepEqual(all.look(), ['1 rest', '2 rest', '3 rest', '4 rest']);
  assert.deepEqual(all.look(), ['5 rest']);
  assert.deepEqual(all.look(), []);
  assert.deepEqual(all.resting(), [1, 2, 3, 4, 5]);
  return all;
}

const allWoken = ['1 wake', '2 wake', '3 wake', '4 wake', '5 wake'];

test('on full processors all but three of eight rest, and one line says so', (t) => {
  const { told } = restful(t);
  assert.equal(told.length, 1);
  assert.match(told[0]!, /^5 of 8 workers rest, one after the other: .* processors \(2\), which are full/);
});

test('nobody rests with a processor for each, with few connections, with --no-balance, or just ready', (t) => {
  const few = shiftOf(t, 2);
  for (let turn = 0; turn < 4; turn++) assert.deepEqual(few.look(), []);
  t.mock.timers.reset();
  const idle = shiftOf(t, 8);
  for (const one of idle.seen.values()) one.acceptedPerSecond = 49;
  for (let turn = 0; turn < 4; turn++) assert.deepEqual(idle.look(), []);
  t.mock.timers.reset();
  const off = shiftOf(t, 8);
  off.world.isOn = false;
  for (let turn = 0; turn < 4; turn++) assert.deepEqual(off.look(), []);
  t.mock.timers.reset();
  const fresh = shiftOf(t, 3);
  for (const age of [11, 12, 13]) fresh.add(age);
  // Those that are new accept though they have not one connection; the others have a surplus of three.
  for (const age of [11, 12, 13]) fresh.seen.get(age)!.connections = 0;
  fresh.look();
  assert.deepEqual(fresh.look(), ['1 rest', '2 rest', '3 rest']);
});

test('all are woken at the look that finds room, and nobody rests for a minute, then for two', (t) => {
  const { look, pass, told, world, resting, ordered } = restful(t);
  world.areFull = false;
  assert.deepEqual(look(), allWoken);
  assert.match(told[1]!, /^all workers accept again: the processors have room again$/);
  world.areFull = true;
  for (let turn = 0; turn < 29; turn++) assert.deepEqual(look(), []);
  pass(LOOK_MS);
  for (let turn = 0; turn < 4; turn++) look();
  assert.deepEqual(resting(), [1, 2, 3, 4, 5]);
  world.areFull = false;
  look();
  world.areFull = true;
  for (let turn = 0; turn < 59; turn++) assert.deepEqual(look(), []);
  assert.deepEqual(ordered(), []);
  for (let turn = 0; turn < 4; turn++) look();
  assert.deepEqual(resting(), [1, 2, 3, 4, 5]);
  assert.equal(told.length, 5);
});

test('all are woken when connections become few, or --no-balance is set', (t) => {
  const { look, seen, told } = restful(t);
  for (const one of seen.values()) one.acceptedPerSecond = 24;
  assert.deepEqual(look(), allWoken);
  assert.match(told[1]!, /few new connections come/);
  t.mock.timers.reset();
  const other = restful(t);
  other.world.isOn = false;
  assert.deepEqual(other.look(), allWoken);
  assert.match(other.told[1]!, /--no-balance/);
});

test('whoever rests longest is woken as soon as one that accepts ends, leaves or is paused', (t) => {
  const { hooks, gone, ordered, paused } = restful(t);
  gone(8);
  assert.deepEqual(ordered(), ['1 wake']);
  hooks.leaving?.(7, { type: 'worker.drain', orderId: 1, graceMs: 1 }, () => {});
  assert.deepEqual(ordered(), ['2 wake']);
  paused.add(6);
  hooks.reported?.(6, { type: 'worker.paused' });
  assert.deepEqual(ordered(), ['3 wake']);
  hooks.reported?.(6, { type: 'worker.metrics' });
  assert.deepEqual(ordered(), []);
});

test('one is woken when one that accepts is silent for longer than four seconds, or is full', (t) => {
  const { seen, pass, ordered } = restful(t);
  seen.get(8)!.isSilent = true;
  pass(4000);
  assert.deepEqual(ordered(), []);
  pass(TEND_MS);
  assert.deepEqual(ordered(), ['1 wake']);
  seen.get(7)!.full = true;
  pass(TEND_MS);
  assert.deepEqual(ordered(), ['2 wake']);
});

test('a resting worker that ends or leaves is missed by nobody', (t) => {
  const { hooks, gone, ordered, resting } = restful(t);
  gone(1);
  hooks.leaving?.(2, { type: 'worker.drain', orderId: 1, graceMs: 1 }, () => {});
  assert.deepEqual(ordered(), []);
  assert.deepEqual(resting(), [3, 4, 5]);
});

test("an operator's word ends the rest of a worker", (t) => {
  const { hooks, paused, ordered, resting } = restful(t);
  hooks.reported?.(4, { type: 'worker.resumed' });
  assert.deepEqual(ordered(), ['4 wake']);
  paused.add(3);
  hooks.reported?.(3, { type: 'worker.paused' });
  assert.deepEqual(ordered(), ['3 wake']);
  assert.deepEqual(resting(), [1, 2, 5]);
});
