/** Many seeds are sound; a failing one is named, with the command that replays it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { simulate } from './simulation.ts';

const SEEDS = Number(process.env['KIRIN_SEEDS'] ?? 2000);

test(`${SEEDS} seeds are sound`, () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const { violations } = simulate(seed);
    assert.deepEqual(violations, [], `replay it with: npm run simulate -- --seed ${seed} --runs 1 --trace`);
  }
});

test('the same seed gives the same run', () => {
  for (const seed of [1, 2, 3]) {
    const first = JSON.stringify(simulate(seed));
    assert.ok(JSON.stringify(simulate(seed)) === first, `seed ${seed} differs`);
  }
});
