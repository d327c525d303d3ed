/** What an app sees of the head of a request that came through a proxy, or did not: real servers, over TCP, unix sockets and HTTP/2. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import { describe, type TestContext, test } from 'node:test';
import tls from 'node:tls';
import { type Answer, RawClient } from './client.ts';
import { eventually, launch, Site, serve } from './harness.ts';

/** Tells all that it sees, in each form that Node.js has; and upgrades whoever wants it. */
const APP = `
import http from 'node:http';
const seen = (request) => JSON.stringify({
  headers: request.headers, raw: request.rawHeaders, distinct: request.headersDistinct, url: request.url,
  originalUrl: request.originalUrl, baseUrl: request.baseUrl, root: process.env.KIRIN_ROOT_PATH,
});
const answer = (request, response) => {
  if (request.url === '/print') console.log('saw ' + seen(request));
  response.end(seen(request));
};
`;
const PLAIN = `${APP}
const server = http.createServer(answer);
server.on('upgrade', (request, socket) => socket.end('HTTP/1.1 101 Switching Protocols\\r\\n\\r\\n' + seen(request)));
server.on('checkContinue', (request, response) => {
  response.writeContinue();
  server.emit('request', request, response);
});
export default server;
`;
const HANDLER = `${APP} export default answer;`;

interface Seen {
  headers: Record<string, string>;
  raw: string[];
  distinct?: Record<string, string[]>;
  url: string;
  originalUrl?: string;
  baseUrl?: string;
  root?: string;
}

const CLAIMS = {
  'X-Forwarded-For': '203.0.113.7',
  'X-Forwarded-Host': 'shop.example',
  'X-Forwarded-Proto': 'https',
  Forwarded: 'for=203.0.113.7',
  'X-Real-IP': '203.0.113.7',
  X_Forwarded_Port: '443',
  'X-Other': 'kept',
};
const CLAIMED = Object.keys(CLAIMS).map((name) => name.toLowerCase());

/** The names that an app sees, in each of the forms. */
function namesIn({ headers, raw, distinct }: Seen): string[] {
  const names = Object.keys(headers).sort();
  const inRaw = raw.filter((_, index) => index % 2 === 0).map((name) => name.toLowerCase());
  assert.deepEqual([...new Set(inRaw)].sort(), names);
  if (distinct) assert.deepEqual(Object.keys(distinct).sort(), names);
  return names.filter((name) => CLAIMED.includes(name) || name.startsWith('x'));
}

const seen = (answer: Answer): Seen => {
  assert.equal(answer.status, 200, answer.text);
  return answer.json() as unknown as Seen;
};

const started = (t: TestContext, site: Site, args: string[], env: Record<string, string> = {}, app = PLAIN) =>
  serve(t, site.write('app.mjs', app), args, { env });

/** What is answered to this text, until the connection is closed. */
async function tell(port: number, text: string): Promise<string> {
  const client = await RawClient.connect(port);
  client.socket.write(text);
  await eventually('it is closed', () => client.closed);
  return client.text;
}

describe('headers of proxies', { concurrency: 2 }, () => {
  test('pass where nobody asked for anything else, whoever sends them', async (t) => {
    const server = await started(t, new Site(t), []);
    const { headers, url, originalUrl } = seen(await server.get('/a', { headers: CLAIMS }));
    for (const [name, value] of Object.entries(CLAIMS)) assert.equal(headers[name.toLowerCase()], value);
    assert.deepEqual([url, originalUrl], ['/a', undefined]);
    const contradiction = { 'X-Forwarded-Proto': 'https', 'X-Forwarded-Ssl': 'off' };
    assert.equal((await server.get('/', { headers: contradiction })).status, 200);
  });

  test('are taken from all but those that are allowed; whoever may open a unix socket is', async (t) => {
    const site = new Site(t);
    const socketPath = site.path('s');
    const log = site.path('log');
    const args = ['--forwarded-allow-ips', '10.0.0.0/8', '--forwarder-headers', 'X-User,X_CERT'];
    const format = '%({x-forwarded-for}i)s %(U)s';
    const access = ['--access-logfile', log, '--access-logformat', format];
    const server = await started(t, site, [
      '-b',
      '127.0.0.1:0',
      '-b',
      `unix:${socketPath}`,
      ...args,
      ...access,
    ]);
    const headers = { ...CLAIMS, 'X-User': 'root', 'X-Cert': 'a' };
    assert.deepEqual(namesIn(seen(await server.get('/tcp', { headers }))), ['x-other']);
    const all = [...CLAIMED.filter((name) => name !== 'forwarded'), 'x-user', 'x-cert', 'forwarded'];
    const viaUnix = seen(await server.get('/unix', { headers, socketPath }));
    assert.deepEqual(namesIn(viaUnix).sort(), all.sort());
    // The log is of what the app sees.
    await eventually('both are told', () => site.read('log').split('\n').length === 3);
    assert.deepEqual(site.read('log').trim().split('\n').sort(), ['- /tcp', '203.0.113.7 /unix']);
    // In every way that a request comes.
    const claim = 'Host: x\r\nX-Forwarded-For: 203.0.113.7\r\nx-forwarded-for: 203.0.113.8\r\n';
    const upgrade = `GET / HTTP/1.1\r\n${claim}Connection: Upgrade\r\nUpgrade: x\r\n\r\n`;
    assert.doesNotMatch(await tell(server.port, upgrade), /203\.0\.113/);
    const expecting = `GET / HTTP/1.1\r\n${claim}Connection: close\r\nExpect: 100-continue\r\n\r\n`;
    const answered = await tell(server.port, expecting);
    assert.match(answered, /^HTTP\/1\.1 100 .*"expect":"100-continue"/s);
    assert.doesNotMatch(answered, /203\.0\.113/);
  });

  test('are not believed of a client that resets its connection, and so has no address any more', async (t) => {
    const server = await started(t, new Site(t), ['--forwarded-allow-ips', '10.0.0.1']);
    const [worker] = await server.settled(1);
    const client = await RawClient.connect(server.port);
    process.kill(worker!.pid, 'SIGSTOP');
    const head = 'GET /print HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.7\r\nX-Other: 1\r\n\r\n';
    await new Promise((sent) => client.socket.write(head, sent));
    client.socket.resetAndDestroy();
    process.kill(worker!.pid, 'SIGCONT');
    const [, text] = await server.printed(/saw (.*)\n/);
    assert.deepEqual(namesIn(JSON.parse(text!)), ['x-other']);
  });

  test('are those of whom a PROXY head names, where there is one', async (t) => {
    const args = ['--proxy-protocol', 'v1', '--forwarded-allow-ips', '203.0.113.7'];
    const server = await started(t, new Site(t), args);
    const claim = 'GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 198.51.100.1\r\nConnection: close\r\n\r\n';
    const from = (address: string) =>
      tell(server.port, `PROXY TCP4 ${address} 10.0.0.1 4711 443\r\n${claim}`);
    assert.match(await from('203.0.113.7'), /198\.51\.100\.1/);
    assert.match(await from('203.0.113.8'), /^HTTP\/1\.1 200 (?!.*198\.51)/s);
  });

  test('tell the scheme: contradictions are refused, and frameworks find it where they look', async (t) => {
    const server = await started(t, new Site(t), [], { FORWARDED_ALLOW_IPS: '*' });
    const proto = async (headers: Record<string, string>) =>
      seen(await server.get('/', { headers })).headers['x-forwarded-proto'];
    assert.equal(await proto({}), undefined);
    assert.equal(await proto({ 'X-Forwarded-Ssl': 'on' }), 'https');
    assert.equal(await proto({ 'X-Forwarded-Protocol': 'http' }), 'http');
    assert.equal(await proto({ 'X-Forwarded-Proto': 'https, http', 'X-Forwarded-Ssl': 'on' }), 'https, http');
    const wrong = { 'X-Forwarded-Proto': 'https', 'X-Forwarded-Ssl': 'off' };
    const { status, text, headers } = await server.get('/', { headers: wrong });
    assert.deepEqual([status, headers.connection], [400, 'close']);
    assert.match(text, /^Bad Request: headers of the proxy contradict each other\n$/);
    const twice = 'Host: x\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Proto: http\r\n';
    assert.match(await tell(server.port, `GET / HTTP/1.1\r\n${twice}\r\n`), /^HTTP\/1\.1 400 /);
    const upgrade = `GET / HTTP/1.1\r\n${twice}Connection: Upgrade\r\nUpgrade: x\r\n\r\n`;
    assert.match(await tell(server.port, upgrade), /^HTTP\/1\.1 400 Bad Request\r\n/);
    await server.told(/^worker 1 .*a request from 127\.0\.0\.1 was refused: headers of the proxy/);
  });

  test('of names of your own tell the scheme too; a reload brings others', async (t) => {
    const site = new Site(t);
    const config = (value: string) =>
      site.write(
        'kirin.config.json',
        JSON.stringify({ forwardedAllowIps: ['127.0.0.1', '::1'], secureSchemeHeaders: { 'X-Tls': value } }),
      );
    const server = await started(t, site, ['--config', config('yes')]);
    const proto = async () =>
      seen(await server.get('/', { headers: { 'X-Tls': 'yes' } })).headers['x-forwarded-proto'];
    assert.equal(await proto(), 'https');
    config('no');
    assert.match((await server.reload()).msg, /^reload done/);
    assert.equal(await proto(), 'http');
  });

  test('are taken and refused in HTTP/2 as well, and in HTTP/1.1 beside it', async (t) => {
    const site = new Site(t);
    const subject = ['-subj', '/CN=x', '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '2'];
    const make = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    const files = ['-keyout', site.path('key'), '-out', site.path('cert')];
    execFileSync('openssl', [...make, ...subject, ...files], { stdio: 'ignore' });
    const secure = ['--certfile', site.path('cert'), '--keyfile', site.path('key'), '--http2'];
    const allow = ['--forwarded-allow-ips', '10.0.0.1', '--root-path', '/shop'];
    const ca = site.read('cert');
    const checkServerIdentity = (): undefined => undefined;
    const ask = async (port: number, headers: Record<string, string>, path?: string) => {
      const over = path && {
        createConnection: () => tls.connect({ path, ca, ALPNProtocols: ['h2'], checkServerIdentity }),
      };
      const session = http2.connect(`https://127.0.0.1:${port}`, { ca, ...(over || {}) });
      const stream = session.request({ ':path': '/shop/a?b', ...headers });
      const [told] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders];
      let text = '';
      for await (const chunk of stream) text += String(chunk);
      session.close();
      return { status: told[':status'], text };
    };
    const path = site.path('s');
    const addresses = ['-b', '127.0.0.1:0', '-b', `unix:${path}`];
    const open = await started(t, site, [...addresses, ...secure, ...allow], {}, HANDLER);
    const { text } = await ask(open.port, CLAIMS);
    const told = JSON.parse(text) as Seen;
    assert.deepEqual(namesIn(told), ['x-other']);
    assert.deepEqual([told.url, told.originalUrl, told.baseUrl], ['/a?b', '/shop/a?b', '/shop']);
    // Whoever may open a unix socket is trusted below TLS, too.
    const all = [...CLAIMED].filter((name) => name !== 'forwarded').sort();
    assert.deepEqual(namesIn(JSON.parse((await ask(open.port, CLAIMS, path)).text)), ['forwarded', ...all]);
    const older = https.get({ socketPath: path, ca, checkServerIdentity, headers: CLAIMS, agent: false });
    const [answer] = (await once(older, 'response')) as [IncomingMessage];
    let body = '';
    for await (const chunk of answer) body += String(chunk);
    assert.deepEqual(namesIn(JSON.parse(body)), ['forwarded', ...all]);

    const server = await started(t, site, [...secure, '--secure-scheme-headers', 'X-Tls=1'], {}, HANDLER);
    assert.equal(
      (JSON.parse((await ask(server.port, { 'x-tls': '1' })).text) as Seen).headers['x-forwarded-proto'],
      'https',
    );
    const both = ['--secure-scheme-headers', 'X-Tls=1', '--secure-scheme-headers', 'X-Ssl=1'];
    const strict = await started(t, site, [...secure, ...both], {}, HANDLER);
    assert.deepEqual(await ask(strict.port, { 'x-tls': '1', 'x-ssl': '0' }), {
      status: 400,
      text: 'Bad Request: headers of the proxy contradict each other\n',
    });
  });
});

describe('headers with an underscore in their name', { concurrency: 2 }, () => {
  const headers = { X_A: '1', 'X-A': '2', SCRIPT_NAME: '/a' };

  test('are dropped, or their request is refused, where that is asked for; not those of a forwarder', async (t) => {
    const dropping = await started(t, new Site(t), ['--header-map', 'drop']);
    const left = seen(await dropping.get('/', { headers })).headers;
    assert.deepEqual([left['x_a'], left['x-a'], left['script_name']], [undefined, '2', '/a']);
    const refusing = await started(t, new Site(t), ['--header-map', 'refuse']);
    assert.equal(
      (await refusing.get('/', { headers })).text,
      'Bad Request: a header has an underscore in its name\n',
    );
    assert.equal((await refusing.get('/', { headers: { script_name: '/a' } })).status, 200);
    const all = await started(t, new Site(t), ['--header-map', 'refuse', '--forwarder-headers', '*']);
    assert.equal(seen(await all.get('/', { headers })).headers['x_a'], '1');
  });
});

test('a head of more headers than Node.js names, and an odd name, hide nothing', async (t) => {
  const many = 'a:b\r\n'.repeat(1010);
  const end = 'Connection: close\r\n\r\n';
  const claiming = await started(t, new Site(t), ['--forwarded-allow-ips', '192.0.2.1']);
  const told = await tell(
    claiming.port,
    `GET / HTTP/1.1\r\nHost: x\r\n${many}X-Forwarded-For: 203.0.113.7\r\n${end}`,
  );
  assert.match(told, /^HTTP\/1\.1 200/);
  assert.doesNotMatch(told, /203\.0\.113\.7/);
  const refusing = await started(t, new Site(t), ['--header-map', 'refuse']);
  for (const head of [`${many}x_a: 1\r\n`, '__proto__: 1\r\n'])
    assert.match(
      await tell(refusing.port, `GET / HTTP/1.1\r\nHost: x\r\n${head}${end}`),
      /a header has an underscore in its name/,
    );
});

test('refused a thousand times over, requests cost no worker: the log tells of few', async (t) => {
  const server = await started(t, new Site(t), ['--header-map', 'refuse']);
  const refused = 'GET / HTTP/1.1\r\nHost: x\r\nx_a: 1\r\n\r\n';
  const from = server.mark();
  for (let round = 0; round < 10; round++)
    assert.match(await tell(server.port, refused.repeat(1000)), /^HTTP\/1\.1 400/);
  assert.equal((await server.get('/')).status, 200);
  assert.equal(server.workers()[0]!.age, 1);
  const told = server.all(/was refused: a header has an underscore/, from);
  assert.ok(told.length > 0 && told.length < 1000, `${told.length} lines`);
});

describe('--root-path', { concurrency: 2 }, () => {
  test('is where the app is mounted, and what it is told; the log has what was asked', async (t) => {
    const site = new Site(t);
    const access = ['--access-logfile', site.path('log'), '--access-logformat', '%(U)s'];
    const server = await started(t, site, ['--root-path', '/shop/', ...access]);
    const ask = async (path: string) => {
      const { url, originalUrl, baseUrl, root } = seen(await server.get(path));
      assert.equal(root, '/shop');
      return [url, originalUrl, baseUrl];
    };
    assert.deepEqual(await ask('/shop/cart?a=/shop/'), ['/cart?a=/shop/', '/shop/cart?a=/shop/', '/shop']);
    assert.deepEqual(await ask('/shop'), ['/', '/shop', '/shop']);
    assert.deepEqual(await ask('/shop?a'), ['/?a', '/shop?a', '/shop']);
    assert.deepEqual(await ask('/shop/shop/a'), ['/shop/a', '/shop/shop/a', '/shop']);
    assert.deepEqual(await ask('/shopping'), ['/shopping', undefined, undefined]);
    assert.deepEqual(await ask('/'), ['/', undefined, undefined]);
    await eventually('all are told', () => site.read('log').split('\n').length === 7);
    assert.match(site.read('log'), /^\/shop\/cart\n\/shop\n/);
    const expecting =
      'GET /shop/shop/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\n\r\n';
    assert.match(await tell(server.port, expecting), /"url":"\/shop\/a"/);
  });
});

test('what is no proxy, no header and no path is one line', async (t) => {
  const cases: [string[], RegExp][] = [
    [
      ['--forwarded-allow-ips', '127.0.0.1,proxy'],
      /--forwarded-allow-ips: "proxy" is neither an address nor /,
    ],
    [['--secure-scheme-headers', 'X-A'], /--secure-scheme-headers must be NAME=VALUE/],
    [['--secure-scheme-headers', 'X A=1'], /--secure-scheme-headers: "X A" is no name of a header/],
    [['--forwarder-headers', 'A,b c'], /--forwarder-headers: "b c" is no name of a header/],
    [['--header-map', 'keep'], /--header-map must be drop, refuse or dangerous, not "keep"/],
    [['--root-path', 'shop'], /--root-path must be a path such as \/shop, not "shop"/],
    [['--root-path', '/'], /--root-path must be a path such as \/shop, not "\/"/],
  ];
  const app = new Site(t).write('app.mjs', PLAIN);
  await Promise.all(
    cases.map(async ([args, message]) => {
      const server = launch(t, app, args);
      assert.equal((await server.exit()).code, 2, args.join(' '));
      assert.match(server.output, message);
    }),
  );
});

test('what Gunicorn has settings for and Node.js refuses is refused', async (t) => {
  const server = await started(t, new Site(t), []);
  for (const head of [
    'get / HTTP/1.1\r\nHost: x',
    'FETCH / HTTP/1.1\r\nHost: x',
    'GET / HTTP/1.9\r\nHost: x',
    'GET / HTTP/1.1\r\nHost : x',
    'GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c: d',
  ])
    assert.match(await tell(server.port, `${head}\r\n\r\n`), /^HTTP\/1\.1 400 /, head);
});
