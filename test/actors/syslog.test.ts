/** Messages of syslog, and what becomes of them where the server is slow, or is not there. */
import assert from 'node:assert/strict';
import { createServer, type Server, type Socket } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { createLog } from '../../src/actors/log.ts';
import { composer, onOneLine, targetOf } from '../../src/actors/syslog/message.ts';
import { Syslog } from '../../src/actors/syslog/syslog.ts';
import { eventually } from '../system/harness.ts';

const speaker = { facility: 'local3', hostname: 'web 1', name: 'my shop', pid: 7, log: 'access' } as const;

describe('a message', () => {
  test('has the head of RFC 5424, each field of it without blanks', () => {
    const compose = composer(speaker);
    assert.equal(
      compose('warn', '2026-11-27T10:00:00.000Z', 'told').toString(),
      `<${19 * 8 + 4}>1 2026-11-27T10:00:00.000Z web_1 my_shop 7 access - told`,
    );
    assert.match(composer({ ...speaker, facility: 'kern' })('fatal', 't', '').toString(), /^<2>1 /);
    assert.match(composer({ ...speaker, name: '', hostname: 'é' })('info', 't', '').toString(), / _ - 7 /);
  });

  test('is cut at 8 KiB, and not within a character', () => {
    for (const before of ['', 'x', 'xx']) {
      const message = composer(speaker)('info', 't', before + '€'.repeat(4000));
      assert.ok(message.length <= 8192 && message.length > 8188, `${message.length}`);
      assert.doesNotMatch(message.toString(), /\ufffd/);
    }
  });

  test('is one line, and JSON where it was JSON', () => {
    assert.deepEqual(JSON.parse(onOneLine(JSON.stringify(['\u2028\n\x7f']))), ['\u2028\n\x7f']);
    assert.equal(onOneLine('a\n<13>1 b\r\u2028\x00é'), String.raw`a\u000a<13>1 b\u000d\u2028\u0000é`);
  });
});

test('addresses: those that are, and those that are none', () => {
  assert.deepEqual(targetOf('udp://localhost'), { kind: 'udp', host: 'localhost', port: 514 });
  assert.deepEqual(targetOf('tcp://[::1]:6514'), { kind: 'tcp', host: '::1', port: 6514 });
  for (const path of ['unix:/run/x', 'unix:///run/x', 'unix:///run/x#stream'])
    assert.deepEqual(targetOf(path), { kind: 'unix', path: '/run/x' });
  for (const none of [
    'localhost:514',
    'udp://',
    'udp://h:0',
    'tcp://h:65536',
    'udp://a b',
    'udp://[h]',
    'unix:x',
    'unix:///dev/log#dgram',
    'http://h',
  ])
    assert.equal(targetOf(none), undefined, none);
});

test('the log says there what it says in text, each line of a stack in a message of its own', async (t) => {
  let text = '';
  const { port } = await listening(t, (socket) => void socket.on('data', (bytes) => (text += bytes)));
  const log = createLog({ level: 'info', format: 'text', file: '/dev/null', syslog: sender(port, []) });
  log.debug('not logged');
  log.error('it\nfailed', { stack: 'Error: it\n    at here' });
  log.fatal('the end');
  await log.close();
  await eventually('all has come', () => /the end$/.test(text));
  assert.deepEqual(
    framesOf(text).map((message) => message.replace(/>1 .* error - /, '>')),
    ['<11>it\\nfailed', '<11>  Error: it', '<11>      at here', '<10>the end'],
  );
});

describe('a server of syslog', () => {
  test('that reads nothing is not waited for: what is beyond the bound is counted, and told', async (t) => {
    const { server, port } = await listening(t, (socket) => socket.pause());
    const told: string[] = [];
    const syslog = sender(port, told);
    const text = 'x'.repeat(4000);
    const sent = 5000;
    for (let at = 0; at < sent; at++) syslog.send('info', text);
    await eventually('losses are told', () => told.find((line) => /could not be sent/.test(line)));
    assert.match(told[0]!, /^\d{4} messages to the syslog server tcp:\S+ could not be sent$/);
    await syslog.end();
    server.close();
  });

  test('that comes later, or again, has what waited', async (t) => {
    const first = await listening(t, () => {});
    const { port } = first;
    await new Promise((resolve) => first.server.close(resolve));
    const told: string[] = [];
    const syslog = sender(port, told);
    syslog.send('info', 'early');
    await eventually('it is missed', () => told.some((line) => /ECONNREFUSED; trying again/.test(line)));
    let text = '';
    const sockets: Socket[] = [];
    const begin = (): Promise<{ server: Server }> =>
      listening(
        t,
        (socket) => {
          sockets.push(socket);
          socket.on('data', (bytes) => (text += bytes));
        },
        port,
      );
    await begin();
    await eventually('what waited has come', () => /early/.test(text));
    sockets[0]!.destroy();
    await eventually('it is missed again', () => told.length === 2);
    syslog.send('info', 'while it was gone');
    await eventually('it has come', () => /while it was gone/.test(text));
    syslog.send('error', 'last');
    await syslog.end();
    await eventually('the last one has come', () => /last$/.test(text));
    // Each has its length before it.
    const messages = framesOf(text);
    assert.deepEqual(
      messages.map((message) => message.split(' - ')[1]),
      ['early', 'while it was gone', 'last'],
    );
  });
});

test('a server that closes each connection is told of three times a minute, not each second', async (t) => {
  let accepted = 0;
  const { port } = await listening(t, (socket) => {
    accepted++;
    socket.resetAndDestroy();
  });
  const told: string[] = [];
  const syslog = sender(port, told);
  await eventually('it was tried five times', () => accepted === 5);
  await syslog.end();
  assert.ok(told.length > 0 && told.length <= 3, told.join('\n'));
});

/** Messages by the lengths before them. */
function framesOf(text: string): string[] {
  const messages: string[] = [];
  for (let rest = text; rest !== ''; ) {
    const [head, digits] = /^(\d+) /.exec(rest) ?? assert.fail(rest.slice(0, 80));
    messages.push(rest.slice(head.length, head.length + Number(digits)));
    rest = rest.slice(head.length + Number(digits));
  }
  return messages;
}

const sender = (port: number, told: string[]): Syslog =>
  new Syslog({
    to: `tcp://127.0.0.1:${port}`,
    facility: 'user',
    name: 'test',
    log: 'error',
    notice: (line) => told.push(line),
  });

async function listening(t: TestContext, connected: (socket: Socket) => void, at = 0) {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket.on('error', () => {}));
    connected(socket);
  });
  await new Promise<void>((resolve) => server.listen(at, '127.0.0.1', resolve));
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return { server, port: (server.address() as { port: number }).port };
}
