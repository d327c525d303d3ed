/** TLS, HTTP/2 and the limits of requests, with real certificates and clients. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync } from 'node:fs';
import http2 from 'node:http2';
import https from 'node:https';
import { describe, type TestContext, test } from 'node:test';
import tls from 'node:tls';
import { RawClient } from './client.ts';
import { eventually, fixture, launch, Site, serve } from './harness.ts';

/** Makes NAME.pem and NAME.key for 127.0.0.1, signed by itself. */
function certify(site: Site, name: string): { cert: string; key: string } {
  const [cert, key] = [site.path(`${name}.pem`), site.path(`${name}.key`)];
  const subject = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '2'];
  const make = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  execFileSync('openssl', [...make, ...subject, '-keyout', key, '-out', cert], { stdio: 'ignore' });
  return { cert, key };
}

interface Told {
  status: number;
  text: string;
  issuer: string;
}

/** One request on a connection of its own, whose certificate is checked. */
async function ask(port: number, options: https.RequestOptions): Promise<Told> {
  const request = https.get({ port, host: '127.0.0.1', path: '/', agent: false, ...options });
  const [response] = await once(request, 'response');
  const issuer = String((response.socket as tls.TLSSocket).getPeerCertificate().subject?.CN);
  let text = '';
  for await (const chunk of response) text += String(chunk);
  return { status: response.statusCode, text, issuer };
}

const withTls = (t: TestContext, { cert, key }: { cert: string; key: string }, args: string[] = []) =>
  serve(t, fixture('app.mjs'), ['--certfile', cert, '--keyfile', key, ...args]);

describe('TLS', { concurrency: 2 }, () => {
  test('is served, is not spoken in the clear, and a reload brings new certificates without cutting anyone', async (t) => {
    const site = new Site(t);
    const [old, next] = [certify(site, 'old'), certify(site, 'next')];
    const ca = [site.read('old.pem'), site.read('next.pem')];
    const server = await withTls(t, old);
    assert.equal((await ask(server.port, { ca })).issuer, 'old');
    await assert.rejects(server.get());
    await assert.rejects(ask(server.port, {}), /self.signed/);

    const held = ask(server.port, { ca, path: `/hold?until=${site.path('go')}` });
    await server.printed(/holding/);
    copyFileSync(next.cert, old.cert);
    copyFileSync(next.key, old.key);
    assert.match((await server.reload()).msg, /^reload done/);
    assert.equal((await ask(server.port, { ca })).issuer, 'next');
    site.write('go', '');
    assert.equal((await held).issuer, 'old');

    // A key that does not fit leaves the old generation as it is.
    copyFileSync(certify(site, 'other').key, old.key);
    assert.match(
      (await server.reload()).msg,
      /^reload failed: .*--certfile .*old\.pem with --keyfile .*key values mismatch/,
    );
    assert.equal((await ask(server.port, { ca })).issuer, 'next');
  });

  test('clients show a certificate where one is required', async (t) => {
    const site = new Site(t);
    const own = certify(site, 'server');
    const client = certify(site, 'client');
    const ca = site.read('server.pem');
    const server = await withTls(t, own, ['--ca-certs', client.cert, '--cert-reqs', '2']);
    await assert.rejects(ask(server.port, { ca }));
    const shown = { cert: site.read('client.pem'), key: site.read('client.key') };
    assert.equal((await ask(server.port, { ca, ...shown })).status, 200);
  });

  test('speaks no older version than is asked for, and no other ciphers', async (t) => {
    const site = new Site(t);
    const own = certify(site, 'server');
    const ca = site.read('server.pem');
    const server = await withTls(t, own, ['--ssl-min-version', 'TLSv1.3']);
    await assert.rejects(ask(server.port, { ca, maxVersion: 'TLSv1.2' }));
    assert.equal((await ask(server.port, { ca })).status, 200);
    const cipher = 'ECDHE-ECDSA-AES256-GCM-SHA384';
    const other = await withTls(t, own, ['--ciphers', cipher]);
    const socket = tls.connect({ port: other.port, host: '127.0.0.1', ca, maxVersion: 'TLSv1.2' });
    await once(socket, 'secureConnect');
    assert.equal(socket.getCipher().name, cipher);
    socket.destroy();
  });

  test('speaks no newer version than is asked for', async (t) => {
    const site = new Site(t);
    const own = certify(site, 'server');
    const ca = site.read('server.pem');
    const agreed = async (port: number): Promise<string | null> => {
      const socket = tls.connect({ port, host: '127.0.0.1', ca });
      await once(socket, 'secureConnect');
      const protocol = socket.getProtocol();
      socket.destroy();
      return protocol;
    };
    assert.equal(await agreed((await withTls(t, own)).port), 'TLSv1.3');
    const older = await withTls(t, own, ['--ssl-max-version', 'TLSv1.2']);
    assert.equal(await agreed(older.port), 'TLSv1.2');
    await assert.rejects(ask(older.port, { ca, minVersion: 'TLSv1.3' }), /protocol version/);
    const none = ['--certfile', own.cert, '--ssl-min-version', 'TLSv1.3', '--ssl-max-version', 'TLSv1.2'];
    const server = launch(t, fixture('app.mjs'), none);
    assert.equal((await server.exit()).code, 2);
    assert.match(server.output, /--ssl-min-version is newer than --ssl-max-version: no version is left/);
  });

  test('what is no certificate, and what is only half of it, is one line', async (t) => {
    const site = new Site(t);
    const { cert, key } = certify(site, 'a');
    const app = fixture('app.mjs');
    const own = site.write('own.mjs', `import http from 'node:http'; export default http.createServer();`);
    const script = site.write(
      'script.mjs',
      `import http from 'node:http'; http.createServer().listen(3000);`,
    );
    const express = site.write(
      'express.mjs',
      `import express from ${JSON.stringify(import.meta.resolve('express'))}; export default express();`,
    );
    const cases: [string[], string, RegExp][] = [
      [['--certfile', site.path('none.pem')], app, /--certfile .*none\.pem: ENOENT/],
      [
        ['--certfile', cert, '--keyfile', site.write('b.key', 'x')],
        app,
        /--certfile .*a\.pem with --keyfile .*b\.key: \S/,
      ],
      [['--keyfile', key], app, /--keyfile without a certificate: add --certfile FILE/],
      [['--http2'], app, /--http2 without a certificate/],
      [['--certfile', cert, '--keyfile', key, '--cert-reqs', 'required'], app, /add --ca-certs FILE/],
      [
        ['--certfile', cert, '--cert-reqs', '3'],
        app,
        /--cert-reqs must be none, optional or required, not "?3/,
      ],
      [
        ['--certfile', cert, '--keyfile', key, '--cert-reqs', '2', '--ca-certs', key],
        app,
        /--ca-certs .*a\.key: there is no certificate in it/,
      ],
      [['--certfile', cert, '--keyfile', key, '--ciphers', 'NONE'], app, /--ciphers NONE: no cipher match/],
      [['--certfile', cert, '--keyfile', key], own, /the app has made its own server, which speaks no TLS/],
      [
        ['--certfile', cert, '--keyfile', key, '--http2'],
        express,
        /--http2: an Express app cannot answer HTTP\/2/,
      ],
      [
        ['--certfile', cert, '--keyfile', key],
        script,
        /the app has made its own server, which speaks no TLS/,
      ],
    ];
    for (const [args, path, message] of cases) {
      const server = launch(t, path, args);
      assert.equal((await server.exit()).code, 2, args.join(' '));
      if (args.includes(site.path('none.pem')))
        assert.deepEqual(server.all(/started/), [], 'told before any worker is started');
      assert.match(`${server.lines.map(({ msg }) => msg).join('\n')}\n${server.output}`, message);
    }
  });
});

describe('HTTP/2', { concurrency: 2 }, () => {
  test('is spoken with those who can, HTTP/1.1 with the others; streams that are open are answered at a stop', async (t) => {
    const site = new Site(t);
    const own = certify(site, 'server');
    const ca = site.read('server.pem');
    const server = await withTls(t, own, [
      '--http2',
      '--http2-max-concurrent-streams',
      '7',
      '--access-logfile',
      site.path('log'),
    ]);
    assert.equal((await ask(server.port, { ca })).status, 200);
    const session = http2.connect(`https://127.0.0.1:${server.port}`, { ca });
    t.after(() => session.destroy());
    const [settings] = (await once(session, 'remoteSettings')) as [http2.Settings];
    assert.equal(settings.maxConcurrentStreams, 7);
    const stream = session.request({ ':path': `/hold?until=${site.path('go')}` });
    let text = '';
    stream.on('data', (chunk) => {
      text += String(chunk);
    });
    await server.printed(/holding/);
    // This one leaves before it has an answer.
    const other = http2.connect(`https://127.0.0.1:${server.port}`, { ca });
    other.request({ ':path': '/hold?left' }).on('error', () => {});
    await server.printed(/holding[\s\S]*holding/);
    other.destroy();
    const kept = new https.Agent({ keepAlive: true, ca });
    t.after(() => kept.destroy());
    assert.equal((await ask(server.port, { ca, agent: kept })).status, 200);
    const goaway = once(session, 'goaway');
    server.signal('SIGTERM');
    await goaway;
    site.write('go', '');
    await once(stream, 'end');
    assert.equal((JSON.parse(text) as { version: string }).version, 'fixture');
    assert.equal((await server.exit()).code, 0);
    assert.deepEqual(server.all(/cut/), []);
    await eventually('all are in the log', () =>
      /^127\.0\.0\.1 - - [^\n]* "GET \/hold\S+ HTTP\/2\.0" 200 \d+ /m.test(site.read('log')),
    );
    assert.match(site.read('log'), new RegExp(`"GET /hold\\S+ HTTP/2\\.0" 200 ${text.length} `));
    assert.match(site.read('log'), /^127\.0\.0\.1 - - [^\n]* "GET \/hold\?left HTTP\/2\.0" 499 - /m);
  });

  test('leaves the limits of HTTP/1.1 in force for those who speak that', async (t) => {
    const site = new Site(t);
    const own = certify(site, 'server');
    const ca = site.read('server.pem');
    const limits = ['--max-header-size', '2K', '--headers-timeout', '1', '--keep-alive', '1'];
    const server = await withTls(t, own, ['--http2', ...limits]);
    const told = async (text: string): Promise<string> => {
      const socket = tls.connect({ host: '127.0.0.1', port: server.port, ca });
      t.after(() => socket.destroy());
      let answer = '';
      socket
        .on('error', () => {})
        .on('data', (chunk) => {
          answer += String(chunk);
        });
      socket.write(text);
      await eventually('the server closes the connection', () => socket.readableEnded || socket.destroyed);
      return answer;
    };
    const head = 'GET / HTTP/1.1\r\nHost: x\r\n';
    assert.match(await told(`${head}X: ${'x'.repeat(3000)}\r\n\r\n`), /^HTTP\/1\.1 431/);
    assert.match(await told(head), /^HTTP\/1\.1 408/);
    assert.match(await told(`${head}\r\n`), /^HTTP\/1\.1 200/);
    // Who does not even begin with TLS is given up as well.
    const mute = await RawClient.connect(server.port);
    await eventually('it is closed', () => mute.closed);
    // Of a head that is too large nothing reaches the app in HTTP/2 either, once its client knows the limit.
    const session = http2.connect(`https://127.0.0.1:${server.port}`, { ca });
    t.after(() => session.destroy());
    const ended = once(session, 'close');
    await Promise.all([once(session, 'remoteSettings'), once(session, 'localSettings')]);
    const stream = session.request({ x: 'x'.repeat(3000) });
    const [error] = (await once(stream, 'error')) as [Error];
    assert.match(error.message, /ENHANCE_YOUR_CALM/);
    // The session has an answer under way for longer than it may be idle, and ends when it is idle.
    const busy = http2.connect(`https://127.0.0.1:${server.port}`, { ca });
    t.after(() => busy.destroy());
    const left = once(busy, 'close');
    const held = busy.request({ ':path': `/hold?until=${site.path('go')}` });
    await server.printed(/holding/);
    await ended;
    assert.equal(busy.closed, false);
    site.write('go', '');
    const [{ ':status': status }] = (await once(held, 'response')) as [http2.IncomingHttpHeaders];
    assert.equal(status, 200);
    held.resume();
    await left;
  });
});

describe('limits of requests', { concurrency: 2 }, () => {
  test('a head that is too large is answered with 431, one that is too slow with 408', async (t) => {
    const server = await serve(t, fixture('app.mjs'), [
      '--max-header-size',
      '2K',
      '--headers-timeout',
      '0.3',
    ]);
    assert.equal((await server.get('/', { headers: { x: 'x'.repeat(1500) } })).status, 200);
    assert.equal((await server.get('/', { headers: { x: 'x'.repeat(3000) } })).status, 431);
    const slow = await RawClient.connect(server.port);
    slow.socket.write('GET / HTTP/1.1\r\nHost:');
    await eventually('it is given up', () => /^HTTP\/1\.1 408/.test(slow.text));
    slow.socket.destroy();
  });

  test('a body that is too slow is answered with 408', async (t) => {
    const site = new Site(t);
    const app = site.write('app.mjs', `export default (q, s) => q.resume().on('end', () => s.end('all'));`);
    const server = await serve(t, app, ['--headers-timeout', '0.2', '--request-timeout', '0.4']);
    const slow = await RawClient.connect(server.port);
    slow.socket.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf');
    await eventually('it is given up', () => slow.closed || /408/.test(slow.text));
    slow.socket.destroy();
  });
});
