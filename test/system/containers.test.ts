/** A server in a container's surroundings: as process 1, and with nothing that it can write, as any user. Linux, as root. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { test } from 'node:test';
import { command, eventually, Site, serve } from './harness.ts';
import { childrenOf } from './processes.ts';

const NAMESPACE = ['unshare', '--pid', '--mount', '--fork', '--mount-proc'];
const [unshare = '', ...rest] = NAMESPACE;
/** A reason to skip what needs namespaces, or false. */
const skip =
  process.platform === 'linux' && spawnSync(unshare, [...rest, 'true']).status === 0
    ? false
    : 'no namespaces can be made here';

/** Starts somebody who loses their parent, and ends. */
const LEAVES_ORPHANS = `
import { spawnSync } from 'node:child_process';
spawnSync('sh', ['-c', 'true & exit 0'], { stdio: 'ignore' });
export default (request, response) => response.end(String(process.getuid()));
`;

test('as process 1: one warning, orphans that nobody reaps are counted, and signals do what they do', {
  skip,
}, async (t) => {
  const site = new Site(t);
  const app = site.write('app.mjs', LEAVES_ORPHANS);
  const socket = site.path('ctl');
  const server = await serve(t, app, ['-w', '2', '--control-socket', socket], {
    through: NAMESPACE,
    control: true,
  });
  await server.settled(2);
  assert.equal(server.all(/^this is process 1: /).length, 1);
  assert.equal(server.lines[0]?.pid, 1);
  assert.equal((await server.get()).status, 200);
  const zombies = (): number => {
    const told = spawnSync(process.execPath, [command('kirinc'), '-s', socket, '--json', '-c', 'show stats']);
    return (JSON.parse(String(told.stdout)) as { zombies: number }).zombies;
  };
  await eventually('both orphans are counted', () => zombies() === 2);
  const [pid = 0] = childrenOf(server.pid);
  process.kill(pid, 'SIGUSR2');
  await server.told(/^upgrade refused: this is process 1, with which its container ends/);
  process.kill(pid, 'SIGTERM');
  assert.equal((await server.exit()).code, 0);
});

/** What a container has: a root that cannot be written, a user that nobody knows. Node.js and Kirin lie where they can read them. */
const READ_ONLY = `
set -e
mount --make-rprivate /
mount --bind "$KIRIN_TEST_ROOT" "$KIRIN_TEST_SITE/kirin"
mount --bind "$0" "$KIRIN_TEST_SITE/node"
mount -o remount,bind,ro /
for place in /tmp /var/tmp /dev/shm /run; do
  if mountpoint -q "$place"; then mount -o remount,bind,ro "$place"; fi
done
shift
exec setpriv --reuid 54321 --regid 54321 --clear-groups "$KIRIN_TEST_SITE/node" "$KIRIN_TEST_SITE/kirin/$KIRIN_TEST_ENTRY" "$@"
`;

test('with a root that cannot be written, as a user without a name', { skip }, async (t) => {
  const site = new Site(t);
  chmodSync(site.directory, 0o755);
  mkdirSync(site.path('kirin'));
  site.write('node', '');
  site.write('app.mjs', LEAVES_ORPHANS);
  const dist = dirname(command('kirin'));
  const server = await serve(t, site.path('app.mjs'), ['-w', '2', '--access-logfile', '-'], {
    through: [...NAMESPACE, 'sh', '-c', READ_ONLY],
    cwd: site.directory,
    control: true,
    env: {
      KIRIN_TEST_ROOT: dirname(dist),
      KIRIN_TEST_SITE: site.directory,
      KIRIN_TEST_ENTRY: `${basename(dist)}/kirin.js`,
    },
  });
  await server.settled(2);
  await server.told(/control.*(EROFS|read-only|EACCES|denied)/i);
  assert.equal((await server.get()).text, '54321');
  const [pid = 0] = childrenOf(server.pid);
  process.kill(pid, 'SIGHUP');
  await server.told(/^reload done/);
  process.kill(pid, 'SIGTERM');
  assert.equal((await server.exit()).code, 0);
});
