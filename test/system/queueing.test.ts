/** Clients queue in the kernel while nobody can take them: before the app is loaded, and while every worker is dead. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { RawClient } from './client.ts';
import { fixture, launch, Site, serve } from './harness.ts';

describe('clients queue', { concurrency: 3 }, () => {
  test('before the app is loaded, and are answered when it is', async (t) => {
    const site = new Site(t);
    const server = launch(t, fixture('waits-to-load.mjs'), ['--env', `GO=${site.path('go')}`]);
    await server.printed(/loading/);
    await server.until('its address is told', () => server.addresses[0]);
    const queued = await RawClient.connect(server.port);
    queued.ask();
    assert.deepEqual(server.ready(), []);
    site.write('go', '');
    await server.until('the queued request is answered', () => /200 OK/.test(queued.text));
    queued.socket.destroy();
  });

  test('while every worker is dead, and are answered by the next', async (t) => {
    const site = new Site(t);
    site.write('go', '');
    const server = await serve(t, fixture('waits-to-load.mjs'), [
      '-w',
      '2',
      '--env',
      `GO=${site.path('go')}`,
    ]);
    const workers = await server.settled(2);
    site.remove('go');
    const from = server.mark();
    for (const { pid } of workers) process.kill(pid, 'SIGKILL');
    for (const { age } of workers) await server.told(new RegExp(`^worker ${age} .* ended`), from);
    const queued = await RawClient.connect(server.port);
    queued.ask();
    assert.deepEqual(server.ready(), []);
    site.write('go', '');
    await server.until('the queued request is answered', () => /200 OK/.test(queued.text));
    queued.socket.destroy();
  });

  test('while every worker was killed at once, under a burst of new connections: none is refused', async (t) => {
    const server = await serve(t, fixture('app.mjs'), ['-w', '2']);
    const workers = await server.settled(2);
    for (const { pid } of workers) process.kill(pid, 'SIGKILL');
    for (const { age } of workers) await server.told(new RegExp(`^worker ${age} .* ended`));
    const answers = await Promise.all(Array.from({ length: 50 }, () => server.get()));
    assert.ok(answers.every(({ status }) => status === 200));
  });
});
