/** Large frames by shared memory: real sockets, real files in the memory file system where there is one. */
import { strict as assert } from 'node:assert';
import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import fs, {
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { mock, type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { Channel } from '../../src/actors/dirty/channel.ts';
import { WaitingPayload } from '../../src/actors/dirty/client-payload.ts';
import {
  bareFrame,
  FRAME,
  HEADER_BYTES,
  idOf,
  numberOf,
  payloadOf,
  typeOf,
  writeHeader,
} from '../../src/actors/dirty/frames.ts';
import { SHELF_FRAME_BYTES } from '../../src/actors/dirty/shelf.ts';
import { SHELF_BYTES, sweepShelves } from '../../src/actors/dirty/shelf-memory.ts';
import { PORTION_BYTES } from '../../src/actors/dirty/shelf-portions.ts';
import { acceptedChannel, connectChannel } from '../../src/actors/dirty/socket-channel.ts';
import { shelfPair, withShelves } from './dirty-shelf-pair.ts';

const DIRECTORY = '/dev/shm';

const ours = (): string[] =>
  readdirSync(DIRECTORY).filter((name) => name.startsWith(`kirin-shelf-${process.pid}-`));

interface End {
  readonly channel: Channel;
  /** What has come: type, id and payload. */
  readonly heard: { id: number; payload: Buffer }[];
  readonly ended: Promise<string>;
  /** Resolves when so many frames have come. */
  count(frames: number): Promise<void>;
}

function endOf(channel: Channel): End {
  const heard: End['heard'] = [];
  let wake = (): void => {};
  const ended = new Promise<string>((resolve) => {
    channel.open({
      frame(frame, more) {
        heard.push({ id: idOf(frame), payload: Buffer.from(payloadOf(frame, more)) });
        wake();
      },
      ended: (why) => resolve(why),
    });
  });
  return {
    channel,
    heard,
    ended,
    async count(frames) {
      while (heard.length < frames) await new Promise<void>((resolve) => (wake = resolve));
    },
  };
}

async function listening(t: TestContext): Promise<{ path: string; accepted: Promise<Socket> }> {
  const directory = mkdtempSync(join(tmpdir(), 'kirin-shelf-'));
  const path = join(directory, 's');
  const server = createServer({ pauseOnConnect: true });
  const accepted = once(server, 'connection').then(([socket]) => socket as Socket);
  await once(server.listen(path), 'listening');
  t.after(() => {
    server.close();
    rmSync(directory, { recursive: true });
  });
  return { path, accepted };
}

async function pair(t: TestContext): Promise<[End, End]> {
  const { path, accepted } = await listening(t);
  const connecting = endOf(await connectChannel(path));
  const accepting = endOf(acceptedChannel(await accepted));
  t.after(() => {
    connecting.channel.close();
    accepting.channel.close();
  });
  return [connecting, accepting];
}

/** A channel, and a peer that says what it likes. */
async function withPeer(t: TestContext): Promise<{ end: End; peer: Socket }> {
  const { path, accepted } = await listening(t);
  const peer = connect(path);
  const end = endOf(acceptedChannel(await accepted));
  t.after(() => peer.destroy());
  return { end, peer };
}

function large(id: number, bytes: number): Buffer {
  const frame = Buffer.alloc(bytes, id);
  writeHeader(frame, { type: FRAME.result, id });
  return frame;
}

function named(name: string): Buffer {
  const frame = Buffer.alloc(HEADER_BYTES + name.length);
  frame.write(name, HEADER_BYTES, 'latin1');
  writeHeader(frame, { type: FRAME.shelf });
  return frame;
}

/** Sends the first large frame, and waits until the shelf that it made is open. */
async function opened(from: End, to: End): Promise<void> {
  from.channel.send(large(1, SHELF_FRAME_BYTES));
  await to.count(1);
  const limitMs = Date.now() + 10_000;
  while (ours().length > 0) {
    assert.ok(Date.now() < limitMs, 'the shelf was not opened');
    await turn();
  }
}

/** The next frame that a peer is sent, all of it small. */
async function next(peer: Socket): Promise<Buffer> {
  const [bytes] = await once(peer, 'data');
  return bytes as Buffer;
}

test(
  'large frames lie on the shelf from the second on, in order with small ones, both ways',
  withShelves,
  async (t) => {
    const [some, others] = await pair(t);
    for (const [from, to] of [
      [some, others],
      [others, some],
    ] as const) {
      const put = mock.method(fs, 'writevSync');
      syncBuiltinESMExports();
      t.after(() => {
        put.mock.restore();
        syncBuiltinESMExports();
      });
      await opened(from, to);
      assert.equal(put.mock.callCount(), 0, 'the first goes by the socket, while the shelf is offered');
      for (let id = 2; id <= 40; id++) {
        from.channel.send(bareFrame({ type: FRAME.result, id: id * 1000 }));
        from.channel.send(large(id, SHELF_FRAME_BYTES + id));
        await to.count(1 + (id - 1) * 2);
        // Both ends are this process: what it says to itself is heard when the turn is over.
        await turn();
      }
      // Each is a little longer than one portion, and written in one go or in portions.
      const sizes = put.mock.calls.map(
        ({ arguments: [, pieces] }) => Buffer.concat(pieces as Buffer[]).length,
      );
      const laid = sizes.filter((bytes) => bytes >= PORTION_BYTES).length;
      assert.equal(laid, 39, 'so many lay on the shelf');
      put.mock.restore();
      syncBuiltinESMExports();
      const ids = to.heard.map(({ id }) => id);
      const expected = [1, ...Array.from({ length: 39 }, (_, at) => [(at + 2) * 1000, at + 2]).flat()];
      assert.deepEqual(ids, expected);
      for (const { id, payload } of to.heard)
        if (id < 1000) assert.ok(payload.equals(Buffer.alloc(payload.length, id)), `frame ${id} is whole`);
    }
    assert.deepEqual(ours(), [], 'nothing has a name any more');
  },
);

test(
  'what does not fit goes by the socket, and nothing that waits is written over',
  withShelves,
  async (t) => {
    const [from, to] = await pair(t);
    await opened(from, to);
    // Everything at once: far more than lies on a shelf.
    const bytes = SHELF_BYTES / 3;
    const frames = Array.from({ length: 24 }, (_, at) =>
      large(at + 2, at % 5 === 4 ? SHELF_BYTES * 2 : bytes + at),
    );
    for (const frame of frames) from.channel.send(Buffer.from(frame));
    await to.count(1 + frames.length);
    for (const [at, frame] of frames.entries()) {
      const { id, payload } = to.heard[at + 1]!;
      assert.equal(id, at + 2);
      assert.ok(payload.equals(frame.subarray(HEADER_BYTES)), `frame ${id} is whole`);
    }
  },
);

test('a frame in pieces lies on the shelf as one', withShelves, async (t) => {
  const [from, to] = await pair(t);
  await opened(from, to);
  const whole = large(2, SHELF_FRAME_BYTES * 2);
  const half = SHELF_FRAME_BYTES;
  from.channel.send(whole.subarray(0, half), [whole.subarray(half, half + 7), whole.subarray(half + 7)]);
  await to.count(2);
  assert.ok(to.heard[1]!.payload.equals(whole.subarray(HEADER_BYTES)));
});

test('a full memory file system costs speed alone', withShelves, async (t) => {
  const [from, to] = await pair(t);
  await opened(from, to);
  from.channel.send(large(2, SHELF_FRAME_BYTES));
  await to.count(2);
  const full = mock.method(fs, 'writevSync', () => {
    throw Object.assign(new Error('ENOSPC: no space left on device, writev'), { code: 'ENOSPC' });
  });
  syncBuiltinESMExports();
  t.after(() => {
    full.mock.restore();
    syncBuiltinESMExports();
  });
  for (let id = 3; id <= 5; id++) from.channel.send(large(id, SHELF_FRAME_BYTES + 1));
  await to.count(5);
  assert.equal(full.mock.callCount(), 1, 'it is not tried again');
  assert.deepEqual(
    to.heard.map(({ id }) => id),
    [1, 2, 3, 4, 5],
  );
});

test('a shelf that cannot be opened is done without, and its name is taken away', withShelves, async (t) => {
  const { end, peer } = await withPeer(t);
  end.channel.send(large(1, SHELF_FRAME_BYTES));
  let read = Buffer.alloc(0);
  // The offer is small and comes first.
  while (read.length < HEADER_BYTES || typeOf(read) !== FRAME.shelf)
    read = Buffer.concat([read, await next(peer)]);
  assert.equal(ours().length, 1);
  peer.on('data', () => {});
  peer.write(bareFrame({ type: FRAME.shelfOpen, number: 0 }));
  peer.write(bareFrame({ type: FRAME.result, id: 7 }));
  await end.count(1);
  assert.deepEqual(ours(), []);
  end.channel.send(large(2, SHELF_FRAME_BYTES));
  assert.deepEqual(ours(), [], 'no other is made');
});

test('a connection that ends before its shelf was opened leaves no name', withShelves, async (t) => {
  const { end, peer } = await withPeer(t);
  end.channel.send(large(1, SHELF_FRAME_BYTES));
  await next(peer);
  assert.equal(ours().length, 1);
  peer.destroy();
  await end.ended;
  assert.deepEqual(ours(), []);
});

test('only a file of this user with the name of a shelf is opened', withShelves, async (t) => {
  const link = `kirin-shelf-1-${'a'.repeat(24)}`;
  symlinkSync('/etc/passwd', join(DIRECTORY, link));
  t.after(() => unlinkSync(join(DIRECTORY, link)));
  for (const name of [
    '',
    '../../etc/passwd',
    'kirin-shelf-1-x',
    `kirin-shelf-1-${'b'.repeat(24)}`,
    link,
    'x'.repeat(5000),
  ]) {
    const { end, peer } = await withPeer(t);
    peer.write(named(name));
    const answer = await next(peer);
    assert.equal(typeOf(answer), FRAME.shelfOpen, name);
    assert.equal(numberOf(answer), 0, name);
    end.channel.close();
  }
});

test('a peer that lies about a shelf is cut', withShelves, async (t) => {
  const lies: [what: string, frames: (name: string) => Buffer[]][] = [
    ['nothing was offered', () => [bareFrame({ type: FRAME.shelved, id: SHELF_FRAME_BYTES, number: 0 })]],
    [
      'nothing lies there',
      (name) => [named(name), bareFrame({ type: FRAME.shelved, id: SHELF_FRAME_BYTES, number: 4096 })],
    ],
    [
      'beyond its end',
      (name) => [named(name), bareFrame({ type: FRAME.shelved, id: SHELF_FRAME_BYTES, number: SHELF_BYTES })],
    ],
    [
      'far too large',
      (name) => [named(name), bareFrame({ type: FRAME.shelved, id: 0xffff_ffff, number: 0 })],
    ],
    ['too small', (name) => [named(name), bareFrame({ type: FRAME.shelved, id: 10, number: 0 })]],
    [
      'no frame',
      (name) => [named(name), bareFrame({ type: FRAME.shelved, id: SHELF_FRAME_BYTES, number: 0 })],
    ],
    ['taken what was not there', () => [bareFrame({ type: FRAME.taken })]],
    ['an answer to nothing', () => [bareFrame({ type: FRAME.shelfOpen, number: 1 })]],
    ['two shelves', (name) => [named(name), named(name)]],
  ];
  for (const [what, frames] of lies) {
    const name = `kirin-shelf-${process.pid}-${'c'.repeat(24)}`;
    const path = join(DIRECTORY, name);
    writeFileSync(path, what === 'no frame' ? Buffer.alloc(SHELF_FRAME_BYTES) : '');
    t.after(() => rmSync(path, { force: true }));
    const { end, peer } = await withPeer(t);
    peer.on('data', () => {});
    peer.write(Buffer.concat(frames(name)));
    assert.match(await end.ended, /shel|frame|version/, what);
    assert.deepEqual(end.heard, [], what);
  }
});

test('names that killed processes left are swept away, and no others', withShelves, () => {
  const old = `kirin-shelf-1-${'d'.repeat(24)}`;
  const young = `kirin-shelf-1-${'e'.repeat(24)}`;
  const foreign = `kirin-shelves-${process.pid}`;
  const paths = [old, young, foreign].map((name) => join(DIRECTORY, name));
  try {
    for (const path of paths) writeFileSync(path, '');
    const hourAgo = Date.now() / 1000 - 3600;
    utimesSync(paths[0]!, hourAgo, hourAgo);
    utimesSync(paths[2]!, hourAgo, hourAgo);
    sweepShelves();
    assert.deepEqual(
      paths.map((path) => fs.existsSync(path)),
      [false, true, true],
    );
  } finally {
    for (const path of paths) rmSync(path, { force: true });
  }
});

test('what is held is told later, in whatever order, or is taken back', withShelves, (t) => {
  const { shelf, reader } = shelfPair(t);
  const [first, second, third] = [2, 3, 4].map((id) => large(id, SHELF_FRAME_BYTES + id)) as [
    Buffer,
    Buffer,
    Buffer,
  ];
  const one = shelf.hold(first, [])!;
  const two = shelf.hold(second, [])!;
  assert.equal(shelf.hold(third, []), undefined, 'no more than two');
  assert.equal(two.tell(), true);
  assert.ok(reader.take(two.at, second.length)?.equals(second));
  assert.equal(two.tell(), false, 'once');
  assert.equal(shelf.taken(), true);
  assert.equal(shelf.taken(), false, 'what is held was not told');
  assert.ok(one.take()?.equals(first));
  assert.equal(one.tell(), false);
  const three = shelf.hold(third, [])!;
  assert.equal(three.tell(), true);
  assert.equal(three.at, 0, 'all of it was free');
  assert.equal(shelf.taken(), true);
  shelf.hold(first, [])!.release();
  assert.equal(shelf.put(second, []), 0);
});

test('what is held makes room for what is sent, and is kept when the shelf ends', withShelves, (t) => {
  const { shelf, reader } = shelfPair(t);
  const [first, second] = [large(2, SHELF_BYTES / 2), large(3, SHELF_BYTES / 4)];
  const held = shelf.hold(first, [])!;
  const other = shelf.hold(second, [])!;
  const sent = large(4, SHELF_BYTES / 2);
  assert.equal(shelf.put(sent, []), 0);
  assert.ok(reader.take(0, sent.length)?.equals(sent));
  assert.equal(held.tell(), false, 'it lies there no more');
  assert.ok(held.take()?.equals(first));
  shelf.close();
  assert.equal(other.tell(), false);
  assert.ok(other.take()?.equals(second));
});

test(
  'a payload goes to another than it was laid for, or comes back as the call that it was',
  withShelves,
  async (t) => {
    const [from, to] = await pair(t);
    const [elsewhere, there] = await pair(t);
    await opened(from, to);
    const put = mock.method(fs, 'writevSync');
    syncBuiltinESMExports();
    t.after(() => {
      put.mock.restore();
      syncBuiltinESMExports();
    });
    const call = (id: number): Buffer => {
      const frame = Buffer.alloc(SHELF_FRAME_BYTES * 2, id);
      writeHeader(frame, { type: FRAME.call, id, app: 3, number: 500 });
      return frame;
    };
    const waiting = (id: number): WaitingPayload => {
      const frame = call(id);
      const pieces = [frame.subarray(0, 100), frame.subarray(100, 9999), frame.subarray(9999)];
      const payload = new WaitingPayload(pieces, from.channel, false, () => {});
      frame.fill(0xee);
      return payload;
    };
    const here = waiting(2);
    assert.equal(put.mock.callCount(), 1);
    assert.equal(here.bring(from.channel), true);
    assert.equal(put.mock.callCount(), 1, 'it lay there already');
    assert.equal(waiting(3).bring(elsewhere.channel), true);
    assert.ok(waiting(4).asCall()?.equals(call(4)));
    const dropped = waiting(5);
    dropped.drop();
    assert.equal(dropped.asCall(), undefined);
    const late = waiting(6);
    await Promise.all([to.count(2), there.count(1)]);
    for (const [end, at, id] of [
      [to, 1, 2],
      [there, 0, 3],
    ] as const) {
      assert.equal(end.heard[at]!.id, id);
      assert.ok(end.heard[at]!.payload.equals(call(id).subarray(HEADER_BYTES)));
    }
    from.channel.close();
    await from.ended;
    assert.ok(late.asCall()?.equals(call(6)), 'its connection has ended');
  },
);

test('memory that is not used any more is given back', withShelves, (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let nowMs = 1000;
  t.mock.method(performance, 'now', () => nowMs);
  const { shelf, reader } = shelfPair(t);
  const frame = large(1, SHELF_FRAME_BYTES);
  assert.equal(shelf.put(frame, []), 0);
  nowMs += 60_000;
  t.mock.timers.tick(60_000);
  assert.ok(reader.take(0, frame.length)?.equals(frame), 'what was not taken stays');
  assert.equal(shelf.taken(), true);
  nowMs += 60_000;
  t.mock.timers.tick(60_000);
  assert.equal(reader.take(0, frame.length), undefined, 'it is empty');
  assert.equal(shelf.put(frame, []), 0, 'and may be used again');
  assert.ok(reader.take(0, frame.length)?.equals(frame));
});
