/** Who loads which apps, and who holds which tokens: tables, and what must hold for any apps. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  type Amounts,
  amountsNeeded,
  appsOfSlot,
  largestLimit,
  type Tokens,
  tokensFor,
  workersUseful,
} from '../../src/machines/allocation.ts';

const apps = (...limits: (number | null)[]) => limits.map((limit, number) => ({ number, limit }));

describe('the apps of a slot', () => {
  const table: [(number | null)[], number, number[]][] = [
    [[], 0, []],
    [[null], 0, [0]],
    [[null], 99, [0]],
    [[1], 0, [0]],
    [[1], 1, []],
    [[2, 1, null], 0, [0, 1, 2]],
    [[2, 1, null], 1, [0, 2]],
    [[2, 1, null], 2, [2]],
  ];
  for (const [limits, slot, expected] of table)
    test(`limits ${limits.join(', ') || 'none'}, slot ${slot}: ${expected.join(', ') || 'none'}`, () => {
      assert.deepEqual(appsOfSlot(apps(...limits), slot), expected);
    });
});

describe('how many workers are needed, and how many are useful', () => {
  const table: [(number | null)[], number, number][] = [
    [[], 0, 0],
    [[null], 0, Number.POSITIVE_INFINITY],
    [[1], 1, 1],
    [[3, 2], 3, 3],
    [[3, null], 3, Number.POSITIVE_INFINITY],
  ];
  for (const [limits, largest, useful] of table)
    test(`limits ${limits.join(', ') || 'none'}: ${largest} and ${useful}`, () => {
      assert.equal(largestLimit(apps(...limits)), largest);
      assert.equal(workersUseful(apps(...limits)), useful);
    });
});

test('for any apps: each is loaded by as many workers as it may, and only useless slots are empty', () => {
  const limits = fc.array(fc.option(fc.integer({ min: 1, max: 6 }), { nil: null }), {
    minLength: 1,
    maxLength: 6,
  });
  fc.assert(
    fc.property(limits, fc.integer({ min: 1, max: 9 }), (all, workers) => {
      const given = apps(...all);
      const loaded = Array.from({ length: workers }, (_, slot) => appsOfSlot(given, slot));
      for (const { number, limit } of given)
        assert.equal(
          loaded.filter((numbers) => numbers.includes(number)).length,
          Math.min(workers, limit ?? workers),
        );
      for (const [slot, numbers] of loaded.entries())
        assert.equal(numbers.length > 0, slot < workersUseful(given));
    }),
  );
});

test('a worker holds of each resource as much as the app that needs most', () => {
  assert.deepEqual(amountsNeeded([]), {});
  assert.deepEqual(
    amountsNeeded([{ resources: { gpu: 1, disk: 2 } }, { resources: {} }, { resources: { gpu: 3 } }]),
    { gpu: 3, disk: 2 },
  );
});

describe('tokens', () => {
  const table: [string, Amounts, Amounts, Tokens[], Tokens | null][] = [
    ['of nothing are none', {}, { gpu: 1 }, [], {}],
    ['are the lowest', { gpu: 2 }, { gpu: 4 }, [], { gpu: [0, 1] }],
    ['are not held by others', { gpu: 2 }, { gpu: 4 }, [{ gpu: [1] }, { gpu: [2], x: [0] }], { gpu: [0, 3] }],
    ['are too few', { gpu: 2 }, { gpu: 4 }, [{ gpu: [0, 1, 2] }], null],
    ['of what there is not are too few', { tpu: 1 }, { gpu: 4 }, [], null],
    ['of what every object has are too few', { constructor: 1 }, { gpu: 1 }, [{ gpu: [0] }], null],
    ['of several resources are all or none', { a: 1, b: 1 }, { a: 1, b: 1 }, [{ b: [0] }], null],
    ['held beyond the total are nobody’s business', { a: 1 }, { a: 1 }, [{ a: [5] }], { a: [0] }],
  ];
  for (const [what, needed, total, held, expected] of table)
    test(what, () => assert.deepEqual(tokensFor(needed, total, held), expected));

  test('are never given twice while held', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 8 }),
        fc.array(fc.tuple(fc.integer({ min: 1, max: 4 }), fc.nat({ max: 5 })), { maxLength: 30 }),
        (total, steps) => {
          const held: Tokens[] = [];
          for (const [amount, leaving] of steps) {
            const tokens = tokensFor({ gpu: amount }, { gpu: total }, held);
            const busy = held.flatMap((one) => one['gpu'] ?? []);
            assert.equal(tokens === null, busy.length + amount > total);
            if (tokens) held.push(tokens);
            const all = held.flatMap((one) => one['gpu'] ?? []);
            assert.equal(new Set(all).size, all.length);
            held.splice(leaving, 1);
          }
        },
      ),
    );
  });
});
