/** Serving and scaling, and the signals that change neither. */
import assert from 'node:assert/strict';
import { readFileSync, renameSync } from 'node:fs';
import { describe, test } from 'node:test';
import { isListening } from './client.ts';
import { eventually, fixture, needsProc, Server, Site, serve } from './harness.ts';
import { childrenOf } from './processes.ts';

const app = fixture('app.mjs');

describe('a server', { concurrency: 3 }, () => {
  test('answers requests with as many workers as it was told, each with an age and a slot', async (t) => {
    const server = await serve(t, app, ['-w', '3']);
    const workers = await server.settled(3);
    assert.deepEqual(workers.map(({ age }) => age).sort(), [1, 2, 3]);
    assert.deepEqual(workers.map(({ slot }) => slot).sort(), [0, 1, 2]);
    const answer = (await server.get()).json();
    assert.ok(
      workers.some(
        ({ pid, age, slot }) => pid === answer['pid'] && age === answer['age'] && slot === answer['slot'],
      ),
    );
    assert.deepEqual(childrenOf(server.pid).sort(), workers.map(({ pid }) => pid).sort());
    assert.equal(await server.stop(), 0);
  });

  test('adds a worker at TTIN, and removes one at TTOU', async (t) => {
    const server = await serve(t, app, ['-w', '1']);
    server.signal('SIGTTIN');
    assert.deepEqual((await server.settled(2)).map(({ slot }) => slot).sort(), [0, 1]);
    server.signal('SIGTTOU');
    const [left] = await server.settled(1);
    assert.equal(left?.slot, 0);
  });

  test('never goes below one worker', async (t) => {
    const server = await serve(t, app, ['-w', '1']);
    server.signal('SIGTTOU');
    const refused = await server.told(/^scale refused/);
    assert.match(refused.msg, /at least 1/);
    assert.equal((await server.get()).status, 200);
    assert.equal(server.workers().length, 1);
  });

  test('opens its log file again at USR1, and not the debugger', async (t) => {
    const site = new Site(t);
    const log = site.path('kirin.log');
    const server = await serve(t, app, ['--error-logfile', '-']);
    // A log on standard error has nothing to reopen, and lives on.
    server.signal('SIGUSR1');
    await server.told(/^SIGUSR1/);

    const filed = new Server(['--error-logfile', log, '-b', '127.0.0.1:0', app]);
    t.after(() => filed.dispose());
    await eventually(
      'the log file tells of serving',
      () => exists(log) && /"serving /.test(readFileSync(log, 'utf8')),
    );
    renameSync(log, `${log}.1`);
    filed.signal('SIGUSR1');
    await eventually('there is a new log file', () => exists(log));
    filed.signal('SIGTTIN');
    await eventually('the new file gets the lines', () => /SIGTTIN/.test(readFileSync(log, 'utf8')));
    assert.doesNotMatch(readFileSync(`${log}.1`, 'utf8'), /SIGTTIN/);
    assert.equal(await filed.stop(), 0);
    assert.doesNotMatch(server.output + filed.output, /[Dd]ebugger listening/);
    assert.equal(await isListening(9229), false);
  });

  test('lives on when signals for its workers come from outside: INT, HUP and QUIT are ignored', async (t) => {
    const server = await serve(t, app, ['-w', '1']);
    const [worker] = await server.settled(1);
    for (const signal of ['SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGTTIN', 'SIGTTOU'] as const)
      process.kill(worker!.pid, signal);
    // An answer after the signals: the worker's loop has taken them by then.
    for (let round = 0; round < 3; round++) assert.equal((await server.get()).json()['pid'], worker!.pid);
    assert.equal(server.workers()[0]?.age, worker!.age);
    assert.doesNotMatch(server.output, /[Dd]ebugger listening/);
  });

  test('drains a worker that is sent TERM, and replaces it', async (t) => {
    const site = new Site(t);
    const server = await serve(t, app, ['-w', '1']);
    const [worker] = await server.settled(1);
    const held = server.get(`/hold?until=${site.path('go')}`);
    await server.printed(/holding/);
    process.kill(worker!.pid, 'SIGTERM');
    await server.told(/is draining/);
    await server.told(/worker 2 .* is ready/);
    assert.equal((await server.get()).json()['age'], 2);
    site.write('go', '');
    assert.equal(
      (await held).json()['pid'],
      worker!.pid,
      'what was in flight is answered by the worker that drains',
    );
    await server.told(/worker 1 .* ended/);
    assert.equal((await server.settled(1))[0]?.slot, 0);
  });

  test('leaves no zombie behind', { skip: needsProc }, async (t) => {
    const { zombiesOf } = await import('./processes.ts');
    const server = await serve(t, app, ['-w', '2']);
    for (const { pid } of await server.settled(2)) process.kill(pid, 'SIGKILL');
    await server.until('both are replaced', () => server.ready().some(({ age }) => age === 4));
    await eventually('all are reaped', () => zombiesOf(server.pid).length === 0);
  });
});

function exists(path: string): boolean {
  try {
    readFileSync(path);
    return true;
  } catch {
    return false;
  }
}
