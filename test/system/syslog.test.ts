/** Both logs at a syslog server: real servers, over each way that there is. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { createServer, type Socket } from 'node:net';
import { hostname } from 'node:os';
import { describe, type TestContext, test } from 'node:test';
import { eventually, fixture, launch, Site, serve } from './harness.ts';

const HEAD = /^<(\d+)>1 (\S+) (\S+) (\S+) (\d+) (error|access) - (.*)$/s;

interface Message {
  priority: number;
  host: string;
  name: string;
  pid: number;
  log: string;
  text: string;
}

function parsed(message: string): Message {
  const [, priority, time, host, name, pid, log, text] = HEAD.exec(message) ?? assert.fail(message);
  assert.ok(!Number.isNaN(Date.parse(time!)), time);
  // Servers of tests write their own log as JSON.
  const words = log === 'error' ? (JSON.parse(text!) as { msg: string }).msg : text!;
  return { priority: Number(priority), host: host!, name: name!, pid: Number(pid), log: log!, text: words };
}

async function udp(t: TestContext): Promise<{ to: string; messages: Message[] }> {
  const socket = createSocket('udp4');
  const messages: Message[] = [];
  socket.on('message', (bytes) => messages.push(parsed(bytes.toString())));
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  t.after(() => socket.close());
  return { to: `udp://127.0.0.1:${socket.address().port}`, messages };
}

/** What came over all connections, as it came. */
async function stream(t: TestContext, at: { port: number } | { path: string }) {
  const sockets: Socket[] = [];
  const texts: string[] = [];
  const server = createServer((socket) => {
    const index = sockets.push(socket.on('error', () => {})) - 1;
    texts[index] = '';
    socket.on('data', (bytes) => {
      texts[index] = `${texts[index]}${bytes}`;
    });
  });
  await new Promise<void>((resolve) => server.listen(at, resolve));
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return { texts, address: server.address() };
}

function counted(text: string): Message[] {
  const messages: Message[] = [];
  for (let rest = Buffer.from(text); rest.length > 0; ) {
    const [head, digits] = /^(\d+) /.exec(rest.toString('latin1')) ?? assert.fail(rest.toString());
    const end = head.length + Number(digits);
    if (rest.length < end) break;
    messages.push(parsed(rest.subarray(head.length, end).toString()));
    rest = rest.subarray(end);
  }
  return messages;
}

describe('--syslog', { concurrency: 2 }, () => {
  test('sends both logs as datagrams, under the name and facility that were asked for', async (t) => {
    const { to, messages } = await udp(t);
    const flags = ['--syslog', '--syslog-to', to, '--syslog-prefix', 'shop', '--syslog-facility', 'local1'];
    const server = await serve(t, fixture('app.mjs'), flags);
    const [worker] = await server.settled(1);
    await server.get('/a?b=c');
    const access = await eventually('the request is told', () =>
      messages.find(({ log }) => log === 'access'),
    );
    assert.match(access.text, /^127\.0\.0\.1 - - \[[^\]]+\] "GET \/a\?b=c HTTP\/1\.1" 200 /);
    assert.deepEqual([access.priority, access.name, access.pid], [17 * 8 + 6, 'shop', worker!.pid]);
    assert.equal(access.host, hostname());
    const ready = messages.find(({ text }) => /worker 1 .* is ready/.test(text));
    assert.deepEqual([ready?.log, ready?.priority, ready?.pid], ['error', 17 * 8 + 6, server.pid]);
    await server.get('/crash').catch(() => {});
    await eventually('the crash is told', () => messages.some(({ priority }) => priority === 17 * 8 + 3));
    // The file, or standard error, has all of it as well.
    assert.ok(server.lines.some(({ msg }) => /worker 1 .* is ready/.test(msg)));
    assert.equal(await server.stop(), 0);
    await eventually('its end is told', () => messages.some(({ text }) => text === 'stopped'));
  });

  test('over TCP loses nothing at a normal end, whoever asks for what', async (t) => {
    const { texts, address } = await stream(t, { port: 0 });
    const { port } = address as { port: number };
    const site = new Site(t);
    const server = await serve(t, fixture('app.mjs'), [
      ...['-w', '2', '--syslog', '--syslog-to', `tcp://localhost:${port}`],
      ...['--access-logfile', site.path('access.log'), '--access-logformat', '%(U)s'],
    ]);
    await server.settled(2);
    const paths = Array.from({ length: 100 }, (_, at) => `/n${at}`);
    await Promise.all(paths.map((path) => server.get(path)));
    assert.equal(await server.stop(), 0);
    const messages = (): Message[] => texts.flatMap(counted);
    await eventually('the end is told', () => messages().some(({ text }) => text === 'stopped'));
    const told = messages().filter(({ log }) => log === 'access');
    assert.deepEqual(told.map(({ text }) => text).sort(), paths.toSorted());
    assert.deepEqual(site.read('access.log').trim().split('\n').sort(), paths.toSorted());
  });

  test('over a Unix socket has a line for each, and none about requests where these are not wanted', async (t) => {
    const site = new Site(t);
    const path = site.path('log');
    const { texts } = await stream(t, { path });
    const app = site.write(
      'app.mjs',
      `export default (q, s) => { console.log('forged\\n<13>1 - - - - - - no'); s.end('x'); };`,
    );
    const server = await serve(t, app, [
      ...['--syslog', '--syslog-to', `unix:${path}`, '--disable-redirect-access-to-syslog'],
      '--capture-output',
    ]);
    await server.get('/x');
    const messages = (): Message[] =>
      texts.flatMap((text) => text.split('\n').slice(0, -1)).map((line) => parsed(line));
    await eventually('what it printed is told', () => messages().some(({ text }) => /no$/.test(text)));
    assert.equal(await server.stop(), 0);
    await eventually('the end is told', () => messages().some(({ text }) => text === 'stopped'));
    assert.ok(messages().every(({ log, name }) => log === 'error' && name === 'kirin'));
  });

  test('with no server to be had is told once, and serves', async (t) => {
    const site = new Site(t);
    const server = await serve(t, fixture('app.mjs'), [
      '--syslog',
      '--syslog-to',
      `unix:${site.path('none')}`,
    ]);
    await server.told(/the syslog server unix:\S+none cannot be reached: ENOENT; trying again/);
    assert.equal((await server.get('/x')).status, 200);
    const { texts } = await stream(t, { path: site.path('none') });
    await eventually('what waited has come', () => texts.some((text) => /"GET \/x HTTP/.test(text)));
    assert.equal(await server.stop(), 0);
  });

  test('that cannot be meant is one line', async (t) => {
    const cases: [string[], RegExp][] = [
      [['--syslog', '--syslog-to', 'localhost:514'], /--syslog-to: "localhost:514" is none of udp:\/\/HOST/],
      [['--syslog-to', 'udp://other'], /--syslog-to without anything to send there: add --syslog/],
      [['--disable-redirect-access-to-syslog'], /without a syslog server: add --syslog/],
      [['--syslog', '--syslog-facility', 'local8'], /--syslog-facility must be .*local7/],
    ];
    for (const [args, message] of cases) {
      const server = launch(t, fixture('app.mjs'), args);
      assert.equal((await server.exit()).code, 2, args.join(' '));
      assert.match(server.output, message);
    }
  });
});
