/** Calls of dirty workers from web workers, and what each of them ends in. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { assertCode, dirtyServer, environment, inWeb, OTHER, type Tools, WORK } from './dirty-server.ts';
import { fixture, serve } from './harness.ts';

/** The actions of the fixture that are called by a handle. */
type WorkClass = abstract new () => {
  echo<T>(value: T): T;
  inherited(): string;
  numbers(count: number): Generator<number>;
};

const BOTH = ['--dirty-app', WORK, '--dirty-app', OTHER];

describe('calls', { concurrency: 2 }, () => {
  test('execute, stream and a typed handle answer through HTTP', async (t) => {
    const { inWeb } = await dirtyServer(t);
    const answers = await inWeb(async ({ dirty }, app) => {
      const handle = dirty.app<WorkClass>(app);
      const streamed: unknown[] = [];
      for await (const number of dirty.stream(app, 'numbers', 3)) streamed.push(number);
      const byHandle: number[] = [];
      for await (const number of handle.with({ timeoutMs: 10_000 }).numbers(3)) byHandle.push(number);
      return [
        await dirty.execute(app, 'echo', 'hello'),
        streamed,
        byHandle,
        await handle.echo([1]),
        await handle.inherited(),
      ];
    }, WORK);
    assert.deepEqual(answers, ['hello', [0, 1, 2], [0, 1, 2], [1], 'from the base']);
  });

  test('every kind of value crosses both borders there and back', async (t) => {
    const { inWeb } = await dirtyServer(t);
    const shown = await inWeb(async ({ dirty }, app) => {
      const { isDeepStrictEqual } = await import('node:util');
      class Point {
        x = 1;
      }
      const values: unknown[] = [
        null,
        true,
        false,
        0,
        -0,
        1.5,
        -1,
        2 ** 31,
        2 ** 53,
        Number.NaN,
        Number.POSITIVE_INFINITY,
        '',
        'ä€😀\u0000\ud800',
        10n ** 40n,
        -1n,
        undefined,
        new Date(0),
        new Map<unknown, unknown>([[{ a: 1 }, new Set([1, 'x'])]]),
        new Set(),
        Buffer.from('bytes'),
        new Uint8Array(0),
        new Float64Array([0.1, -0]),
        new BigInt64Array([-5n]),
        [[], [[]]],
        {},
        { a: { b: [undefined] } },
        JSON.parse('{"__proto__": {"polluted": true}}'),
        { error: 'as a value', code: 'DIRTY_TIMEOUT' },
        JSON.parse('{"then": 1, "length": 2}'),
      ];
      const wrong: unknown[] = [];
      for (const [index, value] of values.entries()) {
        const back = await dirty.execute(app, 'echo', value);
        if (!isDeepStrictEqual(back, value)) wrong.push([index, String(value), String(back)]);
      }
      const all = await dirty.execute(app, 'echo', ...values);
      const point = (await dirty.execute(app, 'echo', new Point())) as object;
      const error = (await dirty.execute(app, 'echo', new RangeError('an error as a value'))) as Error;
      return {
        wrong,
        together: isDeepStrictEqual(all, values),
        point: [Object.getPrototypeOf(point) === Object.prototype, point],
        error: [error instanceof Error, error.name, error.message],
        isBuffer: Buffer.isBuffer(await dirty.execute(app, 'fill', 3, 1)),
      };
    }, WORK);
    assert.deepEqual(shown, {
      wrong: [],
      together: true,
      point: [true, { x: 1 }],
      error: [true, 'RangeError', 'an error as a value'],
      isBuffer: true,
    });
  });

  test('what cannot be sent is refused with its place, in arguments and in results', async (t) => {
    const { inWeb, refusal } = await dirtyServer(t);
    const messages = await inWeb(async ({ dirty, errorOf }, app) => {
      const args: unknown[] = [{ cb: () => 1 }, [Promise.resolve(1)], Symbol('s'), new Map([['k', () => 1]])];
      const circle: { me?: unknown } = {};
      circle.me = circle;
      const found: (ReturnType<typeof errorOf> | undefined)[] = [];
      for (const arg of [...args, circle])
        found.push(await dirty.execute(app, 'echo', arg).then(() => undefined, errorOf));
      return found;
    }, WORK);
    for (const error of messages) assertCode(error!, 'DIRTY_PAYLOAD');
    assert.match(messages[0]!.message, /args\[0\]\.cb is a function/);
    assert.match(messages[1]!.message, /args\[0\]\[0\] is a promise/);
    assert.match(messages[2]!.message, /args\[0\] is a symbol/);
    assertCode(await refusal(WORK, 'fails', 'function'), 'DIRTY_PAYLOAD', /list\[1\]\.cb is a function/);
    assertCode(await refusal(WORK, 'fails', 'promise'), 'DIRTY_PAYLOAD', /later is a promise/);
    assert.equal(await inWeb(({ dirty }, app) => dirty.execute(app, 'echo', 1), WORK), 1);
  });

  test('an error of the app comes with its own name, message and stack', async (t) => {
    const { refusal } = await dirtyServer(t);
    const thrown = await refusal(WORK, 'fails');
    assertCode(thrown, 'DIRTY_APP_ERROR', /^that did not work$/);
    assert.equal(thrown.name, 'DirtyAppError');
    assert.equal(thrown.remoteName, 'CustomError');
    assert.match(thrown.remoteStack!, /dirty-apps\.mjs:\d+/);
    const late = await refusal(WORK, 'fails', 'later');
    assert.deepEqual(
      [late.code, late.remoteName, late.message],
      ['DIRTY_APP_ERROR', 'RangeError', 'too late'],
    );
    assertCode(await refusal(WORK, 'fails', 'text'), 'DIRTY_APP_ERROR', /only a text/);
  });

  test('an app or an action that is not there is named, with what is', async (t) => {
    const { refusal } = await dirtyServer(t, BOTH);
    assertCode(
      await refusal('./none.js:None', 'echo'),
      'DIRTY_APP_NOT_FOUND',
      /none\.js:None.*dirty-apps\.mjs:Work/,
    );
    assertCode(await refusal(WORK, 'ecko'), 'DIRTY_ACTION_NOT_FOUND', /"ecko".*echo/);
    const hidden = [
      '_private',
      'init',
      'close',
      'constructor',
      'call',
      'toString',
      'hasOwnProperty',
      '__proto__',
      'getter',
      'field',
      '',
    ];
    for (const name of [...hidden, '__defineGetter__'])
      assertCode(await refusal(WORK, name), 'DIRTY_ACTION_NOT_FOUND');
    assertCode(await refusal(WORK, 'numbers', 3), 'DIRTY_ACTION_NOT_FOUND', /generator.*dirty\.stream/);
  });

  test('without dirty workers a call says how to have some', async (t) => {
    const server = await serve(t, fixture('dirty-web.mjs'), ['-w', '1'], {
      env: environment,
    });
    const errors = await inWeb(
      server,
      async ({ dirty, stash, errorOf }: Tools) => [
        await dirty.execute('./x.js:X', 'x').then(() => undefined, errorOf),
        await dirty
          .stream('./x.js:X', 'x')
          .next()
          .then(() => undefined, errorOf),
        await stash.get('a', 'b').then(() => undefined, errorOf),
      ],
      [],
    );
    for (const error of errors) assertCode(error!, 'DIRTY_CONNECTION', /--dirty-app.*--dirty-workers/);
  });
});
