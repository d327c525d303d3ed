/**
 * Many who watch, one who is too slow, and many processes that have much to tell: everything is told or counted, what is
 * shown at the end is right, and nothing is kept for those who do not read.
 */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import type { Told } from '../../src/actors/inspect/records.ts';
import { WATCHERS_MAX } from '../../src/actors/inspect/watchers.ts';
import { controlled } from './controlled.ts';
import { environment } from './dirty-server.ts';
import { eventually, fixture, launch, needsProc, type Server, Site, serve } from './harness.ts';
import {
  inspectorOf,
  openSocket,
  type PageWatcher,
  residentBytes,
  type Seen,
  watchPage,
} from './inspected.ts';

const HERE = ['--inspector', '127.0.0.1:0'];
/** Otherwise V8 keeps garbage for as long as there is room. */
const NODE_OPTIONS = '--max-semi-space-size=1 --max-old-space-size=64';
const MIB = 1024 * 1024;
/** For a hundred workers. */
const BOOT_MS = 120_000;
const TEXT = 'x'.repeat(500);
/** Events of one request to the fixture: their records find room in the worker. */
const PUSHED = 150;
const PUSHERS = 6;
const SLOW = 6;

const doorOf = (seen: Seen) => seen.state.actors.find(({ machine }) => machine === 'door');
/** All machines of the app, as they are shown. */
const doorsOf = (seen: Seen) =>
  seen.state.actors
    .flatMap(({ machine, id, value, context }) => (machine === 'door' ? { id, value, context } : []))
    .sort((a, b) => a.id.localeCompare(b.id));
const eventsOf = (seen: Seen, id: string): number[] =>
  seen.records.flatMap((one) => (one.t === 'event' && one.to === id ? (one.event as { n: number }).n : []));
/** The event that a test has sent last. */
const isLast = (one: Told): boolean =>
  one.t === 'event' && (one.event as { text?: unknown } | null)?.text === 'last';
const lostBy = (seen: Seen, pid: number): number =>
  seen.records.reduce((sum, one) => (one.t === 'lost' && one.pid === pid ? sum + one.records : sum), 0);

/** Every record since it came was told to it, or counted as lost. */
function assertComplete(seen: Seen, who: string): void {
  assert.equal(seen.records.length + seen.lost, seen.seq - seen.from!, who);
}

/** Has machines of the fixture take events until records of so many bytes have been told to a witness. */
async function push(server: Server, witness: PageWatcher, bytes: number): Promise<void> {
  let told = 0;
  witness.socket.on('message', (data: Buffer) => {
    told += data.length;
  });
  const pusher = async (): Promise<void> => {
    while (told < bytes) await server.get(`/push?times=${PUSHED}&text=${TEXT}`);
  };
  await Promise.all(Array.from({ length: PUSHERS }, pusher));
}

test('a hundred watch, one more is refused, and the place of one who vanishes is free', async (t) => {
  const { server, client } = await controlled(t, [...HERE, '-w', '1']);
  const url = await inspectorOf(server);
  const pages: PageWatcher[] = [];
  for (let n = 0; n < WATCHERS_MAX; n++) pages.push(await watchPage(t, url));
  await eventually('all of them see the worker', () =>
    pages.every((page) => page.isLive && page.roots('web').length === 1),
  );
  for (const path of ['/live', '/stately'])
    await assert.rejects(openSocket(t, new URL(path, url)), /refused: 503/);
  const { error } = await client.ask('inspect', { stream: true });
  assert.match(error!, /^Too many watch: at most 100/);
  server.signal('SIGTTIN');
  await eventually('all of them see another worker', () =>
    pages.every((page) => page.roots('web').length === 2),
  );
  for (const page of pages.slice(0, 50)) page.socket.terminate();
  const next = await server.until('there are places again', async () => {
    const opened = await Promise.allSettled(
      Array.from({ length: 50 }, () => openSocket(t, new URL('/live', url))),
    );
    if (opened.every(({ status }) => status === 'fulfilled')) return opened.length;
    for (const one of opened) if (one.status === 'fulfilled') one.value.terminate();
    return 0;
  });
  assert.equal(next, 50);
  await assert.rejects(openSocket(t, new URL('/live', url)), /refused: 503/);
  for (const page of pages) {
    assert.equal(page.lost, 0);
    assertComplete(page, 'one that reads all');
  }
  assert.deepEqual(server.all(/bug in Kirin/), []);
});

test('one who does not read is told how much it has lost, and what is now; others lose nothing', {
  skip: needsProc,
}, async (t) => {
  const env = { ...environment, NODE_OPTIONS };
  const server = await serve(t, fixture('own-machine.mjs'), [...HERE, '-w', '2'], { env });
  const url = await inspectorOf(server);
  const [quick, other] = [await watchPage(t, url), await watchPage(t, url)];
  const slow: PageWatcher[] = [];
  for (let n = 0; n < SLOW; n++) slow.push(await watchPage(t, url));
  const pages = [quick, other, ...slow];
  for (const page of pages) await page.until('it is told', () => page.isLive && doorOf(page));
  await push(server, quick, 3 * MIB);
  const before = residentBytes(server.pid);
  // The system's buffers differ; what may be unread, and the past that is kept, do not.
  for (let more = 12 * MIB; slow.some(({ lost }) => lost === 0); more += 4 * MIB) {
    for (const { socket } of slow) socket.pause();
    await push(server, quick, more);
    const grown = residentBytes(server.pid) - before;
    assert.ok(grown < 48 * MIB, `the arbiter's memory grew by ${grown >> 20} MiB`);
    for (const { socket } of slow) socket.resume();
    const { seq } = quick;
    for (const page of slow) await page.until('it has caught up', () => page.seq >= seq);
  }
  const last = await quick.until('the last event is told', async () => {
    await server.get('/push?text=last');
    return quick.records.findLast(isLast);
  });
  for (const page of pages) {
    await page.until('it is told of as well', () => page.records.some((one) => isDeepStrictEqual(one, last)));
    await page.until('it sees what the others see', () => isDeepStrictEqual(doorsOf(page), doorsOf(quick)));
    assertComplete(page, slow.includes(page) ? 'a slow one' : 'a quick one');
    assert.equal(page.closed, undefined);
  }
  assert.deepEqual([quick.lost, other.lost], [0, 0]);
  assert.deepEqual(server.all(/bug in Kirin/), []);
});

test('of what a process has too much of, the rest is counted', async (t) => {
  const server = await serve(t, fixture('own-machine.mjs'), [...HERE, '-w', '1'], { env: environment });
  const page = await watchPage(t, await inspectorOf(server));
  const { id, pid } = await page.until('the machine is seen', () => (page.isLive ? doorOf(page) : undefined));
  const pushed = 30_000;
  await server.get(`/push?times=${pushed}`);
  await page.until('losses are told', () => lostBy(page, pid) > 0);
  // Another event comes after all that was lost.
  await page.until('it is followed again', async () => {
    await server.get('/push?text=last');
    return page.records.some(isLast);
  });
  const isOfMany = (event: unknown): boolean => (event as { text: unknown }).text === null;
  const told = page.records.filter(
    (one) =>
      (one.t === 'event' && one.to === id && isOfMany(one.event)) ||
      (one.t === 'step' && one.id === id && isOfMany(one.event)),
  ).length;
  assert.ok(2 * pushed - told <= lostBy(page, pid), `${told} told, ${lostBy(page, pid)} lost`);
  const numbers = eventsOf(page, id).filter((n) => n > 0);
  assert.deepEqual(
    numbers,
    numbers.toSorted((a, b) => a - b),
  );
  assertComplete(page, 'the page');
});

/** A server whose workers each have a machine that takes events as soon as `start` is called, until `done` says so. */
async function ticking(t: TestContext, workers: number, ticks: number) {
  const site = new Site(t);
  mkdirSync(site.path('done'));
  const env = { ...environment, GO: site.path('go'), DONE: site.path('done'), TICKS: String(ticks) };
  const server = launch(t, fixture('ticking.mjs'), [...HERE, '-w', String(workers)], { env });
  // So many need a while on a machine that is busy.
  await server.told(/^serving /, 0, BOOT_MS);
  await server.until('all workers are ready', () => server.ready().length === workers, BOOT_MS);
  return {
    server,
    start: () => site.write('go', ''),
    done: () => readdirSync(site.path('done')).length === workers,
  };
}

test('a hundred workers with fifty events a second each: all is told or counted, and the end is right', {
  timeout: 240_000,
}, async (t) => {
  const [workers, ticks] = [100, 250];
  const { server, start, done } = await ticking(t, workers, ticks);
  const url = await inspectorOf(server);
  const pages = [await watchPage(t, url), await watchPage(t, url)];
  const tickers = (seen: Seen) => seen.state.actors.filter(({ machine }) => machine === 'ticker');
  for (const page of pages)
    await eventually('all of them are seen', () => page.isLive && tickers(page).length === workers, 60_000);
  start();
  await server.until('all have taken their events', done, 120_000);
  for (const page of pages)
    await eventually(
      'the end is seen',
      () => tickers(page).every(({ context }) => (context as { ticks: number }).ticks === ticks),
      60_000,
    );
  for (const page of pages) {
    assertComplete(page, 'each page');
    assert.equal(tickers(page).length, workers);
    for (const { value, parent, pid } of tickers(page)) {
      assert.equal(value, ticks % 2 === 0 ? 'even' : 'odd');
      assert.equal(page.board.actor(parent!)?.pid, pid);
    }
    const { length } = page.records;
    t.diagnostic(`${length} records told, ${page.lost} lost for a page`);
    // What a page was too slow for may have been anybody's.
    if (page.lost > 0) continue;
    for (const { id, pid } of tickers(page)) {
      const events = eventsOf(page, id);
      const steps = page.records.filter((one) => one.t === 'step' && one.id === id).length;
      const missing = 2 * ticks - events.length - steps;
      assert.ok(missing >= 0 && missing <= lostBy(page, pid), `${missing} of ${pid} are missing`);
    }
  }
  assert.deepEqual(server.all(/bug in Kirin/), []);
  assert.equal(server.ready().length, workers, 'nobody died of it');
});
