/** The worker's side of resting: what it tells, where it can and where it cannot. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FaultError } from '../../src/actors/fault-error.ts';
import { Resting } from '../../src/actors/resting.ts';

/** A gate that does as told. */
function gated(pause: () => Promise<boolean>) {
  const did: string[] = [];
  const told: string[] = [];
  const resting = new Resting(
    {
      pause(reason) {
        did.push(`pause ${reason}`);
        return pause();
      },
      resume: (reason) => void did.push(`resume ${reason}`),
      async refill() {
        did.push('refill');
      },
    },
    (level, text) => told.push(`${level}: ${text}`),
  );
  return { resting, did, told };
}

test('it rests by a pause of its own kind, has a copy left, and says nothing in the log', async () => {
  const { resting, did, told } = gated(async () => true);
  await resting.rest();
  assert.equal(resting.isResting, true);
  resting.wake();
  assert.equal(resting.isResting, false);
  assert.deepEqual(did, ['pause rest', 'refill', 'resume rest']);
  assert.deepEqual(told, []);
});

test('woken before it rests it does not', async () => {
  const { resting } = gated(async () => false);
  await resting.rest();
  assert.equal(resting.isResting, false);
});

test('one that cannot rest accepts on, and says why once', async () => {
  const { resting, told } = gated(() => Promise.reject(new FaultError('worker.cannotPause', 'no copies')));
  await resting.rest();
  await resting.rest();
  assert.equal(resting.isResting, false);
  assert.deepEqual(told, ['warn: cannot rest from accepting: no copies']);
});
