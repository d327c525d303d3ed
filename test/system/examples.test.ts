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

  after(() => {
    const folders = readdirSync('examples', { withFileTypes: true }).filter((entry) => entry.isDirectory());
    assert.deepEqual(folders.map(({ name }) => name).sort(), [...tried].sort(), 'every example is tested');
    const readme = readFileSync('examples/README.md', 'utf8');
    for (const name of tried) assert.ok(readme.includes(`(${name}/app.`), `${name} is in examples/README.md`);
  });
});
