/** Where real servers listen: names, IPv6, permissions of Unix sockets, and addresses that are in use. */
import assert from 'node:assert/strict';
import { lstatSync } from 'node:fs';
import { describe, type TestContext, test } from 'node:test';
import { bindTcpHandle } from '../../src/actors/socket-handle.ts';
import { ask, freePort, isListening } from './client.ts';
import { eventually, fixture, launch, needsProc, type Server, Site, serve } from './harness.ts';
import { isAlive } from './processes.ts';

const app = fixture('app.mjs');
/** Twenty servers that start at once on two cores take their time. */
const STARTS_MS = 120_000;

const hasIPv6 = (() => {
  try {
    bindTcpHandle('::1', 0).handle.close();
    return true;
  } catch {
    return false;
  }
})();

describe('addresses', { concurrency: 2 }, () => {
  test('a Unix socket has the mode and the group that are asked for, and its address does not tell them', async (t) => {
    const site = new Site(t);
    const path = site.path('a.sock');
    const gid = process.geteuid?.() === 0 ? 4321 : process.getgid!();
    const server = await serve(t, app, ['-b', `unix:${path}?mode=0660&group=${gid}`]);
    assert.deepEqual(server.addresses, [`unix:${path}`]);
    assert.deepEqual([lstatSync(path).mode & 0o777, lstatSync(path).gid], [0o660, gid]);
    assert.equal((await server.get('/', { socketPath: path })).status, 200);
    assert.match((await server.reload()).msg, /^reload done/);
    assert.equal(await server.stop(), 0);
    assert.throws(() => lstatSync(path), { code: 'ENOENT' });
  });

  test('other permissions for a Unix socket that is bound need a restart', async (t) => {
    const site = new Site(t);
    const config = (mode: string) =>
      site.write('kirin.config.json', JSON.stringify({ bind: `unix:a.sock?mode=${mode}` }));
    config('0600');
    const server = await serve(t, app, ['--config', site.path('kirin.config.json')], { bind: false });
    config('0666');
    server.signal('SIGHUP');
    await server.told(
      /reload failed.*a\.sock\?mode=0666 is bound already, with other permissions: the change needs a/,
    );
    assert.equal(lstatSync(site.path('a.sock')).mode & 0o777, 0o600);
    assert.equal((await server.get('/', { socketPath: site.path('a.sock') })).status, 200);
  });

  for (const [code, bind, message] of [
    [
      2,
      'unix:/tmp/a.sock?mode=rw',
      /^kirin: cannot bind "unix:.*": mode is octal, from 0 to 0777, such as 0660, not "rw"$/m,
    ],
    [2, 'unix:/tmp/a.sock?user=me', /^kirin: cannot bind "unix:.*stand mode and group, not "user"$/m],
    [1, 'unix:/tmp/kirin-test-x.sock?group=no-such-group', /there is no group "no-such-group"/],
  ] as const)
    test(`${bind} is refused in one line`, async (t) => {
      const server = launch(t, app, ['-b', bind], { plain: true });
      assert.equal((await server.exit()).code, code);
      assert.match(server.output, message);
      assert.doesNotMatch(server.output, /\n +at /);
    });

  test('[::] takes IPv4 too, unless --ipv6-only', {
    skip: !hasIPv6 && 'there is no IPv6 here',
  }, async (t) => {
    const dual = await serve(t, app, ['-b', '[::]:0']);
    assert.equal((await dual.get()).status, 200);
    const only = await serve(t, app, ['-b', '[::]:0', '--ipv6-only']);
    assert.equal(await isListening(only.port), false);
    assert.equal((await ask(only.port, '/', { host: '::1' })).status, 200);
  });

  test('localhost is every address that it has', async (t) => {
    const server = await serve(t, app, ['-b', 'localhost:0']);
    assert.ok(server.addresses.every((address) => /^(127\.0\.0\.1|\[::1\]):\d+$/.test(address)));
    assert.equal((await server.get()).status, 200);
  });
});

describe('twenty that start at once', () => {
  async function started(t: TestContext, bind: string): Promise<Server> {
    const all = Array.from({ length: 20 }, () => launch(t, app, ['-b', bind]));
    await eventually('nineteen have ended', () => all.filter(({ exited }) => exited).length >= 19, STARTS_MS);
    const losers = all.filter(({ exited }) => exited);
    assert.equal(losers.length, 19, 'one stays');
    for (const loser of losers) {
      assert.equal((await loser.exit()).code, 1, loser.tail());
      const fatal = loser.lines.filter(({ level }) => level === 'fatal');
      assert.equal(fatal.length, 1, loser.tail());
      assert.match(
        fatal[0]!.msg,
        /is in use by (process \d+ \(.+\)|another process): choose another --bind, or stop it$/,
      );
    }
    const winner = all.find(({ exited }) => !exited)!;
    await winner.told(/^serving /, 0, STARTS_MS);
    return winner;
  }

  test('on one port have one winner, and the others say why they end', async (t) => {
    const winner = await started(t, `127.0.0.1:${await freePort()}`);
    assert.equal((await winner.get()).status, 200);
  });

  test('on one Unix socket have one winner, and the others say why they end', async (t) => {
    const path = new Site(t).path('a.sock');
    const winner = await started(t, `unix:${path}`);
    assert.equal((await winner.get('/', { socketPath: path })).status, 200);
  });
});

describe('an address in use', { skip: needsProc, concurrency: 2 }, () => {
  test('is told with the process that has it and its command', async (t) => {
    const first = await serve(t, app);
    const second = launch(t, app, ['-b', `127.0.0.1:${first.port}`]);
    const holder = new RegExp(`in use by process ${first.pid} \\(kirin: master \\[.*\\)`);
    assert.match((await second.told(/trying again in 1 s \(1\/5\)/)).msg, holder);
    assert.equal((await second.exit()).code, 1);
    assert.match(second.lines.find(({ level }) => level === 'fatal')!.msg, holder);
  });

  for (const kind of ['port', 'Unix socket'] as const)
    test(`by a worker whose arbiter has died is told as such, and taken when it is gone: ${kind}`, async (t) => {
      const path = new Site(t).path('a.sock');
      const bind = kind === 'port' ? `127.0.0.1:${await freePort()}` : `unix:${path}`;
      const where = kind === 'port' ? {} : { socketPath: path };
      const first = await serve(t, app, ['-b', bind, '--graceful-timeout', '600', '--timeout', '0']);
      const { pid } = (await first.settled(1))[0]!;
      // It can neither see that the arbiter is gone nor leave, and the guardian gives it the grace.
      first.get('/spin', where).catch(() => {});
      await first.printed(new RegExp(`spinning ${pid}`));
      t.after(() => isAlive(pid) && process.kill(pid, 'SIGKILL'));
      first.signal('SIGKILL');
      await first.exit();
      const second = launch(t, app, ['-b', bind]);
      const told = await second.told(/trying again in 1 s \(1\/5\)/);
      assert.match(
        told.msg,
        new RegExp(`in use by process ${pid} \\(kirin: worker 1 .*\\), a worker whose arbiter has died`),
      );
      process.kill(pid, 'SIGKILL');
      await second.told(/^serving /);
      assert.equal((await second.get('/', where)).status, 200);
    });
});
