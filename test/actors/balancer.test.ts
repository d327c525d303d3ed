/** Who is asked to let connections go: by figures of heartbeats, on a clock that the test turns. */
import assert from 'node:assert/strict';
import type { CpuInfo } from 'node:os';
import { type TestContext, test } from 'node:test';
import { Balancer } from '../../src/actors/balancer.ts';
import type { HeartbeatTable } from '../../src/actors/heartbeat.ts';
import { Looks } from '../../src/actors/looks.ts';
import { together } from '../../src/actors/process.ts';
import { Processors } from '../../src/actors/processors.ts';

/** `figures`: connections and requests/s by age. `ask` turns the clock by one look, and says who was asked to let go of how many. */
function balanced(t: TestContext, figures: Map<number, [number, number]>, processors: Processors) {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const paused = new Set<number>();
  const heartbeats = {
    pulse: (age: number) => {
      const [connections, requestsPerSecond] = figures.get(age)!;
      return { requestsPerSecond, figures: { connections } };
    },
  } as unknown as HeartbeatTable;
  const balancer = new Balancer(
    heartbeats,
    () => true,
    (age) => paused.has(age),
    processors.count,
  );
  const hooks = together(balancer.hooks, new Looks(processors, [balancer.look]).hooks);
  let asked: [age: number, connections: number][] = [];
  for (const age of figures.keys()) {
    hooks.linked?.(age, 1000 + age, (order) => {
      if (order.type === 'worker.shed') asked.push([age, order.connections]);
    });
    hooks.ready?.(age);
  }
  t.after(() => {
    for (const age of figures.keys()) hooks.gone?.(age);
  });
  const look = (): typeof asked => {
    asked = [];
    t.mock.timers.tick(2000);
    return asked;
  };
  return { look, paused };
}

const times = (busy: number, idle: number) =>
  [{ times: { user: busy, nice: 0, sys: 0, irq: 0, idle } }] as CpuInfo[];

test('a worker that is paused neither gives connections nor counts in the share of the others', (t) => {
  const figures = new Map<number, [number, number]>([
    [1, [100, 0]],
    [2, [100, 0]],
    [3, [0, 0]],
  ]);
  const { look, paused } = balanced(t, figures, new Processors(8));
  assert.deepEqual(look(), [
    [1, 50],
    [2, 50],
  ]);
  paused.add(3);
  assert.deepEqual(look(), []);
  // One that keeps what it has while it is paused.
  figures.set(1, [400, 0]);
  paused.add(1);
  assert.deepEqual(look(), []);
  paused.clear();
  assert.deepEqual(
    look().map(([age]) => age),
    [1],
  );
});

test('with more workers than processors, and those full, connections that are served alike stay where they are', (t) => {
  const figures = new Map<number, [number, number]>([
    [1, [100, 5000]],
    [2, [0, 0]],
  ]);
  let [busy, idle] = [0, 0];
  const spend = (more: [busy: number, idle: number]): void => {
    busy += more[0];
    idle += more[1];
  };
  const { look } = balanced(t, figures, new Processors(1, () => times(busy, idle)));
  const ages = (): number[] => look().map(([age]) => age);
  spend([1000, 0]);
  assert.deepEqual(ages(), [], 'nothing is known of the time before the first look');
  spend([1950, 50]);
  assert.deepEqual(ages(), []);
  spend([1500, 500]);
  assert.deepEqual(ages(), [], 'they may have been full since it began');
  spend([1500, 500]);
  assert.deepEqual(ages(), [1], 'something is left of them');
  spend([2000, 0]);
  figures.set(2, [10, 5000]);
  assert.deepEqual(ages(), [1], 'the others are served better');
});

test('with more workers than processors a load that only begins is not spread before it is known whether it fills them', (t) => {
  const figures = new Map<number, [number, number]>([
    [1, [0, 0]],
    [2, [0, 0]],
  ]);
  let [busy, idle] = [0, 0];
  const { look } = balanced(t, figures, new Processors(1, () => times(busy, idle)));
  idle += 2000;
  assert.deepEqual(look(), []);
  figures.set(1, [50, 5000]);
  busy += 500;
  idle += 1500;
  assert.deepEqual(look(), [], 'it began just before this look');
  for (let looks = 0; looks < 3; looks++) {
    busy += 2000;
    assert.deepEqual(look(), [], 'full');
  }
});

test('with a processor for each worker connections are spread however full they are', (t) => {
  const figures = new Map<number, [number, number]>([
    [1, [100, 5000]],
    [2, [0, 0]],
  ]);
  let busy = 0;
  const readAnew = (): CpuInfo[] => {
    busy += 2000;
    return times(busy, 0);
  };
  const { look } = balanced(t, figures, new Processors(2, readAnew));
  for (let turn = 0; turn < 3; turn++) assert.equal(look().length, 1);
});
