/** Who is asked to let connections go, and how many. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { surplus } from '../../src/machines/balance.ts';

const loads = (...connections: number[]) =>
  connections.map((count, age) => ({ age, connections: count, requestsPerSecond: 0 }));

test('who has its share, or little more, is left alone', () => {
  assert.deepEqual(surplus([]), []);
  assert.deepEqual(surplus(loads(50)), []);
  assert.deepEqual(surplus(loads(25, 25)), []);
  assert.deepEqual(surplus(loads(28, 22)), []);
  assert.deepEqual(surplus(loads(540, 460)), []);
  assert.deepEqual(surplus(loads(3, 0, 0)), []);
});

test('who has more lets so many go that the rest is its share, though some come back', () => {
  assert.deepEqual(surplus(loads(44, 6)), [{ age: 0, connections: 38 }]);
  assert.deepEqual(surplus(loads(0, 1000)), [{ age: 1, connections: 1000 }]);
  assert.deepEqual(surplus(loads(30, 30, 0)), [
    { age: 0, connections: 15 },
    { age: 1, connections: 15 },
  ]);
});

test('nobody lets go more than it has, and never all workers at once', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(5000), { minLength: 2, maxLength: 64 }), (counts) => {
      const asked = surplus(loads(...counts));
      for (const { age, connections } of asked) assert.ok(connections > 0 && connections <= counts[age]!);
      assert.ok(asked.length < counts.length);
    }),
  );
});

test('on a crowded machine who has more lets some go only if its connections are served worse than those of others', () => {
  const served = (...figures: [connections: number, requestsPerSecond: number][]) =>
    figures.map(([connections, requestsPerSecond], age) => ({ age, connections, requestsPerSecond }));
  const asked = (loads: ReturnType<typeof served>) => surplus(loads, 2).map(({ age }) => age);
  // Two of eight have them all, and serve them alike.
  const two = served([25, 20_000], [25, 19_000], [0, 0], [0, 0], [0, 0], [0, 0], [0, 0], [0, 0]);
  assert.deepEqual(asked(two), []);
  assert.deepEqual(
    surplus(two).map(({ age }) => age),
    [0, 1],
    'with processors left they are spread',
  );
  // Each of the eight has the same turn, and one has more of the connections than others.
  const turns = served(
    [26, 1000],
    [4, 1000],
    [4, 1000],
    [4, 1000],
    [4, 1000],
    [4, 1000],
    [3, 1000],
    [3, 1000],
  );
  assert.deepEqual(asked(turns), [0]);
  // One alone has work, on a machine with two processors, however well it is served.
  assert.deepEqual(asked(served([50, 40_000], [0, 0], [0, 0])), [0]);
  assert.deepEqual(asked(served([970, 1000], [10, 50], [10, 50], [10, 50])), [0]);
  assert.deepEqual(
    asked(served([25, 0], [25, 0], [0, 0])),
    [],
    'nobody is served worse where nothing is asked',
  );
  assert.deepEqual(asked(served([0, 0], [0, 0])), []);
});
