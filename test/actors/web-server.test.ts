/** Accepting on inherited descriptors: several at once, each kind of address, all with the app's own server. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { type TestContext } from 'node:test';
import WebSocket from 'ws';
import { bind, fails, get, launch, serve } from './app-process.ts';

function directory(t: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'kirin-web-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

test('clients queue while the app is being loaded, and are answered then', async (t) => {
  const worker = await launch(t, 'slow-start.mjs');
  await worker.until('the claim', () => worker.heard('claimed'));
  const reply = worker.get('/queued');
  await worker.until('the module', () => worker.stdout.includes('waiting'));
  process.kill(worker.child.pid!, 0);
  worker.child.send({ go: true });
  assert.equal((await reply).body, 'at last');
});

test('the backlog is in force on every listener', { skip: process.platform !== 'linux' }, async (t) => {
  const worker = await serve(t, 'handler.mjs', { bounds: [bind(t), bind(t)], backlog: 77 });
  for (const { port } of worker.bounds) {
    const [, line] =
      execFileSync('ss', ['-ltnH', `( sport = :${port} )`], { encoding: 'utf8' }).match(
        /^LISTEN\s+0\s+(\d+)/,
      ) ?? [];
    assert.equal(line, '77');
  }
});

test('an address in use by another is found before the app is loaded', async (t) => {
  // Bound by both, which the kernel allows; the one who listens first has it.
  const bound = bind(t);
  const other = net.createServer().listen({ host: '127.0.0.1', port: bound.port });
  t.after(() => other.close());
  await once(other, 'listening');
  const fault = await fails(t, 'throws.mjs', { bounds: [bound] });
  assert.equal(fault.code, 'bind.inUse');
  assert.match(fault.message, new RegExp(`127\\.0\\.0\\.1:${bound.port}`));
});

test('serves TCP, IPv6 and a Unix socket at once, all alike', async (t) => {
  const socketPath = path.join(directory(t), 'app.sock');
  const worker = await serve(t, 'many.mjs', { bounds: [bind(t), bind(t, '::1'), bind(t, socketPath, -1)] });
  const [first, second] = worker.bounds;
  const targets = [{ port: first!.port }, { host: '::1', port: second!.port }, { socketPath }];
  for (const target of targets) assert.match((await get({ ...target, path: '/' })).body, /^pid \d+$/);
  assert.equal((await worker.counts()).requests, 3);

  const urls = [`ws://127.0.0.1:${first!.port}/`, `ws://[::1]:${second!.port}/`, `ws+unix:${socketPath}:/`];
  for (const url of urls) {
    const socket = new WebSocket(url);
    await once(socket, 'open');
    socket.send('hello');
    const [text] = await once(socket, 'message');
    assert.equal(String(text), 'echo hello');
    t.after(() => socket.terminate());
  }
  await worker.reach('connections', 3);
  // The app counts the connections of all listeners as its own server's.
  assert.equal((await get({ ...targets[1], path: '/connections' })).body, '4');

  const drained = worker.order<{ cut: number }>({ order: 'drain', ms: 20_000 });
  worker.child.send({ sockets: true });
  assert.deepEqual(await drained, { cut: 0 });
  await worker.until("the server's 'close'", () => worker.stdout === "server 'close'\n");
  assert.ok(existsSync(socketPath), 'the socket file belongs to the arbiter');
});

test('address() is the path where a Unix socket is the first listener', async (t) => {
  const socketPath = path.join(directory(t), 'app.sock');
  const worker = await serve(t, 'http-server.mjs', { bounds: [bind(t, socketPath, -1)] });
  assert.equal((await get({ socketPath })).body, `server ${JSON.stringify(socketPath)}`);
  await worker.order({ order: 'drain', ms: 1_000 });
});

test("time limits of the app's server hold on a further listener", async (t) => {
  const worker = await serve(t, 'impatient.mjs', { bounds: [bind(t), bind(t)] });
  const client = net.connect(worker.bounds[1]!.port, '127.0.0.1');
  client.write('GET / HTTP/1.1\r\nHost: x\r\n');
  let text = '';
  client.setEncoding('utf8').on('data', (data) => {
    text += data;
  });
  await once(client, 'close');
  assert.match(text, /^HTTP\/1\.1 408 /);
});

test('keep-alive: the operator, else what the app chose, else 75 s', async (t) => {
  const keepAlive = async (app: string, options = {}) => {
    const worker = await serve(t, app, options);
    return (await worker.get('/', { headers: { connection: 'keep-alive' } })).headers['keep-alive'];
  };
  assert.equal(await keepAlive('handler.mjs'), 'timeout=75');
  assert.equal(await keepAlive('script.cjs'), 'timeout=75');
  assert.equal(await keepAlive('fastify.mjs'), 'timeout=72');
  assert.equal(await keepAlive('handler.mjs', { keepAliveMs: 9_000 }), 'timeout=9');
  assert.equal(await keepAlive('fastify.mjs', { keepAliveMs: 9_000 }), 'timeout=9');
  const worker = await serve(t, 'http-server.mjs');
  await worker.until('what the app prints', () => /listening with 1234/.test(worker.stdout));
});

test('a worker asks once to be recycled, after the given number of requests', async (t) => {
  const worker = await serve(t, 'handler.mjs', { maxRequests: 3 });
  for (let request = 1; request <= 5; request++) {
    await worker.get();
    assert.equal((await worker.counts()).requests, request);
    if (request < 3) assert.equal(worker.heard('recycleDue'), undefined);
  }
  assert.deepEqual(
    worker.said.filter((each) => each.said === 'recycleDue').map((each) => each['requests']),
    [3],
  );
});

test('a recycling that is due before the worker is ready is told when it is', async (t) => {
  const worker = await launch(t, 'recycles-early.mjs', { maxRequests: 1 });
  await worker.until('the recycling', () => worker.heard('recycleDue'));
  assert.deepEqual(
    worker.said.map(({ said, order }) => order ?? said).filter((word) => word !== 'notice'),
    ['up', 'claimed', 'start', 'recycleDue'],
  );
});

test('a request that asks whether to go on is counted once, though the app emits it again', async (t) => {
  const worker = await serve(t, 'expecting.mjs');
  const asking = { port: worker.port, path: '/', method: 'POST', headers: { expect: '100-continue' } };
  assert.equal((await get(asking, 'x')).body, 'went on');
  assert.equal((await worker.counts()).requests, 1);
  assert.equal((await worker.get()).body, 'went on');
  assert.equal((await worker.counts()).requests, 2);
});

test('counts connections, and those in flight', async (t) => {
  const worker = await serve(t, 'many.mjs');
  const idle = net.connect(worker.port, '127.0.0.1');
  await worker.reach('connections', 1);
  const slow = worker.get('/slow?name=a');
  await worker.reach('inFlight', 1);
  assert.deepEqual(await worker.counts(), {
    requests: 1,
    connections: 2,
    inFlight: 1,
    accepted: 2,
    resting: false,
  });
  worker.child.send({ release: 'a' });
  await slow;
  idle.destroy();
  await worker.reach('connections', 0);
});

test('serves HTTPS with the app’s own server, on every listener', async (t) => {
  const worker = await serve(t, 'https.mjs', { bounds: [bind(t), bind(t)] });
  const { request } = await import('node:https');
  for (const { port } of worker.bounds) {
    const call = request({ host: '127.0.0.1', port, rejectUnauthorized: false, agent: false }).end();
    const [response] = await once(call, 'response');
    assert.equal(response.statusCode, 200);
    response.resume();
    await once(response, 'end');
  }
  assert.equal((await worker.counts()).requests, 2);
  assert.deepEqual(await worker.order({ order: 'drain', ms: 5_000 }), { cut: 0 });
});

test('a second close is the first one: each end runs once', async (t) => {
  const worker = await serve(t, 'closes-slowly.mjs');
  await worker.order({ order: 'drain', ms: 1_000 });
  worker.send({ order: 'close', ms: 20_000 });
  await worker.until('the close', () => worker.stdout.includes('close begins'));
  worker.send({ order: 'close', ms: 20_000 });
  worker.child.send({ go: true });
  await worker.answer('close');
  await worker.answer('close');
  await worker.until('what it printed', () => worker.stdout === 'close begins\nclose ends\n');
});

test("the app's maxConnections counts the connections of all listeners", async (t) => {
  const worker = await serve(t, 'two-at-most.mjs', { bounds: [bind(t), bind(t)] });
  const [first, second] = worker.bounds.map(({ port }) => port);
  const held = [net.connect(first!, '127.0.0.1'), net.connect(second!, '127.0.0.1')];
  t.after(() => held.map((socket) => socket.destroy()));
  await worker.reach('connections', 2);
  await assert.rejects(get({ port: second!, path: '/' }));
  await assert.rejects(get({ port: first!, path: '/' }));
  for (const socket of held) socket.destroy();
  await worker.reach('connections', 0);
  assert.equal((await get({ port: second!, path: '/' })).body, 'two at most');
});
