/** The arbiter machine by paths: its dirty tree, orders to it, reloads that both pools pass together, and stopping in two steps. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ORDERS_PENDING_MAX } from '../../src/machines/arbiter-context.ts';
import type { DirtyTreeReport } from '../../src/machines/dirty-tree.ts';
import type { ArbiterOrder } from '../../src/machines/events/arbiter.ts';
import type { PoolReport } from '../../src/machines/events/pool.ts';
import type { Fault } from '../../src/machines/faults.ts';
import {
  arbiter,
  fault,
  type Given,
  generation,
  generationOfBoth,
  missedOf,
  reload,
  serving as servingWithout,
  stop,
} from './arbiter-harness.ts';

const died: Fault = { code: 'dirty.died', message: 'died' };

/** An arbiter whose both pools have opened. */
function serving(given: Given = {}) {
  const one = arbiter(given);
  one.generations({ type: 'generation.prepared', orderId: 0, generation: generationOfBoth(1) });
  one.pool({ type: 'pool.opened' });
  one.dirty({ type: 'dirty.opened' });
  return one;
}
type Subject = ReturnType<typeof serving>;

/** Gives an order to reload, number `orderId`, that is prepared at once. */
function reloads(one: Subject, orderId = 1): void {
  one.tell(reload);
  one.generations({ type: 'generation.prepared', orderId, generation: generationOfBoth(orderId + 1) });
}

const web = {
  standing: (orderId = 1): PoolReport => ({ type: 'pool.standing', orderId }),
  committed: (orderId = 1, workers = 2): PoolReport => ({
    type: 'pool.committed',
    orderId,
    generation: 2,
    workers,
  }),
  done: (orderId = 1): PoolReport => ({ type: 'pool.done', orderId, replaced: 2 }),
  failed: (orderId = 1): PoolReport => ({ type: 'pool.failed', orderId, fault, replaced: 1, remaining: 1 }),
  refused: (orderId = 1): PoolReport => ({ type: 'pool.refused', orderId, fault }),
  superseded: (orderId = 1, by = 2): PoolReport => ({ type: 'pool.superseded', orderId, by }),
  stopped: { type: 'pool.stopped' } as PoolReport,
};
const dirty = {
  standing: (orderId = 1): DirtyTreeReport => ({ type: 'dirty.standing', orderId }),
  committed: (orderId = 1): DirtyTreeReport => ({ type: 'dirty.committed', orderId }),
  done: (orderId = 1): DirtyTreeReport => ({ type: 'dirty.done', orderId, replaced: 3 }),
  failed: (orderId = 1): DirtyTreeReport => ({
    type: 'dirty.failed',
    orderId,
    fault: died,
    replaced: 1,
    remaining: 2,
  }),
  refused: (orderId = 1): DirtyTreeReport => ({ type: 'dirty.refused', orderId, fault: died }),
  superseded: (orderId = 1, by = 0): DirtyTreeReport => ({ type: 'dirty.superseded', orderId, by }),
  stopped: { type: 'dirty.stopped' } as DirtyTreeReport,
};

/** A reload, order 1, whose dirty pool is past its commit point while the web pool's canary stands. */
function rolling(): Subject {
  const one = serving();
  reloads(one);
  one.pool(web.standing());
  one.dirty(dirty.standing(), dirty.committed());
  return one;
}

const toPool = (one: Subject): string[] => one.toPool.map(({ type }) => type.slice(5));
const toDirty = (one: Subject): string[] => one.toDirty.map(({ type }) => type.slice(6));

const orders: [ArbiterOrder, string][] = [
  [{ type: 'arbiter.dirtyScale', by: 1, source: 'control' }, 'scale'],
  [{ type: 'arbiter.dirtyRetire', age: 3, leave: 'quit', source: 'control' }, 'retire'],
  [{ type: 'arbiter.dirtyCancel', call: 9, source: 'control' }, 'cancel'],
];

// ── orders ──────────────────────────────────────────────────────────────────────────────────────────────────

describe('an order to the dirty tree', () => {
  for (const [order, name] of orders) {
    test(`${name}: passed on, and ended as it ends`, () => {
      for (const end of ['done', 'failed', 'refused', 'superseded'] as const) {
        const one = serving();
        one.tell(order);
        assert.deepEqual(toDirty(one), [name]);
        one.dirty(dirty[end](1), dirty[end](1));
        assert.deepEqual(one.ends, [`${end} ${order.type.slice(8)} 1`]);
      }
    });

    test(`${name}: refused without a dirty tree, while starting, and in masses`, () => {
      const without = servingWithout();
      const starting = arbiter();
      const many = serving();
      for (let n = 0; n < ORDERS_PENDING_MAX; n++) many.tell(orders[2]![0]);
      for (const one of [without, starting, many]) {
        one.tell(order);
        assert.deepEqual(one.faults.length, 1);
        assert.equal(one.faults[0]?.type, 'order.refused');
      }
      assert.equal(many.toDirty.length, ORDERS_PENDING_MAX);
      assert.deepEqual(without.faults[0]?.fault?.message, 'Dirty arbiter not running');
      assert.deepEqual(many.faults[0]?.fault?.code, 'order.tooMany');
    });

    test(`${name}: refused while stopping, but for a call that is to end`, () => {
      const one = serving();
      one.tell(stop('graceful', 15), order);
      if (name === 'cancel') assert.deepEqual(toDirty(one), ['cancel']);
      else assert.deepEqual(one.ends, [`refused ${order.type.slice(8)} 2`]);
      for (let n = 0; n < ORDERS_PENDING_MAX; n++) one.tell(orders[2]![0]);
      assert.equal(one.faults.at(-1)?.fault?.code, 'order.tooMany');
      one.dirty(dirty.stopped);
      const without = servingWithout();
      without.tell(stop('graceful', 15), order);
      assert.deepEqual(without.ends, [`refused ${order.type.slice(8)} 2`]);
    });
  }

  test('scale: told as taken, with its bounds', () => {
    const one = serving();
    one.tell({ ...orders[0]![0], ticket: 7 });
    const taken = {
      type: 'dirty.taken',
      orderId: 1,
      previous: 2,
      total: 2,
      workers: 2,
      reason: 'why',
    } as const;
    one.dirty(taken, { ...taken, orderId: 5 });
    const told = one.taken.map(({ ticket, previous, total, reason }) => [ticket, previous, total, reason]);
    assert.deepEqual(told, [[7, 2, 2, 'why']]);
  });
});

// ── reloads ─────────────────────────────────────────────────────────────────────────────────────────────────

test('one canary of each pool must stand; then the dirty pool rolls over, then the web pool', () => {
  for (const first of ['web', 'dirty'] as const) {
    const one = serving();
    reloads(one);
    const standings = [() => one.pool(web.standing()), () => one.dirty(dirty.standing())];
    for (const stand of first === 'web' ? standings : standings.reverse()) {
      assert.deepEqual(toDirty(one), ['replace']);
      stand();
    }
    assert.deepEqual([toDirty(one), toPool(one)], [['replace', 'commit'], ['replace']]);
    one.dirty(dirty.committed(), dirty.done());
    assert.deepEqual(toPool(one), ['replace', 'commit']);
    one.pool(web.committed());
    assert.deepEqual(one.ends, []);
    one.pool(web.done());
    assert.deepEqual(
      one.faults.map(({ type, replaced }) => [type, replaced]),
      [['order.done', 5]],
    );
  }
});

test('candidates that have to stand once more are told once more', () => {
  const one = serving();
  reloads(one);
  one.pool(web.standing());
  one.dirty(dirty.standing(), dirty.standing(), dirty.committed(), dirty.done());
  assert.deepEqual(toDirty(one), ['replace', 'commit', 'commit']);
  one.pool(web.standing(), web.committed(), web.done());
  assert.deepEqual(toPool(one), ['replace', 'commit', 'commit']);
  assert.deepEqual(one.ends, ['done reload 1']);
});

test('while one pool has nobody who was ever ready, a reload is refused: that pool could not wait', () => {
  for (const opened of ['web', 'dirty', 'none'] as const) {
    const one = arbiter();
    one.generations({ type: 'generation.prepared', orderId: 0, generation: generationOfBoth(1) });
    if (opened === 'web') one.pool({ type: 'pool.opened' });
    if (opened === 'dirty') one.dirty({ type: 'dirty.opened' });
    one.tell(reload);
    assert.deepEqual([one.ends, one.faults[0]?.fault?.code], [['refused reload 1'], 'order.starting']);
    assert.equal(one.toGenerations.length, 1);
  }
});

test('settings without dirty apps reload the web pool by itself', () => {
  const one = serving();
  one.tell(reload);
  one.generations({ type: 'generation.prepared', orderId: 1, generation: generation(2) });
  assert.deepEqual([toDirty(one), toPool(one)], [[], ['replace']]);
  one.pool(web.standing(), web.done());
  assert.deepEqual(one.ends, ['done reload 1']);
});

test('the dirty pool fails before its commit point, however: the web pool gives up, and the reload has failed', () => {
  const stages: [string, (one: Subject) => void][] = [
    ['at once, for the dirty arbiter is down', () => {}],
    [
      'while both stand and the order to commit is on its way',
      (one) => {
        one.pool(web.standing());
        one.dirty(dirty.standing());
      },
    ],
  ];
  for (const [name, reach] of stages)
    for (const end of ['failed', 'refused', 'superseded'] as const) {
      const one = serving();
      reloads(one);
      reach(one);
      one.dirty(dirty[end]());
      assert.deepEqual(one.toPool.at(-1)?.type, 'pool.abandon', name);
      one.pool(web.refused(), web.standing());
      one.dirty(dirty.standing(), dirty.committed(), dirty.done());
      assert.deepEqual(one.ends, ['failed reload 1'], name);
      assert.equal(one.faults[0]?.fault?.code, end === 'superseded' ? 'order.superseded' : 'dirty.died');
      assert.equal(toPool(one).includes('commit'), false);
    }
});

test('the web pool fails before the commit point: the dirty pool gives up', () => {
  const one = serving();
  reloads(one);
  one.dirty(dirty.standing());
  one.pool(web.failed());
  assert.deepEqual(toDirty(one), ['replace', 'abandon']);
  one.dirty(dirty.refused());
  assert.deepEqual(one.ends, ['failed reload 1']);
});

test('the web canary is lost while the dirty pool rolls over: the reload has failed, and the dirty pool goes on', () => {
  const one = rolling();
  one.pool(web.failed());
  one.dirty(dirty.done());
  assert.deepEqual([toDirty(one), toPool(one)], [['replace', 'commit'], ['replace']]);
  assert.deepEqual(one.ends, ['failed reload 1']);
});

test('past its commit point the dirty pool may stall or be started anew: the web pool follows, and it is told', () => {
  for (const [end, outcome] of [
    ['failed', 'failed'],
    ['refused', 'failed'],
    ['superseded', 'done'],
  ] as const) {
    const one = rolling();
    one.dirty(dirty[end]());
    assert.deepEqual(toPool(one), ['replace', 'commit']);
    one.pool(web.committed(), web.done());
    assert.deepEqual(one.ends, [`${outcome} reload 1`]);
    if (end === 'failed') assert.deepEqual([one.faults[0]?.replaced, one.faults[0]?.remaining], [3, 2]);
  }
});

test('the web pool stalls past its commit point: what both replaced is told', () => {
  const one = rolling();
  one.dirty(dirty.done());
  one.pool(web.committed(), web.failed(), web.done());
  assert.deepEqual(one.ends, ['failed reload 1']);
  assert.deepEqual([one.faults[0]?.replaced, one.faults[0]?.remaining], [4, 1]);
});

test('a newer reload supersedes one on trial in both pools, and each ends once', () => {
  const one = serving();
  reloads(one, 1);
  one.pool(web.standing(1));
  reloads(one, 2);
  one.pool(web.superseded(1));
  one.dirty(dirty.superseded(1, 2), dirty.standing(2));
  one.pool(web.standing(2));
  one.dirty(dirty.committed(2), dirty.done(2));
  one.pool(web.committed(2), web.done(2));
  assert.deepEqual(one.ends, ['superseded reload 1', 'done reload 2']);
});

test('a newer reload that fails leaves one that is rolled over as it was, with what its dirty pool could not replace', () => {
  const one = rolling();
  one.dirty(dirty.failed(1));
  one.pool(web.committed(1));
  reloads(one, 2);
  one.dirty(dirty.refused(2));
  one.pool(web.refused(2), web.done(1));
  assert.deepEqual(one.ends, ['failed reload 2', 'failed reload 1']);
  assert.equal(one.faults[1]?.remaining, 2);
});

test('a newer reload that is refused while it is prepared is none of the business of the one under way', () => {
  const one = rolling();
  one.tell(reload);
  one.generations({ type: 'generation.refused', orderId: 2, number: 3, fault });
  one.dirty(dirty.done());
  one.pool(web.committed(), web.done());
  assert.deepEqual(one.ends, ['failed reload 2', 'done reload 1']);
});

// ── failed starts ───────────────────────────────────────────────────────────────────────────────────────────

test('a pool that cannot open ends the server with its fault: the other is told to leave, in whichever order', () => {
  const started = (): Subject => {
    const one = arbiter();
    one.generations({ type: 'generation.prepared', orderId: 0, generation: generationOfBoth(1) });
    return one;
  };
  const webFails: PoolReport = { type: 'pool.openFailed', fault };
  const dirtyFails: DirtyTreeReport = { type: 'dirty.openFailed', fault: { ...fault, code: 'boot.timeout' } };
  const onlyWeb = started();
  onlyWeb.pool(webFails, web.stopped);
  assert.deepEqual(onlyWeb.toDirty, [{ type: 'dirty.stop', leave: 'quit' }]);
  onlyWeb.dirty({ type: 'dirty.opened' }, { type: 'dirty.degraded', fault, retryInMs: 1 }, dirty.stopped);
  assert.deepEqual(onlyWeb.output, { exitCode: 4, fault });
  const onlyDirty = started();
  onlyDirty.dirty(dirtyFails);
  assert.deepEqual(onlyDirty.toPool, [{ type: 'pool.stop', orderId: 0, leave: 'quit' }]);
  onlyDirty.pool(web.stopped);
  onlyDirty.dirty(dirty.stopped);
  assert.equal(onlyDirty.output?.exitCode, 3);
  const webFirst = started();
  webFirst.pool(webFails);
  webFirst.dirty(dirtyFails, dirty.stopped);
  webFirst.pool(web.stopped);
  assert.deepEqual([webFirst.output?.exitCode, webFirst.toDirty], [4, []]);
  const dirtyFirst = started();
  dirtyFirst.dirty(dirtyFails, dirty.stopped);
  dirtyFirst.pool(webFails, web.stopped);
  assert.deepEqual([dirtyFirst.output?.exitCode, dirtyFirst.toDirty], [3, []]);
});

// ── stopping ────────────────────────────────────────────────────────────────────────────────────────────────

test('web workers leave first, for they may still call; then the dirty tree', () => {
  const one = serving();
  one.tell(stop('graceful', 15));
  assert.deepEqual([toPool(one), toDirty(one)], [['stop'], []]);
  one.pool(web.stopped);
  assert.deepEqual(one.toDirty, [{ type: 'dirty.stop', leave: 'drain' }]);
  assert.match(one.state, /dirtyWorkers/);
  one.dirty(dirty.stopped);
  assert.deepEqual([one.ends, one.output], [['done stop 1'], { exitCode: 0, fault: null }]);
});

test('the dirty tree leaves as the last order says, whoever is still there', () => {
  const leaves = (...stops: ArbiterOrder[]): string[] => {
    const one = serving();
    one.tell(stops[0]!);
    one.pool(web.stopped);
    one.tell(...stops.slice(1));
    const early = serving();
    early.tell(...stops);
    early.pool(web.stopped);
    const told = one.toDirty.map((order) => (order.type === 'dirty.stop' ? order.leave : order.type));
    const last = early.toDirty[0];
    assert.equal(last?.type === 'dirty.stop' && last.leave, told.at(-1));
    for (const each of [one, early]) {
      each.dirty(dirty.stopped);
      assert.equal(each.ends.length, stops.length);
    }
    return told;
  };
  const [term, int, command, cut] = [stop('graceful', 15), stop('quick', 2), stop('graceful'), stop('quick')];
  assert.deepEqual(leaves(int), ['quit']);
  assert.deepEqual(leaves(cut), ['quit']);
  assert.deepEqual(leaves(term, term, term), ['drain', 'quit', 'kill']);
  assert.deepEqual(leaves(command, command, cut, term), ['drain', 'quit', 'quit']);
});

test('the second signal while dirty workers leave gives 128 + n; commands are taken up to a bound', () => {
  const one = serving();
  one.tell(stop('graceful', 15));
  one.pool(web.stopped);
  one.tell(stop('quick', 2));
  for (let n = 0; n < ORDERS_PENDING_MAX; n++) one.tell(stop('graceful'));
  assert.equal(one.faults.at(-1)?.fault?.code, 'order.tooMany');
  one.dirty(dirty.stopped);
  assert.equal(one.output?.exitCode, 130);
});

test('stop wins: a reload of both pools under way is refused once, whatever the dirty pool says of it', () => {
  for (const start of [
    () => {
      const one = serving();
      reloads(one);
      return one;
    },
    rolling,
  ]) {
    const one = start();
    one.tell(stop('graceful', 15));
    one.pool(web.refused(), web.standing(), web.committed(), web.stopped);
    one.dirty(dirty.standing(), dirty.committed(), dirty.done(), dirty.refused(), dirty.failed());
    one.dirty(dirty.superseded(), dirty.stopped);
    assert.deepEqual(one.ends, ['refused reload 1', 'done stop 2']);
    assert.equal(toPool(one).includes('commit'), false);
  }
});

test('orders that the dirty tree refuses as it leaves end so', () => {
  const one = serving();
  one.tell(orders[2]![0], stop('graceful', 15));
  one.pool(web.stopped);
  one.dirty(dirty.refused(1), dirty.stopped);
  assert.deepEqual(one.ends, ['refused dirtyCancel 1', 'done stop 2']);
});

test('a lame duck passes on what cancels a call, and no other order', () => {
  const one = serving({ lameDuckMs: 1000 });
  one.tell(stop('graceful', 15), orders[0]![0], orders[1]![0]);
  assert.deepEqual(toDirty(one), []);
  one.tell(orders[2]![0]);
  assert.equal(toDirty(one).length, 1);
  for (let n = 0; n < ORDERS_PENDING_MAX; n++) one.tell(orders[2]![0]);
  assert.ok(toDirty(one).length < ORDERS_PENDING_MAX);

  const other = servingWithout({ lameDuckMs: 1000 });
  other.tell(stop('graceful', 15), orders[2]![0]);
  assert.deepEqual(other.ends, ['refused dirtyCancel 2']);
});

test('every transition has a test path', () => {
  assert.deepEqual(missedOf('dirty'), []);
});
