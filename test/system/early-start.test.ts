/** Workers that are started before the settings are known: they are those that serve, or nothing is left of them. */
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { eventually, launch, Site, serve } from './harness.ts';
import { childrenOf, isAlive } from './processes.ts';

/** An app, and a note of each worker's process that is started. */
function observed(t: TestContext) {
  const site = new Site(t);
  const note = site.write(
    'note.cjs',
    `if (/worker\\.cjs$/.test(process.argv[1])) require('fs').appendFileSync(__dirname + '/notes', process.pid + '\\n');`,
  );
  site.write('notes', '');
  return {
    site,
    app: site.deploy('v1'),
    env: { NODE_OPTIONS: `--require ${note}` },
    started: () => site.read('notes').split('\n').filter(Boolean).map(Number),
  };
}

describe('an early start', { concurrency: 2 }, () => {
  for (const workers of [1, 2, 5])
    test(`of ${workers}: each worker is started once, and serves`, async (t) => {
      const { app, env, started } = observed(t);
      const server = await serve(t, app, ['-w', String(workers)], { env });
      const seen = await server.settled(workers);
      assert.deepEqual(started().sort(), seen.map(({ pid }) => pid).sort());
      assert.equal((await server.get()).json()['version'], 'v1');
    });

  test('that was premature, since a pid file is there: others serve, and it is gone', async (t) => {
    const { site, app, env, started } = observed(t);
    site.write('pid', '4194304\n');
    const server = await serve(t, app, ['-w', '2', '--pid', site.path('pid')], { env });
    const pids = (await server.settled(2)).map(({ pid }) => pid);
    assert.equal((await server.get()).json()['version'], 'v1');
    await eventually('nobody else is there', () =>
      [...started(), ...childrenOf(server.pid)].every((pid) => pids.includes(pid) || !isAlive(pid)),
    );
  });

  test('of settings that are wrong: one line, 2, and nobody is left', async (t) => {
    const { app, env, started } = observed(t);
    const server = launch(t, app, ['-w', '2', '--timeout', 'soon'], { env });
    assert.equal((await server.exit()).code, 2);
    assert.match(server.output, /^kirin: --timeout must be .*\n$/);
    await eventually('nobody is left', () => !started().some(isAlive));
  });

  for (const signal of ['SIGTERM', 'SIGINT', 'SIGUSR1'] as const)
    test(`with ${signal} as soon as there is a worker is no other than later`, async (t) => {
      const { app, env, started } = observed(t);
      const server = launch(t, app, ['-w', '2'], { env });
      await eventually('a process is started', () => childrenOf(server.pid).length > 0);
      process.kill(server.pid, signal);
      if (signal === 'SIGUSR1') {
        await server.settled(2);
        assert.equal(await server.stop(), 0);
      } else assert.deepEqual(await server.exit(), { code: 0, signal: null });
      await eventually('nobody is left', () => !started().some(isAlive));
    });

  test('where the address is in use: nothing is started', async (t) => {
    const { app, env, started } = observed(t);
    const other = createServer().listen(0, '127.0.0.1');
    t.after(() => other.close());
    await new Promise((listening) => other.once('listening', listening));
    const { port } = other.address() as { port: number };
    const server = launch(t, app, ['-w', '2', '-b', `127.0.0.1:${port}`], { env });
    await server.told(/in use, trying again/);
    assert.deepEqual(started(), []);
  });
});
