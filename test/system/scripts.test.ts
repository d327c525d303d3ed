/** Scripts written without Kirin in mind, each a pattern that real packages follow (see docs/scripts.md). */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import WebSocket from 'ws';
import { freePort } from './client.ts';
import { launch, Server, type ServerOptions, Site, serve } from './harness.ts';

const script = (name: string): string => `test/fixtures/scripts/${name}`;

/** Two workers of it, both ready. */
async function two(
  t: TestContext,
  name: string,
  args: string[] = [],
  options: ServerOptions = {},
): Promise<Server> {
  const server = await serve(t, script(name), ['-w', '2', ...args], options);
  await server.settled(2);
  return server;
}

/** What a connection to the port is told, once it was told `text` itself. */
async function talk(port: number, text = ''): Promise<string> {
  const socket = net.connect(port, '127.0.0.1');
  socket.setEncoding('utf8').write(text);
  const [answer] = await once(socket, 'data');
  socket.destroy();
  return String(answer);
}

/** Whether this Node.js tells an ES module that it is the main one. */
const knowsMain = 'main' in import.meta;

interface Expected {
  body: string | RegExp;
  /** What it asked for; undefined: the port that it was given in PORT. */
  asked?: string;
  printed?: (port: number) => string;
}

const scripts: Record<string, Expected> = {
  'generated/bin/www': { body: /^port \d+$/, printed: (port) => `Listening on port ${port}` },
  'guard-main.js': { body: 'started by itself', asked: '3000', printed: () => 'file true true' },
  'alone.cjs': { body: '1 true 2', asked: '3000' },
  'guard-parent.js': { body: 'started by itself', asked: '0.0.0.0:8080' },
  'esm-by-syntax.js': { body: 'an ES module', asked: '3000' },
  'koa.js': { body: 'Hello World', asked: '3000' },
  'fastify.mjs': { body: '{"hello":"world"}', asked: 'localhost:3000' },
  'hono.mjs': { body: 'Hello Hono!', asked: '3000', printed: (port) => `on port ${port}` },
  'awaited.mjs': { body: /hello/, asked: '4000', printed: (port) => `ready at port ${port}` },
  'bootstrap.js': { body: 'prepared' },
  'attached.js': { body: 'page', asked: '3000' },
};

describe('an unchanged script', { concurrency: 2 }, () => {
  for (const [name, { body, asked, printed }] of Object.entries(scripts))
    test(`${name} is served by two workers, survives a reload, and stops`, async (t) => {
      const server = await two(t, name);
      const line = `script asked for ${asked ?? server.port}, serving ${server.addresses[0]}`;
      const told = server.all(/script asked for .*, serving/).filter(({ level }) => level === 'info');
      assert.deepEqual(
        told.map(({ msg }) => msg.replace(/^.*\): /, '')),
        [line],
      );
      const { text } = await server.get('/');
      if (typeof body === 'string') assert.equal(text, body);
      else assert.match(text, body);
      if (name === 'generated/bin/www') assert.equal(text, `port ${server.port}`);
      if (printed) await server.printed(new RegExp(`^${printed(server.port)}$`, 'm'));
      assert.match((await server.reload()).msg, /^reload done/);
      await server.settled(2, 2);
      assert.equal((await server.get('/')).status, 200);
      assert.equal(await server.stop(), 0, server.tail());
    });

  test('that starts itself where import.meta.main is known, is started where Node.js knows it', async (t) => {
    const server = await two(t, 'guard-meta.mjs');
    assert.equal((await server.get('/')).text, knowsMain ? 'started by itself true' : 'exported undefined');
  });

  test('that asks for import.meta.main and throws is a start that failed, in one line', async (t) => {
    const server = launch(t, script('guard-meta-throws.mjs'));
    assert.equal((await server.exit()).code, 4);
    assert.equal(
      server.all(/could not boot.*: cannot load .*guard-meta-throws\.mjs: no database \(.*mjs:1\)/).length,
      1,
    );
  });

  test('that chats over WebSockets is served, on whatever worker', async (t) => {
    for (const name of ['chat.mjs', 'attached.js']) {
      const server = await two(t, name);
      const socket = new WebSocket(`ws://127.0.0.1:${server.port}`);
      await once(socket, 'open');
      socket.send('hello');
      assert.equal(String((await once(socket, 'message'))[0]), 'said hello');
      socket.close();
      await once(socket, 'close');
    }
  });

  test('that is a command gets its arguments, is served though it listens on any port, and ends when it lets go', async (t) => {
    // By its grace alone it would be there for minutes.
    const options = ['-w', '2', '-b', '127.0.0.1:0', '--graceful-timeout', '600'];
    const server = new Server([...options, script('static-server.js'), '--', 'public', '--single']);
    t.after(() => server.dispose());
    await server.told(/^serving /);
    await server.settled(2);
    assert.equal((await server.get('/')).text, 'public --single');
    assert.equal(server.all(/script asked for 0, serving/).filter(({ level }) => level === 'info').length, 1);
    assert.equal(await server.stop(), 0);
    assert.match(server.output, /^closing$/m);
  });

  test('says what it is asked for once, and warns once of a further port, which one worker has', async (t) => {
    const port = await freePort();
    const server = await two(t, 'broker.js', [], { env: { BROKER: String(port) } });
    assert.equal((await server.get('/')).text, 'site');
    assert.equal(await talk(port), 'broker\n');
    await server.printed(/broker listens\n[\s\S]*broker listens\n/);
    const warned = server.lines.filter(({ level }) => level === 'warn').map(({ msg }) => msg);
    assert.equal(warned.length, 1, server.tail());
    assert.match(warned[0]!, new RegExp(`script also listens on 0\\.0\\.0\\.0:${port} by itself`));
  });

  test('that speaks no HTTP is served: on a port', async (t) => {
    const server = await two(t, 'echo.js');
    assert.equal(await talk(server.port, 'hello'), 'hello');
    assert.equal(
      server.all(/script asked for 7000, serving/).filter(({ level }) => level === 'info').length,
      1,
    );
    assert.equal(await server.stop(), 0);
  });

  test('that speaks no HTTP is served: on a path, where nothing is left', async (t) => {
    const site = new Site(t);
    const server = await serve(t, script('pipe.js'), [], { env: { WHERE: site.path('x.sock') } });
    assert.equal(await talk(server.port), 'by path\n');
    assert.throws(() => site.read('x.sock'), { code: 'ENOENT' });
  });

  test('that forks workers of its own is refused in one line', async (t) => {
    const server = launch(t, script('own-cluster.js'));
    assert.equal((await server.exit()).code, 4);
    assert.equal(server.all(/could not boot.*forks workers of its own \(node:cluster\)/).length, 1);
  });

  test('keeps its own limits, unless a flag was given', async (t) => {
    const own = await serve(t, script('timed.js'));
    assert.equal((await own.get('/')).text, '61000,62000,11000');
    const told = await serve(t, script('timed.js'), ['--keep-alive', '7']);
    assert.equal((await told.get('/')).text, '7000,62000,11000');
  });
});

describe('PORT', { concurrency: 2 }, () => {
  test('is the first TCP port that is served, whatever the surroundings say', async (t) => {
    const site = new Site(t);
    const args = ['-b', `unix:${site.path('a.sock')}`, '-b', '127.0.0.1:0', '-b', '127.0.0.1:0'];
    const server = await serve(t, script('generated/bin/www'), args, { env: { PORT: '1' } });
    const port = Number(/:(\d+)$/.exec(server.addresses[1]!)![1]);
    assert.equal((await server.get('/', { port })).text, `port ${port}`);
    assert.equal((await server.get('/', { socketPath: site.path('a.sock') })).text, `port ${port}`);
  });

  test('given for the workers alone stays', async (t) => {
    const server = await serve(t, script('generated/bin/www'), ['--env', 'PORT=4321']);
    assert.equal((await server.get('/')).text, 'port 4321');
    await server.told(/script asked for 4321, serving/);
  });
});
