/** Workers that belong to another user than the arbiter, which only root can have. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, lstatSync, readdirSync, readFileSync, renameSync, statSync } from 'node:fs';
import { describe, type TestContext, test } from 'node:test';
import { ask } from './client.ts';
import { controlled, type Data } from './controlled.ts';
import { dirtyServer } from './dirty-server.ts';
import { command, eventually, launch, type Server, Site, serve, type WorkerSeen } from './harness.ts';
import { guardiansOf, isAlive } from './processes.ts';

const isRoot = process.getuid?.() === 0;
const needsRoot = isRoot && process.platform === 'linux' ? false : 'only root can give processes to others';

const id = (...args: string[]): number[] =>
  execFileSync('id', args, { encoding: 'utf8' }).trim().split(/\s+/).map(Number);
const NOBODY = isRoot ? { uid: id('-u', 'nobody')[0]!, gid: id('-g', 'nobody')[0]! } : { uid: 0, gid: 0 };

/** Another user can enter it. */
function openSite(t: TestContext): Site {
  const site = new Site(t);
  chmodSync(site.directory, 0o755);
  return site;
}

/** An app that tells who it is. */
const WHO = `
  const { getuid, getgid, getgroups, umask } = process;
  const { NODE_OPTIONS = null, KIRIN_JOIN_GROUPS = null } = process.env;
  export const who = { uid: getuid(), gid: getgid(), groups: getgroups(), mask: umask(), NODE_OPTIONS, KIRIN_JOIN_GROUPS };
  export default (request, response) => {
    if (request.url === '/hang') {
      process.stdout.write('hanging\\n');
      for (;;);
    }
    response.end(JSON.stringify(who));
  };
`;

/** Real, effective, saved and of the file system, as the kernel has them. */
function idsOf(pid: number): { uids: number[]; gids: number[]; groups: number[] } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const numbers = (name: string): number[] =>
    (new RegExp(`^${name}:[ \\t]*(.*)$`, 'm').exec(status)?.[1] ?? '')
      .split(/\s+/)
      .filter(Boolean)
      .map(Number);
  return { uids: numbers('Uid'), gids: numbers('Gid'), groups: numbers('Groups') };
}

const four = (value: number): number[] => [value, value, value, value];
/** Of all its threads. */
function isNobodys(pid: number, groups: number[] = []): void {
  for (const thread of readdirSync(`/proc/${pid}/task`))
    assert.deepEqual(idsOf(Number(thread)), {
      uids: four(NOBODY.uid),
      gids: four(NOBODY.gid),
      groups,
    });
}

const whoIn = async (server: Server) => (await server.get()).json();

describe('--user', { skip: needsRoot, concurrency: 2 }, () => {
  test("workers are the user's, with no group but the one, and stay so after a reload; the arbiter stays root", async (t) => {
    const app = openSite(t).write('app.mjs', WHO);
    const server = await serve(t, app, ['--user', 'nobody', '-w', '2', '--umask', '027']);
    for (const { pid } of await server.settled(2)) isNobodys(pid);
    assert.deepEqual(idsOf(server.pid).uids, four(0));
    const { uid, gid, mask } = await whoIn(server);
    assert.deepEqual({ uid, gid, mask }, { ...NOBODY, mask: 0o027 });
    assert.match((await server.reload()).msg, /^reload done/);
    for (const { pid } of await server.settled(2, 2)) isNobodys(pid);
  });

  test('with --initgroups they have every group of the user before anything of it is loaded, and nothing of that shows', async (t) => {
    const site = openSite(t);
    const app = site.write('app.mjs', WHO);
    const early = site.write('early dir/early.cjs', 'process._early = process.getuid();');
    site.write(
      'shown.mjs',
      `import app, { who } from './app.mjs'; who.early = process._early; export default app;`,
    );
    const options = `--require "${early}"`;
    const server = await serve(t, app.replace('app.mjs', 'shown.mjs'), ['-u', 'nobody', '--initgroups'], {
      env: { NODE_OPTIONS: options },
    });
    const [{ pid }] = (await server.settled(1)) as [WorkerSeen];
    isNobodys(pid, id('-G', 'nobody'));
    const { early: earlyUid, NODE_OPTIONS, KIRIN_JOIN_GROUPS } = await whoIn(server);
    assert.deepEqual([earlyUid, NODE_OPTIONS, KIRIN_JOIN_GROUPS], [NOBODY.uid, options, null]);
  });

  test('a user without an entry is served by number, and --group alone leaves the user', async (t) => {
    const app = openSite(t).write('app.mjs', WHO);
    const numbered = await serve(t, app, ['--user', '54321', '--group', '54322']);
    const [{ pid }] = (await numbered.settled(1)) as [WorkerSeen];
    assert.deepEqual(idsOf(pid), { uids: four(54321), gids: four(54322), groups: [] });
    const grouped = await serve(t, app, ['--group', '54322']);
    const [{ pid: other }] = (await grouped.settled(1)) as [WorkerSeen];
    assert.deepEqual(idsOf(other), { uids: four(0), gids: four(54322), groups: [] });
  });

  test("a Unix socket is the user's, the group of its address counting more; the control socket and the pid file stay root's", async (t) => {
    const site = openSite(t);
    const [one, two] = [site.path('one.sock'), site.path('two.sock')];
    const args = [
      '-b',
      `unix:${one}`,
      '-b',
      `unix:${two}?mode=0660&group=54322`,
      '--user',
      'nobody',
      '--pid',
      site.path('pid'),
    ];
    const { server, site: own } = await controlled(t, args, { app: site.write('app.mjs', WHO) });
    assert.equal((await ask(0, '/', { socketPath: one })).status, 200);
    const ownerOf = (path: string): number[] => [lstatSync(path).uid, lstatSync(path).gid];
    assert.deepEqual(ownerOf(one), [NOBODY.uid, NOBODY.gid]);
    assert.deepEqual(ownerOf(two), [NOBODY.uid, 54322]);
    assert.equal(lstatSync(two).mode & 0o777, 0o660);
    for (const path of [site.path('pid'), own.path('kirin.ctl')]) assert.deepEqual(ownerOf(path), [0, 0]);
    assert.equal(await server.stop(), 0);
    assert.equal(statSync(one, { throwIfNoEntry: false }), undefined);
  });

  test("the access log is made for the user in a directory of root's, also after it was renamed", async (t) => {
    const site = openSite(t);
    const log = site.write('access.log', '');
    const server = await serve(t, site.write('app.mjs', WHO), ['--user', 'nobody', '--access-logfile', log]);
    assert.equal(lstatSync(log).uid, NOBODY.uid);
    await server.get('/first');
    await eventually('the first line is written', () => /first/.test(site.read('access.log')));
    renameSync(log, site.path('access.log.1'));
    server.signal('SIGUSR1');
    await eventually(
      'there is a new file',
      () => statSync(log, { throwIfNoEntry: false })?.uid === NOBODY.uid,
    );
    await eventually('the next line is in it', async () => {
      await server.get('/second');
      return /second/.test(site.read('access.log'));
    });
  });

  test('a worker that hangs, and says where, is killed by root', async (t) => {
    const app = openSite(t).write('app.mjs', WHO);
    const server = await serve(t, app, ['--user', 'nobody', '--timeout', '1', '--hang-stack']);
    const [{ pid }] = (await server.settled(1)) as [WorkerSeen];
    server.get('/hang').catch(() => {});
    await server.told(/silent|hang/i);
    await server.until('it is replaced', () => server.ready().some((one) => one.pid !== pid));
  });

  test('a worker that hangs does not outlive an arbiter that was killed', async (t) => {
    const app = openSite(t).write('app.mjs', WHO);
    const server = await serve(t, app, ['--user', 'nobody', '--graceful-timeout', '1']);
    const [{ pid }] = (await server.settled(1)) as [WorkerSeen];
    server.get('/hang').catch(() => {});
    await server.printed(/hanging/);
    // It is started after the workers.
    await eventually('there is a guardian', () => guardiansOf(server.pid).length === 1);
    server.signal('SIGKILL');
    await eventually('the worker is gone', () => !isAlive(pid));
  });
});

describe('without root', { skip: needsRoot, concurrency: 2 }, () => {
  const asNobody = (t: TestContext, args: readonly string[]) => {
    const site = openSite(t);
    const app = site.write('app.mjs', WHO);
    return spawnSync(
      process.execPath,
      [command('kirin'), '--no-control-socket', '--check-config', ...args, app],
      { uid: NOBODY.uid, gid: NOBODY.gid, encoding: 'utf8', cwd: site.directory, timeout: 30_000 },
    );
  };

  test('another user, or another group, is one line and 2', (t) => {
    for (const [args, line] of [
      [
        ['--user', 'root'],
        `kirin: --user root: only root can run workers as another user, and this is user ${NOBODY.uid}\n`,
      ],
      [
        ['--group', 'root'],
        `kirin: --group root: only root can run workers as another group, and this is group ${NOBODY.gid}\n`,
      ],
    ] as const) {
      const { status, stderr } = asNobody(t, args);
      assert.deepEqual({ status, stderr }, { status: 2, stderr: line });
    }
  });

  test("one's own name is no mistake", (t) => {
    const { status, stderr } = asNobody(t, ['--user', 'nobody', '--initgroups']);
    assert.equal(status, 0, stderr);
  });
});

describe('--user with dirty workers', { skip: needsRoot }, () => {
  for (const more of [[], ['--initgroups']])
    test(`the dirty arbiter and its workers are the user's, calls of every size and the stash work ${more.join('')}`, async (t) => {
      const site = openSite(t);
      const app = site.write(
        'work.mjs',
        `const { DirtyApp } = await import(process.env.TEST_KIRIN);
        export class Work extends DirtyApp {
          who() { return [process.getuid(), process.getgid()]; }
          length(bytes) { return bytes.length; }
        }`,
      );
      const { inWeb, server, shown } = await dirtyServer(t, [
        '--chdir',
        site.directory,
        '--dirty-app',
        `${app}:Work`,
        '--user',
        'nobody',
        ...more,
      ]);
      const found = await inWeb(async ({ dirty, stash }, name) => {
        await stash.put('table', 'key', 'kept');
        return [
          await dirty.execute(name, 'who'),
          await dirty.execute(name, 'length', Buffer.alloc(3_000_000)),
          await stash.get('table', 'key'),
        ];
      }, `${app}:Work`);
      assert.deepEqual(found, [[NOBODY.uid, NOBODY.gid], 3_000_000, 'kept']);
      const groups = more.length > 0 ? id('-G', 'nobody') : [];
      const dirtyAreNobodys = async (): Promise<void> => {
        const { pid: arbiter, workers } = await shown('all dirty workers are ready', ({ workers: all }) =>
          all.every(({ state }: Data) => state === 'ready'),
        );
        for (const pid of [arbiter, ...workers.map((one: Data) => one.pid)]) isNobodys(pid, groups);
      };
      await dirtyAreNobodys();
      assert.match((await server.reload()).msg, /^reload done/);
      await dirtyAreNobodys();
    });
});

describe('what cannot be', { concurrency: 2 }, () => {
  const rows: [args: string[], line: RegExp][] = [
    [['--user', 'no-such-user'], /--user no-such-user: there is no such user$/m],
    [['--group', 'no-such-group'], /--group no-such-group: there is no such group$/m],
    [['--user', '54321'], /--user 54321 has no entry that tells its group: add --group$/m],
    [['--initgroups'], /--initgroups without a user whose groups are meant: add --user$/m],
  ];
  for (const [args, line] of rows)
    test(`${args.join(' ')} is one line, and 2`, async (t) => {
      const server = launch(t, 'app.mjs', args);
      assert.equal((await server.exit()).code, 2);
      assert.match(server.output, line);
    });
});
