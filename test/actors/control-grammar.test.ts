/** The grammar of commands as a table: what is understood, and in which words everything else is refused. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  COMMANDS,
  COUNT_MAX,
  type Command,
  CommandError,
  parseCommand,
} from '../../src/actors/control/grammar.ts';
import { splitWords } from '../../src/actors/control/words.ts';

/** A command as it was understood, without what it looks like in `help`. */
function understood(line: string): Omit<Command, 'spec'> & { name: string } {
  const { spec, ...rest } = parseCommand(splitWords(line));
  return { name: spec.name, ...rest };
}

function refusal(line: string): string {
  try {
    parseCommand(splitWords(line));
  } catch (error) {
    if (error instanceof CommandError) return error.message;
    throw error;
  }
  return assert.fail(`"${line}" was understood`);
}

describe('understood', () => {
  for (const [line, expected] of [
    ['show all', { name: 'show all' }],
    ['show workers', { name: 'show workers' }],
    ['show workers wide', { name: 'show workers', word: 'wide' }],
    ['show dirty', { name: 'show dirty' }],
    ['show dirty WIDE', { name: 'show dirty', word: 'wide' }],
    ['show calls', { name: 'show calls' }],
    ['show config', { name: 'show config' }],
    ['show config origin', { name: 'show config', word: 'origin' }],
    ['show stats', { name: 'show stats' }],
    ['show listeners', { name: 'show listeners' }],
    ['show generations', { name: 'show generations' }],
    ['show machine', { name: 'show machine' }],
    ['show machine Pool', { name: 'show machine', text: 'Pool' }],
    ['show machine --wait', { name: 'show machine', text: '--wait' }],
    ['show events', { name: 'show events' }],
    ['show events 1', { name: 'show events', count: 1 }],
    ['show events 1024', { name: 'show events', count: 1024 }],
    ['show version', { name: 'show version' }],
    ['worker add', { name: 'worker add' }],
    ['worker add 2', { name: 'worker add', count: 2 }],
    ['worker add 007', { name: 'worker add', count: 7 }],
    ['worker add --wait', { name: 'worker add', wait: true }],
    ['worker add 2 --wait', { name: 'worker add', count: 2, wait: true }],
    ['worker add --WAIT 2', { name: 'worker add', count: 2, wait: true }],
    ['worker remove', { name: 'worker remove' }],
    ['worker remove 3 --wait', { name: 'worker remove', count: 3, wait: true }],
    ['worker kill 123', { name: 'worker kill', pid: 123 }],
    ['worker kill 4194304 quick', { name: 'worker kill', pid: 4194304, word: 'quick' }],
    ['worker pause 123', { name: 'worker pause', pid: 123 }],
    ['worker RESUME 123', { name: 'worker resume', pid: 123 }],
    ['dirty add', { name: 'dirty add' }],
    ['dirty add 5', { name: 'dirty add', count: 5 }],
    ['dirty remove 5 --wait', { name: 'dirty remove', count: 5, wait: true }],
    ['dirty cancel 7', { name: 'dirty cancel', text: '7' }],
    ['reload', { name: 'reload' }],
    ['reload --wait', { name: 'reload', wait: true }],
    ['reopen', { name: 'reopen' }],
    ['upgrade', { name: 'upgrade' }],
    ['upgrade --wait', { name: 'upgrade', wait: true }],
    ['standby --wait', { name: 'standby', wait: true }],
    ['shutdown', { name: 'shutdown' }],
    ['shutdown graceful', { name: 'shutdown', word: 'graceful' }],
    ['shutdown Quick', { name: 'shutdown', word: 'quick' }],
    ['shutdown --wait quick', { name: 'shutdown', word: 'quick', wait: true }],
    ['events', { name: 'events' }],
    ['inspect', { name: 'inspect' }],
    ['help', { name: 'help' }],
    ['cancel 7', { name: 'cancel', text: '7' }],
    ['SHOW All', { name: 'show all' }],
    ['"show" \'all\'', { name: 'show all' }],
    ['Worker ADD', { name: 'worker add' }],
  ] as const)
    test(line, () => assert.deepEqual(understood(line), { wait: false, ...expected }));

  test('every command is tried above', () => {
    const text = readFileSync(new URL(import.meta.url), 'utf8');
    for (const { name } of COMMANDS) assert.ok(text.includes(`{ name: '${name}'`), name);
  });

  test('every usage is of its command, and every command has a line of help', () => {
    for (const { name, usage, text } of COMMANDS) {
      assert.ok(usage === name || usage.startsWith(`${name} `), usage);
      assert.match(text, /^\S.*[^.]$/);
    }
    assert.equal(new Set(COMMANDS.map(({ name }) => name)).size, COMMANDS.length);
  });

  test('every command of the document, and no other', () => {
    const document = readFileSync(new URL('../../docs/control.md', import.meta.url), 'utf8');
    const commands = document.slice(document.indexOf('## Commands'), document.indexOf('## The wire'));
    const documented = [...commands.matchAll(/^\| `([^`]+)` \|/gm)].map(([, usage]) =>
      usage!.replaceAll('\\|', '|'),
    );
    assert.deepEqual(documented.sort(), COMMANDS.map(({ usage }) => usage).sort());
  });
});

const number = (of: string, given: string) =>
  `Invalid number of ${of}: ${given} (write a whole number from 1 to ${COUNT_MAX})`;
const pid = (given: string) => `Invalid PID: ${given} (write the number that "show all" shows)`;

describe('refused', () => {
  for (const [line, expected] of [
    ['', 'Empty command'],
    ['   ', 'Empty command'],
    ['shwo', 'Unknown command: shwo'],
    ['SHWO all', 'Unknown command: SHWO'],
    ["''", 'Unknown command: '],
    ["'show all'", 'Unknown command: show all'],
    ['worker-add', 'Unknown command: worker-add'],
    ['constructor', 'Unknown command: constructor'],
    ['__proto__', 'Unknown command: __proto__'],
    ['show', 'Missing show target (all|workers|dirty|config|stats|listeners)'],
    ['show foo', 'Unknown show target: foo'],
    ['show __proto__', 'Unknown show target: __proto__'],
    ["show 'all '", 'Unknown show target: all '],
    ['show all now', 'Unexpected argument: now (show all takes none)'],
    ['show workers narrow', 'Unexpected argument: narrow (usage: show workers [wide])'],
    ['show workers wide wide', 'Unexpected argument: wide (usage: show workers [wide])'],
    ['show config all', 'Unexpected argument: all (usage: show config [origin])'],
    ['show stats --wait', 'Unexpected argument: --wait (show stats takes none)'],
    ['show machine a b', 'Unexpected argument: b (usage: show machine [ID])'],
    ['show events many', number('events', 'many')],
    ['show events 1025', number('events', '1025')],
    ['worker', 'Missing worker action (add|remove|kill)'],
    ['worker foo', 'Unknown worker action: foo'],
    ['worker 2', 'Unknown worker action: 2'],
    ['worker kill', 'Missing PID for worker kill'],
    ['worker kill quick', pid('quick')],
    ['worker pause', 'Missing PID for worker pause'],
    ['worker pause 0', pid('0')],
    ['worker pause 1 quick', 'Unexpected argument: quick (usage: worker pause PID)'],
    ['worker resume', 'Missing PID for worker resume'],
    ['worker resume all', pid('all')],
    ['worker kill 0', pid('0')],
    ['worker kill -1', pid('-1')],
    ['worker kill 1.5', pid('1.5')],
    ['worker kill 12345678901', pid('12345678901')],
    ['worker kill --wait', 'Unexpected argument: --wait (usage: worker kill PID [quick])'],
    ['worker kill 1 2', 'Unexpected argument: 2 (usage: worker kill PID [quick])'],
    ['worker add 1 2', 'Unexpected argument: 2 (usage: worker add [N] [--wait])'],
    ['worker add --now', 'Unexpected argument: --now (usage: worker add [N] [--wait])'],
    ['worker add --wait --wait', 'Unexpected argument: --wait (usage: worker add [N] [--wait])'],
    ['dirty', 'Missing dirty action (add|remove)'],
    ['dirty kill', 'Unknown dirty action: kill'],
    ['reload now', 'Unexpected argument: now (usage: reload [--wait])'],
    ['reload --wait --wait', 'Unexpected argument: --wait (usage: reload [--wait])'],
    ['reopen all', 'Unexpected argument: all (reopen takes none)'],
    ['shutdown now', 'Unknown shutdown mode: now (write graceful or quick)'],
    ['shutdown --now', 'Unexpected argument: --now (usage: shutdown [graceful|quick] [--wait])'],
    ['shutdown quick graceful', 'Unexpected argument: graceful (usage: shutdown [graceful|quick] [--wait])'],
    ['events 5', 'Unexpected argument: 5 (events takes none)'],
    ['help me', 'Unexpected argument: me (help takes none)'],
    ['cancel', 'Missing ID for cancel'],
    ['cancel 1 2', 'Unexpected argument: 2 (usage: cancel ID)'],
  ] as const)
    test(line === '' ? 'nothing' : line, () => assert.equal(refusal(line), expected));

  const COUNTED = ['worker add', 'worker remove', 'dirty add', 'dirty remove'];
  for (const given of ['0', '-3', '+3', '1.5', '1e9', '1000000000', '1025', '0x10', 'two', '٣', '1,5', '∞'])
    test(`the number ${given}`, () => {
      for (const name of COUNTED) assert.equal(refusal(`${name} ${given}`), number('workers', given));
      assert.equal(refusal(`show events ${given}`), number('events', given));
    });

  test('the empty number', () => assert.equal(refusal("worker add ''"), number('workers', '')));

  test('a long word is shown in part, and what moves a cursor is not shown', () => {
    assert.equal(refusal('x'.repeat(500)), `Unknown command: ${'x'.repeat(80)}...`);
    assert.equal(refusal("'a\u001b[2Jb\nc'"), 'Unknown command: a [2Jb c');
  });
});

test('any words are understood or refused in one short line, and nothing else is thrown', () => {
  const known = [...new Set(COMMANDS.flatMap(({ usage }) => usage.split(/[\s[\]|]+/)))].filter(Boolean);
  const words = fc.array(
    fc.oneof(fc.constantFrom(...known), fc.string({ unit: 'binary' }), fc.integer().map(String)),
    { maxLength: 6 },
  );
  fc.assert(
    fc.property(words, (given) => {
      try {
        const { spec, count = 1, pid = 1 } = parseCommand(given);
        assert.ok(COMMANDS.includes(spec));
        assert.ok(count >= 1 && count <= COUNT_MAX && pid >= 1);
      } catch (error) {
        if (!(error instanceof CommandError)) throw error;
        assert.ok(error.message.length < 250, error.message);
        assert.doesNotMatch(error.message, /\p{Cc}/u);
      }
    }),
    { numRuns: 5000 },
  );
});
