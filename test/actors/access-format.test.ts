/** Lines of the access log by themselves: what they are made of, however quickly. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { compileFormat, DEFAULT_FORMAT } from '../../src/actors/requests/access-format.ts';
import { type Entry, entryOf } from '../../src/actors/requests/entry.ts';
import { commonTimeAt, isoTimeAt } from '../../src/actors/requests/wall-clock.ts';
import type { Ended } from '../../src/actors/requests/watch.ts';

interface Said {
  url: string;
  method: string;
  headers: Record<string, string>;
  status: number;
  length: number | undefined;
  ms: number;
}

const ended = ({ url, method, headers, status, length, ms }: Said): Ended =>
  ({
    request: { url, method, headers, httpVersion: '1.1' },
    response: {
      statusCode: status,
      _contentLength: length,
      _header: 'head',
      headersSent: true,
      getHeader: () => undefined,
    },
    ms,
    endMs: performance.now(),
    isWhole: true,
    sentBytes: 20,
  }) as unknown as Ended;

const lines = (format: string): ((ended: Ended) => string) => {
  const { complete, line } = compileFormat(format);
  return (one) => {
    const entry = begun(one);
    complete(entry, one);
    return line(entry);
  };
};

const begun = ({ request }: Ended): Entry => entryOf(request, '10.0.0.1');

/** What clients can send in heads, and some that they cannot. */
const text = fc.oneof(
  fc.string(),
  fc.string({
    unit: fc.constantFrom('"', '\\', '\n', '\x00', '\x7f', '\x85', 'é', '\u2028', '\ud800', '/', '?'),
  }),
);
const said: fc.Arbitrary<Said> = fc.record({
  url: text,
  method: fc.constantFrom('GET', 'HEAD', 'POST'),
  headers: fc.record(
    { 'user-agent': text, referer: text, authorization: fc.oneof(text, fc.constant('Basic YW5uOng=')) },
    { requiredKeys: [] },
  ),
  status: fc.constantFrom(200, 304, 404),
  length: fc.option(fc.nat(), { nil: undefined }),
  ms: fc.double({ min: 0, max: 1e7, noNaN: true }),
});

/** Where the second changes between two lines is nobody's fault. */
const untimed = (line: string): string => line.replace(/\[\d\d\/[A-Z][^\]]+\]/, '[time]');

describe('a line', () => {
  test('of the default format is what the atoms of that format say', () => {
    // A percent sign at the end makes it another format.
    const atoms = lines(`${DEFAULT_FORMAT}%%`);
    const whole = lines(DEFAULT_FORMAT);
    fc.assert(
      fc.property(said, (one) => {
        const line = whole(ended(one));
        assert.equal(untimed(`${line}%`), untimed(atoms(ended(one))));
        assert.doesNotMatch(line, /\p{Cc}/u);
      }),
    );
  });

  test('as JSON says what was sent, whatever it was', () => {
    const json = lines('json');
    fc.assert(
      fc.property(said, (one) => {
        const line = json(ended(one));
        assert.doesNotMatch(line, /[\n\r]/);
        const { time, user, ms, ...others } = JSON.parse(line) as Record<string, unknown>;
        assert.match(String(time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
        assert.equal(user === null, one.headers['authorization'] === undefined);
        assert.equal(ms, Math.round(one.ms * 1000) / 1000);
        const isBare = one.method === 'HEAD' || one.status === 304;
        assert.deepEqual(others, {
          remote: '10.0.0.1',
          method: one.method,
          path: one.url.split('?', 1)[0],
          query: one.url.includes('?') ? one.url.slice(one.url.indexOf('?') + 1) : '',
          protocol: 'HTTP/1.1',
          status: one.status,
          bytes: isBare ? 0 : (one.length ?? 16),
          referer: one.headers['referer'] ?? null,
          agent: one.headers['user-agent'] ?? null,
          complete: true,
          pid: process.pid,
        });
      }),
    );
  });

  test('has what never changes in a worker between what does', () => {
    const one = { url: '/a?b', method: 'GET', headers: {}, status: 200, length: 5, ms: 1 };
    const line = lines('%(l)s%(p)s%(m)s%%%(l)s[%(U)s%(q)s]%(p)s');
    assert.equal(line(ended(one)), `-<${process.pid}>GET%-[/ab]<${process.pid}>`);
    assert.equal(lines('nothing')(ended(one)), 'nothing');
  });

  test('says how it was when it ended, and holds nothing of it', () => {
    const headers = { 'user-agent': 'a client', 'x-one': 'one' };
    const one = ended({ url: '/a', method: 'GET', headers, status: 200, length: 5, ms: 1 });
    const answered: Record<string, string> = { 'x-two': 'two' };
    one.response.getHeader = (name) => answered[name];
    for (const [format, text] of [
      ['%(r)s %(s)s %(b)s %({X-Two}o)s %(a)s %({x-one}i)s', 'GET /a HTTP/1.1 200 5 two a client one'],
      [`${DEFAULT_FORMAT} `, '"GET /a HTTP/1.1" 200 5 "-" "a client" '],
    ] as const) {
      const { complete, line } = compileFormat(format);
      const entry = begun(one);
      // What a framework makes of a request is not what the client sent.
      one.request.url = '/mounted';
      complete(entry, one);
      const held = Object.values(entry).flat();
      assert.ok(held.every((value) => value === undefined || Object(value) !== value));
      Object.assign(one.request, { url: '/b', headers: {} });
      one.response.statusCode = 500;
      delete answered['x-two'];
      assert.ok(line(entry).endsWith(text), line(entry));
      Object.assign(one.request, { url: '/a', headers });
      one.response.statusCode = 200;
    }
  });
});

test('the time is that of the clock on the wall', () => {
  const before = Date.now();
  const iso = Date.parse(isoTimeAt(performance.now()));
  // Two clocks: they are read one after the other.
  assert.ok(iso >= before - 2 && iso <= Date.now() + 2, `${iso - before}`);
  const common = /^\[(\d\d)\/(\w{3})\/(\d{4}):(\S+) ([+-]\d{4})\]$/.exec(commonTimeAt(performance.now()));
  const [, day, month, year, time, zone] = common!;
  const shown = Date.parse(`${day} ${month} ${year} ${time} ${zone}`);
  assert.ok(shown <= Date.now() && shown > before - 1002, `${shown - before}`);
});
