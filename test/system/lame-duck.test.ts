/** A lame duck: told to stop, it serves on for a while and says that it is not ready. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { eventually, fixture, type Server, serve } from './harness.ts';

const portOf = async (server: Server): Promise<number> =>
  Number(/:(\d+)$/.exec((await server.told(/^metrics at http/)).msg)![1]);

describe('--lame-duck', { concurrency: 2 }, () => {
  test('serves new connections, replaces a worker that dies, is not ready, and stops when the time is over', async (t) => {
    const server = await serve(t, fixture('app.mjs'), ['--lame-duck', '3', '--metrics', '127.0.0.1:0']);
    const port = await portOf(server);
    const ready = async (): Promise<string> => {
      const { status, text } = await server.get('/readyz', { port });
      return `${status} ${text.trim()}`;
    };
    await eventually('it is ready', async () => (await ready()).startsWith('200'));
    server.signal('SIGTERM');
    await eventually('it is not ready', async () => (await ready()) === '503 about to stop');
    assert.equal((await server.get()).status, 200);
    process.kill(server.workers()[0]!.pid, 'SIGKILL');
    await server.told(/worker 2 .* is ready/);
    assert.equal((await server.get()).json()['age'], 2);
    assert.equal((await server.exit()).code, 0);
    await server.told(/is draining/);
  });

  test('is ended by a second signal, which cuts as ever', async (t) => {
    const server = await serve(t, fixture('app.mjs'), ['--lame-duck', '300']);
    server.signal('SIGTERM');
    await server.told(/graceful shutdown/);
    server.signal('SIGINT');
    assert.equal((await server.exit()).code, 130);
  });
});
