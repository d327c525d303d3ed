/** The control socket itself: where it is, with which mode, whose it is, and that it is never fatal to serving. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, lstatSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { describe, test } from 'node:test';
import { ControlClient } from './control-client.ts';
import { controlled } from './controlled.ts';
import { descriptors, fixture, launch, needsProc, Site, serve } from './harness.ts';

const app = fixture('app.mjs');
const modeOf = (path: string): string => (lstatSync(path).mode & 0o777).toString(8);

describe('the control socket', { concurrency: 3 }, () => {
  test('is kirin.ctl where the server was started, for its user alone, and gone at the end', async (t) => {
    const { site, server } = await controlled(t, ['-w', '1']);
    assert.equal(modeOf(site.path('kirin.ctl')), '600');
    assert.equal(await server.stop(), 0);
    assert.deepEqual(readdirSync(site.directory), []);
  });

  test('is where and as the settings say, in a directory made for it', async (t) => {
    const site = new Site(t);
    const path = site.path('run/kirin/control');
    const server = await serve(t, app, ['--control-socket', path, '--control-socket-mode', '660'], {
      control: true,
      cwd: site.directory,
    });
    await server.told(/^control socket at /);
    assert.deepEqual(
      [modeOf(path), modeOf(site.path('run')), modeOf(site.path('run/kirin'))],
      ['660', '700', '700'],
    );
    assert.equal((await ControlClient.once(path, 'show version')).data.name, 'kirin');
    assert.ok(!existsSync(site.path('kirin.ctl')));
  });

  test('can be left out, by flag, variable and configuration', async (t) => {
    const site = new Site(t);
    site.write('kirin.config.json', '{"control_socket_disable": true}');
    const ways: [string[], Record<string, string>, string[]][] = [
      [['--no-control-socket'], {}, []],
      [[], { KIRIN_NO_CONTROL_SOCKET: '1' }, []],
      [['-c', site.path('kirin.config.json')], {}, []],
    ];
    for (const [args, env] of ways) {
      const cwd = site.path(`in-${ways.findIndex(([one]) => one === args)}`);
      mkdirSync(cwd);
      const server = await serve(t, app, args, { control: true, cwd, env });
      assert.deepEqual(readdirSync(cwd), []);
      assert.equal(await server.stop(), 0);
      assert.deepEqual(server.all(/control socket/), []);
    }
  });

  const unusable: [string, (site: Site) => string, RegExp][] = [
    [
      'a path too long for a socket',
      (site) => site.path('x'.repeat(150)),
      /the path has \d+ bytes, a socket's at most 10[37]: choose a shorter --control-socket$/,
    ],
    [
      'a file in the place of its directory',
      (site) => {
        site.write('file', '');
        return site.path('file/kirin.ctl');
      },
      /cannot bind unix:.*: there is no directory /,
    ],
    [
      'a file of its name',
      (site) => site.write('kirin.ctl', 'precious'),
      /there is a file of that name that is no socket/,
    ],
    ['a directory of its name', (site) => `${site.directory}/`, /cannot bind|permission denied|no directory/],
  ];
  for (const [what, prepare, reason] of unusable)
    test(`${what}: one warning with the reason, and serving goes on`, async (t) => {
      const site = new Site(t);
      const path = prepare(site);
      const before = readdirSync(site.directory);
      const server = await serve(t, app, ['--control-socket', path], { control: true, cwd: site.directory });
      const told = await server.told(/^no control socket: /);
      assert.match(told.msg, reason);
      assert.equal(told.level, 'warn');
      assert.equal((await server.get()).status, 200);
      assert.equal(await server.stop(), 0);
      assert.equal(server.all(/^no control socket/).length, 1);
      assert.deepEqual(readdirSync(site.directory), before);
    });

  test('a directory that cannot be written to: one warning, and it is tried again', async (t) => {
    if (process.getuid?.() === 0) {
      // Nothing is forbidden to root but /proc, which takes no files.
      const server = await serve(t, app, ['--control-socket', '/proc/kirin.ctl'], { control: true });
      await server.told(/^no control socket: /);
      return;
    }
    const site = new Site(t);
    mkdirSync(site.path('closed'), { mode: 0o500 });
    t.after(() => chmodSync(site.path('closed'), 0o700));
    const server = await serve(t, app, ['--control-socket', site.path('closed/kirin.ctl')], {
      control: true,
    });
    assert.match((await server.told(/^no control socket: /)).msg, /permission denied/);
    chmodSync(site.path('closed'), 0o700);
    await server.told(/^control socket at /);
  });

  test('a directory that nobody can make', async (t) => {
    const place = { control: true, cwd: new Site(t).directory };
    const server = await serve(t, app, ['--control-socket', '/proc/nowhere/kirin.ctl'], place);
    await server.told(/^no control socket: /);
  });

  test('a directory that is removed is not made again', async (t) => {
    const site = new Site(t);
    mkdirSync(site.path('release'));
    const server = await serve(t, app, ['--control-socket', site.path('release/k.ctl')], { control: true });
    await server.told(/^control socket at /);
    rmSync(site.path('release'), { recursive: true });
    await server.told(/^no control socket: .*there is no directory/);
    assert.equal(await server.stop(), 0);
    assert.deepEqual(readdirSync(site.directory), []);
  });

  test('with --control-socket-required it ends with 1 and the reason', async (t) => {
    const site = new Site(t);
    const path = site.path('y'.repeat(150));
    const server = launch(t, app, ['--control-socket', path, '--control-socket-required'], {
      control: true,
      cwd: site.directory,
    });
    assert.equal((await server.exit()).code, 1);
    assert.ok(server.lines.some(({ level, msg }) => level === 'fatal' && /choose a shorter/.test(msg)));
    assert.deepEqual(readdirSync(site.directory), []);
  });

  test('of a live server is never taken over: the second one serves without, or ends', async (t) => {
    const { site, server, ask } = await controlled(t, ['-w', '1']);
    const place = { control: true, cwd: site.directory };
    const second = await serve(t, app, [], place);
    const told = await second.told(/^no control socket: /);
    assert.match(
      told.msg,
      new RegExp(`in use by process ${server.pid} \\(.+\\): choose another --control-socket`),
    );
    const third = launch(t, app, ['--control-socket-required'], place);
    assert.equal((await third.exit()).code, 1);
    assert.equal(await second.stop(), 0);
    assert.equal((await ask('show stats')).pid, server.pid);
    assert.equal(
      (await ControlClient.once(site.path('kirin.ctl'), 'show stats')).data.pid,
      server.pid,
      'it was not removed by the others',
    );
  });

  test('of a server without a lock file is not taken over either', async (t) => {
    const site = new Site(t);
    const other = createServer().listen(site.path('kirin.ctl'));
    t.after(() => other.close());
    const server = await serve(t, app, [], { control: true, cwd: site.directory });
    assert.match(
      (await server.told(/^no control socket: /)).msg,
      /in use by (another process|process \d+ \(.+\)):/,
    );
    assert.equal(await server.stop(), 0);
    assert.ok(existsSync(site.path('kirin.ctl')));
  });

  test('of a dead server is replaced', async (t) => {
    const { site, server } = await controlled(t, ['-w', '1']);
    const [worker] = await server.settled(1);
    server.signal('SIGKILL');
    await server.exit();
    assert.ok(worker && existsSync(site.path('kirin.ctl')), 'it was left behind');
    const next = await serve(t, app, [], { control: true, cwd: site.directory });
    await next.told(/^control socket at /);
    const { data } = await ControlClient.once(site.path('kirin.ctl'), 'show stats');
    assert.equal(data.pid, next.pid);
    assert.equal(await next.stop(), 0);
    assert.deepEqual(readdirSync(site.directory), []);
  });

  test('is only removed at the end if it is still ours', async (t) => {
    const { site, server } = await controlled(t, ['-w', '1']);
    rmSync(site.path('kirin.ctl'));
    writeFileSync(site.path('kirin.ctl'), 'another');
    assert.equal(await server.stop(), 0);
    assert.equal(site.read('kirin.ctl'), 'another');
  });

  test('comes back when its name was removed, and who was connected stays', async (t) => {
    const { site, server, ask } = await controlled(t, ['-w', '1']);
    const from = server.mark();
    rmSync(site.path('kirin.ctl'));
    await server.told(/^control socket at /, from);
    assert.equal((await ask('show stats')).pid, server.pid);
    assert.equal((await ControlClient.once(site.path('kirin.ctl'), 'show stats')).data.pid, server.pid);
  });

  test('survives reloads and replaced workers, with its clients connected', async (t) => {
    const { server, client, ask } = await controlled(t, ['-w', '2']);
    for (let generation = 2; generation < 4; generation++) await ask('reload --wait');
    const [one] = await server.settled(2);
    process.kill(one!.pid, 'SIGKILL');
    await server.until('the killed one is replaced', () =>
      server.ready().every(({ age }) => age !== one!.age),
    );
    assert.equal((await ask('show stats')).reloads, 2);
    assert.equal(client.ended, false);
  });

  test('is not inherited by workers', { skip: needsProc }, async (t) => {
    const { server } = await controlled(t, ['-w', '1']);
    const [one] = await server.settled(1);
    const before = descriptors(one!.pid).length;
    const site = new Site(t);
    const without = await serve(t, app, [], { cwd: site.directory });
    const [other] = await without.settled(1);
    assert.equal(before, descriptors(other!.pid).length);
  });

  test('answers while the server starts, and while it stops', async (t) => {
    const site = new Site(t);
    const server = launch(t, fixture('never-ready.mjs'), [], { control: true, cwd: site.directory });
    await server.told(/^control socket at /);
    const client = await ControlClient.connect(site.path('kirin.ctl'));
    t.after(() => client.destroy());
    const { data } = await client.ask('show all');
    assert.deepEqual([data.web_worker_count, data.web_workers[0].booted], [1, false]);
    assert.deepEqual((await client.ask('shutdown')).data, { status: 'shutting_down', mode: 'graceful' });
    await client.end();
    await server.exit();
  });
});

describe('the read-only control socket', { concurrency: 2 }, () => {
  test('answers show and help only, and of the settings only those that are public', async (t) => {
    const site = new Site(t);
    const path = site.path('look.ctl');
    const server = await serve(t, app, ['--control-socket-readonly', path, '--env', 'KEY=opensesame'], {
      control: true,
      cwd: site.directory,
    });
    await server.until('both are open', () => server.all(/^control socket at /).length === 2);
    assert.equal(modeOf(path), '666');
    const client = await ControlClient.connect(path);
    t.after(() => client.destroy());
    for (const command of ['show all', 'show workers', 'show stats', 'show machine', 'show events', 'help'])
      assert.equal((await client.ask(command)).status, 'ok', command);
    for (const command of [
      'worker add',
      'worker kill 1',
      'dirty add',
      'reload',
      'reopen',
      'shutdown',
      'cancel 1',
    ])
      assert.equal(
        (await client.ask(command)).error,
        'Permission denied: this socket answers show and help only',
        command,
      );
    assert.match((await client.ask('events', { stream: true })).error!, /^Permission denied/);
    const { data } = await client.ask('show config');
    assert.deepEqual([data.timeout, data.workers], [30, 1]);
    assert.deepEqual(
      ['raw_env', 'chdir', 'errorlog', 'control_socket', 'app'].filter((name) => name in data),
      [],
    );
    const { commands } = (await client.ask('help')).data;
    assert.ok(Object.keys(commands).every((usage) => /^(show|help)/.test(usage)));
  });

  test('may be the only one, and has the mode that is asked for', async (t) => {
    const site = new Site(t);
    const path = site.path('look.ctl');
    const args = ['--no-control-socket', '--control-socket-readonly', path];
    const server = await serve(t, app, [...args, '--control-socket-readonly-mode', '0o640'], {
      cwd: site.directory,
    });
    await server.told(/^control socket at /);
    assert.equal(modeOf(path), '640');
    assert.equal(await server.stop(), 0);
    assert.deepEqual(readdirSync(site.directory), []);
  });
});

test("Kirin's own words stay, whatever the values of env are", async (t) => {
  const words = ['progress', 'worker', 'default', 'graceful', 'reloading', 'control', 'started', 'settled'];
  const env = words.flatMap((word, index) => ['--env', `WORD_${index}=${word}`]);
  const { client, ask } = await controlled(t, ['-w', '1', ...env]);
  const { progress, data } = await client.ask('worker add --wait', { stream: true });
  assert.equal(data.status, 'done');
  assert.ok(progress.some(({ step }) => /^worker 2 \(pid \d+\) started$/.test(step)));
  assert.deepEqual(await ask('reload'), { status: 'reloading' });
  assert.equal((await ask('show config origin')).backlog.origin, 'default');
  assert.doesNotMatch(JSON.stringify(await ask('help')), /\*\*\*/);
});

test('what is secret is in no error of settings that cannot be read', async (t) => {
  const { site, client, server, ask } = await controlled(t, ['-w', '1']);
  for (const [settings, kept] of [
    [{ env: { DB_PASSWORD: 8_675_309_123 } }, '8675309123'],
    [{ env: { API_TOKEN: 'tok-new-abcdef' }, timeout: 'tok-new-abcdef' }, 'tok-new-abcdef'],
    [{ env: ['lonely-secret'] }, 'lonely-secret'],
  ] as const) {
    site.write('kirin.config.json', JSON.stringify(settings));
    assert.equal((await ask('reload --wait')).status, 'failed');
    assert.ok(!JSON.stringify([client.frames, server.lines]).includes(kept), kept);
  }
});

test('what is secret is in no reply and in no line of the log', async (t) => {
  const site = new Site(t);
  site.write('secrets.env', 'DATABASE_URL=postgres://kirin:s3cr3tpass@db/x\n');
  site.deploy('v1');
  const { server, client, ask } = await controlled(
    t,
    ['-w', '1', '--env', 'API=topsecretvalue', '--env-file', site.path('secrets.env')],
    { app: site.path('app.mjs'), env: { MY_TOKEN: 'tokenfromoutside' } },
  );
  site.deploy(
    'v2',
    'app.mjs',
    "const e = process.env; throw new Error(['cannot reach', e.DATABASE_URL, 'as', e.API, e.MY_TOKEN, 'https://u:pw1234@h/'].join(' '));",
  );
  const failed = await ask('reload --wait');
  assert.match(failed.error, /cannot reach \*\*\* as \*\*\* \*\*\* https:\/\/u:\*\*\*@h/);
  await ask('show events 50');
  await ask('show config origin');
  await server.told(/^reload failed: .*cannot reach \*\*\*/);
  const everything = JSON.stringify([client.frames, server.lines]);
  for (const secret of ['s3cr3tpass', 'topsecretvalue', 'tokenfromoutside', 'pw1234'])
    assert.ok(!everything.includes(secret), secret);
});
