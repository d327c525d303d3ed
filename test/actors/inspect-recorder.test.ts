/** A recording on the disk: what stands in its files whenever another begins, and how it ends. */
import assert from 'node:assert/strict';
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { lookThrough, messagesOf } from '../../src/actors/inspect/door/recording-file.ts';
import { Recorder } from '../../src/actors/inspect/recorder.ts';
import { olderFile } from '../../src/actors/inspect/recording-names.ts';
import type { Message, Told, ToldActor } from '../../src/actors/inspect/records.ts';
import { Reel } from '../../src/actors/inspect/reel.ts';
import { type Watcher, Watchers } from '../../src/actors/inspect/watchers.ts';
import { Seen } from '../system/inspected.ts';
import { temporaryDirectory, until } from './support.ts';

const HELLO = JSON.stringify({ type: 'hello', protocol: 1, pid: 1, at: 1 });
const KIB = 1024;

/** As the hub: who comes has what was gathered be told to those who watch already. */
class Stage {
  readonly reel = new Reel();
  readonly watchers = new Watchers(this.reel);
  gathered: Told[] = [];
  last: Watcher | undefined;
  /** Something happens whenever somebody comes. */
  isBusy = false;
  n = 0;

  watch(watcher: Watcher, { from }: { from: 'past' | 'now' }): () => void {
    this.last = watcher;
    if (this.isBusy) this.gathered.push(this.event());
    this.flush();
    return this.watchers.add(watcher, HELLO, from);
  }

  event(text = ''): Told {
    this.n++;
    return { t: 'event', at: this.n, from: null, to: '1/1', event: { type: 'tick', n: this.n, text } };
  }

  flush(): void {
    if (this.gathered.length > 0) this.reel.push(this.gathered);
    this.gathered = [];
    this.watchers.pump();
  }

  tell(count: number, text = ''): void {
    for (let n = 0; n < count; n++) this.gathered.push(this.event(text));
    this.flush();
  }

  /** Everything that is has so many characters. */
  grow(length: number): void {
    const more = {
      t: 'actor',
      pid: 1,
      root: false,
      machine: 'big',
      user: true,
      status: 'active',
      value: null,
    } as const;
    const actor = (n: number): ToldActor => ({
      ...more,
      at: 1,
      id: `1/${n}`,
      parent: null,
      name: 'big',
      context: 'x'.repeat(10_000),
      about: null,
    });
    this.reel.push(Array.from({ length: length / 10_000 }, (_, n) => actor(n + 2)));
  }
}

function recording(t: TestContext, bytesMax: number) {
  const file = join(temporaryDirectory(t), 'r.jsonl');
  const stage = new Stage();
  const warnings: string[] = [];
  const begin = () => new Recorder({ file, bytesMax, stage, warn: (text) => warnings.push(text) });
  return { file, stage, warnings, begin };
}

async function read(file: string): Promise<Seen & { numbers: number[] }> {
  const seen = Object.assign(new Seen(), { numbers: [] as number[] });
  for await (const line of messagesOf(await lookThrough(file))) seen.take(JSON.parse(line) as Message);
  seen.numbers = seen.records.flatMap((one) => (one.t === 'event' ? (one.event as { n: number }).n : []));
  return seen;
}

const inode = (file: string): number => statSync(file).ino;
const bytesIn = (file: string): number => {
  try {
    return statSync(file).size;
  } catch {
    return 0;
  }
};

test('each file begins with who speaks and everything that is, and what happens while it is begun is in the one before', async (t) => {
  const { file, stage, begin } = recording(t, 800 * KIB);
  const recorder = begin();
  stage.isBusy = true;
  for (let turns = 0; turns < 3; turns++) {
    const before = inode(file);
    await until('another file is begun', () => {
      stage.tell(20, 'x'.repeat(100));
      return inode(file) !== before;
    });
    await until('the one before is written', () => bytesIn(file) > 0);
    for (const one of [file, olderFile(file)])
      assert.equal(JSON.parse(readFileSync(one, 'utf8').split('\n')[0]!).type, 'hello');
    const { numbers, lost } = await read(file);
    assert.equal(lost, 0);
    assert.deepEqual(
      numbers,
      Array.from({ length: numbers.length }, (_, n) => numbers[0]! + n),
    );
  }
  await recorder.close();
  const { numbers } = await read(file);
  assert.equal(numbers.at(-1), stage.n);
});

test('both files stay within what may be kept, however much comes at once, and what finds no room is counted', async (t) => {
  const bytesMax = 800 * KIB;
  const { file, stage, begin } = recording(t, bytesMax);
  const recorder = begin();
  for (let round = 0; round < 40; round++) {
    for (let n = 0; n < 10; n++) stage.tell(100, 'x'.repeat(300));
    await until('it is written', () => (stage.last?.unreadBytes ?? 0) === 0);
    assert.ok(bytesIn(file) + bytesIn(olderFile(file)) <= bytesMax);
  }
  await recorder.close();
  const seen = await read(file);
  assert.ok(seen.numbers.length + seen.lost > 0);
  assert.equal(seen.seq, stage.reel.seq);
});

test('a state that is larger than half of a file does not make each message a file of its own', async (t) => {
  const { file, stage, begin } = recording(t, 800 * KIB);
  stage.grow(1_000_000);
  const recorder = begin();
  const inodes = new Set<number>();
  for (let round = 0; round < 50; round++) {
    stage.tell(50, 'x'.repeat(200));
    await until('it is written', () => (stage.last?.unreadBytes ?? 0) === 0);
    inodes.add(inode(file));
  }
  await recorder.close();
  assert.ok(inodes.size < 5, `${inodes.size} files`);
  assert.equal((await read(file)).state.actors.length, 100);
});

test('a file that was begun and not written to is no reason not to read the one before', async (t) => {
  const { file, stage, begin } = recording(t, 800 * KIB);
  const recorder = begin();
  stage.tell(10);
  await recorder.close();
  writeFileSync(olderFile(file), readFileSync(file));
  writeFileSync(file, '');
  assert.equal((await read(file)).numbers.length, 10);
  rmSync(olderFile(file));
  await assert.rejects(lookThrough(file), /it is empty/);
});

test('one that is cut says so once; one that is closed says nothing', async (t) => {
  const { stage, warnings, begin } = recording(t, 800 * KIB);
  const recorder = begin();
  stage.tell(1);
  stage.watchers.end('nothing was read for 30 s');
  assert.equal(warnings.length, 1);
  assert.match(warnings[0]!, /^recording in .* has ended: nothing was read for 30 s$/);
  await recorder.close();
  const next = begin();
  await next.close();
  stage.watchers.end('the server has stopped');
  assert.equal(warnings.length, 1);
});
