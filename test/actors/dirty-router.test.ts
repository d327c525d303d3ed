/** The router by itself, in a world of the test's own: each of its rules by example. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FLAG_DIRECT, FRAME } from '../../src/actors/dirty/frames.ts';
import { DIRTY_PROTOCOL } from '../../src/actors/dirty/hello.ts';
import { APPS, GRACE_MS, Peer, SECRET, World } from './dirty-world.ts';

test('a caller is told the apps with their numbers', () => {
  const world = new World();
  assert.deepEqual(world.caller().take(FRAME.welcome)[0]!.value, {
    protocol: DIRTY_PROTOCOL,
    apps: APPS,
    frameBytesMax: 64 * 1024 * 1024,
    caller: 1,
  });
});

test('a call is answered under the id of its caller, whatever ids others use', () => {
  const world = new World({ threads: 2 });
  const [one, two] = [world.caller(), world.caller()];
  const worker = world.worker(1);
  one.call(7, { value: 'of one' });
  two.call(7, { value: 'of two' });
  world.settle();
  const calls = worker.calls();
  assert.deepEqual(
    calls.map((call) => call.with),
    ['of one', 'of two'],
  );
  worker.result(calls[1]!.id, 'for two');
  worker.result(calls[0]!.id, 'for one');
  world.settle();
  assert.deepEqual(
    [one.take(FRAME.result), two.take(FRAME.result)].map(([heard]) => [heard!.id, heard!.value]),
    [
      [7, 'for one'],
      [7, 'for two'],
    ],
  );
});

test('calls wait in one queue: a free slot takes the oldest of all callers', () => {
  const world = new World();
  const callers = [world.caller(), world.caller()];
  const worker = world.worker(1);
  for (const id of [1, 2, 3]) for (const caller of callers) caller.call(id);
  world.settle();
  const order: unknown[] = [];
  for (let round = 0; round < 6; round++) {
    const [call] = worker.calls();
    order.push(call!.with);
    worker.result(call!.id);
    world.settle();
  }
  assert.deepEqual(order, ['call 1', 'call 1', 'call 2', 'call 2', 'call 3', 'call 3']);
});

test('a short call does not wait behind a long one while another worker is free', () => {
  const world = new World();
  const caller = world.caller();
  const workers = [world.worker(1), world.worker(2)];
  caller.call(1, { value: 'long' });
  world.settle();
  const isBusy = workers.map((worker) => worker.calls().length === 1);
  const free = workers[isBusy[0] ? 1 : 0]!;
  for (const id of [2, 3, 4]) {
    caller.call(id);
    world.settle();
    const [call] = free.calls();
    assert.equal(call?.with, `call ${id}`);
    free.result(call!.id);
    world.settle();
  }
  assert.deepEqual(caller.ends(), ['2 result', '3 result', '4 result']);
});

test('a worker of two apps takes the oldest of either', () => {
  const world = new World();
  const caller = world.caller();
  caller.call(1, { app: 1 });
  caller.call(2, { app: 0 });
  caller.call(3, { app: 1 });
  world.settle();
  const both = world.worker(1, [0, 1]);
  const order: unknown[] = [];
  for (let round = 0; round < 3; round++) {
    const [call] = both.calls();
    order.push(call!.with);
    both.result(call!.id);
    world.settle();
  }
  assert.deepEqual(order, ['call 1', 'call 2', 'call 3']);
});

test('a worker is sent nothing before its hello, and as much at once as it has threads', () => {
  const world = new World({ threads: 3 });
  const caller = world.caller();
  world.router.expect(1, 1, [0], SECRET, 3);
  for (const id of [1, 2, 3, 4]) caller.call(id);
  world.settle();
  assert.equal(world.app().queued, 4);
  const worker = world.worker(1);
  assert.deepEqual([worker.calls().length, world.app().queued, world.app().running], [3, 1, 3]);
});

test('no worker is idle while calls wait for another generation, and none of them is refused', () => {
  const world = new World({ queueMax: 1 });
  const [old, young] = [world.caller(1), world.caller(2)];
  const workers = [world.worker(1, [0], 1), world.worker(2, [0], 2), world.worker(3, [0], 2)];
  // As while a reload rolls: all callers are old, and one worker is.
  for (const id of [1, 2, 3, 4]) old.call(id);
  world.settle();
  const running = workers.map((worker) => worker.calls());
  assert.deepEqual(
    running.map((calls) => calls.map((call) => call.with)),
    [['call 1'], ['call 2'], ['call 3']],
  );
  assert.deepEqual([old.ends(), world.app().queued], [[], 1]);
  // A slot that comes free takes what waits for the old one, which is busy.
  workers[2]!.result(running[2]![0]!.id);
  world.settle();
  assert.deepEqual(
    workers[2]!.calls().map((call) => call.with),
    ['call 4'],
  );
  // But first what is of its own generation, though it came later.
  old.call(5);
  world.settle();
  world.router.setLimits({ queueMax: 2 });
  young.call(6);
  world.settle();
  workers[1]!.result(running[1]![0]!.id);
  world.settle();
  const [own] = workers[1]!.calls();
  assert.equal(own!.with, 'call 6');
  workers[1]!.result(own!.id);
  world.settle();
  assert.deepEqual(
    workers[1]!.calls().map((call) => call.with),
    ['call 5'],
  );
  assert.deepEqual([old.ends(), young.ends()], [['3 result', '2 result'], ['6 result']]);
});

test('of free workers one of the own generation is taken, though another is less busy', () => {
  const world = new World({ threads: 2 });
  const caller = world.caller(2);
  const [, own] = [world.worker(1, [0], 1), world.worker(2, [0], 2)];
  for (const id of [1, 2, 3]) caller.call(id);
  world.settle();
  assert.deepEqual(
    own!.calls().map((call) => call.with),
    ['call 1', 'call 2'],
  );
});

test('what waits for a generation whose workers leave goes to any, each in its turn', () => {
  const world = new World();
  const [old, young] = [world.caller(1), world.caller(2)];
  const [first, second] = [world.worker(1, [0], 1), world.worker(2, [0], 2)];
  for (const id of [1, 2]) {
    old.call(id, { value: `old ${id}` });
    young.call(id, { value: `young ${id}` });
  }
  world.settle();
  const firstCalls = first.calls();
  assert.deepEqual([firstCalls.map((call) => call.with), second.calls().length], [['old 1'], 1]);
  // The old generation leaves: what waited for it goes to the new one, behind what was there before.
  world.router.leaving(1);
  first.result(firstCalls[0]!.id);
  world.settle();
  assert.deepEqual(world.left, [1]);
  assert.equal(first.calls().length, 0);
  assert.equal(world.app().queued, 2);
  const running = world.router.stats().workers.find(({ age }) => age === 2)!.running[0]!;
  second.result(running.id);
  world.settle();
  assert.deepEqual(
    second.calls().map((call) => call.with),
    ['old 2'],
  );
});

test('a worker that leaves is done when its last call is, and gets none in between', () => {
  const world = new World();
  const caller = world.caller();
  const worker = world.worker(1);
  const [idle] = [world.worker(2)];
  world.router.leaving(2);
  assert.deepEqual(world.left, [2]);
  caller.call(1);
  caller.call(2);
  world.settle();
  world.router.leaving(1);
  world.router.leaving(1);
  assert.deepEqual(world.left, [2]);
  worker.result(worker.calls()[0]!.id);
  world.settle();
  assert.deepEqual([world.left, caller.ends(), world.app().queued], [[2, 1], ['1 result'], 1]);
  assert.equal(idle!.calls().length + worker.calls().length, 0);
  // Before it ever came: nothing runs in it.
  world.router.expect(3, 1, [0], SECRET);
  world.router.leaving(3);
  assert.deepEqual(world.left, [2, 1, 3]);
});

test('a deadline ends what waits and what runs; the slot is free when the worker says so', () => {
  const world = new World();
  const caller = world.caller();
  const worker = world.worker(1);
  caller.call(1, { ms: 100 });
  caller.call(2, { ms: 50 });
  caller.call(3);
  world.settle();
  world.pass(60);
  world.settle();
  assert.deepEqual(caller.ends(), ['2 DIRTY_TIMEOUT']);
  world.pass(60);
  world.settle();
  assert.deepEqual(caller.ends(), ['1 DIRTY_TIMEOUT']);
  const [call] = worker.calls();
  assert.deepEqual([call!.ms, worker.take(FRAME.cancel)[0]!.id, worker.calls()], [100, call!.id, []]);
  worker.result(call!.id, 'too late');
  world.settle();
  assert.deepEqual(caller.ends(), []);
  assert.deepEqual(
    worker.calls().map((next) => [next.with, next.ms]),
    [['call 3', 0]],
  );
  assert.deepEqual([world.stuck, world.app().timeouts], [[], 2]);
});

test('what has waited is told only what is left of its time', () => {
  const world = new World();
  const caller = world.caller();
  caller.call(1, { ms: 100 });
  world.settle();
  world.pass(70);
  assert.equal(world.worker(1).calls()[0]!.ms, 30);
});

test('a worker that keeps its slot beyond the grace is stuck, once, and so until it is gone', () => {
  const world = new World({ threads: 2 });
  const caller = world.caller();
  world.worker(1);
  caller.call(1, { ms: 10 });
  caller.call(2, { ms: 10 });
  world.settle();
  world.pass(11);
  world.pass(GRACE_MS - 1);
  assert.deepEqual(world.stuck, []);
  world.pass(2);
  world.pass(GRACE_MS * 10);
  assert.deepEqual(world.stuck, [1]);
  world.router.gone(1);
  world.settle();
  assert.deepEqual([caller.ends(), world.router.stats().calls], [['1 DIRTY_TIMEOUT', '2 DIRTY_TIMEOUT'], []]);
});

test('the others in a worker that is stuck end first, and it gets no more; the log says that a deadline was overrun', () => {
  const world = new World({ threads: 3 });
  const caller = world.caller();
  const worker = world.worker(1);
  caller.call(1, { ms: 10 });
  caller.call(2);
  world.settle();
  const [, other] = worker.calls();
  world.pass(11);
  world.pass(GRACE_MS + 1);
  assert.deepEqual(world.stuck, []);
  assert.match(
    world.notices.join('\n'),
    /^dirty worker 1 gets no more calls: a call of \.\/a\.js:A runs on 1001 ms after its deadline has passed; 1 other call in it may end within 1000 ms$/,
  );
  // There is a slot, and it is not for this one.
  caller.call(3);
  world.settle();
  assert.deepEqual([worker.calls(), world.app().queued], [[], 1]);
  world.pass(GRACE_MS - 1);
  worker.result(other!.id);
  world.settle();
  assert.deepEqual([caller.ends(), world.stuck], [['1 DIRTY_TIMEOUT', '2 result'], []]);
  world.pass(1);
  assert.deepEqual([world.stuck, world.notices.length], [[1], 1]);
  assert.match(world.whys[0]!, /^a call of \.\/a\.js:A runs on \d+ ms after its deadline has passed$/);
  world.router.gone(1);
  const next = world.worker(2);
  assert.equal(next.calls()[0]!.with, 'call 3');
});

test('the others in a worker that is stuck have the grace once more and no longer, and their own deadlines', () => {
  const world = new World({ threads: 3 });
  const caller = world.caller();
  const worker = world.worker(1);
  caller.call(1, { ms: 10 });
  caller.call(2);
  caller.call(3, { ms: GRACE_MS + 500 });
  world.settle();
  world.pass(11);
  world.pass(GRACE_MS + 1);
  world.pass(GRACE_MS - 1);
  world.settle();
  assert.deepEqual([caller.ends(), world.stuck], [['1 DIRTY_TIMEOUT', '3 DIRTY_TIMEOUT'], []]);
  assert.equal(worker.take(FRAME.cancel).length, 2);
  world.pass(2);
  assert.deepEqual(world.stuck, [1]);
  assert.match(
    world.whys[0]!,
    /after its deadline has passed; 2 other calls in it did not end within 1000 ms$/,
  );
  world.router.gone(1);
  world.settle();
  assert.deepEqual(caller.ends(), ['2 DIRTY_WORKER_DIED']);
});

test('a call that was only cancelled costs its worker nothing until its slot is wanted; the log says that it was cancelled', () => {
  const world = new World({ threads: 2 });
  const caller = world.caller();
  const worker = world.worker(1, [0, 1]);
  caller.call(1);
  world.settle();
  caller.send({ type: FRAME.cancel, id: 1 });
  world.settle();
  world.pass(GRACE_MS * 100);
  caller.call(2);
  world.settle();
  world.pass(GRACE_MS * 100);
  assert.deepEqual([world.stuck, world.notices, worker.calls().length], [[], [], 2]);
  caller.call(3, { app: 1 });
  world.settle();
  world.pass(1);
  assert.deepEqual([world.stuck, world.notices.length], [[], 1]);
  assert.match(
    world.notices[0]!,
    /after it was cancelled, and its place is wanted; 1 other call in it may end/,
  );
  world.pass(GRACE_MS + 1);
  assert.match(
    world.whys.join(),
    /after it was cancelled, and its place is wanted; 1 other call in it did not end/,
  );
});

test('a worker that leaves is not waited for where nothing but a cancelled call runs in it', () => {
  const world = new World();
  const caller = world.caller();
  world.worker(1);
  caller.call(1);
  world.settle();
  caller.send({ type: FRAME.cancel, id: 1 });
  world.settle();
  world.router.leaving(1);
  world.pass(GRACE_MS + 1);
  assert.deepEqual([world.left, world.stuck], [[], [1]]);
});

test('a worker whose overdue call ends after all serves on', () => {
  const world = new World({ threads: 2 });
  const caller = world.caller();
  const worker = world.worker(1);
  caller.call(1, { ms: 10 });
  caller.call(2);
  world.settle();
  const [late] = worker.calls();
  world.pass(11);
  world.pass(GRACE_MS + 1);
  caller.call(3);
  world.settle();
  assert.deepEqual([worker.calls(), world.notices.length], [[], 1]);
  worker.result(late!.id, 'too late');
  world.settle();
  assert.deepEqual(
    worker.calls().map((call) => call.with),
    ['call 3'],
  );
  world.pass(GRACE_MS * 10);
  assert.deepEqual([world.stuck, caller.ends()], [[], ['1 DIRTY_TIMEOUT']]);
});

test('a caller that cancels, or is gone, frees the queue and tells the worker', () => {
  const world = new World();
  const [one, two] = [world.caller(), world.caller()];
  const worker = world.worker(1);
  one.call(1);
  one.call(2);
  two.call(1);
  world.settle();
  const [running] = worker.calls();
  one.send({ type: FRAME.cancel, id: 2 });
  one.send({ type: FRAME.cancel, id: 99 });
  world.settle();
  assert.equal(world.app().queued, 1);
  one.channel.close();
  world.settle();
  assert.equal(worker.take(FRAME.cancel)[0]!.id, running!.id);
  worker.result(running!.id);
  world.settle();
  assert.deepEqual([worker.calls().map((call) => call.with), one.heard.length], [['call 1'], 1]);
  assert.equal(world.app().cancelled, 2);
});

test('an id may be used again as soon as its call has ended for the caller', () => {
  const world = new World();
  const caller = world.caller();
  const worker = world.worker(1);
  caller.call(1);
  world.settle();
  caller.send({ type: FRAME.cancel, id: 1 });
  caller.call(1, { value: 'again' });
  world.settle();
  const [first] = worker.calls();
  worker.result(first!.id, 'of the first');
  world.settle();
  const [second] = worker.calls();
  worker.result(second!.id, 'of the second');
  world.settle();
  assert.deepEqual(
    caller.take(FRAME.result).map(({ value }) => value),
    ['of the second'],
  );
});

test('a stream passes as far as its credit, also credit that was given while it waited', () => {
  const world = new World();
  const caller = world.caller();
  caller.call(1, { stream: true });
  caller.send({ type: FRAME.credit, id: 1, number: 2 });
  world.settle();
  const worker = world.worker(1);
  const { id } = worker.calls()[0]!;
  assert.deepEqual(
    worker.take(FRAME.credit).map((heard) => [heard.id, heard.number]),
    [[id, 2]],
  );
  caller.send({ type: FRAME.credit, id: 1, number: 3 });
  world.settle();
  assert.equal(worker.take(FRAME.credit)[0]!.number, 3);
  // What was read, without room for more chunks.
  caller.send({ type: FRAME.credit, id: 1, number: 0, readBytes: 5_000_000 });
  world.settle();
  assert.deepEqual(
    worker.take(FRAME.credit).map((heard) => [heard.number, heard.caller]),
    [[0, 5_000_000]],
  );
  for (let chunk = 1; chunk <= 5; chunk++) worker.send({ type: FRAME.chunk, id }, chunk);
  worker.send({ type: FRAME.end, id });
  world.settle();
  assert.deepEqual(
    caller.take(FRAME.chunk).map(({ value }) => value),
    [1, 2, 3, 4, 5],
  );
  assert.deepEqual([caller.ends(), worker.ended], [['1 end'], undefined]);
});

test('chunks of an abandoned stream are dropped, and belong to no later call', () => {
  const world = new World();
  const caller = world.caller();
  const worker = world.worker(1);
  caller.call(1, { stream: true });
  caller.send({ type: FRAME.credit, id: 1, number: 100 });
  world.settle();
  const { id } = worker.calls()[0]!;
  worker.send({ type: FRAME.chunk, id }, 'kept');
  world.settle();
  caller.send({ type: FRAME.cancel, id: 1 });
  caller.call(1, { value: 'next' });
  world.settle();
  for (let chunk = 0; chunk < 5; chunk++) worker.send({ type: FRAME.chunk, id }, 'dropped');
  worker.send({ type: FRAME.end, id });
  world.settle();
  const [next] = worker.calls();
  worker.result(next!.id, 'of the next');
  world.settle();
  assert.deepEqual(
    [caller.take(FRAME.chunk), caller.take(FRAME.result)].map((heard) => heard.map(({ value }) => value)),
    [['kept'], ['of the next']],
  );
});

test('a worker that is gone ends what ran in it; another gets what waits', () => {
  const world = new World();
  const caller = world.caller();
  world.worker(1);
  caller.call(1);
  caller.call(2);
  world.settle();
  world.router.gone(1);
  world.settle();
  assert.deepEqual(caller.ends(), ['1 DIRTY_WORKER_DIED']);
  assert.equal(world.worker(2).calls()[0]!.with, 'call 2');
});

test('a worker that lives on without its connection is stuck', () => {
  const world = new World();
  const worker = world.worker(1);
  worker.channel.close();
  world.settle();
  world.pass(GRACE_MS - 1);
  assert.deepEqual(world.stuck, []);
  world.pass(2);
  world.pass(GRACE_MS);
  assert.deepEqual(world.stuck, [1]);
});

test('without hope of a worker calls end, unless one is ready all the same', () => {
  const world = new World();
  const caller = world.caller();
  caller.call(1);
  caller.call(2, { app: 1 });
  world.settle();
  world.router.available(0, 'none');
  caller.call(3);
  world.settle();
  assert.deepEqual(caller.ends(), ['1 DIRTY_UNAVAILABLE', '3 DIRTY_UNAVAILABLE']);
  const worker = world.worker(1);
  caller.call(4);
  caller.call(5);
  world.settle();
  assert.equal(worker.calls()[0]!.with, 'call 4');
  world.router.gone(1);
  world.settle();
  assert.deepEqual(caller.ends(), ['4 DIRTY_WORKER_DIED', '5 DIRTY_UNAVAILABLE']);
  assert.equal(world.app(1).queued, 1);
});

test('queues are bounded in calls and in bytes, and no app fills that of another', () => {
  const world = new World({ queueMax: 2, frameBytesMax: 100_000 });
  const caller = world.caller();
  for (const id of [1, 2, 3]) caller.call(id);
  caller.call(4, { app: 1 });
  world.settle();
  assert.deepEqual([caller.ends(), world.app().overloaded], [['3 DIRTY_OVERLOADED'], 1]);
  const wide = new World({ queueMax: 100, frameBytesMax: 100_000 });
  const many = wide.caller();
  for (let id = 1; id <= 6; id++) many.call(id, { value: Buffer.alloc(90_000) });
  for (let id = 7; id <= 12; id++) many.call(id, { app: 1, value: Buffer.alloc(90_000) });
  wide.settle();
  assert.deepEqual([wide.app(0).queued, wide.app(1).queued], [4, 4]);
  assert.deepEqual(
    many.ends(),
    [5, 6, 11, 12].map((id) => `${id} DIRTY_OVERLOADED`),
  );
  // What no longer waits holds nothing.
  for (const id of [1, 2]) many.send({ type: FRAME.cancel, id });
  const worker = wide.worker(1, [0, 1]);
  many.call(13, { value: Buffer.alloc(200_000) });
  many.call(14, { app: 1, value: Buffer.alloc(90_000) });
  wide.settle();
  assert.deepEqual([wide.app(0).queued, wide.app(1).queued, many.ends()], [2, 4, ['14 DIRTY_OVERLOADED']]);
  assert.equal(worker.calls().length, 1);
});

test('a worker whose answers are not read because a caller does not read is not stuck for that', () => {
  const world = new World({ frameBytesMax: 100_000, threads: 3 });
  const [deaf, other] = [world.caller(), world.caller()];
  const worker = world.worker(1);
  deaf.call(1);
  deaf.call(2);
  other.call(1);
  world.settle();
  const calls = worker.calls();
  deaf.channel.pause();
  for (const { id } of calls.slice(0, 2)) worker.result(id, Buffer.alloc(90_000));
  world.settle();
  other.send({ type: FRAME.cancel, id: 1 });
  world.settle();
  worker.result(calls[2]!.id);
  world.settle();
  world.pass(GRACE_MS * 2);
  assert.deepEqual(world.stuck, []);
  deaf.channel.resume();
  world.pass(1);
  world.settle();
  world.pass(GRACE_MS * 2);
  assert.deepEqual([world.stuck, world.router.stats().calls], [[], []]);
});

test('a caller that does not read is not read, nor are the workers that answer it; then it is cut off', () => {
  const world = new World({ frameBytesMax: 100_000, threads: 2 });
  const [deaf, other] = [world.caller(), world.caller()];
  const worker = world.worker(1);
  deaf.call(1);
  deaf.call(2);
  world.settle();
  deaf.channel.pause();
  for (const { id } of worker.calls()) worker.result(id, Buffer.alloc(90_000));
  world.settle();
  other.call(1);
  world.settle();
  worker.result(worker.calls()[0]!.id);
  world.settle();
  assert.deepEqual(other.ends(), []);
  // It reads again: everything goes on.
  deaf.channel.resume();
  world.settle();
  assert.deepEqual([deaf.ends(), other.ends()], [['1 result', '2 result'], ['1 result']]);
  // It never reads: the others go on without it.
  deaf.call(3);
  deaf.call(4);
  world.settle();
  deaf.channel.pause();
  for (const { id } of worker.calls()) worker.result(id, Buffer.alloc(90_000));
  world.settle();
  other.call(2);
  world.settle();
  worker.result(worker.calls()[0]!.id);
  world.settle();
  world.pass(40_000);
  world.settle();
  assert.deepEqual(other.ends(), ['2 result']);
});

test('an operator cancels what waits and what runs', () => {
  const world = new World();
  const caller = world.caller();
  const worker = world.worker(1);
  caller.call(1);
  caller.call(2);
  world.settle();
  for (const { id } of world.router.stats().calls) assert.ok(world.router.cancel(id));
  world.settle();
  assert.deepEqual(caller.ends(), ['1 DIRTY_CANCELLED', '2 DIRTY_CANCELLED']);
  assert.deepEqual(
    world.router.stats().calls.map(({ state }) => state),
    ['abandoned'],
  );
  assert.equal(world.router.cancel(worker.calls()[0]!.id), false);
});

test('a frame that breaks the rules ends its connection, and everything that is pending on it', () => {
  const byCaller: [string, (caller: Peer) => void, RegExp][] = [
    ['a duplicate id', (caller) => caller.call(1), /id 1 is pending already/],
    ['a result from a caller', (caller) => caller.result(1), /type 4 from a caller/],
    ['credit for no stream', (caller) => caller.send({ type: FRAME.credit, id: 1, number: 1 }), /no stream/],
    [
      'credit for nothing',
      (caller) => {
        caller.call(2, { stream: true });
        caller.send({ type: FRAME.credit, id: 2, number: 0 });
      },
      /credit for nothing/,
    ],
    ['a second hello', (caller) => caller.send({ type: FRAME.hello }, {}), /type 1 from a caller/],
  ];
  const byWorker: [string, (worker: Peer, id: number) => void, RegExp][] = [
    ['an unknown id', (worker) => worker.result(4711), /which it does not run/],
    ['a call from a worker', (worker) => worker.call(9), /type 3 from a worker/],
    ['a chunk of no stream', (worker, id) => worker.send({ type: FRAME.chunk, id }, 1), /no stream/],
  ];
  const bad = [
    ...byCaller.map(([name, act, why]) => ({ name, why, isWorker: false, act: (peer: Peer) => act(peer) })),
    ...byWorker.map(([name, act, why]) => ({ name, why, isWorker: true, act })),
  ];
  for (const { name, why, isWorker, act } of bad) {
    const world = new World();
    const [caller, other] = [world.caller(), world.caller()];
    const worker = world.worker(1);
    caller.call(1);
    world.settle();
    const culprit = isWorker ? worker : caller;
    act(culprit, worker.calls()[0]!.id);
    world.settle();
    assert.ok(culprit.ended, name);
    assert.match(world.notices.join(), why);
    if (culprit === worker) assert.deepEqual(caller.ends(), ['1 DIRTY_WORKER_DIED'], name);
    else assert.equal(worker.take(FRAME.cancel).length, 1, name);
    assert.equal(other.ended, undefined);
  }
});

test('who is not expected is not let in', () => {
  const hello = {
    role: 'worker',
    protocol: DIRTY_PROTOCOL,
    pid: 1,
    age: 1,
    generation: 1,
    apps: [0],
    secret: SECRET,
  };
  const wrong: [object, RegExp][] = [
    [{ ...hello, secret: 'guess' }, /not started here/],
    [{ ...hello, age: 2 }, /not started here/],
    [{ ...hello, apps: [0, 1] }, /not the one that was started/],
    [{ ...hello, generation: 3 }, /not the one that was started/],
    [{ ...hello, protocol: 1 }, /protocol 1/],
    [{ ...hello, role: 'king' }, /no role/],
    [{}, /protocol undefined/],
  ];
  for (const [said, why] of wrong) {
    const world = new World();
    world.router.expect(1, 1, [0], SECRET);
    const peer = new Peer(world.connect());
    peer.send({ type: FRAME.hello }, said);
    world.settle();
    assert.ok(peer.ended);
    assert.match(world.notices.join(), why);
  }
  const world = new World();
  world.worker(1);
  const twin = new Peer(world.connect());
  twin.send({ type: FRAME.hello }, hello);
  world.settle();
  assert.match(world.notices.join(), /twice/);
  const silent = new Peer(world.connect());
  world.pass(20_000);
  world.settle();
  assert.ok(silent.ended);
});

test('a peer that comes again and again does not fill the log', () => {
  const world = new World();
  const come = (protocol: number): void => {
    new Peer(world.connect()).send({ type: FRAME.hello }, { role: 'web', protocol });
    world.settle();
  };
  for (let time = 0; time < 200; time++) come(1);
  come(2);
  const told = (protocol: number) => `protocol ${protocol}, this is ${DIRTY_PROTOCOL}`;
  const once = [1, 2].map((protocol) => `a connection was cut: ${told(protocol)}`);
  assert.deepEqual(world.notices, once);
  world.pass(61_000);
  const more = `199 more connections were cut within 60 s: ${told(1)}`;
  assert.deepEqual(world.notices, [...once, more]);
  come(1);
  world.pass(61_000);
  assert.match(world.notices[3]!, /^1 more connection was cut/);
  // After a while of peace it is news again.
  world.pass(61_000);
  come(1);
  assert.deepEqual(world.notices.slice(4), [once[0]]);
  // Nor does one that breaks the rules in ever new ways.
  for (let time = 0; time < 1000; time++) come(1000 + time);
  assert.ok(world.notices.length < 70, `${world.notices.length} notices`);
});

test('an app that there is not is an error, and not the end', () => {
  const world = new World();
  const caller = world.caller();
  caller.call(1, { app: 9 });
  world.settle();
  assert.deepEqual([caller.ends(), caller.ended], [['1 DIRTY_APP_NOT_FOUND'], undefined]);
  world.router.setApps([...APPS, { importPath: './c.js:C', number: 9 }]);
  caller.call(2, { app: 9 });
  world.settle();
  assert.equal(world.app(2).queued, 1);
});

test('the stash answers under its own ids', () => {
  const world = new World();
  const caller = world.caller();
  caller.send({ type: FRAME.stash, id: 5 }, ['get', 'key']);
  world.settle();
  assert.deepEqual(
    caller.take(FRAME.result).map(({ id, value }) => [id, value]),
    [[5, ['get', 'key']]],
  );
});

test('a direct call waits without its payload; its caller is told where it runs, and the worker who called', () => {
  const world = new World();
  const caller = world.caller();
  const door = { address: '/run/worker', secret: 'open' };
  const worker = world.worker(1, [0], 1, door);
  caller.send({ type: FRAME.call, flags: FLAG_DIRECT, id: 8, app: 0, number: 500 });
  world.settle();
  const [word] = worker.take(FRAME.call);
  assert.deepEqual([word!.flags, word!.caller, word!.callerId, word!.number], [FLAG_DIRECT, 1, 8, 500]);
  const [told] = caller.take(FRAME.direct);
  assert.deepEqual([told!.id, told!.number, told!.value], [8, 1, { worker: 1, ...door }]);
  worker.send({ type: FRAME.end, flags: FLAG_DIRECT, id: word!.id });
  world.settle();
  const [end] = caller.take(FRAME.end);
  assert.deepEqual([end!.id, end!.flags, end!.number], [8, FLAG_DIRECT, 1]);
  assert.deepEqual([world.app().running, world.router.stats().calls], [0, []]);
});

test('a payload that passes the router after all reaches the worker under its number, once', () => {
  const world = new World();
  const caller = world.caller();
  const worker = world.worker(1);
  caller.send({ type: FRAME.call, flags: FLAG_DIRECT, id: 8, app: 0 });
  world.settle();
  assert.equal(caller.take(FRAME.direct)[0]!.value, undefined);
  const [word] = worker.take(FRAME.call);
  caller.send({ type: FRAME.payload, id: 8 }, ['act', [1]]);
  // Of a call that has ended meanwhile: it starts nothing.
  caller.send({ type: FRAME.payload, id: 9 }, ['act', [1]]);
  world.settle();
  assert.deepEqual(
    worker.take(FRAME.payload).map(({ id, value }) => [id, value]),
    [[word!.id, ['act', [1]]]],
  );
  worker.result(word!.id);
  world.settle();
  assert.deepEqual(caller.ends(), ['8 result']);
  caller.call(10);
  world.settle();
  caller.send({ type: FRAME.payload, id: 10 }, ['act', [1]]);
  world.settle();
  assert.match(world.notices.join(), /a payload that nobody has asked for/);
  world.router.close();
});

test('a stream cannot be answered directly', () => {
  const world = new World();
  const caller = world.caller();
  const worker = world.worker(1);
  caller.call(1, { stream: true });
  world.settle();
  worker.send({ type: FRAME.end, flags: FLAG_DIRECT, id: worker.calls()[0]!.id });
  world.settle();
  assert.match(world.notices.join(), /a direct result of a stream/);
  world.router.close();
});
