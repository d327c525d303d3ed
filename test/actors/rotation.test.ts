/** The arbiter's side of pausing: which answer an order gets, whatever the worker does. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Rotation } from '../../src/actors/rotation.ts';

/** A worker that only takes orders. */
function member(age = 1) {
  const rotation = new Rotation();
  const orders: string[] = [];
  rotation.hooks.linked?.(age, 4711, (order) => void orders.push(order.type));
  const says = (report: { type: string; [field: string]: unknown }) => rotation.hooks.reported?.(age, report);
  return { rotation, orders, says };
}

test('an order is answered when the worker says that it is so', async () => {
  const { rotation, orders, says } = member();
  const paused = Promise.all([rotation.turn(1, 'paused'), rotation.turn(1, 'paused')]);
  assert.deepEqual(orders, ['worker.pause', 'worker.pause']);
  assert.equal(rotation.isPaused(1), false);
  says({ type: 'worker.paused' });
  assert.deepEqual(await paused, [undefined, undefined]);
  assert.equal(rotation.isPaused(1), true);
  const resumed = rotation.turn(1, 'resumed');
  says({ type: 'worker.resumed' });
  assert.equal(await resumed, undefined);
  assert.equal(rotation.isPaused(1), false);
});

test('a newer order answers the older one, and its end is not taken for the other', async () => {
  const { rotation, says } = member();
  const paused = rotation.turn(1, 'paused');
  const resumed = rotation.turn(1, 'resumed');
  assert.equal(await paused, 'was told otherwise meanwhile');
  // It had paused before the second order reached it.
  says({ type: 'worker.paused' });
  assert.equal(rotation.isPaused(1), true);
  says({ type: 'worker.resumed' });
  assert.equal(await resumed, undefined);
  assert.equal(rotation.isPaused(1), false);
});

test('one that cannot, leaves, dies or was never there', async () => {
  const { rotation, says } = member();
  const fault = { code: 'worker.cannotPause', message: 'no copies of its descriptors: spawn EAGAIN' };
  const refused = rotation.turn(1, 'paused');
  says({ type: 'worker.pauseFailed', fault });
  assert.equal(await refused, `cannot be paused: ${fault.message}`);
  const left = rotation.turn(1, 'paused');
  assert.equal(
    rotation.hooks.leaving?.(1, { type: 'worker.drain', orderId: 1, graceMs: 1 }, () => {}),
    false,
  );
  assert.equal(await left, 'is leaving already');
  const died = rotation.turn(1, 'resumed');
  rotation.hooks.gone?.(1);
  assert.equal(await died, 'has ended already');
  assert.equal(await rotation.turn(1, 'paused'), 'has ended already');
  says({ type: 'worker.paused' });
  assert.equal(rotation.isPaused(1), false);
});

test('one that is silent is waited for so long, and may yet do it', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { rotation, says } = member();
  const silent = rotation.turn(1, 'paused');
  t.mock.timers.tick(15_000);
  assert.match((await silent)!, /^has not answered within 15 s/);
  says({ type: 'worker.paused' });
  assert.equal(rotation.isPaused(1), true);
});
