/** Workers that have no room: what is beyond their number goes to others or waits, and is never refused or reset. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ask as askServer, freePort, RawClient } from './client.ts';
import { controlled, type Data } from './controlled.ts';
import { eventually, fixture, launch, type Server, Site, serve } from './harness.ts';
import { startLoad } from './load.ts';

const app = fixture('crowded.mjs');

/** Clients that are connected and have asked once; they keep their connections. */
async function holding(server: Server, count: number): Promise<RawClient[]> {
  const clients = await Promise.all(Array.from({ length: count }, () => RawClient.connect(server.port)));
  for (const client of clients) client.ask();
  return clients;
}

const isAnswered = ({ text }: RawClient): boolean => text.includes('"pid"');
const pidOf = ({ text }: RawClient): number => Number(/"pid":(\d+)/.exec(text)?.[1]);
const answered = (clients: readonly RawClient[], count = clients.length) =>
  eventually(`${count} are answered`, () => clients.filter(isAnswered).length === count);
const endAll = (clients: readonly RawClient[]): void => {
  for (const { socket } of clients) socket.destroy();
};

const loads = async (ask: (command: string) => Promise<Data>): Promise<[number, boolean][]> =>
  (await ask('show workers')).workers.map(({ connections, full }: Data) => [connections, full]);

describe('--worker-connections', { concurrency: 3 }, () => {
  test('ten connections fill two workers of five; an eleventh waits until one has closed', async (t) => {
    const limits = ['-w', '2', '--worker-connections', '5', '--metrics', '127.0.0.1:0'];
    const { server, ask } = await controlled(t, limits, { app });
    await server.settled(2);
    const clients = await holding(server, 10);
    t.after(() => endAll(clients));
    await answered(clients);
    const share = new Map<number, number>();
    for (const client of clients) share.set(pidOf(client), (share.get(pidOf(client)) ?? 0) + 1);
    assert.deepEqual([...share.values()], [5, 5]);
    const [eleventh] = await holding(server, 1);
    t.after(() => endAll([eleventh!]));
    await eventually('both are shown as full', async () => {
      const seen = await loads(ask);
      return seen.every(([connections, full]) => connections === 5 && full) && seen.length === 2;
    });
    const port = Number(/:(\d+)$/.exec((await server.told(/^metrics at http/)).msg)?.[1]);
    const { text } = await server.get('/metrics', { port });
    assert.equal(text.match(/^kirin_worker_full\{.*\} 1$/gm)?.length, 2);
    assert.equal(eleventh!.text, '');
    assert.equal(
      server.all(/full: it has as many connections as it may \(5\), and accepts no more/).length,
      2,
    );
    const [first] = clients;
    first!.socket.destroy();
    await answered([eleventh!]);
    assert.equal(pidOf(eleventh!), pidOf(first!));
    // Those that are connected were served on all the while.
    for (const client of clients.slice(1)) {
      client.text = '';
      client.ask();
    }
    await answered(clients.slice(1));
    assert.ok(clients.slice(1).every(({ closed }) => !closed));
  });

  test('a reload takes those that wait, and full workers leave as others do', async (t) => {
    const { server } = await controlled(t, ['-w', '2', '--worker-connections', '5'], { app });
    await server.settled(2);
    const clients = await holding(server, 10);
    await answered(clients);
    const waiting = await holding(server, 8);
    t.after(() => endAll([...clients, ...waiting]));
    const { msg } = await server.reload();
    assert.match(msg, /^reload done/);
    await answered(waiting);
    await eventually('idle connections of the old ones end', () => clients.every(({ closed }) => closed));
    const ready = await server.settled(2, 2);
    assert.ok(waiting.every((client) => ready.some(({ pid }) => pid === pidOf(client))));
    endAll(waiting);
    assert.equal(await server.stop(), 0);
  });

  test('a reload changes it, and ends it', async (t) => {
    const site = new Site(t);
    const config = site.write('kirin.config.json', '{"worker_connections": 3}');
    const server = await serve(t, app, ['-w', '1', '-c', config]);
    await server.settled(1);
    const clients = await holding(server, 5);
    t.after(() => endAll(clients));
    await answered(clients, 3);
    site.write('kirin.config.json', '{"worker_connections": 1}');
    await server.reload();
    await server.settled(1, 2);
    await answered(clients, 4);
    site.write('kirin.config.json', '{}');
    await server.reload();
    await server.settled(1, 3);
    await answered(clients);
  });

  test('a burst on several addresses is taken bit by bit, never more at once', async (t) => {
    const { server, site } = await controlled(
      t,
      ['-w', '1', '--worker-connections', '4', '-b', '127.0.0.1:0', '-b', '[::1]:0', '-b', 'unix:app.sock'],
      { app },
    );
    await server.settled(1);
    const ports = server.addresses.map((address) => Number(/:(\d+)$/.exec(address)?.[1]));
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, at) =>
        at % 3 === 2
          ? askServer(0, '/soon', { socketPath: site.path('app.sock') })
          : askServer(ports[at % 3]!, '/soon', { host: at % 3 === 1 ? '::1' : '127.0.0.1' }),
      ),
    );
    assert.equal(Math.max(...answers.map((answer) => answer.json<{ most: number }>().most)), 4);
  });

  test('of one that an operator has paused room is not enough, and order not of one that is full', async (t) => {
    const { server, ask } = await controlled(t, ['-w', '1', '--worker-connections', '2'], { app });
    const [{ pid } = { pid: 0 }] = await server.settled(1);
    const clients = await holding(server, 4);
    t.after(() => endAll(clients));
    await answered(clients, 2);
    assert.equal((await ask(`worker pause ${pid}`)).paused, pid);
    endAll(clients.filter(isAnswered));
    await eventually('it has room', async () => {
      const [[connections, full] = [1, true]] = await loads(ask);
      return connections === 0 && !full;
    });
    assert.equal(clients.filter(isAnswered).length, 2);
    assert.equal((await ask(`worker resume ${pid}`)).resumed, pid);
    await answered(clients);
    const more = await holding(server, 1);
    t.after(() => endAll(more));
    assert.equal((await ask(`worker pause ${pid}`)).paused, pid);
    assert.equal((await ask(`worker resume ${pid}`)).resumed, pid);
    assert.equal((await ask('show workers')).workers[0].paused, false);
    assert.equal(more[0]!.text, '');
    endAll(clients);
    await answered(more);
  });

  test('a script that listens by itself takes no more than fit of those who wait already', async (t) => {
    const site = new Site(t);
    const port = await freePort();
    const script = site.write(
      'script.mjs',
      `import { existsSync } from 'node:fs';
      import { setTimeout } from 'node:timers/promises';
      import server from ${JSON.stringify(app)};
      while (!existsSync('go')) await setTimeout(5);
      server.listen(3000);
      await new Promise(() => {});`,
    );
    const server = launch(t, script, ['-b', `127.0.0.1:${port}`, '--worker-connections', '3'], {
      cwd: site.directory,
    });
    const first = await eventually('clients can queue', () => RawClient.connect(port).catch(() => undefined));
    const clients = [
      first.ask(),
      ...(await Promise.all(Array.from({ length: 9 }, () => RawClient.connect(port)))),
    ];
    t.after(() => endAll(clients));
    for (const client of clients.slice(1)) client.ask();
    site.write('go', '');
    // Each that leaves makes room for one.
    for (const fits of [3, 4, 5, 6, 7, 8, 9]) {
      await answered(clients, fits);
      clients.find((client) => isAnswered(client) && !client.socket.destroyed)!.socket.destroy();
    }
    await answered(clients);
    assert.deepEqual(
      clients.map(({ text }) => Number(/"most":(\d+)/.exec(text)?.[1])).filter((most) => most > 3),
      [],
    );
    await server.settled(1);
  });

  test('a killed one that was full is replaced, and who waits is served', async (t) => {
    const { server } = await controlled(t, ['-w', '1', '--worker-connections', '2'], { app });
    const [{ pid } = { pid: 0 }] = await server.settled(1);
    const clients = await holding(server, 4);
    t.after(() => endAll(clients));
    await answered(clients, 2);
    process.kill(pid, 'SIGKILL');
    await answered(clients);
  });

  test('many short connections lose nothing though workers fill again and again, and are replaced meanwhile', async (t) => {
    const { server } = await controlled(t, ['-w', '2', '--worker-connections', '3'], { app });
    await server.settled(2);
    const load = startLoad(t, server.port, { keepAlive: 2, fresh: 20, slow: 0, slowMs: 50 });
    // More often than there are copies, so that new ones are fetched.
    await eventually('hundreds are answered', () => load.requests > 300);
    await server.reload();
    await server.settled(2, 2);
    const { requests } = load;
    await eventually('hundreds more are answered', () => load.requests > requests + 300);
    const { failures } = await load.stop();
    assert.deepEqual(failures, []);
    assert.equal((await server.get()).json<{ most: number }>().most, 3);
    assert.deepEqual(
      server.ready().map(({ age }) => age),
      [3, 4],
    );
  });
});
