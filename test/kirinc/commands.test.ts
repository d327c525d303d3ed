/** Abbreviations, and what can follow. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { argumentsLeft, ENTRIES, expand, following } from '../../src/cli/kirinc/commands.ts';
import { learned } from '../../src/cli/kirinc/usage.ts';

const expanded = (line: string) => expand(line.split(' ')).words.join(' ');

describe('an abbreviation', () => {
  const cases: [typed: string, full: string][] = [
    ['show workers', 'show workers'],
    ['SHOW Workers', 'show workers'],
    ['sh w', 'show workers'],
    ['sh w w', 'show workers wide'],
    ['sh g', 'show generations'],
    ['sh c o', 'show config origin'],
    ['s a', 'show all'],
    ['sh e 5', 'show events 5'],
    ['sh m child.3', 'show machine child.3'],
    ['w a', 'worker add'],
    ['w a 2 --w', 'worker add 2 --wait'],
    ['w r', 'worker remove'],
    ['w k 123', 'worker kill 123'],
    ['w p 123', 'worker pause 123'],
    ['w res 123', 'worker resume 123'],
    ['w rem 123', 'worker remove 123'],
    ['worker k 123 q', 'worker kill 123 q'],
    ['worker kill 123 q', 'worker kill 123 quick'],
    ['d a 3', 'dirty add 3'],
    ['rel --w', 'reload --wait'],
    ['reo', 'reopen'],
    ['shut', 'shutdown'],
    ['shutdown q', 'shutdown quick'],
    ['shutdown g --w', 'shutdown graceful --wait'],
    ['sh quick', 'shutdown quick'],
    ['ev', 'events'],
    ['h', 'help'],
    ['he show', 'help show'],
    ['q', 'quit'],
    ['ex', 'exit'],
    ['t', 'top'],
    ['to 5', 'top 5'],
    ['wa sh w', 'watch show workers'],
    ['wa 5 sh w', 'watch 5 show workers'],
    ['w 5 sh st', 'watch 5 show stats'],
    ['show', 'show'],
    ['sho', 'show'],
    ['worker', 'worker'],
  ];
  for (const [typed, full] of cases)
    test(`"${typed}" is "${full}"`, () => {
      assert.equal(expanded(typed), full);
    });

  for (const [typed, ...names] of [
    ['re', 'reload', 'reopen'],
    ['sh', 'show', 'shutdown'],
    ['sh q', 'show', 'shutdown'],
    ['w', 'worker', 'watch'],
    ['e', 'events', 'exit'],
    ['re now', 'reload', 'reopen'],
    ['w r 123', 'worker remove 123', 'worker resume 123'],
  ] as [string, string, string][])
    test(`"${typed}" is ambiguous`, () => {
      assert.throws(() => expanded(typed), {
        message: new RegExp(`^Ambiguous command: .* \\(it could be ${names.join(' or ')}\\)$`),
      });
    });

  for (const line of [
    'nonsense',
    'shwo workers',
    'show nonsense',
    'cancel 3',
    'reload now',
    'worker add many',
  ])
    test(`"${line}" is left as it is, for the server to judge`, () => {
      assert.equal(expanded(line), line);
    });

  test('of nothing is nothing', () => {
    assert.deepEqual(expand(['show', '']).words, ['show', '']);
    assert.deepEqual(expand(['']).words, ['']);
  });

  test('that is wrong further on is written out as far as it is clear', () => {
    assert.equal(expanded('sho foo'), 'show foo');
    assert.equal(expanded('rel now'), 'reload now');
  });

  test('knows which commands only read', () => {
    for (const [line, reads] of [
      ['show workers', true],
      ['show machine 3', true],
      ['reload', false],
      ['worker kill 3', false],
      ['shutdown', false],
    ] as const)
      assert.equal(expand(line.split(' ')).entry?.reads, reads, line);
    assert.equal(expand(['nonsense']).entry, undefined);
  });
});

describe("a server's help", () => {
  const names = (commands: Record<string, string>) =>
    learned(commands).map(({ words, args }) => [words.join(' '), args.map(({ kind }) => kind).join()]);

  test('says which commands and arguments there are', () => {
    assert.deepEqual(
      names({
        'show workers': 'Workers',
        'worker add [N]': 'Add',
        'worker kill <PID>': 'Kill',
        'reload [--wait]': 'Reload',
        'shutdown [graceful|quick]': 'Stop',
        help: 'Help',
      }),
      [
        ['show workers', ''],
        ['worker add', 'count'],
        ['worker kill', 'pid'],
        ['reload', 'flag'],
        ['shutdown', 'word'],
      ],
    );
  });

  test('may have commands that nobody here knows', () => {
    assert.deepEqual(names({ 'cache drop [all|old] [--force] NAME': 'Drop', '': '', '<odd>': '' }), [
      ['cache drop', 'word,flag'],
    ]);
  });
});

test('the arguments that are left are those not yet written', () => {
  const [entry] = following(['worker', 'add', '2'], ENTRIES);
  assert.deepEqual(
    argumentsLeft(entry!, ['2']).map(({ kind }) => kind),
    ['flag'],
  );
});
