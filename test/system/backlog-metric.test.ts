/** Connections that wait to be accepted, as Prometheus and statsd see them. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { fstatSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { backlogs } from '../../src/actors/metrics/backlog.ts';
import { RawClient } from './client.ts';
import { eventually, fixture, launch, needsProc, type Server, Site, serve } from './harness.ts';

const app = fixture('app.mjs');

async function waitingIn(server: Server): Promise<Record<string, number>> {
  const port = Number(/:(\d+)$/.exec((await server.told(/^metrics at http/)).msg)![1]);
  const { text } = await server.get('/metrics', { port });
  const rows = text.matchAll(/^kirin_listen_backlog\{address="([^"]+)"\} (\d+)$/gm);
  return Object.fromEntries(Array.from(rows, ([, address, waiting]) => [address, Number(waiting)]));
}

test('tells of each TCP address how many wait', { skip: needsProc }, async (t) => {
  const collector = createSocket('udp4').bind(0, '127.0.0.1');
  await once(collector, 'listening');
  t.after(() => collector.close());
  const sent: string[] = [];
  collector.on('message', (datagram) => sent.push(...String(datagram).split('\n')));
  const site = new Site(t);
  const server = await serve(t, app, [
    '--metrics',
    '127.0.0.1:0',
    '--statsd-host',
    `127.0.0.1:${(collector.address() as AddressInfo).port}`,
    '--statsd-prefix',
    'shop',
    '--enable-backlog-metric',
    '-b',
    '127.0.0.1:0',
    '-b',
    '[::1]:0',
    '-b',
    `unix:${site.path('app.sock')}`,
  ]);
  const [worker] = await server.settled(1);
  const tcp = server.addresses.filter((address) => !address.startsWith('unix:'));
  const [four, six] = tcp.map((address) => ({ address, port: Number(/:(\d+)$/.exec(address)?.[1]) }));
  assert.deepEqual(await waitingIn(server), { [four!.address]: 0, [six!.address]: 0 });
  process.kill(worker!.pid, 'SIGSTOP');
  const clients = await Promise.all([
    ...Array.from({ length: 7 }, () => RawClient.connect(four!.port)),
    ...Array.from({ length: 3 }, () => RawClient.connect(six!.port, '::1')),
  ]);
  t.after(() => clients.forEach(({ socket }) => socket.destroy()));
  // A worker that was stopped while it waited for connections takes none.
  await eventually('all ten are seen', async () => {
    const seen = await waitingIn(server);
    return seen[four!.address] === 7 && seen[six!.address] === 3;
  });
  await eventually('statsd is told their sum', () => sent.includes('shop.gunicorn.backlog:10|ms'));
  process.kill(worker!.pid, 'SIGCONT');
  for (const client of clients) client.ask();
  await eventually('all are answered', () => clients.every(({ text }) => text.includes('"fixture"')));
  assert.deepEqual(await waitingIn(server), { [four!.address]: 0, [six!.address]: 0 });
  await eventually('statsd is told that none wait', () => sent.at(-1)?.includes('gunicorn.backlog:0|ms'));
});

test('is not told unless it is wanted, and not wanted where nobody hears it', {
  skip: needsProc,
}, async (t) => {
  const server = await serve(t, app, ['--metrics', '127.0.0.1:0']);
  assert.deepEqual(await waitingIn(server), {});
  const deaf = launch(t, app, ['--enable-backlog-metric']);
  assert.equal((await deaf.exit()).code, 2);
  assert.match(
    deaf.output,
    /^kirin: --enable-backlog-metric without anybody to tell: add --metrics or .*\n$/,
  );
});

test('a table of many rows is read as far as sockets listen; what is not there is left out', async (t) => {
  const site = new Site(t);
  const head =
    '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode';
  const row = (state: string, queue: string, inode: number) =>
    `   0: 0100007F:1F90 00000000:0000 ${state} 00000000:${queue} 00:00000000 00000000     0        0 ${inode} 1`;
  const { ino } = fstatSync(0);
  const many = Array.from({ length: 5000 }, (_, at) => row('0A', '00000001', 10_000_000_000 + at));
  const tcp = site.write('tcp', [head, ...many, row('0A', '0000001F', ino), row('01', '0', 1)].join('\n'));
  const late = site.write(
    'late',
    [head, row('01', '00000007', 1), row('0A', '00000002', ino), ''].join('\n'),
  );
  const one = { address: 'a', type: 'tcp', fd: 0 } as const;
  assert.deepEqual(await backlogs([one], { tcp, tcp6: '' }), [{ address: 'a', waiting: 31 }]);
  assert.deepEqual(await backlogs([one], { tcp: late, tcp6: '' }), []);
  assert.deepEqual(await backlogs([one], { tcp: site.path('none'), tcp6: '' }), []);
  assert.deepEqual(
    await backlogs([
      { ...one, fd: 1_000_000 },
      { ...one, type: 'unix' },
    ]),
    [],
  );
});
