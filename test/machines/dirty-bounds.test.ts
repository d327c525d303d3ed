/** How few and how many dirty workers there can be: a table, and what must hold for any apps and any tokens. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { amountsNeeded, appsOfSlot, type Tokens, tokensFor } from '../../src/machines/allocation.ts';
import { boundsOf } from '../../src/machines/dirty-bounds.ts';
import type { DirtyGeneration } from '../../src/machines/events/dirty.ts';
import { dirtyGeneration } from './arbiter-harness.ts';

type Amounts = Record<string, number>;
type App = [workers: number | null, resources?: Amounts];

const given = (apps: App[], resources: Amounts = {}): DirtyGeneration => ({
  ...dirtyGeneration(1),
  resources,
  apps: apps.map(([workers, needs = {}], number) => ({
    importPath: `./app.js:App${number}`,
    number,
    path: '/app.js',
    className: `App${number}`,
    workers,
    resources: needs,
  })),
});

const WORKERS_MAX = 1024;

describe('the bounds', () => {
  const gpu = (amount: number): Amounts => ({ gpu: amount });
  const table: [string, App[], Amounts, number, number, RegExp, RegExp][] = [
    ['an app for all', [[null]], {}, 1, WORKERS_MAX, /at least 1/, /most allowed is 1024/],
    ['no app at all', [], {}, 1, 1, /at least 1/, /worker limits/],
    ['an app of one worker', [[1]], {}, 1, 1, /at least 1/, /worker limits/],
    ['the largest limit is the least and the most', [[2], [3]], {}, 3, 3, /have 3 workers/, /worker limits/],
    ['a limit beside an app for all', [[2], [null]], {}, 2, WORKERS_MAX, /have 2 workers/, /1024/],
    ['tokens for three', [[null, gpu(1)]], gpu(3), 1, 3, /at least 1/, /too little gpu/],
    ['tokens for one and a half', [[null, gpu(2)]], gpu(3), 1, 1, /at least 1/, /too little gpu/],
    ['tokens for fewer than an app wants', [[4, gpu(1)]], gpu(2), 2, 2, /have 4 workers/, /too little gpu/],
    ['a resource that there is none of', [[null, gpu(1)]], {}, 1, 1, /at least 1/, /too little gpu/],
    ['tokens only where an app needs them', [[2, gpu(1)], [null]], gpu(2), 2, WORKERS_MAX, /2/, /1024/],
    ['the scarcest of two', [[null, { gpu: 1, disk: 2 }]], { gpu: 9, disk: 4 }, 1, 2, /1/, /too little disk/],
    [
      'one worker holds what its most demanding app needs',
      [
        [null, gpu(1)],
        [null, gpu(2)],
      ],
      gpu(4),
      1,
      2,
      /1/,
      /gpu/,
    ],
    ['an app that asks for more workers than are allowed', [[2000]], {}, 1024, 1024, /2000/, /1024/],
  ];
  for (const [name, apps, resources, least, most, whyLeast, whyMost] of table)
    test(name, () => {
      const bounds = boundsOf(given(apps, resources));
      assert.deepEqual([bounds.least, bounds.most], [least, most]);
      assert.match(bounds.whyLeast, whyLeast);
      assert.match(bounds.whyMost, whyMost);
    });
});

test('for any apps: so many workers as the most get the tokens they need, and one more would not or has no app', () => {
  const amounts = fc.dictionary(fc.constantFrom('gpu', 'disk'), fc.integer({ min: 0, max: 3 }));
  const anApp = fc.tuple(fc.option(fc.integer({ min: 1, max: 5 }), { nil: null }), amounts);
  fc.assert(
    fc.property(fc.array(anApp, { minLength: 1, maxLength: 4 }), amounts, (apps, resources) => {
      const generation = given(apps, resources);
      const { least, most } = boundsOf(generation);
      assert.ok(1 <= least && least <= most && most <= WORKERS_MAX);
      const limited = generation.apps.map(({ number, workers }) => ({ number, limit: workers }));
      const needsOf = (slot: number) => {
        const numbers = appsOfSlot(limited, slot);
        return amountsNeeded(generation.apps.filter(({ number }) => numbers.includes(number)));
      };
      const held: Tokens[] = [];
      for (let slot = 0; slot < Math.min(most, 30); slot++) {
        const tokens = tokensFor(needsOf(slot), resources, held);
        // The first worker is started even where it cannot have what it needs, and says so.
        if (tokens === null) return assert.deepEqual([slot, most], [0, 1]);
        held.push(tokens);
      }
      if (most >= 30) return;
      const useless = appsOfSlot(limited, most).length === 0;
      assert.ok(useless || tokensFor(needsOf(most), resources, held) === null, `most is ${most}`);
    }),
  );
});
