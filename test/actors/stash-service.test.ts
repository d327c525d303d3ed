/** The stash between its two ends: what an app asks, over the wire's payloads, of a real store. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { errorOf } from '../../src/actors/dirty/errors.ts';
import { pack, unpack } from '../../src/actors/dirty/packing.ts';
import { createStashClient, StashError, StashFullError } from '../../src/actors/dirty/stash-client.ts';
import { answerStash } from '../../src/actors/dirty/stash-service.ts';
import { openStash } from '../../src/actors/dirty/stash-store.ts';
import { temporaryDirectory } from './support.ts';

function ends(t: TestContext, bytesMax = 1e8) {
  const path = join(temporaryDirectory(t), 'stash');
  const clock = { ms: 1000 };
  const store = openStash({ path, bytesMax, notice: (text) => assert.fail(text), nowMs: () => clock.ms });
  t.after(() => store.close());
  const asked: unknown[] = [];
  const request = async (payload: Buffer): Promise<Buffer> => {
    asked.push((unpack(payload) as unknown[])[0]);
    const { ok, payload: answer } = store.answer(payload);
    if (!ok) throw errorOf(unpack(answer));
    return answer;
  };
  return { clock, store, asked, request, stash: createStashClient(request) };
}

const stashError = (code: string, message: RegExp) => (error: unknown) =>
  error instanceof StashError && error.code === code && message.test(error.message);

describe('a value', () => {
  test('reads back as it was, whatever it looks like', async (t) => {
    const { stash } = ends(t);
    const values = [
      { error: 'stored' },
      { code: 'STASH_FULL', message: 'stored' },
      null,
      undefined,
      0,
      new Map([['a', new Date(5)]]),
      Buffer.from('bytes'),
      12345678901234567890n,
      [[]],
    ];
    for (const value of values) {
      await stash.put('t', 'k', value);
      assert.deepEqual(await stash.get('t', 'k', 'fallback'), value);
    }
  });

  test('that is missing is the fallback', async (t) => {
    const { stash } = ends(t);
    assert.equal(await stash.get('t', 'k'), undefined);
    assert.equal(await stash.get('t', 'k', null), null);
    assert.equal(await stash.get('t', 'k', 7), 7);
    assert.equal(await stash.getWithVersion('t', 'k'), undefined);
  });

  test('that cannot be sent is refused with its place', async (t) => {
    const { stash } = ends(t);
    await assert.rejects(
      stash.put('t', 'k', { a: [() => {}] }),
      /^DirtyPayloadError: value\.a\[0\] is a function$/,
    );
  });
});

test('every operation is the store’s', async (t) => {
  const { stash, clock } = ends(t);
  assert.equal(await stash.put('t', 'a', 1, { ttlMs: 10 }), undefined);
  assert.equal(await stash.increment('t', 'a', 2), 3);
  assert.equal(await stash.increment('t', 'hits'), 1);
  assert.deepEqual((await stash.keys('t')).sort(), ['a', 'hits']);
  assert.deepEqual(await stash.keys('t', 'h*'), ['hits']);
  clock.ms += 10;
  assert.equal(await stash.exists('t', 'a'), false);
  assert.equal(await stash.compareAndSet('t', 'a', 0, 'new', { ttlMs: 5 }), true);
  const { version } = (await stash.getWithVersion<string>('t', 'a'))!;
  assert.equal(await stash.compareAndSet('t', 'a', version + 1, 'newer'), false);
  assert.equal(await stash.compareAndSet('t', 'a', version, 'newer'), true);
  assert.equal(await stash.get('t', 'a'), 'newer');
  assert.equal(await stash.delete('t', 'a'), true);
  assert.equal(await stash.delete('t', 'a'), false);
  assert.equal(await stash.ensure('u'), true);
  assert.deepEqual(await stash.tables(), ['t', 'u']);
  assert.equal((await stash.info('t'))?.keys, 1);
  assert.equal(await stash.info('none'), undefined);
  assert.equal(await stash.clear('t'), 1);
  assert.equal(await stash.deleteTable('t'), true);
  await assert.rejects(
    stash.put('t', 'k', 1).then(() => stash.increment('t', 'k', Number.NaN)),
    stashError('STASH_ARGUMENT', /NaN/),
  );
});

describe('what is refused', () => {
  test('is an error with its code on the asking side', async (t) => {
    const { stash, store } = ends(t, 3000);
    await assert.rejects(stash.put('t', 'k', 'x'.repeat(5000)), (error) => {
      assert.ok(error instanceof StashFullError);
      assert.match(error.message, /5\d\d\d bytes, and 0 of 3000 are taken \(--dirty-stash-max\)$/);
      return error.code === 'STASH_FULL';
    });
    await stash.put('t', 'k', 'x');
    await assert.rejects(stash.increment('t', 'k'), stashError('STASH_NOT_A_NUMBER', /is no number/));
    assert.equal(store.stash.keys('t').length, 1);
  });

  test('is told before it is sent, where it can be', async (t) => {
    const { stash, asked } = ends(t);
    await assert.rejects(stash.get('t', 5 as unknown as string), stashError('STASH_ARGUMENT', /not 5$/));
    await assert.rejects(stash.put('t', '\udc00', 1), stashError('STASH_ARGUMENT', /halves/));
    await assert.rejects(
      stash.put('t', 'k', 1, 5 as unknown as object),
      stashError('STASH_ARGUMENT', /^options are \{ ttlMs \}, not 5$/),
    );
    assert.deepEqual(asked, []);
    await assert.rejects(stash.put('t', 'k', 1, { ttlMs: -5 }), stashError('STASH_ARGUMENT', /not -5/));
  });

  test('of a peer that sends nonsense is answered with an error, too', (t) => {
    const { store } = ends(t);
    const nonsense: [unknown, RegExp][] = [
      ['put', /a request is a list/],
      [[], /no operation undefined/],
      [['constructor'], /no operation "constructor"/],
      [[{ toString: 5 }], /no operation/],
      [['put', 't', 'k', 'not packed'], /comes packed/],
      [['put', 't', 'k', Buffer.from([1]), null], /ttlMs/],
      [['put', 't', 'k', Buffer.from([1]), 'soon'], /ttlMs/],
      [['get', 't', 'k', 'more'], /at most 2 arguments, not 3/],
      [['get', { a: 1 }, []], /a text, not an object/],
      [['compareAndSet', 't', 'k', { toString: 5 }, Buffer.from([1])], /a version/],
      [['keys', 't', 5], /a pattern/],
      [['increment', 't', 'k', '1'], /incremented by a number/],
    ];
    for (const [request, message] of nonsense) {
      const { ok, payload } = store.answer(pack(request));
      assert.equal(ok, false);
      assert.match(String(errorOf(unpack(payload)).message), message);
    }
    assert.equal(store.answer(Buffer.from([0xc1])).ok, false);
    assert.deepEqual(store.stash.tables(), []);
  });

  test('as an answer is what does not fit a frame', (t) => {
    const { store } = ends(t);
    for (let index = 0; index < 100; index++) store.stash.put('t', `key ${index}`, new Uint8Array(1));
    const { ok, payload } = answerStash(store.stash, pack(['keys', 't']), 200);
    assert.equal(ok, false);
    assert.deepEqual(unpack(payload), {
      code: 'STASH_ANSWER_TOO_LARGE',
      message: 'the answer is larger than 200 bytes: ask for less, by a narrower pattern',
    });
  });
});

describe('an update', () => {
  test('changes what is there or nothing, and gives the new value', async (t) => {
    const { stash } = ends(t);
    const add =
      (item: string) =>
      (cart: string[] = []) => [...cart, item];
    assert.deepEqual(await stash.update('carts', 'me', add('a')), ['a']);
    assert.deepEqual(await stash.update('carts', 'me', async (cart) => add('b')(cart as string[])), [
      'a',
      'b',
    ]);
    assert.deepEqual(await stash.get('carts', 'me'), ['a', 'b']);
  });

  test('loses nothing though many are at it at once', async (t) => {
    const { stash } = ends(t);
    const count = (value = 0) => value + 1;
    await Promise.all(Array.from({ length: 12 }, () => stash.update('t', 'n', count)));
    assert.equal(await stash.get('t', 'n'), 12);
  });

  test('keeps the time that an entry has, and gives one where it is told', async (t) => {
    const { stash, clock } = ends(t);
    await stash.put('t', 'k', 1, { ttlMs: 100 });
    await stash.update('t', 'k', () => 2);
    clock.ms += 100;
    assert.equal(await stash.exists('t', 'k'), false);
    await stash.update('t', 'k', () => 3, { ttlMs: 50 });
    clock.ms += 50;
    assert.equal(await stash.exists('t', 'k'), false);
  });

  test('whose change throws changes nothing', async (t) => {
    const { stash, asked } = ends(t);
    const broken = stash.update('t', 'k', () => {
      throw new Error('no');
    });
    await assert.rejects(broken, /^Error: no$/);
    assert.deepEqual(asked, ['get']);
  });

  test('gives up when somebody is always faster', async (t) => {
    const { stash, store, asked } = ends(t);
    let calls = 0;
    await assert.rejects(
      stash.update('t', 'k', () => {
        store.stash.put('t', 'k', pack(calls++));
        return 'mine';
      }),
      stashError('STASH_CONFLICT', /^"k" in "t" was changed by others during each of 32 tries to update it$/),
    );
    assert.equal(calls, 32);
    assert.equal(asked.length, 64);
    assert.equal(await stash.get('t', 'k'), 31);
  });
});

test('what cannot be asked is the connection’s own error', async () => {
  const gone = new Error('gone');
  const stash = createStashClient(() => Promise.reject(gone));
  await assert.rejects(stash.get('t', 'k'), gone);
});

test('a store opened again has what the last one had, numbers too', async (t) => {
  const path = join(temporaryDirectory(t), 'stash');
  const notice = (text: string): void => assert.fail(text);
  const first = openStash({ path, bytesMax: 1e6, notice });
  first.stash.increment('t', 'n', 41);
  first.stash.put('t', 'gone soon', new Uint8Array(1), 3_600_000);
  first.close();
  const second = openStash({ path, bytesMax: 1e6, notice });
  t.after(() => second.close());
  assert.equal(second.stash.increment('t', 'n'), 42);
  // The clock is the machine's: the time left is the same in the next process.
  const left = second.stash.get('t', 'gone soon')!.expiresAtMs - Number(process.hrtime.bigint() / 1_000_000n);
  assert.ok(left > 0 && left <= 3_600_000);
});
