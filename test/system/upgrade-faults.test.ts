/** What can go wrong around an upgrade, and what must not be carried over. */
import assert from 'node:assert/strict';
import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';
import { UNIX_PATH_BYTES_MAX } from '../../src/actors/address.ts';
import { command, eventually, needsProc } from './harness.ts';
import { groupMembers } from './processes.ts';
import { Upgraded } from './upgraded.ts';

/** The soft limit alone. */
const limitDescriptors = (pid: number, limit: number): void =>
  void execFileSync('prlimit', ['--pid', String(pid), `--nofile=${limit}:`]);

describe('upgrades', { concurrency: 2 }, () => {
  test('the umask of a new arbiter is that of the start, not that of settings which are no more', async (t) => {
    const app = 'export default (_request, response) => response.end(String(process.umask()));';
    const one = await Upgraded.serve(t, ['-c', 'kirin.config.json', '-w', '1'], {
      setUp(site) {
        site.write('app.mjs', app);
        site.write('kirin.config.json', '{"umask":"077"}');
        return { through: ['sh', '-c', 'umask 027; exec "$0" "$@"'] };
      },
    });
    const { server, site } = one;
    const umask = async (): Promise<number> => Number((await server.get()).text);
    assert.equal(await umask(), 0o077);
    site.write('kirin.config.json', '{}');
    await one.upgrade();
    await one.complete();
    assert.equal(await umask(), 0o027);
    await one.stop();
  });

  test('without a file descriptor left an upgrade fails with that reason, and later it is possible', {
    skip: needsProc,
  }, async (t) => {
    const one = await Upgraded.serve(t, ['-w', '1']);
    const { pid } = one;
    const held = readdirSync(`/proc/${pid}/fd`).length;
    limitDescriptors(pid, held);
    await assert.rejects(one.upgrade(), /upgrade failed: .*no file descriptor is left \(see ulimit -n\)/);
    limitDescriptors(pid, 1024);
    await one.upgrade();
    await one.complete();
    await one.stop();
  });

  test('a control socket whose path is nearly too long is the new arbiter’s in the end', async (t) => {
    let path = '';
    const one = await Upgraded.serve(t, ['-w', '1'], {
      control: true,
      setUp(site) {
        path = site.path('c'.repeat(UNIX_PATH_BYTES_MAX - 1 - site.path('c').length + 1));
        return { env: { KIRIN_CONTROL_SOCKET: path } };
      },
    });
    assert.equal(path.length, UNIX_PATH_BYTES_MAX - 1);
    await one.server.told(/^control socket at /);
    const from = one.server.mark();
    const successor = await one.upgrade();
    assert.ok(existsSync(`${path.slice(0, -1)}.2`), one.server.tail());
    await one.complete();
    await eventually('the new arbiter has the control socket', () =>
      one.server.all(/^control socket at /, from).some(({ msg }) => msg === `control socket at ${path}`),
    );
    const { stdout } = await promisify(execFile)(process.execPath, [
      command('kirinc'),
      '-s',
      path,
      '-c',
      'show stats',
    ]);
    assert.match(stdout, new RegExp(`\\b${successor}\\b`));
    await one.stop();
  });

  test('with more sockets than can be told of in a variable it fails, and says what to do', {
    skip: process.platform === 'linux' ? false : 'the limit is that of Linux',
  }, async (t) => {
    const one = await Upgraded.serve(t, ['-w', '1', '-c', 'kirin.config.json'], {
      bind: false,
      setUp(site) {
        const bind = Array.from({ length: 350 }, (_, at) => `unix:${at}${'s'.repeat(80)}`);
        site.write('kirin.config.json', JSON.stringify({ bind }));
        return {};
      },
    });
    await assert.rejects(
      one.upgrade(),
      /could not be started: the names of its sockets are too long together: bind fewer addresses/,
    );
    await one.stop();
  });

  test('a new arbiter that is killed leaves no pid file behind once the old one knows', async (t) => {
    const one = await Upgraded.serve(t, ['-w', '1']);
    const successor = await one.upgrade();
    const from = one.server.mark();
    process.kill(successor, 'SIGKILL');
    await one.server.told(/^the new arbiter .* has ended/, from);
    assert.ok(!existsSync(one.site.path('kirin.pid.2')));
    await one.stop();
  });

  test('an old arbiter that is told to end while the new one starts: that one takes its place, and the log says so', async (t) => {
    const one = await Upgraded.serve(t, ['-w', '1']);
    const { server, site } = one;
    site.write(
      'app.mjs',
      `import { existsSync } from 'node:fs';
      while (!existsSync('go')) await new Promise((resolve) => setTimeout(resolve, 10));
      export default (_request, response) => response.end('new');`,
    );
    const from = server.mark();
    process.kill(one.pid, 'SIGUSR2');
    await server.told(/^worker 1 .* started/, from);
    const successor = Number(site.read('kirin.pid.2'));
    process.kill(one.pid, 'SIGTERM');
    await server.told(/^upgrade refused: .*a new arbiter whose process has started already goes on/, from);
    await one.taken(successor);
    const answer = server.get();
    site.write('go', '');
    assert.equal((await answer).text, 'new');
    await one.stop();
  });

  test('a lame duck is none where a new arbiter serves', async (t) => {
    const one = await Upgraded.serve(t, ['-w', '1', '--lame-duck', '300']);
    await one.upgrade();
    await one.complete();
    const { pid, server } = one;
    const from = server.mark();
    process.kill(pid, 'SIGTERM');
    await server.told(/graceful shutdown/, from);
    process.kill(pid, 'SIGINT');
    await eventually(`nobody is left\n${server.tail()}`, () => groupMembers(server.pid).length === 0);
  });

  test('the variable of an upgrade that somebody has set by hand is a mistake, no bug', async () => {
    const told = { protocol: 1, pid: 1, mark: '-', listeners: [], controls: [] };
    const { status, stderr } = spawnSync(process.execPath, [command('kirin'), 'app.mjs'], {
      env: { ...process.env, KIRIN_UPGRADE: JSON.stringify(told) },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    assert.equal(status, 2);
    assert.match(
      String(stderr),
      /^kirin: KIRIN_UPGRADE is not what this version of Kirin inherits: [^\n]*\n$/,
    );
  });
});
