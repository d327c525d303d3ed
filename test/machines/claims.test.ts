/** Children that hold something of which there is only so much: who goes first, and what must hold for any fleet. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Claims, candidatesThatFit, claimOf } from '../../src/machines/claims.ts';
import { type Member, plan, type View } from '../../src/machines/policy.ts';

const one = { gpu: 1 };
const gpus = (total: number, bySlot: Claims['bySlot'] = [one]): Claims => ({ total: { gpu: total }, bySlot });

let lastAge = 0;
const member = (
  generation: number,
  slot: number,
  phase: Member['phase'] = 'ready',
  holds: Member['holds'] = one,
): Member => ({ age: ++lastAge, slot, generation, phase, recycleDue: false, holds });
const view = (members: Member[], rest: Partial<View> = {}): View => ({
  members,
  target: 2,
  committed: 1,
  trial: null,
  surge: 1,
  cooling: [],
  claims: { committed: gpus(2), trial: gpus(2) },
  ...rest,
});
const ages = (...members: (Member | undefined)[]) => members.map((each) => each?.age);

test('the heir of one that leaves waits until it is gone, where nothing else is free', () => {
  const fleet = [member(1, 0), member(1, 1, 'leaving')];
  assert.deepEqual(plan(view(fleet)), { hire: [], retire: [] });
  assert.deepEqual(plan(view([fleet[0]!])).hire, [{ generation: 1, slot: 1 }]);
  const spare = { committed: gpus(3), trial: undefined };
  assert.deepEqual(plan(view(fleet, { claims: spare })).hire, [{ generation: 1, slot: 1 }]);
  // One that holds nothing waits for nobody.
  const slots = { committed: gpus(1, [one, {}]), trial: undefined };
  assert.deepEqual(plan(view([fleet[0]!], { claims: slots })).hire, [{ generation: 1, slot: 1 }]);
});

test('a candidate that finds no room has one old child go, of the highest slot, and waits for its end', () => {
  const [a, b] = [member(1, 0), member(1, 1)];
  assert.deepEqual(plan(view([a, b], { trial: 2 })), { hire: [], retire: ages(b) });
  const leaving = { ...b, phase: 'leaving' as const };
  assert.deepEqual(plan(view([a, leaving], { trial: 2 })), { hire: [], retire: [] });
  // And what it left is for the candidate, not for an heir.
  assert.deepEqual(plan(view([a], { trial: 2 })), { hire: [{ generation: 2, slot: 0 }], retire: [] });
  assert.deepEqual(plan(view([a, member(2, 0)], { trial: 2 })), { hire: [], retire: [] });
  // The trial is over: the fleet is made whole again when its candidate is gone.
  const stray = member(2, 0);
  assert.deepEqual(plan(view([a, stray])), { hire: [], retire: ages(stray) });
  assert.deepEqual(plan(view([a])).hire, [{ generation: 1, slot: 1 }]);
});

test('one that is not ready goes for a candidate before one that is', () => {
  const [a, b] = [member(1, 0, 'starting'), member(1, 1)];
  assert.deepEqual(plan(view([a, b], { trial: 2 })).retire, ages(a));
});

test('a candidate that needs much has as many go as that takes', () => {
  const fleet = [member(1, 0), member(1, 1), member(1, 2)];
  const claims = { committed: gpus(3), trial: gpus(3, [{ gpu: 2 }]) };
  const { hire, retire } = plan(view(fleet, { target: 3, trial: 2, claims }));
  assert.deepEqual([hire, retire], [[], ages(fleet[2], fleet[1])]);
});

test('a committed generation rolls over by one exchange at a time, who is replaced already first', () => {
  const claims = { committed: gpus(3), trial: undefined };
  const roll = { target: 3, committed: 2, surge: 3, claims };
  const [a, b, fresh] = [member(1, 0), member(1, 1), member(2, 0)];
  assert.deepEqual(plan(view([a, b, fresh], roll)), { hire: [], retire: ages(a) });
  const starting = member(2, 1, 'starting');
  assert.deepEqual(plan(view([b, fresh, starting], roll)), { hire: [], retire: [] });
  const ready = { ...starting, phase: 'ready' as const };
  assert.deepEqual(plan(view([b, fresh, ready], roll)), { hire: [], retire: ages(b) });
  // A slot whose new child cannot start holds up no other, and costs no second old one.
  assert.deepEqual(plan(view([b, fresh], { ...roll, cooling: [1] })).hire, [{ generation: 2, slot: 2 }]);
});

test('candidates are as many as fit beside the fleet, and one where none does', () => {
  assert.equal(candidatesThatFit(2, 2, gpus(2), undefined), 2);
  assert.equal(candidatesThatFit(2, 2, gpus(2), gpus(2)), 1);
  assert.equal(candidatesThatFit(2, 2, gpus(2), gpus(3)), 1);
  assert.equal(candidatesThatFit(2, 2, gpus(2), gpus(4)), 2);
  assert.equal(candidatesThatFit(2, 2, undefined, gpus(1)), 1);
});

const phases = fc.constantFrom<Member['phase'] | 'gone'>('starting', 'ready', 'ready', 'gone');
const worlds = fc.record({
  target: fc.integer({ min: 1, max: 4 }),
  surge: fc.integer({ min: 1, max: 4 }),
  spare: fc.integer({ min: 0, max: 2 }),
  amounts: fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 1, maxLength: 3 }),
  steps: fc.array(
    fc.record({ at: fc.nat(9), to: phases, what: fc.constantFrom('move', 'move', 'try', 'commit', 'drop') }),
    { maxLength: 40 },
  ),
});

test('for any history: nothing is held twice, a second look changes nothing, and in peace a reload goes through', () => {
  fc.assert(
    fc.property(worlds, ({ target, surge, spare, amounts, steps }) => {
      const bySlot = amounts.map((gpu) => ({ gpu }));
      const need = (slot: number): number => claimOf({ total: {}, bySlot }, slot)['gpu'] ?? 0;
      const total = Array.from({ length: target }, (_, slot) => need(slot)).reduce((a, b) => a + b, spare);
      const claims = gpus(total, bySlot);
      let [members, committed, trial, age] = [[] as Member[], 1, null as number | null, 0];
      const look = (): number => {
        const most = Math.min(surge, target);
        const { hire, retire } = plan({
          members,
          target,
          committed,
          trial,
          surge: trial === null ? most : candidatesThatFit(most, target, claims, claims),
          cooling: [],
          claims: { committed: claims, trial: trial === null ? undefined : claims },
        });
        members = members.map((each) =>
          retire.includes(each.age) ? { ...each, phase: 'leaving' as const } : each,
        );
        for (const each of hire)
          members.push({
            ...each,
            age: ++age,
            phase: 'starting',
            recycleDue: false,
            holds: claimOf(claims, each.slot),
          });
        const held = members.reduce((sum, { holds }) => sum + (holds?.['gpu'] ?? 0), 0);
        assert.ok(held <= total, `${held} of ${total} are held`);
        return hire.length + retire.length;
      };
      const settle = (): void => {
        look();
        assert.equal(look(), 0, 'a second look changes something');
      };
      settle();
      for (const { at, to, what } of steps) {
        if (what === 'try') trial ??= committed + 1;
        else if (
          what === 'commit' &&
          members.some((each) => each.generation === trial && each.phase === 'ready')
        ) {
          committed = trial!;
          trial = null;
        } else if (what === 'drop') trial = null;
        else
          members = members.flatMap((each, index) => {
            if (index !== at % Math.max(1, members.length)) return [each];
            if (to === 'gone') return [];
            return each.phase === 'leaving' ? [each] : [{ ...each, phase: to }];
          });
        settle();
      }
      trial = null;
      committed += 1;
      for (let turn = 0; turn < 60; turn++) {
        members = members.flatMap((each) =>
          each.phase === 'leaving' ? [] : [{ ...each, phase: 'ready' as const }],
        );
        settle();
      }
      assert.ok(members.every((each) => each.generation === committed && each.phase === 'ready'));
      assert.equal(members.length, target);
    }),
    { numRuns: 1500 },
  );
});
