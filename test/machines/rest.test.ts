/** Which workers rest, and when they are woken. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { acceptingMin, holdMs, toRest, toWake, whyWakeAll } from '../../src/machines/rest.ts';

const MINUTE_MS = 60_000;
/** Two processors that were full for two looks, with as many connections as it takes. */
const crowded = { processors: 2, fullLooks: 2, connectionsPerSecond: 400 };
const workers = (...connections: number[]) =>
  connections.map((count, index) => ({ age: index + 1, connections: count, mayRest: true }));

const bustle = fc.record({
  processors: fc.integer({ min: 1, max: 64 }),
  fullLooks: fc.nat(4),
  connectionsPerSecond: fc.double({ min: 0, max: 50_000, noNaN: true }),
});
const accepting = fc
  .array(fc.record({ connections: fc.nat(5000), mayRest: fc.boolean() }), { maxLength: 200 })
  .map((all) => all.map((one, index) => ({ age: index + 1, ...one })));

test('those with the fewest connections rest, a few at a look, and three accept on two processors', () => {
  assert.deepEqual(toRest(workers(5, 1, 4, 2, 3, 6, 7, 8, 9), crowded), [2, 4, 5, 3]);
  assert.deepEqual(toRest(workers(9, 1, 9, 1, 9), crowded), [4, 2]);
  assert.deepEqual(toRest(workers(0, 0, 0), crowded), []);
  assert.deepEqual(toRest(workers(0, 0, 0), { ...crowded, processors: 1, connectionsPerSecond: 200 }), [3]);
  assert.deepEqual(toRest(workers(0, 0), { ...crowded, processors: 1 }), [], 'never fewer than two accept');
});

test('nobody rests where it is not crowded', () => {
  const many = workers(...Array<number>(32).fill(1));
  assert.deepEqual(toRest(many, { ...crowded, fullLooks: 1 }), [], 'full at one look');
  assert.deepEqual(toRest(many, { ...crowded, connectionsPerSecond: 399 }), [], 'too few connections');
  fc.assert(
    fc.property(accepting, bustle, (all, seen) => {
      const isCrowded =
        all.length > seen.processors &&
        seen.fullLooks >= 2 &&
        seen.connectionsPerSecond >= 200 * seen.processors;
      if (!isCrowded) assert.deepEqual(toRest(all, seen), []);
      // Whoever is told to rest is not woken by the same look.
      if (toRest(all, seen).length > 0) assert.equal(whyWakeAll(seen), undefined);
    }),
  );
});

test('never so many rest that fewer than the least accept, nor more at a look than two for each processor', () => {
  fc.assert(
    fc.property(accepting, bustle, (all, seen) => {
      const ages = toRest(all, seen);
      assert.equal(new Set(ages).size, ages.length);
      assert.ok(ages.length <= 2 * seen.processors);
      if (ages.length > 0) assert.ok(all.length - ages.length >= acceptingMin(seen.processors));
      const byAge = new Map(all.map((one) => [one.age, one]));
      const most = Math.max(...ages.map((age) => byAge.get(age)!.connections));
      for (const age of ages) assert.ok(byAge.get(age)!.mayRest);
      for (const one of all)
        if (one.mayRest && !ages.includes(one.age) && ages.length > 0) assert.ok(one.connections >= most);
    }),
  );
});

test('so many are woken at once as are lacking, and nobody where enough accept', () => {
  assert.equal(toWake(2, 5, 2), 1);
  assert.equal(toWake(0, 2, 2), 2);
  assert.equal(toWake(3, 5, 2), 0);
  fc.assert(
    fc.property(fc.nat(100), fc.nat(100), fc.integer({ min: 1, max: 64 }), (awake, resting, processors) => {
      const woken = toWake(awake, resting, processors);
      assert.ok(woken >= 0 && woken <= resting);
      assert.ok(woken === resting || awake + woken >= acceptingMin(processors));
    }),
  );
});

test('all are woken when the processors have room, or connections are fewer than half of what it took', () => {
  assert.equal(whyWakeAll(crowded), undefined);
  assert.equal(whyWakeAll({ ...crowded, connectionsPerSecond: 200 }), undefined);
  assert.equal(whyWakeAll({ ...crowded, connectionsPerSecond: 199 }), 'few');
  assert.equal(whyWakeAll({ ...crowded, fullLooks: 0 }), 'room');
});

test('after that nobody rests for a minute, for twice as long where it was soon again, and at most for 15', () => {
  assert.equal(holdMs(0, 1000), MINUTE_MS);
  assert.equal(holdMs(MINUTE_MS, MINUTE_MS - 1), 2 * MINUTE_MS);
  assert.equal(holdMs(2 * MINUTE_MS, 2 * MINUTE_MS), MINUTE_MS);
  let hold = 0;
  for (let again = 0; again < 10; again++) hold = holdMs(hold, 2000);
  assert.equal(hold, 15 * MINUTE_MS);
});
