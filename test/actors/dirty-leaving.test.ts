/** A router that leaves: what has not begun is handed back to its callers, who send it to the next one; and each call still ends once. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DirtyClient } from '../../src/actors/dirty/client.ts';
import { DirtyConnectionError, DirtyTimeoutError } from '../../src/actors/dirty/errors.ts';
import { FRAME } from '../../src/actors/dirty/frames.ts';
import { DIRTY_PROTOCOL } from '../../src/actors/dirty/hello.ts';
import { APPS, World } from './dirty-world.ts';
import { until } from './support.ts';

/** What was handed back; the first is the word that the router leaves, and of no call. */
const back = (peer: ReturnType<World['caller']>): string[] =>
  peer.take(FRAME.call).map(({ id, value }) => `${id} ${(value as [string, unknown[]] | undefined)?.[1][0]}`);

test('what waits and what comes is handed back as it was; what runs is answered', () => {
  const world = new World();
  const caller = world.caller();
  const worker = world.worker(1);
  for (const id of [1, 2, 3]) caller.call(id, { ms: 700 });
  world.settle();
  const [running] = worker.calls();
  world.router.leave(true);
  caller.call(4);
  const late = world.caller();
  late.call(1);
  world.settle();
  assert.deepEqual(
    [back(caller), back(late)],
    [
      ['0 undefined', '2 call 2', '3 call 3', '4 call 4'],
      ['0 undefined', '1 call 1'],
    ],
  );
  assert.equal(world.app().queued, 0);
  worker.result(running!.id);
  world.settle();
  assert.deepEqual(caller.ends(), ['1 result']);
  assert.deepEqual(worker.calls(), []);
  // What is said of a call that was handed back is too late, and nothing worse.
  caller.send({ type: FRAME.cancel, id: 2 });
  caller.call(2);
  world.settle();
  assert.deepEqual(back(caller), ['2 call 2']);
  assert.equal(caller.ended, undefined);
});

test('nobody waits for a router that will not come, nor a dirty worker for one that comes after its own', () => {
  const world = new World();
  const caller = world.caller();
  caller.call(1);
  world.settle();
  world.router.leave(false);
  caller.call(2);
  world.settle();
  assert.deepEqual(caller.ends(), ['1 DIRTY_UNAVAILABLE', '2 DIRTY_UNAVAILABLE']);

  const other = new World();
  const asking = other.caller(1, 43, 'dirty');
  asking.call(1);
  other.settle();
  other.router.leave(true);
  asking.call(2);
  other.settle();
  assert.deepEqual(asking.ends(), ['1 DIRTY_UNAVAILABLE', '2 DIRTY_UNAVAILABLE']);
});

/** A client of routers that follow each other, each with a worker of its own. */
function client(defaultTimeoutMs = 0) {
  let world = new World();
  const one = new DirtyClient({
    connect: async () => world.connect(),
    hello: { role: 'web', protocol: DIRTY_PROTOCOL, pid: 1, age: 1, generation: 1 },
    defaultTimeoutMs,
  });
  return {
    one,
    call: (value: unknown) => one.execute('./a.js:A', 'act', value),
    get world() {
      return world;
    },
    /** Its router ends, and this one takes its place. */
    follow(next: World) {
      const before = world;
      world = next;
      before.router.close();
      before.settle();
    },
    async until(what: string, isSo: () => unknown) {
      await until(what, () => {
        world.settle();
        return isSo();
      });
    },
  };
}

test('a client sends what it is handed back to the next router, also where that numbers apps otherwise', async () => {
  const it = client(60_000);
  const calls = [1, 2].map((value) => it.call(value));
  const stream = it.one.stream('./a.js:A', 'act', 3).next();
  await it.until('they wait', () => it.world.app().queued === 3);
  it.world.router.leave(true);
  await it.until('they were handed back', () => it.world.app().queued === 0);
  const late = it.call(4);
  const next = new World({
    apps: APPS.map(({ importPath, number }) => ({ importPath, number: 1 - number })),
  });
  it.follow(next);
  await it.until('they wait again', () => next.app().queued === 4 || next.app(1).queued === 4);
  const worker = next.worker(1, [1]);
  const order: unknown[] = [];
  for (let turn = 0; turn < 4; turn++) {
    next.settle();
    const [call] = worker.calls();
    order.push(call!.with);
    assert.ok(call!.ms > 0 && call!.ms <= 60_000, `${call!.ms} ms are left`);
    if (call!.with === 3) {
      worker.send({ type: FRAME.chunk, id: call!.id }, 'chunk');
      worker.send({ type: FRAME.end, id: call!.id });
    } else worker.result(call!.id, `answer ${call!.with}`);
  }
  next.settle();
  assert.deepEqual(order, [1, 2, 3, 4]);
  assert.deepEqual(await Promise.all([...calls, late]), ['answer 1', 'answer 2', 'answer 4']);
  assert.deepEqual(await stream, { value: 'chunk', done: false });
  it.one.close();
});

test('a client that hears that its router leaves sends it nothing more', async () => {
  const it = client();
  const first = it.call('first');
  const worker = it.world.worker(1);
  await it.until('it runs', () => it.world.app().running === 1);
  const [call] = worker.calls();
  it.world.router.leave(true);
  await it.until('it has heard', () => worker.calls().length === 0);
  const second = it.call('second');
  worker.result(call!.id, 'answer');
  await it.until('the first has ended', () => it.one.pending === 1);
  assert.equal(await first, 'answer');
  assert.equal(it.world.app().calls, 1);
  const next = new World();
  it.follow(next);
  await it.until('the second waits', () => next.app().queued === 1);
  const heir = next.worker(1);
  const [late] = heir.calls();
  heir.result(late!.id, 'late');
  await it.until('the second has ended', () => it.one.pending === 0);
  assert.equal(await second, 'late');
  it.one.close();
});

test('a call that was handed back keeps its deadline, and can be cancelled', async () => {
  const it = client();
  const gate = new AbortController();
  const cancelled = it.one.with({ signal: gate.signal }).execute('./a.js:A', 'act', 1);
  const late = it.one.with({ timeoutMs: 300 }).execute('./a.js:A', 'act', 2);
  for (const one of [cancelled, late]) one.catch(() => {});
  await it.until('they wait', () => it.world.app().queued === 2);
  it.world.router.leave(true);
  await it.until('they were handed back', () => it.world.app().queued === 0);
  gate.abort(new Error('enough'));
  await it.until('both have ended', () => it.one.pending === 0);
  await assert.rejects(cancelled, { code: 'DIRTY_CANCELLED' });
  await assert.rejects(late, DirtyTimeoutError);
  const next = new World();
  it.follow(next);
  it.one.close();
  assert.equal(next.app().queued, 0);
});

test('what runs ends with its router, what was handed back does not; one that is handed back for ever ends too', async () => {
  const it = client();
  const worker = it.world.worker(1);
  const running = it.call('runs').then(String, (error) => error);
  await it.until('it runs', () => worker.calls().length === 1);
  const waiting = it.call('waits').then(String, (error) => error);
  await it.until('it waits', () => it.world.app().queued === 1);
  for (let turn = 0; turn < 9; turn++) {
    it.world.router.leave(true);
    await it.until('it was handed back', () => it.world.app().queued === 0);
    if (turn === 8) break;
    const next = new World();
    it.follow(next);
    await it.until('it waits there', () => next.app().queued === 1);
  }
  await it.until('both have ended', () => it.one.pending === 0);
  assert.ok((await running) instanceof DirtyConnectionError);
  const error = await waiting;
  assert.ok(error instanceof DirtyConnectionError);
  assert.match(error.message, /handed it back 8 times/);
  it.one.close();
});
