/** Frames: what is written is read, split anywhere; what is not a frame is told, and nothing is ever thrown. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Packr } from 'msgpackr';
import { encodeFrame, FRAME_BYTES_MAX, frameReader, type LinkEvent } from '../../src/actors/codec.ts';
import { linkSchemas, type Up } from '../../src/machines/events/link.ts';
import { DURATION_BOUNDS } from '../../src/machines/events/metrics.ts';
import type { WorkerReport } from '../../src/machines/events/worker.ts';
import { FAULT_CODES } from '../../src/machines/faults.ts';

const vocabulary = linkSchemas.web.up;
const packr = new Packr({ useRecords: false });

/** A frame of any value, with another length in its header where one is given. */
function rawFrame(value: unknown, bytes?: number): Buffer {
  const body = packr.pack(value);
  const header = Buffer.alloc(4);
  header.writeUInt32BE(bytes ?? body.length);
  return Buffer.concat([header, body]);
}

const framed = (body: Uint8Array): Buffer => {
  const header = Buffer.alloc(4);
  header.writeUInt32BE(body.length);
  return Buffer.concat([header, body]);
};

/** Reads chunks and tells what was heard. */
function read(...chunks: Uint8Array[]) {
  const heard = { events: [] as LinkEvent[], unknown: [] as string[], broken: [] as string[] };
  const reader = frameReader(vocabulary, {
    event: (event) => heard.events.push(event),
    unknown: (what) => heard.unknown.push(what),
    broken: (why) => heard.broken.push(why),
  });
  for (const chunk of chunks) reader.push(Buffer.from(chunk));
  return { ...heard, incomplete: reader.incomplete };
}

/** Cuts bytes at the given places, in any order. */
function cutAt(bytes: Buffer, places: readonly number[]): Buffer[] {
  const cuts = [0, ...places.map((place) => place % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  return cuts.slice(1).map((end, index) => bytes.subarray(cuts[index], end));
}

const count = fc.nat();
const ms = fc.double({ min: 0, max: 1e9, noNaN: true });
const fault = fc.record(
  {
    code: fc.constantFrom(...FAULT_CODES),
    message: fc.string({ unit: 'grapheme' }),
    stack: fc.string({ unit: 'grapheme' }),
  },
  { requiredKeys: ['code', 'message'] },
);
const reports: fc.Arbitrary<Up<'web'>> = fc
  .oneof(
    fc.record({
      type: fc.constant('worker.hello' as const),
      protocol: count,
      kind: fc.constant('web' as const),
      age: count,
      generation: count,
    }),
    fc.record({ type: fc.constant('worker.ready' as const) }),
    fc.record({ type: fc.constant('worker.bootFailed' as const), fault }),
    fc.record({ type: fc.constant('worker.lastWords' as const), fault }),
    fc.record({ type: fc.constant('worker.recycleDue' as const), requests: count }),
    fc.record({ type: fc.constant('worker.paused' as const) }),
    fc.record({ type: fc.constant('worker.resumed' as const) }),
    fc.record({ type: fc.constant('worker.pauseFailed' as const), fault }),
    fc.record(
      {
        type: fc.constant('worker.metrics' as const),
        statuses: fc.array(fc.tuple(count, count), { maxLength: 4 }),
        durations: fc.array(count, {
          minLength: DURATION_BOUNDS.length + 1,
          maxLength: DURATION_BOUNDS.length + 1,
        }),
        totalMs: ms,
        aborted: count,
        app: fc.string(),
      },
      { requiredKeys: ['type', 'statuses', 'durations', 'totalMs', 'aborted'] },
    ),
    fc.record({
      type: fc.constant('worker.modules' as const),
      generation: count,
      files: fc.array(fc.record({ path: fc.string(), mtimeMs: ms }), { maxLength: 4 }),
    }),
    fc.record({
      type: fc.constant('worker.draining' as const),
      orderId: count,
      cause: fc.constantFrom('ordered' as const, 'terminated' as const),
    }),
    fc.record({ type: fc.constant('worker.drained' as const), cut: count }),
    fc.record(
      {
        type: fc.constant('worker.heartbeat' as const),
        requests: count,
        connections: count,
        inFlight: count,
        full: fc.boolean(),
        accepted: count,
        resting: fc.boolean(),
        loopDelayMs: ms,
        loopUtilization: fc.double({ min: 0, max: 1, noNaN: true }),
        rssBytes: fc.maxSafeNat(),
      },
      {
        requiredKeys: [
          'type',
          'requests',
          'connections',
          'inFlight',
          'loopDelayMs',
          'loopUtilization',
          'rssBytes',
        ],
      },
    ),
    fc.record({
      type: fc.constant('worker.notice' as const),
      level: fc.constantFrom('debug' as const, 'info' as const, 'warn' as const, 'error' as const),
      text: fc.string({ unit: 'grapheme' }),
    }),
    fc.record(
      {
        type: fc.constant('inspect.batch' as const),
        pid: count,
        records: fc.array(fc.string()),
        alive: fc.array(count),
        dropped: count,
      },
      { requiredKeys: ['type', 'pid', 'records', 'dropped'] },
    ),
  )
  // As plain objects, which is what is read.
  .map((report) => structuredClone(report));

test('every event of the vocabulary is among those that are tried below', () => {
  const tried = new Set(fc.sample(reports, { numRuns: 1000, seed: 1 }).map(({ type }) => type));
  assert.deepEqual([...tried].sort(), Object.keys(vocabulary).sort());
});

test('what is written is read, in order, wherever the bytes are split', () => {
  fc.assert(
    fc.property(
      fc.array(reports, { maxLength: 8 }),
      fc.array(fc.nat(), { maxLength: 12 }),
      (events, places) => {
        const heard = read(...cutAt(Buffer.concat(events.map(encodeFrame)), places));
        assert.deepEqual(heard, { events, unknown: [], broken: [], incomplete: false });
      },
    ),
  );
});

const drained: WorkerReport = { type: 'worker.drained', cut: 3 };

test('a frame is read byte by byte', () => {
  const bytes = encodeFrame(drained);
  assert.deepEqual(read(...Array.from(bytes, (byte) => Uint8Array.of(byte))).events, [drained]);
});

test('a frame that is cut off is no event, and is known to be incomplete', () => {
  const bytes = encodeFrame(drained);
  for (let length = 1; length < bytes.length; length++) {
    const heard = read(bytes.subarray(0, length));
    assert.deepEqual(heard, { events: [], unknown: [], broken: [], incomplete: true });
  }
});

test('any bytes at all are read without a throw, and nothing is read after the link broke', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 6 }), (chunks) => {
      const heard = read(...chunks, Buffer.alloc(4, 0xff), encodeFrame({ type: 'worker.ready' }));
      assert.ok(heard.broken.length <= 1);
    }),
    { numRuns: 500 },
  );
});

test('any body in a frame is an event of the vocabulary, is unknown, or breaks the link: exactly one', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (body) => {
      const { events, unknown, broken } = read(framed(body));
      assert.equal(events.length + unknown.length + broken.length, 1);
    }),
    { numRuns: 2000 },
  );
});

test('a frame with bytes changed is still valid where it is taken for an event', () => {
  const changes = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), {
    minLength: 1,
    maxLength: 4,
  });
  fc.assert(
    fc.property(reports, changes, reports, (event, edits, next) => {
      const bytes = encodeFrame(event);
      for (const [place, value] of edits) bytes[4 + (place % (bytes.length - 4))] = value;
      const { events, unknown, broken } = read(bytes, encodeFrame(next));
      // What is read can be written again, and is then the same.
      assert.deepEqual(read(Buffer.concat(events.map(encodeFrame))).events, events);
      if (broken.length > 0) assert.equal(events.length, 0);
      else assert.deepEqual([events.at(-1), events.length + unknown.length], [next, 2]);
    }),
    { numRuns: 2000 },
  );
});

test('a frame larger than one may be breaks the link before its bytes are there', () => {
  const heard = read(
    rawFrame({ type: 'worker.ready' }, FRAME_BYTES_MAX + 1),
    encodeFrame({ type: 'worker.ready' }),
  );
  assert.deepEqual(heard.events, []);
  assert.match(heard.broken.join(), /a frame has at most/);
});

test('the largest frame is read, and one byte more is not written', () => {
  const filling = (bytes: number): LinkEvent & { text: string } => ({
    type: 'worker.dances',
    text: 'x'.repeat(bytes),
  });
  const overhead = packr.pack(filling(FRAME_BYTES_MAX)).length - FRAME_BYTES_MAX;
  const largest = encodeFrame(filling(FRAME_BYTES_MAX - overhead));
  assert.equal(largest.length, 4 + FRAME_BYTES_MAX);
  assert.match(read(largest).unknown.join(), /worker\.dances/);
  assert.throws(() => encodeFrame(filling(FRAME_BYTES_MAX - overhead + 1)), RangeError);
});

for (const [name, value] of [
  ['a type that is not known', { type: 'worker.dances' }],
  ['an order in place of a report', { type: 'worker.drain', orderId: 1, graceMs: 1 }],
  ['a type that every object has', { type: 'constructor' }],
  ['the type __proto__', { type: '__proto__' }],
  ['a type that is no text', { type: 7 }],
  ['no type', { age: 1 }],
  ['a number', 42],
  ['nothing', null],
  ['a list', [1, 2, 3]],
  ['a field of another type', { type: 'worker.drained', cut: 'all' }],
  ['a field that is missing', { type: 'worker.drained' }],
  ['a negative count', { type: 'worker.drained', cut: -1 }],
  ['a fraction for a count', { type: 'worker.drained', cut: 0.5 }],
  ['not a number', { type: 'worker.drained', cut: Number.NaN }],
  ['a text that is too long', { type: 'worker.notice', level: 'info', text: 'x'.repeat(64 * 1024 + 1) }],
  [
    'a fault that is not in the catalogue',
    { type: 'worker.lastWords', fault: { code: 'no.such', message: '' } },
  ],
  [
    'a kind of process that is not known',
    { type: 'worker.hello', protocol: 1, kind: 'cat', age: 1, generation: 1 },
  ],
] as const)
  test(`${name} is told in a short line and skipped; the next frame is read`, () => {
    const heard = read(rawFrame(value), encodeFrame({ type: 'worker.ready' }));
    assert.equal(heard.unknown.length, 1);
    assert.ok(heard.unknown[0]!.length <= 200);
    assert.deepEqual(heard.events, [{ type: 'worker.ready' }]);
    assert.deepEqual(heard.broken, []);
  });

test('fields that are not of the vocabulary are left out', () => {
  const heard = read(rawFrame({ type: 'worker.drained', cut: 1, __proto__: null, admin: true }));
  assert.deepEqual(heard.events, [{ type: 'worker.drained', cut: 1 }]);
});

for (const [name, body] of [
  ['a text that ends early', [0xd9, 0xff, 0x61]],
  ['a list of four thousand million', [0xdd, 0xff, 0xff, 0xff, 0xff]],
  ['a map of four thousand million', [0xdf, 0xff, 0xff, 0xff, 0xff]],
  ['bytes that are not there', [0xc6, 0x7f, 0xff, 0xff, 0xff]],
  ['an empty body', []],
] as const)
  test(`${name} is told, not thrown`, () => {
    const heard = read(framed(Uint8Array.from(body)));
    assert.deepEqual(heard.events, []);
    assert.equal(heard.broken.length + heard.unknown.length, 1);
  });

test('lists within lists, a million deep, are told, not thrown', () => {
  const heard = read(framed(new Uint8Array(FRAME_BYTES_MAX).fill(0x91)));
  assert.equal(heard.broken.length + heard.unknown.length, 1);
});

test('a frame that defines a record does not change what the next frame means', () => {
  const recording = new Packr({ useRecords: true, structures: [] }).pack({ type: 'worker.ready', cut: 1 });
  const next = { type: 'worker.drained', cut: 0x40 };
  const heard = read(framed(recording), encodeFrame(next));
  // Either the definition is not taken for msgpack at all, or it ends with its frame.
  if (heard.broken.length === 0) assert.deepEqual(heard.events.at(-1), next);
  else assert.deepEqual(heard.events, []);
});
