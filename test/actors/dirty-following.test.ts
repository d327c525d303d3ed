/** Large frames that are read while they are written: shelves by themselves, real sockets, and two processes. */
import { strict as assert } from 'node:assert';
import { Buffer } from 'node:buffer';
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import fs, { rmSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { mock, test } from 'node:test';
import { actionsOf, DirtyApp, type DirtyClass } from '../../src/actors/dirty/app.ts';
import type { Channel } from '../../src/actors/dirty/channel.ts';
import { DirtyClient } from '../../src/actors/dirty/client.ts';
import { WaitingPayload } from '../../src/actors/dirty/client-payload.ts';
import {
  bareFrame,
  DIRECT_BYTES,
  FLAG_EARLY,
  FRAME,
  HEADER_BYTES,
  idOf,
  payloadOf,
  typeOf,
  writeHeader,
} from '../../src/actors/dirty/frames.ts';
import { DIRTY_PROTOCOL } from '../../src/actors/dirty/hello.ts';
import { Router } from '../../src/actors/dirty/router.ts';
import { AwaitingCalls } from '../../src/actors/dirty/runtime-awaiting.ts';
import { SHELF_FRAME_BYTES } from '../../src/actors/dirty/shelf.ts';
import { PORTION_BYTES, portionsOf } from '../../src/actors/dirty/shelf-portions.ts';
import type { ShelfReader } from '../../src/actors/dirty/shelf-reader.ts';
import { acceptedChannel } from '../../src/actors/dirty/socket-channel.ts';
import { openRuntimeLine } from './dirty-line.ts';
import { shelfPair, withShelves } from './dirty-shelf-pair.ts';
import { temporaryDirectory, until } from './support.ts';

const DIRECTORY = '/dev/shm';

/** Such bytes that a portion in the place of another is seen. */
function large(id: number, bytes: number, type: number = FRAME.result): Buffer {
  const frame = randomBytes(bytes);
  writeHeader(frame, { type: type as typeof FRAME.result, id });
  return frame;
}

test('portions are the same bytes in the same order, all of one size but the last', () => {
  const bytes = randomBytes(3 * PORTION_BYTES + 5);
  for (const cuts of [[], [28], [28, 100, PORTION_BYTES, 2 * PORTION_BYTES + 1], [PORTION_BYTES], [0, 0]]) {
    const ends = [...cuts, bytes.length];
    const pieces = ends.map((end, at) => bytes.subarray(ends[at - 1] ?? 0, end));
    const portions = [...portionsOf(pieces)];
    assert.deepEqual(
      portions.map((one) => one.bytes),
      [PORTION_BYTES, PORTION_BYTES, PORTION_BYTES, 5],
    );
    assert.ok(Buffer.concat(portions.flatMap((one) => one.pieces)).equals(bytes));
  }
});

test('what is being written is read as far as it has come, frame after frame', withShelves, (t) => {
  const { shelf, reader } = shelfPair(t);
  // So many that the count of portions runs over several times.
  for (let round = 0; round < 120; round++) {
    const frame = large(round, SHELF_FRAME_BYTES * 6 + round);
    let begun: ReturnType<ShelfReader['follow']>;
    const told: number[][] = [];
    const write = mock.method(fs, 'writevSync');
    const half = round % 8;
    const announce = (at: number, bytes: number): void => {
      told.push([at, bytes]);
      if (half === 7) begun = reader.follow(at, bytes, false);
    };
    write.mock.mockImplementationOnce(
      ((...args: Parameters<typeof fs.writevSync>) => {
        // Two writes for each portion that it is behind: the portion, and the count.
        begun = reader.follow(0, frame.length, false);
        write.mock.restore();
        syncBuiltinESMExports();
        return fs.writevSync(...args);
      }) as typeof fs.writevSync,
      2 * half,
    );
    if (half < 7) syncBuiltinESMExports();
    assert.equal(shelf.put(frame, [], announce), 0);
    write.mock.restore();
    syncBuiltinESMExports();
    assert.deepEqual(told, [[0, frame.length]]);
    assert.equal(begun!.done, half === 7 ? 0 : half * PORTION_BYTES);
    assert.ok(begun!.frame.subarray(0, begun!.done).equals(frame.subarray(0, begun!.done)));
    assert.ok(reader.finish(begun!, frame.length));
    assert.ok(begun!.frame.equals(frame));
    assert.equal(shelf.taken(), true);
  }
});

test(
  'a reader that comes late finds all of it; one with something else to take is not told before',
  withShelves,
  (t) => {
    const { shelf, reader } = shelfPair(t);
    const [one, two] = [large(1, SHELF_FRAME_BYTES * 2), large(2, SHELF_FRAME_BYTES * 3)];
    const told: number[] = [];
    assert.equal(
      shelf.put(one, [], (_, bytes) => told.push(bytes)),
      0,
    );
    assert.equal(
      shelf.put(two, [], (_, bytes) => told.push(bytes)),
      one.length,
    );
    assert.deepEqual(told, [one.length]);
    const following = reader.follow(0, one.length, true)!;
    assert.equal(following.done, one.length);
    assert.ok(following.frame.equals(one));
  },
);

test('what cannot be written to its end is said to come to nothing', withShelves, (t) => {
  const { shelf } = shelfPair(t);
  const told: number[] = [];
  const full = mock.method(fs, 'writevSync');
  full.mock.mockImplementationOnce(() => {
    throw new Error('ENOSPC: no space left on device');
  }, 4);
  syncBuiltinESMExports();
  const frame = large(1, SHELF_FRAME_BYTES * 4);
  assert.equal(
    shelf.put(frame, [], (_, bytes) => told.push(bytes)),
    undefined,
  );
  full.mock.restore();
  syncBuiltinESMExports();
  assert.deepEqual(told, [frame.length, 0]);
  assert.equal(shelf.taken(), false);
});

test('what was told and may be wanted back keeps its place until both are done with it', withShelves, (t) => {
  const { shelf, reader } = shelfPair(t);
  const announce = () => {};
  const [one, two] = [large(1, SHELF_FRAME_BYTES), large(2, SHELF_FRAME_BYTES)];
  const held = shelf.hold(one, [], announce)!;
  assert.equal(held.isTold, true);
  assert.ok(reader.follow(0, one.length, false)!.frame.equals(one));
  assert.equal(shelf.taken(), true);
  assert.equal(shelf.put(two, []), one.length, 'it is not written over');
  assert.equal(shelf.taken(), true);
  assert.equal(shelf.hold(two, [], announce)!.isTold, false, 'one at a time');
  assert.ok(held.take()?.equals(one), 'it comes back though it was taken');
  assert.equal(held.tell(), false);
  const { shelf: other } = shelfPair(t);
  const again = other.hold(one, [], announce)!;
  again.release();
  assert.equal(other.put(two, []), one.length, 'its reader has not taken it');
  assert.equal(other.taken(), true);
  assert.equal(other.taken(), true);
  const twice = other.hold(one, [], announce)!;
  assert.equal(twice.tell(), true, 'once more');
  assert.equal(other.taken(), true);
  assert.equal(other.put(two, []), one.length, 'its reader has not taken it a second time');
  assert.equal(other.taken(), true);
  assert.equal(other.taken(), true);
  assert.equal(other.taken(), false);
  assert.equal(other.put(two, []), 0);
});

test('a payload that another worker is to have is taken from the one that has it', withShelves, async (t) => {
  const sent: [number, number][] = [];
  const { shelf } = shelfPair(t);
  const way = (name: number): Channel =>
    ({
      lay: (frame: Buffer, more: Buffer[], announced?: () => void) => {
        const held = shelf.hold(frame, more, announced && ((_, bytes) => bytes > 0 && announced()))!;
        return { isSent: held.isTold, send: held.tell, take: held.take, release: held.release };
      },
      send: (frame: Buffer) => sent.push([name, typeOf(frame)]),
    }) as unknown as Channel;
  const [likely, other] = [way(1), way(2)];
  const frame = large(7, SHELF_FRAME_BYTES, FRAME.call);
  const asked: number[] = [];
  const payload = (isSure: boolean): WaitingPayload =>
    new WaitingPayload([Buffer.from(frame)], likely, isSure, (word) => asked.push(idOf(word)));
  const right = payload(true);
  assert.equal(right.bring(likely), true);
  assert.deepEqual(sent, [], 'it was there before');
  shelf.taken();
  assert.equal(payload(true).bring(other), true);
  assert.deepEqual(sent.splice(0), [
    [1, FRAME.cancel],
    [2, FRAME.payload],
  ]);
  shelf.taken();
  assert.ok(payload(true).asCall()?.equals(frame));
  shelf.taken();
  payload(true).drop();
  assert.deepEqual(sent.splice(0), [
    [1, FRAME.cancel],
    [1, FRAME.cancel],
  ]);
  shelf.taken();
  payload(false).drop();
  assert.deepEqual(sent, [], 'nobody was told');
  assert.deepEqual(asked, [7, 7, 7, 7, 7], 'once each');
  const waits = payload(true);
  await until('the worker keeps it no longer', () => sent.length > 0);
  assert.deepEqual(sent, [[1, FRAME.cancel]]);
  assert.equal(waits.bring(likely), true);
  assert.deepEqual([shelf.taken(), shelf.taken(), shelf.taken()], [true, true, false], 'told once more');
  assert.equal(sent.length, 1);
});

test('what callers bring by guess holds up nobody, and ends with its caller', async () => {
  const started: [number, number][] = [];
  const calls = new AwaitingCalls(
    (word, [frame]) => started.push([idOf(word), frame.length]),
    () => {},
  );
  const guess = (caller: number, id: number) =>
    calls.brought(caller, id, bareFrame({ type: FRAME.payload, flags: FLAG_EARLY, id }), []);
  const promised = (caller: number, id: number) =>
    calls.brought(caller, id, bareFrame({ type: FRAME.payload, id }), []);
  const word = (id: number, caller: number, callerId: number) =>
    calls.add(bareFrame({ type: FRAME.call, id, caller, callerId }));
  for (let caller = 1; caller <= 40; caller++) assert.equal(guess(caller, 1), undefined);
  let room: Promise<void> | undefined;
  for (let id = 1; id <= 16; id++) room = promised(50, id);
  assert.ok(room, 'of those whose word is on its way no more are read');
  // A call whose word came first takes no room.
  word(100, 51, 1);
  assert.equal(promised(51, 1), undefined);
  word(101, 50, 3);
  await room;
  word(102, 1, 1);
  assert.deepEqual(
    started.map(([id]) => id),
    [100, 101, 102],
  );
  // Taken back when it had begun, and brought again.
  calls.withdrawn(1, 1);
  assert.equal(guess(1, 1), undefined);
  word(103, 1, 1);
  calls.withdrawn(2, 1);
  calls.callerGone(3);
  calls.callerGone(50);
  word(104, 2, 1);
  word(105, 3, 1);
  word(106, 50, 4);
  assert.deepEqual(
    started.slice(3).map(([id]) => id),
    [106],
    'of the others nothing is there',
  );
  assert.deepEqual(calls.ids(), [103, 104, 105]);
  assert.equal(guess(2, 1), undefined);
  assert.equal(started.at(-1)![0], 104, 'brought again it begins');
  for (const id of calls.ids()) calls.drop(id);
  for (let caller = 1; caller <= 40; caller++) calls.callerGone(caller);
  for (let id = 1; id <= 16; id++) calls.withdrawn(50, id);
});

test('a peer that lies about what it writes is cut', withShelves, async (t) => {
  const shelving = (bytes: number, at: number) => bareFrame({ type: FRAME.shelving, id: bytes, number: at });
  const shelved = (bytes: number, at: number) => bareFrame({ type: FRAME.shelved, id: bytes, number: at });
  const bytes = SHELF_FRAME_BYTES;
  const lies: [what: string, frames: Buffer[]][] = [
    ['two at once', [shelving(bytes, 0), shelving(bytes, bytes)]],
    ['another than was announced', [shelving(bytes, 0), shelved(bytes, 4096)]],
    ['longer than was announced', [shelving(bytes, 0), shelved(bytes + 1, 0)]],
    ['beyond its end', [shelving(bytes, 0xffff_ffff)]],
    ['far too large', [shelving(0xffff_ffff, 0)]],
    ['too small', [shelving(10, 0)]],
    ['what is not there', [shelving(bytes, 0), shelved(bytes, 0)]],
  ];
  for (const [what, frames] of lies) {
    const name = `kirin-shelf-${process.pid}-${'c'.repeat(24)}`;
    const path = join(DIRECTORY, name);
    writeFileSync(path, '');
    t.after(() => rmSync(path, { force: true }));
    const socket = join(temporaryDirectory(t), 's');
    const server = createServer({ pauseOnConnect: true }).listen(socket);
    t.after(() => server.close());
    const peer = connect(socket);
    peer.on('error', () => {});
    peer.on('data', () => {});
    const [accepted] = (await once(server, 'connection')) as [Socket];
    const channel = acceptedChannel(accepted);
    const heard: number[] = [];
    const ended = new Promise<string>((resolve) =>
      channel.open({ frame: (frame) => heard.push(idOf(frame)), ended: resolve }),
    );
    const offer = Buffer.alloc(HEADER_BYTES + name.length);
    offer.write(name, HEADER_BYTES, 'latin1');
    writeHeader(offer, { type: FRAME.shelf });
    peer.write(Buffer.concat([offer, ...frames]));
    assert.match(await ended, /shel|frame/, what);
    assert.deepEqual(heard, [], what);
    peer.destroy();
  }
});

/** Echoes each frame, with another id. */
const ECHO = `
import { connectChannel } from ${JSON.stringify(new URL('../../src/actors/dirty/socket-channel.ts', import.meta.url).href)};
import { setId } from ${JSON.stringify(new URL('../../src/actors/dirty/frames.ts', import.meta.url).href)};
const channel = await connectChannel(process.argv[1], { whole: true });
channel.open({
  frame(frame) { setId(frame, 1); channel.send(frame); },
  ended() { process.exit(); },
});
`;

test('two processes: whole frames come, of any size, one by one and in heaps', withShelves, async (t) => {
  const socket = join(temporaryDirectory(t), 's');
  const server = createServer({ pauseOnConnect: true }).listen(socket);
  t.after(() => server.close());
  const child: ChildProcess = spawn(
    process.execPath,
    ['--import', 'tsx', '--input-type=module', '-e', ECHO, socket],
    { stdio: ['ignore', 'inherit', 'inherit'] },
  );
  t.after(() => child.kill('SIGKILL'));
  const [accepted] = (await once(server, 'connection')) as [Socket];
  const channel = acceptedChannel(accepted, { whole: true });
  t.after(() => channel.close());
  const heard: Buffer[] = [];
  channel.open({
    frame: (frame, more) => heard.push(Buffer.from(payloadOf(frame, more))),
    ended: () => {},
  });
  for (let round = 0; round < 60; round++) {
    const count = round % 3 === 2 ? 5 : 1;
    const frames = Array.from({ length: count }, (_, at) =>
      large(at, SHELF_FRAME_BYTES + ((round * 7919 + at * 104_729) % (3 * 1024 * 1024))),
    );
    for (const frame of frames) channel.send(Buffer.from(frame));
    await until('all have come back', () => heard.length === count);
    for (const [at, payload] of heard.splice(0).entries())
      assert.ok(payload.equals(frames[at]!.subarray(HEADER_BYTES)), `frame ${at} of round ${round}`);
  }
});

class Model extends DirtyApp {
  #gate = (): void => {};
  size(value: Buffer): number {
    return value.length;
  }
  async wait(): Promise<void> {
    await new Promise<void>((resolve) => (this.#gate = resolve));
  }
  open(): void {
    this.#gate();
  }
}

test(
  'payloads that a busy worker had by guess wait with their callers, and none holds up another',
  withShelves,
  async (t) => {
    const name = './ml.js:Model';
    const socket = join(temporaryDirectory(t), 's');
    const told: string[] = [];
    const router = new Router({
      apps: [{ importPath: name, number: 4 }],
      queueMax: 1000,
      threads: 1,
      graceMs: 5000,
      stash: () => assert.fail(),
      stuck: (_age, why) => void told.push(why),
      left: () => {},
      notice: (text) => void told.push(text),
    });
    const server = createServer({ pauseOnConnect: true }, (accepted) =>
      router.accept(acceptedChannel(accepted)),
    ).listen(socket);
    await once(server, 'listening');
    router.expect(9, 1, [4], 'secret');
    const instance = new Model();
    const line = await openRuntimeLine({
      socket,
      pid: 1,
      age: 9,
      generation: 1,
      secret: 'secret',
      apps: new Map([[4, { importPath: name, instance, actions: actionsOf(Model as DirtyClass) }]]),
      door: `${socket}-9`,
      notice: (text) => void told.push(text),
      ended: () => {},
    });
    const clients = Array.from(
      { length: 9 },
      () =>
        new DirtyClient({
          connect: socket,
          hello: { role: 'web', protocol: DIRTY_PROTOCOL, pid: 1, age: 2, generation: 1 },
          defaultTimeoutMs: 0,
        }),
    );
    t.after(() => {
      for (const client of clients) client.close();
      line.close();
      server.close();
    });
    const [first, ...others] = clients as [DirtyClient, ...DirtyClient[]];
    const payload = randomBytes(2 * DIRECT_BYTES);
    const size = (client: DirtyClient) => client.execute<number>(name, 'size', payload);
    // By then each is sure, unless this machine is very slow; what is tried here has to hold then too.
    for (const client of clients) for (let call = 0; call < 50; call++) await size(client);
    const waiting = first.execute(name, 'wait');
    await until('the worker is busy', () => line.runtime.running > 0);
    const calls = [1, 2, 3, 4].map(() => size(first));
    for (const other of others) calls.push(size(other), size(other));
    // Until all that was brought by guess has been taken back.
    await until('all wait in the queue', () => router.stats().apps[0]!.queued === calls.length);
    const sinceMs = performance.now();
    await until('guesses are over', () => performance.now() - sinceMs > 60);
    instance.open();
    await waiting;
    assert.deepEqual(new Set(await Promise.all(calls)), new Set([payload.length]));
    assert.deepEqual(told, []);
  },
);
