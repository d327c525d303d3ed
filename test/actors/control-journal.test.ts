/** The journal: the last events, numbered, within bounds; and those who watch. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Journal, type JournalEvent } from '../../src/actors/control/journal.ts';
import type { Log } from '../../src/actors/log.ts';

function filled(count: number): Journal {
  const journal = new Journal();
  for (let number = 1; number <= count; number++) journal.record('info', `event ${number}`);
  return journal;
}

test('the last events come in order, with their numbers', () => {
  const journal = filled(5);
  assert.deepEqual(
    journal.last(3).map(({ seq, level, text }) => [seq, level, text]),
    [
      [3, 'info', 'event 3'],
      [4, 'info', 'event 4'],
      [5, 'info', 'event 5'],
    ],
  );
  assert.equal(journal.last(1024).length, 5);
  assert.equal(journal.dropped, 0);
  for (const { time } of journal.last(5)) assert.equal(new Date(time).toISOString(), time);
});

test('nothing is there before anything happened', () => {
  assert.deepEqual(new Journal().last(20), []);
  assert.equal(new Journal().dropped, 0);
});

test('a thousand are kept, and those before are counted', () => {
  const journal = filled(1500);
  const kept = journal.last(5000);
  assert.equal(kept.length, 1000);
  assert.deepEqual([kept[0]!.seq, kept.at(-1)!.seq, journal.dropped], [501, 1500, 500]);
});

test('events with long texts are kept as long as there is room for all of them, and the last one always', () => {
  const journal = new Journal();
  const stack = 'x'.repeat(1024 * 1024);
  for (let number = 0; number < 50; number++) journal.record('error', 'a worker failed', { stack });
  const kept = journal.last(1000);
  assert.ok(kept.length >= 3 && kept.length <= 4, `${kept.length} are kept`);
  assert.equal(kept.at(-1)!.seq, 50);
  assert.equal(journal.dropped, 50 - kept.length);
  journal.record('error', 'x'.repeat(8 * 1024 * 1024));
  assert.deepEqual(
    journal.last(10).map(({ seq }) => seq),
    [51],
  );
  journal.record('info', 'short');
  journal.record('info', 'short');
  assert.deepEqual(
    journal.last(10).map(({ seq }) => seq),
    [52, 53],
  );
});

test('fields come along, and cannot pretend to be another event', () => {
  const journal = new Journal();
  journal.record('warn', 'the text', { pid: 7, seq: 99, time: 'never', level: 'info', text: 'another' });
  const [event] = journal.last(1);
  assert.deepEqual([event!.seq, event!.level, event!.text, event!['pid']], [1, 'warn', 'the text', 7]);
  assert.notEqual(event!.time, 'never');
});

test('who watches hears everything from then on, until it has enough', () => {
  const journal = filled(3);
  const heard: [string, number][] = [];
  const hear = (name: string) => journal.watch(({ seq }: JournalEvent) => void heard.push([name, seq]));
  const endFirst = hear('first');
  const endSecond = hear('second');
  journal.record('info', 'both');
  endFirst();
  journal.record('info', 'one');
  endSecond();
  endSecond();
  journal.record('info', 'none');
  assert.deepEqual(heard, [
    ['first', 4],
    ['second', 4],
    ['second', 5],
  ]);
});

test('a watcher may leave, and others come, while an event is told', () => {
  const journal = new Journal();
  let heard = 0;
  const end = journal.watch(() => {
    end();
    journal.watch(() => heard++);
  });
  journal.record('info', 'first');
  assert.equal(heard, 0);
  journal.record('info', 'second');
  assert.equal(heard, 1);
});

test('it remembers what is told to the log, but not what is for debugging', () => {
  const told: string[] = [];
  const tell = (level: string) => (msg: string) => void told.push(`${level} ${msg}`);
  const journal = new Journal();
  const log = journal.over({
    debug: tell('debug'),
    info: tell('info'),
    warn: tell('warn'),
    error: tell('error'),
    fatal: tell('fatal'),
    reopen: () => void told.push('reopen'),
    close: async () => void told.push('close'),
  } satisfies Log);
  for (const level of ['debug', 'info', 'warn', 'error', 'fatal'] as const) log[level]('msg', { age: 3 });
  log.reopen();
  assert.deepEqual(told, ['debug msg', 'info msg', 'warn msg', 'error msg', 'fatal msg', 'reopen']);
  assert.deepEqual(
    journal.last(10).map(({ level, text, age }) => [level, text, age]),
    ['info', 'warn', 'error', 'fatal'].map((level) => [level, 'msg', 3]),
  );
});
