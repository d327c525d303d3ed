/** Whom to hire and retire: the table of what is wanted, and what must hold for any fleet. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ChildExit } from '../../src/machines/events/child.ts';
import {
  BACKOFF,
  backoffMs,
  jittered,
  judge,
  type Member,
  overweightToKill,
  plan,
  surgeOf,
  type View,
} from '../../src/machines/policy.ts';

let lastAge = 0;
const member = (
  generation: number,
  slot: number,
  phase: Member['phase'] = 'ready',
  recycleDue = false,
): Member => ({
  age: ++lastAge,
  slot,
  generation,
  phase,
  recycleDue,
});
const view = (members: Member[], rest: Partial<View> = {}): View => ({
  members,
  target: 2,
  committed: 1,
  trial: null,
  surge: 1,
  cooling: [],
  ...rest,
});
const ages = (...members: (Member | undefined)[]): (number | undefined)[] => members.map((one) => one?.age);

test('an empty pool hires its target, slots from 0', () => {
  assert.deepEqual(plan(view([])).hire, [
    { generation: 1, slot: 0 },
    { generation: 1, slot: 1 },
  ]);
});

test('a dead one is replaced in its slot; a leaving one no longer counts', () => {
  assert.deepEqual(plan(view([member(1, 1), member(1, 0, 'leaving')])).hire, [{ generation: 1, slot: 0 }]);
});

test('nobody is hired in a slot that cools down, but another is, and a candidate', () => {
  assert.deepEqual(plan(view([], { cooling: [0] })).hire, [{ generation: 1, slot: 1 }]);
  assert.deepEqual(plan(view([], { cooling: [0, 1] })).hire, []);
  const old = [member(1, 0), member(1, 1)];
  assert.deepEqual(plan(view(old, { committed: 2, cooling: [0] })).hire, [{ generation: 2, slot: 1 }]);
  assert.deepEqual(plan(view(old, { trial: 2, cooling: [0, 1] })).hire, [{ generation: 2, slot: 0 }]);
  // The one whose place it took goes; the old one whose replacement failed goes on.
  const [a, b, c] = [member(1, 0), member(1, 1), member(2, 1)];
  assert.deepEqual(plan(view([a, b, c], { committed: 2, cooling: [0] })), { hire: [], retire: ages(b) });
});

test('a shrink retires the unready first, then those out of place, then the oldest', () => {
  const [a, b, c] = [member(1, 0), member(1, 1), member(1, 2, 'starting')];
  assert.deepEqual(plan(view([a, b, c])).retire, ages(c));
  const [d, e, f] = [member(1, 0), member(1, 2), member(1, 1)];
  assert.deepEqual(plan(view([d, e, f])).retire, ages(e));
  const [g, h] = [member(1, 0), member(1, 1)];
  assert.deepEqual(plan(view([g, h], { target: 1 })).retire, ages(h));
});

test('of those that hold too much memory so many are killed that half of the target stays ready', () => {
  const heavy = (slot: number, phase: Member['phase'] = 'ready'): Member => ({
    ...member(1, slot, phase),
    overweight: true,
  });
  const [a, b, c, d] = [heavy(0), heavy(1), heavy(2), heavy(3)];
  assert.deepEqual(overweightToKill(view([a], { target: 1 })), ages(a));
  assert.deepEqual(overweightToKill(view([b, a])), ages(a));
  assert.deepEqual(overweightToKill(view([b, member(1, 0, 'starting')])), []);
  assert.deepEqual(overweightToKill(view([b, member(1, 0)])), ages(b));
  assert.deepEqual(overweightToKill(view([a, b, c], { target: 3 })), ages(a));
  assert.deepEqual(overweightToKill(view([a, b, c, d], { target: 4 })), ages(a, b));
  assert.deepEqual(overweightToKill(view([heavy(0, 'leaving'), member(1, 1)])), []);
});

test('while a generation is tried nobody goes, and up to the surge is hired', () => {
  const old = [member(1, 0), member(1, 1)];
  assert.deepEqual(plan(view(old, { trial: 2 })), { hire: [{ generation: 2, slot: 0 }], retire: [] });
  assert.deepEqual(plan(view(old, { trial: 2, surge: 2 })).hire.length, 2);
  assert.deepEqual(plan(view([...old, member(2, 0)], { trial: 2 })), { hire: [], retire: [] });
});

test('past the commit point a ready new one lets an old one of its slot go, and the next is hired', () => {
  const [a, b, c] = [member(1, 0), member(1, 1), member(2, 1)];
  assert.deepEqual(plan(view([a, b, c], { committed: 2 })), {
    hire: [{ generation: 2, slot: 0 }],
    retire: ages(b),
  });
});

test('an old one that is not ready serves nobody and goes at once', () => {
  const [a, b] = [member(1, 0), member(1, 1, 'starting')];
  assert.deepEqual(plan(view([a, b], { committed: 2 })).retire, ages(b));
});

test('a replacement that is not ready never costs a ready one', () => {
  const fleet = [member(1, 0), member(1, 1), member(2, 0, 'starting')];
  assert.deepEqual(plan(view(fleet, { committed: 2 })), { hire: [], retire: [] });
});

test('a replacement that is not ready makes room for a canary, and only one that is too many', () => {
  const [a, b, c] = [member(1, 0), member(2, 0), member(2, 1, 'starting')];
  assert.deepEqual(plan(view([a, b, c], { committed: 2, trial: 3 })), {
    hire: [{ generation: 3, slot: 0 }],
    retire: ages(c),
  });
  const alone = [member(2, 0), member(2, 1, 'starting')];
  assert.deepEqual(plan(view(alone, { committed: 2, trial: 3 })).retire, []);
});

test('what an abandoned trial left behind goes', () => {
  const [a, b, c] = [member(1, 0), member(1, 1), member(2, 0)];
  assert.deepEqual(plan(view([a, b, c])).retire, ages(c));
});

test('recycling goes one at a time, the replacement ready first', () => {
  const [a, b] = [member(1, 0, 'ready', true), member(1, 1, 'ready', true)];
  assert.deepEqual(plan(view([a, b])), { hire: [{ generation: 1, slot: 0 }], retire: [] });
  const starting = member(1, 0, 'starting');
  assert.deepEqual(plan(view([a, b, starting])), { hire: [], retire: [] });
  assert.deepEqual(plan(view([a, b, { ...starting, phase: 'ready' }])).retire, ages(a));
});

const fleets = fc.record({
  target: fc.integer({ min: 1, max: 8 }),
  surge: fc.integer({ min: 1, max: 8 }),
  committed: fc.constant(3),
  trial: fc.constantFrom(null, 4),
  cooling: fc.uniqueArray(fc.integer({ min: 0, max: 9 }), { maxLength: 4 }),
  shapes: fc.array(
    fc.record({
      slot: fc.integer({ min: 0, max: 9 }),
      generation: fc.integer({ min: 1, max: 5 }),
      phase: fc.constantFrom<Member['phase']>('starting', 'ready', 'leaving'),
      recycleDue: fc.boolean(),
    }),
    { maxLength: 14 },
  ),
});

test('for any fleet: no ready one goes while ready ones are missing, and none is retired twice', () => {
  fc.assert(
    fc.property(fleets, ({ shapes, ...rest }) => {
      const members = shapes.map((shape, index) => ({ ...shape, age: index + 1 }));
      const { retire } = plan({ ...rest, surge: Math.min(rest.surge, rest.target), members });
      assert.equal(new Set(retire).size, retire.length);
      // Candidates of a trial are extra: they are not counted on.
      const serving = (one: Member): boolean => one.phase === 'ready' && one.generation <= rest.committed;
      const before = members.filter(serving).length;
      const after = members.filter((one) => serving(one) && !retire.includes(one.age)).length;
      assert.ok(
        after >= Math.min(rest.target, before),
        `${before} ready, then ${after}, target ${rest.target}`,
      );
    }),
    { numRuns: 3000 },
  );
});

test('for any fleet: carrying the plan out stays within target and surge, and a second look changes nothing', () => {
  fc.assert(
    fc.property(fleets, ({ shapes, ...rest }) => {
      const base = { ...rest, surge: Math.min(rest.surge, rest.target) };
      let members: Member[] = [];
      const carryOut = (): number => {
        const { hire, retire } = plan({ ...base, members });
        members = members.map((one) =>
          retire.includes(one.age) ? { ...one, phase: 'leaving' as const } : one,
        );
        for (const one of hire)
          members.push({ ...one, age: members.length + 100, phase: 'starting', recycleDue: false });
        return hire.length + retire.length;
      };
      // Fleets that came about by plans alone, with what the world did to them in between.
      for (const shape of shapes) {
        carryOut();
        members = members.map((one, index) =>
          one.phase !== 'leaving' && index === shape.slot
            ? { ...one, phase: shape.phase, recycleDue: shape.recycleDue }
            : one,
        );
      }
      carryOut();
      const active = members.filter((one) => one.phase !== 'leaving');
      assert.ok(
        active.length <= base.target + base.surge,
        `${active.length} of ${base.target} + ${base.surge}`,
      );
      assert.equal(carryOut(), 0);
    }),
    { numRuns: 2000 },
  );
});

test('a surge is a count or a share, at least 1 and at most the target', () => {
  const table: [Parameters<typeof surgeOf>[0], number, number][] = [
    [{ count: 1 }, 4, 1],
    [{ count: 9 }, 4, 4],
    [{ count: 0 }, 4, 1],
    [{ percent: 25 }, 4, 1],
    [{ percent: 26 }, 4, 2],
    [{ percent: 100 }, 4, 4],
    [{ percent: 1 }, 1, 1],
  ];
  for (const [surge, target, expected] of table) assert.equal(surgeOf(surge, target), expected);
});

const exit = (change: Partial<ChildExit>): ChildExit => ({
  age: 1,
  pid: 2,
  phase: 'ready',
  cause: 'crashed',
  stable: false,
  code: null,
  signal: null,
  ...change,
});

test('what was ordered or lasted costs nothing; a kill from outside is no sign of broken code', () => {
  assert.equal(judge(exit({ cause: 'ordered', code: 0 })), 'planned');
  assert.equal(judge(exit({ cause: 'terminated', code: 0 })), 'planned');
  assert.equal(judge(exit({ stable: true, code: 1 })), 'planned');
  assert.equal(judge(exit({ signal: 'SIGKILL' })), 'killed');
  assert.equal(judge(exit({ signal: 'SIGSEGV' })), 'crashed');
  assert.equal(judge(exit({ code: 1 })), 'crashed');
  assert.equal(judge(exit({ cause: 'hung', signal: 'SIGKILL' })), 'crashed');
  assert.equal(judge(exit({ phase: 'starting', signal: 'SIGKILL' })), 'crashed');
});

test('the wait doubles up to its bound; a kill from outside never waits long', () => {
  assert.deepEqual(
    [0, 1, 2, 3, 9, 10, 50].map((failures) => backoffMs(failures, 'crashed')),
    [0, 100, 200, 400, 25_600, 30_000, 30_000],
  );
  assert.equal(backoffMs(50, 'killed'), BACKOFF.killedMaxMs);
  assert.equal(backoffMs(5, 'planned'), 0);
});

test('jitter spreads a wait over its upper half', () => {
  assert.deepEqual([jittered(1000, 0), jittered(1000, 0.5), jittered(1000, 0.999)], [500, 750, 1000]);
});
