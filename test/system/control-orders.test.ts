/** Commands that change something: what they answer at once, what with --wait, and what they refuse. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ControlClient } from './control-client.ts';
import { controlled } from './controlled.ts';
import { launch, Site } from './harness.ts';

describe('orders', { concurrency: 2 }, () => {
  test('worker add and remove answer at once with exactly their fields', async (t) => {
    const { server, ask } = await controlled(t, ['-w', '2']);
    assert.deepEqual(Object.entries(await ask('worker add')), [
      ['added', 1],
      ['previous', 2],
      ['total', 3],
    ]);
    assert.deepEqual(await ask('WORKER Add 2'), { added: 2, previous: 3, total: 5 });
    await server.settled(5);
    assert.deepEqual(Object.entries(await ask('worker remove 3')), [
      ['removed', 3],
      ['previous', 5],
      ['total', 2],
    ]);
    await server.settled(2);
    assert.ok(server.all(/^the number of workers goes from 5 to 2$/).length > 0, 'logged');
  });

  test('beyond the bounds what fits is done, with the reason', async (t) => {
    const { server, ask } = await controlled(t, ['-w', '2', '--workers-max', '4']);
    assert.deepEqual(await ask('worker add 9'), {
      added: 2,
      previous: 2,
      total: 4,
      reason: 'the most allowed is 4 workers (--workers-max)',
    });
    assert.deepEqual(await ask('worker add'), {
      added: 0,
      previous: 4,
      total: 4,
      reason: 'there are 4 workers, the most allowed is 4 (--workers-max)',
    });
    const from = server.mark();
    server.signal('SIGTTIN');
    await server.told(/scale refused: there are 4 workers, the most allowed is 4/, from);
    assert.deepEqual(await ask('worker remove 9'), {
      removed: 3,
      previous: 4,
      total: 1,
      reason: 'there must be at least 1 worker',
    });
    assert.deepEqual(await ask('worker remove'), {
      removed: 0,
      previous: 1,
      total: 1,
      reason: 'there is one worker; there must be at least 1',
    });
    await server.settled(1);
  });

  for (const number of ['0', '-3', '1.5', '10^9', '1000000000', '1e3', 'two', '""', '0x2', '+1'])
    test(`worker add ${number} is refused with what is right`, async (t) => {
      const { refused, ask } = await controlled(t, ['-w', '1']);
      for (const action of ['add', 'remove'])
        assert.equal(
          await refused(`worker ${action} ${number}`),
          `Invalid number of workers: ${number.replaceAll('"', '')} (write a whole number from 1 to 1024)`,
        );
      assert.equal((await ask('show stats')).workers_target, 1);
    });

  test('worker add and remove with --wait answer when it is done', async (t) => {
    const { client, ask } = await controlled(t, ['-w', '1']);
    const added = await ask('worker add 2 --wait');
    assert.deepEqual(Object.keys(added), ['success', 'status', 'added', 'previous', 'total', 'duration_ms']);
    assert.deepEqual([added.success, added.status, added.added, added.total], [true, 'done', 2, 3]);
    // Asked of the server itself: lines of the log come by another way, and may come later.
    const { workers } = await ask('show workers');
    assert.deepEqual(
      workers.map(({ booted }: { booted: boolean }) => booted),
      [true, true, true],
    );
    const removed = await client.ask('worker remove 2 --wait', { stream: true });
    assert.deepEqual([removed.data.removed, removed.data.total], [2, 1]);
    assert.equal((await ask('show workers')).count, 1, 'those removed are gone');
    assert.ok(removed.progress.length > 0);
    for (const { step, done, total } of removed.progress) {
      assert.equal(typeof step, 'string');
      assert.ok(done >= 0 && done <= total, `${done} of ${total}`);
    }
    assert.deepEqual(removed.progress.at(-1).total, 2);
  });

  test('worker add --wait of workers that do not boot answers failed with the error', async (t) => {
    const site = new Site(t);
    site.deploy('v1', 'app.mjs', "if (process.env.KIRIN_WORKER_AGE > 1) throw new Error('no room');");
    const { server, ask } = await controlled(t, ['-w', '1'], { app: site.path('app.mjs') });
    const end = await ask('worker add --wait');
    assert.deepEqual([end.success, end.status, end.added], [false, 'failed', 1]);
    assert.match(end.error, /no room/);
    assert.match(end.stack, /app\.mjs:\d+/);
    assert.deepEqual(await ask('worker remove --wait').then(({ status }) => status), 'done');
    await server.settled(1);
  });

  test('worker add --wait waits for no stranger that leaves', async (t) => {
    const { site, server, ask, client } = await controlled(t, ['-w', '2', '--graceful-timeout', '60']);
    await server.settled(2);
    const held = server.get(`/hold?until=${site.path('go')}`);
    await server.printed(/holding/);
    await ask('worker remove');
    client.request({ id: 'again', command: 'worker remove --wait' });
    assert.equal((await ask('worker add --wait')).status, 'done');
    site.write('go', '');
    await held;
  });

  test('worker remove --wait is answered also when the server stops meanwhile', async (t) => {
    const { site, server, client } = await controlled(t, ['-w', '2', '--graceful-timeout', '60']);
    await server.settled(2);
    const held = Promise.all([1, 2].map(() => server.get(`/hold?until=${site.path('go')}`)));
    await server.until('both hold', () => server.output.split('holding').length === 3);
    client.request({ id: 'remove', command: 'worker remove --wait' });
    await server.told(/is draining/);
    server.signal('SIGTERM');
    await server.told(/SIGTERM: graceful shutdown/);
    site.write('go', '');
    await held;
    assert.deepEqual([(await client.answer('remove')).data.status, (await server.exit()).code], ['done', 0]);
  });

  test('worker kill: graceful, and the worker is replaced', async (t) => {
    const { server, ask } = await controlled(t, ['-w', '2']);
    const [one, two] = await server.settled(2);
    const held = server.get(`/slow?ms=300`);
    await server.until('a worker answers', async () =>
      (await ask('show stats')).workers_current === 2 ? true : undefined,
    );
    assert.deepEqual(Object.entries(await ask(`worker kill ${one!.pid}`)), [
      ['success', true],
      ['killed', one!.pid],
    ]);
    assert.equal((await held).status, 200);
    await server.until('it is replaced', () => server.ready().length === 2 && server.workers().length === 2);
    assert.deepEqual(
      server.ready().map(({ pid }) => pid === two!.pid),
      [true, false],
    );
  });

  test('worker kill quick cuts what a draining worker still holds', async (t) => {
    const { site, server, ask } = await controlled(t, ['-w', '1', '--graceful-timeout', '60']);
    const [one] = await server.settled(1);
    const cut = assert.rejects(server.get(`/hold?until=${site.path('never')}`));
    await server.printed(/holding/);
    assert.equal((await ask(`worker kill ${one!.pid}`)).success, true);
    assert.deepEqual(await ask(`worker kill ${one!.pid}`), {
      success: false,
      error: `Worker ${one!.pid} is leaving already`,
    });
    assert.deepEqual(await ask(`worker kill ${one!.pid} quick`), { success: true, killed: one!.pid });
    await cut;
    await server.told(/^worker 1 \(pid \d+\) ended/);
    assert.deepEqual(await ask(`worker kill ${one!.pid}`), {
      success: false,
      error: `Worker ${one!.pid} has ended already`,
    });
    await server.settled(1);
  });

  test('worker kill of what is no worker', async (t) => {
    const { server, ask, refused } = await controlled(t, ['-w', '1']);
    assert.deepEqual(await ask('worker kill 1'), { success: false, error: 'Worker 1 not found' });
    assert.equal((await ask(`worker kill ${server.pid}`)).success, false);
    assert.equal(await refused('worker kill'), 'Missing PID for worker kill');
    for (const pid of ['0', '-1', 'all', '1.5', '99999999999'])
      assert.match(
        await refused(`worker kill ${pid}`),
        /^Invalid PID: .* \(write the number that "show all"/,
      );
    assert.match(await refused('worker kill 1 slow'), /^Unexpected argument: slow \(usage: worker kill PID/);
    assert.equal(server.ready().length, 1);
  });

  test('dirty orders, while there is no dirty arbiter', async (t) => {
    const { ask, refused } = await controlled(t, ['-w', '1']);
    const off = { success: false, error: 'Dirty arbiter not running' };
    for (const order of ['dirty add', 'dirty remove 2', 'dirty add 3 --wait'])
      assert.deepEqual(await ask(order), off);
    assert.match(await refused('dirty add 0'), /^Invalid number of workers: 0/);
  });

  test('reload at once, and with --wait and its steps', async (t) => {
    const { site, server, client, ask } = await controlled(t, ['-w', '2']);
    await server.settled(2);
    const from = server.mark();
    assert.deepEqual(await ask('reload'), { status: 'reloading' });
    await server.told(/^reload done/, from);
    const { data, progress } = await client.ask('reload --wait', { stream: true });
    assert.deepEqual(Object.keys(data), [
      'success',
      'status',
      'generation',
      'replaced',
      'remaining',
      'leaving',
      'duration_ms',
    ]);
    assert.deepEqual([data.success, data.status, data.generation], [true, 'done', 3]);
    assert.deepEqual([data.replaced, data.remaining], [2, 0]);
    assert.ok(progress.some(({ step }) => step === 'trying generation 3'));
    assert.ok(progress.some(({ done, total }) => done === 1 && total === 2));
    const silent = await client.ask('reload --wait');
    assert.deepEqual([silent.data.generation, silent.progress], [4, []]);
    assert.equal((await ControlClient.once(site.path('kirin.ctl'), 'show stats')).data.reloads, 3);
  });

  test('reload --wait of broken code tells its error, and nothing changes', async (t) => {
    const site = new Site(t);
    site.deploy('v1');
    const { server, ask } = await controlled(t, ['-w', '2'], { app: site.path('app.mjs') });
    await server.settled(2);
    site.write('app.mjs', "throw new Error('broken by the deploy');\n");
    const end = await ask('reload --wait');
    assert.deepEqual(
      [end.success, end.status, end.generation, end.replaced, end.remaining],
      [false, 'failed', 2, 0, 2],
    );
    assert.match(end.error, /broken by the deploy/);
    assert.match(end.stack, /app\.mjs:1/);
    assert.equal((await server.get()).json()['version'], 'v1');
  });

  test('the steps of an order are its own', async (t) => {
    const site = new Site(t);
    site.deploy(
      'v1',
      'app.mjs',
      `import { existsSync } from 'node:fs';
       if (process.env.KIRIN_WORKER_AGE > 1)
         while (!existsSync(process.env.KIRIN_WORKER_AGE)) await new Promise((resolve) => setTimeout(resolve, 10));`,
    );
    const { server, client, ask } = await controlled(t, ['-w', '1', '--chdir', site.directory], {
      app: site.path('app.mjs'),
    });
    await ask('worker add');
    await server.told(/worker 2 .* started/);
    client.request({ id: 'mine', command: 'worker add --wait', stream: true });
    await client.frame('it has begun', ({ id }) => id === 'mine');
    site.write('2', '');
    await server.told(/worker 2 .* is ready/);
    site.write('3', '');
    const { data } = await client.answer('mine');
    assert.equal(data.status, 'done');
    const steps = client.frames.flatMap(({ id, status, data: one }) =>
      id === 'mine' && status === 'progress'
        ? [`${one.done}/${one.total} ${one.step.replace(/ \(pid \d+\)/, '')}`]
        : [],
    );
    assert.deepEqual(steps, [
      '0/1 the number of workers goes from 2 to 3',
      '0/1 worker 3 started',
      '1/1 worker 3 is ready',
    ]);
  });

  test('a reload while the server has not started yet fails with the error of the new code', async (t) => {
    const site = new Site(t);
    site.write('app.mjs', 'await new Promise((resolve) => setTimeout(resolve, 60_000));');
    const server = launch(t, site.path('app.mjs'), [], { control: true, cwd: site.directory });
    await server.told(/worker 1 .* started/);
    await server.told(/^control socket/);
    site.write('app.mjs', "throw new Error('newer and broken');\n");
    const client = await ControlClient.connect(site.path('kirin.ctl'));
    t.after(() => client.destroy());
    const { data } = await client.ask('reload --wait');
    assert.deepEqual([data.success, data.status], [false, 'failed']);
    assert.match(data.error, /newer and broken/);
    assert.equal((await server.exit()).code, 4);
  });

  test('a reload while the server has not started yet can be what starts it', async (t) => {
    const site = new Site(t);
    site.write('app.mjs', 'await new Promise((resolve) => setTimeout(resolve, 60_000));');
    const server = launch(t, site.path('app.mjs'), [], { control: true, cwd: site.directory });
    await server.told(/^control socket/);
    await server.told(/worker 1 .* started/);
    site.deploy('v2');
    const { data } = await ControlClient.once(site.path('kirin.ctl'), 'reload --wait');
    assert.equal(data.status, 'done');
    assert.match((await server.told(/^serving /)).msg, /on 127\.0\.0\.1:\d+$/);
  });

  test('reload --wait of a wrong configuration fails with its one line', async (t) => {
    const { site, ask } = await controlled(t, ['-w', '1']);
    site.write('kirin.config.json', '{"wrokers": 3}');
    const end = await ask('reload --wait');
    assert.deepEqual([end.success, end.status, end.remaining], [false, 'failed', 1]);
    assert.match(end.error, /unknown setting "wrokers" \(did you mean "workers"\?\)/);
  });

  test('reopen', async (t) => {
    const { server, ask } = await controlled(t, ['-w', '1']);
    assert.deepEqual(await ask('reopen'), { status: 'reopening' });
    await server.told(/^control: reopen the log files/);
  });

  test('events as they happen, until cancelled', async (t) => {
    const { client, ask, refused } = await controlled(t, ['-w', '1']);
    client.request({ id: 'watch', command: 'events', stream: true });
    await ask('worker add --wait');
    const ready = await client.frame('the new worker is told of', ({ id, data }) =>
      Boolean(id === 'watch' && /worker 2 .* is ready/.test(data?.event?.text)),
    );
    assert.equal(ready.status, 'progress');
    assert.deepEqual(await ask('cancel watch'), { cancelled: true });
    assert.deepEqual(await ask('cancel watch'), { cancelled: false });
    assert.equal((await client.answer('watch')).status, 'error');
    assert.equal(await refused('events'), '"events" needs "stream": true in its request');
    assert.equal(await refused('cancel'), 'Missing ID for cancel');
  });

  for (const [command, mode] of [
    ['shutdown', 'graceful'],
    ['shutdown graceful', 'graceful'],
    ['shutdown QUICK', 'quick'],
  ] as const)
    test(`${command}`, async (t) => {
      const { server, ask } = await controlled(t, ['-w', '1']);
      assert.deepEqual(await ask(command), { status: 'shutting_down', mode });
      assert.equal((await server.exit()).code, 0);
      assert.ok(server.all(new RegExp(`^control: ${mode} shutdown$`)).length > 0);
    });

  test('shutdown --wait answers when everybody is gone, then the connection ends', async (t) => {
    const { server, client, refused } = await controlled(t, ['-w', '2']);
    await server.settled(2);
    assert.equal(await refused('shutdown now'), 'Unknown shutdown mode: now (write graceful or quick)');
    const { data, progress } = await client.ask('shutdown --wait', { stream: true });
    assert.deepEqual(Object.keys(data), ['success', 'status', 'mode', 'cut', 'duration_ms']);
    assert.deepEqual([data.success, data.status, data.mode, data.cut], [true, 'done', 'graceful', 0]);
    assert.deepEqual(progress.at(-1)?.total, 2);
    await client.end();
    assert.equal((await server.exit()).code, 0);
  });
});
