/** Workers that are taken out of rotation and put back: no client notices, and neither does the app. */
import assert from 'node:assert/strict';
import http from 'node:http';
import { describe, test } from 'node:test';
import { type Answer, ask as askServer, RawClient } from './client.ts';
import { controlled, type Data } from './controlled.ts';
import { descriptors, eventually, fixture, type Server } from './harness.ts';
import { startLoad } from './load.ts';
import { childrenOf } from './processes.ts';

const app = fixture('pausable.mjs');
/** Copies of each descriptor that a worker keeps at most. */
const COPIES = 16;

const isPaused = async (ask: (command: string) => Promise<Data>, pid: number): Promise<boolean> =>
  (await ask('show workers')).workers.find((one: Data) => one.pid === pid).paused;

const onlyWorker = async (server: Server): Promise<number> => (await server.settled(1))[0]!.pid;

/** A client with one connection that it keeps. */
function keeping(server: Server): { get(path?: string): Promise<Answer>; end(): void } {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  return { get: (path = '/') => server.get(path, { agent }), end: () => agent.destroy() };
}

describe('a worker that is paused', { concurrency: 3 }, () => {
  test('accepts nothing, is shown so, and serves who is connected; resumed it accepts again', async (t) => {
    const { server, ask } = await controlled(t, ['-w', '2']);
    const [one, other] = await server.settled(2);
    const pids = [one!.pid, other!.pid];
    // One connection with each of them.
    const clients = new Map<number, ReturnType<typeof keeping>>();
    t.after(() => clients.forEach((client) => client.end()));
    await eventually('both have a client', async () => {
      const client = keeping(server);
      const { pid } = (await client.get()).json<{ pid: number }>();
      if (clients.has(pid)) client.end();
      else clients.set(pid, client);
      return clients.size === 2;
    });
    assert.deepEqual(await ask(`worker pause ${pids[0]}`), { success: true, paused: pids[0], accepting: 1 });
    await server.told(/worker 1 .*: paused: it accepts no new connections/);
    assert.deepEqual(
      (await ask('show workers')).workers.map(({ state, paused }: Data) => [state, paused]),
      [
        ['ready', true],
        ['ready', false],
      ],
    );
    assert.equal((await ask('show all')).web_workers[0].paused, true);
    for (let asked = 0; asked < 40; asked++)
      assert.equal((await server.get()).json<{ pid: number }>().pid, pids[1]);
    const kept = await clients.get(pids[0]!)!.get();
    assert.equal(kept.json<{ pid: number }>().pid, pids[0]);
    assert.equal(kept.headers.connection, 'keep-alive');
    // Twice is no error.
    assert.deepEqual(await ask(`worker pause ${pids[0]}`), { success: true, paused: pids[0], accepting: 1 });
    assert.deepEqual(await ask(`worker resume ${pids[0]}`), {
      success: true,
      resumed: pids[0],
      accepting: 2,
    });
    assert.deepEqual(await ask(`worker resume ${pids[0]}`), {
      success: true,
      resumed: pids[0],
      accepting: 2,
    });
    await server.told(/worker 1 .*: resumed/);
    await ask(`worker pause ${pids[1]}`);
    assert.equal((await server.get()).json<{ pid: number }>().pid, pids[0]);
    assert.equal((await clients.get(pids[0]!)!.get()).json<{ pid: number }>().pid, pids[0]);
  });

  test('while all are, clients queue in the kernel and are answered when one resumes', async (t) => {
    const { server, ask, site } = await controlled(t, [
      '-w',
      '2',
      '-b',
      '127.0.0.1:0',
      '-b',
      '[::1]:0',
      '-b',
      'unix:app.sock',
    ]);
    const workers = await server.settled(2);
    for (const { pid } of workers) await ask(`worker pause ${pid}`);
    const ports = server.addresses.map((address) => Number(/:(\d+)$/.exec(address)?.[1]));
    const connected = await Promise.all(Array.from({ length: 50 }, () => RawClient.connect(ports[0]!)));
    const answers = [
      ...Array.from({ length: 20 }, () => askServer(ports[0]!, '/')),
      ...Array.from({ length: 20 }, () => askServer(ports[1]!, '/', { host: '::1' })),
      ...Array.from({ length: 20 }, () => askServer(0, '/', { socketPath: site.path('app.sock') })),
    ];
    for (const client of connected) client.ask();
    // They are really in the kernel's queue: nobody has taken one.
    const heartbeats = async () =>
      (await ask('show workers')).workers.map(({ connections, uptime }: Data) => ({ connections, uptime }));
    const [before] = await heartbeats();
    const now = await eventually('figures of later', async () => {
      const later = await heartbeats();
      return later[0].uptime > before.uptime + 1.5 ? later : undefined;
    });
    assert.deepEqual(
      now.map(({ connections }: Data) => connections),
      [0, 0],
    );
    await ask(`worker resume ${workers[1]!.pid}`);
    for (const answer of await Promise.all(answers))
      assert.equal(answer.json<{ pid: number }>().pid, workers[1]!.pid);
    await eventually('all are answered', () => connected.every(({ text }) => text.includes('"fixture"')));
    for (const client of connected) client.socket.destroy();
  });

  test('its app sees a server that listens all the time, and no channel', async (t) => {
    const { server, ask, site } = await controlled(
      t,
      ['-w', '1', '-b', '127.0.0.1:0', '-b', 'unix:app.sock'],
      { app },
    );
    const pid = await onlyWorker(server);
    const client = keeping(server);
    t.after(() => client.end());
    const before = (await client.get()).json();
    assert.deepEqual(before, {
      pid,
      seen: ['listening'],
      listening: true,
      address: { address: '127.0.0.1', family: 'IPv4', port: server.port },
      steered: ['undefined', null, null, null],
      heard: 0,
      handle: 'number',
    });
    for (let turn = 0; turn < 3; turn++) {
      await ask(`worker pause ${pid}`);
      assert.deepEqual((await client.get()).json(), before);
      await ask(`worker resume ${pid}`);
      assert.deepEqual((await client.get()).json(), before);
      assert.equal(
        (await askServer(0, '/', { socketPath: site.path('app.sock') })).json<{ pid: number }>().pid,
        pid,
      );
    }
    assert.equal((await client.get('/fork')).text, 'hello, says the child');
  });

  test('is no server that has ended when its last connection does', async (t) => {
    const { server, ask, site } = await controlled(t, ['-w', '1'], { app, env: { SEEN: 'seen.txt' } });
    const pid = await onlyWorker(server);
    const client = keeping(server);
    await client.get();
    await ask(`worker pause ${pid}`);
    client.end();
    await eventually('it has no connection', async () => {
      const [figures] = (await ask('show workers')).workers;
      return figures.connections === 0 && figures.requests > 0;
    });
    await ask(`worker resume ${pid}`);
    assert.equal((await server.get()).json<{ pid: number }>().pid, pid);
    assert.equal(site.read('seen.txt'), `${pid} listening\n`);
  });

  test('whose app closes its server is replaced, as one that is not paused', async (t) => {
    const { server, ask, site } = await controlled(t, ['-w', '1'], { app, env: { SEEN: 'seen.txt' } });
    const pid = await onlyWorker(server);
    const client = keeping(server);
    await client.get();
    await ask(`worker pause ${pid}`);
    assert.equal((await client.get('/close')).json<{ listening: boolean }>().listening, false);
    client.end();
    await server.told(/the app closed its own server/);
    await server.until('another is ready', () => server.ready()[0]?.age === 2);
    assert.match(site.read('seen.txt'), new RegExp(`^${pid} listening\n${pid} close\n`));
    assert.notEqual((await server.get()).json<{ pid: number }>().pid, pid);
  });

  test('may speak something else than HTTP', async (t) => {
    const script = fixture('../scripts/echo.js');
    const { server, ask } = await controlled(t, ['-w', '2'], { app: script });
    const workers = await server.settled(2);
    const kept = await RawClient.connect(server.port);
    kept.socket.write('one ');
    await eventually('it is echoed', () => kept.text.includes('one'));
    for (const { pid } of workers) await ask(`worker pause ${pid}`);
    kept.socket.write('two ');
    await eventually('it is echoed while paused', () => kept.text.includes('two'));
    const waiting = await RawClient.connect(server.port);
    waiting.socket.write('three');
    await ask(`worker resume ${workers[0]!.pid}`);
    await eventually('the one that waited is served', () => waiting.text.includes('three'));
    for (const { socket } of [kept, waiting]) socket.destroy();
  });

  test('drains as any other: what is in flight is answered, idle connections end, the server stops', async (t) => {
    const { server, ask, site } = await controlled(t, ['-w', '1']);
    const pid = await onlyWorker(server);
    const idle = await RawClient.connect(server.port);
    idle.ask();
    await eventually('it is answered', () => idle.text.includes('"fixture"'));
    const held = server.get(`/hold?until=${site.path('go')}`);
    await server.printed(/holding/);
    await ask(`worker pause ${pid}`);
    await ask(`worker kill ${pid}`);
    await server.until('the next one is ready', () => server.ready()[0]?.age === 2);
    await eventually('the idle one is closed', () => idle.closed);
    // Not paused, though the one in whose place it is was.
    assert.equal((await server.get()).json<{ age: number }>().age, 2);
    assert.equal((await ask('show workers')).workers.find((one: Data) => one.age === 2).paused, false);
    site.write('go', '');
    const answer = await held;
    assert.deepEqual([answer.json<{ pid: number }>().pid, answer.headers.connection], [pid, 'close']);
    await ask(`worker pause ${server.ready()[0]!.pid}`);
    assert.equal(await server.stop(), 0);
  });

  test('that is killed is replaced by one that accepts', async (t) => {
    const { server, ask } = await controlled(t, ['-w', '1']);
    const pid = await onlyWorker(server);
    await ask(`worker pause ${pid}`);
    const waiting = server.get();
    process.kill(pid, 'SIGKILL');
    assert.equal((await waiting).json<{ age: number }>().age, 2);
    const next = await server.until('its replacement is told of', () =>
      server.ready().find(({ age }) => age === 2),
    );
    assert.equal(await isPaused(ask, next.pid), false);
    assert.deepEqual(await ask(`worker resume ${pid}`), {
      success: false,
      error: `Worker ${pid} has ended already`,
    });
  });

  test('is replaced by a reload, and what comes accepts', async (t) => {
    const { server, ask } = await controlled(t, ['-w', '2']);
    const workers = await server.settled(2);
    for (const { pid } of workers) await ask(`worker pause ${pid}`);
    const waiting = server.get();
    const { msg } = await server.reload();
    assert.match(msg, /^reload done/);
    assert.equal((await waiting).status, 200);
    for (const { pid } of await server.settled(2, 2)) assert.equal(await isPaused(ask, pid), false);
  });
});

test('workers that are paused and resumed in turn, 50 times under load: no request fails, no descriptor leaks', async (t) => {
  const { server, ask } = await controlled(t, ['-w', '2', '-b', '127.0.0.1:0', '-b', '127.0.0.1:0']);
  const workers = await server.settled(2);
  const load = startLoad(t, server.port, { keepAlive: 20, fresh: 20, slow: 4, slowMs: 50 });
  await eventually('requests are answered', () => load.requests > 100);
  const settled = async (): Promise<number[]> => {
    await eventually('no process that sends copies is left', () =>
      workers.every(({ pid }) => childrenOf(pid).length === 0),
    );
    return process.platform === 'linux'
      ? [server.pid, ...workers.map(({ pid }) => pid)].map((pid) => descriptors(pid).length)
      : [];
  };
  const before = await settled();
  for (let turn = 0; turn < 50; turn++) {
    const { pid } = workers[turn % 2]!;
    assert.equal((await ask(`worker pause ${pid}`)).paused, pid);
    // Both are in every third turn.
    if (turn % 3 === 0) await ask(`worker pause ${workers[(turn + 1) % 2]!.pid}`);
    const { requests } = load;
    if (turn % 3 !== 0) await eventually('the other one answers', () => load.requests > requests + 20);
    for (const worker of workers) await ask(`worker resume ${worker.pid}`);
  }
  const { requests, failures, slowRequests } = await load.stop();
  assert.deepEqual(failures, []);
  assert.ok(requests > 500 && slowRequests > 10, `${requests} requests, ${slowRequests} slow ones`);
  assert.deepEqual(
    server.ready().map(({ age }) => age),
    [1, 2],
  );
  if (process.platform !== 'linux') return;
  // The clients have gone: what is more than before are the copies that are kept, of two listeners.
  await eventually('no more descriptors than copies', async () => {
    const after = await settled();
    return (
      after[0]! <= before[0]! &&
      after.slice(1).every((count, index) => count <= before[index + 1]! + 2 * COPIES)
    );
  });
});
