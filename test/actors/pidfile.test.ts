import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { writePidfile } from '../../src/actors/pidfile.ts';
import { startedAtMs, startedByPs, startMark } from '../../src/actors/process-identity.ts';
import { faultOf, temporaryDirectory, until } from './support.ts';

describe('a pid file', () => {
  test('holds the number and a line end, and goes with its process', (t) => {
    const directory = temporaryDirectory(t);
    const path = join(directory, 'kirin.pid');
    const pidfile = writePidfile(path);
    assert.equal(readFileSync(path, 'utf8'), `${process.pid}\n`);
    assert.deepEqual(readdirSync(directory), ['kirin.pid']);
    pidfile.remove();
    pidfile.remove();
    assert.deepEqual(readdirSync(directory), []);
  });

  test('is left alone when a successor has written its own', (t) => {
    const path = join(temporaryDirectory(t), 'kirin.pid');
    const first = writePidfile(path);
    const second = writePidfile(path);
    first.remove();
    assert.ok(existsSync(path));
    second.remove();
  });

  const replaced: [string, string][] = [
    ['of a process that is gone', '4194304\n'],
    ['of this very process', `${process.pid}`],
    ['that is empty', ''],
  ];
  for (const [what, text] of replaced)
    test(`${what} is replaced`, (t) => {
      const path = join(temporaryDirectory(t), 'kirin.pid');
      writeFileSync(path, text);
      writePidfile(path);
      assert.equal(readFileSync(path, 'utf8'), `${process.pid}\n`);
    });

  test('of another process that runs is refused', (t) => {
    const path = join(temporaryDirectory(t), 'kirin.pid');
    const other = spawn('sleep', ['600']);
    t.after(() => other.kill('SIGKILL'));
    writeFileSync(path, `${other.pid}\n`);
    assert.throws(() => writePidfile(path), faultOf('file.unusable', /names process \d+, which is running/));
    assert.equal(readFileSync(path, 'utf8'), `${other.pid}\n`);
  });

  test('older than the process of its number is stale', (t) => {
    const path = join(temporaryDirectory(t), 'kirin.pid');
    const other = spawn('sleep', ['600']);
    t.after(() => other.kill('SIGKILL'));
    writeFileSync(path, `${other.pid}\n`);
    const before = startedAtMs(other.pid!)! / 1000 - 60;
    utimesSync(path, before, before);
    writePidfile(path);
    assert.equal(readFileSync(path, 'utf8'), `${process.pid}\n`);
  });

  test('that is something else is not overwritten', (t) => {
    const path = join(temporaryDirectory(t), 'notes.txt');
    writeFileSync(path, 'precious');
    assert.throws(() => writePidfile(path), faultOf('file.unusable', /is no pid file/));
    assert.equal(readFileSync(path, 'utf8'), 'precious');
  });

  test('is written through no link that was prepared for its draft', (t) => {
    const directory = temporaryDirectory(t);
    const path = join(directory, 'kirin.pid');
    writeFileSync(join(directory, 'precious'), 'precious');
    symlinkSync('precious', `${path}.${process.pid}.new`);
    writePidfile(path);
    assert.equal(readFileSync(join(directory, 'precious'), 'utf8'), 'precious');
    assert.ok(lstatSync(path).isFile());
  });

  test('that is a directory is refused, and no draft is left', (t) => {
    const directory = temporaryDirectory(t);
    const path = join(directory, 'kirin.pid');
    mkdirSync(join(path, 'within'), { recursive: true });
    assert.throws(() => writePidfile(path), faultOf('file.unusable', /cannot write the pid file .*EISDIR/));
    assert.deepEqual(readdirSync(directory), ['kirin.pid']);
  });

  test('is not written while another process is about to', (t) => {
    const path = join(temporaryDirectory(t), 'kirin.pid');
    const other = spawn('sleep', ['600']);
    t.after(() => other.kill('SIGKILL'));
    writeFileSync(`${path}.lock.1`, `${other.pid} ${startMark(other.pid!)}\n`);
    assert.throws(() => writePidfile(path), faultOf('file.unusable', /^process \d+ is about to write /));
    assert.ok(!existsSync(path));
  });

  test('of twenty at once is written by one', async (t) => {
    const path = join(temporaryDirectory(t), 'kirin.pid');
    const url = new URL('../../src/actors/pidfile.ts', import.meta.url).href;
    const code = `
      import { writePidfile } from ${JSON.stringify(url)};
      process.stdin.once('data', () => {
        try { writePidfile(${JSON.stringify(path)}); console.log('won'); }
        catch (error) { console.log(error.fault?.code ?? error.stack); }
      });
      console.log('here');`;
    const all = Array.from({ length: 20 }, () => {
      const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', code], {
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      t.after(() => child.kill('SIGKILL'));
      let text = '';
      child.stdout.on('data', (chunk) => {
        text += String(chunk);
      });
      return { child, lines: () => text.split('\n').filter(Boolean) };
    });
    await until('all are there', () => all.every(({ lines }) => lines().length >= 1), 60_000);
    for (const { child } of all) child.stdin.write('go\n');
    await until('all have told', () => all.every(({ lines }) => lines().length >= 2), 60_000);
    const ends = all.map(({ child, lines }) => [lines()[1], child.pid] as const);
    const winners = ends.filter(([end]) => end === 'won');
    assert.deepEqual(
      [winners.length, ends.filter(([end]) => end === 'file.unusable').length],
      [1, 19],
      JSON.stringify(ends),
    );
    assert.equal(readFileSync(path, 'utf8'), `${winners[0]![1]}\n`);
  });

  test('in a missing directory is refused', (t) => {
    const path = join(temporaryDirectory(t), 'missing', 'kirin.pid');
    assert.throws(() => writePidfile(path), faultOf('file.unusable', /cannot write the pid file .*ENOENT/));
  });

  test('can be read by everyone', (t) => {
    const before = process.umask(0o022);
    t.after(() => process.umask(before));
    const path = join(temporaryDirectory(t), 'kirin.pid');
    writePidfile(path);
    assert.equal(statSync(path).mode & 0o777, 0o644);
  });
});

for (const tell of [startedAtMs, startedByPs])
  test(`a process started about now says so (${tell.name})`, (t) => {
    const child = spawn('sleep', ['600']);
    t.after(() => child.kill('SIGKILL'));
    const startedMs = tell(child.pid!);
    assert.ok(startedMs !== undefined && Math.abs(startedMs - Date.now()) < 60_000, String(startedMs));
    assert.equal(tell(4_194_304), undefined);
  });

test('the start of a process is told the same in any zone and language', (t) => {
  const { TZ, LC_ALL } = process.env;
  t.after(() => {
    for (const [name, value] of Object.entries({ TZ, LC_ALL }))
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
  });
  const startedMs = startedByPs(process.pid);
  Object.assign(process.env, { TZ: 'Asia/Tokyo', LC_ALL: 'de_DE.UTF-8' });
  assert.equal(startedByPs(process.pid), startedMs);
});

describe('a pid file under a clock that is set', () => {
  test('is touched, so that it is still known whose it is; another file in its place is not', (t) => {
    const path = join(temporaryDirectory(t), 'pid');
    const mine = writePidfile(path);
    // The clock was set forward: the process seems to be younger than its file.
    utimesSync(path, new Date(0), new Date(0));
    mine.touch();
    assert.ok(statSync(path).mtimeMs > startedAtMs(process.pid)!);
    assert.throws(
      () => writePidfile(path, { pid: process.pid + 1 }),
      faultOf('file.unusable', /names process \d+, which is running/),
    );
    rmSync(path);
    writeFileSync(path, '1\n');
    utimesSync(path, new Date(0), new Date(0));
    mine.touch();
    assert.equal(statSync(path).mtimeMs, 0);
    rmSync(path);
    mine.touch();
    mine.remove();
  });
});
