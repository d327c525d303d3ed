/** The runtime of a dirty worker: each call is answered once, as its action does, and ends early when told to. */
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { actionsOf, DirtyApp, type DirtyClass } from '../../src/actors/dirty/app.ts';
import { DirtyTimeoutError, errorOf } from '../../src/actors/dirty/errors.ts';
import {
  AHEAD_BYTES,
  bareFrame,
  FLAG_STREAM,
  FRAME,
  idOf,
  payloadOf,
  typeOf,
} from '../../src/actors/dirty/frames.ts';
import { packFrame, unpack } from '../../src/actors/dirty/packing.ts';
import { DirtyRuntime } from '../../src/actors/dirty/runtime.ts';
import { channelPair } from './dirty-memory-channel.ts';
import { until } from './support.ts';

const TYPES = Object.fromEntries(Object.entries(FRAME).map(([name, type]) => [type, name]));

/** What an app has seen, in order. */
let seen: string[] = [];

class App extends DirtyApp {
  field = (): number => 1;
  add(a: number, b: number) {
    return a + b;
  }
  async later(value: unknown) {
    await new Promise(setImmediate);
    return value;
  }
  fail(how: string) {
    if (how === 'text') throw 'up';
    if (how === 'hostile') throw Object.defineProperty(new Error('x'), 'name', { get: () => assert.fail() });
    if (how === 'dirty') throw new DirtyTimeoutError('of another call');
    throw Object.assign(new TypeError('no such thing'), { code: 'EAPP' });
  }
  unpackable() {
    return { list: [{ callback() {} }] };
  }
  large(bytes: number) {
    return Buffer.alloc(bytes);
  }
  where() {
    const { app, action, deadline, signal } = this.call;
    return { app, action, timed: deadline !== undefined, aborted: signal.aborted };
  }
  async who(turns: number) {
    const before = this.call;
    for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate);
    return before === this.call && this.call.action === 'who';
  }
  async wait() {
    seen.push('waiting');
    try {
      await sleep(600_000, undefined, { signal: this.call.signal });
    } finally {
      seen.push('left');
    }
  }
  async stubborn() {
    seen.push('begun');
    await new Promise<void>((resolve) => {
      this.call.signal.addEventListener('abort', () => setImmediate(resolve));
    });
    return 'too late';
  }
  /** As a listener that asks anew which call it belongs to. */
  async listens() {
    seen.push('begun');
    await new Promise((_, reject) => {
      this.call.signal.addEventListener('abort', () => reject(this.call.signal.reason));
    });
  }
  *count(to: number) {
    try {
      for (let number = 0; number < to; number++) {
        seen.push(`made ${number}`);
        yield number;
      }
    } finally {
      seen.push(`left ${this.call.action}`);
    }
  }
  *blocks(bytes: number) {
    for (let number = 1; ; number++) {
      seen.push(`block ${number}`);
      yield Buffer.alloc(bytes, number);
    }
  }
  async *tokens(to: number) {
    try {
      for (let number = 0; number < to; number++) {
        await null;
        yield this.call.action + number;
      }
    } finally {
      await null;
      seen.push(`left ${this.call.action}`);
    }
  }
  async *breaks() {
    yield 1;
    throw new RangeError('broken');
  }
  *bad() {
    try {
      yield () => {};
    } finally {
      seen.push('left bad');
    }
  }
  *messy() {
    try {
      yield 1;
      yield 2;
    } finally {
      // biome-ignore lint/correctness/noUnsafeFinally: what an app may do
      throw new Error('mess');
    }
  }
  *promises() {
    yield Promise.resolve('a');
    yield Promise.reject(new Error('no b'));
  }
  async endless() {
    return (function* () {
      for (;;) yield 0;
    })();
  }
  pipe() {
    return Readable.from(['x', 'y']);
  }
  events() {
    let ended = (): void => {};
    const gone = new Promise<IteratorResult<never>>((resolve) => {
      ended = () => resolve({ done: true, value: undefined });
    });
    return {
      [Symbol.asyncIterator]() {
        return {
          next: () => {
            seen.push('listening');
            return gone;
          },
          return: async () => {
            seen.push('unheard');
            ended();
            return { done: true, value: undefined };
          },
        };
      },
    };
  }
  list() {
    return [1, 2];
  }
}

function worker(frameBytesMax?: number) {
  seen = [];
  const [router, end] = channelPair();
  const notices: string[] = [];
  const app = { importPath: './a.js:App', instance: new App(), actions: actionsOf(App as DirtyClass) };
  const runtime = new DirtyRuntime({
    apps: new Map([[3, app]]),
    send: (frame) => end.send(frame),
    notice: (text) => notices.push(text),
    ...(frameBytesMax === undefined ? {} : { frameBytesMax }),
  });
  const said: { id: number; type: string; payload: unknown }[] = [];
  end.open({ frame: (frame, more) => assert.ok(runtime.take(frame, more)), ended() {} });
  router.open({
    frame: (frame, more) => {
      const payload = payloadOf(frame, more);
      const value = payload.length === 0 ? undefined : unpack(Buffer.from(payload), true);
      said.push({ id: idOf(frame), type: TYPES[typeOf(frame)]!, payload: value });
    },
    ended() {},
  });
  let lastId = 0;
  const call = (
    action: string,
    args: unknown[] = [],
    how: { stream?: boolean; ms?: number; app?: number } = {},
  ) => {
    const id = ++lastId;
    const flags = how.stream ? FLAG_STREAM : 0;
    router.send(
      packFrame({ type: FRAME.call, id, flags, app: how.app ?? 3, number: how.ms ?? 0 }, [action, args]),
    );
    return id;
  };
  const of = (id: number) => said.filter((one) => one.id === id);
  const last = (id: number) =>
    until(`call ${id} has ended`, () => of(id).find(({ type }) => type !== 'chunk'));
  return {
    runtime,
    said,
    notices,
    router,
    call,
    of,
    last,
    credit: (id: number, number: number, readBytes = 0) =>
      router.send(bareFrame({ type: FRAME.credit, id, number, readBytes })),
    cancel: (id: number) => router.send(bareFrame({ type: FRAME.cancel, id })),
    chunks: (id: number) => of(id).flatMap(({ type, payload }) => (type === 'chunk' ? [payload] : [])),
    async result(action: string, ...args: unknown[]) {
      const { type, payload } = await last(call(action, args));
      assert.equal(type, 'result', JSON.stringify(payload));
      return payload;
    },
    async error(action: string, args: unknown[] = [], how: Parameters<typeof call>[2] = {}) {
      const { type, payload } = await last(call(action, args, how));
      assert.equal(type, 'error');
      return payload as { code: string; message: string; name?: string; stack?: string };
    },
  };
}

describe('an action', () => {
  test('gives what it returns, now or later', async () => {
    const { result } = worker();
    assert.equal(await result('add', 2, 3), 5);
    assert.deepEqual(await result('later', new Map([['a', 1n]])), new Map([['a', 1n]]));
    assert.deepEqual(await result('later', undefined), undefined);
    assert.deepEqual(await result('list'), [1, 2]);
  });

  test('keeps its arguments, though the next frame lands where they lay', async () => {
    const { call, last } = worker();
    const [first, second] = [call('later', [Buffer.from('first')]), call('later', [Buffer.from('other')])];
    assert.equal(String((await last(first)).payload), 'first');
    assert.equal(String((await last(second)).payload), 'other');
  });

  test('that is not there is told, with the nearest one', async () => {
    const { error } = worker();
    assert.deepEqual(await error('ad'), {
      code: 'DIRTY_ACTION_NOT_FOUND',
      message: './a.js:App has no action "ad" (did you mean "add"?)',
    });
    for (const name of ['constructor', '__proto__', 'init', 'close', '_x', 'toString', ''])
      assert.equal((await error(name)).code, 'DIRTY_ACTION_NOT_FOUND', name);
    assert.match(
      (await error('field')).message,
      /no action "field": that is a field, and actions are methods$/,
    );
    assert.ok((await error('x'.repeat(10_000))).message.length < 200);
  });

  test('that throws tells name, message and stack', async () => {
    const { error } = worker();
    const { code, name, message, stack } = await error('fail');
    assert.deepEqual([code, name, message], ['DIRTY_APP_ERROR', 'TypeError', 'no such thing']);
    assert.match(stack!, /^TypeError: no such thing\n {4}at App\.fail/);
    assert.match((await error('fail', ['text'])).message, /up was thrown/);
    assert.equal((await error('fail', ['hostile'])).code, 'DIRTY_APP_ERROR');
  });

  test('that passes on the error of another call is what has thrown, to its own caller', async () => {
    const { code, name, message } = await worker().error('fail', ['dirty']);
    assert.deepEqual([code, name, message], ['DIRTY_APP_ERROR', 'DirtyTimeoutError', 'of another call']);
  });

  test('whose result cannot be sent is an error with its place', async () => {
    const { error, result } = worker(1000);
    assert.deepEqual(await error('unpackable'), {
      code: 'DIRTY_PAYLOAD',
      message: 'the result.list[0].callback is a function',
    });
    assert.deepEqual(await error('large', [2000]), {
      code: 'DIRTY_PAYLOAD',
      message: 'the result is larger than 1000 bytes',
    });
    assert.equal(((await result('large', 900)) as Buffer).length, 900);
  });

  test('knows its own call, also where several run at once', async () => {
    const { call, last, result } = worker();
    assert.deepEqual(await result('where'), {
      app: './a.js:App',
      action: 'where',
      timed: false,
      aborted: false,
    });
    const ids = [5, 1, 3].map((turns) => call('who', [turns]));
    for (const id of ids) assert.equal((await last(id)).payload, true);
  });
});

describe('a call', () => {
  test('of an app that is not here, or that is none, is refused', async () => {
    const { error, router, said } = worker();
    assert.equal((await error('add', [], { app: 9 })).code, 'DIRTY_APP_NOT_FOUND');
    for (const payload of [5, ['add'], ['add', 5], [5, []], ['add', [], 1]]) {
      said.length = 0;
      router.send(packFrame({ type: FRAME.call, id: 99, app: 3 }, payload));
      const answer = await until('it is refused', () => said[0]);
      assert.equal(errorOf(answer.payload).code, 'DIRTY_PAYLOAD');
    }
    said.length = 0;
    router.send(bareFrame({ type: FRAME.call, id: 99, app: 3 }));
    assert.equal((await until('it is refused', () => said[0])).type, 'error');
  });

  test('that is cancelled aborts its signal, and is answered once', async () => {
    const { call, cancel, last, of, runtime } = worker();
    const id = call('wait');
    await until('it waits', () => seen.includes('waiting'));
    cancel(id);
    cancel(id);
    const { type, payload } = await last(id);
    assert.equal(type, 'error');
    assert.equal(errorOf(payload).code, 'DIRTY_CANCELLED');
    assert.deepEqual(seen, ['waiting', 'left']);
    assert.equal(runtime.running, 0);
    assert.equal(of(id).length, 1);
  });

  test('whose signal is listened to knows in the listener which call it is', async () => {
    const { call, cancel, last, error } = worker();
    const id = call('listens');
    await until('it has begun', () => seen.includes('begun'));
    cancel(id);
    assert.equal(((await last(id)).payload as { code: string }).code, 'DIRTY_CANCELLED');
    assert.equal((await error('listens', [], { ms: 1 })).code, 'DIRTY_TIMEOUT');
  });

  test('that ends with a result after it was cancelled still comes free', async () => {
    const { call, cancel, last } = worker();
    const id = call('stubborn');
    await until('it runs', () => seen.includes('begun'));
    cancel(id);
    assert.equal(errorOf((await last(id)).payload).code, 'DIRTY_CANCELLED');
  });

  test('whose deadline passes aborts its signal, with that reason', async () => {
    const { error, call, last } = worker();
    assert.equal((await error('wait', [], { ms: 1 })).code, 'DIRTY_TIMEOUT');
    const { payload } = await last(call('stubborn', [], { ms: 1 }));
    assert.equal(payload, 'too late', 'whether it is, the router knows');
    const timed = await last(call('where', [], { ms: 60_000 }));
    assert.equal((timed.payload as { timed: boolean }).timed, true);
    // Longer than a timer of Node can be.
    assert.equal((await last(call('where', [], { ms: 0xffff_ffff }))).type, 'result');
  });

  test('that came is waited for by a drain', async () => {
    const { call, cancel, last, runtime, credit } = worker();
    await runtime.drain();
    const ids = [call('wait'), call('tokens', [2], { stream: true })];
    await until('they run', () => runtime.running === 2);
    let drained = false;
    const draining = runtime.drain().then(() => {
      drained = true;
    });
    cancel(ids[0]!);
    await last(ids[0]!);
    assert.equal(drained, false);
    credit(ids[1]!, 5);
    await draining;
    assert.equal((await last(ids[1]!)).type, 'end');
  });

  test('is cancelled with all others when the connection is gone', async () => {
    const { call, runtime } = worker();
    call('wait');
    call('count', [5], { stream: true });
    await until('they run', () => runtime.running === 2);
    runtime.cancelAll('the connection ended');
    await runtime.drain();
    assert.ok(seen.includes('left'));
  });

  test('with the number of one that runs is a bug of the router', async () => {
    const { runtime } = worker();
    const frame = (): Buffer => packFrame({ type: FRAME.call, id: 7, app: 3 }, ['wait', []]);
    runtime.take(frame());
    assert.throws(() => runtime.take(frame()), /call 7 is running already/);
    runtime.cancelAll('over');
    await runtime.drain();
  });

  test('is the only thing the runtime takes; credit and cancel of what has ended are no news', () => {
    const { runtime } = worker();
    assert.equal(runtime.take(bareFrame({ type: FRAME.result, id: 1 })), false);
    assert.equal(runtime.take(bareFrame({ type: FRAME.credit, id: 1, number: 5 })), true);
    assert.equal(runtime.take(bareFrame({ type: FRAME.cancel, id: 1 })), true);
  });
});

describe('a stream', () => {
  test('sends as many as there is room for, and advances no further', async () => {
    const { call, credit, chunks, last, runtime } = worker();
    const id = call('count', [5], { stream: true });
    await until('it runs', () => runtime.running === 1);
    assert.deepEqual(seen, []);
    credit(id, 2);
    await until('two have come', () => chunks(id).length === 2);
    assert.deepEqual(seen, ['made 0', 'made 1']);
    credit(id, 100);
    assert.equal((await last(id)).type, 'end');
    assert.deepEqual(chunks(id), [0, 1, 2, 3, 4]);
    assert.equal(seen.at(-1), 'left count');
  });

  test('stops where it is too many bytes ahead, whatever credit it has, until some were read', async () => {
    const { call, credit, chunks, last, cancel, result } = worker();
    const id = call('blocks', [AHEAD_BYTES / 4], { stream: true });
    credit(id, 128);
    await until('four have come', () => chunks(id).length === 4);
    const [{ length }] = chunks(id) as [Buffer];
    assert.equal(length, AHEAD_BYTES / 4);
    // Credit alone does not help, and what was read makes room for as much.
    credit(id, 100);
    await result('later', 1);
    assert.equal(seen.at(-1), 'block 4');
    credit(id, 0, AHEAD_BYTES / 2);
    await until('two more have come', () => chunks(id).length === 6);
    credit(id, 1);
    await result('later', 1);
    assert.equal(seen.at(-1), 'block 6');
    cancel(id);
    assert.equal((await last(id)).type, 'error');
  });

  const kinds: [string, unknown[], unknown[]][] = [
    ['tokens', [3], ['tokens0', 'tokens1', 'tokens2']],
    ['tokens', [0], []],
    ['pipe', [], ['x', 'y']],
  ];
  for (const [action, args, expected] of kinds)
    test(`may be what ${action} gives: ${expected.join(', ') || 'nothing'}`, async () => {
      const { call, credit, chunks, last } = worker();
      const id = call(action, args, { stream: true });
      credit(id, 10);
      assert.equal((await last(id)).type, 'end');
      assert.deepEqual(chunks(id), expected);
    });

  for (const action of ['count', 'tokens'])
    test(`of ${action} that is cancelled cleans up before it is answered`, async () => {
      const { call, credit, cancel, chunks, last } = worker();
      const id = call(action, [100], { stream: true });
      credit(id, 2);
      await until('two have come', () => chunks(id).length === 2);
      cancel(id);
      assert.equal(errorOf((await last(id)).payload).code, 'DIRTY_CANCELLED');
      assert.equal(seen.at(-1), `left ${action}`);
      assert.equal(chunks(id).length, 2);
    });

  test('whose deadline passes while it waits for room ends', async () => {
    const { error } = worker();
    assert.equal((await error('count', [5], { stream: true, ms: 1 })).code, 'DIRTY_TIMEOUT');
  });

  test('that waits for an event is ended at once', async () => {
    const { call, credit, cancel, last } = worker();
    const id = call('events', [], { stream: true });
    credit(id, 1);
    await until('it listens', () => seen.includes('listening'));
    cancel(id);
    assert.equal((await last(id)).type, 'error');
    assert.deepEqual(seen, ['listening', 'unheard']);
  });

  test('that throws ends in its error, after what came before', async () => {
    const { call, credit, chunks, last } = worker();
    const id = call('breaks', [], { stream: true });
    credit(id, 5);
    const { code, name, message } = (await last(id)).payload as Record<string, string>;
    assert.deepEqual([code, name, message], ['DIRTY_APP_ERROR', 'RangeError', 'broken']);
    assert.deepEqual(chunks(id), [1]);
  });

  test('takes promises that a generator yields', async () => {
    const { call, credit, chunks, last } = worker();
    const id = call('promises', [], { stream: true });
    credit(id, 5);
    assert.equal(((await last(id)).payload as Error).message, 'no b');
    assert.deepEqual(chunks(id), ['a']);
  });

  test('with a chunk that cannot be sent ends in an error, and cleans up', async () => {
    const { call, credit, last } = worker();
    const id = call('bad', [], { stream: true });
    credit(id, 5);
    assert.deepEqual((await last(id)).payload, { code: 'DIRTY_PAYLOAD', message: 'the chunk is a function' });
    assert.deepEqual(seen, ['left bad']);
  });

  test('that fails to clean up has it told', async () => {
    const { call, credit, cancel, chunks, last, notices } = worker();
    const id = call('messy', [], { stream: true });
    credit(id, 1);
    await until('one has come', () => chunks(id).length === 1);
    cancel(id);
    assert.equal(errorOf((await last(id)).payload).code, 'DIRTY_CANCELLED');
    assert.deepEqual(notices, ['./a.js:App: messy failed to clean up: mess']);
  });

  test('that never waits leaves others their turn', async () => {
    const { call, credit, cancel, last } = worker();
    const id = call('endless', [], { stream: true });
    credit(id, 0xffff_ffff);
    setImmediate(() => setImmediate(() => cancel(id)));
    assert.equal(errorOf((await last(id)).payload).code, 'DIRTY_CANCELLED');
  });

  test('is not what an action without one gives, nor the other way round', async () => {
    const { error } = worker();
    const messages = [
      (await error('add', [1, 2], { stream: true })).message,
      (await error('tokens', [1])).message,
    ];
    assert.deepEqual(messages, [
      './a.js:App: "add" gives one result, and is no generator: await it, by dirty.execute',
      './a.js:App: "tokens" is a generator: read it with for await, by dirty.stream',
    ]);
  });
});
