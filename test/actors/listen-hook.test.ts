/** Scripts that call listen() themselves, unchanged. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import test from 'node:test';
import { serve } from './app-process.ts';

test("a script's listen takes our listener, with callback, 'listening' and address", async (t) => {
  const worker = await serve(t, 'script.cjs', { env: { PORT: '3000' } });
  assert.equal((await worker.get('/x')).body, 'script /x');
  await worker.until('all callbacks', () => worker.stdout.split('\n').length === 4);
  const lines = worker.stdout.trim().split('\n').sort();
  // The same port on another host only looks as if it listened; an ephemeral one is the app's own business.
  assert.deepEqual(lines, [`again true ${worker.port}`, 'listening', 'own true']);
  assert.deepEqual(worker.notices(), [
    `info: the app asked for 0.0.0.0:3000, serving 127.0.0.1:${worker.port}`,
    'info: the app asked for ::1:3000 too; it is served already',
    'info: the app listens on 0 itself, in this worker',
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
  const worker = await serve(t, 'express-late.mjs');
  await worker.until('the callback', () => worker.stdout === 'late true\n');
  assert.equal((await worker.get()).body, 'express late');
  assert.deepEqual(worker.notices(), ['info: the app asked for 3000 too; it is served already']);
});

test('a listen beats an export, and a factory may listen', async (t) => {
  assert.equal((await (await serve(t, 'listen-and-export.mjs')).get()).body, 'listened');
  assert.equal((await (await serve(t, 'factory-listens.mjs')).get()).body, 'listened in a factory');
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
  assert.equal(worker.stdout, "'close' once\n");
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
