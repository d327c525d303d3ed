/** Connections that are all with one worker are spread, without a request that fails. */
import assert from 'node:assert/strict';
import http from 'node:http';
import { test } from 'node:test';
import { controlled } from './controlled.ts';
import { eventually } from './harness.ts';

const CLIENTS = 30;

interface Clients {
  asked(): number;
  readonly failed: string[];
  stop(): Promise<void>;
}

/** Each asks again as soon as it is answered, on a connection of its own that it keeps. */
function clients(port: number): Clients {
  const agent = new http.Agent({ keepAlive: true, maxSockets: CLIENTS });
  const failed: string[] = [];
  let asked = 0;
  let isOver = false;
  const ask = (): Promise<void> =>
    new Promise((resolve) => {
      const request = http.get({ port, host: '127.0.0.1', agent }, (response) => {
        asked++;
        if (response.statusCode !== 200) failed.push(`${response.statusCode}`);
        response.resume().on('close', resolve);
      });
      request.on('error', (error) => {
        failed.push(error.message);
        resolve();
      });
    });
  const running = Array.from({ length: CLIENTS }, async () => {
    while (!isOver) await ask();
  });
  return {
    asked: () => asked,
    failed,
    async stop() {
      isOver = true;
      await Promise.all(running);
      agent.destroy();
    },
  };
}

const connectionsOf = async (ask: (command: string) => Promise<{ workers: { connections: number }[] }>) =>
  (await ask('show workers')).workers.map(({ connections }) => connections);

test('connections that one worker has are spread over all, and no request fails', async (t) => {
  const { server, ask } = await controlled(t, ['-w', '1']);
  const load = clients(server.port);
  t.after(() => load.stop());
  await eventually('all are connected', () => load.asked() > CLIENTS * 2);
  await ask('worker add 1 --wait');
  await eventually('none has more than 60 of 100', async () => {
    const counts = await connectionsOf(ask);
    const total = counts.reduce((sum, count) => sum + count, 0);
    return total >= CLIENTS * 0.8 && Math.max(...counts) <= total * 0.6;
  });
  await load.stop();
  assert.deepEqual(load.failed, []);
});

test('with --no-balance they stay where they are', async (t) => {
  const { server, ask } = await controlled(t, ['-w', '1', '--no-balance']);
  const load = clients(server.port);
  t.after(() => load.stop());
  await eventually('all are connected', () => load.asked() > CLIENTS * 2);
  await ask('worker add 1 --wait');
  const { age } = server.workers().at(-1)!;
  // Longer than it takes to notice: so many heartbeats with figures have come from the new worker.
  await eventually('the new worker was looked at several times', async () => {
    const { workers } = await ask('show workers');
    return workers.find((one: { age: number; uptime: number }) => one.age === age).uptime > 6;
  });
  assert.deepEqual((await connectionsOf(ask)).map((count) => count > 0).sort(), [false, true]);
  await load.stop();
});
