/** Scripts that call listen() themselves, unchanged. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import test from 'node:test';
import { freePort } from '../system/client.ts';
import { bind, get, serve } from './app-process.ts';

test("a script's listen takes our listener, with callback, 'listening' and address", async (t) => {
  const worker = await serve(t, 'script.cjs', { env: { PORT: '3000' }, slot: 0 });
  assert.equal((await worker.get('/x')).body, 'script /x');
  await worker.until('all callbacks', () => worker.stdout.split('\n').length === 4);
  const lines = worker.stdout.trim().split('\n').sort();
  // The same port on another host only looks as if it listened; an ephemeral one is the app's own business.
  assert.deepEqual(lines, [`again true ${worker.port}`, 'listening', 'own true']);
  assert.deepEqual(worker.notices(), [
    `info: script asked for 0.0.0.0:3000, serving 127.0.0.1:${worker.port}`,
    'info: script asked for ::1:3000 too, which is served already',
    'info: script listens on 0 itself, in this worker',
  ]);
});

for (const [name, app, body] of [
  ['later than its module ended', 'script-late.mjs', 'late'],
  ['before a top-level await that waits for ever', 'script-forever.mjs', 'forever'],
  ['on a path', 'script-path.mjs', 'by path'],
] as const) {
  test(`a script that listens ${name} is served`, async (t) => {
    const worker = await serve(t, app);
    assert.equal((await worker.get()).body, body);
  });
}

test('a script that listens on a path leaves no socket there', async (t) => {
  await serve(t, 'script-path.mjs');
  assert.equal(existsSync('/tmp/kirin-test-never-bound.sock'), false);
});

test('an app that is exported and listens later is served once, and believes that it listens', async (t) => {
  const worker = await serve(t, 'express-late.mjs', { slot: 0 });
  await worker.until('the callback', () => worker.stdout === 'late true\n');
  assert.equal((await worker.get()).body, 'express late');
  assert.deepEqual(worker.notices(), ['info: script asked for 3000 too, which is served already']);
});

test('a listen beats an export, and a factory may listen', async (t) => {
  assert.equal((await (await serve(t, 'listen-and-export.mjs')).get()).body, 'listened');
  assert.equal((await (await serve(t, 'factory-listens.mjs')).get()).body, 'listened in a factory');
});

test('looking for a free port makes nobody serve', async (t) => {
  const worker = await serve(t, 'probes.mjs');
  await worker.until('both ports', () => worker.stdout === 'free: true\nfree: true\n');
  assert.equal((await worker.get()).body, 'after probes');
});

for (const [how, body] of [
  ['export', 'exported'],
  ['listen', 'listened'],
] as const) {
  test(`a server that is closed before it was ready is forgotten, and clients wait for the next: ${how}`, async (t) => {
    const worker = await serve(t, 'probes-fixed.mjs', { env: { HOW: how }, bounds: [bind(t), bind(t)] });
    for (const { port } of worker.bounds) assert.equal((await get({ port })).body, body);
    assert.ok(worker.notices().includes('info: the app closed the server that listened; it is forgotten'));
    assert.equal(worker.heard('recycleDue'), undefined);
    assert.deepEqual(await worker.order({ order: 'drain', ms: 5_000 }), { cut: 0 });
  });
}

test('a server that is exported may have listened on any port', async (t) => {
  assert.equal((await (await serve(t, 'ephemeral-export.mjs')).get()).body, 'exported');
});

test('a named export is served, whatever else listens', async (t) => {
  const port = await freePort();
  const env = { METRICS_PORT: String(port) };
  const worker = await serve(t, 'metrics.mjs', { exportName: 'app', env, slot: 0 });
  assert.equal((await worker.get()).body, 'app');
  await worker.until('metrics', () =>
    worker.notices().includes(`debug: script listens on 127.0.0.1:${port} itself`),
  );
  assert.equal((await get({ port })).body, 'metrics');
  await worker.until('that it hears that once', () => worker.stdout === 'metrics listening\n');
});

for (const [exportName, body] of [
  ['listening', 'listening'],
  ['fast', 'fast'],
  ['make', 'made'],
] as const) {
  test(`a named export that listens itself is taken: ${exportName}`, async (t) => {
    const env = exportName === 'make' ? {} : { LISTEN: '1' };
    const worker = await serve(t, 'metrics.mjs', { exportName, env });
    assert.equal((await worker.get()).body, body);
    if (exportName === 'listening') {
      const lines = ['', 'app listening', 'at 3000', 'metrics listening'].join();
      await worker.until('all lines', () => worker.stdout.split('\n').sort().join() === lines);
    }
    assert.deepEqual(await worker.order({ order: 'drain', ms: 5_000 }), { cut: 0 });
  });
}

test('a further port is listened on in one worker, and by the next when that one has left', async (t) => {
  const port = await freePort();
  const env = { METRICS_PORT: String(port) };
  const first = await serve(t, 'two-ports.cjs', { env, slot: 0 });
  const metrics = async () => (await get({ port })).body;
  assert.equal(await metrics(), `metrics of ${first.child.pid}`);
  const other = await serve(t, 'two-ports.cjs', { env, slot: 1 });
  const next = await serve(t, 'two-ports.cjs', { env, slot: 0, bounds: first.bounds });
  for (const worker of [first, other, next]) {
    await worker.until('the callback', () => worker.stdout === `listening\n${port}\n`);
    assert.equal((await worker.get()).body, 'site');
  }
  assert.equal(await metrics(), `metrics of ${first.child.pid}`);
  first.child.kill('SIGKILL');
  await next.until('its turn', () =>
    next.notices().includes(`debug: script listens on 127.0.0.1:${port} itself`),
  );
  assert.equal(await metrics(), `metrics of ${next.child.pid}`);
  for (const worker of [first, other, next])
    assert.ok(
      !worker.notices().some((notice) => notice.startsWith('warn')),
      'on this machine alone is no fault',
    );
  assert.equal(next.stdout, `listening\n${port}\n`, 'it hears that once');
});

test('a Fastify script is served and closed by its own SIGTERM listener', async (t) => {
  const worker = await serve(t, 'fastify-script.mjs');
  assert.equal((await worker.get()).body, 'fastify script');
  await worker.until('onListen', () => worker.stdout.includes('onListen'));
  assert.match(worker.stdout, new RegExp(`at http://127\\.0\\.0\\.1:${worker.port}\n`));
  await worker.order({ order: 'drain', ms: 2_000 });
  worker.send({ order: 'close', ms: 10_000 });
  assert.deepEqual(await worker.exit(), { code: 0, signal: null });
  assert.match(worker.stdout, /closed\nbye\n$/);
});

test('server.close(callback) of an app calls back without an error after a drain', async (t) => {
  const worker = await serve(t, 'script-closes.mjs');
  await worker.order({ order: 'drain', ms: 2_000 });
  // What it prints goes another way than its answer.
  await worker.until("its 'close'", () => worker.stdout === "'close' once\n");
  worker.send({ order: 'close', ms: 10_000 });
  assert.deepEqual(await worker.exit(), { code: 5, signal: null });
  assert.equal(worker.stdout, "'close' once\nclosed undefined\n");
});

test('an app that closes its own server says so and asks to be recycled', async (t) => {
  const worker = await serve(t, 'script-closes.mjs');
  await worker.get('/close');
  await worker.until('the notice', () => worker.heard('recycleDue'));
  assert.match(worker.notices().join('\n'), /warn: the app closed its own server/);
});

test('what a script throws after it served is its own crash', async (t) => {
  const worker = await serve(t, 'script-crashes.mjs');
  await worker.get('/');
  assert.deepEqual(await worker.exit(), { code: 1, signal: null });
  assert.match(worker.stderr, /TypeError: lost the database\n\s+at .*script-crashes\.mjs:8/);
});
