/** What a real server records, for the time after a crash: bounded, readable however it ended, and no reason not to serve. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { lookThrough, messagesOf } from '../../src/actors/inspect/door/recording-file.ts';
import type { Message } from '../../src/actors/inspect/records.ts';
import { environment } from './dirty-server.ts';
import { eventually, fixture, needsProc, type Server, Site, serve } from './harness.ts';
import { inspectorOf, type PageWatcher, Seen, watchPage } from './inspected.ts';

const HERE = ['--inspector', '127.0.0.1:0', '-w', '2'];
const MIB = 1024 * 1024;
const BYTES_MAX = 2 * MIB;
const TEXT = 'x'.repeat(400);
const hasPrlimit = spawnSync('prlimit', ['--version']).status === 0;

async function read(file: string): Promise<Seen> {
  const seen = new Seen();
  for await (const line of messagesOf(await lookThrough(file))) seen.take(JSON.parse(line) as Message);
  return seen;
}

/** All machines, as they are shown. */
const machinesIn = (seen: Seen) =>
  seen.state.actors
    .flatMap(({ id, machine, value, context }) => (machine === null ? [] : [{ id, value, context }]))
    .sort((a, b) => a.id.localeCompare(b.id));

const sizeOf = (file: string): number => statSync(file, { throwIfNoEntry: false })?.size ?? 0;

/** Has the fixture's machines take events, until `condition` holds. */
async function pushUntil(server: Server, condition: () => unknown): Promise<void> {
  const pusher = async (): Promise<void> => {
    while (!condition()) await server.get(`/push?times=100&text=${TEXT}`);
  };
  await Promise.all([pusher(), pusher()]);
}

/** Goes on until the server has ended, but no faster than the page sees: a file that keeps little would leave it behind. */
async function followed(server: Server, page: PageWatcher): Promise<void> {
  while (!server.exited) {
    const before = page.records.length;
    await server.get(`/push?times=100&text=${TEXT}`);
    await page.until('it is seen', () => page.records.length >= before + 50 || page.closed);
  }
}

test('a recording stays within its bound, and after kill -9 tells what a page saw last', async (t) => {
  const site = new Site(t);
  const file = site.path('record.jsonl');
  const recording = ['--inspector-record', file, '--inspector-record-max', String(BYTES_MAX)];
  const server = await serve(t, fixture('own-machine.mjs'), [...HERE, ...recording], { env: environment });
  await server.told(/^recording what happens in /);
  const page = await watchPage(t, await inspectorOf(server));
  await page.until('it sees the machines of both', () => page.isLive && page.roots('web').length === 2);
  const files = new Set<number>();
  let most = 0;
  await pushUntil(server, () => {
    most = Math.max(most, sizeOf(file) + sizeOf(`${file}.1`));
    const { ino } = statSync(file, { throwIfNoEntry: false }) ?? {};
    if (ino !== undefined) files.add(ino);
    return page.records.length > 15_000;
  });
  assert.ok(files.size > 1, 'another file was begun');
  assert.ok(most <= BYTES_MAX, `${most} bytes`);
  await eventually('the file tells what the page has seen', async () =>
    isDeepStrictEqual(machinesIn(await read(file)), machinesIn(page)),
  );
  // While much happens, whatever was being written.
  const from = page.records.length;
  const pushing = followed(server, page).catch(() => {});
  await page.until('more happens', () => page.records.length > from + 500);
  process.kill(server.pid, 'SIGKILL');
  await server.exit();
  await pushing;
  await eventually('the page is told no more', () => page.closed);
  const facts = await lookThrough(file);
  assert.equal(facts.hello.pid, server.pid);
  const read9 = await read(file);
  assert.ok(read9.seq > from, 'it goes on to the end');
  assert.ok(sizeOf(file) + sizeOf(`${file}.1`) <= BYTES_MAX);
  // Record by record the same, as far as both go: either may have been told a little more than the other, or have lost some.
  const both = [...read9.bySeq.keys()].filter((seq) => page.bySeq.has(seq)).slice(-500);
  assert.ok(both.length >= 50, `${both.length} records in both`);
  const told = (seen: Seen) => both.map((seq) => seen.bySeq.get(seq));
  assert.deepEqual(told(read9), told(page));
  if (read9.seq === page.seq) assert.deepEqual(machinesIn(read9), machinesIn(page));
});

test('a place that cannot be written is told in one warning, and the server serves', async (t) => {
  const site = new Site(t);
  site.write('file', '');
  for (const file of [site.path('none/record.jsonl'), site.path('file/record.jsonl')]) {
    const server = await serve(t, fixture('app.mjs'), [...HERE, '--inspector-record', file]);
    await server.told(/^nothing is recorded in .*: (ENOENT|ENOTDIR)/);
    assert.equal((await server.get()).status, 200);
    const page = await watchPage(t, await inspectorOf(server));
    await page.until('a page is told', () => page.isLive && page.roots('web').length === 2);
    assert.equal(await server.stop(), 0);
    assert.equal(server.lines.filter(({ level }) => level === 'warn').length, 1);
  }
});

test('a directory that goes away while it is recorded there is told in one warning', async (t) => {
  const site = new Site(t);
  const file = site.write('there/record.jsonl', '');
  const args = ['--inspector-record', file, '--inspector-record-max', String(BYTES_MAX)];
  const server = await serve(t, fixture('own-machine.mjs'), [...HERE, ...args], { env: environment });
  await server.told(/^recording what happens in /);
  site.remove('there');
  await pushUntil(server, () => server.all(/^recording in .* has ended: ENOENT/).length > 0);
  const page = await watchPage(t, await inspectorOf(server));
  await page.until('a page is told', () => page.isLive && page.roots('web').length === 2);
  assert.equal(await server.stop(), 0);
  assert.equal(server.lines.filter(({ level }) => level === 'warn').length, 1);
});

test('a disk that is full ends the recording with one warning, and what it has stays readable', {
  skip: needsProc || (!hasPrlimit && 'there is no prlimit here'),
}, async (t) => {
  const site = new Site(t);
  const file = site.path('record.jsonl');
  const args = ['--inspector-record', file];
  const server = await serve(t, fixture('own-machine.mjs'), [...HERE, ...args], { env: environment });
  await server.told(/^recording what happens in /);
  const page = await watchPage(t, await inspectorOf(server));
  await page.until('it sees both', () => page.isLive && page.roots('web').length === 2);
  // No file may become larger: to who writes that is a full disk.
  const { status } = spawnSync('prlimit', ['--pid', String(server.pid), '--fsize=500000']);
  assert.equal(status, 0);
  await pushUntil(server, () => server.all(/^recording in .* has ended: EFBIG/).length > 0);
  const { seq } = page;
  await server.get('/push');
  await page.until('the page is told on', () => page.seq > seq);
  const seen = await read(file);
  assert.ok(seen.records.length > 0);
  assert.equal(sizeOf(file), 500_000);
  assert.equal(await server.stop(), 0);
  assert.equal(server.lines.filter(({ level }) => level === 'warn').length, 1);
  assert.deepEqual(server.all(/bug in Kirin/), []);
});
