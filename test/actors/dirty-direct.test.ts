/** Large payloads go from their caller to the worker, and back, past the router: over real sockets, in one process. */
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { mock, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { actionsOf, DirtyApp, type DirtyClass } from '../../src/actors/dirty/app.ts';
import type { Channel } from '../../src/actors/dirty/channel.ts';
import { DirtyClient, type DirtyClientOptions } from '../../src/actors/dirty/client.ts';
import { bareFrame, DIRECT_BYTES, FRAME, HEADER_BYTES, LARGE_BYTES } from '../../src/actors/dirty/frames.ts';
import { DIRTY_PROTOCOL } from '../../src/actors/dirty/hello.ts';
import { packFrame } from '../../src/actors/dirty/packing.ts';
import { Router } from '../../src/actors/dirty/router.ts';
import type { RunningApp } from '../../src/actors/dirty/runtime-apps.ts';
import { AwaitingCalls } from '../../src/actors/dirty/runtime-awaiting.ts';
import { acceptedChannel, connectChannel } from '../../src/actors/dirty/socket-channel.ts';
import { openRuntimeLine } from './dirty-line.ts';
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
const payloadOf = (size: number, fill: number): Buffer => Buffer.alloc(HEADER_BYTES + size, fill);

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

test('payloads that nobody asks for are kept in bounded number', () => {
  const { calls, started } = awaiting();
  for (let id = 0; id < 100; id++) calls.brought(5, id, payloadOf(1, id), []);
  for (let id = 0; id < 100; id++) calls.add(wordOf(id, 5, id));
  assert.deepEqual(
    started.map(([id]) => id),
    Array.from({ length: 16 }, (_, index) => 84 + index),
  );
  for (const id of calls.ids()) calls.drop(id);
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
