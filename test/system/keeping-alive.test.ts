/** Workers that crash, hang or are worn out are replaced; clients hear of it as little as can be. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fixture, Site, serve } from './harness.ts';
import { startLoad } from './load.ts';

const app = fixture('app.mjs');

describe('a worker that crashes is replaced', { concurrency: 3 }, () => {
  for (const signal of ['SIGKILL', 'SIGSEGV'] as const)
    test(`by ${signal}`, async (t) => {
      const server = await serve(t, app, ['-w', '2']);
      const [first] = await server.settled(2);
      process.kill(first!.pid, signal);
      await server.told(new RegExp(`^worker ${first!.age} .* ended unexpectedly, by ${signal}`));
      const workers = await server.settled(2);
      assert.ok(workers.some(({ age, slot }) => age === 3 && slot === first!.slot));
      assert.equal((await server.get()).status, 200);
    });

  test('by an uncaught exception, with its last words and stack in the log', async (t) => {
    const server = await serve(t, app);
    await assert.rejects(server.get('/crash'));
    const told = await server.told(/^worker 1 .* ended unexpectedly/);
    assert.match(told.msg, /Error: crashed on request/);
    assert.match(told.stack ?? '', /app\.mjs:\d+/);
    await server.until('another serves', () => server.ready().some(({ age }) => age === 2));
    assert.equal((await server.get()).json()['age'], 2);
  });

  test('by an unhandled rejection, with its last words and stack in the log', async (t) => {
    const server = await serve(t, app);
    await server.get('/reject').catch(() => {});
    const told = await server.told(/^worker 1 .* ended unexpectedly/);
    assert.match(told.msg, /unhandled rejection: Error: rejected on request/);
    assert.match(told.stack ?? '', /app\.mjs:\d+/);
    await server.until('another serves', () => server.ready().some(({ age }) => age === 2));
  });

  test('by an uncaught exception whose message has megabytes, of which the log tells the beginning', async (t) => {
    const site = new Site(t);
    site.write(
      'app.mjs',
      "export default (_request, _response) => {\n  throw new Error('far too long '.repeat(300_000));\n};",
    );
    const server = await serve(t, site.path('app.mjs'));
    await assert.rejects(server.get());
    await server.told(/^worker 1 .* ended unexpectedly.*far too long .*more characters/);
    await server.until('another serves', () => server.ready().some(({ age }) => age === 2));
  });

  for (const code of [0, 7])
    test(`by process.exit(${code}) of the app, which the log names`, async (t) => {
      const server = await serve(t, app);
      await assert.rejects(server.get(`/exit?code=${code}`));
      const told = await server.told(/^worker 1 .* ended unexpectedly/);
      assert.match(told.msg, new RegExp(`exit code ${code}: the app called process\\.exit\\(${code}\\)`));
      assert.match(told.stack ?? '', /app\.mjs:\d+/);
      await server.until('another serves', () => server.ready().some(({ age }) => age === 2));
    });

  test('but goes on where the app handles its uncaught exceptions itself', async (t) => {
    const site = new Site(t);
    const handler = "process.on('uncaughtException', (error) => console.log('handled', error.message));";
    const server = await serve(t, site.deploy('v1', 'app.mjs', handler));
    server.get('/crash').catch(() => {});
    await server.printed(/handled crashed on request/);
    assert.equal((await server.get()).json()['age'], 1);
  });
});

describe('a crash loop', { concurrency: 3 }, () => {
  test('of an app that no longer boots is backed off, never ends the server, and heals', async (t) => {
    const site = new Site(t);
    site.deploy('v1');
    const server = await serve(t, site.path('app.mjs'), ['-w', '2']);
    const [first] = await server.settled(2);
    site.write('app.mjs', "throw new Error('broken for now');");
    const from = server.mark();
    process.kill(first!.pid, 'SIGKILL');
    const tries = await server.until('five waits are told', () => {
      const told = server.all(/next try within [\d.]+ s/, from);
      return told.length >= 5 ? told : undefined;
    });
    const waits = tries.map(({ msg }) => Number(/within ([\d.]+) s/.exec(msg)?.[1]));
    assert.deepEqual(
      [...waits].sort((a, b) => a - b),
      waits,
      'the waits never shrink',
    );
    assert.ok(waits.at(-1)! >= 4 * waits[0]!, `the waits grow: ${waits}`);
    assert.match(tries[0]!.msg, /broken for now/);
    const starts = server.all(/\) started/, from).length;
    assert.ok(starts <= tries.length + 1, `${starts} starts for ${tries.length} waits`);
    assert.equal((await server.get()).json()['version'], 'v1', 'the other worker serves');
    site.deploy('v2');
    await server.settled(2);
  });

  test('of workers that crash soon after they are ready is backed off too', async (t) => {
    const site = new Site(t);
    const dying = `import { existsSync } from 'node:fs';
      if (existsSync(${JSON.stringify(site.path('dying'))})) setTimeout(() => process.exit(9), 20);`;
    const server = await serve(t, site.deploy('v1', 'app.mjs', dying));
    const [first] = await server.settled(1);
    site.write('dying', '');
    const from = server.mark();
    process.kill(first!.pid, 'SIGKILL');
    const gaps = await server.until('six have died', () => {
      const ended = server.all(/\) ended unexpectedly/, from).map(({ time }) => Date.parse(time));
      const started = server.all(/\) started/, from).map(({ time }) => Date.parse(time));
      return started.length >= 6 ? started.map((time, index) => time - ended[index]!) : undefined;
    });
    // Each wait is drawn from the upper half of its bound, and the bound doubles.
    assert.ok(gaps.at(-1)! > 2 * gaps[0]!, `the waits grow: ${gaps}`);
    site.remove('dying');
    await server.until(
      'a worker lasts',
      async () => (await server.get().catch(() => undefined))?.status === 200,
    );
  });
});

describe('a worker that hangs', { concurrency: 3 }, () => {
  test('in an endless loop is sent SIGABRT after --timeout, and replaced', async (t) => {
    const server = await serve(t, app, ['--timeout', '1', '-w', '2']);
    await server.settled(2);
    const cut = assert.rejects(server.get('/spin'));
    const [, pid] = await server.printed(/spinning (\d+)/);
    const told = await server.told(/was silent for .*: sent SIGABRT/);
    assert.match(told.msg, new RegExp(`pid ${pid}`));
    await server.told(new RegExp(`pid ${pid}.* ended unexpectedly, by SIGABRT`));
    await cut;
    assert.ok((await server.settled(2)).some(({ age }) => age === 3));
  });

  test('because it was stopped by SIGSTOP is killed, since SIGABRT cannot reach it, and replaced', async (t) => {
    const server = await serve(t, app, ['--timeout', '1']);
    const [worker] = await server.settled(1);
    process.kill(worker!.pid, 'SIGSTOP');
    await server.told(/worker 1 .* is killed: it did not end on SIGABRT/);
    await server.told(/worker 1 .* ended unexpectedly, by SIGKILL/);
    await server.until('another serves', () => server.ready().some(({ age }) => age === 2));
    assert.equal((await server.get()).json()['age'], 2);
  });

  test('while it drains is not waited for until the end of the grace', async (t) => {
    const server = await serve(t, fixture('spins-on-drain.mjs'), [
      '--timeout',
      '1',
      '--graceful-timeout',
      '600',
    ]);
    const [worker] = await server.settled(1);
    process.kill(worker!.pid, 'SIGTERM');
    await server.told(/worker 1 .* sent SIGABRT/);
    await server.told(/worker 1 .* ended/);
    await server.settled(1);
  });

  test('is left alone with --timeout 0', async (t) => {
    const site = new Site(t);
    // Blocks for longer than the sweeps of the heartbeats are apart, then answers.
    site.write(
      'app.mjs',
      `export default (request, response) => {
         Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3000);
         response.end('late');
       };`,
    );
    const server = await serve(t, site.path('app.mjs'), ['--timeout', '0']);
    assert.equal((await server.get()).text, 'late');
    assert.equal(server.all(/silent|unexpectedly/).length, 0);
  });

  test('is not confused with a slow answer that awaits, however long it takes', async (t) => {
    const server = await serve(t, app, ['--timeout', '1']);
    assert.equal((await server.get('/slow?ms=2500')).json()['age'], 1);
    assert.equal(server.all(/silent|unexpectedly/).length, 0);
  });
});

describe('--boot-timeout', { concurrency: 2 }, () => {
  test('ends a replacement that never gets ready, and the others serve on', async (t) => {
    const site = new Site(t);
    site.deploy('v1');
    const server = await serve(t, site.path('app.mjs'), ['-w', '2', '--boot-timeout', '5']);
    const [first] = await server.settled(2);
    site.write('app.mjs', 'await new Promise((resolve) => setTimeout(resolve, 100_000));');
    process.kill(first!.pid, 'SIGKILL');
    await server.told(/is killed: not ready within 5 s/);
    assert.equal((await server.get()).json()['version'], 'v1');
    site.deploy('v2');
    await server.settled(2);
  });
});

describe('--max-requests', { concurrency: 2 }, () => {
  test('replaces workers one at a time, the replacement ready first, without a failed request', async (t) => {
    const args = ['-w', '2', '--max-requests', '40', '--max-requests-jitter', '20', '--idle-grace', '1'];
    const server = await serve(t, app, args);
    await server.settled(2);
    const load = startLoad(t, server.port);
    await server.until('six were replaced', () => server.all(/worker \d+ .* ended/).length >= 6);
    const result = await load.stop();
    assert.deepEqual(result.failures, []);
    assert.ok(result.requests > 0);
    assert.deepEqual(server.all(/unexpectedly|is killed/), []);
    // As the log tells it: never fewer than two that are ready, and never more than three that do not drain.
    const ready = new Set<number>();
    const living = new Set<number>();
    let opened = false;
    for (const { msg, age } of server.lines) {
      if (/shutdown/.test(msg)) break;
      if (age === undefined) continue;
      if (/\) started/.test(msg)) living.add(age);
      if (/\) is ready/.test(msg)) ready.add(age);
      if (/\) is draining/.test(msg)) {
        ready.delete(age);
        living.delete(age);
      }
      opened ||= ready.size === 2;
      assert.ok(!opened || ready.size >= 2, `only ${ready.size} ready after: ${msg}`);
      assert.ok(living.size <= 3, `${living.size} live after: ${msg}`);
    }
  });

  test('0 never replaces', async (t) => {
    const server = await serve(t, app, ['--max-requests', '0']);
    for (let request = 0; request < 50; request++) await server.get();
    assert.deepEqual(
      server.workers().map(({ age }) => age),
      [1],
    );
  });

  test('with an app that no longer boots keeps the worn worker in service', async (t) => {
    const site = new Site(t);
    site.deploy('v1');
    const server = await serve(t, site.path('app.mjs'), ['--max-requests', '5']);
    await server.settled(1);
    site.write('app.mjs', "throw new Error('broken for now');");
    for (let request = 0; request < 10; request++) assert.equal((await server.get()).json()['age'], 1);
    await server.told(/could not be replaced.*broken for now/);
    assert.equal((await server.get()).json()['age'], 1);
    site.deploy('v2');
    await server.until('the mended app serves', async () => (await server.get()).json()['version'] === 'v2');
  });
});
