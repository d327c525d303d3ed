/** What is packed is read again as it was; what cannot be sent is refused with its place; garbage is an error. */
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import fc from 'fast-check';
import { DirtyPayloadError } from '../../src/actors/dirty/errors.ts';
import { FRAME, HEADER_BYTES, payloadBytesOf, payloadOf } from '../../src/actors/dirty/frames.ts';
import { pack, packCall, packFrame, packPieces, unpack } from '../../src/actors/dirty/packing.ts';
import { joined } from '../../src/actors/dirty/packing-pieces.ts';
import { borrowed, recycle } from '../../src/actors/dirty/packing-spare.ts';

const trip = (value: unknown): unknown => unpack(pack(value));
const same = (value: unknown): void => assert.deepStrictEqual(trip(value), value);
const refused = (value: unknown, message: string | RegExp): void =>
  assert.throws(
    () => pack(value, 'args'),
    (error: Error) => {
      assert.ok(error instanceof DirtyPayloadError);
      if (typeof message === 'string') assert.equal(error.message, message);
      else assert.match(error.message, message);
      return true;
    },
  );

/** Any text, lone surrogates too. */
const text = fc
  .array(fc.oneof(fc.nat(0x7f), fc.nat(0xffff)), { maxLength: 60 })
  .map((codes) => String.fromCharCode(...codes));
const bytes = fc.uint8Array({ maxLength: 400 });
const leaf = fc.oneof(
  fc.constantFrom(null, undefined, true, false, -0, 0, Number.NaN, Infinity, -Infinity),
  fc.double(),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.bigInt(),
  fc.bigInt({ min: -(2n ** 2000n), max: 2n ** 2000n }),
  text,
  // One that is invalid is not equal to itself for the comparison; it has a test of its own.
  fc.date({ noInvalidDate: true }),
  bytes.map((one) => Buffer.from(one)),
  bytes,
  fc.uint8ClampedArray(),
  fc.int8Array(),
  fc.int16Array(),
  fc.uint16Array(),
  fc.int32Array(),
  fc.uint32Array(),
  fc.float32Array(),
  fc.float64Array(),
  fc.bigInt64Array(),
  fc.bigUint64Array(),
  bytes.map((one) => new Uint8Array(one).buffer),
  bytes.map((one) => new DataView(new Uint8Array(one).buffer)),
  fc.constantFrom(/a+b/giu, /[/]/),
);
const { tree: value } = fc.letrec<{ tree: unknown }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 4, depthSize: 'small' },
    leaf,
    fc.array(tie('tree'), { maxLength: 20 }),
    fc.dictionary(text, tie('tree'), { maxKeys: 20, noNullPrototype: true }),
    fc.array(fc.tuple(tie('tree'), tie('tree')), { maxLength: 6 }).map((entries) => new Map(entries)),
    fc.array(tie('tree'), { maxLength: 6 }).map((inner) => new Set(inner)),
  ),
}));

test('every value survives', () => {
  fc.assert(
    fc.property(value, (one) => assert.deepEqual(trip(one), one)),
    { numRuns: 1500 },
  );
  fc.assert(fc.property(leaf, same), { numRuns: 3000 });
});

test('an invalid date stays one', () => {
  const back = trip([new Date(Number.NaN)]) as [Date];
  assert.ok(back[0] instanceof Date && Number.isNaN(back[0].getTime()));
});

test('a value survives whether its bytes are its own or not', () => {
  fc.assert(
    fc.property(value, (one) => {
      const packed = pack(one);
      const own = unpack(Buffer.from(packed), true);
      const used = Buffer.from(packed);
      const copied = unpack(used);
      used.fill(0xff);
      assert.deepEqual(copied, own);
    }),
  );
});

test('numbers at every border', () => {
  for (const power of [5, 7, 8, 15, 16, 31, 32, 33, 52, 53, 63, 64, 65])
    for (const sign of [1, -1])
      for (const by of [-1, 0, 1]) {
        same(sign * (2 ** power + by));
        same(BigInt(sign) * (2n ** BigInt(power) + BigInt(by)));
      }
  for (const number of [0, -0, 0.1, Number.MIN_VALUE, Number.MAX_VALUE, Number.EPSILON]) same(number);
});

test('texts, lists, objects and bytes of every length class', () => {
  for (const length of [0, 1, 15, 16, 31, 32, 39, 40, 41, 255, 256, 65_535, 65_536, 70_000]) {
    same('x'.repeat(length));
    same('ü'.repeat(length));
    same(`${'x'.repeat(length)}€`);
    same(`${'x'.repeat(length)}\ud800`);
    same(Buffer.alloc(length, 7));
    same(new Uint8Array(length).fill(7));
    same(Array.from({ length }, (_, index) => index));
    same(Object.fromEntries(Array.from({ length }, (_, index) => [`key${index}`, index])));
    same(new Set(Array.from({ length }, (_, index) => index)));
  }
});

test('keys that mean something to objects are only keys', () => {
  const odd = JSON.parse(
    '{"__proto__":{"admin":true},"constructor":1,"hasOwnProperty":2,"then":3,"toJSON":4,"":5,"1":6}',
  );
  assert.deepEqual(trip(odd), odd);
  assert.equal((trip(odd) as { admin?: boolean }).admin, undefined);
  assert.ok(Object.hasOwn(trip(odd) as object, '__proto__'));
});

test('the same key twice from different bytes: the cache does not mix them up', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'grapheme', maxLength: 6 }), { maxLength: 50 }), (keys) => {
      for (const key of keys) assert.deepEqual(Object.keys(trip({ [key]: 1 }) as object), [key]);
    }),
  );
});

test('class instances become plain objects, also below lists and maps', () => {
  class Point {
    x = 1;
    #secret = 2;
    inner = {
      deep: new Map([
        [
          'at',
          new (class Inner {
            y = 3;
          })(),
        ],
      ]),
    };
    get secret() {
      return this.#secret;
    }
  }
  assert.deepStrictEqual(trip([new Point()]), [{ x: 1, inner: { deep: new Map([['at', { y: 3 }]]) } }]);
  class Many extends Map<number, number> {}
  assert.deepStrictEqual(trip(new Many([[1, 2]])), new Map([[1, 2]]));
  assert.deepStrictEqual(trip(Object.assign(Object.create(null), { a: 1 })), { a: 1 });
});

test('errors keep their class, message, stack, cause and own fields', () => {
  const cause = new RangeError('inner');
  const error = Object.assign(new TypeError('outer', { cause }), { code: 'E_OUTER', at: new Date(1) });
  const read = trip(error) as TypeError & { code: string; at: Date; cause: RangeError };
  assert.ok(read instanceof TypeError);
  assert.deepEqual(
    { message: read.message, stack: read.stack, code: read.code, at: read.at },
    { message: 'outer', stack: error.stack, code: 'E_OUTER', at: new Date(1) },
  );
  assert.ok(read.cause instanceof RangeError);
  assert.equal(read.cause.stack, cause.stack);
  class Own extends Error {
    override name = 'Own';
  }
  const own = trip(new Own('mine')) as Error;
  assert.deepEqual([own.name, own.message, own instanceof Error], ['Own', 'mine', true]);
  const many = trip(new AggregateError([new Error('one')], 'many')) as AggregateError;
  assert.ok(many instanceof AggregateError);
  assert.equal((many.errors[0] as Error).message, 'one');
  const looped = new Error('loop');
  looped.cause = looped;
  refused([looped], 'args[0].cause is a cycle: it is args[0] again');
});

test('typed arrays are aligned and alone in their buffer, and subclasses are what they extend', () => {
  const read = trip(['odd', new Float64Array([1, 2]), new Uint16Array([3]).subarray(0, 1)]) as [
    string,
    Float64Array,
    Uint16Array,
  ];
  assert.equal(read[1].buffer.byteLength, 16);
  assert.equal(read[2].buffer.byteLength, 2);
  class Samples extends Float32Array {}
  assert.deepStrictEqual(trip(new Samples([1.5])), new Float32Array([1.5]));
});

test('what cannot be sent is refused with its place', () => {
  refused([{ cb: () => 1 }], 'args[0].cb is a function');
  refused([1, { 'a b': [Symbol('s')] }], 'args[1]["a b"][0] is a symbol');
  refused([Promise.resolve()], 'args[0] is a promise');
  refused([Readable.from(['x'])], 'args[0] is a stream');
  refused([new ReadableStream()], 'args[0] is a stream');
  refused([new Map([['k', async () => 1]])], 'args[0].get("k") is a function');
  refused([new Map([[Symbol('k'), 1]])], 'a key of args[0] is a symbol');
  refused([new Set([() => 1])], 'an element of args[0] is a function');
  refused([new WeakMap()], 'args[0] is a WeakMap');
  refused([(function* () {})()], 'args[0] is an iterator');
  refused([(async function* () {})()], 'args[0] is an async iterable');
  refused([new SharedArrayBuffer(4)], 'args[0] is a SharedArrayBuffer');
  refused([class {}], 'args[0] is a function');
  refused([Object.assign(new Error('x'), { retry() {} })], 'args[0].retry is a function');
});

test('cycles, and what is nested too deep, are refused', () => {
  const list: unknown[] = [];
  list.push({ list });
  refused([list], 'args[0][0].list is a cycle: it is args[0] again');
  const large: Record<string, unknown> = { text: 'x'.repeat(1_000_000) };
  large['self'] = large;
  refused([large], 'args[0].self is a cycle: it is args[0] again');
  let deep: unknown = 1;
  for (let level = 0; level < 600; level++) deep = [deep];
  refused(deep, /nested deeper than 500/);
  const shared = { a: 1 };
  same([shared, shared, [shared]]);
});

test('a getter that throws is told, and one that packs something itself disturbs nothing', () => {
  refused(
    [
      {
        get bad() {
          throw new Error('no luck');
        },
      },
    ],
    'args cannot be read: no luck',
  );
  let inner: Buffer | undefined;
  const value = {
    before: 'x'.repeat(100),
    get nested() {
      inner = pack({ of: 'another' });
      return 1;
    },
    after: 'y'.repeat(100),
  };
  assert.deepEqual(trip(value), { before: 'x'.repeat(100), nested: 1, after: 'y'.repeat(100) });
  assert.deepEqual(unpack(inner!), { of: 'another' });
  same('after all of it');
});

test('what is too large is refused, and what is just small enough is not', () => {
  assert.throws(() => pack('x'.repeat(2000), 'args', 1000), /args is larger than 1000 bytes/);
  assert.throws(() => pack(Buffer.alloc(100_000), 'result', 99_999), /result is larger than 99999 bytes/);
  const limit = pack(Buffer.alloc(100_000)).length;
  assert.equal(pack(Buffer.alloc(100_000), 'args', limit).length, limit);
  assert.throws(() => pack(Buffer.alloc(100_000), 'args', limit - 1), DirtyPayloadError);
  const many = new Array(100_000).fill('0123456789');
  assert.throws(() => pack(many, 'args', 100_000), /larger/);
  assert.equal(pack(many).length, 1_100_005);
});

test('what was packed is never written over', () => {
  const packed = Array.from({ length: 5000 }, (_, index) => [
    index,
    pack({ index, text: 'x'.repeat(index % 200) }),
  ]);
  for (const [index, one] of packed)
    assert.deepEqual(unpack(one as Buffer), { index, text: 'x'.repeat((index as number) % 200) });
});

test('a frame is packed with room for its header', () => {
  for (const size of [0, 10, 70_000]) {
    const frame = packFrame({ type: FRAME.result, id: 7 }, Buffer.alloc(size));
    assert.equal(payloadBytesOf(frame), frame.length - HEADER_BYTES);
    assert.deepEqual(unpack(payloadOf(frame)), Buffer.alloc(size));
  }
  assert.deepEqual(unpack(payloadOf(packCall({ type: FRAME.call }, 'act', [1, 'two'])[0]!)), [
    'act',
    [1, 'two'],
  ]);
  assert.throws(
    () => packCall({ type: FRAME.call }, 'act', [0, { cb() {} }]),
    /^DirtyPayloadError: args\[1\]\.cb is a function$/,
  );
});

test('large bytes of a call are pieces of their own, and the whole is what it would be in one', () => {
  const bytes = Buffer.alloc(100_000, 1);
  const list = new Float64Array(20_000).fill(0.5);
  const text = 'x'.repeat(100_000);
  const args = [bytes, { list, small: Buffer.from('no piece'), text }, bytes];
  const pieces = packCall({ type: FRAME.call, id: 7 }, 'act', args);
  assert.ok(pieces.filter(({ buffer }) => buffer === bytes.buffer).length === 2);
  assert.ok(pieces.some(({ buffer }) => buffer === list.buffer));
  const frame = joined(pieces);
  const whole = packFrame({ type: FRAME.call, id: 7 }, ['act', args]);
  assert.ok(frame.equals(whole));
  assert.deepEqual(unpack(payloadOf(frame)), ['act', args]);
  assert.equal(packCall({ type: FRAME.call }, 'act', [Buffer.alloc(1000)]).length, 1);
  // What fits and what does not is counted with them.
  const payload = frame.length - HEADER_BYTES;
  assert.ok(joined(packPieces({ type: FRAME.result }, ['act', args], 'it', payload)).length === frame.length);
  assert.throws(() => packPieces({ type: FRAME.result }, ['act', args], 'it', payload - 1), {
    message: `it is larger than ${payload - 1} bytes`,
  });
});

test('pieces are refused of a value whose getter gives away what was packed, and one that packs itself is kept apart', () => {
  const bytes = Buffer.from(new ArrayBuffer(100_000));
  const thief = {
    bytes,
    get more() {
      structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
      return 1;
    },
  };
  assert.throws(() => packPieces({ type: FRAME.result }, thief), DirtyPayloadError);
  const inner = Buffer.alloc(100_000, 3);
  const nested = {
    inner,
    get more() {
      return joined(packPieces({ type: FRAME.result }, inner));
    },
    inner2: inner,
  };
  const frame = joined(packPieces({ type: FRAME.result }, nested));
  const more = joined(packPieces({ type: FRAME.result }, inner));
  assert.deepEqual(unpack(payloadOf(frame)), { inner, more, inner2: inner });
});

test('memory of a large frame that was written is used again, and of nothing else', () => {
  const large = () => packFrame({ type: FRAME.result }, Buffer.alloc(200_000, 1));
  const first = large();
  const second = large();
  assert.notEqual(first.buffer, second.buffer);
  recycle(first);
  const third = large();
  assert.equal(third.buffer, first.buffer);
  assert.notEqual(large().buffer, first.buffer);
  // Twice, or what was not made as a frame: nothing happens.
  recycle(second);
  recycle(second);
  assert.equal(large().buffer, second.buffer);
  assert.notEqual(large().buffer, second.buffer);
  const kept = pack(Buffer.alloc(200_000, 2));
  recycle(kept);
  assert.notEqual(large().buffer, kept.buffer);
  assert.deepEqual(unpack(kept), Buffer.alloc(200_000, 2));
  assert.deepEqual(unpack(payloadOf(third)), Buffer.alloc(200_000, 1));
});

test('garbage is a payload error, and nothing else', () => {
  const tried = (garbage: Uint8Array): void => {
    try {
      unpack(Buffer.from(garbage));
    } catch (error) {
      assert.ok(error instanceof DirtyPayloadError, String(error));
    }
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 100 }), tried), { numRuns: 3000 });
  // Of valid bytes, cut off and with one byte changed.
  fc.assert(
    fc.property(value, fc.nat(), fc.nat(255), (one, place, byte) => {
      const packed = Buffer.from(pack(one));
      assert.throws(() => unpack(packed.subarray(0, place % packed.length)), DirtyPayloadError);
      packed[place % packed.length] = byte;
      tried(packed);
    }),
  );
  tried(Buffer.alloc(100_000, Buffer.from([0xd4, 0x73, 0x00])));
  tried(Buffer.alloc(100_000, 0x91));
});

test('what stands in many places is searched once, and what is refused in it is found', () => {
  let shared: unknown = ['leaf'];
  for (let level = 0; level < 60; level++) shared = [shared, shared];
  const refusal = /^args\[1\]\[1\] is a function$/;
  assert.throws(() => packCall({ type: FRAME.call }, 'act', [1, [shared, () => 1]], 1000), {
    code: 'DIRTY_PAYLOAD',
    message: refusal,
  });
});

test('memory that was given back serves frames of about its size, also after one that was much larger', () => {
  // The spare one of other tests goes first.
  recycle(borrowed(200_000));
  const first = borrowed(200_000);
  recycle(first);
  const longer = borrowed(200_100);
  assert.equal(longer.length, 200_100);
  assert.equal(longer.buffer, first.buffer, 'a frame that is a little larger uses it again');
  const huge = borrowed(4_000_000);
  recycle(huge);
  const small = borrowed(200_000);
  assert.notEqual(small.buffer, huge.buffer, 'a frame holds no more than twice what it has');
  assert.ok(small.buffer.byteLength <= 400_000);
  recycle(small);
  assert.equal(borrowed(200_000).buffer, small.buffer, 'what was much larger has made way');
});
