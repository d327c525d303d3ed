/** The table of heartbeats: who is silent for too long is told once, and a late sweep forgives everyone. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { HeartbeatTable } from '../../src/actors/heartbeat.ts';
import type { Heartbeat } from '../../src/machines/events/worker.ts';

const SWEEP_MS = 500;
const figures: Heartbeat = {
  type: 'worker.heartbeat',
  requests: 1,
  connections: 2,
  inFlight: 1,
  loopDelayMs: 3,
  loopUtilization: 0.5,
  rssBytes: 4,
};

/** A table whose time passes as told, with a sweep each half second. */
function tableOf(t: TestContext, ...children: [age: number, timeoutMs: number][]) {
  let nowMs = 1000;
  const table = new HeartbeatTable(() => nowMs);
  const told: [age: number, silentMs: number][] = [];
  for (const [age, timeoutMs] of children)
    table.watch(age, timeoutMs, (silentMs) => told.push([age, silentMs]));
  t.after(() => {
    for (const [age] of children) table.forget(age);
  });
  return {
    table,
    told,
    ages: () => told.map(([age]) => age),
    pass(ms: number) {
      for (let passed = 0; passed < ms; passed += SWEEP_MS) {
        nowMs += SWEEP_MS;
        table.sweep();
      }
    },
    /** Time in which nobody swept: a suspended machine, or a blocked arbiter. */
    sleep(ms: number) {
      nowMs += ms;
      table.sweep();
    },
  };
}

test('a child that is silent for longer than its limit is told, once', (t) => {
  const { told, pass } = tableOf(t, [1, 2000]);
  pass(2000);
  assert.deepEqual(told, []);
  pass(5000);
  assert.deepEqual(told, [[1, 2500]]);
});

test('a child that beats is not told, however long it lives', (t) => {
  const { table, told, pass } = tableOf(t, [1, 2000]);
  for (let round = 0; round < 100; round++) {
    pass(1500);
    table.beat(1, figures);
  }
  assert.deepEqual(told, []);
});

test('a child that beats again after it was told is watched again', (t) => {
  const { table, told, pass } = tableOf(t, [1, 1000]);
  pass(2000);
  table.beat(1, figures);
  pass(2000);
  assert.equal(told.length, 2);
});

test('a limit of 0 is none', (t) => {
  const { told, pass } = tableOf(t, [1, 0]);
  pass(100_000);
  assert.deepEqual(told, []);
});

test('each child has its own limit', (t) => {
  const { ages, pass } = tableOf(t, [1, 1000], [2, 3000], [3, 60_000]);
  pass(4000);
  assert.deepEqual(ages(), [1, 2]);
});

test('a sweep that is late forgives everyone: a machine that slept is no hang', (t) => {
  const { ages, pass, sleep } = tableOf(t, [1, 2000], [2, 2000]);
  sleep(3_600_000);
  assert.deepEqual(ages(), []);
  pass(2000);
  assert.deepEqual(ages(), []);
  pass(500);
  assert.deepEqual(ages(), [1, 2]);
});

test('a sweep that is a little late forgives as much: a short limit is no shorter for it', (t) => {
  const { ages, pass, sleep } = tableOf(t, [1, 1000]);
  sleep(1400);
  assert.deepEqual(ages(), []);
  pass(500);
  assert.deepEqual(ages(), []);
  pass(500);
  assert.deepEqual(ages(), [1]);
});

test('a silence that is forgiven begins anew, and is told again', (t) => {
  const { table, ages, pass } = tableOf(t, [1, 1000]);
  pass(1500);
  table.forgive(1);
  table.forgive(2);
  pass(1000);
  assert.deepEqual(ages(), [1]);
  pass(500);
  assert.deepEqual(ages(), [1, 1]);
});

test('a child that is forgotten is never told, and its late beats change nothing', (t) => {
  const { table, told, pass } = tableOf(t, [1, 1000], [2, 60_000]);
  table.forget(1);
  table.beat(1, figures);
  table.forget(1);
  pass(10_000);
  assert.deepEqual(told, []);
  assert.equal(table.pulse(1), undefined);
});

test('the last figures are kept for those who show them', (t) => {
  const { table } = tableOf(t, [1, 1000]);
  assert.equal(table.pulse(1)?.figures, null);
  table.beat(1, figures);
  assert.deepEqual(table.pulse(1)?.figures, figures);
});
