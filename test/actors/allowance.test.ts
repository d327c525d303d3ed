import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Allowance, UNITS_MAX } from '../../src/actors/allowance.ts';

describe('what a process may say', () => {
  test('is bounded at once, and comes back with time', () => {
    let nowMs = 0;
    const allowance = new Allowance(() => nowMs);
    let taken = 0;
    while (allowance.takes(0)) taken++;
    assert.equal(taken, UNITS_MAX);
    assert.ok(!allowance.takes(0));
    nowMs += 1000;
    taken = 0;
    while (allowance.takes(0)) taken++;
    assert.ok(taken > 0 && taken < UNITS_MAX);
    nowMs += 3_600_000;
    taken = 0;
    while (allowance.takes(0)) taken++;
    assert.equal(taken, UNITS_MAX);
  });

  test('counts large frames for more, and what they cost beside', () => {
    const allowance = new Allowance(() => 0);
    let taken = 0;
    while (allowance.takes(1024 * 1024)) taken++;
    assert.ok(taken < UNITS_MAX / 60, `${taken} frames of a megabyte`);
    const other = new Allowance(() => 0);
    assert.ok(other.spend(UNITS_MAX));
    assert.ok(!other.takes(0));
  });

  test('is enough for a process that is inspected, for as long as it likes', () => {
    let nowMs = 0;
    const allowance = new Allowance(() => nowMs);
    for (let n = 0; n < 10_000; n++) {
      nowMs += 100;
      for (let report = 0; report < 10; report++) assert.ok(allowance.takes(60 * 1024));
    }
  });
});
