/** Who is asked to let connections go: by figures of heartbeats, on a clock that the test turns. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Balancer } from '../../src/actors/balancer.ts';
import type { HeartbeatTable } from '../../src/actors/heartbeat.ts';

test('a worker that is paused neither gives connections nor counts in the share of the others', (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const connections = new Map([
    [1, 100],
    [2, 100],
    [3, 0],
  ]);
  const paused = new Set<number>();
  const heartbeats = {
    pulse: (age: number) => ({ figures: { connections: connections.get(age) } }),
  } as unknown as HeartbeatTable;
  const balancer = new Balancer(
    heartbeats,
    () => true,
    (age) => paused.has(age),
  );
  let asked: [age: number, connections: number][] = [];
  for (const age of connections.keys()) {
    balancer.hooks.linked?.(age, 1000 + age, (order) => {
      if (order.type === 'worker.shed') asked.push([age, order.connections]);
    });
    balancer.hooks.ready?.(age);
  }
  const look = (): typeof asked => {
    asked = [];
    t.mock.timers.tick(2000);
    return asked;
  };
  assert.deepEqual(look(), [
    [1, 50],
    [2, 50],
  ]);
  paused.add(3);
  assert.deepEqual(look(), []);
  // One that keeps what it has while it is paused.
  connections.set(1, 400);
  paused.add(1);
  assert.deepEqual(look(), []);
  paused.clear();
  assert.deepEqual(
    look().map(([age]) => age),
    [1],
  );
  for (const age of connections.keys()) balancer.hooks.gone?.(age);
});
