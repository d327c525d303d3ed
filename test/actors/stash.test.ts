/** The stash's memory: what each operation says and leaves, its bounds, and that it is like a simple model. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Stash } from '../../src/actors/dirty/stash.ts';
import type { Life } from '../../src/actors/dirty/stash-change.ts';
import type { StashCode } from '../../src/actors/dirty/stash-errors.ts';
import { StashError, StashFullError } from '../../src/actors/dirty/stash-errors.ts';
import { globMatcher } from '../../src/actors/dirty/stash-glob.ts';
import { ENTRY_OVERHEAD_BYTES, TABLE_OVERHEAD_BYTES } from '../../src/actors/dirty/stash-tables.ts';
import { bytes, numbers, text } from './stash-support.ts';

function stashAt(bytesMax = 1e9) {
  const clock = { ms: 1000 };
  return { clock, stash: new Stash({ bytesMax, nowMs: () => clock.ms, numbers }) };
}

const refused =
  (code: StashCode, message: RegExp) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof StashError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, message);
    return true;
  };

describe('a key', () => {
  test('reads back as the bytes it was put as, with a version that grows', () => {
    const { stash } = stashAt();
    const first = stash.put('t', 'k', bytes('one'));
    assert.deepEqual(stash.get('t', 'k'), { value: bytes('one'), version: first, expiresAtMs: 0 });
    assert.ok(stash.put('t', 'k', bytes('two')) > first);
    assert.equal(text(stash.get('t', 'k')?.value), 'two');
    assert.equal(stash.get('t', 'other'), undefined);
    assert.equal(stash.get('other', 'k'), undefined);
    assert.equal(stash.exists('t', 'k'), true);
  });

  test('keeps its own copy', () => {
    const { stash } = stashAt();
    const value = bytes('mine');
    stash.put('t', 'k', value);
    value.fill(0);
    assert.equal(text(stash.get('t', 'k')?.value), 'mine');
  });

  test('never gets a version again that it had, though it was deleted', () => {
    const { stash } = stashAt();
    const first = stash.put('t', 'k', bytes('a'));
    assert.equal(stash.delete('t', 'k'), true);
    assert.equal(stash.delete('t', 'k'), false);
    assert.ok(stash.put('t', 'k', bytes('a')) > first);
    assert.equal(stash.compareAndSet('t', 'k', first, bytes('b')), false);
  });

  test('is compared and set: at its version, and at 0 where there is none', () => {
    const { stash } = stashAt();
    assert.equal(stash.compareAndSet('t', 'k', 1, bytes('a')), false);
    assert.equal(stash.compareAndSet('t', 'k', 0, bytes('a')), true);
    assert.equal(stash.compareAndSet('t', 'k', 0, bytes('b')), false);
    assert.equal(stash.compareAndSet('t', 'k', stash.get('t', 'k')!.version, bytes('b')), true);
    assert.equal(text(stash.get('t', 'k')?.value), 'b');
  });

  test('is incremented from 0, by any number', () => {
    const { stash } = stashAt();
    assert.equal(stash.increment('t', 'n'), 1);
    assert.equal(stash.increment('t', 'n', 10), 11);
    assert.equal(stash.increment('t', 'n', -11.5), -0.5);
    stash.put('t', 'text', bytes('x'));
    assert.throws(
      () => stash.increment('t', 'text'),
      refused('STASH_NOT_A_NUMBER', /^"text" in "t" is no number$/),
    );
    assert.throws(() => stash.increment('t', 'n', Number.NaN), refused('STASH_ARGUMENT', /not by NaN/));
  });

  test('is never incremented into a number that cannot count', () => {
    const { stash } = stashAt();
    stash.put('t', 'n', numbers.pack(Number.MAX_SAFE_INTEGER));
    assert.throws(
      () => stash.increment('t', 'n'),
      refused('STASH_NOT_A_NUMBER', /beyond what a number can count/),
    );
    assert.equal(numbers.unpack(stash.get('t', 'n')!.value), Number.MAX_SAFE_INTEGER);
  });
});

describe('a time to live', () => {
  test('ends an entry for every operation, at its millisecond', () => {
    const { stash, clock } = stashAt();
    stash.put('t', 'k', bytes('a'), 100);
    clock.ms += 99;
    assert.equal(stash.exists('t', 'k'), true);
    clock.ms += 1;
    assert.equal(stash.exists('t', 'k'), false);
    assert.deepEqual(stash.keys('t'), []);
    assert.equal(stash.delete('t', 'k'), false);
    assert.equal(stash.clear('t'), 0);
    assert.equal(stash.compareAndSet('t', 'k', 0, bytes('b')), true);
  });

  test('begins anew with each put, and is gone without one', () => {
    const { stash, clock } = stashAt();
    stash.put('t', 'k', bytes('a'), 100);
    stash.put('t', 'k', bytes('b'), 200);
    clock.ms += 150;
    assert.equal(text(stash.get('t', 'k')?.value), 'b');
    stash.put('t', 'k', bytes('c'));
    clock.ms += 1e12;
    assert.equal(text(stash.get('t', 'k')?.value), 'c');
  });

  test('of a counter is that of its first increment', () => {
    const { stash, clock } = stashAt();
    stash.increment('t', 'n', 1, 100);
    clock.ms += 99;
    assert.equal(stash.increment('t', 'n', 1, 100), 2);
    clock.ms += 1;
    assert.equal(stash.increment('t', 'n', 1, 100), 1);
  });

  test('is kept where that is asked for', () => {
    const { stash, clock } = stashAt();
    stash.put('t', 'k', bytes('a'), 100);
    const { version, expiresAtMs } = stash.get('t', 'k')!;
    stash.compareAndSet('t', 'k', version, bytes('b'), 'kept');
    assert.equal(stash.get('t', 'k')?.expiresAtMs, expiresAtMs);
    clock.ms += 100;
    assert.equal(stash.get('t', 'k'), undefined);
  });

  test('that is over frees its bytes when swept, and a sweep is bounded', () => {
    const { stash, clock } = stashAt();
    stash.ensure('t');
    const empty = stash.bytes;
    for (let index = 0; index < 500; index++) stash.put('t', `k${index}`, bytes('x'), 100);
    clock.ms += 100;
    assert.equal(stash.sweep(200), 200);
    assert.ok(stash.bytes > empty);
    stash.sweep(300);
    assert.equal(stash.bytes, empty);
  });

  for (const ttl of [0, -1, Number.NaN, Number.POSITIVE_INFINITY, '5' as unknown as number])
    test(`cannot be ${String(ttl)}`, () => {
      assert.throws(
        () => stashAt().stash.put('t', 'k', bytes(''), ttl),
        refused('STASH_ARGUMENT', /^ttlMs is/),
      );
    });
});

describe('a table', () => {
  test('is there from its first key or by name, until it is deleted', () => {
    const { stash } = stashAt();
    assert.equal(stash.ensure('a'), true);
    assert.equal(stash.ensure('a'), false);
    stash.put('b', 'k', bytes('x'));
    stash.delete('b', 'k');
    assert.deepEqual(stash.tables(), ['a', 'b']);
    assert.equal(stash.deleteTable('a'), true);
    assert.equal(stash.deleteTable('a'), false);
    assert.deepEqual(stash.tables(), ['b']);
    stash.put('b', 'k', bytes('x'), 5);
    assert.equal(stash.clear('b'), 1);
    assert.deepEqual(stash.tables(), ['b']);
    stash.deleteTable('b');
    assert.equal(stash.bytes, 0);
  });

  test('tells what it holds', () => {
    const { stash } = stashAt(10_000);
    assert.equal(stash.info('t'), undefined);
    stash.put('t', 'é', bytes('four'));
    const held = 1 + TABLE_OVERHEAD_BYTES + 2 + 4 + ENTRY_OVERHEAD_BYTES;
    assert.deepEqual(stash.info('t'), { keys: 1, bytes: held, stashBytes: held, stashBytesMax: 10_000 });
    stash.ensure('u');
    assert.deepEqual(stash.totals(), { tables: 2, entries: 1, bytes: stash.bytes, bytesMax: 10_000 });
  });

  test('called like a part of an object is a table like others', () => {
    const { stash } = stashAt();
    for (const name of ['__proto__', 'constructor', 'toString']) {
      assert.equal(stash.get(name, name), undefined);
      stash.put(name, name, bytes(name));
      assert.equal(text(stash.get(name, name)?.value), name);
    }
  });
});

describe('what the stash may hold is bounded', () => {
  test('more is refused with the figures and the setting, and changes nothing', () => {
    const { stash } = stashAt(2000);
    stash.put('t', 'k', bytes('old'));
    const before = stash.bytes;
    assert.throws(
      () => stash.put('t', 'k', new Uint8Array(5000)),
      (error) =>
        error instanceof StashFullError &&
        /^the stash is full: "k" in "t" needs 4997 bytes, and \d+ of 2000 are taken \(--dirty-stash-max\)$/.test(
          error.message,
        ),
    );
    assert.equal(text(stash.get('t', 'k')?.value), 'old');
    assert.equal(stash.bytes, before);
    assert.throws(
      () => {
        for (let index = 0; ; index++) stash.ensure(`t${index}`);
      },
      refused('STASH_FULL', /one more table needs/),
    );
  });

  test('what is due makes room', () => {
    const { stash, clock } = stashAt(TABLE_OVERHEAD_BYTES + 200 * (ENTRY_OVERHEAD_BYTES + 10));
    for (let index = 0; index < 190; index++) stash.put('t', `k${index}`, bytes('x'), 100);
    clock.ms += 100;
    for (let index = 0; index < 190; index++) stash.put('t', `l${index}`, bytes('x'));
    assert.equal(stash.keys('t').length, 190);
  });

  test('names are, too', () => {
    const { stash } = stashAt();
    const cases: [unknown, RegExp][] = [
      ['', /never empty/],
      [5, /a text, not 5$/],
      [null, /a text, not null/],
      [undefined, /a text, not undefined/],
      ['x'.repeat(1025), /at most \d+ bytes, not 1025/],
      ['\ud800', /without halves of characters/],
    ];
    for (const [name, message] of cases) {
      assert.throws(() => stash.get('t', name as string), refused('STASH_ARGUMENT', message));
      assert.throws(() => stash.ensure(name as string), refused('STASH_ARGUMENT', message));
    }
    stash.put('x'.repeat(256), 'x'.repeat(1024), bytes(''));
  });
});

describe('a pattern', () => {
  const table: [string, string[], string[]][] = [
    ['*', ['', 'a', 'äöü'], []],
    ['a', ['a'], ['', 'aa', 'b']],
    ['a*', ['a', 'ab'], ['ba', '']],
    ['*a', ['a', 'ba', 'aa'], ['ab']],
    ['a*b*c', ['abc', 'axbxc', 'abcbc'], ['acb', 'ab']],
    ['?', ['a', '🦄'], ['', 'ab']],
    ['u?*', ['ux', 'uxy'], ['u']],
    ['[abc]', ['a', 'c'], ['d', '']],
    ['[a-c]x', ['bx'], ['dx', 'b-']],
    ['[!a-c]', ['d', '-'], ['a']],
    ['[^a]', ['b', '^'], ['a']],
    ['[]a]', [']', 'a'], ['[', '[]']],
    ['[*]', ['*'], ['a']],
    ['[a-]', ['a', '-'], ['b']],
    ['[a', ['[a'], ['a']],
    ['user:*:[0-9]', ['user:x:1', 'user::1:2'], ['user:x:a']],
    ['**', ['', 'a'], []],
    ['a.c', ['a.c'], ['abc']],
  ];
  for (const [glob, matching, other] of table)
    test(JSON.stringify(glob), () => {
      const matches = globMatcher(glob);
      for (const key of matching) assert.ok(matches(key), key);
      for (const key of other) assert.ok(!matches(key), key);
    });

  test('of chance matches what the same regular expression does', () => {
    const part = fc.constantFrom('*', '?', 'a', 'b', '[ab]', '[!a]', '.');
    const globs = fc.array(part, { maxLength: 80 });
    const keys = fc.string({ unit: fc.constantFrom('a', 'b', '.'), maxLength: 90 });
    fc.assert(
      fc.property(globs, keys, (parts, key) => {
        const source = parts.map((one) =>
          one === '*' ? '.*' : one === '?' ? '.' : one === '.' ? '\\.' : one.replace('!', '^'),
        );
        // Neighbouring stars are one, else the regular expression takes for ever.
        const pattern = new RegExp(`^${source.join('').replaceAll(/(?:\.\*)+/g, '.*')}$`);
        fc.pre(parts.filter((one) => one === '*').length < 5);
        assert.equal(globMatcher(parts.join(''))(key), pattern.test(key));
      }),
      { numRuns: 3000 },
    );
  });

  test('made to be slow is not', () => {
    const matches = globMatcher('*a'.repeat(100));
    assert.equal(matches(`${'a'.repeat(1000)}b`), false);
  });

  test('that is too long is refused', () => {
    assert.throws(() => stashAt().stash.keys('t', '*'.repeat(257)), refused('STASH_ARGUMENT', /at most 256/));
  });
});

test('whatever is done to it, it is like the model, and what its changes replay into is the same', () => {
  const name = fc.constantFrom('a', 'b', 'c');
  const life = fc.option(fc.integer({ min: 1, max: 20 }), { nil: 'forever' as const });
  const lives = fc.oneof(life, fc.constant('kept' as const));
  const value = fc.string({ maxLength: 30 });
  const steps = fc.array(
    fc.oneof(
      fc.record({ op: fc.constant('put' as const), table: name, key: name, value, life: lives }),
      fc.record({ op: fc.constant('cas' as const), table: name, key: name, value, hit: fc.boolean() }),
      fc.record({ op: fc.constant('increment' as const), table: name, key: name, life }),
      fc.record({ op: fc.constantFrom('delete', 'get'), table: name, key: name }),
      fc.record({ op: fc.constantFrom('clear', 'deleteTable', 'ensure', 'info'), table: name }),
      fc.record({ op: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 15 }) }),
    ),
    { maxLength: 120, size: 'max' },
  );
  fc.assert(
    fc.property(steps, (all) => {
      const clock = { ms: 0 };
      const again = new Stash({ bytesMax: 1e9, nowMs: () => clock.ms, numbers });
      const stash = new Stash({
        bytesMax: 1e9,
        nowMs: () => clock.ms,
        numbers,
        record: (change) => again.replay(change),
      });
      const model = new Map<string, Map<string, { value: string; until: number }>>();
      const find = (table: string, key: string) => {
        const entry = model.get(table)?.get(key);
        return entry && entry.until > clock.ms ? entry : undefined;
      };
      const set = (table: string, key: string, text: string, life: Life) => {
        const kept = find(table, key)?.until ?? Infinity;
        const until = life === 'kept' ? kept : life === 'forever' ? Infinity : clock.ms + life;
        if (!model.has(table)) model.set(table, new Map());
        model.get(table)!.set(key, { value: text, until });
      };
      for (const step of all) {
        if (step.op === 'wait') clock.ms += step.ms;
        else if (step.op === 'put') {
          stash.put(step.table, step.key, bytes(step.value), step.life);
          set(step.table, step.key, step.value, step.life);
        } else if (step.op === 'cas') {
          const version = stash.get(step.table, step.key)?.version ?? 0;
          const done = stash.compareAndSet(
            step.table,
            step.key,
            step.hit ? version : version + 1,
            bytes(step.value),
          );
          assert.equal(done, step.hit);
          if (done) set(step.table, step.key, step.value, 'forever');
        } else if (step.op === 'increment') {
          const before = find(step.table, step.key);
          const count = before === undefined ? 0 : numbers.unpack(bytes(before.value));
          if (count === undefined) assert.throws(() => stash.increment(step.table, step.key), StashError);
          else {
            assert.equal(stash.increment(step.table, step.key, 1, step.life), count + 1);
            set(step.table, step.key, String(count + 1), before ? 'kept' : step.life);
          }
        } else if ('key' in step) {
          const there = find(step.table, step.key);
          if (step.op === 'get') assert.equal(text(stash.get(step.table, step.key)?.value), there?.value);
          else assert.equal(stash.delete(step.table, step.key), there !== undefined);
          if (step.op === 'delete') model.get(step.table)?.delete(step.key);
        } else if (step.op === 'clear') {
          stash.clear(step.table);
          model.get(step.table)?.clear();
        } else if (step.op === 'deleteTable')
          assert.equal(stash.deleteTable(step.table), model.delete(step.table));
        else if (step.op === 'ensure') {
          assert.equal(stash.ensure(step.table), !model.has(step.table));
          if (!model.has(step.table)) model.set(step.table, new Map());
        } else if (step.op === 'info') stash.info(step.table);
      }
      const copy = new Stash({ bytesMax: 1e9, nowMs: () => clock.ms, numbers });
      for (const change of stash.changes()) copy.replay(change);
      for (const one of [stash, again, copy]) {
        assert.deepEqual(one.tables().sort(), [...model.keys()].sort());
        for (const [table, entries] of model) {
          const keys = [...entries.keys()].filter((key) => find(table, key));
          assert.deepEqual(one.keys(table).sort(), keys.sort());
          for (const key of keys) {
            assert.deepEqual(one.get(table, key), stash.get(table, key));
            assert.equal(text(one.get(table, key)?.value), entries.get(key)!.value);
          }
          assert.deepEqual(one.info(table), stash.info(table));
        }
      }
      const versions = [again, copy, stash].map((one) => one.put('a', 'last', bytes('')));
      assert.equal(new Set(versions).size, 1);
    }),
    { numRuns: 500 },
  );
});
