/** What the page remembers: any moment of the past can be shown again, and what is kept has a bound. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Board } from '../../src/actors/inspect/board.ts';
import type { Told } from '../../src/actors/inspect/records.ts';
import { recordingLines } from '../../src/inspector/model/recording.ts';
import { BEATS_MAX, Series } from '../../src/inspector/model/series.ts';
import { Session } from '../../src/inspector/model/session.ts';
import { KINDS, type Kind, Sift } from '../../src/inspector/model/sift.ts';
import { Timeline } from '../../src/inspector/model/timeline.ts';
import { fleet, hello, Story } from './story.ts';

const NOTHING = { processes: [], actors: [], beats: [] };
const UNBOUND = Number.POSITIVE_INFINITY;

/** Workers that come and go, for so many records. */
function longStory(records: number): Told[] {
  const story = new Story();
  const told = story.arbiter();
  for (let age = 1; told.length < records; age++) {
    told.push(...story.hire(age), ...story.boot(age), ...story.ready(age), story.beat(age, age));
    if (age > 3) told.push(...story.drain(age - 3), ...story.end(age - 3));
  }
  return told;
}

test('every moment of the past is as it was, however one comes to it', () => {
  const records = longStory(3500);
  const timeline = new Timeline();
  timeline.reset(NOTHING);
  timeline.push(records, 1000);
  const board = new Board();
  const moments = records.map((record) => {
    const before = JSON.stringify(board.state);
    board.apply(record);
    return before;
  });
  const check = (position: number): void =>
    assert.equal(JSON.stringify(timeline.boardAt(position).state), moments[position], `at ${position}`);
  for (const position of [0, 1, 999, 1000, 1001, 2500, 2400, 2401, 3000, 5, 2999]) check(position);
  for (let position = 900; position < 1100; position++) check(position);
  assert.equal(JSON.stringify(timeline.boardAt(records.length).state), JSON.stringify(board.state));
});

test('the oldest records are dropped, by number and by weight, and the rest is still right', () => {
  const records = longStory(9000);
  for (const bounds of [
    { records: 3000, weight: UNBOUND, heldWeight: UNBOUND },
    { records: UNBOUND, weight: 3000, heldWeight: 3000 },
  ]) {
    const timeline = new Timeline(bounds);
    for (let at = 0; at < records.length; at += 50) {
      const some = records.slice(at, at + 50);
      timeline.push(some, some.length);
    }
    assert.equal(timeline.end, records.length);
    const kept = timeline.end - timeline.first;
    assert.ok(kept >= 2000 && kept <= 4000, `${kept} are kept`);
    assert.equal(timeline.at(timeline.first - 1), undefined);
    assert.equal(timeline.at(timeline.first), records[timeline.first]);
    const board = new Board();
    for (const record of records.slice(0, timeline.first + 7)) board.apply(record);
    assert.deepEqual(timeline.boardAt(timeline.first + 7).state, board.state);
    // What is older than what is kept is shown as its beginning.
    assert.deepEqual(timeline.boardAt(0).state, timeline.boardAt(timeline.first).state);
  }
});

test('the moment that somebody looks at stays until more is kept than may be', () => {
  const records = longStory(9000);
  const timeline = new Timeline({ records: 1000, weight: 2000, heldWeight: 5000 });
  const push = (from: number, to: number): void => {
    for (let at = from; at < to; at += 50) timeline.push(records.slice(at, at + 50), 50);
  };
  push(0, 2000);
  timeline.held = 1500;
  const seen = JSON.stringify(timeline.boardAt(1500).state);
  push(2000, 5500);
  assert.equal(timeline.first, 1000, 'what is older than its segment is dropped');
  assert.equal(JSON.stringify(timeline.boardAt(1500).state), seen);
  push(5500, 6100);
  // It had to go; the oldest that is left is held as long.
  assert.equal(timeline.first, 5000);
  timeline.held = timeline.first;
  push(6100, 9000);
  assert.equal(timeline.first, 5000);
  timeline.held = null;
  push(0, 50);
  assert.ok(timeline.end - timeline.first <= 2000);
});

test('states that come again and again are bounded by weight', () => {
  const timeline = new Timeline({ records: 1000, weight: 100, heldWeight: 100 });
  for (let count = 0; count < 50; count++) {
    timeline.reset(NOTHING, 40);
    timeline.push(new Story().arbiter(), 1);
  }
  assert.ok(timeline.end - timeline.first <= 3 * new Story().arbiter().length);
  assert.equal(timeline.now.state.actors.length, 3);
});

test('a sieve follows its timeline record by record, and finds what one from the beginning finds', () => {
  const records = longStory(6000);
  const timeline = new Timeline({ records: 3000, weight: UNBOUND, heldWeight: UNBOUND });
  const sift = new Sift();
  const criteria = { text: 'worker.ready', kinds: new Set<Kind>(['events', 'steps']), actor: null };
  for (let at = 0; at < records.length; at += 70) {
    timeline.push(records.slice(at, at + 70), 1);
    sift.update(timeline, criteria);
  }
  const anew = new Sift().update(timeline, criteria);
  assert.ok(anew.count > 100);
  const positions = (one: Sift) => Array.from({ length: one.count }, (_, index) => one.at(index));
  assert.deepEqual(positions(sift), positions(anew));
  assert.ok(sift.dropped > 0);
  const some = sift.at(20)!;
  assert.equal(sift.indexFrom(some), 20);
  assert.equal(sift.indexFrom(some + 1), 21);

  const kinds = new Set(KINDS);
  const actor = `4000/${100 + 900}`;
  const about = new Sift().update(timeline, { text: '', kinds, actor: '4000/5' });
  assert.ok(about.count > 0);
  for (const position of positions(about)) {
    const record = timeline.at(position!)!;
    assert.ok(record.t === 'event' && record.to === '4000/5');
  }
  assert.equal(new Sift().update(timeline, { text: 'no such text', kinds, actor }).count, 0);
});

test('what is exported and opened again is the same', () => {
  const session = new Session();
  for (const message of fleet(new Story(), 30)) session.take(JSON.stringify(message));
  session.timeline.push(longStory(2500), 2500);
  const lines = [...recordingLines(session.hello!, session.timeline)];
  // A line that was cut by a crash is no harm.
  lines.push(lines.at(-1)!.slice(0, 40));
  const opened = new Session();
  for (const line of lines) opened.take(line);
  assert.equal(opened.hello?.app, 'app.js');
  assert.equal(opened.timeline.end, session.timeline.end);
  assert.deepEqual(opened.timeline.now.state, session.timeline.now.state);
  assert.deepEqual(opened.timeline.boardAt(200).state, session.timeline.boardAt(200).state);
});

test('after a short break the same server joins what is known; another one begins anew beside the past', () => {
  const session = new Session();
  const take = (messages: object[]): void => {
    for (const message of messages) session.take(JSON.stringify(message));
  };
  const story = new Story();
  const begun = fleet(story, 3);
  take(begun);
  const before = session.timeline.end;
  const more = story.records([...story.hire(4), ...story.boot(4)]);
  take([...begun.slice(0, 3), more, story.live()]);
  assert.equal(session.timeline.end, before + (more as { records: unknown[] }).records.length);
  assert.ok(session.timeline.now.actor('4000/104'));

  const now = session.timeline.end;
  take([hello({ pid: 4001 }), new Story().state()]);
  assert.equal(session.timeline.now.state.actors.length, 0);
  assert.equal(session.timeline.boardAt(now - 1).state.actors.length > 0, true);
});

test('what was lost is counted, and the state that follows is the present', () => {
  const session = new Session();
  const story = new Story();
  for (const message of fleet(story, 2)) session.take(JSON.stringify(message));
  session.take(JSON.stringify({ type: 'lost', records: 4312 }));
  session.take(JSON.stringify(story.records([{ t: 'lost', at: story.at, pid: 5001, records: 8 }])));
  story.seq = 9000;
  const [arbiter] = new Story().arbiter().filter((record) => record.t === 'actor');
  session.take(JSON.stringify(story.state({ actors: [arbiter as never] })));
  assert.equal(session.lost, 4320);
  assert.deepEqual(session.timeline.now.state.actors, [arbiter]);
  session.take('no JSON');
  session.take('{"type":"something new"}');
  session.take('7');
});

test('figures are bounded by time and by processes', () => {
  const series = new Series();
  const story = new Story();
  for (let age = 1; age <= 1100; age++) series.push(story.beat(age, 1) as never);
  assert.equal(series.of(5001).length, 0);
  assert.equal(series.of(6100).length, 1);
  for (let count = 0; count < 20 * BEATS_MAX; count++) series.push(story.beat(1100, count) as never);
  assert.equal(series.of(6100).length, BEATS_MAX);
  const [first] = series.of(6100);
  assert.equal(series.of(6100, first!.at).at(-1), first);
});
