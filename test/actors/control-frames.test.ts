/** Frames of the control wire: what is written is read, split anywhere; one that is too long is told at its header. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { encodeFrame, FrameQueue, FrameTooLarge, frameOf } from '../../src/actors/control/frames.ts';

const BYTES_MAX = 1000;

/** All bodies that are complete after these pieces. */
function read(pieces: readonly Uint8Array[], bytesMax = BYTES_MAX) {
  const queue = new FrameQueue(bytesMax);
  const bodies: string[] = [];
  for (const piece of pieces) {
    queue.push(Buffer.from(piece));
    for (let body = queue.next(); body; body = queue.next()) bodies.push(body.toString('latin1'));
  }
  return { bodies, left: queue.bytes };
}

/** Cuts bytes at the given places, in any order; pieces may be empty. */
function cutAt(bytes: Buffer, places: readonly number[]): Buffer[] {
  const cuts = [0, ...places.map((place) => place % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  return cuts.slice(1).map((end, index) => bytes.subarray(cuts[index], end));
}

const body = fc.uint8Array({ maxLength: BYTES_MAX }).map((bytes) => Buffer.from(bytes).toString('latin1'));

function framed(text: string): Buffer {
  const header = Buffer.alloc(4);
  header.writeUInt32BE(text.length);
  return Buffer.concat([header, Buffer.from(text, 'latin1')]);
}

test('what is written is read, in order, wherever the bytes are split', () => {
  fc.assert(
    fc.property(fc.array(body, { maxLength: 8 }), fc.array(fc.nat(), { maxLength: 20 }), (bodies, places) => {
      assert.deepEqual(read(cutAt(Buffer.concat(bodies.map(framed)), places)), { bodies, left: 0 });
    }),
    { numRuns: 500 },
  );
});

test('the same, if the frames are asked for only at the end', () => {
  fc.assert(
    fc.property(fc.array(body, { maxLength: 8 }), fc.array(fc.nat(), { maxLength: 20 }), (bodies, places) => {
      const queue = new FrameQueue(BYTES_MAX);
      for (const piece of cutAt(Buffer.concat(bodies.map(framed)), places)) queue.push(piece);
      for (const expected of bodies) assert.equal(queue.next()?.toString('latin1'), expected);
      assert.equal(queue.next(), undefined);
      assert.equal(queue.bytes, 0);
    }),
  );
});

test('frames are read byte by byte, more of them than pieces are kept', () => {
  const bodies = ['x'.repeat(BYTES_MAX), '', 'y', 'z'.repeat(700)];
  const bytes = Buffer.concat(bodies.map(framed));
  assert.deepEqual(read(Array.from(bytes, (byte) => Uint8Array.of(byte))), { bodies, left: 0 });
});

test('any value comes back as it was', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const queue = new FrameQueue(1024 * 1024);
      queue.push(encodeFrame(value));
      assert.equal(queue.next()!.toString(), JSON.stringify(value));
      assert.equal(queue.bytes, 0);
    }),
  );
});

test('the length is in bytes, not in characters', () => {
  const frame = frameOf('"größe 🦒"');
  assert.equal(frame.readUInt32BE(0), frame.length - 4);
  assert.equal(frame.length - 4, Buffer.byteLength('"größe 🦒"'));
});

test('a frame that is cut off is none, and its bytes are counted', () => {
  const bytes = framed('incomplete');
  for (let length = 0; length < bytes.length; length++)
    assert.deepEqual(read([bytes.subarray(0, length)]), { bodies: [], left: length });
});

test('the longest frame is read; one byte more is told before its bytes are there', () => {
  const longest = 'x'.repeat(BYTES_MAX);
  assert.deepEqual(read([framed(longest)]).bodies, [longest]);
  for (const bytes of [BYTES_MAX + 1, 0x7fffffff, 0x80000000, 0xffffffff]) {
    const header = Buffer.alloc(4);
    header.writeUInt32BE(bytes);
    const queue = new FrameQueue(BYTES_MAX);
    queue.push(header);
    assert.throws(
      () => queue.next(),
      (error: unknown) => error instanceof FrameTooLarge && error.bytes === bytes,
    );
  }
});

test('frames before one that is too long are read', () => {
  const queue = new FrameQueue(BYTES_MAX);
  queue.push(Buffer.concat([framed('good'), Buffer.alloc(4, 0xff)]));
  assert.equal(queue.next()?.toString(), 'good');
  assert.throws(() => queue.next(), FrameTooLarge);
});
