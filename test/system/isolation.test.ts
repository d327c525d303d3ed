/** What does not pass from the server to its workers, from a worker to what it starts, or back over the link. */
import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { dirtyApp, Tree } from './dirty-tree.ts';
import { descriptors, eventually, fixture, linkOf, needsProc, Site, serve } from './harness.ts';
import { childrenOf, groupMembers, guardiansOf } from './processes.ts';

const socketsOf = (pid: number): string[] =>
  descriptors(pid)
    .map((fd) => linkOf(pid, fd))
    .filter((target) => target.startsWith('socket:'));

describe('a worker', { concurrency: 3 }, () => {
  test('does not inherit what belongs to the server alone, and finds its own place', async (t) => {
    const notInherited = {
      LISTEN_FDS: '0',
      LISTEN_PID: '1',
      LISTEN_FDNAMES: 'web',
      NOTIFY_SOCKET: '/run/nowhere',
      WATCHDOG_USEC: '1000000',
      WATCHDOG_PID: '1',
      KIRIN_CMD_ARGS: '--workers 1',
    };
    const server = await serve(t, fixture('app.mjs'), ['-w', '2'], { env: { ...notInherited, KEPT: 'yes' } });
    await server.settled(2);
    const env = (await server.get('/environment')).json<Record<string, string>>();
    for (const name of Object.keys(notInherited)) assert.equal(env[name], undefined, name);
    assert.equal(env['NODE_CHANNEL_FD'], undefined);
    assert.equal(env['KEPT'], 'yes');
    assert.match(env['KIRIN_WORKER_AGE'] ?? '', /^[12]$/);
    assert.match(env['KIRIN_WORKER_SLOT'] ?? '', /^[01]$/);
    assert.equal(env['NODE_APP_INSTANCE'], env['KIRIN_WORKER_SLOT']);
  });

  test('passes no socket on to what it starts: a child does not hold the port', {
    skip: needsProc,
  }, async (t) => {
    const server = await serve(t, fixture('starts-children.mjs'));
    const [, pid] = await server.printed(/child (\d+)/);
    const child = Number(pid);
    assert.ok(groupMembers(server.pid).includes(child));
    const worker = server.workers()[0]!.pid;
    const ours = new Set([...socketsOf(server.pid), ...socketsOf(worker)]);
    assert.ok(ours.size > 0);
    assert.deepEqual(
      socketsOf(child).filter((socket) => ours.has(socket)),
      [],
    );
    process.kill(child, 'SIGKILL');
  });

  test('has only the descriptors it needs: none of another worker', { skip: needsProc }, async (t) => {
    const server = await serve(t, fixture('app.mjs'), ['-w', '3']);
    const workers = await server.settled(3);
    const shared = new Map<string, number>();
    for (const { pid } of workers)
      for (const socket of new Set(socketsOf(pid))) shared.set(socket, (shared.get(socket) ?? 0) + 1);
    // The listening socket is everyone's, and so is the output; a link is its worker's alone.
    for (const fd of ['1', '2']) shared.delete(linkOf(workers[0]!.pid, fd));
    assert.deepEqual(
      [...shared.values()].filter((count) => count > 1),
      [3],
    );
  });

  test('gets the log, standard output and standard error, but no standard input', {
    skip: needsProc,
  }, async (t) => {
    const server = await serve(t, fixture('app.mjs'));
    assert.equal(linkOf(server.workers()[0]!.pid, '0'), '/dev/null');
  });
});

/** What belongs to the server alone. */
const OWN = {
  LISTEN_FDS: '0',
  LISTEN_PID: '1',
  LISTEN_PIDFDID: '1',
  LISTEN_FDNAMES: 'web',
  NOTIFY_SOCKET: '/run/nowhere',
  WATCHDOG_USEC: '1000000',
  WATCHDOG_PID: '1',
  NODE_CHANNEL_SERIALIZATION_MODE: 'json',
  KIRIN_CMD_ARGS: '--workers 1',
};

describe('no process of a server', { concurrency: 2, skip: needsProc }, () => {
  test('inherits what belongs to the server alone, nor a descriptor that is not its own', async (t) => {
    const site = new Site(t);
    const lock = openSync(site.write('lock', ''), 'r');
    t.after(() => closeSync(lock));
    const tree = await Tree.serve(
      t,
      [
        ...['-w', '2', '--dirty-workers', '1', '--dirty-app', dirtyApp('Model')],
        ...['--env', 'LISTEN_FDS=3', '--env', 'NOTIFY_SOCKET=/run/elsewhere'],
      ],
      {
        files: {
          'kirin.config.mjs': `import { writeFileSync } from 'node:fs';
            writeFileSync('config', JSON.stringify(process.env));
            export default { on_dirty_starting() {} };`,
        },
        env: { ...OWN, KEPT: 'yes', NODE_OPTIONS: '--no-deprecation' },
        // The second is beyond those that Node.js closes by itself.
        strays: { 9: lock, 200: lock },
      },
    );
    const { server } = tree;
    const { pid: arbiter, workers } = await tree.settled(1);
    await server.settled(2);
    const kept = childrenOf(arbiter).filter((pid) => pid !== workers[0].pid);
    assert.equal(kept.length, 1, 'the process that is kept for hooks');
    const guardians = [...guardiansOf(server.pid), ...guardiansOf(arbiter)];
    assert.equal(guardians.length, 2);
    // Who tells the service manager lives for a moment, and has to know its socket.
    const everybody = await server.until('there are seven, those who only notify aside', () => {
      const all = [...childrenOf(server.pid), ...childrenOf(arbiter), ...guardians];
      return all.length === 7 ? all : undefined;
    });
    assert.ok(descriptors(server.pid).some((fd) => linkOf(server.pid, fd) === site.path('lock')));
    for (const pid of everybody) {
      const variables = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
      for (const name of ['NODE_CHANNEL_FD', ...Object.keys(OWN)])
        assert.ok(!variables.some((pair) => pair.startsWith(`${name}=`)), `${name} of ${pid}`);
      assert.equal(variables.includes('KEPT=yes'), !guardians.includes(pid));
      const held = descriptors(pid).map((fd) => linkOf(pid, fd));
      assert.ok(!held.includes(site.path('lock')), `the lock is held by ${pid}`);
    }
    const inConfig = JSON.parse(tree.site.read('config')) as Record<string, string>;
    for (const name of Object.keys(OWN)) assert.equal(inConfig[name], undefined, name);
    // A socket is one process's link, or what all of a kind share: none leads from a web worker to the dirty tree's links.
    const links = everybody.map((pid) => linkOf(pid, '3')).filter((target) => target.startsWith('socket:'));
    assert.equal(new Set(links).size, links.length, 'each has a link of its own');
    for (const pid of everybody)
      for (const link of links)
        assert.ok(linkOf(pid, '3') === link || !socketsOf(pid).includes(link), `${pid} holds ${link}`);
  });

  test('opens the debugger that was meant for the server', async (t) => {
    const server = await serve(t, fixture('app.mjs'), ['-w', '2'], {
      env: { NODE_OPTIONS: '--inspect=127.0.0.1:0 --no-deprecation' },
    });
    await server.settled(2);
    assert.equal(server.output.match(/Debugger listening/g)?.length, 1);
    const env = (await server.get('/environment')).json<Record<string, string>>();
    assert.equal(env['NODE_OPTIONS'], '--no-deprecation');
  });
});

describe('a worker that writes to its link', { concurrency: 3 }, () => {
  for (const [name, kind, reason] of [
    ['garbage', 'garbage', /broke the link/],
    ['a frame that is too large', 'oversized', /frame has at most/],
    ['a frame that is not msgpack', 'not-msgpack', /is not msgpack/],
  ] as const)
    test(`${name} is ended and replaced, and the server lives`, async (t) => {
      const site = new Site(t);
      const server = await serve(t, fixture('writes-to-link.mjs'), [
        '-w',
        '2',
        '--env',
        `SITE=${site.directory}`,
      ]);
      await server.settled(2);
      await server.get(`/${kind}`).catch(() => {});
      const killed = await server.told(/is killed: /);
      assert.match(killed.msg, reason);
      const workers = await server.settled(2);
      assert.ok(workers.some(({ age }) => age === 3));
      assert.equal((await server.get('/')).status, 200);
    });

  for (const [name, kind] of [
    ['a type that is not known', 'unknown'],
    ['a known type with invalid fields', 'invalid'],
    ['an order, which is not for it to give', 'order'],
    ['something that is no event', 'number'],
  ] as const)
    test(`${name} is told in the log, and goes on`, async (t) => {
      const server = await serve(t, fixture('writes-to-link.mjs'));
      assert.equal((await server.get(`/${kind}`)).status, 200);
      await server.told(/sent what is not known/);
      assert.equal((await server.get('/')).json()['age'], 1);
    });

  test('ten thousand unknown frames fills neither the log nor the server', async (t) => {
    const server = await serve(t, fixture('writes-to-link.mjs'));
    await server.get('/flood').catch(() => {});
    await server.told(/sent what is not known/);
    assert.equal((await server.get('/')).status, 200);
    server.signal('SIGTTIN');
    await server.told(/^SIGTTIN/);
    assert.ok(server.all(/sent what is not known/).length <= 5);
  });

  for (const [name, kind] of [
    ['reports', 'heartbeats'],
    ['lines for the log', 'notices'],
    ['large frames', 'large'],
  ] as const)
    test(`${name} without end is ended and replaced; the arbiter answers, and takes no more memory than it may`, {
      skip: needsProc,
    }, async (t) => {
      const server = await serve(t, fixture('writes-to-link.mjs'), ['-w', '2', '--timeout', '0']);
      await server.settled(2);
      const rss = () =>
        Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))?.[1]) / 1024;
      const before = rss();
      await server.get(`/${kind}`).catch(() => {});
      const killed = await server.told(/is killed: .*it writes more than a process has to tell/);
      const workers = await server.settled(2);
      assert.ok(workers.every(({ age }) => age !== killed.age));
      assert.equal((await server.get('/')).status, 200);
      assert.ok(server.all(/: flood$/).length <= 3000);
      assert.ok(rss() - before < 256, `${rss() - before} MiB more`);
    });

  test('nothing, and reads nothing, because it is stopped: orders to it hold up nobody, and it is killed in the end', async (t) => {
    const server = await serve(t, fixture('app.mjs'), [
      '-w',
      '2',
      '--timeout',
      '0',
      '--graceful-timeout',
      '1',
    ]);
    const [stopped] = await server.settled(2);
    process.kill(stopped!.pid, 'SIGSTOP');
    for (let n = 0; n < 20; n++) server.signal(n % 2 ? 'SIGTTOU' : 'SIGTTIN');
    assert.match((await server.reload()).msg, /^reload done/);
    await server.told(/^worker 1 .*is killed: it had not ended 1 s after it was told to drain/);
    await server.until('all are new', () => server.workers().every(({ generation }) => generation === 2));
    assert.equal((await server.get('/')).status, 200);
  });

  test('a frame that is cut off by its death: it is replaced as any other that died', async (t) => {
    const server = await serve(t, fixture('writes-to-link.mjs'));
    await assert.rejects(server.get('/truncated'));
    await server.told(/worker 1 .* ended unexpectedly, by SIGKILL/);
    await server.until('another serves', () => server.ready().some(({ age }) => age === 2));
    assert.deepEqual(server.all(/broke the link/), []);
  });

  test('nothing more because it closed it: it drains and is replaced', async (t) => {
    const server = await serve(t, fixture('writes-to-link.mjs'));
    await server.get('/close').catch(() => {});
    await server.until('another serves', () => server.ready().some(({ age }) => age >= 2));
    await eventually('the first is gone', () => server.workers().every(({ age }) => age >= 2));
    assert.equal((await server.get('/')).status, 200);
  });
});
