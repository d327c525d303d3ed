/** Client, router, runtime and stash together, over real sockets in one process: what an app author sees of them. */
import assert from 'node:assert/strict';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { actionsOf, DirtyApp, type DirtyClass } from '../../src/actors/dirty/app.ts';
import { DirtyClient } from '../../src/actors/dirty/client.ts';
import { FRAME, HEADER_BYTES, payloadOf, typeOf, writeHeader } from '../../src/actors/dirty/frames.ts';
import { DIRTY_PROTOCOL } from '../../src/actors/dirty/hello.ts';
import { packFrame, unpack } from '../../src/actors/dirty/packing.ts';
import { Router } from '../../src/actors/dirty/router.ts';
import type { RunningApp } from '../../src/actors/dirty/runtime-apps.ts';
import { acceptedChannel, connectChannel } from '../../src/actors/dirty/socket-channel.ts';
import { createStashClient, StashError } from '../../src/actors/dirty/stash-client.ts';
import { openStash } from '../../src/actors/dirty/stash-store.ts';
import { openRuntimeLine } from './dirty-line.ts';
import { temporaryDirectory, until } from './support.ts';

const NAME = './ml.js:Model';
const seen: string[] = [];

class Model extends DirtyApp {
  predict(input: number) {
    return { label: input > 0 ? 'yes' : 'no', action: this.call.action };
  }
  async *tokens(count: number) {
    try {
      for (let index = 0; index < count; index++) yield `token ${index}`;
    } finally {
      seen.push('tokens left');
    }
  }
  fail() {
    throw new RangeError('too much');
  }
  async wait() {
    seen.push('waiting');
    await sleep(600_000, undefined, { signal: this.call.signal }).finally(() => seen.push('wait left'));
  }
  echo(value: unknown) {
    return value;
  }
}

async function together(t: TestContext) {
  seen.length = 0;
  const directory = temporaryDirectory(t);
  const socket = join(directory, 'dirty.sock');
  const store = openStash({ path: join(directory, 'stash'), bytesMax: 1e6, notice: assert.fail });
  const router = new Router({
    apps: [{ importPath: NAME, number: 4 }],
    queueMax: 10,
    threads: 3,
    graceMs: 5000,
    stash: (payload) => store.answer(payload),
    stuck: (_age, why) => assert.fail(why),
    left: () => {},
    notice: assert.fail,
  });
  const server = createServer({ pauseOnConnect: true }, (accepted) =>
    router.accept(acceptedChannel(accepted)),
  );
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  router.expect(9, 1, [4], 'secret');
  const instance = new Model();
  const apps = new Map<number, RunningApp>([
    [4, { importPath: NAME, instance, actions: actionsOf(Model as DirtyClass) }],
  ]);
  const ends: string[] = [];
  const line = await openRuntimeLine({
    socket,
    pid: 1,
    age: 9,
    generation: 1,
    secret: 'secret',
    apps,
    notice: assert.fail,
    ended: (why) => ends.push(why),
  });
  const client = new DirtyClient({
    connect: socket,
    hello: { role: 'web', protocol: DIRTY_PROTOCOL, pid: 1, age: 2, generation: 1 },
    defaultTimeoutMs: 60_000,
  });
  const stash = createStashClient((payload) => client.askStash(payload));
  t.after(() => {
    client.close();
    line.close();
    router.close();
    server.close();
    store.close();
  });
  return { client, model: client.app<typeof Model>(NAME), stash, line, router, ends, socket };
}

test('a call gives what its action does, and an error what it throws', async (t) => {
  const { model } = await together(t);
  assert.deepEqual(await model.predict(1), { label: 'yes', action: 'predict' });
  await assert.rejects(model.fail(), {
    code: 'DIRTY_APP_ERROR',
    remoteName: 'RangeError',
    message: 'too much',
  });
  const large = Buffer.alloc(3_000_000, 7);
  assert.deepEqual(await model.echo({ large, small: 'x' }), { large, small: 'x' });
});

test('a stream gives all, and ends its generator when the loop is left', async (t) => {
  const { model, line } = await together(t);
  const tokens: string[] = [];
  for await (const token of model.tokens(200)) tokens.push(token);
  assert.equal(tokens.length, 200);
  for await (const _token of model.tokens(1e9)) if (seen.push('one') > 5) break;
  await until('the generator has left', () => seen.filter((one) => one === 'tokens left').length === 2);
  await line.runtime.drain();
});

test('a call that is given up is aborted in its worker, and its slot serves others', async (t) => {
  const { model, line } = await together(t);
  const gone = new AbortController();
  const waiting = Promise.allSettled([1, 2, 3].map(() => model.with({ signal: gone.signal }).wait()));
  const late = model.with({ timeoutMs: 1 }).wait();
  await assert.rejects(late, { code: 'DIRTY_TIMEOUT' });
  await until('they wait', () => line.runtime.running === 3);
  gone.abort();
  for (const one of await waiting)
    assert.equal(one.status === 'rejected' && one.reason.code, 'DIRTY_CANCELLED');
  assert.equal((await model.predict(0)).label, 'no');
  await line.runtime.drain();
  assert.equal(seen.filter((one) => one === 'wait left').length, 3);
});

test('the stash is reached over the same connection', async (t) => {
  const { stash } = await together(t);
  await stash.put('t', 'k', { error: 'stored' }, { ttlMs: 60_000 });
  assert.deepEqual(await stash.get('t', 'k'), { error: 'stored' });
  await Promise.all(Array.from({ length: 50 }, () => stash.increment('hits', 'all')));
  assert.equal(await stash.get('hits', 'all'), 50);
  await assert.rejects(
    stash.put('t', 'large', Buffer.alloc(2_000_000)),
    (error) => error instanceof StashError && error.code === 'STASH_FULL',
  );
});

test('a worker whose connection is lost is told, and what ran is aborted', async (t) => {
  const { model, router, ends } = await together(t);
  const waiting = model.wait();
  const rejected = assert.rejects(waiting, { code: 'DIRTY_CONNECTION' });
  await until('it waits', () => seen.includes('waiting'));
  router.close();
  await rejected;
  await until('the action has left', () => seen.includes('wait left'));
  assert.equal(ends.length, 1);
});

test('a worker that finds no router is told so', async (t) => {
  const directory = temporaryDirectory(t);
  const about = { pid: 1, age: 1, generation: 1, secret: 'x', apps: new Map(), notice() {}, ended() {} };
  await assert.rejects(openRuntimeLine({ ...about, socket: join(directory, 'none') }), {
    code: 'DIRTY_CONNECTION',
  });
});

/** Stands before the router; what `first` does to the first connection, it does to no other. */
async function before(t: TestContext, router: string, first: (socket: Socket) => void): Promise<string> {
  const path = join(temporaryDirectory(t), 'before.sock');
  let count = 0;
  const server = createServer((socket) => {
    socket.on('error', () => {});
    if (++count === 1) return first(socket);
    const onward = connect(router).on('error', () => {});
    socket.pipe(onward).pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  t.after(() => server.close());
  return path;
}

test('a killed dirty arbiter that takes a connection and says nothing is tried again', async (t) => {
  const { socket } = await together(t);
  const client = new DirtyClient({
    connect: await before(t, socket, (first) => first.once('data', () => first.destroy())),
    hello: { role: 'web', protocol: DIRTY_PROTOCOL, pid: 1, age: 3, generation: 1 },
    defaultTimeoutMs: 60_000,
  });
  t.after(() => client.close());
  assert.equal(await client.execute(NAME, 'echo', 'tried again'), 'tried again');
});

test('a call that waits for a dirty arbiter ends at its own deadline, and says why', async (t) => {
  const client = new DirtyClient({
    connect: join(temporaryDirectory(t), 'none.sock'),
    hello: { role: 'web', protocol: DIRTY_PROTOCOL, pid: 1, age: 3, generation: 1 },
    defaultTimeoutMs: 100,
  });
  t.after(() => client.close());
  await assert.rejects(client.execute(NAME, 'echo', 1), {
    code: 'DIRTY_TIMEOUT',
    message: 'the dirty arbiter was not there in time',
  });
});

test('fault 14: the router passes payloads on as they are, without a look into them', async (t) => {
  const { socket, model } = await together(t);
  const channel = await connectChannel(socket);
  t.after(() => channel.close());
  const answers: unknown[] = [];
  channel.open({
    frame: (frame, more) => answers.push([typeOf(frame), unpack(Buffer.from(payloadOf(frame, more)))]),
    ended: (why) => answers.push(why),
  });
  const hello = { role: 'web', protocol: DIRTY_PROTOCOL, pid: 1, age: 3, generation: 1 };
  channel.send(packFrame({ type: FRAME.hello }, hello));
  const nonsense = Buffer.alloc(HEADER_BYTES + 100, 0xff);
  writeHeader(nonsense, { type: FRAME.call, id: 1, app: 4 });
  channel.send(nonsense);
  await until('both are answered', () => answers.length === 2);
  const [type, { code }] = answers[1] as [number, { code: string }];
  // It is the worker that could not read it; the router would have closed the connection.
  assert.deepEqual([type, code], [FRAME.error, 'DIRTY_PAYLOAD']);
  assert.equal(await model.echo('unharmed'), 'unharmed');
});
