/** States, events and the tree, as the page says them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ToldActor } from '../../src/actors/inspect/records.ts';
import { MACHINES } from '../../src/cli/diagrams/machines.ts';
import {
  activeIds,
  eventTitle,
  leafPaths,
  pictureName,
  stateText,
  toneOf,
} from '../../src/inspector/model/states.ts';
import { Timeline } from '../../src/inspector/model/timeline.ts';
import { fleetOf, rowsOf, treeOf } from '../../src/inspector/model/tree.ts';
import { lanesOf } from '../../src/inspector/views/lanes.ts';
import { Story } from './story.ts';

const told = (story: Story, ages: number[]) => {
  const timeline = new Timeline();
  timeline.push(story.arbiter(), 1);
  for (const age of ages) timeline.push([...story.hire(age), ...story.boot(age), ...story.ready(age)], 1);
  return timeline.now.state;
};

test('the innermost states are named, and all that hold them are active', () => {
  const value = { alive: { running: { rollout: { trying: 'booting' }, hiring: 'free' } } };
  assert.deepEqual(leafPaths(value), ['alive.running.rollout.trying.booting', 'alive.running.hiring.free']);
  assert.equal(stateText(value), 'booting + free');
  assert.equal(stateText({ alive: { ready: 'fresh' } }), 'ready · fresh');
  assert.equal(stateText('reaped'), 'reaped');
  assert.deepEqual(
    [...activeIds('child', { alive: { ready: 'fresh' } })],
    ['child', 'child.alive', 'child.alive.ready', 'child.alive.ready.fresh'],
  );
});

test('the tones of the child machine', () => {
  const tone = (value: ToldActor['value'], status = 'active') =>
    toneOf({ machine: 'child', status, value, user: false });
  assert.equal(tone({ alive: { starting: 'spawned' } }), 'booting');
  assert.equal(tone({ alive: { ready: 'stable' } }), 'ready');
  assert.equal(tone({ alive: 'draining' }), 'draining');
  assert.equal(tone({ alive: 'killing' }), 'failed');
  assert.equal(tone('reaped'), 'ended');
  assert.equal(tone({ alive: { ready: 'fresh' } }, 'error'), 'failed');
  // A user's words are not Kirin's.
  const own = { machine: 'door', status: 'active', user: true };
  for (const value of ['closed', 'failed', 'done', { alive: 'draining' }])
    assert.equal(toneOf({ ...own, value }), 'own');
  assert.equal(toneOf({ ...own, value: 'closed', status: 'error' }), 'failed');
  assert.equal(stateText({ alive: 'draining' }, true), 'alive.draining');
  assert.equal(toneOf({ machine: null, status: 'active', value: null, user: false }), 'plain');
});

test('timers and ends are said as people say them; every machine has its picture', () => {
  assert.equal(eventTitle('xstate.after.bootLimit.child.alive.starting'), 'after bootLimit');
  assert.equal(eventTitle('xstate.done.actor.process'), 'process done');
  assert.equal(eventTitle('xstate.error.actor.process'), 'process threw');
  assert.equal(eventTitle('xstate.done.actor.0.worker.alive.loading'), 'loading done');
  assert.equal(eventTitle('xstate.promise.reject'), 'promise rejected');
  assert.equal(eventTitle(''), 'always');
  assert.equal(eventTitle('worker.ready'), 'worker.ready');
  assert.deepEqual(
    Object.values(MACHINES).map(({ id }) => pictureName(id)),
    Object.keys(MACHINES),
  );
});

test('processes hang under the machines that supervise them', () => {
  const roots = treeOf(told(new Story(), [1, 2]));
  assert.equal(roots.length, 1);
  const rows = rowsOf(roots, () => true);
  assert.deepEqual(
    rows.map(({ node, level }) => `${level} ${node.actor.name}`),
    [
      '1 arbiter',
      '2 pool',
      '3 child.1',
      '4 worker',
      '5 link',
      '4 process',
      '3 child.2',
      '4 worker',
      '5 link',
      '4 process',
      '2 signals',
    ],
  );
  assert.equal(rows[3]!.node.process?.pid, 5001);
  assert.deepEqual([rows[6]!.place, rows[6]!.of], [2, 2]);
  assert.equal(rowsOf(roots, () => false).length, 1);
});

test('an actor whose parent is not known is not lost, and circles are no end of the page', () => {
  const story = new Story();
  const { actors } = told(story, [1]);
  const lonely = actors.map((actor) => ({ ...actor, parent: actor.id }));
  assert.equal(treeOf({ processes: [], actors: lonely, beats: [] }).length, actors.length);
});

test('dirty workers are counted apart', () => {
  const { actors } = told(new Story(), [1, 2, 3]);
  const changed = actors.map((actor) =>
    actor.name === 'child.3' ? { ...actor, about: { ...actor.about!, title: 'dirty worker' } } : actor,
  );
  const fleets = fleetOf(changed);
  assert.deepEqual(
    [...fleets].map(([title, some]) => [title, some.length]),
    [
      ['worker', 2],
      ['dirty worker', 1],
    ],
  );
});

test("lifelines are only of who takes part, the arbiter's first", () => {
  const at = 0;
  const event = { type: 'x' };
  const { lanes, laneWidth } = lanesOf(
    [
      {
        record: { t: 'event', at, from: '20/1', to: '20/2', event },
        ends: { from: '20/1', to: '10/5', tookMs: 1 },
      },
      { record: { t: 'event', at, from: null, to: '30/2', event }, ends: { from: null, to: '30/2' } },
      { record: { t: 'log', at, level: 'info', text: 'x' } },
    ],
    { root: 30, width: 900 },
  );
  assert.deepEqual([...lanes.keys()], ['30/2', '10/5', '20/1']);
  assert.equal(laneWidth, 104);
});
