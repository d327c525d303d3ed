/** Events between processes: what both sides tell is one event, whichever tells first. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Told } from '../../src/actors/inspect/records.ts';
import { type Kind, Sift } from '../../src/inspector/model/sift.ts';
import { Timeline } from '../../src/inspector/model/timeline.ts';
import { ARBITER, child, holder, pidOf, Story } from './story.ts';

const root = (age: number): string => `${pidOf(age)}/1`;
const link = (age: number): string => `${pidOf(age)}/2`;
const EVENTS = new Set<Kind>(['events']);

function told(...parts: Told[][]): { timeline: Timeline; shown: (text: string, actor?: string) => string[] } {
  const timeline = new Timeline();
  for (const part of parts) timeline.push(part, 1);
  const shown = (text: string, actor: string | null = null): string[] => {
    const sift = new Sift().update(timeline, { text, kinds: EVENTS, actor });
    return Array.from({ length: sift.count }, (_, index) => timeline.endsOf(sift.at(index)!)!).map(
      ({ from, to, tookMs }) => `${from} ${to} ${tookMs === undefined ? 'within' : 'across'}`,
    );
  };
  return { timeline, shown };
}

test('what a worker says and what its child machine hears is one event, and so is an order', () => {
  const story = new Story();
  const { shown } = told(
    story.arbiter(),
    [1, 2].flatMap((age) => [...story.hire(age), ...story.boot(age)]),
    [...story.ready(2), ...story.ready(1), ...story.askDrain(1)],
  );
  assert.deepEqual(
    shown('worker.ready'),
    [2, 1].map((age) => `${root(age)} ${child(age)} across`),
  );
  assert.deepEqual(shown('worker.drain'), [`${child(1)} ${root(1)} across`]);
  // Whoever is chosen, it is there once; also where only one of the two tellings is about the chosen one.
  for (const actor of [root(1), link(1), child(1), holder(1)])
    assert.deepEqual(shown('worker.drain', actor), [`${child(1)} ${root(1)} across`], actor);
  // What only the process actor tells has no other half.
  assert.deepEqual(
    shown('worker.hello'),
    [1, 2].map((age) => `${holder(age)} ${child(age)} within`),
  );
});

test('halves that come in any order, again and again, are paired in order; what was lost pairs nothing', () => {
  const story = new Story();
  const { timeline, shown } = told(story.arbiter(), [...story.hire(1), ...story.boot(1)]);
  const up = (n: number) => story.event(root(1), link(1), 'worker.notice', { n });
  const down = (n: number) => story.event(holder(1), child(1), 'worker.notice', { n });
  const begin = timeline.end;
  timeline.push([up(1), up(2), down(1), down(2), down(3), up(3)], 1);
  assert.deepEqual(
    [0, 1, 2, 3, 4, 5].map((index) => timeline.pairs.of(begin + index)! - begin),
    [2, 3, 0, 1, 5, 4],
  );
  assert.equal(shown('worker.notice').length, 3);

  const alone = timeline.end;
  timeline.push([up(4), { t: 'lost', at: story.at, pid: pidOf(1), records: 3 }, down(5)], 1);
  assert.equal(timeline.pairs.of(alone), undefined);
  assert.equal(timeline.pairs.of(alone + 2), undefined);
  story.at += 20_000;
  timeline.push([up(6)], 1);
  assert.equal(timeline.pairs.of(alone + 3), undefined, 'what was heard long before cannot have been this');
  timeline.push([down(6)], 1);
  assert.equal(timeline.pairs.of(alone + 4), alone + 3);
});

test('the dirty tree speaks with the dirty arbiter past the child machine', () => {
  const at = 1;
  const actor = (id: string, parent: string | null, machine: string | null, name: string): Told =>
    ({
      t: 'actor',
      at,
      id,
      pid: Number(id.split('/')[0]),
      parent,
      root: parent === null || parent.split('/')[0] !== id.split('/')[0],
      name,
      machine,
      user: false,
      status: 'active',
      value: null,
      context: null,
      about: null,
    }) as Told;
  const event = (from: string, to: string, type: string): Told => ({
    t: 'event',
    at: 10,
    from,
    to,
    event: { type },
  });
  const { timeline } = told([
    actor('9/1', null, 'arbiter', 'arbiter'),
    actor('9/2', '9/1', 'dirtyTree', 'dirty'),
    actor('9/3', '9/2', null, 'link'),
    actor('9/4', '9/2', 'pool', 'pool'),
    actor('9/5', '9/4', 'child', 'child.1'),
    actor('9/6', '9/5', null, 'process'),
    actor('8/1', '9/5', 'dirtyArbiter', 'dirtyArbiter'),
    actor('8/2', '8/1', null, 'link'),
    event('9/2', '9/3', 'dirty.replace'),
    event('8/2', '8/1', 'dirty.replace'),
    event('8/1', '8/2', 'worker.ready'),
    event('9/6', '9/5', 'worker.ready'),
  ]);
  assert.deepEqual(timeline.endsOf(9), { from: '9/2', to: '8/1', tookMs: 0 });
  assert.deepEqual(timeline.endsOf(10), { from: '8/1', to: '9/5', tookMs: 0 });
});

test('pairs are forgotten with what the timeline drops, and a sieve begun late finds the same', () => {
  const story = new Story();
  const bound = { records: 2000, weight: Number.POSITIVE_INFINITY, heldWeight: 0 };
  const timeline = new Timeline(bound);
  const sift = new Sift();
  const criteria = { text: '', kinds: EVENTS, actor: null };
  timeline.push(story.arbiter(), 1);
  for (let age = 1; age < 400; age++) {
    timeline.push([...story.hire(age), ...story.boot(age), ...story.ready(age), ...story.end(age)], 1);
    sift.update(timeline, criteria);
  }
  assert.ok(timeline.first > 1000);
  const all = (one: Sift) => Array.from({ length: one.count }, (_, index) => one.at(index));
  assert.deepEqual(all(sift).slice(5), all(new Sift().update(timeline, criteria)).slice(-sift.count + 5));
  for (let position = 0; position < timeline.first - 20; position++)
    assert.equal(timeline.pairs.of(position), undefined);
  assert.equal(ARBITER, timeline.now.state.processes[0]!.pid);
});
