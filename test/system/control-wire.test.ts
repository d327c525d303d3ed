/**
 * The wire of a control socket, against one real server: frames however they come, requests of any shape, ids of any
 * kind, and what is not understood. After each, the same server still answers.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ControlClient, type ControlFrame, framed, requestFrame } from './control-client.ts';
import { controlled } from './controlled.ts';

const REQUEST_BYTES_MAX = 1024 * 1024;
const ids = (frames: readonly ControlFrame[]) => frames.map(({ id }) => id);
const header = (bytes: number): Buffer => {
  const four = Buffer.alloc(4);
  four.writeUInt32BE(bytes);
  return four;
};
/** A request of exactly so many bytes. */
const requestOf = (bytes: number): Buffer => {
  const around = JSON.stringify({ id: 'long', command: '' }).length;
  return requestFrame({ id: 'long', command: 'x'.repeat(bytes - around) });
};
const deep = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels);

test('the wire', async (t) => {
  const { site, server } = await controlled(t, ['-w', '1']);
  const path = site.path('kirin.ctl');

  /** One case with a connection of its own. */
  const on = (name: string, run: (client: ControlClient) => Promise<void>) =>
    t.test(name, async (t) => {
      const client = await ControlClient.connect(path);
      t.after(() => client.destroy());
      await run(client);
      assert.equal((await ControlClient.once(path, 'show version')).status, 'ok');
    });

  await on('a request is read byte by byte', async (client) => {
    await client.trickle(requestFrame({ id: 1, command: 'show version' }));
    assert.equal((await client.answer(1)).data.name, 'kirin');
  });

  await on('many requests in one write are answered, each with its id', async (client) => {
    const commands = ['show all', 'show stats', 'nonsense', 'show workers wide', 'help'];
    const requests = Array.from({ length: 500 }, (_, id) => ({ id, command: commands[id % 5] }));
    client.send(Buffer.concat(requests.map(requestFrame)));
    await client.answer(499);
    assert.deepEqual(ids(client.frames), ids(requests as unknown as ControlFrame[]));
    for (const { id, status } of client.frames)
      assert.equal(status, Number(id) % 5 === 2 ? 'error' : 'ok', String(id));
  });

  await on('frames are cut anywhere', async (client) => {
    const bytes = Buffer.concat([1, 2, 3, 4].map((id) => requestFrame({ id, command: 'show stats' })));
    for (let at = 0; at < bytes.length; at += 7) {
      client.send(bytes.subarray(at, at + 7));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await client.answer(4);
    assert.deepEqual(ids(client.frames), [1, 2, 3, 4]);
  });

  await on('ids come back as they were: numbers, texts, null, none, the same twice', async (client) => {
    const given = [
      0,
      -1,
      1.5,
      2 ** 53 - 1,
      -(2 ** 53 - 1),
      1e-7,
      '',
      '1',
      'x'.repeat(256),
      'größe 🦒\n',
      '\ud800',
    ];
    for (const id of given) client.request({ id, command: 'help' });
    client.request({ id: null, command: 'help' }).request({ command: 'help' });
    client.request({ id: 7, command: 'help' }).request({ id: 7, command: 'nonsense' });
    await client.until('all are answered', () => client.frames.length === given.length + 4);
    assert.deepEqual(ids(client.frames), [...given, null, null, 7, 7]);
    assert.deepEqual(
      client.frames.slice(-2).map(({ status }) => status),
      ['ok', 'error'],
    );
  });

  await on('ids that could not come back as they were are refused', async (client) => {
    const given = [
      '9007199254740993',
      '1e400',
      `"${'x'.repeat(257)}"`,
      'true',
      '{}',
      '[1]',
      '12345678901234567890',
    ];
    for (const id of given) client.send(framed(`{"id":${id},"command":"help"}`));
    await client.ask('help');
    assert.equal(client.frames.length, given.length + 1);
    for (const { id, error } of client.frames.slice(0, -1)) {
      assert.equal(id, null);
      assert.match(error!, /^Invalid message: "id" must be a number up to 2\^53 or a text/);
    }
  });

  await on('the stock client\'s requests are answered; "args" are further words', async (client) => {
    client.send(framed('{"id": 1, "command": "show stats", "args": []}'));
    assert.equal((await client.answer(1)).data.pid, server.pid);
    assert.match((await client.ask('', { args: ['show', 'version'] })).data.version, /^\d/);
    assert.match((await client.ask('show', { args: ['machine', 'a b'] })).error!, /^Unknown machine: a b/);
    client.request({ id: 2, command: 'show events', args: [3] });
    assert.equal((await client.answer(2)).data.count, 3);
    client.request({ id: 3, command: 'SHOW "Version"', args: null, stream: false, more: { a: [1] } });
    assert.equal((await client.answer(3)).status, 'ok');
  });

  await on('after a half-close everything is answered, then the connection ends', async (client) => {
    for (let id = 0; id < 200; id++) client.request({ id, command: 'show all' });
    client.request({ id: 'add', command: 'worker add 1 --wait' });
    client.request({ id: 'remove', command: 'worker remove 1 --wait' }).finish();
    await client.end();
    assert.equal(client.frames.length, 202);
    assert.deepEqual([(await client.answer('add')).data.added, client.error], [1, undefined]);
    assert.equal((await client.answer('remove')).data.success, true);
  });

  for (const [name, bytes] of [
    ['half a length', Buffer.from([0, 0])],
    ['a length alone', header(10)],
    ['half a request', requestFrame({ id: 1, command: 'help' }).subarray(0, 12)],
  ] as const)
    await on(`${name} and no more is told to be incomplete`, async (client) => {
      client.request({ id: 1, command: 'help' }).send(bytes).finish();
      await client.end();
      assert.deepEqual(client.frames.slice(1), [{ id: null, status: 'error', error: 'Incomplete message' }]);
      assert.equal(client.frames[0]!.status, 'ok');
    });

  await on('nothing and no more is no error', async (client) => {
    client.finish();
    await client.end();
    assert.deepEqual([client.frames, client.error], [[], undefined]);
  });

  for (const [name, body, error] of [
    ['nothing', '', /^Invalid message: not JSON$/],
    ['a word', 'help', /^Invalid message: not JSON$/],
    ['half an object', '{"id":1,', /^Invalid message: not JSON$/],
    ['two objects', '{"id":1}{"id":2}', /^Invalid message: not JSON$/],
    ['a byte order mark', '\ufeff{"id":1,"command":"help"}', /^Invalid message: not JSON$/],
    ['a text', '"help"', /^Invalid message: a request is an object/],
    ['a number', '5', /^Invalid message: a request is an object/],
    ['null', 'null', /^Invalid message: a request is an object/],
    ['a list', '[{"id":1,"command":"help"}]', /^Invalid message: a request is an object/],
    ['UTF-16', Buffer.from('{"id":1,"command":"help"}', 'utf16le'), /^Invalid message: not JSON$/],
    ['half a sign', Buffer.from('7b22e2827d', 'hex'), /^Invalid message: not UTF-8$/],
    ['a surrogate', Buffer.from('22eda08022', 'hex'), /^Invalid message: not UTF-8$/],
    ['bytes', Buffer.alloc(100, 0xff), /^Invalid message: not UTF-8$/],
    ['zeros', Buffer.alloc(100), /^Invalid message: not JSON$/],
    ['lists, 100,000 deep', deep(100_000), /^Invalid message: more than 10000 values$/],
    ['lists, 9,000 deep', deep(9000), /^Invalid message: a request is an object/],
    [
      'objects, 100,000 deep',
      `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`,
      /^Invalid message: more than/,
    ],
    ['an id of lists', `{"id":${deep(5000)},"command":"help"}`, /^Invalid message: "id" must be/],
    ['a prototype', '{"__proto__":{"command":"help"}}', /^Empty command$/],
  ] as const)
    await on(`${name} in place of a request is refused, and the next is answered`, async (client) => {
      client.send(framed(body));
      assert.equal((await client.ask('help')).status, 'ok');
      assert.equal(client.frames.length, 2);
      assert.equal(client.frames[0]!.id, null);
      assert.match(client.frames[0]!.error!, error);
    });

  await on('what is of another type is refused, with its id', async (client) => {
    const requests: [object, RegExp][] = [
      [{}, /^Empty command$/],
      [{ command: '' }, /^Empty command$/],
      ...[5, null, true, ['help'], { help: 1 }].map((command): [object, RegExp] => [
        { command },
        /^Invalid message: "command" must be a text$/,
      ]),
      ...['5', 5, true, {}, [null], [[]], [{}], [true]].map((args): [object, RegExp] => [
        { command: 'worker add', args },
        /^Invalid message: "args" must be a list of texts$/,
      ]),
    ];
    for (const [id, [request, error]] of requests.entries()) {
      client.request({ id, ...request });
      assert.match((await client.answer(id)).error!, error);
    }
    client.send(framed(`{"id":"deep","command":"help","args":${deep(5000)}}`));
    assert.match((await client.answer('deep')).error!, /^Invalid message: "args" must be/);
  });

  await on('the longest request is read, and its command is too long', async (client) => {
    client.send(requestOf(REQUEST_BYTES_MAX));
    assert.match(
      (await client.answer('long')).error!,
      /^Command too long: \d+ characters, the most allowed is 4096$/,
    );
    assert.equal(
      (await client.ask('help', { args: ['x'.repeat(5000)] })).error?.slice(0, 16),
      'Command too long',
    );
    assert.equal((await client.ask('help')).status, 'ok');
  });

  for (const [name, bytes] of [
    ['one byte more than a request may have', requestOf(REQUEST_BYTES_MAX + 1)],
    ['a length of four thousand million', Buffer.concat([header(0xffffffff), Buffer.from('{}')])],
    ['a client of another protocol', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')],
    [
      'sixteen megabytes that are still on the way',
      Buffer.concat([header(1 << 24), Buffer.alloc(1 << 24, 0x78)]),
    ],
  ] as const)
    await on(`${name} is told to be too large, and the connection ends`, async (client) => {
      client.request({ id: 1, command: 'help' }).send(bytes);
      await client.end();
      assert.equal(client.ended, true, 'the client sees the end');
      assert.deepEqual(ids(client.frames), [1, null]);
      assert.match(
        client.frames[1]!.error!,
        /^Message too large: \d+ bytes, the most allowed is 1048576 \(--control-request-max\)$/,
      );
    });

  await on('requests before one that is too large are answered, those after it are not', async (client) => {
    const asked = (id: number) => requestFrame({ id, command: 'show stats' });
    client.send(Buffer.concat([asked(1), asked(2), header(0x7fffffff), asked(3)]));
    await client.end();
    assert.deepEqual(ids(client.frames), [1, 2, null]);
  });

  await on(
    '"events" come as progress, after what asked for them, until they are cancelled',
    async (client) => {
      assert.match((await client.ask('events')).error!, /"stream": true/);
      const events = client.ask('events', { id: 'e', stream: true });
      const order = await client.ask('worker add --wait', { stream: true });
      assert.ok(order.progress.length > 0);
      assert.deepEqual((await client.ask('cancel', { args: ['other'] })).data, { cancelled: false });
      assert.deepEqual((await client.ask('cancel e')).data, { cancelled: true });
      const { status, error, progress } = await events;
      assert.deepEqual([status, error], ['error', 'Cancelled']);
      const steps = progress.map(({ event }) => event.seq);
      assert.deepEqual(
        steps,
        steps.map((_, index) => steps[0] + index),
      );
      assert.ok(progress.some(({ event }) => /worker \d+ .* is ready/.test(event.text)));
      assert.equal((await client.ask('worker remove --wait')).data.success, true);
      assert.equal(client.frames.filter(({ id }) => id === 'e').length, progress.length + 1);
    },
  );
});
