/** The client and the router over real Unix sockets, with dirty workers that run in the test itself. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { getEventListeners, once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Channel } from '../../src/actors/dirty/channel.ts';
import { DirtyClient } from '../../src/actors/dirty/client.ts';
import {
  DirtyActionError,
  DirtyAppError,
  DirtyAppNotFoundError,
  DirtyCancelledError,
  DirtyConnectionError,
  DirtyOverloadedError,
  DirtyPayloadError,
  DirtyTimeoutError,
  DirtyUnavailableError,
  DirtyWorkerDiedError,
  errorPayloadOf,
} from '../../src/actors/dirty/errors.ts';
import {
  bareFrame,
  FLAG_DIRECT,
  FLAG_STREAM,
  FRAME,
  flagsOf,
  idOf,
  numberOf,
  payloadOf,
  typeOf,
  VERSION,
} from '../../src/actors/dirty/frames.ts';
import { DIRTY_PROTOCOL } from '../../src/actors/dirty/hello.ts';
import { pack, packFrame, unpack } from '../../src/actors/dirty/packing.ts';
import { Router, type RouterOptions } from '../../src/actors/dirty/router.ts';
import { acceptedChannel, connectChannel } from '../../src/actors/dirty/socket-channel.ts';
import { temporaryDirectory, until } from './support.ts';

const APP = './ml.js:Model';
const OTHER = './pdf.js:Pages';
type Act = (args: unknown[], work: Work) => unknown;

/** What an action of these tests may know of its call. */
interface Work {
  readonly signal: AbortSignal;
  readonly limitMs: number;
  /** Resolves when a chunk may be sent. */
  room(): Promise<void>;
}

/** A dirty worker as small as it can be: what the router sees of one. */
class TestWorker {
  channel!: Channel;
  calls = 0;
  #running = new Map<number, { abort: AbortController; credit: number; wake(): void }>();
  /** Calls whose payload is on its way. */
  #words = new Map<number, Buffer>();
  #actions: Record<string, Act>;
  ended: string | undefined;

  constructor(actions: Record<string, Act>) {
    this.#actions = actions;
  }

  async connect(path: string, age: number, apps: number[], generation = 1): Promise<this> {
    this.channel = await connectChannel(path);
    const hello = { role: 'worker', protocol: DIRTY_PROTOCOL, pid: 1, age, generation, apps, secret: 'key' };
    await new Promise<void>((resolve) => {
      this.channel.open({
        frame: (frame, more) => {
          if (typeOf(frame) === FRAME.welcome) resolve();
          else this.#heard(frame, more);
        },
        ended: (why) => {
          this.ended = why;
        },
      });
      this.channel.send(packFrame({ type: FRAME.hello }, hello));
    });
    return this;
  }

  #heard(frame: Buffer, more: readonly Buffer[]): void {
    const running = this.#running.get(idOf(frame));
    if (typeOf(frame) === FRAME.cancel) running?.abort.abort(new Error('cancelled'));
    else if (typeOf(frame) === FRAME.credit) {
      if (running) running.credit += numberOf(frame);
      running?.wake();
    } else if (typeOf(frame) === FRAME.payload)
      void this.#run(this.#words.get(idOf(frame))!, payloadOf(frame, more));
    else if ((flagsOf(frame) & FLAG_DIRECT) !== 0) this.#words.set(idOf(frame), Buffer.from(frame));
    else void this.#run(frame, payloadOf(frame, more));
  }

  async #run(frame: Buffer, payload: Buffer): Promise<void> {
    this.calls++;
    const [id, limitMs, isStream] = [
      idOf(frame),
      numberOf(frame),
      (flagsOf(frame) & FLAG_STREAM) !== 0,
    ] as const;
    const [action, args] = unpack(payload) as [string, unknown[]];
    const running = { abort: new AbortController(), credit: 0, wake: () => {} };
    this.#running.set(id, running);
    running.abort.signal.addEventListener('abort', () => running.wake());
    const work: Work = {
      signal: running.abort.signal,
      limitMs,
      async room() {
        while (running.credit === 0 && !running.abort.signal.aborted)
          await new Promise<void>((resolve) => {
            running.wake = resolve;
          });
        running.abort.signal.throwIfAborted();
        running.credit--;
      },
    };
    try {
      if (!Object.hasOwn(this.#actions, action)) throw new DirtyActionError(`no action ${action}`);
      const value = this.#actions[action]!(args, work);
      if (isStream) {
        for await (const chunk of value as AsyncIterable<unknown>)
          this.channel.send(packFrame({ type: FRAME.chunk, id }, chunk));
        this.channel.send(bareFrame({ type: FRAME.end, id }));
      } else this.channel.send(packFrame({ type: FRAME.result, id }, await value));
    } catch (error) {
      this.channel.send(packFrame({ type: FRAME.error, id }, errorPayloadOf(error)));
    }
    this.#running.delete(id);
  }
}

const actions = {
  echo: ([value]: unknown[]) => value,
  limit: (_: unknown[], { limitMs }: Work) => limitMs,
  fail: () => {
    throw new RangeError('no such layer');
  },
  hang: (_: unknown[], { signal }: Work) =>
    new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
  async *count([to]: unknown[], work: Work) {
    for (let number = 0; number < (to as number); number++) {
      await work.room();
      yield number;
    }
  },
  async *broken(_: unknown[], work: Work) {
    await work.room();
    yield 'one';
    await work.room();
    yield 'two';
    throw new TypeError('torn');
  },
} satisfies Record<string, Act>;

interface Place {
  router: Router;
  path: string;
  client: DirtyClient;
  worker: TestWorker;
  server: Server;
  stuck: string[];
  left: number[];
  another(age: number, more?: Record<string, Act>): Promise<TestWorker>;
}

async function place(
  t: TestContext,
  options: Partial<RouterOptions> = {},
  withWorker = true,
): Promise<Place> {
  const path = join(temporaryDirectory(t), 'dirty');
  const stuck: string[] = [];
  const left: number[] = [];
  const router = new Router({
    apps: [
      { importPath: APP, number: 0 },
      { importPath: OTHER, number: 1 },
    ],
    queueMax: 100,
    threads: 1,
    graceMs: 30_000,
    stash: (payload) => {
      const [operation, ...args] = unpack(payload) as [string, ...unknown[]];
      return operation === 'refuse'
        ? { ok: false, payload: pack({ code: 'STASH_FULL', message: 'it is full' }) }
        : { ok: true, payload: pack([operation, args]) };
    },
    stuck: (age, why) => stuck.push(`${age}: ${why}`),
    left: (age) => left.push(age),
    ...options,
  });
  const sockets = new Set<Socket>();
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    sockets.add(socket);
    router.accept(acceptedChannel(socket));
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const client = new DirtyClient({
    connect: path,
    hello: { role: 'web', protocol: DIRTY_PROTOCOL, pid: process.pid, age: 7, generation: 1 },
    defaultTimeoutMs: 60_000,
  });
  const another = (age: number, more: Record<string, Act> = {}) => {
    router.expect(age, 1, [0], 'key');
    return new TestWorker({ ...actions, ...more }).connect(path, age, [0]);
  };
  t.after(() => {
    client.close();
    router.close();
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const worker = withWorker ? await another(1) : new TestWorker(actions);
  return { router, path, client, worker, server, stuck, left, another };
}

const collect = async (stream: AsyncIterable<unknown>): Promise<unknown[]> => {
  const chunks: unknown[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
};

test('a call gives what its action returns, small and large', async (t) => {
  const { client } = await place(t);
  const values = [undefined, null, -0, 'text', new Map([[1, new Set([2n])]]), { a: [Buffer.from('x')] }];
  for (const value of values) assert.deepEqual(await client.execute(APP, 'echo', value), value);
  for (const size of [65_000, 65_535, 65_536, 70_000, 1 << 20, 5_000_000]) {
    const bytes = Buffer.alloc(size, size % 251);
    assert.ok(bytes.equals(await client.execute<Buffer>(APP, 'echo', bytes)), `${size} bytes`);
  }
  assert.equal(client.pending, 0);
});

test('many calls at once, small and large among each other, each get their own answer', async (t) => {
  const { client, another, router } = await place(t, { threads: 8, queueMax: 1000 });
  await another(2);
  const answers = await Promise.all(
    Array.from({ length: 300 }, async (_, index) => {
      const value = index % 10 === 0 ? Buffer.alloc(200_000, index) : `${index}`.repeat(index);
      return [value, await client.execute(APP, 'echo', value)] as const;
    }),
  );
  for (const [value, answer] of answers) assert.deepEqual(answer, value);
  const { apps, calls } = router.stats();
  assert.deepEqual([apps[0]!.calls, apps[0]!.queued, apps[0]!.running, calls], [300, 0, 0, []]);
});

test('what an action throws arrives with its name and its stack', async (t) => {
  const { client } = await place(t);
  await assert.rejects(client.execute(APP, 'fail'), (error: DirtyAppError) => {
    assert.ok(error instanceof DirtyAppError);
    assert.deepEqual(
      [error.code, error.message, error.remoteName],
      ['DIRTY_APP_ERROR', 'no such layer', 'RangeError'],
    );
    assert.match(error.remoteStack!, /no such layer\n.*dirty-client\.test/);
    return true;
  });
  await assert.rejects(client.execute(APP, 'nothing'), DirtyActionError);
  await assert.rejects(client.execute('./ml.js:Modle', 'echo'), (error: Error) => {
    assert.ok(error instanceof DirtyAppNotFoundError);
    assert.equal(error.message, `there is no dirty app ./ml.js:Modle; there are ${APP}, ${OTHER}`);
    return true;
  });
  assert.deepEqual(await client.execute(APP, 'echo', 1), 1);
});

test('what cannot be sent is refused before anything is', async (t) => {
  const { client, worker } = await place(t);
  await assert.rejects(client.execute(APP, 'echo', { cb: () => 1 }), (error: Error) => {
    assert.ok(error instanceof DirtyPayloadError);
    assert.equal(error.message, 'args[0].cb is a function');
    return true;
  });
  await assert.rejects(collect(client.stream(APP, 'count', Symbol('x'))), /args\[0\] is a symbol/);
  await assert.rejects(client.with({ timeoutMs: -1 }).execute(APP, 'echo'), TypeError);
  assert.equal(worker.calls, 0);
  assert.equal(client.pending, 0);
});

test('a name that is no text is refused at once, with a connection and without, and leaves nothing pending', async (t) => {
  const { client, router } = await place(t);
  const nameless = undefined as unknown as string;
  for (const app of [null, nameless, 7] as string[])
    await assert.rejects(client.execute(app, 'echo', 1), {
      name: 'TypeError',
      message: /the app is named by a text/,
    });
  assert.equal(client.pending, 0);
  assert.equal(await client.execute(APP, 'echo', 1), 1);
  for (const app of [null, nameless, 7] as string[])
    await assert.rejects(client.execute(app, 'echo', 1), {
      name: 'TypeError',
      message: /the app is named by a text/,
    });
  await assert.rejects(client.execute(APP, nameless), {
    name: 'TypeError',
    message: /the action is named by/,
  });
  assert.equal(client.pending, 0);
  assert.equal(router.stats().apps[0]!.calls, 1);
});

test('a stream with options that cannot be fails with its first step, and has ended then', async (t) => {
  const { client } = await place(t);
  const stream = client.with({ timeoutMs: -1 }).stream(APP, 'count', 3);
  await assert.rejects(stream.next(), TypeError);
  assert.deepEqual(await stream.next(), { value: undefined, done: true });
});

test('the signal of the call that is answered ends the calls it makes, unless they have their own', async (t) => {
  const outer = new AbortController();
  const { client, path } = await place(t);
  const hello = { role: 'dirty', protocol: DIRTY_PROTOCOL, pid: process.pid, age: 8, generation: 1 } as const;
  const inner = new DirtyClient({
    connect: path,
    hello,
    defaultTimeoutMs: 0,
    outerSignal: () => outer.signal,
  });
  t.after(() => inner.close());
  const own = inner.with({ signal: new AbortController().signal }).execute(APP, 'echo', 'own');
  const ended = assert.rejects(inner.execute(APP, 'never'), DirtyCancelledError);
  assert.equal(await own, 'own');
  outer.abort();
  await ended;
  assert.equal(await client.execute(APP, 'echo', 2), 2);
});

test('a stream gives its chunks in order, and its error after them', async (t) => {
  const { client } = await place(t);
  assert.deepEqual(
    await collect(client.stream(APP, 'count', 1000)),
    Array.from({ length: 1000 }, (_, index) => index),
  );
  assert.deepEqual(await collect(client.stream(APP, 'count', 0)), []);
  const seen: unknown[] = [];
  await assert.rejects(async () => {
    for await (const chunk of client.stream(APP, 'broken')) seen.push(chunk);
  }, /torn/);
  assert.deepEqual(seen, ['one', 'two']);
  assert.equal(client.pending, 0);
});

test('a stream that nobody reads comes no further than its credit', async (t) => {
  let sent = 0;
  const { client, another } = await place(t, {}, false);
  await another(2, {
    async *flood(_: unknown[], work: Work) {
      for (;;) {
        await work.room();
        sent++;
        yield sent;
      }
    },
  });
  const stream = client.stream(APP, 'flood');
  assert.deepEqual(await stream.next(), { value: 1, done: false });
  await until('the credit is used up', () => sent >= 16);
  assert.equal(sent, 16);
  // Small ones may be further ahead.
  for (let read = 2; read <= 200; read++) assert.deepEqual((await stream.next()).value, read);
  assert.ok(sent <= 200 + 128, `${sent} were sent`);
  await until('the credit of small chunks is used up', () => sent > 200 + 64);
  await stream.return!();
});

test('a stream of large chunks is never far ahead, also where small ones were before', async (t) => {
  let sent = 0;
  const { client, another } = await place(t, {}, false);
  await another(2, {
    async *grows(_: unknown[], work: Work) {
      for (;;) {
        await work.room();
        sent++;
        yield Buffer.alloc(sent <= 200 ? 10 : 10_000);
      }
    },
  });
  const stream = client.stream<Buffer>(APP, 'grows');
  for (let read = 1; read <= 600; read++) await stream.next();
  await until('the credit is used up', () => sent > 600 + 8);
  assert.ok(sent <= 600 + 16, `${sent} were sent`);
  await stream.return!();
});

test('leaving the loop cancels the stream, and its worker is free for others', async (t) => {
  const { client, router } = await place(t);
  for await (const chunk of client.stream(APP, 'count', 1_000_000)) if (chunk === 20) break;
  assert.deepEqual(await client.execute(APP, 'echo', 'next'), 'next');
  assert.equal(router.stats().apps[0]!.cancelled, 1);
  assert.equal(client.pending, 0);
});

test('a signal cancels what runs, what waits, and what has not begun', async (t) => {
  const { client, router, worker } = await place(t);
  const abort = new AbortController();
  const bound = client.with({ signal: abort.signal });
  const running = bound.execute(APP, 'hang');
  const waiting = bound.execute(APP, 'echo', 1);
  await until('one runs and one waits', () => router.stats().apps[0]!.queued === 1);
  const reason = new Error('the browser is gone');
  abort.abort(reason);
  for (const call of [running, waiting, bound.execute(APP, 'echo', 2)])
    await assert.rejects(call, (error: Error) => {
      assert.ok(error instanceof DirtyCancelledError);
      assert.equal(error.cause, reason);
      return true;
    });
  await assert.rejects(collect(bound.stream(APP, 'count', 5)), DirtyCancelledError);
  assert.equal(await client.execute(APP, 'echo', 'free again'), 'free again');
  assert.equal(worker.calls, 2);
});

test('many calls under one signal have one listener, which goes with the last of them', async (t) => {
  const { client } = await place(t);
  const warnings: Error[] = [];
  const warned = (warning: Error): void => void warnings.push(warning);
  process.on('warning', warned);
  t.after(() => process.off('warning', warned));
  const abort = new AbortController();
  const bound = client.with({ signal: abort.signal });
  const echoes = await Promise.all(
    Array.from({ length: 15 }, (_, index) => bound.execute(APP, 'echo', index)),
  );
  assert.deepEqual(
    echoes,
    Array.from({ length: 15 }, (_, index) => index),
  );
  assert.equal(getEventListeners(abort.signal, 'abort').length, 0);
  const order: number[] = [];
  const calls = Array.from({ length: 15 }, (_, index) =>
    assert.rejects(bound.execute(APP, 'hang'), DirtyCancelledError).then(() => order.push(index)),
  );
  assert.equal(getEventListeners(abort.signal, 'abort').length, 1);
  // One that is abandoned on its own takes nobody with it.
  const single = bound.stream(APP, 'count', 1_000_000);
  const reading = single.next();
  await single.return!();
  await reading;
  assert.equal(getEventListeners(abort.signal, 'abort').length, 1);
  assert.equal(client.pending, 15);
  abort.abort();
  await Promise.all(calls);
  assert.deepEqual(
    order,
    order.toSorted((a, b) => a - b),
  );
  assert.deepEqual([client.pending, getEventListeners(abort.signal, 'abort').length], [0, 0]);
  // Warnings are told a turn later.
  await new Promise(setImmediate);
  assert.deepEqual(warnings, []);
});

test('a deadline ends what waits and what runs, and the action knows it', async (t) => {
  const { client, router, stuck } = await place(t);
  // The one that waits is due first: it would be done as soon as the other lets its slot go.
  const calls = [
    client.with({ timeoutMs: 100 }).execute(APP, 'hang'),
    client.with({ timeoutMs: 50 }).execute(APP, 'echo', 1),
  ];
  await Promise.all(calls.map((call) => assert.rejects(call, DirtyTimeoutError)));
  const limit = await client.with({ timeoutMs: 5000 }).execute<number>(APP, 'limit');
  assert.ok(limit > 0 && limit <= 5000, String(limit));
  assert.equal(await client.with({ timeoutMs: 0 }).execute(APP, 'limit'), 0);
  assert.deepEqual([router.stats().apps[0]!.timeouts, stuck], [2, []]);
});

test('a worker that does not let go of an overdue call is stuck, and is told once', async (t) => {
  const { client, stuck, another } = await place(t, { graceMs: 50 }, false);
  await another(3, { never: () => new Promise(() => {}) });
  await assert.rejects(client.with({ timeoutMs: 1 }).execute(APP, 'never'), DirtyTimeoutError);
  await until('it is stuck', () => stuck.length > 0);
  assert.match(stuck[0]!, /^3: a call of .* runs on \d+ ms after its deadline has passed$/);
});

test('a worker that dies ends what runs in it; what waits goes to another', async (t) => {
  const { client, router, worker, another } = await place(t);
  const running = client.execute(APP, 'hang');
  const waiting = client.execute(APP, 'echo', 'second');
  await until('one waits', () => router.stats().apps[0]!.queued === 1);
  worker.channel.close();
  await assert.rejects(running, DirtyWorkerDiedError);
  router.gone(1);
  await another(2);
  assert.equal(await waiting, 'second');
});

test('without a worker, and without hope of one, a call is refused at once', async (t) => {
  const { client, router } = await place(t, {}, false);
  const waiting = client.execute(APP, 'echo');
  await until('it waits', () => router.stats().apps[0]!.queued === 1);
  router.available(0, 'none');
  await assert.rejects(waiting, DirtyUnavailableError);
  await assert.rejects(client.execute(APP, 'echo'), DirtyUnavailableError);
});

test('a full queue refuses', async (t) => {
  const { client, router } = await place(t, { queueMax: 2 });
  const calls = [client.execute(APP, 'hang'), client.execute(APP, 'echo'), client.execute(APP, 'echo')];
  await until('two wait', () => router.stats().apps[0]!.queued === 2);
  await assert.rejects(client.execute(APP, 'echo'), DirtyOverloadedError);
  const { calls: shown, apps } = router.stats();
  assert.equal(apps[0]!.overloaded, 1);
  assert.deepEqual(
    shown.map(({ state, callerPid }) => [state, callerPid === process.pid]),
    [
      ['running', true],
      ['queued', true],
      ['queued', true],
    ],
  );
  assert.ok(router.cancel(shown[0]!.id));
  await assert.rejects(calls[0]!, DirtyCancelledError);
  assert.equal(router.cancel(4711), false);
  await Promise.all(calls.slice(1));
});

test('without a router a call ends at once, and the next one connects again', async (t) => {
  const { client, router, path, server, another } = await place(t, {}, false);
  const lost = new DirtyClient({
    connect: `${path}-none`,
    hello: { role: 'web', protocol: DIRTY_PROTOCOL, pid: 1, age: 1, generation: 1 },
    defaultTimeoutMs: 0,
  });
  await assert.rejects(lost.execute(APP, 'echo'), DirtyConnectionError);
  const pending = client.execute(APP, 'echo');
  const stream = client.stream(APP, 'count', 3).next();
  await until('both wait', () => router.stats().apps[0]!.queued === 2);
  router.close();
  await assert.rejects(pending, DirtyConnectionError);
  await assert.rejects(stream, DirtyConnectionError);
  await assert.rejects(client.execute(APP, 'echo'), DirtyConnectionError);
  const next = new Router({
    apps: [{ importPath: APP, number: 5 }],
    queueMax: 1,
    threads: 1,
    graceMs: 1000,
    stash: () => assert.fail(),
    stuck: () => {},
    left: () => {},
  });
  server.removeAllListeners('connection');
  server.on('connection', (socket) => next.accept(acceptedChannel(socket)));
  t.after(() => next.close());
  next.expect(9, 1, [5], 'key');
  await new TestWorker(actions).connect(path, 9, [5]);
  assert.equal(await client.execute(APP, 'echo', 'again'), 'again');
  void another;
});

test('the stash is asked over the same connection, and its errors have its codes', async (t) => {
  const { client } = await place(t);
  assert.deepEqual(unpack(await client.askStash(pack(['get', 'table', 'key']))), ['get', ['table', 'key']]);
  await assert.rejects(client.askStash(pack(['refuse'])), {
    code: 'STASH_FULL',
    message: 'it is full',
  });
});

test('a handle is awaited or read, and what is kept can be read later', async (t) => {
  const { client } = await place(t);
  abstract class Model {
    abstract echo(value: string): Promise<string>;
    abstract count(to: number): AsyncGenerator<number>;
    abstract hang(): Promise<never>;
  }
  const model = client.app<typeof Model>(APP);
  assert.equal(await model.echo('hello'), 'hello');
  assert.deepEqual(await Promise.all([model.echo('a'), model.echo('b')]), ['a', 'b']);
  assert.deepEqual(await collect(model.count(3)), [0, 1, 2]);
  await assert.rejects(model.with({ timeoutMs: 1 }).hang(), DirtyTimeoutError);
  assert.equal((model as { then?: unknown }).then, undefined);
  assert.equal((model as unknown as Record<string, unknown>)['_private'], undefined);
  assert.equal((await Promise.resolve(model)).echo, model.echo);
});

test('a client keeps its process alive while something is pending, and not after it', async (t) => {
  const { path, router } = await place(t);
  const client = new URL('../../src/actors/dirty/client.ts', import.meta.url).href;
  const script = `
    const { DirtyClient } = await import('${client}');
    const client = new DirtyClient({
      connect: ${JSON.stringify(path)},
      hello: { role: 'web', protocol: ${DIRTY_PROTOCOL}, pid: process.pid, age: 1, generation: 1 },
      defaultTimeoutMs: 60_000,
    });
    client.with({ timeoutMs: 200 }).execute('${APP}', 'hang').catch(async ({ code }) => {
      for await (const chunk of client.stream('${APP}', 'count', 5)) if (chunk === 3) break;
      console.log(code, await client.execute('${APP}', 'echo', 'done'));
    });`;
  const child = execFile(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
    timeout: 30_000,
  });
  let said = '';
  child.stdout!.on('data', (text) => {
    said += text;
  });
  const [code] = await once(child, 'close');
  assert.deepEqual([code, said], [0, 'DIRTY_TIMEOUT done\n']);
  assert.deepEqual(router.stats().calls, []);
});

test('garbage ends its connection, and disturbs nobody else', async (t) => {
  const notices: string[] = [];
  const { client, path } = await place(t, { notice: (text) => notices.push(text) });
  for (const bytes of [
    Buffer.from('GET / HTTP/1.1\r\nhost: localhost\r\n\r\n'),
    packFrame({ type: FRAME.call }, ['echo', []]),
    packFrame(
      { type: FRAME.hello },
      { role: 'worker', protocol: DIRTY_PROTOCOL, pid: 1, age: 1, generation: 1, apps: [0], secret: 'guess' },
    ),
    packFrame({ type: FRAME.hello }, 'me'),
  ]) {
    const channel = await connectChannel(path);
    const ended = new Promise((resolve) => channel.open({ frame: () => {}, ended: resolve }));
    channel.send(bytes);
    await ended;
  }
  assert.equal(notices.length, 4);
  assert.equal(await client.execute(APP, 'echo', 1), 1);
});

test('a dirty arbiter of another version is told at once as what it is', async (t) => {
  const { path, client, router } = await place(t);
  const older = new DirtyClient({
    connect: path,
    hello: { role: 'web', protocol: 1, pid: 1, age: 8, generation: 1 },
    defaultTimeoutMs: 0,
  });
  t.after(() => older.close());
  await assert.rejects(older.execute(APP, 'echo', 1), {
    code: 'DIRTY_CONNECTION',
    message: `the connection to the dirty arbiter ended: it refused: protocol 1, this is ${DIRTY_PROTOCOL}`,
  });
  assert.equal(await client.execute(APP, 'echo', 1), 1);
  assert.equal(router.stats().apps[0]!.calls, 1);
  const other = join(temporaryDirectory(t), 'other');
  const server = createServer((socket) => {
    const welcome = packFrame({ type: FRAME.welcome }, {});
    welcome[2] = 1;
    socket.on('error', () => {}).write(welcome);
  });
  await new Promise<void>((resolve) => server.listen(other, resolve));
  t.after(() => server.close());
  const newer = new DirtyClient({
    connect: other,
    hello: { role: 'web', protocol: DIRTY_PROTOCOL, pid: 1, age: 8, generation: 1 },
    defaultTimeoutMs: 0,
  });
  t.after(() => newer.close());
  await assert.rejects(newer.execute(APP, 'echo', 1), {
    code: 'DIRTY_CONNECTION',
    message: new RegExp(`version 1 of the wire, this is ${VERSION}$`),
  });
});
