/** Sockets that are bound and do not listen, whichever way this version of Node.js has to make them. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { bindTcpHandle, bindUnixHandle, openHandle, SocketError } from '../../src/actors/socket-handle.ts';

/** What is collected as garbage closes its descriptor. */
const keptUntilTheEnd: unknown[] = [];

const refused = (port: number): Promise<string | undefined> =>
  new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => resolve(undefined));
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code));
  });

test('the public way is taken where there is one', (t) => {
  const Public = (net as { BoundSocket?: unknown }).BoundSocket;
  const { handle } = bindTcpHandle('127.0.0.1', 0);
  t.after(() => handle.close());
  // A handle of Node's own has more than what is used of it.
  assert.equal('getsockname' in handle, Public === undefined);
});

test('a port is taken, and nobody listens on it', async (t) => {
  const { handle, name } = bindTcpHandle('127.0.0.1', 0);
  t.after(() => handle.close());
  assert.deepEqual({ ...name, port: 0 }, { address: '127.0.0.1', family: 'IPv4', port: 0 });
  assert.ok(name.port > 0 && handle.fd > 2);
  assert.equal(await refused(name.port), 'ECONNREFUSED');
});

test('a port in use, and an address that is none of this machine, are told by their errno', async (t) => {
  const server = net.createServer().listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  assert.throws(() => bindTcpHandle('127.0.0.1', port), { code: 'EADDRINUSE' });
  assert.throws(() => bindTcpHandle('192.0.2.1', 0), { name: 'Error', code: 'EADDRNOTAVAIL' });
  assert.throws(
    () => bindTcpHandle('192.0.2.1', 0),
    (error) => error instanceof SocketError,
  );
  assert.throws(
    () => bindUnixHandle('/proc/none/a.sock'),
    (error) => error instanceof SocketError,
  );
});

test('a Unix socket is there under its name; closing twice is closing once', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'kirin-handle-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const path = join(directory, 'a.sock');
  const handle = bindUnixHandle(path);
  assert.ok(statSync(path).isSocket());
  assert.throws(() => bindUnixHandle(path), { code: 'EADDRINUSE' });
  handle.close();
  handle.close();
  assert.ok(!existsSync(path));
});

test('a descriptor is taken over, with its name', (t) => {
  const { handle, name } = bindTcpHandle('::1', 0, { ipv6Only: true });
  const opened = openHandle(handle.fd);
  // Both close the same one.
  t.after(() => handle.close());
  keptUntilTheEnd.push(opened);
  assert.deepEqual(opened.name, name);
});
