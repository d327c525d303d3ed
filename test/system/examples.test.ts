/** Each example is served by the real `kirin`, answers as it says, and stops cleanly. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { after, describe, test } from 'node:test';
import WebSocket from 'ws';
import { RawClient } from './client.ts';
import { type Server, serve } from './harness.ts';

const tried = new Set<string>();

interface Expected {
  file?: string;
  path?: string;
  answer: RegExp;
  /** What the app prints when it stops. */
  ends?: RegExp;
}

const examples: Record<string, Expected> = {
  hello: { answer: /^Hello from worker \d+ in slot [01], pid \d+, generation 1\n$/ },
  'esm-handler': { path: '/x?y', answer: /^You asked for \/x\?y\n$/ },
  commonjs: { file: 'app.cjs', answer: /^Up since \d{4}-/, ends: /^closing$/m },
  typescript: { file: 'app.ts', path: '/typed', answer: /^\{"path":"\/typed","typed":true\}$/ },
  express: { path: '/hello/you', answer: /^\{"hello":"you"\}$/ },
  koa: { answer: /^Hello from Koa\n$/ },
  fastify: { path: '/hello/you', answer: /^\{"hello":"you"\}$/, ends: /^Fastify is closed$/m },
  hono: { path: '/hello/you', answer: /^\{"hello":"you"\}$/ },
  fetch: { path: '/x', answer: /^You asked for \/x\n$/ },
  'http-server': { answer: /^Hello from a server, over HTTP\/1\.1\n$/ },
  factory: { answer: /^Hello from the database\n$/, ends: /^the database connection is closed$/m },
  script: { answer: /^Hello from a script\n$/, ends: /^bye$/m },
};

function example(t: Parameters<typeof serve>[0], name: string, file = 'app.js'): Promise<Server> {
  tried.add(name);
  return serve(t, `examples/${name}/${file}`, ['-w', '2']);
}

describe('the examples', { concurrency: 2 }, () => {
  for (const [name, { file, path, answer, ends }] of Object.entries(examples)) {
    test(`${name} answers, survives a reload and stops`, async (t) => {
      const server = await example(t, name, file);
      await server.settled(2);
      const reply = await server.get(path);
      assert.equal(reply.status, 200, server.tail());
      assert.match(reply.text, answer);
      assert.match((await server.reload()).msg, /^reload done/);
      await server.settled(2);
      assert.equal((await server.get(path)).status, 200);
      assert.equal(await server.stop(), 0, server.tail());
      if (ends) assert.match(server.output, ends);
    });
  }

  test('hello shows a page to browsers', async (t) => {
    const server = await example(t, 'hello');
    const { text, headers } = await server.get('/', { headers: { accept: 'text/html,*/*' } });
    assert.equal(headers['content-type'], 'text/html; charset=utf-8');
    assert.match(text, /^<!doctype html>.*<h1>Hello from worker \d+<\/h1>.*<\/main>\n$/s);
  });

  test('script believes that it listens where it asked to', async (t) => {
    const server = await example(t, 'script');
    await server.printed(
      new RegExp(`^listening on \\{ address: '127\\.0\\.0\\.1', .*port: ${server.port} \\}$`, 'm'),
    );
  });

  test('websocket talks, and asks its clients to come back when the server stops', async (t) => {
    const server = await example(t, 'websocket');
    const socket = new WebSocket(`ws://127.0.0.1:${server.port}/`);
    await once(socket, 'open');
    socket.send('hello');
    assert.equal(String((await once(socket, 'message'))[0]), 'You said: hello');
    const closed = once(socket, 'close');
    assert.equal(await server.stop(), 0);
    const [code, reason] = await closed;
    assert.deepEqual([code, String(reason)], [1012, 'restarting']);
  });

  test('server-sent-events streams, and ends its streams whole when the server stops', async (t) => {
    const server = await example(t, 'server-sent-events');
    const client = await RawClient.connect(server.port);
    t.after(() => client.socket.destroy());
    client.socket.write('GET /stream HTTP/1.1\r\nHost: x\r\n\r\n');
    await server.until('an event arrives', () => client.text.includes('data: hello, you asked for /stream'));
    const closed = once(client.socket, 'close');
    assert.equal(await server.stop(), 0);
    await closed;
    assert.match(client.text, /\r\n0\r\n\r\n$/);
  });

  /** As its first lines say that it is started. */
  async function withDirtyWorkers(t: Parameters<typeof serve>[0], name: string): Promise<Server> {
    tried.add(name);
    const [, line] = /^\/\/ {3}kirin (.*)$/m.exec(readFileSync(`examples/${name}/app.js`, 'utf8'))!;
    const args = line!.split(' ');
    const server = await serve(t, args.pop()!, args);
    await server.told(/^dirty workers are ready/);
    return server;
  }

  test('dirty-image draws a picture in a dirty worker, which remembers it', async (t) => {
    const server = await withDirtyWorkers(t, 'dirty-image');
    const page = await server.get('/');
    assert.match(page.text, /<img [^>]*src="\/picture\.png\?size=512"/);
    const { status, headers, text } = await server.get('/picture.png?size=32');
    assert.deepEqual([status, headers['content-type']], [200, 'image/png']);
    assert.match(text, /PNG.*IHDR.*IEND/s);
    const drawn = new Set<unknown>([headers['x-drawn-before']]);
    await server.until('a worker has drawn it before', async () => {
      drawn.add((await server.get('/picture.png?size=32')).headers['x-drawn-before']);
      return drawn.has('true');
    });
    assert.ok(drawn.has('false'));
    for (const size of ['nonsense', '16.5', '-1'])
      assert.equal((await server.get(`/picture.png?size=${size}`)).status, 200);
    assert.match((await server.reload()).msg, /^reload done/);
    assert.equal((await server.get('/picture.png?size=32')).status, 200);
    assert.equal(await server.stop(), 0, server.tail());
  });

  test('dirty-tokens streams from a dirty worker to the browser', async (t) => {
    const server = await withDirtyWorkers(t, 'dirty-tokens');
    assert.match((await server.get('/')).text, /^<!doctype html>.*new EventSource\('\/tokens\?'/s);
    assert.equal((await server.get('/none')).status, 404);
    const whole = server.get('/tokens?prompt=A+good');
    const client = await RawClient.connect(server.port);
    t.after(() => client.socket.destroy());
    client.ask('/tokens?prompt=the+kirin');
    await server.until('a token arrives before the end', () => /data: kirin\n\n/.test(client.text));
    assert.match(client.text, /content-type: text\/event-stream/i);
    client.socket.destroy();
    const { text } = await whole;
    assert.match(text, /^data: good\n\ndata: (ruler|server)\n\n(data: \S+\n\n){58}event: done\ndata:\n\n$/);
    assert.equal(await server.stop(), 0, server.tail());
  });

  test('dirty-sessions keeps sessions over workers and reloads', async (t) => {
    const server = await withDirtyWorkers(t, 'dirty-sessions');
    await server.settled(4);
    const first = await server.get('/');
    const cookie = /^session=[\w-]{24}/.exec(String(first.headers['set-cookie']))![0];
    const mine = { headers: { cookie } };
    const visits = await Promise.all(Array.from({ length: 10 }, () => server.get('/', mine)));
    const counts = visits.map((visit) => visit.json().visits as number).sort((a, b) => a - b);
    assert.deepEqual(counts, [2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    assert.match((await server.reload()).msg, /^reload done/);
    assert.equal((await server.get('/', mine)).json().visits, 12);
    await server.get('/');
    assert.deepEqual((await server.get('/report')).json(), { sessions: 2, visits: 13 });
    assert.deepEqual((await server.get('/leave', mine)).json(), { left: true });
    assert.deepEqual((await server.get('/report')).json(), { sessions: 1, visits: 1 });
    assert.equal(await server.stop(), 0, server.tail());
  });

  after(() => {
    const folders = readdirSync('examples', { withFileTypes: true }).filter((entry) => entry.isDirectory());
    // Those of no app are of places where servers live, and have tests of their own.
    const isApp = (name: string): boolean =>
      readdirSync(`examples/${name}`).some((file) => file.startsWith('app.'));
    const [apps, places] = [true, false].map((is) =>
      folders.flatMap(({ name }) => (isApp(name) === is ? name : [])).sort(),
    );
    assert.deepEqual(apps, [...tried].sort(), 'every example is tested');
    assert.deepEqual(places, ['docker', 'kubernetes', 'systemd']);
    const readme = readFileSync('examples/README.md', 'utf8');
    for (const name of places) assert.ok(readme.includes(`(${name}`), `${name} is in examples/README.md`);
    for (const name of tried) assert.ok(readme.includes(`(${name}/app.`), `${name} is in examples/README.md`);
  });
});
