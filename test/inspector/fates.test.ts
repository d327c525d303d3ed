/** What became of what is gone, as far back as records are kept. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { successorOf } from '../../src/inspector/model/fates.ts';
import { Timeline } from '../../src/inspector/model/timeline.ts';
import { child, pidOf, Story } from './story.ts';

const begun = (story: Story, ages: number[]): Timeline => {
  const timeline = new Timeline();
  timeline.push(story.arbiter(), 1);
  for (const age of ages) timeline.push([...story.hire(age), ...story.boot(age), ...story.ready(age)], 1);
  return timeline;
};

test('a process and its child machine ended as the process was told to have exited', () => {
  const story = new Story();
  const timeline = begun(story, [1, 2]);
  timeline.push(story.end(1, { code: null, signal: 'SIGKILL' }), 1);
  timeline.push(story.end(2), 1);
  const { fates } = timeline;
  for (const id of [child(1), `${pidOf(1)}/1`, `${pidOf(1)}/2`])
    assert.deepEqual([fates.of(id)!.how, fates.of(id)!.bad], ['by SIGKILL', true], id);
  assert.deepEqual([fates.of(child(2))!.how, fates.of(child(2))!.bad], ['with code 0', false]);
  // At its last moment it is there, and after it not.
  for (const id of [child(1), `${pidOf(1)}/1`]) {
    const { position, actor } = fates.of(id)!;
    assert.deepEqual(timeline.boardAt(position).actor(id), actor);
    assert.equal(timeline.boardAt(position + 1).actor(id), undefined);
  }
  const ended = fates.machinesBetween(0, timeline.end).map(({ actor }) => actor.id);
  assert.deepEqual(ended, [`${pidOf(2)}/1`, child(2), `${pidOf(1)}/1`, child(1)]);
  assert.deepEqual(
    fates.machinesBetween(0, fates.of(child(2))!.position).map(({ actor }) => actor.id),
    ended.slice(2),
  );
  assert.deepEqual(fates.machinesBetween(story.at + 1, timeline.end), []);
});

test('who has the slot now is of the same kind, and younger', () => {
  const story = new Story();
  const timeline = begun(story, [1, 2]);
  timeline.push(story.end(1, { code: 1, signal: null }), 1);
  const fate = timeline.fates.of(`${pidOf(1)}/1`)!;
  assert.equal(successorOf(fate, timeline.now.state), undefined);
  story.slots.set(7, 0);
  timeline.push([...story.dirty(), ...story.hire(7)], 1);
  assert.equal(successorOf(fate, timeline.now.state)?.id, child(7), 'as long as it has no root');
  timeline.push(story.boot(7), 1);
  assert.equal(successorOf(fate, timeline.now.state)?.id, `${pidOf(7)}/1`);
  assert.equal(successorOf(timeline.fates.of(child(1))!, timeline.now.state)?.id, child(7));
});

test('what is not there any more when all is told anew has ended; what is told again lives', () => {
  const story = new Story();
  const timeline = begun(story, [1, 2]);
  const { actors, processes } = timeline.now.state;
  const left = actors.filter(({ id }) => id !== child(2));
  timeline.reset({ processes, actors: left, beats: [] });
  assert.equal(timeline.fates.of(child(2))!.how, '');
  assert.ok(timeline.boardAt(timeline.fates.of(child(2))!.position).actor(child(2)));
  timeline.push(story.hire(2), 1);
  assert.equal(timeline.fates.of(child(2)), undefined);
  assert.equal(timeline.fates.of(child(1)), undefined);
});

test('what is older than what is kept is forgotten', () => {
  const story = new Story();
  const bound = { records: 1000, weight: Number.POSITIVE_INFINITY, heldWeight: 0 };
  const timeline = new Timeline(bound);
  timeline.push(story.arbiter(), 1);
  for (let age = 1; age < 300; age++)
    timeline.push([...story.hire(age), ...story.boot(age), ...story.end(age)], 1);
  assert.equal(timeline.fates.of(child(1)), undefined);
  assert.ok(timeline.fates.of(child(299)));
  for (const { position } of timeline.fates.machinesBetween(0, timeline.end))
    assert.ok(position >= timeline.first);
});
