/** The dirty arbiter by paths: it boots, keeps its pool, carries out orders and signals, and leaves. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type DirtyArbiterInternal, dirtyArbiterMachine } from '../../src/machines/dirty-arbiter.ts';
import type { DirtyArbiterOrder } from '../../src/machines/events/dirty.ts';
import type { PoolReport } from '../../src/machines/events/pool.ts';
import { fault } from './arbiter-harness.ts';
import { BOOT_ORDER_MS, dirtyArbiter, generation, recorder, specOf } from './dirty-arbiter-harness.ts';
import { transitionsOf } from './transitions.ts';

type Subject = ReturnType<typeof dirtyArbiter>;

const boot: DirtyArbiterOrder = { type: 'worker.boot', spec: specOf() };
const drain: DirtyArbiterOrder = { type: 'worker.drain', orderId: 4, graceMs: 10 };
const quit: DirtyArbiterOrder = { type: 'worker.quit', orderId: 5, graceMs: 10 };
const term: DirtyArbiterInternal = { type: 'signals.stop', leave: 'drain' };
const int: DirtyArbiterInternal = { type: 'signals.stop', leave: 'quit' };
const hup: DirtyArbiterInternal = { type: 'signals.reload' };
const ended: DirtyArbiterInternal = { type: 'link.ended' };
const scale = (orderId: number, by: number): DirtyArbiterOrder => ({ type: 'dirty.scale', orderId, by });
const replace = (orderId: number, number = 2, workers = 3): DirtyArbiterOrder => ({
  type: 'dirty.replace',
  orderId,
  generation: generation(number, workers),
});
const commit: DirtyArbiterOrder = { type: 'dirty.commit', orderId: 1 };
const abandon: DirtyArbiterOrder = { type: 'dirty.abandon', orderId: 1, fault };
const retire: DirtyArbiterOrder = { type: 'dirty.retire', orderId: 7, age: 2, leave: 'quit' };
const cancel: DirtyArbiterOrder = { type: 'dirty.cancel', orderId: 8, call: 3 };
const describeIt: DirtyArbiterOrder = { type: 'dirty.describe', orderId: 9 };
const stuck: DirtyArbiterInternal = { type: 'router.stuck', age: 2, why: 'it computes' };
const signalled: DirtyArbiterInternal[] = [hup, { type: 'signals.scale', by: 1 }, stuck];
const committed = (orderId: number, edition: number, workers = 3): PoolReport => ({
  type: 'pool.committed',
  orderId,
  generation: edition,
  workers,
});

async function starting(workers?: number): Promise<Subject> {
  const one = dirtyArbiter();
  one.tell({ type: 'worker.boot', spec: specOf(workers) });
  await one.open();
  assert.match(one.state, /starting/);
  return one;
}

async function serving(workers?: number): Promise<Subject> {
  const one = await starting(workers);
  one.pool({ type: 'pool.opened' });
  assert.deepEqual(one.reports, ['worker.ready']);
  one.told.length = 0;
  return one;
}

test('it boots: editions are told of the first, the pool is opened, and it is ready with its first worker', async () => {
  const one = await serving();
  assert.deepEqual(one.toEditions, [{ type: 'edition.keep', edition: 1, generation: generation(1) }]);
  assert.equal(one.target, 3);
  assert.match(one.state, /serving/);
});

test('it starts with as many workers as there can be', async () => {
  assert.equal((await starting(1)).target, 2);
  assert.equal((await starting(9)).target, 4);
});

test('what is asked of it before it has a ready worker is refused, and nobody waits in vain', async () => {
  const orders = [scale(1, 1), replace(2), retire, cancel, commit, abandon, describeIt, ...signalled];
  const connecting = dirtyArbiter();
  connecting.tell(...orders);
  const opening = dirtyArbiter();
  opening.tell(boot, boot, ...orders);
  const fresh = await starting();
  fresh.tell(...orders.filter((order) => order !== stuck));
  for (const one of [connecting, opening, fresh]) {
    assert.deepEqual(
      one.told.map((report) => report.type === 'dirty.refused' && [report.orderId, report.fault.code]),
      [1, 2, 7, 8].map((orderId) => [orderId, 'order.starting']),
    );
    assert.deepEqual(one.toPool, []);
  }
  await opening.open();
  assert.match(opening.state, /starting/);
});

test('without an order to boot it does not stay', () => {
  const late = dirtyArbiter();
  late.clock.step(BOOT_ORDER_MS);
  assert.deepEqual(late.output, { exitCode: 0 });
  for (const event of [drain, quit, term, ended]) {
    const one = dirtyArbiter();
    one.tell(event);
    assert.deepEqual([one.output, one.told], [{ exitCode: 0 }, []]);
  }
});

test('told to leave while it opens, it leaves at once', () => {
  for (const event of [drain, quit, term, ended]) {
    const one = dirtyArbiter();
    one.tell(boot, event);
    assert.deepEqual([one.output, one.told], [{ exitCode: 0 }, []]);
  }
});

test('what keeps it from opening is told before it is gone', async () => {
  const one = dirtyArbiter();
  one.tell(boot);
  await one.open(new Error('in use'));
  assert.deepEqual(one.told, [{ type: 'worker.bootFailed', fault: { ...fault, message: 'in use' } }]);
  assert.deepEqual(one.output, { exitCode: 4 });
});

test('workers that cannot boot at its start are its own failure to boot', async () => {
  const one = await starting();
  one.pool({ type: 'pool.openFailed', fault });
  one.tell(replace(1));
  one.pool({ type: 'pool.stopped' });
  assert.deepEqual(one.reports, ['dirty.refused 1', 'worker.bootFailed']);
  assert.deepEqual(one.output, { exitCode: 4 });
});

test('told to leave before anybody was ready, the pool leaves first', async () => {
  for (const [event, leave] of [
    [drain, 'drain'],
    [quit, 'quit'],
    [term, 'drain'],
    [int, 'quit'],
    [ended, 'drain'],
  ] as const) {
    const one = await starting();
    one.tell(event);
    one.pool({ type: 'pool.opened' }, { type: 'pool.stopped' });
    assert.deepEqual(one.toPool, [{ type: 'pool.stop', orderId: 0, leave }]);
    assert.deepEqual(one.output, { exitCode: 0 });
  }
});

test('a reload is an edition of its own: its candidates stand until the order to commit', async () => {
  const one = await serving();
  one.tell(replace(1));
  assert.deepEqual(one.toEditions.at(-1), { type: 'edition.keep', edition: 2, generation: generation(2) });
  const [order] = one.toPool;
  assert.ok(order?.type === 'pool.replace');
  assert.deepEqual([order.orderId, order.generation.number, order.hold], [1, 2, true]);
  one.pool({ type: 'pool.standing', orderId: 1 });
  one.tell(commit);
  assert.deepEqual(one.toPool.at(-1), { type: 'pool.commit', orderId: 1 });
  one.pool(committed(1, 2), { type: 'pool.done', orderId: 1, replaced: 3 });
  one.pool({ type: 'pool.generationGone', generation: 1 });
  assert.deepEqual(one.reports, ['dirty.standing 1', 'dirty.committed 1', 'dirty.done 1']);
  assert.deepEqual(one.toEditions.at(-1), { type: 'edition.release', edition: 1 });
});

test('a reload is given up, fails, or is superseded, and says so', async () => {
  const one = await serving();
  one.tell(replace(1), abandon);
  assert.deepEqual(one.toPool.at(-1), { type: 'pool.abandon', orderId: 1, fault });
  one.pool({ type: 'pool.refused', orderId: 1, fault });
  one.pool({ type: 'pool.failed', orderId: 2, fault, replaced: 0, remaining: 3 });
  one.pool({ type: 'pool.superseded', orderId: 3, by: 4 });
  assert.deepEqual(one.reports, ['dirty.refused 1', 'dirty.failed 2', 'dirty.superseded 3']);
});

test('whoever tells it to stop, calls are handed back where another one will come, and refused where none will', async () => {
  const ends: [DirtyArbiterOrder | DirtyArbiterInternal, boolean][] = [
    [term, true],
    [int, true],
    [drain, true],
    [quit, true],
    [ended, false],
  ];
  for (const [end, another] of ends) {
    const one = await serving();
    one.tell(end);
    assert.deepEqual(one.toRouter, [{ type: 'router.leave', another }], end.type);
    assert.equal(one.toPool.at(-1)?.type, 'pool.stop');
  }
});

test('HUP starts the committed generation anew, and waits for nobody', async () => {
  const one = await serving();
  one.tell(replace(1), hup);
  const order = one.toPool.at(-1);
  assert.ok(order?.type === 'pool.replace');
  assert.deepEqual([order.orderId, order.generation.number, order.hold], [0, 3, false]);
  assert.deepEqual(one.toEditions.at(-1), { type: 'edition.keep', edition: 3, generation: generation(1) });
  one.pool(committed(0, 3), { type: 'pool.failed', orderId: 0, fault, replaced: 0, remaining: 3 });
  assert.deepEqual(one.reports, ['worker.notice'], 'no order of the arbiter is told as committed or failed');
});

test('what is committed is what the pool says, though a newer trial is under way', async () => {
  const one = await serving();
  one.tell(replace(1, 2, 4), replace(2, 3, 2));
  one.pool(committed(1, 2, 4));
  assert.deepEqual(one.toPool.at(-1), { type: 'pool.scale', orderId: 0, target: 4 });
  one.tell(hup);
  assert.deepEqual(one.toEditions.at(-1), {
    type: 'edition.keep',
    edition: 4,
    generation: generation(2, 4),
  });
});

test('a number of workers that a reload changed is scaled to, within bounds; an unchanged one is not', async () => {
  const one = await serving();
  one.tell(scale(1, 1), replace(2));
  const before = one.toPool.length;
  one.pool(committed(2, 2));
  assert.equal(one.toPool.length, before, 'what an operator scaled to is left');
  one.tell(replace(3, 3, 9), replace(4, 4, 2));
  one.pool(committed(4, 4, 2));
  assert.deepEqual(one.toPool.at(-1), { type: 'pool.scale', orderId: 0, target: 2 });
  one.pool({ type: 'pool.done', orderId: 0, replaced: 0 });
});

test('an order to scale is told with its bounds, and is done at once where it changes nothing', async () => {
  const one = await serving();
  one.tell(scale(1, 1), scale(2, 1), scale(3, -1), scale(4, -5), { type: 'signals.scale', by: -1 });
  const taken = one.told.flatMap((report) =>
    report.type === 'dirty.taken' ? [[report.orderId, report.previous, report.total, report.reason]] : [],
  );
  const least = 'an app is to have 2 workers; there must be as many';
  assert.deepEqual(taken, [
    [1, 3, 4, undefined],
    [2, 4, 4, 'there is too little gpu for more (--dirty-resource)'],
    [3, 4, 3, undefined],
    [4, 3, 2, least],
    [0, 2, 2, least],
  ]);
  assert.deepEqual(
    one.toPool.map((order) => order.type === 'pool.scale' && [order.orderId, order.target]),
    [
      [1, 4],
      [3, 3],
      [4, 2],
    ],
  );
  assert.deepEqual(
    one.reports.filter((report) => report.startsWith('dirty.done')),
    ['dirty.done 2', 'dirty.done 0'],
  );
});

test('a worker is told to leave by an order, or because a call does not let go of it', async () => {
  const one = await serving();
  one.tell(retire, stuck);
  assert.deepEqual(one.toPool, [
    { type: 'pool.retire', orderId: 7, age: 2, leave: 'quit' },
    { type: 'pool.retire', orderId: 0, age: 2, leave: 'kill' },
  ]);
  assert.deepEqual(one.told, [
    { type: 'worker.notice', level: 'warn', text: 'dirty worker 2 is replaced: it computes' },
  ]);
});

test('calls are the business of the router', async () => {
  const one = await serving();
  one.tell(cancel, describeIt, drain, cancel, describeIt);
  const leave = { type: 'router.leave', another: true } as const;
  assert.deepEqual(one.toRouter, [cancel, describeIt, leave, cancel, describeIt]);
});

test('a worker that cannot be replaced is a line in the log', async () => {
  const one = await serving();
  one.pool({ type: 'pool.degraded', fault, retryInMs: 1234, slot: 0 });
  const text = 'a dirty worker could not be replaced: broken; next try within 1.2 s';
  assert.deepEqual(one.told, [{ type: 'worker.notice', level: 'warn', text }]);
});

test('it leaves when told, when signalled and when the arbiter is gone; a second order cuts', async () => {
  for (const [event, cause, leave] of [
    [drain, 'ordered', 'drain'],
    [quit, 'ordered', 'quit'],
    [term, 'terminated', 'drain'],
    [int, 'terminated', 'quit'],
    [ended, undefined, 'drain'],
  ] as const) {
    const one = await serving();
    one.tell(event);
    const [report] = one.told;
    assert.equal(report?.type === 'worker.draining' ? report.cause : undefined, cause);
    one.tell(term, int, quit, drain, ended);
    assert.deepEqual(
      one.toPool.map((order) => order.type === 'pool.stop' && order.leave),
      [leave, 'quit', 'quit'],
    );
    one.pool({ type: 'pool.stopped' });
    assert.deepEqual(one.output, { exitCode: 0 });
  }
});

test('while it leaves orders are refused, and those under way too, in its own name', async () => {
  const one = await serving();
  one.tell(term, scale(1, 1), replace(2), retire, commit, abandon, hup, { type: 'signals.scale', by: 1 });
  one.pool({ type: 'pool.refused', orderId: 9, fault: { code: 'order.stopping', message: 'the server' } });
  assert.deepEqual(
    one.told.flatMap((report) =>
      report.type === 'dirty.refused' ? [[report.orderId, report.fault.message]] : [],
    ),
    [1, 2, 7, 9].map((orderId) => [orderId, 'the dirty arbiter is stopping']),
  );
});

test('every transition has a test path', () => {
  const missed = [...transitionsOf(dirtyArbiterMachine)].filter((name) => !recorder.taken.has(name));
  assert.deepEqual(missed, []);
});
