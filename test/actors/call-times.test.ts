/** How long dirty calls waited and took: what the router counts, what it tells, and what the arbiter makes of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CallReport } from '../../src/actors/dirty/call-report.ts';
import { FRAME } from '../../src/actors/dirty/frames.ts';
import { CallTally } from '../../src/actors/metrics/call-tally.ts';
import {
  CALL_BOUNDS,
  CALL_OUTCOMES,
  type CallDurations,
  type CallSums,
} from '../../src/machines/events/metrics.ts';
import { World } from './dirty-world.ts';

/** How many there are of each class that has any, by its bound in seconds. */
const classes = ({ durations }: CallDurations): Record<string, number> =>
  Object.fromEntries(
    durations.flatMap((count, at) => (count > 0 ? [[String(CALL_BOUNDS[at] ?? 'more'), count]] : [])),
  );

const shown = (world: World, number = 0) => {
  const { waits, ends } = world.router.apps.get(number)!.times.shown();
  return {
    waits: classes(waits),
    waitedMs: waits.totalMs,
    ...Object.fromEntries(
      CALL_OUTCOMES.flatMap((outcome, at) => {
        const { totalMs } = ends[at]!;
        const counted = classes(ends[at]!);
        return Object.keys(counted).length > 0 ? [[outcome, { ...counted, totalMs }]] : [];
      }),
    ),
  };
};

test('a call has waited until its worker has it, and takes until its caller has its answer', () => {
  const world = new World();
  const caller = world.caller();
  const worker = world.worker(1);
  caller.call(1);
  caller.call(2);
  world.settle();
  world.pass(40);
  worker.result(worker.calls()[0]!.id);
  world.settle();
  world.pass(7000);
  worker.send({ type: FRAME.error, id: worker.calls()[0]!.id }, { code: 'DIRTY_APP_ERROR', message: 'no' });
  world.settle();
  assert.deepEqual(shown(world), {
    waits: { 0.001: 1, 0.05: 1 },
    waitedMs: 40,
    ok: { 0.05: 1, totalMs: 40 },
    error: { 10: 1, totalMs: 7040 },
  });
  assert.deepEqual(shown(world, 1), { waits: {}, waitedMs: 0 });
});

test('one that is late, refused, not wanted any more, or without its worker is counted as such, and once', () => {
  const world = new World({ queueMax: 1 });
  const caller = world.caller();
  const worker = world.worker(1);
  caller.call(1, { ms: 100 });
  caller.call(2);
  caller.call(3);
  world.settle();
  world.pass(200);
  world.settle();
  const [late] = worker.calls();
  assert.deepEqual(shown(world), {
    waits: { 0.001: 1 },
    waitedMs: 0,
    timeout: { 0.25: 1, totalMs: 200 },
    overloaded: { 0.001: 1, totalMs: 0 },
  });
  caller.send({ type: FRAME.cancel, id: 2 });
  // Its worker has ended it after all, when nobody waits.
  worker.result(late!.id);
  world.settle();
  caller.call(4);
  world.settle();
  world.pass(2);
  world.router.gone(1);
  world.settle();
  assert.deepEqual(shown(world), {
    waits: { 0.001: 2 },
    waitedMs: 0,
    error: { 0.0025: 1, totalMs: 2 },
    timeout: { 0.25: 1, totalMs: 200 },
    cancelled: { 0.25: 1, totalMs: 200 },
    overloaded: { 0.001: 1, totalMs: 0 },
  });
});

test('is told when there is something new, and again where it could not be told', () => {
  const world = new World();
  const told: CallSums[] = [];
  let isFull = true;
  const report = new CallReport({
    apps: () => world.router.apps.values(),
    tell: (sums) => {
      if (!isFull) told.push(sums);
      return !isFull;
    },
  });
  const caller = world.caller();
  const worker = world.worker(1);
  caller.call(1);
  world.settle();
  report.tell();
  assert.deepEqual(told, []);
  isFull = false;
  report.tell();
  report.tell();
  assert.deepEqual(
    told.map(({ app, calls }) => [app, calls]),
    [['./a.js:A', 1]],
  );
  // One that waits has no times yet, and is counted.
  caller.call(2);
  world.settle();
  report.tell();
  report.tell();
  assert.deepEqual(
    told.splice(1).map(({ calls, waits }) => [calls, classes(waits)]),
    [[2, { 0.001: 1 }]],
  );
  worker.result(worker.calls()[0]!.id);
  world.settle();
  report.end();
  assert.deepEqual(
    told.map(({ calls, ends }) => [calls, classes(ends[0]!)]),
    [
      [1, {}],
      [2, { 0.001: 1 }],
    ],
  );
});

test('a dirty arbiter that is replaced takes nothing with it', () => {
  const none = (): CallDurations => ({ durations: CALL_BOUNDS.map(() => 0).concat(0), totalMs: 0 });
  const sums = (app: string, calls: number, ms: number): CallSums => {
    const one = none();
    one.durations[0] = calls;
    one.totalMs = ms;
    const ends = [one, none(), none(), none(), none()];
    return {
      type: 'dirty.measured',
      app,
      calls,
      errors: 1,
      timeouts: 0,
      cancelled: 0,
      overloaded: 0,
      waits: one,
      ends,
    };
  };
  const tally = new CallTally();
  tally.heard(sums('a', 1, 5));
  tally.heard(sums('a', 2, 9));
  tally.heard(sums('b', 7, 1));
  tally.gone();
  tally.gone();
  tally.heard(sums('a', 3, 1));
  const shownSums = tally
    .sums()
    .map(({ app, calls, errors, waits, ends }) => [
      app,
      calls,
      errors,
      waits.durations[0],
      waits.totalMs,
      ends[0]!.durations[0],
      ends[0]!.totalMs,
    ]);
  assert.deepEqual(shownSums, [
    ['a', 5, 2, 5, 10, 5, 10],
    ['b', 7, 1, 7, 1, 7, 1],
  ]);
});
