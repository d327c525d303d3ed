/** The inspector's thread as the arbiter has it: those who watch through it, and its end. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { InspectedChildren } from '../../src/actors/inspect/children.ts';
import type { Ear } from '../../src/actors/inspect/source.ts';
import { Annex } from '../../src/actors/inspect/thread/annex.ts';
import type { Watcher } from '../../src/actors/inspect/watchers.ts';
import { Redactor } from '../../src/actors/redaction.ts';
import { Seen } from '../system/inspected.ts';
import { temporaryDirectory, until } from './support.ts';

const ON = { controls: true, from: 'past' } as const;

class Reader extends Seen implements Watcher {
  unreadBytes = 0;
  readonly unreadBytesMax = 64 * 1024;
  /** Whether it reads what it is sent. */
  reads = true;
  sent = 0;
  ended: string | undefined;

  send(message: string): void {
    this.sent += message.length;
    if (!this.reads) this.unreadBytes += message.length;
    this.take(JSON.parse(message));
  }

  end(reason: string): void {
    this.ended = reason;
  }
}

function annexHere(t: TestContext) {
  const happened = { attached: 0, detached: 0, idle: 0, failed: [] as string[], bugs: [] as string[] };
  let ear: Ear | undefined;
  const redactor = new Redactor();
  const annex = new Annex({
    source: {
      start(one) {
        ear = one;
        happened.attached++;
        one.tell({
          t: 'process',
          at: 1,
          pid: process.pid,
          process: 'arbiter',
          age: null,
          slot: null,
          generation: null,
        });
      },
      stop() {
        if (ear) happened.detached++;
        ear = undefined;
      },
      again() {},
    },
    children: new InspectedChildren(),
    redactor,
    version: '0',
    app: 'app.js',
    command: (words) => Promise.resolve({ words }),
    bug: (text) => happened.bugs.push(text),
    warn: (text) => happened.bugs.push(text),
    idle: () => happened.idle++,
    failed: (why) => happened.failed.push(why),
  });
  t.after(() => {
    annex.end();
    assert.deepEqual(happened.bugs, []);
  });
  return { annex, happened, redactor, ear: () => ear };
}

test('the first watcher attaches, is told what happens without what is secret, and the last one detaches', async (t) => {
  const { annex, happened, redactor, ear } = annexHere(t);
  redactor.learn(1, { SOMETHING: 'abracadabra' }, { all: true });
  const seen = new Reader();
  const stop = annex.watch(seen, ON);
  await until('it is attached', () => ear());
  ear()!.log(1, 'info', 'it is abracadabra');
  // Of what is secret from now on nothing is told that comes after.
  redactor.learn(2, { ANOTHER: 'sesame-sesame' }, { all: true });
  ear()!.log(2, 'info', 'it is sesame-sesame');
  const texts = () => seen.records.flatMap((one) => (one.t === 'log' ? one.text : []));
  await until('both are told', () => texts().length === 2);
  assert.deepEqual(texts(), ['it is ***', 'it is ***']);
  assert.equal(seen.hello!.pid, process.pid);
  stop();
  await until('it is detached', () => happened.detached === 1);
  assert.deepEqual([happened.attached, happened.idle], [1, 1]);
  const next = new Reader();
  annex.watch(next, ON);
  await until('it is attached anew', () => happened.attached === 2);
  await annex.close('the test is over');
  assert.equal(next.bye, 'the test is over');
  assert.equal(next.ended, 'the test is over');
});

test('one who watches through the main thread and does not read is sent no more than it may have unread', async (t) => {
  const { annex, ear } = annexHere(t);
  const [slow, quick] = [new Reader(), new Reader()];
  slow.reads = false;
  annex.watch(slow, ON);
  annex.watch(quick, ON);
  await until('it is attached', () => ear());
  const lines = 3000;
  for (let n = 0; n < lines; n++) ear()!.log(n, 'info', 'x'.repeat(1000));
  const logs = (seen: Seen): number => seen.records.filter(({ t }) => t === 'log').length;
  await until('the other is told all', () => logs(quick) === lines);
  const messageMax = 256 * 1024;
  assert.ok(slow.sent < 2 * (slow.unreadBytesMax + messageMax), `${slow.sent} bytes`);
  slow.reads = true;
  slow.unreadBytes = 0;
  await until('it is told the rest', () => slow.seq === quick.seq);
  assert.equal(slow.records.length + slow.lost, slow.seq - slow.from!);
});

test('before the process ends of a bug, what has happened until then is written, while nothing else goes on', async (t) => {
  const { annex, ear } = annexHere(t);
  const file = join(temporaryDirectory(t), 'record.jsonl');
  assert.deepEqual(await annex.ask('record', { file, bytesMax: 1024 * 1024 }), { kept: undefined });
  await until('it is attached', () => ear());
  ear()!.log(1, 'fatal', 'this is a bug');
  // Nothing has its turn between the two.
  annex.crash();
  const messages = readFileSync(file, 'utf8').trimEnd().split('\n');
  const seen = new Seen();
  for (const message of messages) seen.take(JSON.parse(message));
  assert.deepEqual(
    seen.records.map((one) => (one.t === 'log' ? one.text : one.t)),
    ['process', 'this is a bug'],
  );
});

test('what the thread cannot do is told as it says it', async (t) => {
  const { annex } = annexHere(t);
  const file = join(temporaryDirectory(t), 'none', 'record.jsonl');
  await assert.rejects(annex.ask('record', { file, bytesMax: 1024 * 1024 }), { code: 'ENOENT' });
});

test('a thread that fails is told of, those who watch are sent away, and nothing is attached any more', async (t) => {
  const { annex, happened, redactor, ear } = annexHere(t);
  const seen = new Reader();
  annex.watch(seen, ON);
  await until('it is attached', () => ear());
  // What no redactor has.
  t.mock.getter(redactor, 'values', () => 5 as unknown as string[]);
  t.mock.getter(redactor, 'version', () => -5);
  const late = new Reader();
  annex.watch(late, ON);
  await until('it has failed', () => happened.failed.length > 0);
  assert.match(happened.failed[0]!, /TypeError/);
  assert.deepEqual([seen.ended, late.ended], ['it failed', 'it failed']);
  assert.equal(happened.detached, 1);
  assert.equal(happened.failed.length, 1);
  const after = new Reader();
  annex.watch(after, ON);
  assert.equal(after.ended, 'it has ended');
  await annex.close('nothing is left');
});
