/** What the settings of the processes do: their names, the umask, options of Node.js, modules before the app. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, statSync } from 'node:fs';
import * as nodeModule from 'node:module';
import { describe, test } from 'node:test';
import { dirtyServer } from './dirty-server.ts';
import { launch, type Server, Site, serve } from './harness.ts';
import { commandOf } from './processes.ts';

/** Tells what it finds. */
const TELLING = `
import v8 from 'node:v8';
const found = () => ({
  heapMib: Math.round(v8.getHeapStatistics().heap_size_limit / 1024 ** 2),
  hasGc: typeof gc === 'function',
  threads: process.env.UV_THREADPOOL_SIZE,
  umask: process.umask(),
  loaded: globalThis.loaded ?? [],
});
export default (request, response) => response.end(JSON.stringify(found()));
`;

const told = async (server: Server) => JSON.parse((await server.get()).text);

/** One that cannot start: its exit code, and the reason it ends with. */
async function refused(server: Server): Promise<[number | null, string]> {
  const { code } = await server.exit();
  return [code, server.lines.at(-1)?.msg ?? server.output.trim()];
}

test('processes are called what --proc-name says, dirty ones too; else as the app', async (t) => {
  const { server, dirtyPids } = await dirtyServer(t, ['-n', 'shop', '--dirty-workers', '1']);
  // Where the arguments were short there is no room for all of it.
  assert.match(commandOf(server.pid), /^kirin: master \[shop/);
  const [worker] = server.workers();
  assert.equal(commandOf(worker!.pid), 'kirin: worker 1 in slot 0 [shop]');
  const [dirty] = await dirtyPids();
  assert.equal(commandOf(dirty!), 'kirin: dirty worker 1 in slot 0 [shop]');
  const site = new Site(t);
  site.deploy('1');
  const other = await serve(t, 'app.mjs', [], { cwd: site.directory });
  assert.match(commandOf(other.pid), /^kirin: master \[app\.mjs/);
  site.write('kirin.config.mjs', "export default { proc_name: 'late' };");
  assert.match((await other.reload()).msg, /^reload done/);
  assert.equal(other.all(/^--proc-name was changed, which needs a restart/).length, 1);
  const [next] = await other.settled(1, 2);
  assert.equal(commandOf(next!.pid), 'kirin: worker 2 in slot 0 [app.mjs]');
});

test('--umask is that of the app, of the pid file and of sockets', async (t) => {
  const site = new Site(t);
  const app = site.write('app.mjs', TELLING);
  const args = ['-m', '0037', '-p', site.path('pid'), '-b', `unix:${site.path('app.sock')}`];
  const server = await serve(t, app, args);
  const { text } = await server.get('/', { socketPath: site.path('app.sock') });
  assert.equal(JSON.parse(text).umask, 0o037);
  const modeOf = (name: string) => statSync(site.path(name)).mode & 0o777;
  assert.equal(modeOf('app.sock'), 0o740);
  assert.equal(modeOf('pid') & 0o037, 0);
});

describe('options of Node.js', () => {
  test('are those of each worker, and a reload changes them', async (t) => {
    const site = new Site(t);
    const config = (heap: number) =>
      site.write(
        'kirin.config.mjs',
        `export default { maxOldSpaceSize: ${heap}, threadpool_size: 3, nodeArgs: ['--expose-gc'] };`,
      );
    config(200);
    site.write('app.mjs', TELLING);
    const server = await serve(t, 'app.mjs', [], { cwd: site.directory });
    const first = await told(server);
    assert.deepEqual([first.hasGc, first.threads], [true, '3']);
    config(400);
    assert.match((await server.reload()).msg, /^reload done/);
    const second = await told(server);
    // What else the limit holds is the same in both.
    assert.equal(second.heapMib - first.heapMib, 200);
  });

  test('are those of dirty workers too', async (t) => {
    const site = new Site(t);
    const dirtyApp = site.write(
      'dirty.mjs',
      `const { DirtyApp } = await import(process.env.TEST_KIRIN);
       gc();
       export class Telling extends DirtyApp {
         found() { return [process.env.UV_THREADPOOL_SIZE, typeof gc]; }
       }`,
    );
    const name = `${dirtyApp}:Telling`;
    const { inWeb } = await dirtyServer(t, [
      ...['--threadpool-size', '2', '--node-arg', '--expose-gc', '--dirty-app', name, '--dirty-workers', '1'],
    ]);
    assert.deepEqual(await inWeb(({ dirty }, app) => dirty.execute(app, 'found'), name), ['2', 'function']);
  });

  test('that Node.js does not have, or that would make it run something else, are one line and 2', async (t) => {
    const site = new Site(t);
    const app = site.deploy('1');
    const cases: [string[], RegExp][] = [
      [['--node-arg', '--no-such-option'], /^--node-arg: Node.js refuses it: bad option: --no-such-option$/],
      [['--node-arg=--stack-size=much'], /^--node-arg: Node.js refuses it: illegal value for flag/],
    ];
    for (const [args, line] of cases) {
      const [code, reason] = await refused(launch(t, app, args));
      assert.equal(code, 2, args.join(' '));
      assert.match(reason, line);
    }
  });
});

describe('--preload', () => {
  test('imports modules in their order before the app, and a reload those of the new settings', async (t) => {
    const site = new Site(t);
    const module = (name: string) => site.write(name, `(globalThis.loaded ??= []).push('${name}');`);
    module('one.mjs');
    module('node_modules/two/index.js');
    site.write('node_modules/two/package.json', '{ "name": "two", "exports": { "import": "./index.js" } }');
    site.write('app.mjs', TELLING);
    const config = (list: string[]) =>
      site.write('kirin.config.mjs', `export default { preload: ${JSON.stringify(list)} };`);
    config(['one', 'two']);
    const server = await serve(t, 'app.mjs', [], { cwd: site.directory });
    assert.deepEqual((await told(server)).loaded, ['one.mjs', 'node_modules/two/index.js']);
    config(['./one.mjs', 'three']);
    assert.match((await server.reload()).msg, /--preload: there is no module "three" in .*no such package/);
    assert.equal((await told(server)).loaded.length, 2, 'the former generation serves');
    config(['one.mjs']);
    assert.match((await server.reload()).msg, /^reload done/);
    assert.deepEqual((await told(server)).loaded, ['one.mjs']);
  });

  test('of what is not there, and of what throws, ends the start', async (t) => {
    const site = new Site(t);
    const app = site.deploy('1');
    const missing = launch(t, app, ['--preload', 'nowhere'], { cwd: site.directory });
    assert.deepEqual((await refused(missing))[0], 2);
    site.write('bad.mjs', "throw new Error('no tracing');");
    const bad = launch(t, app, ['--preload', 'bad.mjs'], { cwd: site.directory });
    const [code, reason] = await refused(bad);
    assert.equal(code, 3);
    assert.match(reason, /the first start failed/);
    assert.match(bad.output, /no tracing/);
  });
});

describe('--compile-cache', () => {
  const isKnown = 'enableCompileCache' in nodeModule;

  test('is filled where Node.js has one, and else told of once', async (t) => {
    const site = new Site(t);
    const cache = site.path('cache');
    const server = await serve(t, site.deploy('1'), ['--compile-cache', cache]);
    assert.equal((await server.get()).status, 200);
    await server.stop();
    if (isKnown) {
      assert.notDeepEqual(readdirSync(cache), []);
      assert.equal(statSync(cache).mode & 0o777, 0o700);
    } else assert.equal(server.all(/--compile-cache needs Node.js 22.1/).length, 1);
  });

  test('that others could write to is refused', async (t) => {
    const { compileCacheOf } = await import('../../src/actors/compile-cache.ts');
    const site = new Site(t);
    const told: string[] = [];
    const cacheOf = (path: string) => compileCacheOf(path, (text) => told.push(text), true);
    const path = site.path('open');
    mkdirSync(path);
    chmodSync(path, 0o777);
    assert.throws(() => cacheOf(path), /--compile-cache: .*open can be written to by others: chmod go-w/);
    assert.throws(() => cacheOf(`${path}/inner`), /others can put something else in its place/);
    assert.throws(() => cacheOf(site.write('file', '')), /cannot be used \(EEXIST\)/);
    assert.equal(cacheOf(site.path('own/made')), site.path('own/made'));
    assert.equal(statSync(site.path('own/made')).mode & 0o777, 0o700);
    assert.deepEqual(told, []);
  });
});

test('a configuration that is a function is given what was typed wherever it is evaluated', async (t) => {
  const site = new Site(t);
  const config = site.write(
    'kirin.config.mjs',
    `export default ({ options: { workers, dirtyWorkers } }) => ({
       raw_env: { TYPED: workers },
       dirtyWorkerInit: () => console.log('typed ' + dirtyWorkers),
     });`,
  );
  const { inWeb, server } = await dirtyServer(t, ['-c', config, '--dirty-workers', '1']);
  assert.equal(await inWeb(() => process.env['TYPED']), '1');
  await server.printed(/^typed 1$/m);
  assert.match((await server.reload()).msg, /^reload done/);
  assert.equal(await inWeb(() => process.env['TYPED']), '1');
});

describe('--capture-output', () => {
  const PRINTING = `
import { spawn } from 'node:child_process';
import { writeSync } from 'node:fs';
console.log('loaded ' + process.env.SECRET_WORD);
process.on('exit', () => writeSync(2, 'the last word'));
export default (request, response) => {
  console.error('wrong ü');
  process.stdout.write('x'.repeat(40_000) + '\\n');
  if (request.url === '/child') spawn('echo', ['from a child'], { stdio: 'inherit' });
  if (request.url === '/flood') for (let n = 0; n < 50_000; n++) console.log('line ' + n);
  response.end();
};`;

  test('puts what workers print into the log, to the last word; long lines in parts', async (t) => {
    const site = new Site(t);
    const app = site.write('app.mjs', PRINTING);
    const args = ['--capture-output', '-e', 'SECRET_WORD=hunter2hunter2'];
    const server = await serve(t, app, args);
    const loaded = await server.told(/^loaded /);
    assert.doesNotMatch(loaded.msg, /hunter2/);
    const { pid } = (await server.settled(1))[0]!;
    assert.deepEqual(
      {
        level: loaded.level,
        of: loaded['of'],
        worker: loaded['worker'],
        stream: loaded['stream'],
        age: loaded.age,
      },
      { level: 'info', of: 'worker', worker: pid, stream: 'stdout', age: 1 },
    );
    await server.get('/child');
    assert.equal((await server.told(/^wrong ü$/)).level, 'error');
    await server.told(/^from a child$/);
    await server.until('all of the long line is told', () => {
      const parts = server.all(/^x+$/).map(({ msg }) => msg.length);
      return parts.length === 3 && parts.reduce((sum, one) => sum + one) === 40_000;
    });
    assert.equal(await server.stop(), 0);
    assert.equal(server.all(/^the last word$/).length, 1);
    assert.equal(server.output, '');
  });

  test('loses none of a burst, goes on in a new file after USR1, whatever the level, and shows who', async (t) => {
    const site = new Site(t);
    const app = site.write('app.mjs', PRINTING);
    const log = site.path('kirin.log');
    const args = ['--capture-output', '--error-logfile', log, '--log-level', 'error'];
    const server = launch(t, app, ['-b', `unix:${site.path('a.sock')}`, ...args], { plain: true });
    const get = (path: string) => server.get(path, { socketPath: site.path('a.sock') });
    const has = (name: string, text: string) =>
      server.until(
        `${name} has ${text}`,
        () => existsSync(site.path(name)) && site.read(name).includes(text),
      );
    await has('kirin.log', 'worker 1: loaded');
    await get('/flood');
    await has('kirin.log', 'worker 1: line 49999\n');
    for (let n = 0, text = site.read('kirin.log'), at = 0; n < 50_000; n++) {
      at = text.indexOf(`worker 1: line ${n}\n`, at);
      assert.ok(at >= 0, `line ${n}`);
    }
    renameSync(log, site.path('old.log'));
    server.signal('SIGUSR1');
    await server.until('there is a new file', () => existsSync(log));
    await get('/');
    await has('kirin.log', 'worker 1: wrong');
    assert.equal(await server.stop(), 0);
    assert.match(site.read('kirin.log'), /error kirin\[\d+\] worker 1: the last word\n/);
  });

  test('has what dirty workers print too', async (t) => {
    const site = new Site(t);
    const dirtyApp = site.write(
      'dirty.mjs',
      `const { DirtyApp } = await import(process.env.TEST_KIRIN);
       export class Printing extends DirtyApp {
         print(text) { console.log(text); }
       }`,
    );
    const name = `${dirtyApp}:Printing`;
    const { inWeb, server } = await dirtyServer(t, ['--capture-output', '--dirty-app', name]);
    await inWeb(({ dirty }, app) => dirty.execute(app, 'print', 'from the dirty one'), name);
    assert.equal((await server.told(/^from the dirty one$/))['of'], 'dirty arbiter');
  });
});
