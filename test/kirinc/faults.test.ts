/** Sockets that are none, servers that misbehave, and connections that end: one line each, and never a hang. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { encodeFrame } from '../../src/actors/control/frames.ts';
import { Client } from '../../src/cli/kirinc/client.ts';
import { connectError } from '../../src/cli/kirinc/errors.ts';
import { Session } from '../../src/cli/kirinc/session.ts';
import { eventually, Site } from '../system/harness.ts';
import { Running, run } from './run.ts';
import { type Handler, STATS, StandIn, stock } from './stand-in.ts';

const ask = (t: TestContext, site: Site, ...commands: string[]) =>
  run(
    t,
    (commands.length > 0 ? commands : ['show stats']).flatMap((one) => ['-c', one]),
    { cwd: site.directory },
  );

/** Listens on the socket and does what it is told with each connection. */
async function listen(t: TestContext, site: Site, server: net.Server): Promise<void> {
  await new Promise<void>((resolve) => server.listen(site.path('kirin.ctl'), resolve));
  t.after(() => server.close());
}

async function failsWith(t: TestContext, site: Site, error: RegExp): Promise<void> {
  const { code, out, err } = await ask(t, site);
  assert.match(err, error);
  assert.deepEqual([code, out, err.split('\n').length], [1, '', 2], err);
}

describe('a path', { concurrency: 2 }, () => {
  test('where nothing is', async (t) => {
    const site = new Site(t);
    await failsWith(
      t,
      site,
      /^Error: No such file or directory - kirin\.ctl: is Kirin running in this directory\? Name its socket with -s PATH\n$/,
    );
  });

  test('that a killed server has left', async (t) => {
    const site = new Site(t);
    const left = `require('node:net').createServer().listen('kirin.ctl', () => process.kill(process.pid, 'SIGKILL'))`;
    const { spawnSync } = await import('node:child_process');
    spawnSync(process.execPath, ['-e', left], { cwd: site.directory });
    await failsWith(t, site, /^Error: Connection refused - kirin\.ctl: nobody listens there any more/);
  });

  test('of a file', async (t) => {
    const site = new Site(t);
    site.write('kirin.ctl', 'text');
    await failsWith(t, site, /^Error: Not a control socket - kirin\.ctl: it is a file; /);
  });

  test('of a directory', async (t) => {
    const site = new Site(t);
    mkdirSync(site.path('kirin.ctl'));
    await failsWith(t, site, /^Error: Not a control socket - kirin\.ctl: it is a directory; /);
  });

  test('through a file', async (t) => {
    const site = new Site(t);
    site.write('file', '');
    const { code, err } = await run(t, ['-s', 'file/kirin.ctl', '-c', 'help'], { cwd: site.directory });
    assert.match(err, /^Error: Not a directory - file\/kirin\.ctl: a part of the path is not a directory\n$/);
    assert.equal(code, 1);
  });

  test('that is too long', async (t) => {
    const path = `/${'x'.repeat(200)}`;
    const { code, err } = await run(t, ['-s', path, '-c', 'help'], { cwd: '/' });
    assert.match(err, /^Error: File name too long - \/x+: a socket may have about 100 bytes/);
    assert.equal(code, 1);
  });

  test('that belongs to somebody else', async (t) => {
    const site = new Site(t);
    const server = await StandIn.listen(t, site.path('kirin.ctl'), stock);
    chmodSync(site.path('kirin.ctl'), 0o600);
    const refused = Object.assign(new Error('connect EACCES'), { code: 'EACCES', errno: -13 });
    assert.match(
      connectError(refused, site.path('kirin.ctl')).message,
      /^Permission denied - .*: it belongs to uid \d+ with mode 0600; become that user, or set control_socket_mode$/,
    );
    assert.match(
      connectError(refused, '/nowhere/kirin.ctl').message,
      /^Permission denied - .*: you may not enter its directory; become the user that runs Kirin$/,
    );
    await server.stop();
  });
});

describe('a server', { concurrency: 2 }, () => {
  test('that speaks HTTP', async (t) => {
    const site = new Site(t);
    await listen(t, site, http.createServer());
    await failsWith(t, site, /^Error: Not a control socket - kirin\.ctl: what listens there speaks another/);
  });

  for (const [name, bytes, error] of [
    ['greets with text', Buffer.from('220 mail.example ESMTP\r\n'), /Not a control socket/],
    ['sends a frame that is not JSON', Buffer.from('\0\0\0\x05hello'), /Not a control socket/],
    ['sends a frame without a status', encodeFrame({ id: 1 }), /Not a control socket/],
    [
      'answers what was not asked',
      encodeFrame({ id: 9, status: 'ok' }),
      /Protocol error - kirin\.ctl: an answer/,
    ],
    ['gives no reason', encodeFrame({ id: 1, status: 'error' }), /^Error: the server gave no reason/],
    [
      'speaks of the connection',
      encodeFrame({ id: null, status: 'error', error: 'Too many connections' }),
      /^Error: Too many connections\n/,
    ],
  ] as const)
    test(`that ${name}`, async (t) => {
      const site = new Site(t);
      await listen(
        t,
        site,
        net.createServer((socket) => socket.on('error', () => {}).write(bytes)),
      );
      await failsWith(t, site, error);
    });

  for (const [name, rest] of [
    ['an endless frame', Buffer.from([0x7f, 0xff, 0xff, 0xff, 1, 2])],
    ['garbage', Buffer.from([0, 0, 0, 2, 1, 2])],
  ] as const)
    test(`that sends ${name} after a good answer`, async (t) => {
      const site = new Site(t);
      let answers = 0;
      await StandIn.listen(t, site.path('kirin.ctl'), ({ ok, socket }) => {
        if (++answers === 1) ok(STATS);
        else socket.write(rest);
      });
      const { code, err } = await ask(t, site, 'show stats', 'show stats');
      assert.match(err, /^Error: Protocol error - kirin\.ctl: a reply /);
      assert.equal(code, 1);
    });

  test('that ends in the middle of a reply', async (t) => {
    const site = new Site(t);
    await listen(
      t,
      site,
      net.createServer((socket) => socket.on('error', () => {}).end(Buffer.from([0, 0, 1, 0, 1]))),
    );
    await failsWith(t, site, /^Error: Not a control socket/);
  });

  test('that answers byte by byte', async (t) => {
    const site = new Site(t);
    await StandIn.listen(t, site.path('kirin.ctl'), ({ socket, request }) => {
      for (const byte of encodeFrame({ id: request.id, status: 'ok', data: STATS }))
        socket.write(Buffer.from([byte]));
    });
    assert.match((await ask(t, site)).out, /Uptime: +2h 15m 30s/);
  });

  test('whose reply is as large as it may be', async (t) => {
    const site = new Site(t);
    const name = 'x'.repeat(16 * 1024 * 1024 - 100);
    await StandIn.listen(t, site.path('kirin.ctl'), ({ ok }) => ok({ name }));
    const { code, out } = await ask(t, site, 'show config');
    assert.equal(code, 0);
    assert.equal(out.length, name.length + 'name: \n'.length);
  });
});

describe('time', { concurrency: 2 }, () => {
  const limits = { answerMs: 50, aliveMs: 10 };

  test('is limited for an answer', async (t) => {
    const site = new Site(t);
    await StandIn.listen(t, site.path('kirin.ctl'), () => {});
    const client = await Client.connect(site.path('kirin.ctl'), limits);
    await assert.rejects(client.ask(['show', 'stats']).answer, {
      message: /^Timed out - .*: no answer within 0\.05 s; is the server stopped or overloaded\?$/,
    });
    assert.ok(client.lost);
  });

  test('is not limited for an order that is waited for, as long as the server lives', async (t) => {
    const site = new Site(t);
    let looks = 0;
    let finish = (): void => {};
    await StandIn.listen(t, site.path('kirin.ctl'), ({ words, ok, fail }) => {
      if (words[0] === 'reload') finish = () => ok({ success: true });
      else if (++looks < 20) fail('Unknown command: show version');
      else finish();
    });
    const client = await Client.connect(site.path('kirin.ctl'), { ...limits, answerMs: 5000 });
    assert.deepEqual(await client.ask(['reload', '--wait'], { onProgress: () => {} }).answer, {
      success: true,
    });
    client.close();
  });

  test('is limited where the server answers nothing any more', async (t) => {
    const site = new Site(t);
    await StandIn.listen(t, site.path('kirin.ctl'), () => {});
    const client = await Client.connect(site.path('kirin.ctl'), limits);
    await assert.rejects(client.ask(['reload', '--wait'], { onProgress: () => {} }).answer, /Timed out/);
  });
});

describe('a connection that is lost', { concurrency: 2 }, () => {
  /** Answers the first request and ends; what it is asked then, by connection. */
  async function dropping(t: TestContext, first: Handler) {
    const site = new Site(t);
    const server = await StandIn.listen(t, site.path('kirin.ctl'), (peer) => {
      if (server.requests.length === 1) first(peer);
      else stock(peer);
    });
    return { site, server };
  }

  test('between two commands is made again, and that is told', async (t) => {
    const { site, server } = await dropping(t, ({ ok, socket }) => {
      ok(STATS);
      socket.end();
    });
    const { code, out, err } = await ask(t, site, 'show stats', 'show listeners');
    assert.deepEqual([code, err], [0, 'Reconnected to kirin.ctl\n']);
    assert.match(out, /Uptime[\s\S]*ADDRESS/);
    // It may have been sent into the old connection before that was seen to have ended.
    assert.deepEqual([...new Set(server.commands)], ['show stats', 'show listeners']);
  });

  test('before the answer to a look, the look is repeated', async (t) => {
    const { site, server } = await dropping(t, ({ socket }) => socket.destroy());
    const { code, out } = await ask(t, site);
    assert.equal(code, 0);
    assert.match(out, /Uptime/);
    assert.deepEqual(server.commands, ['show stats', 'show stats']);
  });

  test('before the answer to an order, the order is not repeated', async (t) => {
    const { site, server } = await dropping(t, ({ socket }) => socket.destroy());
    const { code, err } = await ask(t, site, 'reload', 'show stats');
    assert.equal(
      err,
      'Error: Connection lost - kirin.ctl: the server ended before it answered "reload"; ' +
        'look whether it was carried out before you repeat it\n',
    );
    assert.equal(code, 1);
    assert.deepEqual(server.commands, ['reload', 'show stats']);
  });

  test('again and again is given up', async (t) => {
    const site = new Site(t);
    const server = await StandIn.listen(t, site.path('kirin.ctl'), ({ socket }) => socket.destroy());
    await failsWith(t, site, /^Error: Connection lost - kirin\.ctl: the server ended before it answered\n$/);
    assert.equal(server.requests.length, 2);
  });

  test('while nobody is there any more ends as one that never was', async (t) => {
    const site = new Site(t);
    const server = await StandIn.listen(t, site.path('kirin.ctl'), (peer) => {
      if (server.requests.length > 1) return;
      rmSync(site.path('kirin.ctl'));
      stock(peer);
      peer.socket.end();
    });
    const { code, err } = await ask(t, site, 'shutdown', 'show stats');
    assert.match(err, /^Error: No such file or directory - kirin\.ctl: /);
    assert.equal(code, 1);
    await server.stop();
  });

  test('is made again once for all who ask at the same time', async (t) => {
    const site = new Site(t);
    const server = await StandIn.listen(t, site.path('kirin.ctl'), stock);
    const told: string[] = [];
    const session = new Session(site.path('kirin.ctl'), (line) => told.push(line));
    await session.open();
    await session.ask({ words: ['show', 'stats'], repeatable: true });
    server.dropAll();
    await Promise.all([1, 2, 3].map(() => session.ask({ words: ['show', 'stats'], repeatable: true })));
    assert.equal(server.sockets.size, 1);
    assert.deepEqual(told, [`Reconnected to ${session.path} (pid 12345)`]);
    session.close();
  });
});

describe('an order that is waited for', { concurrency: 2 }, () => {
  const steps: Handler = ({ request, progress, ok }) => {
    if (request.stream !== true) return ok({ success: true });
    progress({ step: 'worker 5 is starting', done: 0, total: 2 });
    progress({ step: 'thinking\u001b[2J', done: 1, total: null });
    ok({ success: false, status: 'failed', error: 'no', stack: 'Error: no\n    at x' });
  };

  test('tells its steps on standard error, a line each, and fails if it has failed', async (t) => {
    const site = new Site(t);
    const server = await StandIn.listen(t, site.path('kirin.ctl'), steps);
    const { code, out, err } = await ask(t, site, 'reload --wait');
    assert.equal(err, '[0/2] worker 5 is starting\nthinking\\u001b[2J\n');
    assert.deepEqual(JSON.parse(out).status, 'failed');
    assert.equal(code, 1);
    assert.deepEqual(server.requests, [{ id: 1, command: 'reload --wait', args: [], stream: true }]);
  });

  test('is a plain order for a server that knows no steps', async (t) => {
    const site = new Site(t);
    await StandIn.listen(t, site.path('kirin.ctl'), stock);
    const { code, err } = await ask(t, site, 'worker add 2 --wait');
    assert.deepEqual([code, err], [0, '']);
  });
});

test('events are printed as they come, as text and as JSON', async (t) => {
  const site = new Site(t);
  const event = { seq: 1, time: '2026-01-01T00:00:00.000Z', level: 'info', text: 'worker 3 is ready' };
  await StandIn.listen(t, site.path('kirin.ctl'), ({ progress }) => {
    progress({ event });
    progress({ dropped: 4 });
    progress({ event });
  });
  const line = '2026-01-01T00:00:00.000Z info  worker 3 is ready\n';
  for (const [args, out] of [
    [['-c', 'ev'], line + line],
    [['-j', '-c', 'ev'], `${JSON.stringify({ event })}\n{"dropped":4}\n${JSON.stringify({ event })}\n`],
  ] as const) {
    const running = new Running(t, args, { cwd: site.directory });
    await eventually('they are printed', () => running.out === out);
    running.child.kill('SIGINT');
    const { code, err } = await running.ended;
    assert.equal(code, 130);
    assert.match(err, /4 events were lost/);
  }
});

test('events go on when the server is replaced', async (t) => {
  const site = new Site(t);
  const tell: Handler = ({ progress }) => progress({ event: { time: 'now', level: 'info', text: 'up' } });
  const server = await StandIn.listen(t, site.path('kirin.ctl'), tell);
  const running = new Running(t, ['-c', 'events'], { cwd: site.directory });
  await eventually('the first is printed', () => running.out === 'now info  up\n');
  server.dropAll();
  await eventually('the second is printed', () => running.out === 'now info  up\n'.repeat(2));
  assert.equal(running.err, 'Reconnected to kirin.ctl\n');
});

test('a question mark at the end of a command lists what can follow', async (t) => {
  const site = new Site(t);
  const expected = '  graceful\n  quick\n  --wait     Answer when it is done\n';
  const text = (out: string) => out.replace(/^ {2}<Enter>.*\n/, '');
  // Without a server everything that Kirin knows is offered.
  const alone = await run(t, [], { cwd: site.directory, input: 'shutdown ?\n' });
  assert.deepEqual([alone.code, alone.err, text(alone.out)], [0, '', expected]);
  await StandIn.listen(t, site.path('kirin.ctl'), stock);
  const { code, out } = await ask(t, site, 'worker kill ?', 'show s?');
  assert.equal(code, 0);
  assert.match(out, /12346 +Worker of age 1/);
  assert.match(out, / {2}stats +Show statistics\n$/);
});
