/** Command lines split as a shell would: words round trip, whatever is in them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { splitWords, WordsError } from '../../src/actors/control/words.ts';

for (const [line, words] of [
  ['', []],
  ['   \t\r\n ', []],
  ['show all', ['show', 'all']],
  ['  show\t all\n', ['show', 'all']],
  ["'show all'", ['show all']],
  ['"show all"', ['show all']],
  [`sh"ow a"'ll'`, ['show all']],
  ["''", ['']],
  ['a "" b', ['a', '', 'b']],
  ['a\\ b', ['a b']],
  ["'a\\b'", ['a\\b']],
  ['"a\\"b"', ['a"b']],
  ['"a\\\\b"', ['a\\b']],
  ['"a\\nb"', ['a\\nb']],
  [`"it's"`, ["it's"]],
  [`'say "x"'`, ['say "x"']],
  ['a # b', ['a', '#', 'b']],
  ['$HOME *', ['$HOME', '*']],
  ['a\\\nb', ['a\nb']],
  ['größe 🦒', ['größe', '🦒']],
  ['\\🦒', ['🦒']],
] as const)
  test(`${JSON.stringify(line)} is ${JSON.stringify(words)}`, () =>
    assert.deepEqual(splitWords(line), words));

for (const [line, reason] of [
  ["'open", 'No closing quotation'],
  ['"open', 'No closing quotation'],
  ['a "b\\"', 'No closing quotation'],
  ['"ends\\', 'No closing quotation'],
  ['ends\\', 'No escaped character'],
] as const)
  test(`${JSON.stringify(line)} cannot be split: ${reason}`, () =>
    assert.throws(
      () => splitWords(line),
      (error: unknown) => error instanceof WordsError && error.message === reason,
    ));

const word = fc.string({
  unit: fc.oneof(fc.constantFrom('"', "'", '\\', ' ', '\n', 'a'), fc.string({ maxLength: 2 })),
});
const QUOTATIONS: ((word: string) => string)[] = [
  (text) => `'${text.replaceAll("'", `'\\''`)}'`,
  (text) => `"${text.replace(/["\\]/g, '\\$&')}"`,
  (text) => text.replace(/[\s\S]/g, '\\$&') || "''",
];

test('words come back as they were, in whatever way each is quoted', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(word, fc.nat(QUOTATIONS.length - 1)), { maxLength: 8 }),
      fc.constantFrom(' ', '\t', '  \n'),
      (given, gap) => {
        const line = given.map(([text, how]) => QUOTATIONS[how]!(text)).join(gap);
        assert.deepEqual(
          splitWords(line),
          given.map(([text]) => text),
        );
      },
    ),
    { numRuns: 1000 },
  );
});

test('any line is split or refused, and nothing else is thrown', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (line) => {
      try {
        assert.ok(splitWords(line).every((one) => typeof one === 'string'));
      } catch (error) {
        assert.ok(error instanceof WordsError);
      }
    }),
    { numRuns: 1000 },
  );
});
