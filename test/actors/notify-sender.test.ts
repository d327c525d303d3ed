/** What a service manager is told gets to a real datagram socket, each way there is, and what becomes of ways that fail. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { existsSync, unlinkSync } from 'node:fs';
import { test } from 'node:test';
import { Sender, WAYS, type Way } from '../../src/actors/systemd/sender.ts';
import { needsProc, Site } from '../system/harness.ts';
import { Manager } from '../system/notified.ts';

const skip = needsProc;
const isThere = ({ program }: Way): boolean =>
  (process.env['PATH'] ?? '').split(':').some((directory) => existsSync(`${directory}/${program}`));
const fails: Way = { program: 'false', args: () => [] };
const none = (text: string) => assert.fail(text);

for (const way of WAYS)
  test(`${way.program}: to a path, and to a name without a file, in their order`, {
    skip: skip || (isThere(way) ? false : 'it is not there'),
  }, async (t) => {
    for (const socket of [new Site(t).path('notify'), `@kirin-${randomUUID()}`]) {
      const manager = await Manager.listen(t, socket);
      const sender = new Sender({ socket, notice: none, ways: [way] });
      sender.send(['READY=1', 'STATUS=all is well; "$HOME" \'é\'']);
      sender.send(['STOPPING=1']);
      await sender.end();
      await manager.heard('STOPPING=1');
      assert.deepEqual(manager.said, ['READY=1', 'STOPPING=1']);
      assert.ok(manager.messages[0]?.[1]?.includes('"$HOME"'));
    }
  });

test('where one way fails the next is taken', { skip }, async (t) => {
  const socket = new Site(t).path('notify');
  const manager = await Manager.listen(t, socket);
  const sender = new Sender({ socket, notice: none, ways: [fails, ...WAYS] });
  sender.send(['READY=1']);
  await sender.end();
  await manager.heard('READY=1');
});

test('where none ever worked nothing more is tried; the notice comes once', async () => {
  const told: string[] = [];
  const sender = new Sender({ socket: '/nowhere', notice: (text) => told.push(text), ways: [fails] });
  for (const n of [1, 2, 3]) sender.send([`STATUS=${n}`]);
  await sender.end();
  assert.deepEqual(told, [
    'the service manager is told nothing: false: it ended with 1 (NOTIFY_SOCKET=/nowhere)',
  ]);
  const without = new Sender({ socket: '/nowhere', notice: (text) => told.push(text), ways: [] });
  without.send(['READY=1']);
  await without.end();
  assert.match(told[1] ?? '', /none of systemd-notify, python3, perl is there/);
});

test('what has worked is tried again after it failed', { skip }, async (t) => {
  const site = new Site(t);
  const told: string[] = [];
  const lets = site.path('lets');
  const way: Way = { program: 'test', args: () => ['-e', lets] };
  const sender = new Sender({ socket: '/x', notice: (text) => told.push(text), ways: [way] });
  const say = async (text: string): Promise<void> => {
    sender.send([text]);
    await sender.end();
  };
  site.write('lets', '');
  await say('one');
  unlinkSync(lets);
  await say('two');
  await say('three');
  assert.equal(told.length, 1);
  assert.match(told[0] ?? '', /tried again with each message$/);
  site.write('lets', '');
  await say('four');
  unlinkSync(lets);
  await say('five');
  assert.equal(told.length, 2);
});
