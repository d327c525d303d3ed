/** The stash on real servers: from web workers and dirty workers, at once, full, and across the death of its keeper. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { dirtyServer, WORK } from './dirty-server.ts';

describe('the stash', { concurrency: 2 }, () => {
  test('everything that the document names, from a web worker; a dirty worker sees the same', async (t) => {
    const { inWeb } = await dirtyServer(t);
    const found = await inWeb(async ({ dirty, stash, errorOf }, app) => {
      const { isDeepStrictEqual } = await import('node:util');
      const code = (promise: Promise<unknown>) =>
        promise.then(
          () => 'none',
          (error) => errorOf(error).code,
        );
      const rich = { at: new Date(5), map: new Map([['k', 1n]]), bytes: Buffer.from('b'), none: undefined };
      const steps: Record<string, unknown> = {};
      await stash.put('t', 'rich', rich);
      steps['rich'] = isDeepStrictEqual(await stash.get('t', 'rich'), rich);
      await stash.put('t', 'error', { error: 'a value' });
      steps['error'] = await stash.get('t', 'error');
      steps['missing'] = [
        await stash.get('t', 'no', 'fallback'),
        (await stash.get('t', 'no')) === undefined,
        await stash.get('none', 'no', null),
      ];
      const version = (await stash.getWithVersion('t', 'rich'))!.version;
      steps['compare'] = [
        await stash.compareAndSet('t', 'rich', version, 1),
        await stash.compareAndSet('t', 'rich', version, 2),
        await stash.compareAndSet('t', 'new', 0, 3),
        await stash.compareAndSet('t', 'new', 0, 4),
        await stash.get('t', 'new'),
      ];
      steps['update'] = await stash.update<number[]>('t', 'list', (list = []) => [...list, 1]);
      steps['increment'] = [
        await stash.increment('t', 'n'),
        await stash.increment('t', 'n', 4),
        await code(stash.increment('t', 'list')),
      ];
      steps['exists'] = [await stash.exists('t', 'n'), await stash.exists('t', 'no')];
      steps['keys'] = [
        (await stash.keys('t')).sort(),
        (await stash.keys('t', 'n*')).sort(),
        await stash.keys('t', '[!a-m]'),
      ];
      steps['delete'] = [await stash.delete('t', 'n'), await stash.delete('t', 'n')];
      steps['ensure'] = [
        await stash.ensure('other'),
        await stash.ensure('other'),
        (await stash.tables()).sort(),
      ];
      steps['info'] = (await stash.info('other'))?.keys;
      steps['fromDirty'] = await dirty.execute(app, 'putAndGet', 'k', { of: 'a dirty worker' });
      steps['inWeb'] = await stash.get('from dirty', 'k');
      steps['clear'] = [await stash.clear('from dirty'), await stash.keys('from dirty')];
      steps['deleteTable'] = [await stash.deleteTable('other'), await stash.deleteTable('other')];
      steps['arguments'] = [
        await code(stash.put('t', 'k'.repeat(1025), 1)),
        await code(stash.put('t'.repeat(257), 'k', 1)),
        await code(stash.put('t', 'k', 1, { ttlMs: -1 })),
        await code(stash.put('t', 'k', () => 1)),
      ];
      return steps;
    }, WORK);
    assert.deepEqual(found, {
      rich: true,
      error: { error: 'a value' },
      missing: ['fallback', true, null],
      compare: [true, false, true, false, 3],
      update: [1],
      increment: [1, 5, 'STASH_NOT_A_NUMBER'],
      exists: [true, false],
      keys: [['error', 'list', 'n', 'new', 'rich'], ['n', 'new'], ['n']],
      delete: [true, false],
      ensure: [true, false, ['other', 't']],
      info: 0,
      fromDirty: { of: 'a dirty worker' },
      inWeb: { of: 'a dirty worker' },
      clear: [1, []],
      deleteTable: [true, false],
      arguments: ['STASH_ARGUMENT', 'STASH_ARGUMENT', 'STASH_ARGUMENT', 'DIRTY_PAYLOAD'],
    });
  });

  test('fault 11: what is missing is the fallback, and a stored error is a value', async (t) => {
    const { inWeb } = await dirtyServer(t);
    const found = await inWeb(async ({ stash }) => {
      await stash.put('t', 'error', { error: 'stored', code: 'STASH_FULL' });
      return [await stash.get('t', 'none', { my: 'fallback' }), await stash.get('t', 'error')];
    });
    assert.deepEqual(found, [{ my: 'fallback' }, { error: 'stored', code: 'STASH_FULL' }]);
  });

  test('entries end with their time; update and increment leave it', async (t) => {
    const { inWeb } = await dirtyServer(t);
    const found = await inWeb(async ({ stash }) => {
      const life = { ttlMs: 400 };
      await stash.put('t', 'put', 1, life);
      await stash.increment('t', 'window', 1, life);
      const counted = await stash.increment('t', 'window', 1, { ttlMs: 3_600_000 });
      await stash.put('t', 'kept', 1, life);
      await stash.put('t', 'kept', 2);
      await stash.update('t', 'put', (value) => Number(value) + 1);
      const there = await stash.get('t', 'put', 'gone already');
      while ((await stash.exists('t', 'put')) || (await stash.exists('t', 'window')));
      return { counted, there, keys: await stash.keys('t'), again: await stash.increment('t', 'window') };
    });
    assert.equal(found.counted, 2);
    assert.ok(found.there === 2 || found.there === 'gone already');
    assert.deepEqual([found.keys, found.again], [['kept'], 1]);
  });

  test('four workers increment 250 times each, and web workers race to set', async (t) => {
    const { inWeb, server } = await dirtyServer(t, ['-w', '2', '--dirty-workers', '4']);
    await server.settled(2);
    const counted = await inWeb(async ({ dirty, stash }, app) => {
      await Promise.all([1, 2, 3, 4].map(() => dirty.execute(app, 'increments', 250)));
      return await stash.get('counters', 'shared');
    }, WORK);
    assert.equal(counted, 1000);
    const race = () =>
      inWeb(async ({ stash, worker }) => {
        const won = await Promise.all(
          Array.from({ length: 20 }, (_, each) => stash.compareAndSet('race', 'prize', 0, each)),
        );
        for (let time = 0; time < 25; time++) await stash.update<number>('race', 'sum', (sum = 0) => sum + 1);
        return { won: won.filter(Boolean).length, slot: worker!.slot };
      });
    const races = await Promise.all([race(), race(), race(), race()]);
    assert.equal(
      races.reduce((sum, { won }) => sum + won, 0),
      1,
      'one of eighty is first',
    );
    assert.equal(await inWeb(({ stash }) => stash.get('race', 'sum')), 100);
  });

  test('a full stash refuses what does not fit and keeps what it has', async (t) => {
    const { inWeb, status } = await dirtyServer(t, ['--dirty-stash-max', '1048576']);
    const found = await inWeb(async ({ stash, errorOf }) => {
      await stash.put('t', 'first', 'kept');
      const errors: ReturnType<typeof errorOf>[] = [];
      for (let each = 0; errors.length === 0 && each < 200; each++)
        await stash.put('t', `k${each}`, Buffer.alloc(10_000)).catch((error) => errors.push(errorOf(error)));
      const before = await stash.get('t', 'first');
      await stash.clear('t');
      await stash.put('t', 'again', Buffer.alloc(900_000));
      return { errors, before };
    });
    assert.deepEqual(
      found.errors.map(({ code, name }) => [code, name]),
      [['STASH_FULL', 'StashFullError']],
    );
    assert.equal(found.before, 'kept');
    const { stash } = await status();
    assert.ok(stash.bytes <= stash.bytes_max && stash.entries === 1, JSON.stringify(stash));
  });

  test('it survives kill -9 of the dirty arbiter, in the middle of writing', async (t) => {
    const { inWeb, status, server } = await dirtyServer(t);
    const before = await inWeb(async ({ stash, kept, errorOf }) => {
      await stash.put('t', 'kept', { since: new Date(7) });
      await stash.put('t', 'shortly', 1, { ttlMs: 100 });
      await stash.ensure('empty');
      const { version } = (await stash.getWithVersion('t', 'kept'))!;
      kept.answered = 0;
      kept.codes = [];
      kept.writing = (async () => {
        while (!kept.stop)
          await stash.increment('t', 'count').then(
            (count) => {
              kept.answered = count;
            },
            (error) => kept.codes.push(errorOf(error).code),
          );
      })();
      while (kept.answered < 50) await stash.get('t', 'kept');
      return version;
    });
    const { pid } = await status();
    const from = server.mark();
    process.kill(pid, 'SIGKILL');
    await server.told(/^dirty arbiter .* is ready/, from);
    const after = await inWeb(async ({ stash, kept }) => {
      kept.stop = true;
      await kept.writing;
      const { value, version } = (await stash.getWithVersion<{ since: Date }>('t', 'kept'))!;
      await stash.put('t', 'kept', 1);
      while (await stash.exists('t', 'shortly'));
      return {
        since: value.since.getTime(),
        version,
        next: (await stash.getWithVersion('t', 'kept'))!.version,
        tables: (await stash.tables()).sort(),
        count: await stash.get<number>('t', 'count', -1),
        answered: kept.answered as number,
        codes: kept.codes as string[],
      };
    });
    assert.deepEqual([after.since, after.version, after.tables], [7, before, ['empty', 't']]);
    assert.ok(after.next > after.version, 'no version is given twice');
    // What was answered is there; of what was not, each may be.
    assert.ok(
      after.count >= after.answered && after.count <= after.answered + after.codes.length,
      JSON.stringify(after),
    );
    for (const code of after.codes) assert.equal(code, 'DIRTY_CONNECTION');
  });
});
