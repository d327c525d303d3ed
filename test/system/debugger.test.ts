/** --inspect: each worker has a debugger's port of its own, and while a debugger is attached its silence does not count. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { connect, createServer } from 'node:net';
import { describe, test } from 'node:test';
import { WebSocket } from 'ws';
import { byLsof, isDebuggerAttached } from '../../src/actors/debugger-attached.ts';
import { eventually, fixture, type Server, serve } from './harness.ts';

/** So many ports in a row that nobody has. */
async function freePorts(count: number): Promise<number> {
  return await eventually('there are free ports', async () => {
    const first = 20_000 + Math.floor(Math.random() * 10_000);
    for (let port = first; port < first + count; port++) if (!(await isFree(port))) return undefined;
    return first;
  });
}

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });

const targetOf = async (port: number): Promise<string> => {
  const [target] = (await (await fetch(`http://127.0.0.1:${port}/json/list`)).json()) as {
    webSocketDebuggerUrl: string;
  }[];
  return target!.webSocketDebuggerUrl;
};

/** Attaches to a port and pauses what runs there. */
async function pause(port: number): Promise<WebSocket> {
  const socket = new WebSocket(await targetOf(port));
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
  const paused = new Promise<void>((resolve) => {
    socket.on('message', (text) => {
      if (JSON.parse(String(text)).method === 'Debugger.paused') resolve();
    });
  });
  ['Debugger.enable', 'Debugger.pause'].map((method, id) => socket.send(JSON.stringify({ id, method })));
  await paused;
  return socket;
}

const listening = (server: Server, port: number, from = 0): Promise<unknown> =>
  server.told(new RegExp(`debugger listening on ws://127\\.0\\.0\\.1:${port}/`), from);

describe('--inspect', { concurrency: 2 }, () => {
  test('gives each worker a port by its slot, also after a reload and a death', async (t) => {
    const first = await freePorts(2);
    const server = await serve(t, fixture('app.mjs'), ['-w', '2', '--inspect', String(first)]);
    await server.settled(2);
    for (const port of [first, first + 1]) await listening(server, port);
    assert.notEqual(await targetOf(first), await targetOf(first + 1));
    const from = server.mark();
    assert.match((await server.reload()).msg, /^reload done/);
    for (const port of [first, first + 1]) await listening(server, port, from);
    const victim = server.ready().find(({ slot }) => slot === 1)!;
    const before = await targetOf(first + 1);
    process.kill(victim.pid, 'SIGKILL');
    await eventually('its successor has the port', async () => {
      const now = await targetOf(first + 1).catch(() => before);
      return now !== before;
    });
    assert.deepEqual(server.all(/failed|code 12/), []);
  });

  test('a debugger that pauses a worker suspends its limit of silence, which counts again when it has gone', async (t) => {
    const port = await freePorts(1);
    const server = await serve(t, fixture('app.mjs'), ['-t', '1', '--inspect', `127.0.0.1:${port}`]);
    await listening(server, port);
    const { pid } = server.workers()[0]!;
    const socket = await pause(port);
    assert.equal(await isDebuggerAttached(pid, port), true);
    assert.equal(await isDebuggerAttached(pid, port + 1), false);
    assert.equal(await isDebuggerAttached(server.pid, port), false);
    await server.told(/worker 1 is silent and a debugger is attached to it: --timeout does not count/);
    socket.terminate();
    // It goes on, and answers.
    assert.equal((await server.get('/')).status, 200);
    assert.equal(server.workers()[0]!.pid, pid);
    assert.equal(await isDebuggerAttached(pid, port), false);
    server.get('/spin').catch(() => {});
    await server.told(/worker 1 .* was silent for .*: sent SIGABRT/);
  });

  test('a port that somebody else has is waited for, and the worker serves all the same', async (t) => {
    const port = await freePorts(1);
    const holder = createServer().listen(port, '127.0.0.1');
    t.after(() => holder.close());
    const server = await serve(t, fixture('app.mjs'), ['--inspect', String(port)]);
    await server.told(/the debugger's port 127\.0\.0\.1:\d+ is in use/);
    assert.equal((await server.get('/')).status, 200);
    holder.close();
    await listening(server, port);
  });

  test('is off by default, whatever Node.js itself was told', async (t) => {
    const server = await serve(t, fixture('app.mjs'));
    const { pid } = server.workers()[0]!;
    process.kill(pid, 'SIGUSR1');
    assert.equal((await server.get('/')).status, 200);
    assert.doesNotMatch(server.output, /Debugger listening/);
  });
});

const needsLsof = spawnSync('lsof', ['-v']).error ? 'lsof is not installed' : false;

test('where there is no /proc, lsof says whether one is attached', { skip: needsLsof }, async (t) => {
  const server = createServer().listen(0, '127.0.0.1');
  t.after(() => server.close());
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  assert.equal(await byLsof(process.pid, port), false);
  const socket = connect(port, '127.0.0.1');
  t.after(() => socket.destroy());
  await new Promise((resolve) => socket.once('connect', resolve));
  assert.equal(await byLsof(process.pid, port), true);
});
