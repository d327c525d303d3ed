/** Stopping: what is in flight is answered, unless someone is in a hurry; the exit code tells which. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { isListening, RawClient } from './client.ts';
import { eventually, fixture, launch, Site, serve } from './harness.ts';
import { isAlive } from './processes.ts';

const app = fixture('app.mjs');

describe('stopping', { concurrency: 3 }, () => {
  test('TERM lets a request in flight be answered, then exits with 0', async (t) => {
    const site = new Site(t);
    const server = await serve(t, app, ['-w', '2']);
    const { port } = server;
    const held = server.get(`/hold?until=${site.path('go')}`);
    await server.printed(/holding/);
    server.signal('SIGTERM');
    await server.told(/is draining/);
    await eventually('nothing new is accepted', async () => !(await isListening(port)));
    site.write('go', '');
    const answer = await held;
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.connection, 'close');
    assert.deepEqual(await server.exit(), { code: 0, signal: null });
  });

  test('TERM cuts what is still in flight when the grace is over', async (t) => {
    const server = await serve(t, app, ['--graceful-timeout', '0.5']);
    const held = server.get('/hold?until=/nowhere');
    await Promise.all([assert.rejects(held, { code: 'ECONNRESET' }), stopWhenHeld()]);
    assert.equal(server.exited?.code, 0);

    async function stopWhenHeld() {
      await server.printed(/holding/);
      await server.stop();
    }
  });

  for (const signal of ['SIGINT', 'SIGQUIT'] as const)
    test(`${signal} cuts what is in flight and exits with 0`, async (t) => {
      const server = await serve(t, app, ['--graceful-timeout', '600', '-w', '2']);
      const held = server.get('/hold?until=/nowhere');
      const cut = assert.rejects(held);
      await server.printed(/holding/);
      assert.equal(await server.stop(signal), 0);
      await cut;
    });

  for (const [signal, number] of [
    ['SIGTERM', 15],
    ['SIGINT', 2],
    ['SIGQUIT', 3],
  ] as const)
    test(`a second signal, ${signal}, hastens and gives ${128 + number}`, async (t) => {
      const server = await serve(t, app, ['--graceful-timeout', '600']);
      const cut = assert.rejects(server.get('/hold?until=/nowhere'));
      await server.printed(/holding/);
      server.signal('SIGTERM');
      await server.told(/is draining/);
      await server.hasten(signal);
      assert.equal((await server.exit()).code, 128 + number);
      await cut;
    });

  test('INT to the whole process group, as a terminal sends it, is a quick stop without noise', async (t) => {
    const server = await serve(t, app, ['-w', '2']);
    await server.settled(2);
    process.kill(-server.pid, 'SIGINT');
    assert.deepEqual(await server.exit(), { code: 0, signal: null });
    assert.deepEqual(server.all(/unexpectedly|is killed/), []);
  });

  test('TERM to the whole process group, as some supervisors send it, still answers what is in flight', async (t) => {
    const site = new Site(t);
    const server = await serve(t, app, ['-w', '2']);
    await server.settled(2);
    const held = server.get(`/hold?until=${site.path('go')}`);
    await server.printed(/holding/);
    process.kill(-server.pid, 'SIGTERM');
    await server.told(/shutdown/);
    site.write('go', '');
    assert.equal((await held).status, 200);
    assert.deepEqual(await server.exit(), { code: 0, signal: null });
  });

  test('a stop while the first worker boots ends at once, with 0', async (t) => {
    const server = launch(t, fixture('never-ready.mjs'), ['--boot-timeout', '600']);
    await server.printed(/loading/);
    assert.equal(await server.stop('SIGTERM'), 0);
  });

  test('a stop right after the start ends it, whatever it was doing', async (t) => {
    const server = launch(t, app);
    await server.told(/^kirin /);
    assert.equal(await server.stop('SIGTERM'), 0);
  });

  test('orders that come while stopping are refused and told so', async (t) => {
    const site = new Site(t);
    const server = await serve(t, app);
    const held = server.get(`/hold?until=${site.path('go')}`);
    await server.printed(/holding/);
    server.signal('SIGTERM');
    await server.told(/is draining/);
    server.signal('SIGHUP');
    await server.told(/^reload refused: .*stopping/);
    server.signal('SIGTTIN');
    await server.told(/^scale refused: .*stopping/);
    site.write('go', '');
    await held;
    assert.equal((await server.exit()).code, 0);
  });

  test('a worker that does not end within the grace is killed', async (t) => {
    const server = await serve(t, fixture('spins-on-drain.mjs'), [
      '--graceful-timeout',
      '0.5',
      '--timeout',
      '0',
    ]);
    assert.equal(await server.stop('SIGTERM'), 0);
    assert.equal(server.all(/is killed: it had not ended/).length, 1);
  });

  test('the pid file names the server while it runs and is gone afterwards', async (t) => {
    const site = new Site(t);
    const pidfile = site.path('kirin.pid');
    const server = await serve(t, app, ['--pid', pidfile]);
    assert.equal(readFileSync(pidfile, 'utf8').trim(), String(server.pid));
    await server.stop();
    assert.throws(() => readFileSync(pidfile), { code: 'ENOENT' });
  });

  test('the server killed with -9: workers drain, answer what is in flight and exit, and the port is free', async (t) => {
    const site = new Site(t);
    const server = await serve(t, app, ['-w', '2', '--idle-grace', '0.1']);
    const { port } = server;
    const workers = await server.settled(2);
    const idle = await RawClient.connect(port);
    const held = server.get(`/hold?until=${site.path('go')}`);
    await server.printed(/holding/);
    server.signal('SIGKILL');
    await eventually('nothing is accepted any more', async () => !(await isListening(port)));
    assert.ok(
      workers.some(({ pid }) => isAlive(pid)),
      'the one with a request in flight goes on',
    );
    site.write('go', '');
    assert.equal((await held).status, 200);
    await eventually('all workers are gone', () => workers.every(({ pid }) => !isAlive(pid)));
    await eventually('the idle connection is closed', () => idle.closed);
    const next = await serve(t, app, ['-b', `127.0.0.1:${port}`]);
    assert.equal((await next.get()).status, 200);
  });

  test('the server killed with -9 while a worker boots leaves no worker behind', async (t) => {
    const server = launch(t, fixture('never-ready.mjs'), ['--boot-timeout', '600']);
    const [, pid] = await server.printed(/loading (\d+)/);
    server.signal('SIGKILL');
    await eventually('the worker is gone', () => !isAlive(Number(pid)));
  });
});
