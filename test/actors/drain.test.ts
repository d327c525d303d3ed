/** Taking leave of clients: nothing that was asked stays unanswered, and nothing is cut before its time. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import test, { type TestContext } from 'node:test';
import tls from 'node:tls';
import { promisify } from 'node:util';
import WebSocket from 'ws';
import { type AppProcess, bind, get, serve } from './app-process.ts';

/** Longer than any test: what ends before it did not wait for it. */
const LONG_MS = 60_000;

/** A client that writes and reads bytes. */
class Client {
  readonly socket: net.Socket;
  text = '';
  closed = false;
  #wake: (() => void) | undefined;

  constructor(port: number) {
    this.socket = net.connect(port, '127.0.0.1');
    this.socket.setEncoding('utf8');
    this.socket.on('error', () => {});
    this.socket.on('data', (data) => {
      this.text += data;
      this.#wake?.();
    });
    this.socket.on('close', () => {
      this.closed = true;
      this.#wake?.();
    });
  }

  ask(path: string): this {
    this.socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
    return this;
  }

  /** Waits until `holds`; fails when the connection closes before. */
  async until(holds: (text: string) => boolean): Promise<string> {
    const limit = AbortSignal.timeout(20_000);
    while (!holds(this.text)) {
      if (this.closed || limit.aborted) throw new Error(`closed: ${this.closed}, after: ${this.text}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 200);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    return this.text;
  }

  async end(): Promise<string> {
    if (!this.closed) await once(this.socket, 'close', { signal: AbortSignal.timeout(20_000) });
    return this.text;
  }
}

function client(t: TestContext, worker: AppProcess): Client {
  const made = new Client(worker.port);
  t.after(() => made.socket.destroy());
  return made;
}

const drain = (worker: AppProcess, ms = LONG_MS) => worker.order<{ cut: number }>({ order: 'drain', ms });
const release = (worker: AppProcess, name: string) => worker.child.send({ release: name });
const answers = (text: string) => text.match(/HTTP\/1\.1 \d+/g)?.length ?? 0;
/** Sent and therefore carried out after the drain began, since orders are taken in turn. */
const draining = (worker: AppProcess) => worker.counts();

test('without connections a drain ends at once', async (t) => {
  const worker = await serve(t, 'many.mjs', { idleGraceMs: LONG_MS });
  assert.deepEqual(await drain(worker), { cut: 0 });
});

test('a draining worker accepts no more, while its listener lives on for others', async (t) => {
  const bounds = [bind(t)];
  const worker = await serve(t, 'many.mjs', { bounds });
  const other = await serve(t, 'many.mjs', { bounds });
  await drain(worker);
  for (let count = 0; count < 5; count++) assert.equal((await worker.get()).body, `pid ${other.child.pid}`);
  assert.equal((await worker.counts()).requests, 0);
});

test('a slow request in flight is answered with Connection: close', async (t) => {
  const worker = await serve(t, 'many.mjs');
  const slow = client(t, worker).ask('/slow?name=a');
  await worker.reach('inFlight', 1);
  const drained = drain(worker);
  await draining(worker);
  release(worker, 'a');
  const text = await slow.end();
  assert.match(text, /Connection: close/);
  assert.match(text, /slow a/);
  assert.deepEqual(await drained, { cut: 0 });
});

test("an app's own Connection: keep-alive does not outlive the drain", async (t) => {
  const worker = await serve(t, 'many.mjs', { idleGraceMs: LONG_MS });
  const proxied = client(t, worker).ask('/proxied?name=a');
  await worker.reach('inFlight', 1);
  const drained = drain(worker);
  await draining(worker);
  release(worker, 'a');
  const text = await proxied.end();
  assert.match(text, /connection: close/i);
  assert.doesNotMatch(text, /keep-alive/i);
  assert.deepEqual(await drained, { cut: 0 });
});

test('an idle connection may ask once more within its grace', async (t) => {
  const worker = await serve(t, 'many.mjs', { idleGraceMs: LONG_MS });
  const idle = client(t, worker).ask('/');
  await idle.until((text) => answers(text) === 1);
  assert.match(idle.text, /Connection: keep-alive/);
  const drained = drain(worker);
  await draining(worker);
  idle.ask('/');
  const text = await idle.end();
  assert.equal(answers(text), 2);
  assert.match(text, /Connection: close/);
  assert.deepEqual(await drained, { cut: 0 });
});

test('idle connections and silent ones are closed after the grace, without being counted as cut', async (t) => {
  const worker = await serve(t, 'many.mjs', { idleGraceMs: 100 });
  const idle = client(t, worker).ask('/');
  await idle.until((text) => answers(text) === 1);
  const silent = client(t, worker);
  await worker.reach('connections', 2);
  assert.deepEqual(await drain(worker), { cut: 0 });
  await Promise.all([idle.end(), silent.end()]);
});

test('a connection that never agrees on TLS is closed after the grace, without being counted as cut', async (t) => {
  const worker = await serve(t, 'https.mjs', { idleGraceMs: 100 });
  const silent = client(t, worker);
  const partial = client(t, worker);
  // The head of a TLS record that never comes.
  partial.socket.write(Buffer.from([22, 3, 1, 2, 0]));
  const secured = tls.connect({ port: worker.port, host: '127.0.0.1', rejectUnauthorized: false });
  t.after(() => secured.destroy());
  await once(secured, 'secureConnect');
  // Half a request: it is waited for, as without TLS.
  secured.write('GET / HTTP/1.1\r\nHos');
  await worker.reach('connections', 3);
  const drained = drain(worker);
  await Promise.all([silent.end(), partial.end()]);
  secured.write('t: x\r\n\r\n');
  const [answer] = await once(secured, 'data');
  assert.match(String(answer), /Connection: close/);
  assert.deepEqual(await drained, { cut: 0 });
});

test('a half-received request is waited for and answered', async (t) => {
  const worker = await serve(t, 'many.mjs', { idleGraceMs: 0 });
  const half = client(t, worker).ask('/');
  await half.until((text) => answers(text) === 1);
  const body = client(t, worker);
  body.socket.write('POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345');
  await worker.reach('inFlight', 1);
  half.socket.write('GET / HTTP/1.1\r\nHos');
  await worker.reach('connections', 2);
  // The worker reads its socket before it reads this order only if the bytes are there: they were written first.
  const idle = client(t, worker).ask('/');
  await idle.until((text) => answers(text) === 1);
  const drained = drain(worker);
  await idle.end();
  half.socket.write('t: x\r\n\r\n');
  assert.equal(answers(await half.end()), 2);
  body.socket.write('67890');
  assert.match(await body.end(), /uploaded/);
  assert.deepEqual(await drained, { cut: 0 });
});

test('pipelined requests are all answered, the last one with Connection: close', async (t) => {
  const worker = await serve(t, 'many.mjs');
  const pipelining = client(t, worker).ask('/slow?name=a').ask('/slow?name=b').ask('/slow?name=c');
  await worker.reach('requests', 3);
  const drained = drain(worker);
  await draining(worker);
  for (const name of ['c', 'b', 'a']) release(worker, name);
  const text = await pipelining.end();
  assert.equal(answers(text), 3);
  assert.match(text, /keep-alive.*slow a.*keep-alive.*slow b.*Connection: close.*slow c/s);
  assert.deepEqual(await drained, { cut: 0 });
});

test('a request that comes behind one in flight while draining is answered too', async (t) => {
  const worker = await serve(t, 'many.mjs');
  const pipelining = client(t, worker).ask('/slow?name=a');
  await worker.reach('inFlight', 1);
  const drained = drain(worker);
  await draining(worker);
  pipelining.ask('/slow?name=b');
  await worker.reach('requests', 2);
  release(worker, 'a');
  release(worker, 'b');
  assert.match(await pipelining.end(), /slow a.*Connection: close.*slow b/s);
  assert.deepEqual(await drained, { cut: 0 });
});

test('a stream that promised keep-alive ends whole, and its connection gets its own grace', async (t) => {
  const worker = await serve(t, 'many.mjs', { idleGraceMs: 0 });
  const stream = client(t, worker).ask('/stream?name=a');
  await stream.until((text) => text.includes('begin'));
  const drained = drain(worker);
  await draining(worker);
  release(worker, 'a');
  assert.match(await stream.end(), /begin.*end\r\n0\r\n\r\n$/s);
  assert.deepEqual(await drained, { cut: 0 });

  const graceful = await serve(t, 'many.mjs', { idleGraceMs: LONG_MS });
  const again = client(t, graceful).ask('/stream?name=a');
  await again.until((text) => text.includes('begin'));
  const drainedLater = drain(graceful);
  await draining(graceful);
  release(graceful, 'a');
  await again.until((text) => text.includes('end'));
  again.ask('/');
  assert.match(await again.end(), /Connection: close.*pid/s);
  assert.deepEqual(await drainedLater, { cut: 0 });
});

/** Reads the head of a big answer and then nothing, until told; resolves with the bytes that came. */
async function slowReader(t: TestContext, port: number, path: string) {
  const socket = net.connect(port, '127.0.0.1');
  t.after(() => socket.destroy());
  socket.on('error', () => {});
  socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
  const [first] = (await once(socket, 'data')) as [Buffer];
  socket.pause();
  const head = first.indexOf('\r\n\r\n') + 4;
  assert.match(first.toString('latin1', 0, head), /Content-Length: 40000000/i);
  let bytes = first.length - head;
  socket.on('data', (data) => {
    bytes += data.length;
  });
  return {
    socket,
    async rest(): Promise<number> {
      const closed = once(socket, 'close', { signal: AbortSignal.timeout(20_000) });
      socket.resume();
      await closed;
      return bytes;
    },
  };
}

for (const path of ['/big', '/file']) {
  test(`an answer that is ended but not yet sent outlasts the idle grace: ${path}`, async (t) => {
    const worker = await serve(t, 'many.mjs', { idleGraceMs: 100 });
    const reader = await slowReader(t, worker.port, path);
    const idle = client(t, worker).ask('/');
    await idle.until((text) => answers(text) === 1);
    const drained = drain(worker);
    await idle.end();
    assert.equal(await reader.rest(), 40_000_000);
    assert.deepEqual(await drained, { cut: 0 });
  });
}

test('a client that never takes its answer is cut at the limit, and counted', async (t) => {
  const worker = await serve(t, 'many.mjs', { idleGraceMs: 0 });
  await slowReader(t, worker.port, '/big');
  assert.deepEqual(await drain(worker, 300), { cut: 1 });
});

test('a WebSocket stays until the limit, and is then cut and counted', async (t) => {
  const worker = await serve(t, 'many.mjs', { idleGraceMs: 0 });
  const socket = new WebSocket(`ws://127.0.0.1:${worker.port}/`);
  await once(socket, 'open');
  const drained = drain(worker, 500);
  socket.send('still there');
  assert.equal(String((await once(socket, 'message'))[0]), 'echo still there');
  const closed = once(socket, 'close');
  assert.deepEqual(await drained, { cut: 1 });
  assert.equal((await closed)[0], 1006);
});

test('HTTP/2 sessions are told to go away, and their open streams are answered', async (t) => {
  const worker = await serve(t, 'http2.mjs', { idleGraceMs: 0 });
  const connect = () => {
    const session = http2.connect(`http://127.0.0.1:${worker.port}`);
    t.after(() => session.destroy());
    return session;
  };
  const [busy, idle] = [connect(), connect()];
  const quick = idle.request({ ':path': '/' });
  quick.resume();
  await once(quick, 'end');
  const slow = busy.request({ ':path': '/slow' }).setEncoding('utf8');
  let text = '';
  slow.on('data', (data) => {
    text += data;
  });
  await once(slow, 'data');
  const gone = [once(busy, 'goaway'), once(idle, 'close')];
  const drained = drain(worker);
  await Promise.all(gone);
  release(worker, 'all');
  assert.deepEqual(await drained, { cut: 0 });
  assert.equal(text, 'begin end');
});

test('what is in flight when the limit is over is cut and counted', async (t) => {
  const worker = await serve(t, 'many.mjs');
  const slow = client(t, worker).ask('/slow?name=a');
  await worker.reach('inFlight', 1);
  assert.deepEqual(await drain(worker, 100), { cut: 1 });
  assert.equal(await slow.end(), '');
});

test('idle connections are not counted as cut when the limit comes before the end of their grace', async (t) => {
  const worker = await serve(t, 'many.mjs', { idleGraceMs: LONG_MS });
  const idle = client(t, worker).ask('/');
  await idle.until((text) => answers(text) === 1);
  assert.deepEqual(await drain(worker, 100), { cut: 0 });
  await idle.end();
});

test('a head in any form says Connection: close while draining', async (t) => {
  const worker = await serve(t, 'heads.mjs');
  const forms = ['object', 'pairs', 'flat', 'message', 'set', 'none'];
  const clients = forms.map((form) => client(t, worker).ask(`/${form}`));
  await worker.reach('inFlight', forms.length);
  const drained = drain(worker);
  await draining(worker);
  release(worker, 'all');
  for (const each of clients) {
    const text = await each.end();
    assert.equal(text.match(/^connection: /gim)?.length, 1, text);
    assert.match(text, /^connection: close\r$/im, text);
    assert.match(text, /done/);
  }
  assert.deepEqual(await drained, { cut: 0 });
});

test('cut ends an ongoing drain', async (t) => {
  const worker = await serve(t, 'many.mjs');
  const slow = client(t, worker).ask('/slow?name=a');
  await worker.reach('inFlight', 1);
  worker.send({ order: 'drain', ms: LONG_MS });
  assert.equal(await worker.order({ order: 'cut' }), 1);
  assert.deepEqual((await worker.answer('drain')).result, { cut: 1 });
  await slow.end();
});

test('a connection that was accepted but has not been read from is answered', async (t) => {
  const worker = await serve(t, 'many.mjs', { idleGraceMs: LONG_MS });
  // Stopped, so that connections and requests pile up in the kernel, with the order to drain behind them.
  process.kill(worker.child.pid!, 'SIGSTOP');
  const clients = Array.from({ length: 20 }, () => client(t, worker).ask('/'));
  await Promise.all(clients.map(({ socket }) => socket.connecting && once(socket, 'connect')));
  worker.send({ order: 'drain', ms: LONG_MS });
  const other = await serve(t, 'many.mjs', { bounds: worker.bounds });
  process.kill(worker.child.pid!, 'SIGCONT');
  for (const each of clients) await each.until((text) => answers(text) === 1);
  assert.deepEqual((await worker.answer('drain')).result, { cut: 0 });
  for (const each of clients) each.socket.destroy();
  assert.ok((await other.counts()).requests >= 0);
});

test("the server's 'close' is emitted once, when the last connection is gone", async (t) => {
  const worker = await serve(t, 'many.mjs', { bounds: [bind(t), bind(t)] });
  const slow = get({ port: worker.bounds[1]!.port, path: '/slow?name=a' });
  await worker.reach('inFlight', 1);
  const drained = drain(worker);
  await draining(worker);
  assert.equal(worker.stdout, '');
  release(worker, 'a');
  await slow;
  await drained;
  await worker.order({ order: 'close', ms: 1_000 });
  await worker.until("'close'", () => worker.stdout.includes("server 'close'"));
  assert.equal(worker.stdout, "server 'close'\n");
});

test('the app hears of the drain, and its ends run in turn after the last answer', async (t) => {
  const worker = await serve(t, 'hooks.mjs');
  const slow = worker.get('/slow');
  await worker.reach('inFlight', 1);
  const drained = drain(worker);
  // The answer waits for the signal of the drain, so it comes only when the app has heard of it.
  assert.equal((await slow).body, 'draining, worker 7 in slot 1 of generation 3');
  assert.deepEqual(await drained, { cut: 0 });
  await worker.order({ order: 'close', ms: 10_000 });
  await worker.until('the last end', () => worker.stdout.includes('first registered'));
  assert.deepEqual(worker.stdout.trim().split('\n'), [
    'onDrain',
    'export close',
    'last registered',
    'first registered',
  ]);
  assert.deepEqual(worker.notices(), [
    'error: an onDrain callback failed: drain hook',
    'error: an onClose callback failed: TypeError: close hook',
  ]);
});

test('an end that takes too long is left behind, and the rest still gets its turn', async (t) => {
  const worker = await serve(t, 'hooks-slow.mjs');
  await drain(worker);
  await worker.order({ order: 'close', ms: 200 });
  await worker.until('the rest', () => worker.stdout === 'registered first\n');
  assert.deepEqual(worker.notices(), ['warn: an onClose callback did not finish within the time left']);
});

test('no request fails under load while workers drain one after another', { timeout: 120_000 }, async (t) => {
  const bounds = [bind(t), bind(t)];
  const idleGraceMs = 1_000;
  let worker = await serve(t, 'many.mjs', { bounds, idleGraceMs });
  const load = promisify(execFile)('wrk', [
    '-t1',
    '-c32',
    '-d6s',
    `http://127.0.0.1:${bounds[0]!.port}/`,
  ]).catch(() => undefined);
  const counts = { ok: 0, failed: [] as string[] };
  let ended = false;
  void load.then(() => {
    ended = true;
  });
  const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
  const clients = Array.from({ length: 8 }, async (_, index) => {
    while (!ended) {
      try {
        const reply = await get({ port: bounds[index % 2]!.port, path: '/', ...(index < 4 && { agent }) });
        if (reply.status === 200) counts.ok++;
        else counts.failed.push(String(reply.status));
      } catch (error) {
        counts.failed.push(String(error));
      }
    }
  });
  let drains = 0;
  while (!ended) {
    const next = await serve(t, 'many.mjs', { bounds, idleGraceMs });
    assert.deepEqual(await drain(worker), { cut: 0 });
    worker.child.kill('SIGKILL');
    worker = next;
    drains++;
  }
  await Promise.all(clients);
  agent.destroy();
  assert.deepEqual(counts.failed, []);
  assert.ok(drains > 0 && counts.ok > 0);
  const report = (await load)?.stdout;
  if (report === undefined) t.diagnostic('wrk is not installed: only the clients of Node were tried');
  else assert.doesNotMatch(report, /Socket errors|Non-2xx/, report);
  t.diagnostic(
    `${drains} drains, ${counts.ok} requests by Node; ${report?.match(/\d+ requests/)?.[0]} by wrk`,
  );
});
