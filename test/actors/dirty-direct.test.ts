/** Large payloads go from their caller to the worker, and back, past the router: over real sockets, in one process. */
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { mock, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { actionsOf, DirtyApp, type DirtyClass } from '../../src/actors/dirty/app.ts';
import type { Channel } from '../../src/actors/dirty/channel.ts';
import { DirtyClient, type DirtyClientOptions } from '../../src/actors/dirty/client.ts';
import {
  bareFrame,
  DIRECT_BYTES,
  FLAG_DIRECT,
  FRAME,
  HEADER_BYTES,
  idOf,
  LARGE_BYTES,
  payloadOf as payloadIn,
  typeOf,
  writeHeader,
} from '../../src/actors/dirty/frames.ts';
import { DIRTY_PROTOCOL } from '../../src/actors/dirty/hello.ts';
import { packFrame, unpack } from '../../src/actors/dirty/packing.ts';
import { Router } from '../../src/actors/dirty/router.ts';
import { DirtyRuntime } from '../../src/actors/dirty/runtime.ts';
import type { RunningApp } from '../../src/actors/dirty/runtime-apps.ts';
import { AwaitingCalls } from '../../src/actors/dirty/runtime-awaiting.ts';
import { RuntimeDoor } from '../../src/actors/dirty/runtime-door.ts';
import { acceptedChannel, connectChannel } from '../../src/actors/dirty/socket-channel.ts';
import { openRuntimeLine } from './dirty-line.ts';
import { channelPair } from './dirty-memory-channel.ts';
import { temporaryDirectory, until } from './support.ts';

const NAME = './ml.js:Model';
const LARGE = Buffer.alloc(3 * DIRECT_BYTES, 7);
const notices: string[] = [];

class Model extends DirtyApp {
  echo(value: unknown) {
    return value;
  }
  size(value: Buffer) {
    return value.length;
  }
  image(bytes: number) {
    return Buffer.alloc(bytes, 5);
  }
  fail(_value: Buffer) {
    throw new RangeError('too much');
  }
  *parts(value: Buffer) {
    for (let at = 0; at < value.length; at += DIRECT_BYTES) yield value.subarray(at, at + DIRECT_BYTES);
  }
  async wait(_value: Buffer) {
    await sleep(600_000, undefined, { signal: this.call.signal });
  }
}

interface Options extends Partial<DirtyClientOptions> {
  hasDoor?: boolean;
}

async function place(t: TestContext, { hasDoor = true, ...options }: Options = {}) {
  notices.length = 0;
  const directory = temporaryDirectory(t);
  const socket = join(directory, 'dirty.sock');
  /** Bytes that came to the router. */
  let routed = 0;
  const router = new Router({
    apps: [{ importPath: NAME, number: 4 }],
    queueMax: 10,
    threads: 2,
    graceMs: 5000,
    stash: () => assert.fail(),
    stuck: (_age, why) => assert.fail(why),
    left: () => {},
    notice: (text) => notices.push(text),
  });
  const sockets: Socket[] = [];
  const server = createServer({ pauseOnConnect: true }, (accepted) => {
    sockets.push(accepted);
    const channel = acceptedChannel(accepted);
    const open = channel.open.bind(channel);
    // Of frames, however they come: large ones may lie in shared memory.
    channel.open = (handlers) =>
      open({
        ...handlers,
        frame(frame, more) {
          for (const { length } of [frame, ...more]) routed += length;
          handlers.frame(frame, more);
        },
      });
    router.accept(channel);
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  router.expect(9, 1, [4], 'secret');
  const apps = new Map<number, RunningApp>([
    [4, { importPath: NAME, instance: new Model(), actions: actionsOf(Model as DirtyClass) }],
  ]);
  const door = `${socket}-9`;
  const line = await openRuntimeLine({
    socket,
    pid: 1,
    age: 9,
    generation: 1,
    secret: 'secret',
    apps,
    door: hasDoor ? door : undefined,
    notice: assert.fail,
    ended: () => {},
  });
  /** The client's connections to workers. */
  const ways: Channel[] = [];
  const client = new DirtyClient({
    connect: socket,
    openDirect: async (address) => {
      const way = await connectChannel(address);
      ways.push(way);
      return way;
    },
    hello: { role: 'web', protocol: DIRTY_PROTOCOL, pid: 1, age: 2, generation: 1 },
    defaultTimeoutMs: 60_000,
    ...options,
  });
  t.after(() => {
    client.close();
    line.close();
    router.close();
    server.close();
  });
  return {
    client,
    model: client.app<typeof Model>(NAME),
    line,
    router,
    door,
    ways,
    sockets,
    /** How many bytes the router has read since this was last asked. */
    routed: () => {
      const before = routed;
      routed = 0;
      return before;
    },
  };
}

test('large arguments and results do not pass the router; small ones do', async (t) => {
  const { model, ways, routed, door } = await place(t);
  assert.equal(await model.echo('small'), 'small');
  assert.equal(ways.length, 0);
  routed();
  for (let round = 0; round < 3; round++) assert.deepEqual(await model.echo(LARGE), LARGE);
  assert.ok(routed() < 1000, 'the router has read no more than headers');
  assert.equal(await model.size(LARGE), LARGE.length);
  await assert.rejects(model.fail(LARGE), { code: 'DIRTY_APP_ERROR', remoteName: 'RangeError' });
  assert.equal(ways.length, 1);
  assert.ok(routed() < 4000);
  assert.equal(statSync(door).mode & 0o777, 0o600);
});

test('a large result of a small call passes the router once, and not again', async (t) => {
  const { model, ways, routed } = await place(t);
  const bytes = 2 * DIRECT_BYTES;
  assert.equal((await model.image(bytes)).length, bytes);
  assert.ok(routed() > bytes);
  await until('the client has its own way', () => ways.length === 1);
  await until('it is taken', async () => {
    routed();
    assert.deepEqual(await model.image(bytes), Buffer.alloc(bytes, 5));
    return routed() < 1000;
  });
});

test('a stream with large arguments gives its chunks', async (t) => {
  const { model } = await place(t);
  const parts: Buffer[] = [];
  for await (const part of model.parts(LARGE)) parts.push(part);
  assert.deepEqual(Buffer.concat(parts), LARGE);
});

test('without a way to the worker payloads go through the router', async (t) => {
  for (const options of [
    { hasDoor: false },
    { openDirect: () => Promise.reject(new Error('no such place')) },
  ]) {
    const { model, routed, router } = await place(t, options);
    for (let round = 0; round < 2; round++) assert.deepEqual(await model.echo(LARGE), LARGE);
    assert.equal((await model.image(LARGE.length)).length, LARGE.length);
    assert.ok(routed() > 4 * LARGE.length);
    assert.deepEqual(router.stats().calls, []);
  }
});

test('what is called with is what it was, however its payload goes', async (t) => {
  for (const options of [{}, { hasDoor: false }]) {
    const { client } = await place(t, options);
    for (let round = 1; round <= 8; round++) {
      const bytes = Buffer.alloc(3 * DIRECT_BYTES + round, round);
      const list = new Uint16Array(DIRECT_BYTES).fill(round);
      const answer = client.execute(NAME, 'echo', { bytes, list, round });
      bytes.fill(0xee);
      list.fill(0xee);
      const expected = {
        bytes: Buffer.alloc(3 * DIRECT_BYTES + round, round),
        list: new Uint16Array(DIRECT_BYTES).fill(round),
        round,
      };
      assert.deepEqual(await answer, expected);
    }
  }
});

test('many at once each get their own answer', async (t) => {
  const { model, router } = await place(t);
  const answers = await Promise.all(
    Array.from({ length: 12 }, (_, index) =>
      model.echo({ index, bytes: Buffer.alloc(DIRECT_BYTES + index, index) }),
    ),
  );
  for (const [index, answer] of answers.entries())
    assert.deepEqual(answer, { index, bytes: Buffer.alloc(DIRECT_BYTES + index, index) });
  // The answers came by another way than what the router is told of them.
  await until('the router has nothing left', () => router.stats().calls.length === 0);
});

test('a call that is given up before its arguments have come frees its place', async (t) => {
  let open = (_way: Channel): void => {};
  const opened = new Promise<Channel>((resolve) => {
    open = resolve;
  });
  const { client, model, line, router, door } = await place(t, { openDirect: () => opened });
  const gone = new AbortController();
  const given = client.with({ signal: gone.signal }).execute(NAME, 'size', LARGE);
  await until('the worker waits for its arguments', () => line.runtime.running === 1);
  gone.abort();
  await assert.rejects(given, { code: 'DIRTY_CANCELLED' });
  await until('its place is free', () => line.runtime.running === 0);
  open(await connectChannel(door));
  assert.equal(await model.size(LARGE), LARGE.length);
  await until('the router has nothing left', () => router.stats().calls.length === 0);
});

test('an action that runs is aborted as any other is', async (t) => {
  const { client, line } = await place(t);
  await assert.rejects(client.with({ timeoutMs: 100 }).execute(NAME, 'wait', LARGE), {
    code: 'DIRTY_TIMEOUT',
  });
  await until('it has left', () => line.runtime.running === 0);
});

test('a worker that goes away ends its calls once', async (t) => {
  const { model, line, router, ways } = await place(t);
  await model.size(LARGE);
  const call = model.wait(LARGE);
  await until('it runs', () => line.runtime.running === 1);
  router.gone(9);
  ways[0]!.close();
  await assert.rejects(call, { code: 'DIRTY_WORKER_DIED' });
});

test('a result that is lost with its connection is an error, not an endless wait', async (t) => {
  const { client, line, ways } = await place(t);
  const before = client.app<typeof Model>(NAME);
  await before.size(LARGE);
  // The result is handed to the connection, and never leaves it.
  const way = line.door.to(1)!;
  const send = way.send;
  let isSent = false;
  way.send = () => {
    isSent = true;
  };
  const call = before.echo(LARGE);
  await until('the worker has answered', () => isSent);
  ways[0]!.close();
  await assert.rejects(call, { code: 'DIRTY_CONNECTION', message: /before its result had come/ });
  way.send = send;
  // The worker is not reached by a second connection: it goes through the router now.
  assert.deepEqual(await before.echo(LARGE), LARGE);
});

test('the door is for those whom the router has told of it', async (t) => {
  const { door, model, line } = await place(t);
  const hello = { role: 'direct', protocol: DIRTY_PROTOCOL, caller: 1, secret: 'guess' };
  for (const bytes of [
    Buffer.from('GET / HTTP/1.1\r\n\r\n'),
    packFrame({ type: FRAME.hello }, hello),
    packFrame({ type: FRAME.hello }, { ...hello, protocol: 1 }),
    packFrame({ type: FRAME.hello }, 'me'),
    bareFrame({ type: FRAME.payload, id: 1 }),
    packFrame({ type: FRAME.call, id: 1, app: 4 }, ['echo', [1]]),
  ]) {
    const channel = await connectChannel(door);
    const ended = new Promise((resolve) => channel.open({ frame: () => assert.fail(), ended: resolve }));
    channel.send(bytes);
    await ended;
  }
  assert.equal(line.door.to(1), undefined);
  assert.deepEqual(await model.echo(LARGE), LARGE);
});

const wordOf = (id: number, caller: number, callerId: number): Buffer =>
  bareFrame({ type: FRAME.call, id, caller, callerId });
/** Told apart by what is in it. */
function payloadOf(size: number, fill: number): Buffer {
  const frame = Buffer.alloc(HEADER_BYTES + size, fill);
  writeHeader(frame, { type: FRAME.payload });
  return frame;
}

function awaiting() {
  const started: [number, number][] = [];
  const late: number[] = [];
  const calls = new AwaitingCalls(
    (word, [frame]) => started.push([word.readUInt32BE(8), frame[HEADER_BYTES]!]),
    (id) => late.push(id),
  );
  return { calls, started, late };
}

test('word and payload meet, whichever is first', () => {
  const { calls, started } = awaiting();
  calls.add(wordOf(1, 5, 70));
  calls.brought(5, 70, payloadOf(LARGE_BYTES, 11), []);
  const small = payloadOf(1, 12);
  calls.brought(5, 71, small, []);
  // It lay in memory that was read into again.
  small.fill(0);
  calls.add(wordOf(2, 5, 71));
  calls.add(wordOf(3, 6, 70));
  calls.came(3, payloadOf(1, 13), []);
  assert.deepEqual(started, [
    [1, 11],
    [2, 12],
    [3, 13],
  ]);
  assert.equal(calls.size, 0);
});

test('a payload of a call that has ended is dropped, and starts no other', () => {
  const { calls, started } = awaiting();
  calls.add(wordOf(1, 5, 70));
  assert.equal(calls.drop(1), true);
  assert.equal(calls.drop(1), false);
  calls.brought(5, 70, payloadOf(1, 11), []);
  calls.came(1, payloadOf(1, 11), []);
  assert.deepEqual([started, calls.size], [[], 0]);
});

test('no early payload is dropped: where too many are, the next are not read until there is room', async () => {
  const { calls, started } = awaiting();
  const rooms = Array.from({ length: 40 }, (_, id) => calls.brought(5, id, payloadOf(1, id), []));
  assert.deepEqual(
    rooms.map((room) => room !== undefined),
    Array.from({ length: 40 }, (_, index) => index >= 15),
  );
  let isThere = false;
  void Promise.all(rooms).then(() => {
    isThere = true;
  });
  for (let id = 0; id < 24; id++) calls.add(wordOf(id, 5, id));
  await null;
  await new Promise(setImmediate);
  assert.equal(isThere, false);
  calls.add(wordOf(24, 5, 24));
  await new Promise(setImmediate);
  assert.equal(isThere, true);
  for (let id = 25; id < 40; id++) calls.add(wordOf(id, 5, id));
  assert.deepEqual(
    started,
    Array.from({ length: 40 }, (_, id) => [id, id]),
  );
});

test('payloads whose word never comes are let go, and make room', async (t) => {
  mock.timers.enable({ apis: ['setTimeout'] });
  t.after(() => mock.timers.reset());
  const { calls, started } = awaiting();
  let room: Promise<void> | undefined;
  for (let id = 0; id < 16; id++) room = calls.brought(5, id, payloadOf(1, id), []);
  mock.timers.tick(30_000);
  await room;
  calls.add(wordOf(1, 5, 1));
  assert.deepEqual([started, calls.size], [[], 1]);
  calls.drop(1);
});

test('a hundred calls whose payloads all come before the router has said that they run', async (t) => {
  const answers: [number, unknown][] = [];
  const runtime = new DirtyRuntime({
    apps: new Map([
      [4, { importPath: NAME, instance: new Model(), actions: actionsOf(Model as DirtyClass) }],
    ]),
    send: (frame) => answers.push([idOf(frame), unpack(Buffer.from(payloadIn(frame)))]),
    notice: assert.fail,
  });
  const door = new RuntimeDoor({
    payload: (...brought) => runtime.brought(...brought),
    withdrawn: (...call) => runtime.withdrawn(...call),
    callerGone: (caller) => runtime.callerGone(caller),
  });
  t.after(() => door.close());
  const { secret } = (await door.open(join(temporaryDirectory(t), 'door')))!;
  const [near, far] = channelPair();
  door.enter(far);
  const heard: number[] = [];
  near.open({ frame: (frame) => heard.push(typeOf(frame)), ended: () => {} });
  near.send(
    packFrame({ type: FRAME.hello }, { role: 'direct', protocol: DIRTY_PROTOCOL, caller: 5, secret }),
  );
  await until('it is let in', () => heard[0] === FRAME.welcome);
  for (let id = 1; id <= 100; id++)
    near.send(packFrame({ type: FRAME.payload, id }, ['size', [Buffer.alloc(LARGE_BYTES + id)]]));
  await until('no more are read', () => far.isPaused);
  // In memory there is no more of them than that, and the rest waits with its caller.
  assert.ok(near.queuedBytes > 80 * LARGE_BYTES);
  for (let id = 1; id <= 100; id++)
    runtime.take(
      bareFrame({ type: FRAME.call, flags: FLAG_DIRECT, id: 1000 + id, app: 4, caller: 5, callerId: id }),
    );
  await until('all are answered', () => answers.length === 100);
  assert.deepEqual(
    answers.toSorted(([one], [other]) => one - other),
    Array.from({ length: 100 }, (_, index) => [1001 + index, LARGE_BYTES + 1 + index]),
  );
});

test('a worker whose door is full of strangers gets what is large through the router, and no call is lost', async (t) => {
  const { model, router, routed, door, line } = await place(t);
  // As many as may have said nothing, and more.
  const strangers = await Promise.all(Array.from({ length: 70 }, () => connectChannel(door)));
  t.after(() => {
    for (const stranger of strangers) stranger.close();
  });
  await model.size(Buffer.alloc(10));
  routed();
  const sizes = await Promise.all(Array.from({ length: 8 }, () => model.size(LARGE)));
  assert.deepEqual(
    sizes,
    Array.from({ length: 8 }, () => LARGE.length),
  );
  assert.deepEqual(await model.echo(LARGE), LARGE);
  assert.ok(routed() > 9 * LARGE.length, 'the router has read them');
  assert.equal(line.door.to(1), undefined);
  assert.deepEqual(router.stats().calls, []);
});

test('a worker that does not let its caller in for now is waited for shortly; later it has its own way', async (t) => {
  const silent = join(temporaryDirectory(t), 'silent');
  let letIn = (): void => {};
  const server = createServer((socket) => {
    socket.on('error', () => {});
    letIn = () => {
      const onward = connect(it.door).on('error', () => {});
      socket.pipe(onward).pipe(socket);
    };
  });
  await new Promise<void>((resolve) => server.listen(silent, resolve));
  t.after(() => server.close());
  const it = await place(t, { openDirect: () => connectChannel(silent) });
  const { model, routed, line } = it;
  assert.deepEqual(await model.echo(LARGE), LARGE);
  assert.ok(routed() > 2 * LARGE.length);
  // Nor is it waited for again each time.
  assert.deepEqual(await model.echo(LARGE), LARGE);
  letIn();
  await until('it is let in', () => line.door.to(1));
  await until('it has its own way', async () => {
    routed();
    assert.deepEqual(await model.echo(LARGE), LARGE);
    return routed() < 1000;
  });
});

test('a payload that does not come is waited for no longer than 30 s', (t) => {
  mock.timers.enable({ apis: ['setTimeout'] });
  t.after(() => mock.timers.reset());
  const { calls, started, late } = awaiting();
  calls.add(wordOf(1, 5, 70));
  mock.timers.tick(29_999);
  assert.deepEqual([late, calls.size], [[], 1]);
  mock.timers.tick(1);
  calls.brought(5, 70, payloadOf(1, 11), []);
  assert.deepEqual([late, calls.size, started], [[1], 0, []]);
});
