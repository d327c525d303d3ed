/** Who is asked to let connections go, and how many. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { surplus } from '../../src/machines/balance.ts';

const loads = (...connections: number[]) => connections.map((count, age) => ({ age, connections: count }));

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
