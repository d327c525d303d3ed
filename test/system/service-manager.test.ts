/** A server that systemd has started: it takes over sockets that are given open, and tells how it is. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { bindTcpHandle, bindUnixHandle } from '../../src/actors/socket-handle.ts';
import { launch, needsProc, Site, serve } from './harness.ts';
import { Manager } from './notified.ts';

const skip = needsProc;
/** As systemd does it: the variable names the process that runs the program. */
const ACTIVATED = ['sh', '-c', 'LISTEN_PID=$$ exec "$0" "$@"'];

test('ready, reloading, ready again, stopping, with signs of life in between', { skip }, async (t) => {
  const site = new Site(t);
  const app = site.deploy('one');
  const socket = site.path('notify');
  const manager = await Manager.listen(t, socket);
  const env = { NOTIFY_SOCKET: socket, WATCHDOG_USEC: '300000' };
  const server = await serve(t, app, ['-w', '2'], { env });
  const [, ...ready] = await manager.heard('READY=1');
  assert.match(ready.join(), /^STATUS=\d of 2 workers are ready$/);
  await manager.heard('WATCHDOG=1', 2);
  await server.settled(2);
  assert.match((await server.reload()).msg, /done/);
  await manager.heard('READY=1', 2);
  const [, clock] = await manager.heard('RELOADING=1');
  assert.match(clock ?? '', /^MONOTONIC_USEC=\d+$/);
  site.write('app.mjs', 'throw new Error("broken");');
  assert.match((await server.reload()).msg, /failed/);
  const [, failed] = await manager.heard('READY=1', 3);
  assert.match(failed ?? '', /workers are ready; the reload failed: .*broken/);
  assert.equal(await server.stop(), 0);
  await manager.heard('STOPPING=1');
  assert.deepEqual(manager.said, [
    'READY=1',
    'RELOADING=1',
    'READY=1',
    'RELOADING=1',
    'READY=1',
    'STOPPING=1',
  ]);
});

test('where nobody listens the server serves, and says once that nobody is told', { skip }, async (t) => {
  const app = new Site(t).deploy('one');
  const env = { NOTIFY_SOCKET: '/nowhere/notify', WATCHDOG_USEC: '20000' };
  const server = await serve(t, app, [], { env });
  await server.told(/^the service manager is told nothing: /);
  assert.equal((await server.get()).status, 200);
  assert.equal(await server.stop(), 0);
  assert.equal(server.all(/service manager/).length, 1);
});

test('a watchdog of another process is not answered', { skip }, async (t) => {
  const site = new Site(t);
  const app = site.deploy('one');
  const manager = await Manager.listen(t, site.path('notify'));
  const env = { NOTIFY_SOCKET: site.path('notify'), WATCHDOG_USEC: '2000', WATCHDOG_PID: '1' };
  const server = await serve(t, app, [], { env });
  await manager.heard('READY=1');
  assert.equal(await server.stop(), 0);
  await manager.heard('STOPPING=1');
  assert.deepEqual(
    manager.messages.map(([first]) => first),
    ['READY=1', 'STOPPING=1'],
  );
});

/** Bound in the test, as in a service manager, and not accepted on. */
function opened(t: TestContext, path?: string) {
  const { handle, name } =
    path === undefined ? bindTcpHandle('127.0.0.1', 0) : { handle: bindUnixHandle(path), name: undefined };
  t.after(() => handle.close());
  return { fd: handle.fd, port: name?.port ?? 0 };
}

test('sockets that are given open take the place of -b, over reloads, and are not ours to remove', {
  skip,
}, async (t) => {
  const site = new Site(t);
  const app = site.deploy('one');
  const path = site.path('app.sock');
  const [tcp, unix] = [opened(t), opened(t, path)];
  const env = { LISTEN_FDS: '2', LISTEN_FDNAMES: 'http:local' };
  const options = { env, strays: { 3: tcp.fd, 4: unix.fd }, through: ACTIVATED };
  const server = await serve(t, app, ['-b', '127.0.0.1:0'], options);
  await server.told(/^socket activation: 2 sockets taken over \(http, local\)$/);
  await server.told(/^--bind is not used: /);
  assert.deepEqual(server.addresses, [`127.0.0.1:${tcp.port}`, `unix:${path}`]);
  assert.equal((await server.get('/', { port: tcp.port })).status, 200);
  assert.equal((await server.get('/', { socketPath: path })).status, 200);
  site.deploy('two');
  assert.match((await server.reload()).msg, /done/);
  assert.equal((await server.get('/', { socketPath: path })).json().version, 'two');
  assert.equal(await server.stop(), 0);
  assert.equal(server.all(/is not used/).length, 1);
  assert.ok(existsSync(path), 'the path is there');
  // Whoever is started next finds the socket as it was.
  const next = await serve(t, app, [], { ...options, bind: false });
  assert.equal((await next.get('/', { port: tcp.port })).status, 200);
});

test('sockets that are meant for another process are left alone', { skip }, async (t) => {
  const app = new Site(t).deploy('one');
  const { fd, port } = opened(t);
  const server = await serve(t, app, [], { env: { LISTEN_FDS: '1', LISTEN_PID: '1' }, strays: { 3: fd } });
  assert.notEqual(server.port, port);
});

test('what is no number of sockets, and no socket, is one line', { skip }, async (t) => {
  const app = new Site(t).deploy('one');
  for (const [count, code, text] of [
    ['many', 2, /^kirin: LISTEN_FDS must be a whole number of at most 256, not "many"$/m],
    ['1', 1, /cannot bind fd:\/\/3: /],
  ] as const) {
    const server = launch(t, app, [], { env: { LISTEN_FDS: count }, through: ACTIVATED, plain: true });
    assert.equal((await server.exit()).code, code);
    assert.match(server.output, text);
  }
});
