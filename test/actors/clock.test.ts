import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, test } from 'node:test';
import { jumpText, watchClock } from '../../src/actors/clock.ts';
import { setNumber } from '../../src/actors/dirty/frames.ts';
import { RunningCall } from '../../src/actors/dirty/runtime-call.ts';

describe('the wall clock', () => {
  test('that is set is told of, by how much; one that is adjusted is not', (t) => {
    t.mock.timers.enable({ apis: ['setInterval'] });
    let wallMs = 1e12;
    let monotonicMs = 0;
    const jumps: number[] = [];
    const end = watchClock(
      (byMs) => jumps.push(byMs),
      () => wallMs,
      () => monotonicMs,
    );
    const pass = (wall: number): void => {
      monotonicMs += 5000;
      wallMs += wall;
      t.mock.timers.tick(5000);
    };
    pass(5000);
    pass(5900);
    pass(4200);
    assert.deepEqual(jumps, []);
    pass(3_605_000);
    pass(5000);
    pass(-3_595_000);
    assert.deepEqual(jumps, [3_600_000, -3_600_000]);
    end();
    pass(10_000_000);
    assert.equal(jumps.length, 2);
    assert.match(jumpText(3_600_000), /^the clock was set forward by 3600 s/);
    assert.match(jumpText(-2400), /^the clock was set back by 2 s/);
  });
});

test('a call that runs ends at its limit by the monotonic clock, however the wall clock is set', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  for (const byMs of [1e9, -1e9]) {
    const word = Buffer.alloc(64);
    setNumber(word, 60_000);
    const call = new RunningCall(word, 'a:A', 'act');
    const { now } = Date;
    const set = t.mock.method(Date, 'now', () => now() + byMs);
    // Only here the limit is counted.
    const { signal } = call;
    set.mock.restore();
    t.mock.timers.tick(50_000);
    assert.equal(signal.aborted, false, 'not before');
    t.mock.timers.tick(11_000);
    assert.equal(signal.aborted, true, 'and not long after');
    call.done();
  }
});
