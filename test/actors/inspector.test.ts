/** When the inspector's thread is there, and what becomes of the server's inspector when it fails. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { createActor, createMachine } from 'xstate';
import { Journal } from '../../src/actors/control/journal.ts';
import { Inspector } from '../../src/actors/inspect/inspector.ts';
import type { Watcher } from '../../src/actors/inspect/watchers.ts';
import type { Log } from '../../src/actors/log.ts';
import { Redactor } from '../../src/actors/redaction.ts';
import { Seen, watchPage } from '../system/inspected.ts';
import { until } from './support.ts';

const ON = { controls: false, from: 'past' } as const;

class Reader extends Seen implements Watcher {
  readonly unreadBytes = 0;
  readonly unreadBytesMax = 1;
  ended: string | undefined;

  send(message: string): void {
    this.take(JSON.parse(message));
  }

  end(reason: string): void {
    this.ended = reason;
  }
}

function inspectorHere(t: TestContext, inspector: string | undefined) {
  const lines: string[] = [];
  const note =
    (level: string) =>
    (text: string): void =>
      void lines.push(`${level} ${text}`);
  const log = { info: note('info'), warn: note('warn'), error: note('error') } as unknown as Log;
  const redactor = new Redactor();
  const one = new Inspector({
    settings: {
      app: 'app.js',
      inspector,
      inspectorToken: undefined,
      inspectorControl: false,
      inspectorRecord: undefined,
      inspectorRecordBytesMax: 1024 * 1024,
    },
    redactor,
    journal: new Journal(),
    log,
    version: '0',
  });
  const root = createActor(createMachine({ id: 'arbiter', on: { poke: {} } })).start();
  one.attach(root, () => Promise.reject(new Error('nothing is ordered here')));
  t.after(() => one.end('the test is over'));
  /** What no redactor has, which the other thread finds out. */
  const spoil = (): (() => void) => {
    const values = t.mock.getter(redactor, 'values', () => 5 as unknown as string[]);
    const version = t.mock.getter(redactor, 'version', () => -5);
    return () => {
      values.mock.restore();
      version.mock.restore();
    };
  };
  return { one, root, lines, spoil };
}

const urlIn = (line: string): URL => new URL(/^info inspector at (.*)$/.exec(line)![1]!);

test('the thread is there while somebody watches, and not before and after', async (t) => {
  const { one, root } = inspectorHere(t, undefined);
  const annex = await one.annex();
  const [first, second] = [new Reader(), new Reader()];
  const [leave, leaveToo] = [annex.watch(first, ON), annex.watch(second, ON)];
  const sees = (reader: Reader) => () => reader.records.some((record) => record.t === 'event');
  await until('both are told', () => {
    root.send({ type: 'poke' });
    return sees(first)() && sees(second)();
  });
  leave();
  assert.equal(await one.annex(), annex, 'the other one still watches');
  leaveToo();
  const next = await one.annex();
  assert.notEqual(next, annex, 'it has ended, and another one is started');
  const late = new Reader();
  next.watch(late, ON);
  await until('it is told', () => late.roots('arbiter').length === 1);
  await one.end('the server has stopped');
  assert.equal(late.bye, 'the server has stopped');
  await assert.rejects(next.ask('close', { reason: '' }), /has ended/);
  await assert.rejects(one.annex(), /the server is stopping/);
});

test('when it fails this is told once, and the page is served again later by another', async (t) => {
  const { one, lines, spoil } = inspectorHere(t, '127.0.0.1:0');
  await one.open();
  const page = await watchPage(t, urlIn(lines[0]!));
  await page.until('it is told', () => page.roots('arbiter').length === 1);
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const failed = one.annex();
  const mend = spoil();
  (await failed).watch(new Reader(), ON);
  const deadline = performance.now() + 20_000;
  while (lines.length < 2 && performance.now() < deadline)
    await new Promise((resolve) => setImmediate(resolve));
  mend();
  assert.match(lines[1]!, /^error the inspector has failed; its page is served again in 10 s: TypeError/);
  t.mock.timers.tick(10_000);
  t.mock.timers.reset();
  await until('it is served again', () => lines.length === 3);
  const again = await watchPage(t, urlIn(lines[2]!));
  await again.until('it is told', () => again.roots('arbiter').length === 1);
});
