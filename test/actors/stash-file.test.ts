/** The stash's file: what was answered is there afterwards, whatever ends the process or the file. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { Stash } from '../../src/actors/dirty/stash.ts';
import { StashFile } from '../../src/actors/dirty/stash-file.ts';
import { bytes, numbers, text } from './stash-support.ts';
import { faultOf, temporaryDirectory } from './support.ts';

function open(path: string, nowMs = () => 0, notices: string[] = []) {
  const file = new StashFile(path, (notice) => notices.push(notice));
  const stash = new Stash({ bytesMax: 1e9, nowMs, numbers, record: (change) => file.record(change) });
  file.load(stash);
  return { file, stash, notices };
}

const pathIn = (t: TestContext): string => join(temporaryDirectory(t), 'stash');

const contents = (stash: Stash) =>
  Object.fromEntries(
    stash.tables().map((table) => [
      table,
      Object.fromEntries(
        stash
          .keys(table)
          .sort()
          .map((key) => [key, stash.get(table, key)]),
      ),
    ]),
  );

describe('what is opened again', () => {
  test('is what was there: values, versions, times, empty tables, and no version twice', (t) => {
    const path = pathIn(t);
    const { stash, file } = open(path);
    stash.put('t', 'ä', bytes('one'), 100);
    stash.put('t', 'large', new Uint8Array(3_000_000).fill(7));
    stash.put('t', 'gone', bytes('x'));
    stash.delete('t', 'gone');
    stash.ensure('empty');
    stash.put('left', 'k', bytes('x'));
    stash.deleteTable('left');
    stash.increment('cleared', 'n');
    stash.clear('cleared');
    file.close();
    const again = open(path);
    assert.deepEqual(contents(again.stash), contents(stash));
    assert.equal(again.stash.bytes, stash.bytes);
    assert.deepEqual(again.notices, []);
    assert.equal(again.stash.put('t', 'new', bytes('')), 6);
  });

  test('has ended where its time was over meanwhile', (t) => {
    const path = pathIn(t);
    const { stash } = open(path);
    stash.put('t', 'k', bytes('x'), 100);
    assert.equal(open(path, () => 100).stash.get('t', 'k'), undefined);
  });

  test('is for its owner only', (t) => {
    const path = pathIn(t);
    writeFileSync(path, '', { mode: 0o644 });
    open(path);
    assert.equal(statSync(path).mode & 0o777, 0o600);
  });
});

describe('a file that ends badly', () => {
  const made = (t: TestContext): { path: string; ends: number[] } => {
    const path = pathIn(t);
    const { stash, file } = open(path);
    const ends = [file.bytes];
    for (let index = 0; index < 5; index++) {
      stash.put('t', `k${index}`, bytes(`value ${index}`));
      ends.push(file.bytes);
    }
    file.close();
    return { path, ends };
  };

  test('cut anywhere keeps every change that is whole, and can be written on', (t) => {
    const { path, ends } = made(t);
    const whole = readFileSync(path);
    for (let length = whole.length; length >= 0; length--) {
      writeFileSync(path, whole.subarray(0, length));
      const { stash, file, notices } = open(path);
      const changes = ends.filter((end) => end <= length).length - 1;
      assert.equal(stash.keys('t').length, Math.max(0, changes));
      const clean = length === 0 || length < ends[0]! || ends.includes(length);
      assert.equal(notices.length, clean ? 0 : 1, `${length}: ${notices}`);
      stash.put('t', 'after', bytes('x'));
      file.close();
      assert.equal(text(open(path).stash.get('t', 'after')?.value), 'x');
    }
  });

  for (const [what, garbage] of [
    ['zeros', Buffer.alloc(64)],
    ['noise', Buffer.from('this is no change, but an honest attempt to look like one')],
    ['a length beyond the end', Buffer.from([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 1])],
  ] as const)
    test(`in ${what} has it cut off, and tells so`, (t) => {
      const { path, ends } = made(t);
      appendFileSync(path, garbage);
      const { stash, notices } = open(path);
      assert.equal(stash.keys('t').length, 5);
      assert.equal(statSync(path).size, ends.at(-1));
      assert.deepEqual(notices, [
        `the stash's file ends in ${garbage.length} bytes of no whole change: they are cut off`,
      ]);
    });

  test('with a changed byte ends before the change that has it', (t) => {
    const { path, ends } = made(t);
    const whole = readFileSync(path);
    whole[ends[4]! - 1]! ^= 1;
    writeFileSync(path, whole);
    assert.deepEqual(open(path).stash.keys('t'), ['k0', 'k1', 'k2']);
  });

  test('that is something else is refused, and left as it is', (t) => {
    const path = pathIn(t);
    writeFileSync(path, 'the only copy of my thesis');
    assert.throws(
      () => open(path),
      faultOf('file.unusable', /cannot use \/.*stash for the stash: it is no stash/),
    );
    assert.equal(readFileSync(path, 'utf8'), 'the only copy of my thesis');
    const directory = temporaryDirectory(t);
    assert.throws(() => open(directory), faultOf('file.unusable', /EISDIR/));
    assert.throws(() => open(join(directory, 'no', 'where')), faultOf('file.unusable', /ENOENT/));
  });
});

describe('a file that has grown', () => {
  test('is written anew with what lives, and stays within a few times of it', (t) => {
    const path = pathIn(t);
    const { stash, file } = open(path);
    const value = new Uint8Array(10_000);
    for (let index = 0; index < 1000; index++) {
      stash.put('t', `k${index % 7}`, value.fill(index));
      assert.equal(file.bytes, statSync(path).size);
      assert.ok(file.bytes < 1024 * 1024 + 20_000, `${file.bytes} bytes`);
    }
    assert.ok(!existsSync(`${path}.new`));
    file.close();
    const again = open(path);
    assert.deepEqual(contents(again.stash), contents(stash));
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.equal(again.stash.put('t', 'x', value), 1001);
  });

  test('has what a killed compaction left beside it removed', (t) => {
    const path = pathIn(t);
    writeFileSync(`${path}.new`, 'half');
    open(path);
    assert.ok(!existsSync(`${path}.new`));
  });

  test('and cannot be written anew goes on growing, and says so once', (t) => {
    const path = pathIn(t);
    const { stash, notices, file } = open(path);
    // A directory in the draft's place cannot be removed as a file.
    mkdirSync(`${path}.new`);
    for (let index = 0; index < 180; index++) stash.put('t', 'k', new Uint8Array(10_000));
    assert.equal(notices.length, 1);
    assert.match(notices[0]!, /^the stash's file cannot be compacted \(.+\): it grows on$/);
    file.close();
    assert.equal(open(path).stash.keys('t').length, 1);
  });
});

test('whatever is done and wherever it is opened again, the file is what memory was', (t) => {
  const directory = temporaryDirectory(t);
  let files = 0;
  const name = fc.constantFrom('a', 'b');
  const steps = fc.array(
    fc.oneof(
      fc.record({
        op: fc.constant('put' as const),
        table: name,
        key: name,
        size: fc.integer({ min: 0, max: 40_000 }),
      }),
      fc.record({ op: fc.constant('increment' as const), table: fc.constant('n'), key: name }),
      fc.record({ op: fc.constantFrom('delete' as const), table: name, key: name }),
      fc.record({
        op: fc.constantFrom('clear' as const, 'deleteTable' as const, 'ensure' as const),
        table: name,
      }),
      fc.record({ op: fc.constant('open' as const) }),
    ),
    { maxLength: 80, size: 'max' },
  );
  fc.assert(
    fc.property(steps, (all) => {
      const path = join(directory, `stash-${files++}`);
      let { stash, file } = open(path);
      for (const step of all) {
        if (step.op === 'put') stash.put(step.table, step.key, new Uint8Array(step.size));
        else if (step.op === 'increment') stash.increment(step.table, step.key);
        else if (step.op === 'delete') stash.delete(step.table, step.key);
        else if (step.op === 'open') {
          const before = contents(stash);
          file.close();
          ({ stash, file } = open(path));
          assert.deepEqual(contents(stash), before);
        } else stash[step.op](step.table);
      }
      file.close();
      truncateSync(path, 0);
    }),
    { numRuns: 60 },
  );
});

/** A process that puts numbers one after the other and says each when it is done. */
const WRITER = `
const { StashFile } = await import(process.env.STASH_FILE);
const { Stash } = await import(process.env.STASH);
const { numbers } = await import(process.env.SUPPORT);
const { writeSync } = await import('node:fs');
const file = new StashFile(process.argv[1], (text) => process.stderr.write(text));
const stash = new Stash({ bytesMax: 1e9, nowMs: () => 0, numbers, record: (change) => file.record(change) });
file.load(stash);
const padding = new Uint8Array(Number(process.argv[2]));
for (;;) {
  let count;
  try {
    stash.put('t', 'padding', padding);
    count = stash.increment('t', 'count');
  } catch (error) {
    writeSync(1, error.code + ' ' + error.message + '\\n');
    break;
  }
  writeSync(1, count + '\\n');
}
for (const key of ['count', 'padding']) writeSync(1, key + ' ' + stash.get('t', key)?.version + '\\n');
`;

function writer(t: TestContext, path: string, paddingBytes: number, shell?: string) {
  const url = (name: string): string => new URL(name, import.meta.url).href;
  const args = [
    '--import',
    import.meta.resolve('tsx'),
    '--input-type=module',
    '-e',
    WRITER,
    path,
    `${paddingBytes}`,
  ];
  const env = {
    ...process.env,
    STASH_FILE: url('../../src/actors/dirty/stash-file.ts'),
    STASH: url('../../src/actors/dirty/stash.ts'),
    SUPPORT: url('./stash-support.ts'),
  };
  const command = shell ? ['sh', '-c', shell, 'sh', process.execPath, ...args] : [process.execPath, ...args];
  const child = spawn(command[0]!, command.slice(1), { env, stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  return child;
}

test('what was answered is there after kill -9, again and again', async (t) => {
  const path = pathIn(t);
  let answered = 0;
  // So much padding that compactions happen all the time, and are killed too.
  for (let round = 0; round < 4; round++) {
    const child = writer(t, path, 30_000);
    const target = answered + 40 + 17 * round;
    const exited = once(child, 'exit');
    for await (const line of createInterface({ input: child.stdout! })) {
      answered = Number(line);
      if (answered >= target) child.kill('SIGKILL');
    }
    await exited;
    assert.ok(answered >= target, `${answered} of ${target}`);
    const { stash, file } = open(path);
    const held = numbers.unpack(stash.get('t', 'count')!.value)!;
    // One more may have been written and not yet told.
    assert.ok(held === answered || held === answered + 1, `${answered} was answered, ${held} is there`);
    answered = held;
    file.close();
  }
});

test('a file that can grow no more refuses the change, and agrees with memory', async (t) => {
  const path = pathIn(t);
  // In blocks of 512 bytes: less than a compaction needs.
  const child = writer(t, path, 5000, 'ulimit -f 200; exec "$@"');
  let output = '';
  for await (const chunk of child.stdout!) output += chunk;
  assert.match(
    output,
    /^STASH_NOT_WRITTEN the change was not made: the stash's file cannot be written \(EFBIG\)$/m,
  );
  const { stash, notices } = open(path);
  assert.deepEqual(notices, [], 'what was half written is taken back');
  for (const key of ['count', 'padding'])
    assert.match(output, new RegExp(`^${key} ${stash.get('t', key)?.version}$`, 'm'));
});
