/** The inspector that a server serves itself: who gets in, what a page is told, what it may order. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pathOf } from '../../src/actors/control/scene.ts';
import { controlled } from './controlled.ts';
import { dirtyServer, WORK } from './dirty-server.ts';
import { eventually, fixture, launch, serve } from './harness.ts';
import { inspectorOf, openSocket, watchPage } from './inspected.ts';

const HERE = ['--inspector', '127.0.0.1:0'];
const TOKEN = 'a-token-of-some-length';

test('a page sees every process of a server, and what becomes of them', async (t) => {
  const server = await dirtyServer(t, [...HERE, '-w', '2', '--dirty-app', WORK, '--dirty-workers', '1']);
  const page = await watchPage(t, await inspectorOf(server.server));
  await page.until(
    'everybody is seen',
    () => page.isLive && page.roots('web').length === 2 && page.roots('dirtyWorker').length === 1,
  );
  assert.deepEqual(
    [page.hello?.source, page.hello?.control, page.hello?.pid],
    ['live', false, server.server.pid],
  );
  const machines = new Set(page.state.actors.map(({ machine }) => machine));
  for (const one of ['arbiter', 'pool', 'child', 'dirtyTree', 'dirtyArbiter', 'worker', 'controlListener'])
    assert.ok(machines.has(one), one);
  const { pid } = server.server.ready()[0]!;
  process.kill(pid, 'SIGKILL');
  await page.until('it dies', () => page.records.some((one) => one.t === 'ended' && one.pid === pid));
  await page.until('another serves', () => {
    const roots = page.roots('web');
    return roots.length === 2 && roots.every(({ value }) => pathOf(value).includes('serving'));
  });
});

test('with --inspector-control a page orders what kirinc can, and nothing else', async (t) => {
  const server = await serve(t, fixture('app.mjs'), [...HERE, '--inspector-control', '-w', '1']);
  const page = await watchPage(t, await inspectorOf(server));
  await page.until('it is greeted', () => page.hello);
  assert.equal(page.hello?.control, true);
  assert.ok(page.hello?.commands.includes('reload'));
  assert.deepEqual(await page.command('worker', 'add', '1', '--wait'), {
    type: 'answer',
    id: 1,
    ok: true,
    data: { ...((await page.answers[0]!.data) as object) },
  });
  assert.equal((page.answers[0]!.data as { added: number }).added, 1);
  await server.settled(2);
  assert.match(
    (await page.command('worker', 'kill', '1')).data ? JSON.stringify(page.answers.at(-1)) : '',
    /not found/,
  );
  assert.match((await page.command('shutdown')).error!, /Permission denied/);
  assert.match((await page.command('show', 'config')).error!, /Permission denied/);
  assert.match((await page.command('dance')).error!, /Unknown command/);
  assert.equal(server.exited, undefined);
});

test('without --inspector-control nothing can be ordered', async (t) => {
  const server = await serve(t, fixture('app.mjs'), HERE);
  const page = await watchPage(t, await inspectorOf(server));
  const { ok, error } = await page.command('reload');
  assert.deepEqual([ok, /--inspector-control/.test(error!)], [false, true]);
  assert.equal(server.all(/reload/).length, 0);
});

test('pages of other origins, and names that were made to point here, are turned away', async (t) => {
  const server = await serve(t, fixture('app.mjs'), HERE);
  const url = await inspectorOf(server);
  const port = Number(url.port);
  const status = async (headers: Record<string, string>, path = '/recording.jsonl') =>
    (await server.get(path, { port, headers })).status;
  const host = `127.0.0.1:${port}`;
  assert.equal(await status({ host }), 200);
  assert.equal(await status({ host: `localhost:${port}`, origin: `http://localhost:${port}` }), 200);
  assert.equal(await status({ host: `rebound.example:${port}` }), 403);
  assert.equal(await status({ host: `127.0.0.1.rebound.example:${port}` }), 403);
  assert.equal(await status({ host, origin: 'https://elsewhere.example' }), 403);
  assert.equal(await status({ host, origin: `http://127.0.0.1:${port + 1}` }), 403);
  assert.equal(await status({ host, origin: 'null' }), 403);
  for (const path of ['/live', '/stately'])
    for (const headers of [{ origin: 'https://elsewhere.example' }, { host: 'rebound.example' }])
      await assert.rejects(openSocket(t, new URL(path, url), { headers }), /refused: 403/);
  await assert.rejects(openSocket(t, new URL('/other', url)), /refused: 404/);
  const { headers } = await server.get('/', { port });
  assert.match(String(headers['content-security-policy']), /^default-src 'none'; script-src 'self'/);
  assert.equal(headers['cross-origin-resource-policy'], 'same-origin');
  for (const path of [
    '/../package.json',
    '/%2e%2e/kirin.js',
    '/..%2fkirin.js',
    '//kirin.js',
    '/.hidden.js',
    '/kirin.js',
  ])
    assert.equal(await status({ host }, path), 404, path);
});

test('with a token nobody enters without it, and it is shown nowhere', async (t) => {
  const server = await controlled(t, [...HERE, '-w', '1', '--inspector-token', TOKEN]);
  const url = await inspectorOf(server.server);
  const port = Number(url.port);
  const get = (path: string, headers = {}) => server.server.get(path, { port, headers });
  assert.equal((await get('/recording.jsonl')).status, 401);
  assert.equal((await get(`/?token=${TOKEN}x`)).status, 403);
  await assert.rejects(openSocket(t, new URL('/live', url)), /refused: 401/);
  const { status, headers } = await get(`/?token=${TOKEN}`);
  assert.deepEqual([status, headers.location], [303, '/']);
  const [set] = headers['set-cookie']!;
  assert.match(set!, /; HttpOnly; SameSite=Lax; Path=\/$/);
  const cookie = set!.split(';')[0]!;
  assert.equal((await get('/recording.jsonl', { cookie })).status, 200);
  assert.equal((await get('/recording.jsonl', { cookie: `${cookie}0` })).status, 401);
  const page = await watchPage(t, url, { headers: { cookie } });
  await page.until('it is told', () => page.isLive);
  const told = JSON.stringify([
    page.state,
    page.records,
    server.server.lines,
    await server.ask('show config'),
  ]);
  assert.equal(told.includes(TOKEN), false);
});

test('an inspector whose address is in use is no reason not to serve', async (t) => {
  const first = await serve(t, fixture('app.mjs'), HERE);
  const { host } = await inspectorOf(first);
  const second = launch(t, fixture('app.mjs'), ['--inspector', host]);
  await second.told(/^no inspector at .*: the address is in use; tried again every 10 s/);
  await second.told(/^serving /);
});

test('who watches is told when the server stops', async (t) => {
  const server = await serve(t, fixture('app.mjs'), HERE);
  const page = await watchPage(t, await inspectorOf(server));
  await page.until('it is told', () => page.isLive);
  assert.equal(await server.stop(), 0);
  await eventually('it is closed', () => page.closed);
  assert.equal(page.bye, 'the server has stopped');
});
