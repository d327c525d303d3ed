import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, type StdioOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  truncateSync,
  unlinkSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import winston from 'winston';
import { createLog } from '../../src/actors/log.ts';
import { jsonLine, textLine } from '../../src/actors/log-format.ts';
import { LogSink } from '../../src/actors/log-sink.ts';
import { faultOf, temporaryDirectory, until } from './support.ts';

const line = { time: '2026-11-22T15:49:38.123Z', level: 'info', msg: 'hello', fields: {} };

describe('a line for people', () => {
  test('has time, level, process and text; fields are for machines', () => {
    assert.equal(textLine(line, 123, false), '2026-11-22T15:49:38.123Z info  kirin[123] hello');
    assert.equal(
      textLine({ ...line, level: 'error', fields: { age: 3 } }, 1, false),
      '2026-11-22T15:49:38.123Z error kirin[1] hello',
    );
  });

  test('shows control characters instead of obeying them', () => {
    const msg = 'evil\u001b[2J\n2026-11-22 info forged\r\u2028\u0000tab\there';
    const shown = textLine({ ...line, msg, fields: { a: 'x\u001b' } }, 1, false);
    assert.ok(shown.includes('evil\\u001b[2J\\n2026-11-22 info forged\\u000d\\u2028\\u0000tab\there'), shown);
    assert.equal(shown.split('\n').length, 1);
    assert.ok(!shown.includes('\u001b'));
  });

  test('has a stack below it, indented', () => {
    const shown = textLine({ ...line, fields: { stack: 'Error: x\n    at y' } }, 1, false);
    assert.deepEqual(shown.split('\n').slice(1), ['  Error: x', '      at y']);
  });

  test('is coloured only when asked', () => {
    assert.ok(textLine(line, 1, true).includes('\u001b[36minfo \u001b[0m'));
  });
});

describe('a line for machines', () => {
  test('is one JSON object whose own names win', () => {
    const fields = { age: 3, level: 'forged', pid: 1, big: 10n };
    assert.deepEqual(JSON.parse(jsonLine({ ...line, fields }, 123)), {
      time: line.time,
      level: 'info',
      msg: 'hello',
      pid: 123,
      age: 3,
      big: '10',
    });
  });

  test('survives what JSON cannot say', () => {
    const loop: Record<string, unknown> = {};
    loop['self'] = loop;
    assert.equal(JSON.parse(jsonLine({ ...line, fields: loop }, 1)).msg, 'hello');
  });
});

describe('a log file', () => {
  test('is appended to, by level, and fields cannot disturb winston', async (t) => {
    const file = join(temporaryDirectory(t), 'kirin.log');
    for (const text of ['first', 'second']) {
      const log = createLog({ level: 'info', format: 'json', file });
      log.debug('unseen');
      log.info(text, { message: 'm', level: 'error', splat: ['%s'], [Symbol('x')]: 1 });
      log.fatal('end %s');
      await log.close();
    }
    const lines = readFileSync(file, 'utf8')
      .trim()
      .split('\n')
      .map((text) => JSON.parse(text));
    assert.deepEqual(
      lines.map(({ level, msg }) => [level, msg]),
      [
        ['info', 'first'],
        ['fatal', 'end %s'],
        ['info', 'second'],
        ['fatal', 'end %s'],
      ],
    );
    assert.equal(lines[0].message, 'm');
  });

  test('has the same lines before winston is loaded and after', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 1_795_000_000_000 });
    const create = t.mock.method(winston, 'createLogger');
    const file = join(temporaryDirectory(t), 'kirin.log');
    const log = createLog({ level: 'info', format: 'json', file });
    const linesOf = () => {
      log.debug('unseen');
      log.info('hello %s', { message: 'm', level: 'error', splat: ['%s'], [Symbol('x')]: 1 });
      log.warn('none');
      log.error('two', { stack: 'Error' });
      log.fatal('end');
      const text = readFileSync(file, 'utf8');
      truncateSync(file);
      return text;
    };
    const before = linesOf();
    assert.equal(create.mock.callCount(), 0);
    t.mock.timers.tick(10_000);
    await import('../../src/actors/winston-pipe.ts');
    await new Promise(setImmediate);
    t.mock.timers.setTime(1_795_000_000_000);
    assert.equal(create.mock.callCount(), 1);
    assert.equal(linesOf(), before);
    assert.equal(before.trim().split('\n').length, 4);
    await log.close();
  });

  test('is followed through a rotation without losing or doubling a line', async (t) => {
    const directory = temporaryDirectory(t);
    const file = join(directory, 'kirin.log');
    const log = createLog({ level: 'info', format: 'json', file });
    for (let i = 0; i < 100; i++) {
      log.info(`before ${i}`);
      renameSync(file, `${file}.${i}`);
      log.info(`between ${i}`);
      log.reopen();
    }
    log.info('last');
    await log.close();
    const all = readdirSync(directory).flatMap((name) =>
      readFileSync(join(directory, name), 'utf8').trim().split('\n'),
    );
    const messages = all.map((text) => JSON.parse(text).msg);
    assert.equal(messages.length, 201);
    assert.equal(new Set(messages).size, 201);
    assert.match(readFileSync(file, 'utf8'), /"last"/);
  });

  test('that cannot be reopened is kept, and the reason told in it', async (t) => {
    const directory = join(temporaryDirectory(t), 'logs');
    mkdirSync(directory);
    const file = join(directory, 'kirin.log');
    const log = createLog({ level: 'info', format: 'text', file });
    const reader = openSync(file, 'r');
    unlinkSync(file);
    rmdirSync(directory);
    log.reopen();
    log.info('still here');
    await log.close();
    const text = readFileSync(reader, 'utf8');
    closeSync(reader);
    assert.match(text, /error kirin\[\d+\] cannot reopen .*ENOENT[\s\S]*still here/);
  });

  test('that cannot be opened is a fault', (t) => {
    const file = join(temporaryDirectory(t), 'missing', 'kirin.log');
    assert.throws(
      () => createLog({ level: 'info', format: 'text', file }),
      faultOf('file.unusable', /^cannot open the log file .*: ENOENT$/),
    );
  });

  test('reopened with half a line waiting begins with a whole one, and the loss is told', (t) => {
    const file = join(temporaryDirectory(t), 'kirin.log');
    execFileSync('mkfifo', [file]);
    const reader = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
    t.after(() => closeSync(reader));
    const sink = new LogSink(file);
    sink.write('x'.repeat(200_000));
    sink.write('second');
    renameSync(file, `${file}.1`);
    sink.reopen();
    sink.write('third');
    sink.close();
    const lines = readFileSync(file, 'utf8').split('\n');
    assert.deepEqual(lines, ['second', 'kirin: 1 log line could not be written', 'third', '']);
  });

  test('a full disk ends nothing, and lines are counted', () => {
    const sink = new LogSink('/dev/full');
    for (let i = 0; i < 10; i++) sink.write('text');
    assert.equal(sink.lost, 10);
    sink.close();
  });
});

describe('standard error', () => {
  /** Runs a script that has a log to standard error. */
  function logging(t: TestContext, script: string, stdio: StdioOptions): ChildProcess {
    const url = new URL('../../src/actors/log.ts', import.meta.url).href;
    const code = `import winston from 'winston';
import { createLog } from ${JSON.stringify(url)};
      const log = createLog({ level: 'info', format: 'text', file: '-' }); ${script}`;
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', code], { stdio });
    t.after(() => child.kill('SIGKILL'));
    return child;
  }
  const collect = (stream: NodeJS.ReadableStream | null) => {
    let text = '';
    stream?.on('data', (chunk) => {
      text += String(chunk);
    });
    return () => text;
  };
  /** A reader that copies to a file when it is not stopped, and the descriptor to write to. Node's own pipes are sockets. */
  async function reader(
    t: TestContext,
    kind: 'pipe' | 'socket',
    file: string,
  ): Promise<{ fd: number; cat: ChildProcess }> {
    let fd: number | undefined;
    if (kind === 'pipe') {
      execFileSync('mkfifo', [`${file}.fifo`]);
      fd = openSync(`${file}.fifo`, 'r+');
      t.after(() => closeSync(fd!));
    }
    const cat = spawn('sh', ['-c', `exec cat ${fd ? `< "${file}.fifo"` : ''} > "${file}"`], {
      stdio: [fd ? 'ignore' : 'pipe', 'ignore', 'inherit'],
    });
    t.after(() => cat.kill('SIGKILL'));
    await until('the reader is there', () => existsSync(file));
    cat.kill('SIGSTOP');
    return { fd: fd ?? (cat.stdin as unknown as { _handle: { fd: number } })._handle.fd, cat };
  }
  const flood = `for (let i = 0; i < 40000; i++) log.info('line ' + i + ' ' + 'x'.repeat(100));`;

  test('gets plain lines in order, the last one before an exit', async (t) => {
    const child = logging(t, `log.info('one'); log.warn('two'); log.fatal('three'); process.exit(7);`, [
      'ignore',
      'ignore',
      'pipe',
    ]);
    const text = collect(child.stderr);
    assert.equal((await once(child, 'close'))[0], 7);
    assert.match(text(), /^\S+Z info {2}kirin\[\d+\] one\n\S+ warn {2}\S+ two\n\S+ fatal \S+ three\n$/);
    assert.ok(!text().includes('\u001b'));
  });

  test('closed by its reader: the process goes on', async (t) => {
    const child = logging(
      t,
      `console.log('up'); process.stdin.once('data', () => { ${flood} log.fatal('x'); console.log('alive'); process.exit(5); });`,
      ['pipe', 'pipe', 'pipe'],
    );
    const out = collect(child.stdout);
    await until('it is up', () => out().includes('up'));
    child.stderr!.destroy();
    child.stdin!.write('go');
    assert.equal((await once(child, 'close'))[0], 5);
    assert.match(out(), /alive/);
  });

  test('a pipe not read at all that cannot be opened again: the process goes on, and can exit', async (t) => {
    const { fd } = await reader(t, 'pipe', join(temporaryDirectory(t), 'text'));
    const url = new URL('../../src/actors/log-sink.ts', import.meta.url).href;
    const script = `const { LogSink } = await import(${JSON.stringify(url)});
      const sink = new LogSink('-', { stderrPath: '/nowhere' }); for (let i = 0; i < 40000; i++) sink.write('x'.repeat(100));
      console.log('lost ' + sink.lost); sink.close(); process.exit(6);`;
    const child = logging(t, script, ['ignore', 'pipe', fd]);
    const out = collect(child.stdout);
    assert.equal((await once(child, 'close'))[0], 6);
    assert.match(out(), /^lost [1-9]/);
  });

  for (const kind of ['pipe', 'socket'] as const) {
    test(`a ${kind} not read at all: the process goes on, and can exit`, async (t) => {
      const { fd } = await reader(t, kind, join(temporaryDirectory(t), 'text'));
      const script = `${flood} console.log('alive'); log.fatal('the end'); await log.close(); process.exit(6);`;
      const child = logging(t, script, ['ignore', 'pipe', fd]);
      const out = collect(child.stdout);
      assert.equal((await once(child, 'close'))[0], 6);
      assert.match(out(), /alive/);
    });

    test(`a ${kind} read again: what waited arrives in order, and what was lost is told`, async (t) => {
      const file = join(temporaryDirectory(t), 'text');
      const { fd, cat } = await reader(t, kind, file);
      const script = `${flood} console.log('flooded'); let n = 0; setInterval(() => log.info('later ' + n++), 20);`;
      const child = logging(t, script, ['ignore', 'pipe', fd]);
      await once(child.stdout!, 'data');
      cat.kill('SIGCONT');
      const written = () => readFileSync(file, 'utf8');
      await until('the loss is told and lines flow again', () =>
        /could not be written\n(.*\n)*.* later \d+\n/.test(written()),
      );
      const numbers = [...written().matchAll(/ line (\d+) x/g)].map(([, number]) => Number(number));
      const first = Array.from({ length: numbers.length }, (_, i) => i);
      assert.deepEqual(numbers, first, 'the first lines, whole and in order');
      const text = written();
      const loss = /warn {2}kirin\[\d+\] (\d+) log lines could not be written/.exec(text)!;
      const later = (from: string) =>
        [...from.matchAll(/ later (\d+)\n/g)].map(([, number]) => Number(number));
      // Later lines are short: some found room before the loss was told, the others were lost with the flood.
      const lostLater = later(text.slice(loss.index))[0]! - later(text.slice(0, loss.index)).length;
      assert.equal(numbers.length + Number(loss[1]), 40_000 + lostLater);
    });
  }
});
