/** Commands while something else is going on: each gets a true answer, and the pool ends where the last order said. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ControlClient } from './control-client.ts';
import { controlled } from './controlled.ts';
import { eventually, Site } from './harness.ts';

/** In the worker of one age, waits until a file exists. */
const waitsInWorker = (age: number, file: string): string => `import { existsSync } from 'node:fs';
  if (Number(process.env.KIRIN_WORKER_AGE) === ${age})
    while (!existsSync(${JSON.stringify(file)})) await new Promise((resolve) => setTimeout(resolve, 10));`;

describe('commands during faults', { concurrency: 2 }, () => {
  test('reload while a reload is tried: the first is superseded, the second done', async (t) => {
    const site = new Site(t);
    site.deploy('v1');
    const { server, ask, client } = await controlled(t, ['-w', '2'], { app: site.path('app.mjs') });
    await server.settled(2);
    site.deploy('v2', 'app.mjs', waitsInWorker(3, site.path('go')));
    client.request({ id: 'first', command: 'reload --wait' });
    await server.told(/worker 3 .* started/);
    site.deploy('v3');
    const second = await ask('reload --wait');
    const first = (await client.answer('first')).data;
    assert.deepEqual(
      [first.success, first.status, first.error],
      [false, 'superseded', 'Superseded by a newer order'],
    );
    assert.deepEqual([second.success, second.generation, second.remaining], [true, 3, 0]);
    await server.settled(2, 3);
    assert.equal((await server.get()).json()['version'], 'v3');
  });

  test('reload while another rolls over and the newest is broken: told, and the former goes on', async (t) => {
    const site = new Site(t);
    site.deploy('v1');
    const { server, ask, client } = await controlled(t, ['-w', '2'], { app: site.path('app.mjs') });
    await server.settled(2);
    // Worker 3 is the canary; worker 4, the second of the rollout, waits.
    site.deploy('v2', 'app.mjs', waitsInWorker(4, site.path('go')));
    client.request({ id: 'rolling', command: 'reload --wait' });
    await server.told(/worker 4 .* started/);
    assert.equal((await ask('show generations')).rollout, 'rolling');
    site.write('app.mjs', "throw new Error('newest is broken');\n");
    const newest = await ask('reload --wait');
    assert.deepEqual([newest.success, newest.status], [false, 'failed']);
    assert.match(newest.error, /newest is broken/);
    site.deploy('v2');
    site.write('go', '');
    const rolled = (await client.answer('rolling')).data;
    assert.deepEqual([rolled.success, rolled.generation], [true, 2]);
    await server.settled(2, 2);
  });

  test('worker remove while the worker it concerns boots', async (t) => {
    const site = new Site(t);
    site.deploy('v1', 'app.mjs', waitsInWorker(2, site.path('go')));
    const { server, ask, client } = await controlled(t, ['-w', '1'], { app: site.path('app.mjs') });
    client.request({ id: 'add', command: 'worker add --wait' });
    await server.told(/worker 2 .* started/);
    const { workers } = await ask('show workers');
    assert.deepEqual([workers[1].booted, ['spawned', 'booting'].includes(workers[1].state)], [false, true]);
    const removed = await ask('worker remove --wait');
    assert.deepEqual([removed.success, removed.removed, removed.total], [true, 1, 1]);
    assert.equal((await client.answer('add')).data.status, 'superseded');
    const [one] = await server.settled(1);
    assert.equal(one!.age, 1);
  });

  test('shutdown while reloading: the reload is refused, the server ends with 0', async (t) => {
    const site = new Site(t);
    site.deploy('v1');
    const { server, ask, client } = await controlled(t, ['-w', '2'], { app: site.path('app.mjs') });
    await server.settled(2);
    site.deploy('v2', 'app.mjs', waitsInWorker(3, site.path('never')));
    client.request({ id: 'reload', command: 'reload --wait' });
    await server.told(/worker 3 .* started/);
    const down = await ask('shutdown --wait');
    const reload = (await client.answer('reload')).data;
    assert.deepEqual(
      [reload.success, reload.status, reload.error],
      [false, 'refused', 'The server is stopping'],
    );
    assert.deepEqual([down.success, down.status], [true, 'done']);
    assert.equal((await server.exit()).code, 0);
  });

  test('commands while the server stops are refused with the reason; a second shutdown waits along', async (t) => {
    const { site, server, ask, client, refused } = await controlled(t, [
      '-w',
      '1',
      '--graceful-timeout',
      '60',
    ]);
    const held = server.get(`/hold?until=${site.path('go')}`);
    await server.printed(/holding/);
    await ask('shutdown');
    for (const order of ['reload', 'worker add', 'worker remove'])
      assert.equal(await refused(order), 'The server is stopping', order);
    client.request({ id: 'too', command: 'shutdown --wait' });
    assert.match((await ask('show machine arbiter')).state, /^alive\.supervising\.stopping\b/);
    site.write('go', '');
    assert.equal((await held).status, 200);
    assert.equal((await client.answer('too')).data.success, true);
    assert.equal((await server.exit()).code, 0);
  });

  test('worker kill of a pid that just died', async (t) => {
    const { server, ask } = await controlled(t, ['-w', '2']);
    const [one] = await server.settled(2);
    process.kill(one!.pid, 'SIGKILL');
    const answer = await ask(`worker kill ${one!.pid}`);
    // Whether the arbiter knew of it yet is chance; either answer is true.
    assert.ok(
      answer.success === true || answer.error === `Worker ${one!.pid} has ended already`,
      JSON.stringify(answer),
    );
    await server.until('it is replaced', () => server.ready().every(({ pid }) => pid !== one!.pid));
    await server.settled(2);
    assert.deepEqual(await ask(`worker kill ${one!.pid}`), {
      success: false,
      error: `Worker ${one!.pid} has ended already`,
    });
  });

  test('the same order from five shells at once', async (t) => {
    const { site, server, ask } = await controlled(t, ['-w', '1']);
    await server.settled(1);
    const five = await Promise.all(
      Array.from({ length: 5 }, () => ControlClient.connect(site.path('kirin.ctl'))),
    );
    t.after(() => {
      for (const client of five) client.destroy();
    });
    const all = async (command: string) => await Promise.all(five.map((client) => client.ask(command)));
    const added = (await all('worker add')).map(({ data }) => data.total).sort();
    assert.deepEqual(added, [2, 3, 4, 5, 6], 'each was told its own number');
    await server.settled(6);
    const reloads = (await all('reload --wait')).map(({ data }) => data.status).sort();
    assert.deepEqual(reloads, ['done', 'superseded', 'superseded', 'superseded', 'superseded']);
    const killed = await all(`worker kill ${server.ready()[0]!.pid}`);
    assert.deepEqual(killed.map(({ data }) => data.success).sort(), [false, false, false, false, true]);
    const removed = (await all('worker remove --wait')).map(({ data }) => data);
    assert.deepEqual(removed.map(({ total }) => total).sort(), [1, 2, 3, 4, 5]);
    assert.ok(removed.every(({ status }) => status === 'done' || status === 'superseded'));
    assert.equal((await ask('show stats')).workers_target, 1);
    await server.settled(1);
    const downs = await all('shutdown --wait');
    assert.ok(downs.every(({ data }) => data.success === true && data.status === 'done'));
    assert.equal((await server.exit()).code, 0, 'five commands are no impatience');
  });

  test('a client that is gone while its order is under way: the order goes on', async (t) => {
    const { site, server, ask } = await controlled(t, ['-w', '1']);
    const other = await ControlClient.connect(site.path('kirin.ctl'));
    other.request({ id: 1, command: 'worker add 2 --wait', stream: true });
    await other.frame('it is under way', ({ status }) => status === 'progress');
    other.destroy();
    await server.settled(3);
    await eventually('its session is gone', async () => {
      const { machines } = await ask('show machine');
      return machines.filter((one: { machine: string }) => one.machine === 'controlSession').length === 1;
    });
  });
});
