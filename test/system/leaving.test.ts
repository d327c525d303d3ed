/** Long connections and the app's own clean-up when a worker leaves. */
import assert from 'node:assert/strict';
import http from 'node:http';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import WebSocket from 'ws';
import { freePort, RawClient } from './client.ts';
import { eventually, fixture, type Server, serve } from './harness.ts';

const app = fixture('long-lived.mjs');

/** Messages and the end of one WebSocket. */
function openSocket(
  server: Server,
): Promise<{ messages: string[]; closed: () => number | undefined; socket: WebSocket }> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`ws://127.0.0.1:${server.port}/`);
    const messages: string[] = [];
    let code: number | undefined;
    socket.on('message', (data) => messages.push(String(data)));
    socket.on('close', (closeCode) => {
      code = closeCode;
    });
    socket.on('error', reject);
    socket.on('open', () => resolve({ messages, closed: () => code, socket }));
  });
}

/** An event stream, read as it comes. */
function openStream(server: Server): Promise<{ text: () => string; ended: () => boolean }> {
  return new Promise((resolve, reject) => {
    let text = '';
    let ended = false;
    const request = http.get(
      { port: server.port, host: '127.0.0.1', path: '/events', agent: false },
      (response) => {
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        for (const end of ['close', 'error'] as const)
          response.on(end, () => {
            ended = true;
          });
        resolve({ text: () => text, ended: () => ended });
      },
    );
    request.on('error', reject);
  });
}

describe('when a worker leaves', { concurrency: 3 }, () => {
  test('a WebSocket stays until the limit, while the app hears of the drain and can tell its clients', async (t) => {
    const server = await serve(t, app, ['--graceful-timeout', '1.5']);
    const { messages, closed, socket } = await openSocket(server);
    server.signal('SIGHUP');
    await server.told(/worker 1 .* is draining/);
    await eventually('the client is told', () => messages.includes('draining'));
    socket.send('still there?');
    await eventually('the draining worker answers', () => messages.includes('echo still there?'));
    await eventually('the WebSocket is cut', () => closed() !== undefined);
    await server.told(/worker 1 .* ended/);
    assert.deepEqual(server.all(/is killed|unexpectedly/), [], 'the limit leaves time for the way out');
    await server.printed(/closed 1/);
  });

  test('a WebSocket that the app closes on drain lets the worker end at once', async (t) => {
    const server = await serve(t, app, ['--graceful-timeout', '600', '--env', 'CLOSE_ON_DRAIN=1']);
    const { closed } = await openSocket(server);
    await server.stop('SIGTERM');
    await eventually('the client is closed', () => closed() === 1012);
  });

  test('an event stream goes on until the limit, and is cut there', async (t) => {
    const server = await serve(t, app, ['--graceful-timeout', '1.5']);
    const { text, ended } = await openStream(server);
    await eventually('the stream flows', () => text().includes('data: '));
    server.signal('SIGHUP');
    await server.told(/worker 1 .* is draining/);
    const sofar = text().length;
    await eventually('it still flows', () => text().length > sofar);
    await eventually('it is cut', ended);
    await server.told(/worker 1 .* ended/);
    assert.deepEqual(server.all(/is killed|unexpectedly/), []);
  });

  for (const signal of ['SIGTERM', 'SIGHUP'] as const) {
    test(`an answer whose client reads slowly arrives whole, though the idle grace is over: ${signal}`, async (t) => {
      const server = await serve(t, app, ['--graceful-timeout', '60', '--idle-grace', '0.2']);
      const [reader, idle] = await Promise.all([
        RawClient.connect(server.port),
        RawClient.connect(server.port),
      ]);
      t.after(() => reader.socket.destroy());
      let bytes = 0;
      reader.socket.setEncoding('latin1').on('data', (data: string) => {
        bytes += data.length;
      });
      reader.ask('/big');
      await eventually('the answer begins', () => bytes > 0);
      reader.socket.pause();
      idle.ask();
      await eventually('the idle connection is one', () => idle.text.includes('ok'));
      server.signal(signal);
      await eventually('the idle grace is over', () => idle.closed);
      reader.socket.resume();
      await eventually('the answer is complete', () => reader.closed);
      assert.equal(bytes - reader.text.indexOf('\r\n\r\n') - 4, 40_000_000);
      await server.told(/worker 1 .* ended/);
    });
  }

  test('the clean-up runs after the last answer: onClose, then the SIGTERM listener of the app', async (t) => {
    const server = await serve(t, app, ['--graceful-timeout', '10']);
    const slow = server.get('/slow');
    await server.printed(/slow begins/);
    server.signal('SIGTERM');
    assert.equal((await slow).text, 'slow answer');
    assert.deepEqual(await server.exit(), { code: 0, signal: null });
    const order = server.output.split('\n').filter((line) => /^(slow|draining|closed|terminated)/.test(line));
    assert.deepEqual(order, ['slow begins', 'draining 1', 'slow ends', 'closed 1', 'terminated 1']);
  });

  test('a clean-up that never ends is not waited for beyond the grace', async (t) => {
    const server = await serve(t, app, ['--graceful-timeout', '1', '--env', 'CLOSE_FOREVER=1']);
    assert.equal(await server.stop('SIGTERM'), 0);
    assert.equal(server.all(/worker 1 .* ended/).length, 1);
    assert.equal(
      server.all(/an onClose callback did not finish within the time left/).length,
      1,
      server.tail(),
    );
  });

  test('a port that one worker at a time can have stops no reload, and goes over to the next worker', async (t) => {
    const port = await freePort();
    const script = join(import.meta.dirname, '../fixtures/apps/two-ports.cjs');
    const server = await serve(t, script, ['-w', '2', '--env', `METRICS_PORT=${port}`]);
    await server.settled(2);
    const first = (await server.get('/', { port })).text;
    assert.match((await server.reload()).msg, /^reload done/);
    await server.settled(2);
    assert.equal((await server.get()).text, 'site');
    await server.until('the next worker has it', async () => {
      const answer = await server.get('/', { port }).catch(() => undefined);
      return answer && answer.text !== first;
    });
    assert.deepEqual(server.all(/unexpectedly|could not boot/), []);
  });

  test('a second signal cuts a WebSocket at once', async (t) => {
    const server = await serve(t, app, ['--graceful-timeout', '600']);
    const { closed } = await openSocket(server);
    server.signal('SIGTERM');
    await server.told(/is draining/);
    await server.hasten();
    assert.equal((await server.exit()).code, 143);
    await eventually('it is cut', () => closed() !== undefined);
  });
});
