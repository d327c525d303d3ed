/** Connections through a proxy that says who its client is: real sockets, good heads and bad ones, with TLS and without. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import http2 from 'node:http2';
import net from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import tls from 'node:tls';
import { RawClient } from './client.ts';
import { eventually, launch, Site, serve } from './harness.ts';

const REQUEST = 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';
const LINE = 'PROXY TCP4 203.0.113.7 10.0.0.1 4711 443\r\n';

function binary(command: number, family: number, rest: Buffer): Buffer {
  const head = Buffer.concat([Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1'), Buffer.alloc(4)]);
  head[12] = command;
  head[13] = family;
  head.writeUInt16BE(rest.length, 14);
  return Buffer.concat([head, rest]);
}

function addresses6(): Buffer {
  const rest = Buffer.alloc(36 + 7);
  rest.write('20010db8000000000000000000000009', 'hex');
  rest.writeUInt16BE(4712, 32);
  return rest;
}

/** An app that tells whom it believes to speak with. */
const proxied = (t: TestContext, site: Site, args: string[]) =>
  serve(
    t,
    site.write(
      'app.mjs',
      'export default ({ socket: s }, answer) => answer.end("<" + s.remoteAddress + " " + s.remotePort + " " + s.remoteFamily + ">");',
    ),
    args,
  );

/** What is answered to these pieces, each sent when the one before has left; '' where the connection is closed without an answer. */
async function tell(port: number, ...pieces: (string | Buffer)[]): Promise<string> {
  const client = await RawClient.connect(port);
  client.socket.setNoDelay(true);
  client.socket.on('error', () => {});
  for (const piece of pieces) {
    if (client.socket.writable) await new Promise((sent) => client.socket.write(piece, sent));
  }
  await eventually('it is closed', () => client.closed);
  return /<(.*)>/.exec(client.text)?.[1] ?? client.text;
}

describe('the PROXY protocol', { concurrency: 2 }, () => {
  test('tells the app whose connection it is, in both versions; what is no such head is closed', async (t) => {
    const { port } = await proxied(t, new Site(t), ['--proxy-protocol', 'auto']);
    assert.equal(await tell(port, LINE + REQUEST), '203.0.113.7 4711 IPv4');
    assert.equal(await tell(port, LINE, REQUEST), '203.0.113.7 4711 IPv4');
    assert.equal(await tell(port, ...LINE, ...REQUEST), '203.0.113.7 4711 IPv4');
    assert.equal(await tell(port, `PROXY TCP6 2001:db8::1 ::1 1 2\r\n${REQUEST}`), '2001:db8::1 1 IPv6');
    assert.match(await tell(port, `PROXY UNKNOWN\r\n${REQUEST}`), /^127\.0\.0\.1 \d+ IPv4$/);
    const four = Buffer.from([203, 0, 113, 8, 10, 0, 0, 1, 0x12, 0x34, 1, 187]);
    assert.equal(await tell(port, binary(0x21, 0x11, four), REQUEST), '203.0.113.8 4660 IPv4');
    assert.equal(await tell(port, binary(0x21, 0x21, addresses6()), REQUEST), '2001:db8::9 4712 IPv6');
    assert.match(await tell(port, binary(0x20, 0, Buffer.alloc(0)), REQUEST), /^127\.0\.0\.1 \d+ IPv4$/);
    const bad = [
      REQUEST,
      'PROXY TCP4 203.0.113.7 10.0.0.1 4711\r\n',
      'PROXY TCP4 203.0.113.7 10.0.0.1 4711 65536\r\n',
      'PROXY TCP4 2001:db8::1 10.0.0.1 4711 443\r\n',
      'PROXY TCP4 203.0.113.7 x 4711 443\r\n',
      'PROXY TCP5 203.0.113.7 10.0.0.1 4711 443\r\n',
      `PROXY ${'x'.repeat(200)}`,
      binary(0x22, 0x11, four),
      binary(0x31, 0x11, four),
      binary(0x21, 0x11, four.subarray(4)),
      binary(0x21, 0x21, four),
      binary(0x21, 0x11, Buffer.alloc(5000)),
    ];
    for (const head of bad) assert.equal(await tell(port, head, REQUEST), '', String(head));
    assert.equal(await tell(port, LINE, REQUEST), '203.0.113.7 4711 IPv4');
  });

  test('is spoken in the version asked for only, by proxies that are named, and in time', async (t) => {
    const site = new Site(t);
    const two = await proxied(t, site, ['--proxy-protocol', 'v2']);
    assert.equal(await tell(two.port, LINE, REQUEST), '');
    const one = await proxied(t, site, ['--proxy-protocol', 'v1', '--proxy-allow-from', '10.0.0.0/8, ::1']);
    assert.equal(await tell(one.port, LINE, REQUEST), '');
    // Whoever says nothing is closed after three seconds.
    assert.equal(await tell(two.port), '');
  });

  test('comes before TLS, and HTTP/2 knows of it', async (t) => {
    const site = new Site(t);
    const [key, cert] = [site.path('key.pem'), site.path('cert.pem')];
    const make = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    execFileSync('openssl', [...make, '-subj', '/CN=x', '-keyout', key, '-out', cert], { stdio: 'ignore' });
    const { port } = await proxied(t, site, [
      '--proxy-protocol',
      'auto',
      '--certfile',
      cert,
      '--keyfile',
      key,
      '--http2',
    ]);
    const greet = (options: tls.ConnectionOptions) => {
      const socket = net.connect(port, '127.0.0.1');
      socket.write(LINE);
      return tls.connect({ socket, rejectUnauthorized: false, ...options });
    };
    const plain = greet({ ALPNProtocols: ['http/1.1'] });
    plain.write(REQUEST);
    let text = '';
    for await (const chunk of plain) text += String(chunk);
    assert.match(text, /<203\.0\.113\.7 4711 IPv4>/);

    const session = http2.connect('https://x', { createConnection: () => greet({ ALPNProtocols: ['h2'] }) });
    t.after(() => session.destroy());
    const stream = session.request({ ':path': '/' });
    let body = '';
    stream.on('data', (chunk) => {
      body += String(chunk);
    });
    await once(stream, 'end');
    assert.equal(body, '<203.0.113.7 4711 IPv4>');
  });

  test('a connection whose head is on its way when the worker is to leave is answered', async (t) => {
    const server = await proxied(t, new Site(t), ['--proxy-protocol', 'v1', '--idle-grace', '3']);
    const client = await RawClient.connect(server.port);
    client.socket.write(LINE.slice(0, 10));
    assert.equal(await tell(server.port, LINE, REQUEST), '203.0.113.7 4711 IPv4');
    server.signal('SIGTERM');
    await server.told(/is draining/);
    client.socket.write(LINE.slice(10) + REQUEST);
    await eventually('it is closed', () => client.closed);
    assert.match(client.text, /<203\.0\.113\.7 4711 IPv4>/);
    assert.equal((await server.exit()).code, 0);
  });

  test('what is no address is one line', async (t) => {
    const site = new Site(t);
    const server = launch(t, site.write('app.mjs', 'export default () => {};'), [
      '--proxy-allow-from',
      '10.0.0.0/33',
    ]);
    assert.equal((await server.exit()).code, 2);
    assert.match(server.output, /--proxy-allow-from: "10\.0\.0\.0\/33" is neither an address nor a network/);
  });
});
