/** Servers started by hand: Ctrl-C, Ctrl-S, Ctrl-Z, a window that is closed, nohup, setsid and npm, each in a real terminal. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { describe, type TestContext, test } from 'node:test';
import { CTRL_C, CTRL_Z } from '../kirinc/screen.ts';
import { ask } from './client.ts';
import { command, eventually, fixture } from './harness.ts';
import { isAlive } from './processes.ts';
import { Terminal } from './terminal.ts';

const CTRL_S = '\x13';
const CTRL_Q = '\x11';
const app = fixture('app.mjs');

describe('in a terminal', { concurrency: 2 }, () => {
  test('Ctrl-C is a quick stop, and the prompt is back after it', async (t) => {
    const terminal = new Terminal(t);
    terminal.type(`${terminal.kirin} -w 2 ${app}`);
    await terminal.told(/is ready/, 2);
    terminal.screen.write(CTRL_C);
    assert.equal(await terminal.ended(), 0);
    assert.equal(terminal.lines.at(-1)?.msg, 'stopped');
    assert.deepEqual(terminal.all(/unexpectedly|is killed|again/), []);
  });

  test('Ctrl-C twice at once counts once; a later one hastens', async (t) => {
    const terminal = new Terminal(t);
    terminal.type(`${terminal.kirin} ${fixture('ends-slowly.mjs')}`);
    await terminal.told(/is ready/);
    terminal.screen.write(CTRL_C + CTRL_C);
    await terminal.told(/^SIGINT: quick shutdown/);
    await terminal.screen.shows(/cleaning up/);
    const seen = terminal.all(/again/).length;
    assert.equal(seen, 0);
    // However long the time is in which they count once, one of these comes after it.
    await terminal.screen.until('it is hastened', () => {
      if (terminal.all(/^SIGINT again/).length === 0) terminal.screen.write(CTRL_C);
      return terminal.all(/^SIGINT again/)[0];
    });
    assert.equal(await terminal.ended(), 130);
  });

  test('closed: what is in flight is answered, and the server ends', async (t) => {
    const terminal = new Terminal(t);
    terminal.type(`${terminal.kirin} -w 2 ${app}`);
    await terminal.told(/is ready/, 2);
    const held = ask(terminal.port, `/hold?until=${terminal.site.path('go')}`);
    await terminal.screen.shows(/holding/);
    terminal.close();
    await terminal.told(/^SIGHUP, the terminal has gone: graceful shutdown/);
    terminal.site.write('go', '');
    assert.equal((await held).status, 200);
    await terminal.gone();
    assert.equal(terminal.lines.at(-1)?.msg, 'stopped');
    // The shell and the kernel both send it, and its workers lose it too.
    assert.deepEqual(terminal.all(/again|reload|unexpectedly|, by SIG/), []);
  });

  test('HUP while it is there is a reload, also for a session leader; without it a stop', async (t) => {
    const terminal = new Terminal(t, ['sh', '-c', `exec KIRIN ${app}`]);
    await terminal.told(/is ready/);
    assert.equal(terminal.pid, terminal.screen.pty.pid);
    process.kill(terminal.pid!, 'SIGHUP');
    await terminal.told(/^reload done/);
    terminal.close();
    await terminal.told(/^SIGHUP, the terminal has gone/);
    await eventually('it has ended', () => terminal.screen.exited);
    assert.equal(terminal.screen.exited?.exitCode, 0);
    assert.equal(terminal.screen.exited?.signal || 0, 0);
  });

  for (const [how, prefix] of [
    ['under nohup', 'nohup'],
    ['in a session of its own', 'setsid -w'],
  ] as const)
    test(`closed ${how}: it goes on, and HUP is a reload`, async (t) => {
      const terminal = new Terminal(t);
      terminal.type(`${prefix} ${terminal.kirin} --reload-settle 0.1 ${app}`);
      await terminal.told(/is ready/);
      const pid = terminal.pid!;
      terminal.close();
      await eventually('the shell has gone', () => !isAlive(terminal.screen.pty.pid));
      assert.equal((await ask(terminal.port, '/')).status, 200);
      // Right after the terminal has gone its own HUP is still to be expected.
      await eventually('it reloads', () => {
        if (terminal.all(/^SIGHUP: reload/).length === 0) process.kill(pid, 'SIGHUP');
        return terminal.all(/^SIGHUP: reload/)[0];
      });
      await terminal.told(/^reload done/);
      assert.deepEqual(terminal.all(/shutdown/), []);
      process.kill(pid, 'SIGTERM');
      await terminal.gone();
      assert.deepEqual(terminal.all(/, by SIG/), []);
    });

  test('a window of another size is no order', async (t) => {
    const terminal = new Terminal(t);
    terminal.type(`${terminal.kirin} ${app}`);
    await terminal.told(/is ready/);
    terminal.screen.resize(120, 20);
    terminal.screen.write(CTRL_C);
    assert.equal(await terminal.ended(), 0);
    assert.deepEqual(terminal.all(/WINCH/), []);
  });

  test('Ctrl-Z and fg: it serves as before', async (t) => {
    const terminal = new Terminal(t);
    terminal.type(`${terminal.kirin} -w 2 ${app}`);
    await terminal.told(/is ready/, 2);
    terminal.screen.write(CTRL_Z);
    await terminal.screen.shows(/Stopped/);
    terminal.type('fg');
    assert.equal((await ask(terminal.port, '/')).status, 200);
    terminal.screen.write(CTRL_C);
    assert.equal(await terminal.ended(), 0);
    assert.deepEqual(terminal.all(/silent|unexpectedly|killed/), []);
  });

  test('Ctrl-S: an app that prints goes on, its log too; Ctrl-Q shows what fits, and the rest is counted', async (t) => {
    const terminal = new Terminal(t);
    terminal.type(`${terminal.kirin} --timeout 1 ${fixture('prints.mjs')}`);
    await terminal.told(/is ready/);
    terminal.screen.write(CTRL_S);
    await ask(terminal.port, '/stdout/3000');
    await terminal.told(/standard output is not read: what the app prints is dropped/);
    // Longer than the limit of a blocked event loop.
    const fromMs = performance.now();
    await eventually('it has answered for long', async () => {
      const { age } = (await ask(terminal.port, '/stdout/1')).json<{ age: number }>();
      assert.equal(age, 1);
      return performance.now() - fromMs > 2500;
    });
    assert.deepEqual(terminal.all(/silent|SIGABRT/), []);
    terminal.screen.write(CTRL_Q);
    await eventually('the loss is told', async () => {
      await ask(terminal.port, '/stdout/1');
      return terminal.all(/standard output is taken again; \d+ writes of the app were dropped/)[0];
    });
    terminal.screen.write(CTRL_C);
    assert.equal(await terminal.ended(), 0);
  });

  test('Ctrl-S with the log in it: supervision goes on', async (t) => {
    const terminal = new Terminal(t);
    const without = terminal.kirin
      .replace('--no-control-socket', '--control-socket c')
      .replace(/--error-logfile \S+/, '');
    const shell = `${process.execPath} ${command('kirinc')} -s c -c`;
    terminal.type(`${without} --workers 1 ${app} & server=$!`);
    await terminal.screen.shows(/is ready/);
    terminal.screen.write(CTRL_S);
    const ordered = (words: string): string =>
      execFileSync('sh', ['-c', `${shell} '${words}'`], { cwd: terminal.site.directory, encoding: 'utf8' });
    for (let i = 0; i < 3; i++) ordered('reload --wait');
    assert.match(ordered('show workers'), /Total: 1/);
    terminal.screen.write(CTRL_Q);
    await terminal.screen.until('the lines come', () => terminal.screen.raw.split('reload done').length > 3);
    terminal.type('kill %1; wait %1');
    assert.equal(await terminal.ended(), 0);
  });
});

describe('under npm, in a terminal', { concurrency: 2 }, () => {
  const withScript = (t: TestContext, script: (kirin: string) => string) => {
    const terminal = new Terminal(t);
    terminal.site.write(
      'package.json',
      JSON.stringify({ name: 'app', scripts: { start: script(terminal.kirin) } }),
    );
    return terminal;
  };
  for (const [name, script] of [
    ['start', (kirin: string) => `${kirin} ${fixture('ends-slowly.mjs')}`],
    ['a script with more to do', (kirin: string) => `${kirin} ${fixture('ends-slowly.mjs')} && echo after`],
  ] as const)
    test(`${name}: Ctrl-C comes twice and counts once; the prompt is back when the server has ended`, async (t) => {
      const terminal = withScript(t, script);
      terminal.type('npm start');
      await terminal.told(/is ready/);
      terminal.screen.write(CTRL_C);
      await terminal.told(/^SIGINT: quick shutdown/);
      await terminal.screen.shows(/cleaning up/);
      assert.ok(!terminal.screen.cursorLine.includes('PROMPT>'));
      terminal.site.write('go', '');
      assert.equal(await terminal.ended(), 130);
      assert.equal(terminal.lines.at(-1)?.msg, 'stopped');
      assert.deepEqual(terminal.all(/again/), []);
    });

  test('closed: the server ends', async (t) => {
    const terminal = withScript(t, (kirin) => `${kirin} ${app}`);
    terminal.type('npm start');
    await terminal.told(/is ready/);
    terminal.close();
    await terminal.told(/^SIGHUP, the terminal has gone/);
    await terminal.gone();
    assert.equal(terminal.lines.at(-1)?.msg, 'stopped');
  });

  test('TERM to npm reaches a server that its script became by exec', async (t) => {
    const terminal = withScript(t, (kirin) => `exec ${kirin} ${app}`);
    terminal.type('npm start & npm=$!');
    await terminal.told(/is ready/);
    terminal.type('kill $npm; wait $npm');
    await terminal.told(/^SIGTERM: graceful shutdown/);
    assert.equal(await terminal.ended(), 0);
    assert.equal(terminal.lines.at(-1)?.msg, 'stopped');
  });
});
