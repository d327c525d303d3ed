/** The arbiter machine by paths: upgrades, seen from the old arbiter and from the new one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ArbiterOrder } from '../../src/machines/events/arbiter.ts';
import type { SuccessorNews } from '../../src/machines/events/upgrade.ts';
import {
  arbiter,
  type Given,
  generation,
  generationOfBoth,
  missedOf,
  reload,
  serving,
  stop,
} from './arbiter-harness.ts';

const upgrade: ArbiterOrder = { type: 'arbiter.upgrade', source: 'SIGUSR2' };
const rest: ArbiterOrder = { type: 'arbiter.rest', source: 'SIGWINCH' };
const started: SuccessorNews = { type: 'successor.started', pid: 4711 };
const stands: SuccessorNews = { type: 'successor.stands' };
const ended: SuccessorNews = {
  type: 'successor.ended',
  fault: { code: 'upgrade.failed', message: 'it ended' },
};

/** A server whose workers are ready. */
function ready(given?: Given) {
  const one = serving(given);
  one.pool({ type: 'pool.opened' });
  return one;
}

/** One beside which a new arbiter serves. */
function upgraded() {
  const one = ready();
  one.tell(upgrade);
  one.successor(started, stands);
  return one;
}

test('an upgrade is done when the new arbiter serves, and says which process that is', () => {
  const one = ready();
  one.tell(upgrade);
  one.successor(started);
  assert.deepEqual(one.ends, []);
  one.successor(stands);
  assert.deepEqual([one.ends, one.faults[0]?.pid], [['done upgrade 1'], 4711]);
  assert.ok(one.children().includes('successor'));
});

test('a new arbiter that ends before it serves makes the upgrade fail, and another may be tried', () => {
  const one = ready();
  one.tell(upgrade);
  one.successor(started, ended);
  assert.deepEqual([one.ends, one.faults[0]?.fault?.message], [['failed upgrade 1'], 'it ended']);
  one.tell(upgrade);
  one.successor(stands);
  assert.equal(one.ends.at(-1), 'done upgrade 2');
});

test('one that does not serve in time is ended: with TERM, then again and again with KILL', () => {
  const one = ready();
  one.tell(upgrade);
  one.successor(started);
  one.passes(24 * 3600 * 1000);
  assert.deepEqual(one.toSuccessor, [{ type: 'successor.end', signal: 'SIGTERM' }]);
  one.passes(10_000);
  one.passes(5000);
  assert.deepEqual(
    one.toSuccessor.map(({ signal }) => signal),
    ['SIGTERM', 'SIGKILL', 'SIGKILL'],
  );
  one.successor(stands, ended);
  assert.deepEqual(one.ends, ['failed upgrade 1']);
  assert.match(
    one.faults[0]?.fault?.message ?? '',
    /^the new arbiter \(pid 4711\) did not serve within \d+ s$/,
  );
});

test('refused: while it starts, while there is a new arbiter, while there is an old one, and where it cannot be', () => {
  const starting = arbiter();
  starting.tell(upgrade, rest);
  assert.deepEqual(starting.ends, ['refused upgrade 1', 'refused rest 2']);

  const opening = serving();
  opening.tell(upgrade);
  assert.deepEqual(opening.ends, ['refused upgrade 1']);

  const dirtyOpening = arbiter();
  dirtyOpening.generations({ type: 'generation.prepared', orderId: 0, generation: generationOfBoth(1) });
  dirtyOpening.pool({ type: 'pool.opened' });
  dirtyOpening.tell(upgrade);
  assert.deepEqual(dirtyOpening.ends, ['refused upgrade 1']);

  const twice = ready();
  twice.tell(upgrade, upgrade);
  assert.match(twice.faults[0]?.fault?.message ?? '', /starting already/);
  twice.successor(started, stands);
  twice.tell(upgrade);
  assert.match(twice.faults.at(-1)?.fault?.message ?? '', /process 4711 is the new arbiter already/);

  const young = ready({ predecessor: 12 });
  young.tell(upgrade);
  assert.match(young.faults[0]?.fault?.message ?? '', /process 12 is the old arbiter, and still runs/);

  const fixed = ready({ noUpgrade: 'this is process 1' });
  fixed.tell(upgrade);
  assert.equal(fixed.faults[0]?.fault?.message, 'this is process 1');

  for (const lameDuckMs of [0, 1000]) {
    const leaving = ready({ lameDuckMs });
    leaving.tell(stop('graceful', 15), upgrade, rest);
    assert.deepEqual(leaving.ends, ['refused upgrade 2', 'refused rest 3']);
  }
});

test('resting: all workers go, once another serves and no reload is under way', () => {
  const one = ready();
  one.tell(rest);
  assert.match(one.faults[0]?.fault?.message ?? '', /no new arbiter serves/);
  one.tell(upgrade, rest);
  one.successor(started, stands);
  assert.deepEqual(one.ends, ['refused rest 1', 'refused rest 3', 'done upgrade 2']);
  one.tell(reload, rest);
  assert.match(one.faults.at(-1)?.fault?.message ?? '', /a reload is under way/);
  one.generations({
    type: 'generation.refused',
    orderId: 4,
    number: 2,
    fault: { code: 'bind.inUse', message: 'in use' },
  });
  one.tell(rest);
  assert.deepEqual(one.toPool.at(-1), { type: 'pool.scale', orderId: 6, target: 0 });
  one.pool({ type: 'pool.done', orderId: 6, replaced: 0 });
  assert.equal(one.ends.at(-1), 'done rest 6');
  one.tell(rest, { type: 'arbiter.scale', by: -1, source: 'SIGTTOU' });
  assert.deepEqual(one.ends.slice(-2), ['done rest 7', 'refused scale 8']);
  assert.equal(one.faults.at(-1)?.fault?.message, 'there is none: the new arbiter serves');
});

test('going back: a reload brings the workers back as they were, and so does the end of the new arbiter', () => {
  const one = upgraded();
  one.tell(rest, reload);
  assert.deepEqual(one.toPool.at(-1), { type: 'pool.scale', orderId: 4, target: 2 });
  assert.equal(one.ends.at(-1), 'done reload 3');
  assert.equal(one.toGenerations.length, 1);

  const other = upgraded();
  other.tell(rest);
  other.successor(ended);
  assert.deepEqual(other.toPool.at(-1), { type: 'pool.scale', orderId: 3, target: 2 });
  assert.ok(!other.children().includes('successor'));
});

test('the end of a new arbiter beside one that serves, or stops, changes nothing else', () => {
  const one = upgraded();
  one.successor(ended);
  assert.deepEqual(one.toPool, []);
  one.tell(upgrade);
  assert.equal(one.ends.length, 1);
  one.tell(stop('graceful', 15));
  one.successor(started, stands, ended);
  assert.deepEqual(one.ends, ['done upgrade 1', 'done upgrade 2']);
  one.pool({ type: 'pool.stopped' });
  assert.equal(one.output?.exitCode, 0);
});

test('an upgrade that has not ended when everything is gone is refused: the new arbiter goes on alone', () => {
  const one = ready();
  one.tell(upgrade, stop('graceful', 15));
  one.pool({ type: 'pool.stopped' });
  assert.deepEqual(one.ends, ['refused upgrade 1', 'done stop 2']);
});

test('a new arbiter takes what the old one had when that is gone, and can be upgraded itself then', () => {
  const one = ready({ predecessor: 12 });
  assert.ok(one.children().includes('predecessor'));
  one.predecessor({ type: 'predecessor.gone', pid: 12 });
  assert.deepEqual(one.toPredecessor, [{ type: 'predecessor.succeed' }]);
  one.tell(upgrade);
  one.successor(started, stands);
  assert.deepEqual(one.ends, ['done upgrade 1']);
});

test('of a new arbiter whose settings have other numbers nothing is different', () => {
  const one = arbiter({ predecessor: 12 });
  one.predecessor({ type: 'predecessor.gone', pid: 12 });
  one.generations({ type: 'generation.prepared', orderId: 0, generation: generation(1, 3) });
  assert.match(one.state, /serving/);
});

test('every transition about upgrades is taken by a path above', () => {
  assert.deepEqual(missedOf('upgrade'), []);
});
