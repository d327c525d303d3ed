/** The access log: what a line says, that no line is lost, and that no client writes one of its own. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import http from 'node:http';
import { describe, test } from 'node:test';
import { RawClient } from './client.ts';
import { eventually, fixture, launch, Site, serve } from './harness.ts';

const linesOf = (site: Site, file = 'access.log'): string[] => site.read(file).split('\n').slice(0, -1);

describe('a line of the access log', { concurrency: 2 }, () => {
  test('is that of other servers, by default', async (t) => {
    const site = new Site(t);
    const server = await serve(t, fixture('app.mjs'), ['--access-logfile', site.path('access.log')]);
    const headers = {
      authorization: `Basic ${Buffer.from('ann:secret').toString('base64')}`,
      referer: 'http://here/',
      'user-agent': 'test/1',
    };
    const { text } = await server.get('/a?b=c', { headers });
    const [line] = await eventually('it is written', () =>
      linesOf(site).length === 1 ? linesOf(site) : undefined,
    );
    const time = String.raw`\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]`;
    assert.match(
      line!,
      new RegExp(
        `^127\\.0\\.0\\.1 - ann ${time} "GET /a\\?b=c HTTP/1\\.1" 200 ${text.length} "http://here/" "test/1"$`,
      ),
    );
  });

  test('has what its format asks for', async (t) => {
    const site = new Site(t);
    const format =
      '%(m)s %(U)s %(q)s %(H)s %(s)s %(B)s %(T)s %(M)s %(D)s %(L)s %(p)s %({x-in}i)s %({x-out}o)s %({TEST_VALUE}e)s 100%%';
    const app = site.write(
      'app.mjs',
      `export default (q, s) => { s.setHeader('x-out', 'there'); s.statusCode = 404; setTimeout(() => s.end('body'), 20); };`,
    );
    const log = ['--access-logfile', site.path('access.log'), '--access-logformat', format];
    const server = await serve(t, app, log, { env: { TEST_VALUE: 'value' } });
    const [worker] = await server.settled(1);
    await server.get('/p?q=1', { headers: { 'x-in': 'here' } });
    const [line] = await eventually('it is written', () =>
      linesOf(site).length === 1 ? linesOf(site) : undefined,
    );
    const match =
      /^GET \/p q=1 HTTP\/1\.1 404 4 0 (\d+) (\d+) 0\.(\d{6}) <(\d+)> here there value 100%$/.exec(line!);
    assert.ok(match, line);
    assert.ok(Number(match[1]) >= 19 && Number(match[2]) >= 19_000);
    assert.equal(Number(match[4]), worker!.pid);
  });

  test('is an object as JSON; what a client left is told with what it was sent', async (t) => {
    const site = new Site(t);
    const app = site.write(
      'app.mjs',
      `export default (q, s) => { if (q.url === '/x') return s.end('x'); s.write('some'); };`,
    );
    const server = await serve(t, app, [
      '--access-logfile',
      site.path('access.log'),
      '--access-logformat',
      'json',
    ]);
    const leaver = (await RawClient.connect(server.port)).ask('/never');
    await eventually('it began', () => /some/.test(leaver.text));
    leaver.socket.destroy();
    const [left] = await eventually('it is written', () =>
      linesOf(site).length === 1 ? linesOf(site) : undefined,
    );
    const { path, status, complete, bytes } = JSON.parse(left!) as Record<string, unknown>;
    assert.deepEqual([path, status, complete], ['/never', 200, false]);
    assert.ok(Number(bytes) >= 4);
    await server.get('/x');
    await eventually('the next is written', () => linesOf(site).length === 2);
    assert.equal((JSON.parse(linesOf(site)[1]!) as Record<string, unknown>)['complete'], true);
  });

  test('has requests that wait for another one when their client leaves, and no bytes that were not sent', async (t) => {
    const site = new Site(t);
    const app = site.write(
      'app.mjs',
      `export default (q, s) => {
        if (q.url === '/last') console.log('last');
        if (q.url === '/large') s.writeHead(200, { 'content-length': 1e6 }).write('some');
      };`,
    );
    const format = '%(U)s %(s)s %(B)s';
    const args = ['--access-logfile', site.path('access.log'), '--access-logformat', format];
    const server = await serve(t, app, args);
    const hasty = (await RawClient.connect(server.port)).ask('/first').ask('/second').ask('/last');
    await server.printed(/last/);
    hasty.socket.destroy();
    await eventually('all are written', () => linesOf(site).length === 3);
    assert.deepEqual(linesOf(site), ['/first 499 0', '/second 499 0', '/last 499 0']);
    const leaver = (await RawClient.connect(server.port)).ask('/large');
    await eventually('it began', () => /some/.test(leaver.text));
    leaver.socket.destroy();
    await eventually('it is written', () => linesOf(site).length === 4);
    assert.equal(linesOf(site)[3], '/large 200 4');
  });

  test('of a request that waits for another one has its own time', async (t) => {
    const site = new Site(t);
    // The app tells how long it had each: a request began before, and its answer ends after.
    const app = site.write(
      'app.mjs',
      `const all = [];
      export default (q, s) => {
        const ms = performance.now();
        all.push({ s, ms });
        while (performance.now() < ms + 50);
        if (q.url === '/last')
          setTimeout(() => {
            for (const { s, ms } of all.reverse()) s.setHeader('x-us', Math.floor((performance.now() - ms) * 1000)).end();
          }, 5);
      };`,
    );
    const args = [
      '--access-logfile',
      site.path('access.log'),
      '--access-logformat',
      '%(U)s %(D)s %({x-us}o)s',
    ];
    const server = await serve(t, app, args);
    const hasty = (await RawClient.connect(server.port)).ask('/first').ask('/second').ask('/last');
    await eventually('all are written', () => linesOf(site).length === 3);
    hasty.socket.destroy();
    const lines = linesOf(site).map((line) => line.split(' '));
    assert.deepEqual(
      lines.map(([path]) => path),
      ['/first', '/second', '/last'],
    );
    for (const [path, whole, had] of lines)
      assert.ok(Number(whole) >= Number(had), `${path}: ${whole} ${had}`);
  });

  test('is one line, whatever a client sends', async (t) => {
    const site = new Site(t);
    const server = await serve(t, fixture('app.mjs'), ['--access-logfile', site.path('access.log')]);
    const user = Buffer.from('a b"\n127.0.0.1 - -:x').toString('base64');
    const agent = 'x" 200 "\\ \x01 é'.replace('\x01', '\t');
    const client = await RawClient.connect(server.port);
    client.socket.write(
      `GET /"\\ HTTP/1.1\r\nHost: x\r\nUser-Agent: ${agent}\r\nAuthorization: Basic ${user}\r\n\r\n`,
    );
    await eventually('it is answered', () => /^HTTP\/1\.1/.test(client.text));
    client.socket.destroy();
    await server.get('/second');
    await eventually('both are written', () => linesOf(site).length >= 2);
    const [first, second, ...more] = linesOf(site);
    assert.deepEqual(more, []);
    assert.match(second!, /"GET \/second HTTP/);
    // Each quote within a field is written as one that ends nothing.
    if (/200/.test(first!))
      assert.match(
        first!,
        /^127\.0\.0\.1 - a\\x20b\\"\\x0a127\.0\.0\.1\\x20-\\x20- \[[^\]]+\] "GET \/\\"\\\\ HTTP\/1\.1" 200 \d+ "-" "x\\" 200 \\"\\\\ \\x09 /,
      );
  });
});

describe('the access log', { concurrency: 2 }, () => {
  test('loses no line over 100 renames under load, and has none twice', async (t) => {
    const site = new Site(t);
    const server = await serve(t, fixture('app.mjs'), [
      '-w',
      '2',
      '--access-logfile',
      site.path('access.log'),
    ]);
    await server.settled(2);
    let asked = 0;
    let answered = 0;
    let isDone = false;
    const agent = new http.Agent({ keepAlive: true });
    t.after(() => agent.destroy());
    const load = async (): Promise<void> => {
      while (!isDone) {
        const id = asked++;
        assert.equal((await server.get(`/n${id}n`, { agent })).status, 200);
        answered++;
      }
    };
    const loads = Array.from({ length: 8 }, load);
    const files = (): string[] => readdirSync(site.directory).filter((name) => name.startsWith('access.log'));
    for (let at = 0; at < 100; at++) {
      const before = answered;
      await eventually(
        'there is a file to rename, and load',
        () => files().includes('access.log') && answered > before,
      );
      renameSync(site.path('access.log'), site.path(`access.log.${at}`));
      server.signal('SIGUSR1');
    }
    isDone = true;
    await Promise.all(loads);
    assert.equal(await server.stop(), 0);
    const seen = new Map<number, number>();
    for (const name of files())
      for (const line of readFileSync(site.path(name), 'utf8').split('\n').slice(0, -1)) {
        const id = Number(
          /^127\.0\.0\.1 .* "GET \/n(\d+)n HTTP\/1\.1" 200 \d+ "-" "-"$/.exec(line)?.[1] ?? assert.fail(line),
        );
        seen.set(id, (seen.get(id) ?? 0) + 1);
      }
    assert.ok(asked > 100, `${asked}`);
    assert.equal(seen.size, asked);
    assert.ok([...seen.values()].every((count) => count === 1));
    assert.ok(files().length > 50, `${files().length} files`);
  });

  test('of a worker that crashes has what it answered', async (t) => {
    const site = new Site(t);
    const server = await serve(t, fixture('app.mjs'), ['--access-logfile', site.path('access.log')]);
    for (let at = 0; at < 5; at++) await server.get(`/${at}`);
    await server.get('/crash').catch(() => {});
    await server.told(/worker 2 .* is ready/);
    assert.deepEqual(
      linesOf(site)
        .map((line) => /GET (\S+)/.exec(line)![1])
        .slice(0, 5),
      ['/0', '/1', '/2', '/3', '/4'],
    );
  });

  const onLinux = { skip: process.platform !== 'linux' && 'only Linux has /dev/full' };
  test('has the requests that a worker had in hand when it ended by itself, and metrics have them too', async (t) => {
    const site = new Site(t);
    const log = site.path('access.log');
    const app = site.write(
      'app.mjs',
      `export default (request, response) => {
        const { url } = request;
        if (url === '/held') { response.writeHead(200); response.write('some'); return; }
        if (url === '/exit') process.exit(5);
        if (url === '/throw') setImmediate(() => { throw new Error('late'); });
        else response.end('ok');
      };`,
    );
    for (const end of ['/exit', '/throw']) {
      rmSync(log, { force: true });
      const args = [
        '--access-logfile',
        log,
        '--access-logformat',
        '%(m)s %(U)s %(s)s',
        '--metrics',
        '127.0.0.1:0',
      ];
      const server = await serve(t, app, ['-w', '1', ...args]);
      const metrics = Number(/:(\d+)$/.exec((await server.told(/^metrics at http/)).msg)![1]);
      assert.equal((await server.get('/')).status, 200);
      const held = server.get('/held').catch(() => undefined);
      await eventually('it is held', async () => {
        const { text } = await server.get('/metrics', { port: metrics });
        return /^kirin_worker_in_flight\{[^}]*\} 1$/m.test(text);
      });
      await server.get(end).catch(() => undefined);
      await held;
      await server.told(/^worker 1 .* ended unexpectedly/);
      const lines = readFileSync(log, 'utf8').trim().split('\n').sort();
      assert.deepEqual(lines, ['GET / 200', `GET ${end} 499`, 'GET /held 200'].sort());
      const { text } = await server.get('/metrics', { port: metrics });
      assert.match(text, /^kirin_http_requests_total\{status="200"\} 1$/m);
      assert.match(text, /^kirin_http_requests_aborted_total 2$/m);
      server.signal('SIGTERM');
      await server.exit();
    }
  });

  test('on a full disk is told once, and holds up no worker that leaves', onLinux, async (t) => {
    const args = ['--access-logfile', '/dev/full', '--graceful-timeout', '20'];
    const server = await serve(t, fixture('app.mjs'), args);
    await server.get('/one');
    await server.told(/the access log \/dev\/full cannot be written: ENOSPC/);
    await server.get('/two');
    server.signal('SIGTERM');
    assert.equal((await server.exit()).code, 0);
    assert.deepEqual(server.all(/is killed/), []);
    assert.equal(server.all(/cannot be written/).length, 1);
  });

  test('on a standard output that nobody reads holds up neither requests nor the end', async (t) => {
    const args = ['--access-logfile', '-', '--graceful-timeout', '20'];
    const server = await serve(t, fixture('app.mjs'), args);
    server.child.stdout!.pause();
    const agent = new http.Agent({ keepAlive: true });
    t.after(() => agent.destroy());
    // More than a pipe and its reader take.
    for (let at = 0; at < 300; at++) await server.get(`/${'x'.repeat(4000)}`, { agent });
    agent.destroy();
    server.signal('SIGTERM');
    await server.told(/worker 1 .* ended/);
    assert.deepEqual(server.all(/is killed/), []);
    server.child.stdout!.resume();
    assert.equal((await server.exit()).code, 0);
  });

  test('goes to standard output as "-", and a reload changes it', async (t) => {
    const site = new Site(t);
    site.write('kirin.config.mjs', 'export default { accesslog: "-" };');
    const server = await serve(t, fixture('app.mjs'), [], { cwd: site.directory });
    await server.get('/out');
    await server.printed(/"GET \/out HTTP\/1\.1" 200/);
    site.write('kirin.config.mjs', `export default { accesslog: "access.log", accessLogFormat: "%(U)s" };`);
    assert.match((await server.reload()).msg, /^reload done/);
    await server.settled(1, 2);
    await server.get('/file');
    await eventually('it is in the file', () => linesOf(site).includes('/file'));
  });

  test('that cannot be opened, or has a format that is none, is one line', async (t) => {
    const site = new Site(t);
    const app = fixture('app.mjs');
    const cases: [string[], number, RegExp][] = [
      [
        ['--access-logfile', site.path('none/access.log')],
        1,
        /cannot open the access log .*none\/access\.log: ENOENT/,
      ],
      [
        ['--access-logformat', '%(x)s'],
        2,
        /^kirin: --access-logformat: there is no atom "%\(x\)s": there are h l u t/,
      ],
      [['--access-logformat', '50% of %(h)s'], 2, /"% of %\(h\)s" is no atom/],
    ];
    for (const [args, code, message] of cases) {
      const server = launch(t, app, args);
      assert.equal((await server.exit()).code, code, args.join(' '));
      assert.match(
        `${server.lines.map(({ msg }) => msg).join('\n')}\n${server.output}`,
        new RegExp(message.source, 'm'),
      );
    }
  });
});
