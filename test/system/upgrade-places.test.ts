/** Upgrades in the places where servers live, and what else changes over: a service manager, a daemon, metrics, dirty workers, hooks. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { describe, test } from 'node:test';
import { bindUnixHandle } from '../../src/actors/socket-handle.ts';
import { ask } from './client.ts';
import { environment } from './dirty-server.ts';
import { command, eventually, needsProc, Site } from './harness.ts';
import { startLoad } from './load.ts';
import { Manager } from './notified.ts';
import { childrenOf, groupMembers } from './processes.ts';
import { readIfThere, Upgraded } from './upgraded.ts';

describe('upgrades', { concurrency: 2 }, () => {
  test('of a service: its sockets are inherited, and the new arbiter is its main process once the old one leaves', {
    skip: needsProc,
  }, async (t) => {
    const place = new Site(t);
    const handle = bindUnixHandle(place.path('given.sock'));
    t.after(() => handle.close());
    const manager = await Manager.listen(t, place.path('notify'));
    const one = await Upgraded.serve(t, ['-w', '1'], {
      bind: false,
      env: { LISTEN_FDS: '1', NOTIFY_SOCKET: place.path('notify'), WATCHDOG_USEC: '400000' },
      strays: { 3: handle.fd },
      through: ['sh', '-c', 'LISTEN_PID=$$ WATCHDOG_PID=$$ exec "$0" "$@"'],
    });
    await manager.heard('READY=1');
    for (let round = 1; round <= 2; round++) {
      const successor = await one.upgrade();
      assert.ok(!manager.said.includes(`MAINPID=${successor}`));
      await one.complete();
      await manager.heard(`MAINPID=${successor}`);
      await manager.heard('READY=1', 1 + round);
      const answer = await ask(0, '/', { socketPath: place.path('given.sock') });
      assert.equal(answer.status, 200);
    }
    assert.ok(!manager.said.includes('STOPPING=1'));
    const signs = manager.messages.length;
    await eventually('the new arbiter gives signs of life', () => manager.messages.length > signs);
    await one.stop();
    await manager.heard('STOPPING=1');
    assert.ok(existsSync(place.path('given.sock')));
  });

  test('of a daemon: whoever started it is told nothing any more, and it stays one', {
    skip: needsProc,
  }, async (t) => {
    const site = new Site(t);
    site.deploy('one');
    const args = [
      '--daemon',
      '-b',
      'unix:app.sock',
      '--pid',
      'kirin.pid',
      '--error-logfile',
      'log',
      'app.mjs',
    ];
    const { status, stderr } = spawnSync(process.execPath, [command('kirin'), ...args], {
      cwd: site.directory,
      env: { ...process.env, KIRIN_NO_CONTROL_SOCKET: 'true' },
    });
    assert.equal(status, 0, String(stderr));
    const first = Number(site.read('kirin.pid'));
    t.after(() => {
      for (const pid of groupMembers(first)) process.kill(pid, 'SIGKILL');
    });
    process.kill(first, 'SIGUSR2');
    await eventually('the new arbiter serves', () => /new arbiter \(pid \d+\) serves/.test(site.read('log')));
    process.kill(first, 'SIGTERM');
    await eventually(
      'it has taken the place',
      () => !['', String(first)].includes(readIfThere(site.path('kirin.pid')).trim()),
    );
    const answer = await ask(0, '/', { socketPath: site.path('app.sock') });
    assert.equal(answer.status, 200);
    process.kill(Number(site.read('kirin.pid')), 'SIGTERM');
    await eventually('nobody is left', () => groupMembers(first).length === 0);
  });

  test('metrics and health are the new arbiter’s once it serves, and the old one’s again when it has gone', async (t) => {
    for (const where of ['127.0.0.1:0', 'unix:metrics.sock']) {
      const one = await Upgraded.serve(t, ['-w', '1', '--metrics', where]);
      const { server, site } = one;
      const [{ msg }] = [await server.told(/^metrics at /)];
      const asking = where.startsWith('unix')
        ? { socketPath: site.path('metrics.sock') }
        : { port: Number(/:(\d+)$/.exec(msg)?.[1]) };
      // Of its own choice is another port for each: what is asked here is only that each has one.
      const from = server.mark();
      const successor = await one.upgrade();
      await server.told(/^metrics at /, from);
      if (where.startsWith('unix')) assert.equal((await server.get('/readyz', asking)).status, 200);
      const back = server.mark();
      process.kill(successor, 'SIGTERM');
      await server.told(/^the new arbiter .* has ended/, back);
      await server.told(/^metrics at /, back);
      if (where.startsWith('unix')) assert.equal((await server.get('/readyz', asking)).status, 200);
      await one.stop();
    }
  });

  test('dirty workers are each arbiter’s own, no call fails, and the stash is inherited', async (t) => {
    const one = await Upgraded.serve(
      t,
      ['-w', '1', '--dirty-app', './work.mjs:Work', '--dirty-workers', '1'],
      {
        env: environment,
        setUp(site) {
          site.write(
            'work.mjs',
            `import { DirtyApp } from ${JSON.stringify(environment.TEST_KIRIN)};\nexport class Work extends DirtyApp { who() { return process.pid; } }\n`,
          );
          site.write(
            'app.mjs',
            `import { dirty, stash } from ${JSON.stringify(environment.TEST_KIRIN)};
          export default async (request, response) => {
            try {
              if (request.url === '/put') await stash.put('kept', 'key', 'value');
              const who = await dirty.execute('./work.mjs:Work', 'who');
              response.end(JSON.stringify({ version: String(who), kept: await stash.get('kept', 'key', null) }));
            } catch (error) {
              response.statusCode = 500;
              response.end(String(error));
            }
          };`,
          );
          return {};
        },
      },
    );
    const { server } = one;
    await server.told(/^dirty workers are ready/);
    const before = (await server.get('/put')).json<{ version: string; kept: string }>();
    assert.equal(before.kept, 'value');
    const load = startLoad(t, server.port);
    await one.upgrade();
    await one.complete();
    const { failures, versions } = await load.stop();
    assert.deepEqual(failures, []);
    assert.equal(Object.keys(versions).length, 2, JSON.stringify(versions));
    const after = (await server.get()).json<{ version: string; kept: string }>();
    assert.notEqual(after.version, before.version);
    assert.equal(after.kept, 'value');
    await one.stop();
  });

  test('the hook before it is called, and one that throws gives it up', async (t) => {
    const one = await Upgraded.serve(t, ['-c', 'kirin.config.mjs'], {
      setUp(site) {
        site.write(
          'kirin.config.mjs',
          `import { existsSync, appendFileSync } from 'node:fs';
          export default { preUpgrade({ pid }) {
            appendFileSync('told', \`\${pid}\\n\`);
            if (existsSync('closed')) throw new Error('not today');
          } };`,
        );
        site.write('closed', '');
        return {};
      },
    });
    const { site, pid } = one;
    await assert.rejects(one.upgrade(), /upgrade failed: .*not today/);
    assert.deepEqual(childrenOf(pid).length, 2);
    site.remove('closed');
    await one.upgrade();
    assert.equal(site.read('told'), `${pid}\n${pid}\n`);
    await one.complete();
    await one.stop();
  });
});
