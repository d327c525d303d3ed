/** Reloads: what is read afresh, the commit point, and what a failure on either side of it leaves behind. */
import assert from 'node:assert/strict';
import { mkdirSync, renameSync, symlinkSync } from 'node:fs';
import { describe, test } from 'node:test';
import { freePort, isListening } from './client.ts';
import { eventually, launch, type Server, Site, serve } from './harness.ts';
import { childrenOf } from './processes.ts';

const versionOf = async (server: Server): Promise<string> =>
  (await server.get()).json<{ version: string }>().version;
const ages = (server: Server): number[] =>
  server
    .workers()
    .map(({ age }) => age)
    .sort((a, b) => a - b);

/** An app that boots only where `condition`, in the worker, is true. */
const bootsWhere = (condition: string): string =>
  `if (!(${condition})) throw new Error('broken in this worker');`;

/** In the worker of one age, waits until a file exists: so a rollout can be met half way. */
const waitsInWorker = (age: number, file: string): string => `import { existsSync } from 'node:fs';
  if (Number(process.env.KIRIN_WORKER_AGE) === ${age}) {
    console.log('waiting');
    while (!existsSync(${JSON.stringify(file)})) await new Promise((resolve) => setTimeout(resolve, 10));
  }`;

describe('a reload', { concurrency: 3 }, () => {
  test('serves new code with new workers, one after the other', async (t) => {
    const site = new Site(t);
    const server = await serve(t, site.deploy('v1'), ['-w', '2']);
    await server.settled(2);
    site.deploy('v2');
    const end = await server.reload();
    assert.match(end.msg, /^reload done: 2 workers of the new generation/);
    const workers = await server.settled(2);
    assert.deepEqual(
      workers.map(({ age, slot, generation }) => [age, slot, generation]),
      [
        [3, 0, 2],
        [4, 1, 2],
      ],
    );
    assert.equal(await versionOf(server), 'v2');
  });

  test('answers what is in flight on the old workers', async (t) => {
    const site = new Site(t);
    const server = await serve(t, site.deploy('v1'));
    const held = server.get(`/hold?until=${site.path('go')}`);
    await server.printed(/holding/);
    site.deploy('v2');
    await server.reload();
    assert.equal(await versionOf(server), 'v2');
    site.write('go', '');
    assert.equal((await held).json()['version'], 'v1');
    await server.settled(1);
  });

  for (const [name, code] of [
    ['a syntax error', 'export default (request, response => {'],
    ['a throw on import', "throw new Error('broken');"],
    ['process.exit() on import', 'process.exit(0);'],
    ['a promise that never resolves', 'await new Promise(() => {});'],
    ['an app that never gets ready', 'await new Promise((resolve) => setTimeout(resolve, 100_000));'],
    ['an endless loop on import', 'for (;;);'],
    [
      'a crash just after it is ready',
      "setTimeout(() => { throw new Error('broken'); }, 20);\nexport default () => {};",
    ],
  ] as const)
    test(`to ${name} fails with the reason, and changes nothing`, async (t) => {
      const site = new Site(t);
      const args = ['-w', '2', '--reload-settle', '0.5'];
      const server = await serve(t, site.deploy('v1'), args, { cwd: site.directory });
      await server.settled(2);
      site.write('app.mjs', code);
      // For the broken code alone: good code may take its time on a busy machine.
      site.write('kirin.config.json', '{"boot_timeout": 2}');
      const end = await server.reload();
      assert.match(end.msg, /^reload failed: .+/);
      await server.settled(2);
      assert.deepEqual(ages(server), [1, 2]);
      assert.equal(await versionOf(server), 'v1');
      await eventually('no candidate is left', () => childrenOf(server.pid).length === 2);
      site.deploy('v2');
      site.remove('kirin.config.json');
      assert.match((await server.reload()).msg, /^reload done/);
      assert.equal(await versionOf(server), 'v2');
    });

  test('to settings that cannot be read fails with the reason, and changes nothing', async (t) => {
    const site = new Site(t);
    const file = site.write('.env', 'TEST_VALUE=1');
    const server = await serve(t, site.deploy('v1'), ['--env-file', file]);
    site.remove('.env');
    assert.match((await server.reload()).msg, /^reload failed: .*no such file/);
    assert.equal((await server.get()).json()['env'], '1');
    site.write('.env', 'TEST_VALUE=2');
    assert.match((await server.reload()).msg, /^reload done/);
    assert.equal((await server.get()).json()['env'], '2');
  });

  test('stalls when the third of four new workers cannot boot: what remains goes on, and heals', async (t) => {
    const site = new Site(t);
    const server = await serve(t, site.deploy('v1'), ['-w', '4']);
    await server.settled(4);
    site.deploy('v2', 'app.mjs', bootsWhere('Number(process.env.KIRIN_WORKER_AGE) < 7'));
    const end = await server.reload();
    assert.match(end.msg, /^reload failed: .*broken in this worker.*; 2 replaced, 2 of the former remain/);
    const versions = new Set<string>();
    await eventually('both versions answer', async () => versions.add(await versionOf(server)).size === 2);
    assert.equal(server.ready().length, 4);
    const from = server.mark();
    await server.told(/could not be replaced/, from);
    site.deploy('v3');
    await server.settled(4, 2);
  });

  test('of a stalled generation is healed by a newer one', async (t) => {
    const site = new Site(t);
    const server = await serve(t, site.deploy('v1'), ['-w', '3']);
    await server.settled(3);
    site.deploy('v2', 'app.mjs', bootsWhere('Number(process.env.KIRIN_WORKER_AGE) < 5'));
    assert.match((await server.reload()).msg, /^reload failed: .*1 replaced, 2 of the former remain/);
    site.deploy('v3');
    assert.match((await server.reload()).msg, /^reload done: 3 workers of the new generation/);
    await server.settled(3, 3);
  });

  test('with --max-surge 100% is all or nothing', async (t) => {
    const site = new Site(t);
    const server = await serve(t, site.deploy('v1'), ['-w', '4', '--max-surge', '100%']);
    await server.settled(4);
    site.deploy('v2', 'app.mjs', bootsWhere('Number(process.env.KIRIN_WORKER_AGE) < 7'));
    assert.match((await server.reload()).msg, /^reload failed: .*broken in this worker/);
    await server.settled(4);
    assert.deepEqual(ages(server), [1, 2, 3, 4]);
    assert.equal(await versionOf(server), 'v1');
    site.deploy('v3');
    assert.match((await server.reload()).msg, /^reload done: 4 workers of the new generation/);
    await server.settled(4, 3);
  });

  test('is superseded by a newer one while it is tried', async (t) => {
    const site = new Site(t);
    const server = await serve(t, site.deploy('v1'), ['-w', '2', '--reload-settle', '600']);
    await server.settled(2);
    server.signal('SIGHUP');
    await server.told(/worker 3 .* is ready/);
    const from = server.mark();
    server.signal('SIGHUP');
    await server.told(/^reload superseded/, from);
    await server.told(/worker 4 .* is ready/, from);
    await server.told(/worker 3 .* ended/, from);
    assert.deepEqual(ages(server), [1, 2, 4]);
  });

  test('is superseded by a newer one while it rolls', async (t) => {
    const site = new Site(t);
    const server = await serve(t, site.deploy('v1'), ['-w', '3']);
    await server.settled(3);
    site.deploy('v2', 'app.mjs', waitsInWorker(5, site.path('go')));
    server.signal('SIGHUP');
    await server.printed(/waiting/);
    const from = server.mark();
    site.deploy('v3');
    server.signal('SIGHUP');
    await server.told(/trying generation 3/, from);
    site.write('go', '');
    await server.told(/^reload superseded/, from);
    await server.told(/^reload done/, from);
    await server.settled(3, 3);
    assert.equal(await versionOf(server), 'v3');
  });

  test('whose canary fails lets a former rollout go on to its end', async (t) => {
    const site = new Site(t);
    const server = await serve(t, site.deploy('v1'), ['-w', '3']);
    await server.settled(3);
    site.deploy('v2', 'app.mjs', waitsInWorker(5, site.path('go')));
    server.signal('SIGHUP');
    await server.printed(/waiting/);
    const from = server.mark();
    site.deploy('v3', 'app.mjs', bootsWhere('false'));
    server.signal('SIGHUP');
    await server.told(/trying generation 3/, from);
    site.write('go', '');
    await server.told(/^reload failed: .*broken in this worker/, from);
    site.deploy('v2');
    await server.settled(3, 2);
    assert.equal(await versionOf(server), 'v2');
  });

  test('mends a newer one at once where the one before hangs in a worker that boots', async (t) => {
    const site = new Site(t);
    const server = await serve(t, site.deploy('v1'), ['-w', '3', '--boot-timeout', '600']);
    await server.settled(3);
    site.deploy('v2', 'app.mjs', waitsInWorker(5, '/nowhere'));
    server.signal('SIGHUP');
    await server.printed(/waiting/);
    const from = server.mark();
    site.deploy('v3');
    server.signal('SIGHUP');
    await server.told(/^reload done/, from);
    await server.settled(3, 3);
  });

  test('goes on through orders to scale', async (t) => {
    const site = new Site(t);
    const server = await serve(t, site.deploy('v1'), ['-w', '3']);
    await server.settled(3);
    site.deploy('v2');
    const from = server.mark();
    server.signal('SIGHUP');
    await server.told(/trying generation/, from);
    server.signal('SIGTTIN');
    await server.told(/takes over/, from);
    server.signal('SIGTTOU');
    server.signal('SIGTTIN');
    await server.told(/^reload done/, from);
    const workers = await server.settled(4, 2);
    assert.deepEqual(workers.map(({ slot }) => slot).sort(), [0, 1, 2, 3]);
  });

  test('is refused while the server starts, and the server starts', async (t) => {
    const site = new Site(t);
    const server = launch(t, site.deploy('v1'));
    await server.told(/^kirin /);
    server.signal('SIGHUP');
    await server.told(/^reload (refused|done)/);
    await server.settled(1);
  });

  test('while the first worker boots takes the place of the first start', async (t) => {
    const site = new Site(t);
    site.write(
      'app.mjs',
      "console.log('loading');\nawait new Promise((resolve) => setTimeout(resolve, 100_000));",
    );
    const server = launch(t, site.path('app.mjs'));
    await server.printed(/loading/);
    await server.told(/^worker 1 \(pid \d+\) started/);
    site.deploy('v2');
    server.signal('SIGHUP');
    await server.settled(1);
    assert.equal(await versionOf(server), 'v2');
  });

  for (const [phase, pattern] of [
    ['tried', /trying generation/],
    ['rolling', /takes over/],
  ] as const)
    test(`is refused when a stop comes while it is ${phase}`, async (t) => {
      const site = new Site(t);
      const server = await serve(t, site.deploy('v1'), ['-w', '3']);
      await server.settled(3);
      site.deploy('v2', 'app.mjs', 'await new Promise((resolve) => setTimeout(resolve, 200));');
      server.signal('SIGHUP');
      await server.told(pattern);
      assert.equal(await server.stop('SIGTERM'), 0);
      assert.equal(server.all(/^reload refused: .*stopping/).length, 1, server.tail());
    });
});

describe('a reload reads afresh', { concurrency: 3 }, () => {
  test('the environment file, over the environment it was started with', async (t) => {
    const site = new Site(t);
    const file = site.write('.env', 'TEST_VALUE=one');
    const server = await serve(t, site.deploy('v1'), ['--env-file', file], { env: { TEST_VALUE: 'zero' } });
    assert.equal((await server.get()).json()['env'], 'one');
    site.write('.env', 'TEST_VALUE=two');
    await server.reload();
    assert.equal((await server.get()).json()['env'], 'two');
    site.write('.env', '');
    await server.reload();
    assert.equal((await server.get()).json()['env'], 'zero');
  });

  test('--env over the environment file, each time', async (t) => {
    const site = new Site(t);
    const file = site.write('.env', 'TEST_VALUE=file');
    const server = await serve(t, site.deploy('v1'), ['--env-file', file, '--env', 'TEST_VALUE=pair']);
    assert.equal((await server.get()).json()['env'], 'pair');
    await server.reload();
    assert.equal((await server.get()).json()['env'], 'pair');
  });

  test('the place that a symbolic link points to, so that a deploy that moves the link is followed', async (t) => {
    const site = new Site(t);
    for (const version of ['v1', 'v2']) site.deploy(version, `releases/${version}/app.mjs`);
    symlinkSync('releases/v1', site.path('current'));
    const server = await serve(t, 'app.mjs', ['--chdir', site.path('current')]);
    assert.equal(await versionOf(server), 'v1');
    symlinkSync('releases/v2', site.path('next'));
    renameSync(site.path('next'), site.path('current'));
    await server.reload();
    const answer = (await server.get()).json();
    assert.equal(answer['version'], 'v2');
    assert.equal(answer['cwd'], site.path('releases/v2'));
  });

  test('the place of the app itself, where the directory it was started in is a link', async (t) => {
    const site = new Site(t);
    for (const version of ['v1', 'v2']) site.deploy(version, `releases/${version}/app.mjs`);
    symlinkSync('releases/v1', site.path('current'));
    const server = await serve(t, `${site.path('current')}/app.mjs`);
    symlinkSync('releases/v2', site.path('next'));
    renameSync(site.path('next'), site.path('current'));
    await server.reload();
    assert.equal(await versionOf(server), 'v2');
  });

  test('the configuration file: numbers, limits and the app', async (t) => {
    const site = new Site(t);
    site.deploy('v1', 'one.mjs');
    site.deploy('v2', 'two.mjs');
    site.write('kirin.config.json', JSON.stringify({ app: 'one.mjs', workers: 1 }));
    const server = launch(t, site.path('one.mjs'), ['--config', site.path('kirin.config.json')]);
    await server.settled(1);
    site.write('kirin.config.json', JSON.stringify({ workers: 3 }));
    await server.reload();
    await server.settled(3);
    mkdirSync(site.path('more'));
    site.write('kirin.config.json', JSON.stringify({ workers: 2, chdir: site.path('more') }));
    await server.reload();
    await server.settled(2);
    assert.equal((await server.get()).json()['cwd'], site.path('more'));
  });

  test('new addresses are bound while trying, old ones close when their last worker is gone', async (t) => {
    const site = new Site(t);
    const config = (bind: string[]) => site.write('kirin.config.json', JSON.stringify({ bind }));
    const file = config(['127.0.0.1:0']);
    const server = launch(t, site.deploy('v1'), ['--config', file, '-w', '2'], { bind: false });
    await server.settled(2);
    const before = server.port;
    config([`127.0.0.1:${before}`, 'unix:app.sock']);
    assert.match((await server.reload()).msg, /^reload done/);
    assert.equal((await server.get('/', { socketPath: site.path('app.sock') })).status, 200);
    assert.equal((await server.get()).status, 200);

    const held = server.get(`/hold?until=${site.path('go')}`);
    await server.printed(/holding/);
    config(['unix:app.sock']);
    await server.reload();
    assert.equal((await server.get('/', { socketPath: site.path('app.sock') })).status, 200);
    site.write('go', '');
    assert.equal((await held).status, 200);
    await server.settled(2);
    await eventually('the old address is closed', async () => !(await isListening(before)));
  });

  test('an address that overlaps an old one is refused: it needs a restart, and nothing changes', async (t) => {
    const site = new Site(t);
    const config = (bind: string[]) => site.write('kirin.config.json', JSON.stringify({ bind }));
    const server = launch(t, site.deploy('v1'), ['--config', config(['127.0.0.1:0'])], { bind: false });
    await server.settled(1);
    config([`0.0.0.0:${server.port}`, 'unix:app.sock']);
    assert.match((await server.reload()).msg, /^reload failed: .*needs a restart/);
    assert.deepEqual(ages(server), [1]);
    assert.equal((await server.get()).status, 200);
    await assert.rejects(server.get('/', { socketPath: site.path('app.sock') }));
  });

  test('where a failed reload broke is told once', async (t) => {
    const site = new Site(t);
    const server = await serve(t, site.deploy('v1'), []);
    await server.settled(1);
    site.write('app.mjs', "throw new Error('broken');");
    assert.match((await server.reload()).msg, /^reload failed: .*broken/);
    await server.told(/could not boot.*broken/);
    assert.equal(server.lines.filter(({ stack }) => stack?.includes('app.mjs:1')).length, 1);
  });

  test('a failed reload closes what only its candidates had', async (t) => {
    const site = new Site(t);
    const config = (bind: string[]) => site.write('kirin.config.json', JSON.stringify({ bind }));
    const server = launch(t, site.deploy('v1'), ['--config', config(['127.0.0.1:0'])], { bind: false });
    await server.settled(1);
    config([`127.0.0.1:${server.port}`, 'unix:app.sock']);
    site.write('app.mjs', "throw new Error('broken');");
    assert.match((await server.reload()).msg, /^reload failed: .*broken/);
    await eventually('the new address is closed', async () =>
      server.get('/', { socketPath: site.path('app.sock') }).then(
        () => false,
        () => true,
      ),
    );
    assert.equal((await server.get()).status, 200);
  });

  test('PORT of the environment file, as hosting platforms give it', async (t) => {
    const site = new Site(t);
    const [one, two] = await Promise.all([freePort(), freePort()]);
    const file = site.write('.env', `PORT=${one}`);
    const server = launch(t, site.deploy('v1'), ['--env-file', file], { bind: false });
    await server.settled(1);
    assert.equal(server.port, one);
    site.write('.env', `PORT=${two}`);
    await server.reload();
    assert.equal((await server.get('/', { port: two })).status, 200);
    await eventually('the old port is closed', async () => !(await isListening(one)));
  });
});
