/** Frames of the dirty wire: read as they were written, split anywhere; what is no frame is told, never thrown. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FrameReader } from '../../src/actors/dirty/frame-reader.ts';
import {
  appOf,
  bareFrame,
  callerIdOf,
  callerOf,
  FRAME,
  FRAME_BYTES_MAX,
  type FrameType,
  flagsOf,
  HEADER_BYTES,
  type Header,
  idOf,
  LARGE_BYTES,
  numberOf,
  payloadOf,
  setId,
  setNumber,
  typeOf,
  UINT32_MAX,
  VERSION,
  writeHeader,
} from '../../src/actors/dirty/frames.ts';

interface Whole extends Required<Omit<Header, 'readBytes'>> {
  payload: Buffer;
}

function frameOf({ payload, ...header }: Whole): Buffer {
  const frame = Buffer.alloc(HEADER_BYTES + payload.length);
  payload.copy(frame, HEADER_BYTES);
  writeHeader(frame, header);
  return frame;
}

const wholeOf = (frame: Buffer, more: readonly Buffer[]): Whole => ({
  type: typeOf(frame) as FrameType,
  flags: flagsOf(frame),
  app: appOf(frame),
  id: idOf(frame),
  number: numberOf(frame),
  caller: callerOf(frame),
  callerId: callerIdOf(frame),
  payload: Buffer.from(payloadOf(frame, more)),
});

function reader(exact: boolean, frameBytesMax = FRAME_BYTES_MAX) {
  const heard = { frames: [] as Whole[], pieces: [] as number[], broken: [] as string[] };
  const one = new FrameReader(
    {
      frame(frame, more) {
        heard.frames.push(wholeOf(frame, more));
        heard.pieces.push(1 + more.length);
      },
      broken: (why) => heard.broken.push(why),
    },
    { exact, frameBytesMax },
  );
  return { reader: one, heard };
}

/** As a socket does it: into the target where there is one, else into one buffer that is used again. */
function readLikeASocket(bytes: Buffer, cuts: readonly number[]) {
  const { reader: one, heard } = reader(true);
  const used = Buffer.alloc(LARGE_BYTES);
  let at = 0;
  for (let index = 0; at < bytes.length; index++) {
    const target = one.target ?? used;
    const length = Math.min(target.length, 1 + (cuts[index % cuts.length] ?? LARGE_BYTES), bytes.length - at);
    bytes.copy(target, 0, at, at + length);
    at += length;
    if (target === used) {
      one.push(used.subarray(0, length));
      used.fill(0xee);
    } else one.advance(length);
  }
  assert.equal(one.incomplete, false);
  return heard;
}

const uint16 = fc.nat(0xffff);
const uint32 = fc.nat(UINT32_MAX);
const frames = fc.record<Whole>(
  {
    type: fc.constantFrom(...Object.values(FRAME)),
    flags: uint16,
    app: uint16,
    id: uint32,
    number: uint32,
    caller: uint32,
    callerId: uint32,
    payload: fc
      .tuple(
        fc.oneof(fc.nat(300), fc.integer({ min: LARGE_BYTES - 40, max: LARGE_BYTES + 40 }), fc.nat(300_000)),
        fc.nat(255),
      )
      .map(([length, fill]) => Buffer.alloc(length, fill)),
  },
  { noNullPrototype: true },
);
const cutPlaces = fc.array(fc.oneof(fc.nat(40), fc.nat(100_000)), { minLength: 1, maxLength: 12 });

test('what is written is read, in order, wherever the bytes are split', () => {
  fc.assert(
    fc.property(fc.array(frames, { maxLength: 6 }), cutPlaces, fc.boolean(), (sent, cuts, exact) => {
      const { reader: one, heard } = reader(exact);
      const bytes = Buffer.concat(sent.map(frameOf));
      for (let at = 0, index = 0; at < bytes.length; index++) {
        const length = Math.min(bytes.length - at, 1 + cuts[index % cuts.length]!);
        // Each chunk is its own, as what a socket emits.
        one.push(Buffer.from(bytes.subarray(at, at + length)));
        at += length;
      }
      assert.deepEqual(heard.frames, sent);
      assert.deepEqual(heard.broken, []);
      assert.equal(one.incomplete, false);
      if (exact) assert.ok(heard.pieces.every((pieces) => pieces === 1));
    }),
  );
});

test('what is read straight into place is the same, and comes in one piece', () => {
  fc.assert(
    fc.property(fc.array(frames, { maxLength: 6 }), cutPlaces, (sent, cuts) => {
      const heard = readLikeASocket(Buffer.concat(sent.map(frameOf)), cuts);
      assert.deepEqual(heard.frames, sent);
      assert.ok(heard.pieces.every((pieces) => pieces === 1));
    }),
  );
});

const call = frameOf({
  type: FRAME.call,
  flags: 1,
  app: 2,
  id: 3,
  number: 4,
  caller: 0,
  callerId: 0,
  payload: Buffer.from('hello'),
});

test('a small frame that lies whole in what was read is not copied', () => {
  const seen: Buffer[] = [];
  const one = new FrameReader(
    { frame: (frame) => seen.push(frame), broken: assert.fail },
    { exact: true, frameBytesMax: FRAME_BYTES_MAX },
  );
  const chunk = Buffer.concat([call, call, call]);
  one.push(chunk);
  assert.deepEqual(
    seen.map((frame) => [frame.buffer === chunk.buffer, frame.byteOffset - chunk.byteOffset]),
    [0, 1, 2].map((index) => [true, index * call.length]),
  );
});

test('a large frame that comes byte by byte costs no more than itself', () => {
  const { reader: one, heard } = reader(false);
  const large = frameOf({
    type: FRAME.result,
    flags: 0,
    app: 0,
    id: 9,
    number: 0,
    caller: 0,
    callerId: 0,
    payload: Buffer.alloc(LARGE_BYTES, 5),
  });
  for (const byte of large) one.push(Buffer.from([byte]));
  assert.equal(heard.frames.length, 1);
  assert.deepEqual(heard.frames[0]!.payload, Buffer.alloc(LARGE_BYTES, 5));
  assert.deepEqual(heard.pieces, [1]);
});

test('numbers of a header are changed in place', () => {
  const frame = Buffer.from(call);
  setId(frame, UINT32_MAX);
  setNumber(frame, 0x80000001);
  assert.deepEqual(
    [idOf(frame), numberOf(frame), payloadOf(frame).toString()],
    [UINT32_MAX, 0x80000001, 'hello'],
  );
});

test('what is no frame breaks the stream once, and nothing after it is read', () => {
  const wrong = (place: number, byte: number): Buffer => {
    const frame = Buffer.from(call);
    frame[place] = byte;
    return frame;
  };
  const cases: [Buffer, RegExp][] = [
    [wrong(0, 0), /not a frame/],
    [wrong(1, 0x4b), /not a frame/],
    [wrong(2, VERSION - 1), new RegExp(`version ${VERSION - 1} of the wire, this is ${VERSION}$`)],
    [wrong(3, 0), /type 0/],
    [wrong(3, 99), /type 99/],
    [wrong(16, 255), /at most 67108864/],
  ];
  for (const [bytes, message] of cases)
    for (const size of [1, 7, 1000]) {
      const { reader: one, heard } = reader(false);
      const all = Buffer.concat([call, bytes, call]);
      for (let at = 0; at < all.length; at += size) one.push(all.subarray(at, at + size));
      assert.equal(heard.frames.length, 1);
      assert.equal(heard.broken.length, 1);
      assert.match(heard.broken[0]!, message);
    }
});

test('the bound is what was set, to the byte', () => {
  const of = (length: number) =>
    frameOf({
      type: FRAME.call,
      flags: 0,
      app: 0,
      id: 1,
      number: 0,
      caller: 0,
      callerId: 0,
      payload: Buffer.alloc(length),
    });
  const { reader: one, heard } = reader(true, 1000);
  one.push(of(1000));
  one.push(of(1001));
  assert.equal(heard.frames.length, 1);
  assert.deepEqual(heard.broken, ['a frame of 1001 bytes, a frame has at most 1000']);
});

test('garbage is never thrown', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 20 }), (chunks) => {
      const { reader: one, heard } = reader(false);
      one.push(Buffer.from(call.subarray(0, 7)));
      for (const chunk of chunks) one.push(Buffer.from(chunk));
      assert.ok(heard.broken.length <= 1);
    }),
  );
});

test('a handler that stops the reader hears nothing more of the same chunk', () => {
  let frames = 0;
  const one = new FrameReader(
    {
      frame() {
        frames++;
        one.stop();
      },
      broken: assert.fail,
    },
    { exact: true, frameBytesMax: FRAME_BYTES_MAX },
  );
  one.push(Buffer.concat([call, call, Buffer.from('garbage that is no frame')]));
  assert.equal(frames, 1);
  assert.equal(one.incomplete, false);
});

test('a frame without a payload is its header', () => {
  const frame = bareFrame({ type: FRAME.cancel, id: 5 });
  assert.equal(frame.length, HEADER_BYTES);
  assert.deepEqual([typeOf(frame), idOf(frame), numberOf(frame)], [FRAME.cancel, 5, 0]);
});
