/** What an app prints, in real processes: to pipes that are read, or not, or slowly, to files on a full disk, to nobody. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, openSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { temporaryDirectory, until } from './support.ts';

const SOURCE = new URL('../../src/actors/steady-output.ts', import.meta.url).href;

/** Runs a script whose notices go to descriptor 3, a line each, and which may wait for a line on standard input. */
function printing(t: TestContext, script: string, stdout: number | 'pipe', before = ''): Printing {
  const code = `import { writeSync } from 'node:fs';
    import { once } from 'node:events';
    import { steadyOutput } from ${JSON.stringify(SOURCE)};
    const tell = (text) => writeSync(3, text + '\\n');
    const asked = () => once(process.stdin, 'data');
    steadyOutput((level, text) => tell(level + ' ' + text));
    ${script}`;
  const node = [process.execPath, '--import', 'tsx', '--input-type=module', '-e', code];
  const child = spawn('bash', ['-c', `${before} exec "$@"`, 'bash', ...node], {
    stdio: ['pipe', stdout, 'inherit', 'pipe'],
  });
  t.after(() => child.kill('SIGKILL'));
  const printing: Printing = {
    child,
    told: '',
    ended: once(child, 'close').then(([exit]) => exit as number),
  };
  (child.stdio[3] as NodeJS.ReadableStream).on('data', (part) => {
    printing.told += String(part);
  });
  return printing;
}

interface Printing {
  child: ChildProcess;
  told: string;
  ended: Promise<number>;
}

/** A pipe with nobody at its end until it is read. */
function pipe(t: TestContext): { fd: number; read(): string } {
  const path = join(temporaryDirectory(t), 'fifo');
  execFileSync('mkfifo', [path]);
  const fd = openSync(path, 'r+');
  t.after(() => closeSync(fd));
  // The test's own end must not wait; the app's does, as a terminal's or a log reader's pipe does.
  const end = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  t.after(() => closeSync(end));
  const buffer = Buffer.alloc(64 * 1024);
  const read = (): string => {
    try {
      return buffer.toString('latin1', 0, readSync(end, buffer));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return '';
      throw error;
    }
  };
  return { fd, read };
}

const lines = "for (let i = 0; i < 20000; i++) console.log(i + ' ' + 'x'.repeat(190));";

describe('what is printed to a pipe', { concurrency: 2 }, () => {
  test('that is read arrives whole and in order, however much it is at once', async (t) => {
    const { child, ended, told } = printing(t, `${lines} process.exit(3);`, 'pipe');
    let text = '';
    child.stdout!.on('data', (part) => {
      text += String(part);
    });
    assert.equal(await ended, 3);
    const numbers = text.trimEnd().split('\n');
    assert.equal(numbers.length, 20_000);
    assert.ok(numbers.every((line, index) => line.startsWith(`${index} x`)));
    assert.equal(told, '');
  });

  test('that nobody reads is dropped beyond a bound, told once, and holds up neither the app nor its end', async (t) => {
    const { fd } = pipe(t);
    const script = `for (let n = 0; n < 5; n++) { ${lines} await new Promise(setImmediate); }
      tell('waits ' + process.stdout.writableLength); process.exit(4);`;
    const printed = printing(t, script, fd);
    assert.equal(await printed.ended, 4);
    assert.match(
      printed.told,
      /^warn standard output is not read: what the app prints is dropped\nwaits \d+\n$/,
    );
    const waits = Number(/waits (\d+)/.exec(printed.told)?.[1]);
    assert.ok(waits <= 1024 * 1024 + 200, `${waits} bytes wait`);
  });

  test('that is read again begins where it was left, then says how much is missing', async (t) => {
    const { fd, read } = pipe(t);
    const script = `${lines} tell('flooded'); setInterval(() => console.log('later'), 20); await asked(); process.exit();`;
    const printed = printing(t, script, fd);
    await until('it has dropped', () => printed.told.includes('flooded'));
    let text = '';
    await until('what is missing is told', () => {
      text += read();
      return printed.told.includes('taken again');
    });
    printed.child.stdin!.write('go\n');
    await printed.ended;
    const dropped = Number(/taken again; (\d+) writes of the app were dropped/.exec(printed.told)?.[1]);
    const numbers = [...text.matchAll(/^(\d+) x{190}$/gm)].map(([, number]) => Number(number));
    assert.deepEqual(
      numbers,
      numbers.map((_, index) => index),
      'the first ones, whole and in order',
    );
    assert.ok(numbers.length + dropped >= 20_000, `${numbers.length} came, ${dropped} were dropped`);
  });

  test('whose reader has gone is no error that ends the app', async (t) => {
    const script = `await asked(); process.stdout.write('to nobody'); console.log('neither'); console.error('seen');
      await new Promise((done) => process.stdout.write('x', done)); await new Promise(setImmediate); process.exit(5);`;
    const printed = printing(t, script, 'pipe');
    printed.child.stdout!.destroy();
    await once(printed.child.stdout!, 'close');
    printed.child.stdin!.write('go\n');
    assert.equal(await printed.ended, 5);
    assert.match(
      printed.told,
      /^warn standard output cannot be written \(EPIPE\): what the app prints is dropped\n$/,
    );
  });

  test('by an app that waits for room is never dropped, since it has that room', async (t) => {
    const { fd, read } = pipe(t);
    const script = `for (let i = 0; i < 3000; i++)
        if (!process.stdout.write(i + ' ' + 'y'.repeat(1000) + '\\n')) await once(process.stdout, 'drain');
      tell('all'); process.exit();`;
    const printed = printing(t, script, fd);
    let text = '';
    await until('the last one came', () => {
      text += read();
      return text.includes('2999 y');
    });
    await printed.ended;
    assert.equal([...text.matchAll(/^\d+ y{1000}$/gm)].length, 3000);
    assert.equal(printed.told, 'all\n');
  });
});

describe('what is printed to a file', () => {
  test('on a disk that is full for a while goes on when there is room, and the loss is told', async (t) => {
    const file = join(temporaryDirectory(t), 'out');
    const fd = openSync(file, 'a');
    t.after(() => closeSync(fd));
    const script = `for (let i = 0; i < 100; i++) process.stdout.write(i + ' ' + 'z'.repeat(97) + '\\n');
      tell('full'); setInterval(() => console.log('again'), 10); await asked(); process.exit(6);`;
    const printed = printing(t, script, fd, 'ulimit -S -f 1;');
    await until('it is full', () => printed.told.includes('full'));
    assert.match(printed.told, /^warn standard output cannot be written \(EFBIG\)/);
    execFileSync('prlimit', ['--pid', String(printed.child.pid), '--fsize=unlimited:unlimited']);
    await until('it goes on', () => readFileSync(file, 'utf8').includes('again'));
    await until('the loss is told', () => /taken again; \d+ writes/.test(printed.told));
    printed.child.stdin!.write('go\n');
    assert.equal(await printed.ended, 6);
  });
});
