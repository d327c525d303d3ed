/** The command itself: exit codes, what is written where, and the pid file. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync } from 'node:fs';
import net from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { eventually, fixture, type LogLine, Server, type ServerOptions, Site, serve } from './harness.ts';

const app = fixture('app.mjs');

function run(t: TestContext, args: string[], options: ServerOptions = {}): Server {
  const server = new Server(args, { plain: true, ...options });
  t.after(() => server.dispose());
  return server;
}

describe('the command', { concurrency: 4 }, () => {
  test('ends with 1 and one line when its address stays in use', async (t) => {
    const other = net.createServer().listen(0, '127.0.0.1');
    t.after(() => other.close());
    await eventually('the address is taken', () => other.listening);
    const { port } = other.address() as net.AddressInfo;
    const server = run(t, ['-b', `127.0.0.1:${port}`, app]);
    assert.equal((await server.exit()).code, 1);
    const lines = server.output.trim().split('\n');
    assert.equal(lines.filter((line) => / in use.*, trying again/.test(line)).length, 5);
    assert.match(lines.at(-1)!, new RegExp(`127\\.0\\.0\\.1:${port}.* in use`));
  });

  test('serves once an address in use is given up in time', async (t) => {
    const other = net.createServer().listen(0, '127.0.0.1');
    await eventually('the address is taken', () => other.listening);
    const { port } = other.address() as net.AddressInfo;
    const server = run(t, ['-b', `127.0.0.1:${port}`, app], { plain: false });
    await server.told(/ in use.*, trying again/);
    other.close();
    await server.told(/^serving/);
    assert.equal((await server.get()).status, 200);
  });

  for (const [code, name, args, reason] of [
    [2, 'an address that is none', ['-b', 'nonsense:port', app], /nonsense:port/],
    [
      1,
      'a directory that the log file cannot be in',
      ['--error-logfile', '/nowhere/kirin.log', app],
      /log file/,
    ],
  ] as const)
    test(`ends with ${code} for ${name}, in one line`, async (t) => {
      const server = run(t, [...args]);
      assert.equal((await server.exit()).code, code, server.output);
      const [line, ...more] = server.output.trim().split('\n');
      assert.match(line!, reason);
      assert.deepEqual(more, []);
    });

  for (const [name, args, reason] of [
    ['an option that is not known', ['--worker', '2', app], /unknown option --worker.*--workers/],
    ['a number that is none', ['-w', 'many', app], /many/],
    ['no app', [], /no app/],
  ] as const)
    test(`ends with 2 for ${name}, in one line`, async (t) => {
      const server = run(t, [...args]);
      assert.equal((await server.exit()).code, 2, server.output);
      const [line, ...more] = server.output.trim().split('\n');
      assert.match(line!, reason);
      assert.deepEqual(more, []);
    });

  test('ends with 2 for an environment file that is missing, in one line', async (t) => {
    // Given as an option, Node itself would look for it and end with its own code.
    const server = run(t, [app], { env: { KIRIN_ENV_FILE: '/nowhere/.env' } });
    assert.equal((await server.exit()).code, 2, server.output);
    assert.match(server.output, /^[^\n]*\/nowhere\/\.env[^\n]*no such file\n$/);
  });

  test('writes JSON lines that each have time, level, text and pid', async (t) => {
    const server = await serve(t, app, ['-w', '2']);
    await server.settled(2);
    await server.stop();
    assert.ok(server.lines.length > 5);
    for (const { time, level, msg, pid } of server.lines) {
      assert.ok(!Number.isNaN(Date.parse(time)), time);
      assert.match(level, /^(debug|info|warn|error|fatal)$/);
      assert.ok(msg.length > 0 && !msg.includes('\n'), msg);
      assert.ok(pid > 0);
    }
    assert.equal(server.output.trim(), '', 'nothing is written beside the log');
  });

  test("writes its log to a file, and leaves the workers' own output where it was", async (t) => {
    const site = new Site(t);
    const chatty = "console.log('said on stdout');\nconsole.error('said on stderr');";
    const args = ['--log-format', 'json', '--error-logfile', site.path('kirin.log'), '-b', '127.0.0.1:0'];
    const server = run(t, [...args, site.deploy('v1', 'app.mjs', chatty)]);
    const lines = (): LogLine[] =>
      readFileSync(site.path('kirin.log'), 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line));
    await eventually('the file tells of serving', () => {
      const there = statSync(site.path('kirin.log'), { throwIfNoEntry: false });
      return there !== undefined && there.size > 0 && lines().some(({ msg }) => /^serving/.test(msg));
    });
    await eventually(
      'the output is there',
      () => /said on stdout/.test(server.output) && /said on stderr/.test(server.output),
    );
    assert.doesNotMatch(server.output, /serving/);
    assert.equal(await server.stop(), 0);
    assert.match(lines().at(-1)!.msg, /stopped/);
  });

  test('a reader of its log that goes away does not end it', async (t) => {
    const server = await serve(t, app);
    const { port } = server;
    server.child.stderr!.destroy();
    server.child.stdout!.destroy();
    for (const signal of ['SIGTTIN', 'SIGHUP', 'SIGTTOU', 'SIGUSR1'] as const) server.signal(signal);
    for (let request = 0; request < 5; request++) assert.equal((await server.get('/', { port })).status, 200);
    server.signal('SIGTERM');
    await eventually('it ends', () => server.exited);
    assert.equal(server.exited?.code, 0);
  });

  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    test(`ends at once with 0 on ${signal} while its configuration is still being evaluated`, async (t) => {
      const site = new Site(t);
      const file = JSON.stringify(site.path('pid'));
      const evaluating = `import { writeFileSync } from 'node:fs'; writeFileSync(${file}, String(process.pid));`;
      site.write('kirin.config.mjs', `${evaluating} for (;;);`);
      const server = run(t, [app], { cwd: site.directory });
      await server.until('the configuration is evaluated', () => existsSync(site.path('pid')));
      server.signal(signal);
      assert.deepEqual(await server.exit(), { code: 0, signal: null });
      assert.equal(server.output, `kirin: stopped by ${signal} before it could start\n`);
    });

  test('evaluates a configuration anew at each reload, and goes on when that fails', async (t) => {
    const site = new Site(t);
    site.write('kirin.config.mjs', 'setInterval(() => {}, 1000); export default { workers: 1 };');
    const server = await serve(t, app, [], { cwd: site.directory });
    await server.settled(1);
    site.write('kirin.config.mjs', 'export default { workers: 2 };');
    assert.match((await server.reload()).msg, /^reload done/);
    await server.settled(2);
    site.write('kirin.config.mjs', 'process.exit(0);');
    assert.match((await server.reload()).msg, /^reload failed.*called process\.exit\(0\)/);
    assert.equal((await server.get()).status, 200);
    assert.equal(await server.stop(), 0);
  });

  test('stops, and leaves nothing, while a reload evaluates a configuration that hangs', async (t) => {
    const site = new Site(t);
    site.write('kirin.config.mjs', 'export default { workers: 1 };');
    const server = await serve(t, app, [], { cwd: site.directory });
    const evaluating = `import { writeFileSync } from 'node:fs'; writeFileSync('there', '');`;
    site.write('kirin.config.mjs', `${evaluating} for (;;);`);
    server.signal('SIGHUP');
    await server.until('the configuration is evaluated', () => existsSync(site.path('there')));
    assert.equal(await server.stop(), 0);
  });

  test('refuses to start twice with one pid file', async (t) => {
    const site = new Site(t);
    const pidfile = site.path('kirin.pid');
    const first = await serve(t, app, ['--pid', pidfile]);
    const second = run(t, ['--pid', pidfile, '-b', '127.0.0.1:0', app]);
    assert.equal((await second.exit()).code, 1);
    assert.match(second.output, new RegExp(String(first.pid)));
    assert.equal(readFileSync(pidfile, 'utf8').trim(), String(first.pid));
  });
});
