/**
 * Chance against the inspector of a real server: bytes and half requests on its port, wrong upgrades, frames that no page sends,
 * and watchers of the control socket that leave at any moment. The server goes on, and keeps nothing: no place, no descriptor.
 *
 * The seed is told; `KIRIN_SEED` repeats it.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { WATCHERS_MAX } from '../../src/actors/inspect/watchers.ts';
import { ControlClient } from './control-client.ts';
import { controlled } from './controlled.ts';
import { descriptors, eventually, needsProc, type Server } from './harness.ts';
import { inspectorOf, openSocket, watchPage } from './inspected.ts';

const SEED = Number(process.env['KIRIN_SEED'] ?? Date.now() % 2 ** 31);
const HERE = ['--inspector', '127.0.0.1:0', '--inspector-control', '-w', '1'];
const TOGETHER = 20;

/** How a connection is given up once everything is sent. */
type Leaving = 'end' | 'destroy' | 'reset' | 'stay';
interface Shot {
  bytes: Uint8Array;
  /** Sent in pieces of that length. */
  piece: number;
  leaving: Leaving;
}

const HOST = 'Host: 127.0.0.1';
const UPGRADE = 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13';
const key = (): string => `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`;

const text = fc.string({ unit: 'binary', maxLength: 60 });
const path = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.constantFrom('/', '/live', '/stately', '/stately.js', '/recording.jsonl', '/x.js', '*'),
  },
  { weight: 1, arbitrary: fc.webPath() },
  { weight: 1, arbitrary: text.map((one) => `/${one}`) },
);
const method = fc.constantFrom('GET', 'HEAD', 'POST', 'PUT', 'CONNECT', 'OPTIONS', 'BREW');
const header = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.constantFrom(HOST, UPGRADE, 'Connection: close', 'Connection: Upgrade', 'Upgrade: h2c'),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom('Origin: null', 'Host: x.example', 'Cookie: a=b; c', 'Expect: 100-continue'),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom('Content-Length: 10', 'Transfer-Encoding: chunked', 'Content-Length: -1'),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom('Sec-WebSocket-Version: 8', 'Sec-WebSocket-Key: short', 'Sec-WebSocket-Key:'),
  },
  { weight: 1, arbitrary: fc.constant('').map(key) },
  { weight: 1, arbitrary: text.map((value) => `X-Chance: ${value}`) },
);
const request = fc
  .tuple(method, path, fc.array(header, { maxLength: 6 }), fc.constantFrom('1.1', '1.0', '9.9'))
  .map(
    ([verb, where, headers, version]) =>
      `${verb} ${where} HTTP/${version}\r\n${headers.join('\r\n')}\r\n\r\n`,
  );
const bytesOf = (one: string): Uint8Array => Buffer.from(one, 'latin1');
const raw = fc.uint8Array({ maxLength: 400 });

const OPEN = ['/live', '/stately'] as const;
const message = fc.oneof(
  fc.json(),
  fc
    .record({ type: fc.constant('command'), id: fc.jsonValue(), words: fc.jsonValue() })
    .map((one) => JSON.stringify(one)),
  fc
    .record({ type: fc.constant('command'), id: fc.nat(), words: fc.array(text, { maxLength: 9 }) })
    .map((one) => JSON.stringify(one)),
  fc.nat(9000).map((length) => 'x'.repeat(length)),
);
/** A frame of a WebSocket, or what looks like one. */
const frame = fc
  .record({
    first: fc.oneof(fc.constantFrom(0x81, 0x82, 0x80, 0x01, 0x88, 0x89, 0x8a), fc.nat(255)),
    isMasked: fc.oneof(
      { weight: 5, arbitrary: fc.constant(true) },
      { weight: 1, arbitrary: fc.constant(false) },
    ),
    body: fc.oneof(message.map(bytesOf), raw),
    said: fc.oneof(
      { weight: 6, arbitrary: fc.constant(undefined) },
      { weight: 1, arbitrary: fc.maxSafeNat() },
    ),
  })
  .map(({ first, isMasked, body, said = body.length }) => {
    const head = Buffer.alloc(said < 126 ? 2 : said < 65_536 ? 4 : 10);
    head[0] = first;
    head[1] = (isMasked ? 0x80 : 0) | (said < 126 ? said : said < 65_536 ? 126 : 127);
    if (head.length === 4) head.writeUInt16BE(said, 2);
    if (head.length === 10) head.writeBigUInt64BE(BigInt(said), 2);
    const mask = isMasked ? Buffer.from([1, 2, 3, 4]) : Buffer.alloc(0);
    const masked = isMasked ? body.map((byte, index) => byte ^ mask[index % 4]!) : body;
    return Buffer.concat([head, mask, masked]);
  });
const conversation = fc
  .tuple(fc.constantFrom(...OPEN), fc.array(frame, { maxLength: 5 }))
  .map(([where, frames]) =>
    Buffer.concat([bytesOf(`GET ${where} HTTP/1.1\r\n${HOST}\r\n${UPGRADE}\r\n${key()}\r\n\r\n`), ...frames]),
  );
const bytes: fc.Arbitrary<Uint8Array> = fc.oneof(
  { weight: 4, arbitrary: conversation },
  { weight: 4, arbitrary: request.map(bytesOf) },
  {
    weight: 2,
    arbitrary: fc.array(request, { minLength: 2, maxLength: 8 }).map((all) => bytesOf(all.join(''))),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(request, fc.nat()).map(([one, cut]) => bytesOf(one.slice(0, cut % one.length))),
  },
  { weight: 1, arbitrary: fc.tuple(request, raw).map(([one, more]) => Buffer.concat([bytesOf(one), more])) },
  { weight: 1, arbitrary: raw },
  { weight: 1, arbitrary: fc.nat(100_000).map((length) => bytesOf(`GET /${'x'.repeat(length)}`)) },
);
const shot: fc.Arbitrary<Shot> = fc.record({
  bytes,
  piece: fc.constantFrom(1, 7, 1000, Number.POSITIVE_INFINITY),
  leaving: fc.constantFrom<Leaving>('end', 'destroy', 'reset', 'stay'),
});

/** Sends it, and waits for nothing but that the system has taken it; those that stay are returned. */
function fire(port: number, { bytes: all, piece, leaving }: Shot): Promise<net.Socket | undefined> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    // What comes is read, and not looked at.
    socket.resume();
    socket.on('error', () => {});
    socket.once('close', () => resolve(undefined));
    socket.once('connect', () => {
      const step = piece === 1 && all.length > 500 ? 100 : piece;
      for (let from = 0; from < all.length; from += step)
        socket.write(all.subarray(from, Math.min(all.length, from + step)));
      socket.write('', () => {
        if (leaving === 'end') socket.end();
        else if (leaving === 'destroy') socket.destroy();
        else if (leaving === 'reset') socket.resetAndDestroy();
        if (leaving === 'end' || leaving === 'stay') resolve(socket);
      });
    });
  });
}

/** How many descriptors it has, with that of the client that asks. */
async function openedBy(server: Server, ask: (command: string) => Promise<unknown>): Promise<number> {
  await server.settled(1);
  await ask('show stats');
  return descriptors(server.pid).length;
}

/** All places are free, and nothing else is kept either. */
async function assertUntouched(t: TestContext, server: Server, url: URL, opened: number): Promise<void> {
  await server.until('no descriptor is left', () => descriptors(server.pid).length <= opened);
  const all = await Promise.all(
    Array.from({ length: WATCHERS_MAX }, () => openSocket(t, new URL('/live', url))),
  );
  assert.equal(all.length, WATCHERS_MAX);
  for (const one of all) one.terminate();
  await server.until('no descriptor is left', () => descriptors(server.pid).length <= opened);
  assert.equal((await server.get()).status, 200);
  assert.equal((await server.get('/', { port: Number(url.port) })).status, 200);
  assert.deepEqual(server.all(/\bbug\b/), []);
  assert.equal(server.ready().length, 1);
}

test('two thousand connections of chance', { skip: needsProc }, async (t) => {
  t.diagnostic(`KIRIN_SEED=${SEED}`);
  const { server, ask } = await controlled(t, HERE);
  const url = await inspectorOf(server);
  const port = Number(url.port);
  const opened = await openedBy(server, ask);
  const page = await watchPage(t, url);
  await page.until('it is told', () => page.isLive && page.roots('web').length === 1);
  const shots = fc.sample(shot, { numRuns: 2000, seed: SEED });
  for (let from = 0; from < shots.length; from += TOGETHER) {
    const fired = await Promise.all(shots.slice(from, from + TOGETHER).map((one) => fire(port, one)));
    // Those that have sent their end and those that have not are given up only when the next ones come.
    await server.get('/', { port });
    for (const socket of fired) socket?.destroy();
  }
  // Its own orders may have been among them, but none of them stops the server.
  assert.equal(page.closed, undefined);
  assert.equal(page.lost, 0);
  page.socket.terminate();
  await assertUntouched(t, server, url, opened);
});

test('upgrades that are refused keep no connection, whatever the other side does', {
  skip: needsProc,
}, async (t) => {
  const { server, ask } = await controlled(t, HERE);
  const url = await inspectorOf(server);
  const port = Number(url.port);
  const opened = await openedBy(server, ask);
  const wrong = `GET /nowhere HTTP/1.1\r\n${HOST}\r\n${UPGRADE}\r\n`;
  const kept: net.Socket[] = [];
  for (const more of ['', 'and more that nobody reads']) {
    for (let n = 0; n < 20; n++) {
      const bytes = bytesOf(`${wrong}${key()}\r\n\r\n${more}`);
      const socket = await fire(port, { bytes, piece: Number.POSITIVE_INFINITY, leaving: 'stay' });
      if (socket) kept.push(socket);
    }
  }
  t.after(() => {
    for (const socket of kept) socket.destroy();
  });
  // They stay where they are; the server lets go.
  await server.until('no descriptor is left', () => descriptors(server.pid).length <= opened);
  await assertUntouched(t, server, url, opened);
});

test('watchers of the control socket that are cancelled, or leave, at any moment', {
  skip: needsProc,
}, async (t) => {
  t.diagnostic(`KIRIN_SEED=${SEED}`);
  const { server, site, ask } = await controlled(t, HERE);
  const url = await inspectorOf(server);
  const path = site.path('kirin.ctl');
  const opened = await openedBy(server, ask);
  const round = fc.record({
    watches: fc.integer({ min: 1, max: 5 }),
    cancels: fc.array(fc.nat(6), { maxLength: 6 }),
    waits: fc.nat(3),
    leaving: fc.constantFrom('destroy', 'finish', 'cancel', 'garbage'),
  });
  const rounds = fc.sample(round, { numRuns: 200, seed: SEED });
  const play = async ({ watches, cancels, waits, leaving }: (typeof rounds)[number]): Promise<void> => {
    const client = await ControlClient.connect(path);
    for (let id = 0; id < watches; id++) client.request({ id, command: 'inspect', stream: id % 4 !== 3 });
    if (waits > 0)
      await client
        .until('something comes', () => client.frames.length >= waits || client.ended)
        .catch(() => {});
    for (const id of cancels) client.request({ id: `c${id}`, command: `cancel ${id}` });
    if (leaving === 'cancel')
      for (let id = 0; id < watches; id++) client.request({ id: 'c', command: 'cancel', args: [`${id}`] });
    if (leaving === 'garbage') client.send(Buffer.alloc(4, 0xff));
    if (leaving === 'finish') client.finish();
    client.request({ id: 'mark', command: 'help' });
    if (leaving === 'cancel') await client.answer('mark').catch(() => {});
    client.destroy();
  };
  for (let from = 0; from < rounds.length; from += TOGETHER)
    await Promise.all(rounds.slice(from, from + TOGETHER).map(play));
  await eventually('all sessions but the own one have ended', async () => {
    const { machines } = await ask('show machine');
    return machines.filter(({ machine }: { machine: string }) => machine === 'controlSession').length === 1;
  });
  await assertUntouched(t, server, url, opened);
});
