/** The arbiter machine by paths: orders and their ends, stopping and its exit codes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ORDERS_PENDING_MAX } from '../../src/machines/arbiter-context.ts';
import type { ArbiterOrder } from '../../src/machines/events/arbiter.ts';
import type { PoolReport } from '../../src/machines/events/pool.ts';
import {
  arbiter,
  failed,
  fault,
  generation,
  missedOf,
  reload,
  SEEDS_FOR_COVERAGE,
  serving,
  stop,
  wish,
} from './arbiter-harness.ts';

test('it prepares the first generation and opens the pool with what its settings ask for', () => {
  const one = serving();
  assert.deepEqual(one.toGenerations, [{ type: 'generation.prepare', number: 1, orderId: 0 }]);
  assert.match(one.state, /serving/);
});

test('addresses that cannot be bound end it with the fault and its exit code', () => {
  const one = arbiter();
  one.generations({
    type: 'generation.refused',
    orderId: 0,
    number: 1,
    fault: { code: 'bind.inUse', message: 'in use' },
  });
  assert.deepEqual([one.output?.exitCode, one.output?.fault?.message], [1, 'in use']);
});

test('while preparing, orders are refused and a stop is immediate', () => {
  const one = arbiter();
  one.tell(reload, { type: 'arbiter.scale', by: 1, source: 'SIGTTIN' }, stop('graceful', 15));
  assert.deepEqual(one.ends, ['refused reload 1', 'refused scale 2', 'done stop 3']);
  assert.equal(one.output?.exitCode, 0);
});

test('a boot failure at the first start ends it with the exit code of the fault', () => {
  const one = serving();
  one.pool({ type: 'pool.openFailed', fault }, { type: 'pool.stopped' });
  assert.deepEqual(one.output, { exitCode: 4, fault });
});

test('a signal and a command are the same event: TTIN scales by one, within 1 and the most allowed', () => {
  const one = serving({ workersMax: 3 });
  const by = (n: number): ArbiterOrder => ({ type: 'arbiter.scale', by: n, source: 'SIGTTIN' });
  one.tell(by(1), by(1), by(-5), by(-2), by(-1));
  assert.deepEqual(
    one.toPool.map((order) => order.type === 'pool.scale' && order.target),
    [3, 1],
  );
  assert.deepEqual(one.ends, ['refused scale 2', 'refused scale 4', 'refused scale 5']);
});

test('a reload: prepared, handed to the pool, ended as the pool ends it', () => {
  for (const type of ['done', 'failed', 'refused', 'superseded'] as const) {
    const one = serving();
    one.tell(reload);
    one.generations({ type: 'generation.prepared', orderId: 1, generation: generation(2) });
    assert.deepEqual(one.toPool.at(-1), { type: 'pool.replace', orderId: 1, generation: generation(2) });
    one.pool({
      type: `pool.${type}`,
      orderId: 1,
      replaced: 2,
      remaining: 0,
      fault,
      by: 2,
    } as unknown as PoolReport);
    assert.deepEqual(one.ends, [`${type} reload 1`]);
  }
});

test('a reload whose settings or addresses are refused fails with the reason, and the pool hears nothing', () => {
  const one = serving();
  one.tell(reload);
  one.generations({ type: 'generation.refused', orderId: 1, number: 2, fault });
  assert.deepEqual([one.ends, one.toPool], [['failed reload 1'], []]);
});

test('a reload while one is being prepared supersedes it, and what was prepared is released', () => {
  const one = serving();
  one.tell(reload, reload);
  assert.deepEqual(one.ends, ['superseded reload 1']);
  one.generations(
    { type: 'generation.prepared', orderId: 1, generation: generation(2) },
    { type: 'generation.prepared', orderId: 2, generation: generation(3) },
  );
  assert.deepEqual(one.toGenerations.at(-1), { type: 'generation.release', number: 2 });
  assert.equal(one.toPool.length, 1);
});

test('a number of workers that a reload changed is scaled to at its commit point; an unchanged one is not', () => {
  const one = serving();
  one.tell({ type: 'arbiter.scale', by: 2, source: 'SIGTTIN' });
  one.pool({ type: 'pool.committed', orderId: 9, generation: 2, workers: 2 });
  assert.equal(one.toPool.length, 1);
  one.pool({ type: 'pool.committed', orderId: 9, generation: 3, workers: 6 });
  const last = one.toPool.at(-1);
  assert.equal(last?.type === 'pool.scale' && last.target, 6);
});

test('the listeners of a generation without processes are released', () => {
  const one = serving();
  one.pool({ type: 'pool.generationGone', generation: 1 });
  assert.deepEqual(one.toGenerations.at(-1), { type: 'generation.release', number: 1 });
});

test('reopen, retire, and resting while nobody else serves', () => {
  const one = serving();
  one.tell(
    { type: 'arbiter.reopen', source: 'SIGUSR1' },
    { type: 'arbiter.rest', source: 'SIGWINCH' },
    { type: 'arbiter.retire', age: 2, leave: 'drain', source: 'control' },
  );
  assert.deepEqual(one.toLogs, [{ type: 'log.reopen' }]);
  assert.deepEqual(one.ends, ['done reopen 1', 'refused rest 2']);
  assert.deepEqual(one.toPool, [{ type: 'pool.retire', orderId: 3, age: 2, leave: 'drain' }]);
});

test('stopping: graceful, hastened by a second, killed by a third; the second signal gives 128 + n', () => {
  const one = serving();
  one.tell(stop('graceful', 15), stop('graceful', 15), stop('quick', 2));
  assert.deepEqual(
    one.toPool.map((order) => order.type === 'pool.stop' && order.leave),
    ['drain', 'quit', 'kill'],
  );
  assert.deepEqual(one.toGenerations.at(-1), { type: 'generation.close' });
  one.pool({ type: 'pool.stopped' });
  assert.equal(one.output?.exitCode, 130);
  assert.deepEqual(one.ends.at(-1), 'done stop 1');
});

test('a failed start keeps its exit code when somebody hits Ctrl-C while it winds down', () => {
  const one = serving();
  one.pool({ type: 'pool.openFailed', fault });
  one.tell(stop('quick', 2), stop('quick', 2));
  one.pool({ type: 'pool.stopped' });
  assert.equal(one.output?.exitCode, 4);
});

test('what the settings ask for may be more than an operator may', () => {
  const one = serving({ workersMax: 3 });
  one.pool({ type: 'pool.committed', orderId: 9, generation: 2, workers: 6 });
  const last = one.toPool.at(-1);
  assert.equal(last?.type === 'pool.scale' && last.target, 6);
  one.tell({ type: 'arbiter.scale', by: 1, source: 'SIGTTIN' });
  assert.deepEqual(one.ends, ['refused scale 2']);
});

test('a quick stop quits; one signal gives 0', () => {
  const one = serving();
  one.tell(stop('quick', 2));
  one.pool({ type: 'pool.stopped' });
  assert.deepEqual(
    [one.toPool.map((order) => order.type === 'pool.stop' && order.leave), one.output?.exitCode],
    [['quit'], 0],
  );
});

test('while stopping, orders are refused, and a reload under way too', () => {
  const one = serving();
  one.tell(reload, stop('graceful', 15), reload, { type: 'arbiter.scale', by: 1, source: 'SIGTTIN' });
  assert.deepEqual(one.ends, ['refused reload 1', 'refused reload 3', 'refused scale 4']);
  one.generations({ type: 'generation.prepared', orderId: 1, generation: generation(2) });
  assert.deepEqual(one.toGenerations.at(-1), { type: 'generation.release', number: 2 });
});

test('the pool fails to open while it is being stopped', () => {
  const one = serving();
  one.tell(stop('graceful', 15));
  one.pool(
    { type: 'pool.openFailed', fault },
    { type: 'pool.committed', orderId: 1, generation: 2, workers: 2 },
  );
  one.pool({ type: 'pool.stopped' });
  assert.equal(one.output?.exitCode, 0);
});

test('an accepted order is told at once, an order to scale with its bounds', () => {
  const one = serving({ workersMax: 4 });
  const by = (n: number, ticket: number): ArbiterOrder => ({
    type: 'arbiter.scale',
    by: n,
    source: 'control',
    ticket,
  });
  one.tell(by(1, 11), by(1024, 12), by(1, 13), by(-1024, 14), by(-1, 15));
  const scaled = one.taken.map(({ ticket, previous, total, reason }) => [ticket, previous, total, reason]);
  assert.deepEqual(scaled, [
    [11, 2, 3, undefined],
    [12, 3, 4, 'the most allowed is 4 workers (--workers-max)'],
    [14, 4, 1, 'there must be at least 1 worker'],
  ]);
  assert.deepEqual(
    one.faults.map(({ type, ticket, total, fault }) => [type, ticket, total, fault?.code]),
    [
      ['order.refused', 13, 4, 'order.outOfBounds'],
      ['order.refused', 15, 1, 'order.outOfBounds'],
    ],
  );
});

test('every report of an order carries its ticket, however it ends', () => {
  for (const type of ['done', 'failed', 'refused', 'superseded'] as const) {
    const one = serving();
    one.tell({ ...reload, ticket: 7 });
    assert.deepEqual(one.taken, [
      { type: 'order.taken', orderId: 1, order: 'arbiter.reload', source: 'SIGHUP', ticket: 7 },
    ]);
    one.generations({ type: 'generation.prepared', orderId: 1, generation: generation(2) });
    const facts = { replaced: 2, remaining: 0, fault, by: 2 };
    one.pool({ type: `pool.${type}`, orderId: 1, ...facts } as unknown as PoolReport);
    const [end] = one.faults;
    assert.deepEqual([end?.type, end?.ticket, end?.generation, end?.replaced], [`order.${type}`, 7, 2, 2]);
  }
  const one = serving();
  one.tell(
    { type: 'arbiter.reopen', source: 'control', ticket: 1 },
    { type: 'arbiter.rest', source: 'control', ticket: 2 },
    { type: 'arbiter.retire', age: 1, leave: 'quit', source: 'control', ticket: 3 },
    { ...reload, ticket: 4 },
    { ...reload, ticket: 5 },
    { ...stop('graceful'), ticket: 6 },
    { ...reload, ticket: 7 },
  );
  one.pool({ type: 'pool.done', orderId: 3, replaced: 0 }, { type: 'pool.stopped' });
  assert.deepEqual(
    one.faults.map(({ ticket }) => ticket),
    [1, 2, 4, 5, 7, 3, 6],
  );
});

test('a command to stop waits for the stop under way: a graceful one with it, a quick one cuts', () => {
  const one = serving();
  one.tell(stop('graceful'), stop('graceful'), stop('quick'), stop('quick'));
  assert.deepEqual(
    one.toPool.map((order) => order.type === 'pool.stop' && order.leave),
    ['drain', 'quit', 'quit'],
  );
  assert.deepEqual([one.ends, one.taken.length], [[], 4]);
  one.pool({ type: 'pool.stopped' });
  assert.deepEqual(one.ends, ['done stop 1', 'done stop 2', 'done stop 3', 'done stop 4']);
  assert.equal(one.output?.exitCode, 0);
});

test('a signal after a command to stop is the first one; the second hastens, the third kills', () => {
  const one = serving();
  one.tell(stop('graceful'), stop('graceful', 15), stop('graceful', 15), stop('graceful', 15));
  assert.deepEqual(
    one.toPool.map((order) => order.type === 'pool.stop' && order.leave),
    ['drain', 'drain', 'quit', 'kill'],
  );
  const other = serving();
  other.tell(stop('graceful'), stop('quick', 2));
  assert.deepEqual(
    other.toPool.map((order) => order.type === 'pool.stop' && order.leave),
    ['drain', 'quit'],
  );
  other.pool({ type: 'pool.stopped' });
  assert.equal(other.output?.exitCode, 0);
});

test('a required control socket that was open once and is lost does not end the server', () => {
  const one = serving({ controls: [wish('control', true)] });
  one.controls({ type: 'control.opened', socket: 'control', path: '/run/kirin.ctl' });
  one.socket('control', failed);
  assert.match(one.state, /serving/);
});

test('commands to stop are taken up to a bound; signals always', () => {
  const one = serving();
  for (let n = 0; n < ORDERS_PENDING_MAX; n++) one.tell(stop('graceful'));
  one.tell(stop('graceful'), stop('quick'));
  assert.deepEqual(
    one.faults.map(({ type, fault }) => [type, fault?.code]),
    [
      ['order.refused', 'order.tooMany'],
      ['order.refused', 'order.tooMany'],
    ],
  );
  one.tell(stop('graceful', 15));
  assert.deepEqual(one.toPool.at(-1), {
    type: 'pool.stop',
    orderId: ORDERS_PENDING_MAX + 3,
    leave: 'drain',
  });
  one.pool({ type: 'pool.stopped' });
  assert.equal(one.ends.length, ORDERS_PENDING_MAX + 3);
});

test('what the pool never answered is refused at the end, not done', () => {
  const one = serving();
  one.tell({ type: 'arbiter.scale', by: 1, source: 'control' }, stop('graceful', 15));
  one.pool({ type: 'pool.stopped' });
  assert.deepEqual(one.ends, ['refused scale 1', 'done stop 2']);
});

test('the workers that the first settings ask for may be more than an operator may', () => {
  const one = serving({ workersMax: 1 });
  one.tell({ type: 'arbiter.scale', by: 1, source: 'SIGTTIN' });
  assert.deepEqual([one.ends, one.faults[0]?.total], [['refused scale 1'], 2]);
  one.tell({ type: 'arbiter.scale', by: -1, source: 'SIGTTOU' });
  assert.deepEqual(one.taken[0] && [one.taken[0].previous, one.taken[0].total], [2, 1]);
});

test('a lame duck serves on, takes no orders, and leaves when its time is over', () => {
  const one = serving({ lameDuckMs: 5000 });
  one.tell(reload, stop('graceful', 15));
  assert.match(one.state, /lameDuck/);
  assert.deepEqual(
    one.toPool.filter(({ type }) => type === 'pool.stop'),
    [],
  );
  one.tell(
    { type: 'arbiter.scale', by: 1, source: 'control' },
    reload,
    { type: 'arbiter.retire', age: 1, leave: 'drain', source: 'control' } as ArbiterOrder,
    stop('graceful'),
  );
  one.pool({ type: 'pool.committed', orderId: 1, generation: 2, workers: 2 });
  one.generations(
    { type: 'generation.prepared', orderId: 1, generation: generation(2) },
    { type: 'generation.refused', orderId: 1, number: 2, fault },
  );
  one.passes(4999);
  assert.match(one.state, /lameDuck/);
  one.passes(1);
  assert.match(one.state, /stopping/);
  assert.equal(one.toPool.filter(({ type }) => type === 'pool.stop').length, 1);
  one.pool({ type: 'pool.stopped' });
  assert.deepEqual(
    one.ends.filter((end) => end.startsWith('done')),
    ['done stop 2', 'done stop 6'],
  );
  assert.deepEqual(one.output, { exitCode: 0, fault: null });
});

test('a second signal ends a lame duck and cuts; a command may too; a quick stop has none', () => {
  const one = serving({ lameDuckMs: 5000 });
  one.tell(stop('graceful', 15), stop('graceful', 15));
  assert.deepEqual(one.toPool.at(-1), { type: 'pool.stop', orderId: 2, leave: 'quit' });
  one.pool({ type: 'pool.stopped' });
  assert.equal(one.output?.exitCode, 143);

  const other = serving({ lameDuckMs: 5000 });
  other.tell(stop('graceful', 15), stop('quick'));
  assert.deepEqual(other.toPool.at(-1), { type: 'pool.stop', orderId: 2, leave: 'quit' });

  const third = serving({ lameDuckMs: 5000 });
  third.tell(stop('quick', 2));
  assert.match(third.state, /stopping/);

  const crowded = serving({ lameDuckMs: 5000 });
  crowded.tell(...Array.from({ length: ORDERS_PENDING_MAX + 1 }, () => stop('graceful')));
  assert.match(crowded.ends[0] ?? '', /^refused stop/);
});

test('every transition has a test path, with those that chance finds', () => {
  assert.deepEqual(missedOf('orders', SEEDS_FOR_COVERAGE), []);
});
