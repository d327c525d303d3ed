/** One end of a link on a real pair of sockets: bounded, in order, and ended once. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { encodeFrame } from '../../src/actors/codec.ts';
import { type Link, openLink, QUEUE_BYTES_MAX, QUEUE_BYTES_SOFT } from '../../src/actors/link.ts';
import { linkSchemas } from '../../src/machines/events/link.ts';
import type { WorkerOrder, WorkerReport } from '../../src/machines/events/worker.ts';
import { temporaryDirectory, until } from './support.ts';

/** Two ends of one connection. */
async function socketPair(t: TestContext): Promise<[net.Socket, net.Socket]> {
  const path = join(temporaryDirectory(t), 's');
  const server = net.createServer().listen(path);
  await once(server, 'listening');
  const near = net.connect(path);
  const [far] = (await once(server, 'connection')) as [net.Socket];
  server.close();
  t.after(() => {
    near.destroy();
    far.destroy();
  });
  return [near, far];
}

interface Heard {
  events: WorkerReport[];
  unknown: string[];
  broken: string[];
  ended: number;
}

/** The arbiter's end. */
function parentEnd(stream: net.Socket): { link: Link<WorkerOrder>; heard: Heard } {
  const heard: Heard = { events: [], unknown: [], broken: [], ended: 0 };
  const link = openLink<WorkerReport, WorkerOrder>(stream, null, linkSchemas.web.up, {
    event: (event) => heard.events.push(event),
    unknown: (what) => heard.unknown.push(what),
    broken: (why) => {
      heard.broken.push(why);
      stream.destroy();
    },
    ended: () => {
      heard.ended++;
    },
  });
  return { link, heard };
}

/** The worker's end, which reads nothing of interest here. */
function childEnd(stream: net.Socket, fd: number | null = null): Link<WorkerReport> {
  const ignored = () => {};
  return openLink<WorkerOrder, WorkerReport>(stream, fd, linkSchemas.web.down, {
    event: ignored,
    unknown: ignored,
    broken: ignored,
    ended: ignored,
  });
}

const notice = (text: string): WorkerReport => ({ type: 'worker.notice', level: 'info', text });
const heartbeat: WorkerReport = {
  type: 'worker.heartbeat',
  requests: 1,
  connections: 1,
  inFlight: 1,
  loopDelayMs: 1,
  loopUtilization: 0.5,
  rssBytes: 1,
};

test('events arrive at the other end, in order', async (t) => {
  const [near, far] = await socketPair(t);
  const { link: parent, heard } = parentEnd(near);
  const orders: WorkerOrder[] = [];
  const child = openLink<WorkerOrder, WorkerReport>(far, null, linkSchemas.web.down, {
    event: (order) => orders.push(order),
    unknown: assert.fail,
    broken: assert.fail,
    ended: () => {},
  });
  for (let index = 0; index < 500; index++) assert.equal(child.send(notice(String(index))), 'sent');
  assert.equal(parent.send({ type: 'worker.drain', orderId: 1, graceMs: 5 }), 'sent');
  await until('all arrived', () => heard.events.length === 500 && orders.length === 1);
  assert.deepEqual(
    heard.events,
    Array.from({ length: 500 }, (_, index) => notice(String(index))),
  );
  assert.deepEqual(orders, [{ type: 'worker.drain', orderId: 1, graceMs: 5 }]);
  assert.equal(child.stats.sent, 500);
  assert.equal(parent.stats.received, 500);
});

test('a peer that does not read: heartbeats are dropped first, then everything is refused; nothing grows', async (t) => {
  const [, far] = await socketPair(t);
  const child = childEnd(far);
  const big = notice('x'.repeat(60_000));
  while (far.writableLength <= QUEUE_BYTES_SOFT) assert.equal(child.send(big), 'sent');
  assert.equal(child.send(heartbeat), 'full');
  assert.equal(child.stats.dropped, 1);
  while (child.send(big) === 'sent');
  assert.ok(far.writableLength <= QUEUE_BYTES_MAX + 2 * 60_000, `${far.writableLength} bytes wait`);
  assert.equal(child.send(notice('small')), 'full');
  assert.equal(child.stats.dropped, 3);
});

test('what was refused while a peer did not read is sent again once it does', async (t) => {
  const [near, far] = await socketPair(t);
  const child = childEnd(far);
  while (child.send(notice('x'.repeat(60_000))) === 'sent');
  const { heard } = parentEnd(near);
  await until('there is room again', () => child.send(notice('at last')) === 'sent');
  await until('it arrives', () =>
    heard.events.some((event) => event.type === 'worker.notice' && event.text === 'at last'),
  );
  assert.equal(heard.broken.length + heard.unknown.length, 0);
});

for (const [how, act] of [
  ['ends', (socket: net.Socket) => socket.end()],
  ['is destroyed', (socket: net.Socket) => socket.destroy()],
  ['is reset', (socket: net.Socket) => socket.destroy(new Error('reset'))],
] as const)
  test(`a peer that ${how}: told once, and nothing can be sent any more`, async (t) => {
    const [near, far] = await socketPair(t);
    far.on('error', () => {});
    const { link, heard } = parentEnd(near);
    act(far);
    await until('the end is told', () => heard.ended > 0);
    assert.equal(link.send({ type: 'worker.drain', orderId: 1, graceMs: 1 }), 'ended');
    if (!near.closed) near.destroy();
    await until('it is closed', () => near.closed);
    assert.equal(heard.ended, 1);
  });

test('a peer that dies while much is being written to it: told, not thrown, and flush ends', async (t) => {
  const [near, far] = await socketPair(t);
  const { link, heard } = parentEnd(near);
  for (let index = 0; index < 10_000; index++)
    link.send({ type: 'worker.drain', orderId: index, graceMs: 1 });
  const flushed = link.flush();
  far.destroy();
  await flushed;
  await until('the end is told', () => heard.ended === 1);
});

test('flush waits until everything was handed to the system', async (t) => {
  const [near, far] = await socketPair(t);
  const child = childEnd(far);
  while (far.writableLength <= QUEUE_BYTES_SOFT) child.send(notice('x'.repeat(60_000)));
  const { heard } = parentEnd(near);
  await child.flush();
  assert.equal(far.writableLength, 0);
  await until('all arrived', () => heard.events.length === child.stats.sent);
  await child.flush();
});

test('last words are written at once where nothing waits, and refused where something does', async (t) => {
  const [near, far] = await socketPair(t);
  const fd = (far as unknown as { _handle: { fd: number } })._handle.fd;
  const child = childEnd(far, fd);
  const { heard } = parentEnd(near);
  const words: WorkerReport = {
    type: 'worker.lastWords',
    fault: { code: 'worker.uncaught', message: 'alas' },
  };
  assert.equal(child.sendSync(words), true);
  await until('they arrive', () => heard.events.length === 1);
  assert.deepEqual(heard.events, [words]);
  near.pause();
  while (child.send(notice('x'.repeat(60_000))) === 'sent');
  assert.equal(child.sendSync(words), false);
  assert.equal(childEnd(far).sendSync(words), false, 'without a descriptor');
});

test('what is not known is told and counted, and the link goes on', async (t) => {
  const [near, far] = await socketPair(t);
  const { link, heard } = parentEnd(near);
  far.write(encodeFrame({ type: 'worker.dances' }));
  far.write(encodeFrame({ type: 'worker.ready' }));
  await until('the next arrives', () => heard.events.length === 1);
  assert.equal(heard.unknown.length, 1);
  assert.equal(link.stats.unknown, 1);
});

test('a frame cut off by the end of the stream is no event', async (t) => {
  const [near, far] = await socketPair(t);
  const { heard } = parentEnd(near);
  far.end(encodeFrame({ type: 'worker.ready' }).subarray(0, 6));
  await until('the end is told', () => heard.ended === 1);
  assert.deepEqual([heard.events, heard.unknown, heard.broken], [[], [], []]);
});

test('any bytes at all from a peer are told at most, never thrown', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 500 }), { maxLength: 5 }),
      async (chunks) => {
        const [near, far] = await socketPair(t);
        far.on('error', () => {});
        const { heard } = parentEnd(near);
        for (const chunk of chunks) far.write(chunk);
        far.end();
        await until('the end is told', () => heard.ended === 1);
        assert.ok(heard.broken.length <= 1);
        near.destroy();
        far.destroy();
      },
    ),
    { numRuns: 50 },
  );
});
