/** What may not cost a request, a descriptor or the server's life: reloads under load, and storms of signals. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { descriptors, eventually, fixture, needsProc, Site, serve } from './harness.ts';
import { startLoad } from './load.ts';
import { childrenOf, zombiesOf } from './processes.ts';

/** The time over which a storm of signals is spread. */
const STORM_MS = 900;
/** A hundred candidates that start and end need their time on a busy machine. */
const STORM_OVER_MS = 120_000;

describe('under load', { concurrency: 1 }, () => {
  test('20 reloads fail no request: keep-alive, new connections, and a slow one always in flight', async (t) => {
    const site = new Site(t);
    const server = await serve(t, site.deploy('v0'), ['-w', '2', '--idle-grace', '1']);
    await server.settled(2);
    const load = startLoad(t, server.port, { slowMs: 400 });
    await eventually('the load is on', () => load.requests > 100);
    for (let round = 1; round <= 20; round++) {
      site.deploy(`v${round}`);
      assert.match((await server.reload()).msg, /^reload done/);
      const before = load.requests;
      await eventually('the load goes on', () => load.requests > before);
    }
    const result = await load.stop();
    assert.deepEqual(result.failures, []);
    assert.ok(result.slowRequests >= 20, `${result.slowRequests} slow requests`);
    assert.ok((result.versions['v20'] ?? 0) > 0, 'the newest code answers');
    assert.deepEqual(server.all(/unexpectedly|is killed/), []);
    t.diagnostic(`${result.requests} requests, ${result.slowRequests} of them slow`);
  });

  test('scaling up and down fails no request', async (t) => {
    const server = await serve(t, fixture('app.mjs'), ['-w', '2', '--idle-grace', '1']);
    await server.settled(2);
    const load = startLoad(t, server.port);
    for (let round = 0; round < 5; round++) {
      server.signal('SIGTTIN');
      await server.until('there are three', () => server.ready().length === 3);
      server.signal('SIGTTOU');
      await server.until('there are two', () => server.ready().length === 2);
    }
    assert.deepEqual((await load.stop()).failures, []);
  });

  test('TERM to one worker after the other fails no request', async (t) => {
    const server = await serve(t, fixture('app.mjs'), ['-w', '2', '--idle-grace', '1']);
    await server.settled(2);
    const load = startLoad(t, server.port);
    await eventually('the load is on', () => load.requests > 50);
    for (let round = 0; round < 6; round++) {
      const oldest = server.ready().reduce((a, b) => (a.age < b.age ? a : b));
      process.kill(oldest.pid, 'SIGTERM');
      await server.told(new RegExp(`worker ${oldest.age} .* ended`));
      await server.until('there are two again', () => server.ready().length === 2);
    }
    assert.deepEqual((await load.stop()).failures, []);
  });
});

describe('a server', { concurrency: 1 }, () => {
  test('lives through 1,000 signals within a second, and converges', async (t) => {
    const server = await serve(t, fixture('app.mjs'), ['-w', '2']);
    await server.settled(2);
    // Each HUP and TTIN starts a process, so there are fewer of them; and more workers are told to go than to come.
    const few = ['SIGHUP', 'SIGTTIN', 'SIGTTOU', 'SIGTTOU'] as const;
    const many = ['SIGUSR1', 'SIGWINCH', 'SIGUSR1', 'SIGWINCH', 'SIGUSR1', 'SIGWINCH'] as const;
    const storm = [...few, ...many];
    const startedMs = performance.now();
    // The kernel joins equal signals that are pending, so they are spread over most of the second.
    await new Promise<void>((resolve) => {
      let sent = 0;
      const pace = setInterval(() => {
        const due = Math.min(1000, Math.ceil(((performance.now() - startedMs) / STORM_MS) * 1000));
        while (sent < due) server.signal(storm[sent++ % storm.length]!);
        if (sent < 1000) return;
        clearInterval(pace);
        resolve();
      }, 1);
    });
    t.diagnostic(`sent within ${Math.round(performance.now() - startedMs)} ms`);
    const from = server.mark();
    server.signal('SIGHUP');
    await server.told(/^reload (done|failed)/, from, STORM_OVER_MS);
    await server.until('all are ready, and of one generation', () => {
      const seen = server.workers();
      return (
        seen.length > 0 &&
        seen.every(({ state, generation }) => state === 'ready' && generation === seen[0]!.generation)
      );
    });
    assert.equal((await server.get()).status, 200);
    assert.ok(server.lines.every(({ level }) => level !== 'fatal'));
    assert.deepEqual(
      childrenOf(server.pid).sort(),
      server
        .workers()
        .map(({ pid }) => pid)
        .sort(),
    );
  });

  test('has as many descriptors after 50 reloads as before, and no zombies', {
    skip: needsProc,
  }, async (t) => {
    const site = new Site(t);
    const server = await serve(t, site.deploy('v1'), ['--reload-settle', '0', '--idle-grace', '0']);
    // The first reload loads what later ones have.
    await server.reload();
    await server.settled(1);
    const before = descriptors(server.pid).length;
    for (let round = 0; round < 50; round++) assert.match((await server.reload()).msg, /^reload done/);
    await server.settled(1);
    await eventually(`there are ${before} descriptors, not ${descriptors(server.pid).length}`, () => {
      return descriptors(server.pid).length === before;
    });
    assert.deepEqual(zombiesOf(server.pid), []);
    assert.equal(childrenOf(server.pid).length, 1);
  });

  test('has as many descriptors after failed reloads and crashes as before', {
    skip: needsProc,
  }, async (t) => {
    const site = new Site(t);
    const server = await serve(t, site.deploy('v1'), ['--reload-settle', '0']);
    await server.reload();
    await server.settled(1);
    const before = descriptors(server.pid).length;
    for (let round = 0; round < 5; round++) {
      site.write('app.mjs', "throw new Error('broken');");
      assert.match((await server.reload()).msg, /^reload failed/);
      site.deploy('v1');
      const from = server.mark();
      process.kill(server.ready()[0]!.pid, 'SIGKILL');
      await server.told(/is ready/, from);
    }
    await server.settled(1);
    await eventually('no descriptor is lost', () => descriptors(server.pid).length === before);
    assert.deepEqual(zombiesOf(server.pid), []);
  });
});
