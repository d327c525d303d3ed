/** What is committed next in a reload of both pools: a table of all that can be known, and what holds of any order of events. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  changedJoint,
  isUncommitted,
  type Joint,
  nextCommit,
  type Stage,
  startOf,
  withoutJoint,
} from '../../src/machines/joint-reload.ts';

const STAGES = ['trying', 'standing', 'committing', 'rolling', 'done'] as const;
const at = (web: Stage, dirty: Stage): Joint => ({ ...startOf(1), web, dirty });

describe('what may be committed: the dirty pool when both stand, the web pool when the dirty pool is done', () => {
  // By the web pool's stage, a column for each stage of the dirty pool, in the order of STAGES.
  const table: [Stage, ('dirty' | 'web' | null)[]][] = [
    ['trying', [null, null, null, null, null]],
    ['standing', [null, 'dirty', null, null, 'web']],
    ['committing', [null, 'dirty', null, null, null]],
    ['rolling', [null, 'dirty', null, null, null]],
    ['done', [null, 'dirty', null, null, null]],
  ];
  for (const [web, row] of table)
    test(`web ${web}`, () =>
      assert.deepEqual(
        STAGES.map((dirty) => nextCommit(at(web, dirty))),
        row,
      ));
});

test('nothing is committed until the dirty pool says that it is', () => {
  for (const web of STAGES)
    assert.deepEqual(
      STAGES.map((dirty) => isUncommitted(at(web, dirty))),
      [true, true, true, false, false],
    );
});

test('whichever stands first, the dirty pool is told first, and the web pool after its end', () => {
  for (const first of ['web', 'dirty'] as const) {
    const second = first === 'web' ? 'dirty' : 'web';
    const one = { ...startOf(1), [first]: 'standing' as const };
    assert.equal(nextCommit(one), null);
    const both = { ...one, [second]: 'standing' as const };
    assert.equal(nextCommit(both), 'dirty');
    assert.equal(nextCommit({ ...both, dirty: 'committing' }), null);
    assert.equal(nextCommit({ ...both, dirty: 'done' }), 'web');
  }
});

test('each reload is changed and forgotten by its order', () => {
  const joints = [startOf(1), startOf(2)];
  const changed = changedJoint(joints, 2, { web: 'standing' });
  assert.deepEqual(
    changed.map(({ orderId, web }) => [orderId, web]),
    [
      [1, 'trying'],
      [2, 'standing'],
    ],
  );
  assert.deepEqual(
    withoutJoint(changed, 1).map(({ orderId }) => orderId),
    [2],
  );
  assert.deepEqual(changedJoint(joints, 3, { web: 'done' }), joints);
});
