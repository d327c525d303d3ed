/** kill -9 of a worker in every phase of its life and of a reload: it is replaced, and every order is answered. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { eventually, launch, type Server, Site, serve } from './harness.ts';
import { childrenOf } from './processes.ts';

const pidOf = (server: Server, age: number): number => {
  const worker = server.workers().find((each) => each.age === age);
  if (!worker) throw new Error(`there is no worker ${age}\n${server.tail()}`);
  return worker.pid;
};
const kill = (server: Server, age: number): void => void process.kill(pidOf(server, age), 'SIGKILL');

/** Waits on import for a file, in workers of at least this age. */
const waitsFrom = (age: number, file: string): string => `import { existsSync } from 'node:fs';
  if (Number(process.env.KIRIN_WORKER_AGE) >= ${age}) {
    console.log('waiting', process.env.KIRIN_WORKER_AGE);
    while (!existsSync(${JSON.stringify(file)})) await new Promise((resolve) => setTimeout(resolve, 10));
  }`;

describe('kill -9 of a worker', { concurrency: 3 }, () => {
  test('that boots at the first start, alone, ends the server with 3', async (t) => {
    const site = new Site(t);
    const server = launch(t, site.deploy('v1', 'app.mjs', waitsFrom(1, site.path('go'))));
    await server.printed(/waiting 1/);
    await server.told(/^worker 1 \(pid \d+\) started/);
    kill(server, 1);
    assert.equal((await server.exit()).code, 3);
    assert.match(
      server.lines.find(({ level }) => level === 'fatal')?.msg ?? '',
      /SIGKILL before it was ready/,
    );
  });

  test('that boots as a replacement: the next one is tried', async (t) => {
    const site = new Site(t);
    const server = await serve(t, site.deploy('v1', 'app.mjs', waitsFrom(2, site.path('go'))));
    kill(server, 1);
    await server.printed(/waiting 2/);
    kill(server, 2);
    await server.printed(/waiting 3/);
    site.write('go', '');
    await server.settled(1);
  });

  test('that drains: its replacement is not disturbed', async (t) => {
    const site = new Site(t);
    const server = await serve(t, site.deploy('v1'));
    const cut = assert.rejects(server.get('/hold?until=/nowhere'), { code: 'ECONNRESET' });
    await server.printed(/holding/);
    const pid = pidOf(server, 1);
    process.kill(pid, 'SIGTERM');
    await server.told(/worker 2 .* is ready/);
    process.kill(pid, 'SIGKILL');
    await server.told(/worker 1 .* ended/);
    await cut;
    assert.deepEqual(
      (await server.settled(1)).map(({ age }) => age),
      [2],
    );
  });

  test('that drains in a stop: the stop goes on', async (t) => {
    const server = await serve(t, new Site(t).deploy('v1'), ['-w', '2', '--graceful-timeout', '600']);
    const cut = assert.rejects(server.get('/hold?until=/nowhere'));
    await server.printed(/holding/);
    server.signal('SIGTERM');
    await server.told(/is draining/);
    await server.until('one is left', () => server.workers().length === 1);
    kill(server, server.workers()[0]!.age);
    await cut;
    assert.deepEqual(await server.exit(), { code: 0, signal: null });
  });

  test('that is tried: the reload fails, and nothing changes', async (t) => {
    const site = new Site(t);
    const server = await serve(t, site.deploy('v1'), ['-w', '2']);
    await server.settled(2);
    site.deploy('v2', 'app.mjs', waitsFrom(3, site.path('go')));
    const from = server.mark();
    server.signal('SIGHUP');
    await server.printed(/waiting 3/);
    kill(server, 3);
    await server.told(/^reload failed: .*SIGKILL/, from);
    assert.deepEqual(
      (await server.settled(2)).map(({ age }) => age),
      [1, 2],
    );
  });

  test('that is tried and ready, but has not lasted: the reload fails', async (t) => {
    const site = new Site(t);
    const server = await serve(t, site.deploy('v1'), ['--reload-settle', '600']);
    site.deploy('v2');
    server.signal('SIGHUP');
    await server.told(/worker 2 .* is ready/);
    kill(server, 2);
    await server.told(/^reload failed: .*SIGKILL/);
    assert.equal((await server.get()).json()['version'], 'v1');
  });

  test('of the old code while it is tried: the old code is replaced by old code', async (t) => {
    const site = new Site(t);
    const server = await serve(t, site.deploy('v1'), ['-w', '2']);
    await server.settled(2);
    // The replacement of a worker reads what is on disk, so only its generation tells.
    site.deploy('v1', 'app.mjs', waitsFrom(3, site.path('go')));
    server.signal('SIGHUP');
    await server.printed(/waiting 3/);
    kill(server, 1);
    await server.printed(/waiting 4/);
    assert.equal(server.workers().find(({ age }) => age === 4)?.generation, 1);
    site.write('go', '');
    await server.told(/^reload done/);
    await server.settled(2, 2);
  });

  test('that boots while a generation rolls: the reload stalls, and heals', async (t) => {
    const site = new Site(t);
    const server = await serve(t, site.deploy('v1'), ['-w', '3']);
    await server.settled(3);
    site.deploy('v2', 'app.mjs', waitsFrom(5, site.path('go')));
    server.signal('SIGHUP');
    await server.printed(/waiting 5/);
    kill(server, 5);
    await server.told(/^reload failed: .*SIGKILL.*; 1 replaced, 2 of the former remain/);
    await server.printed(/waiting 6/);
    site.write('go', '');
    await server.settled(3, 2);
  });

  test('of either generation, ready, while one rolls: the reload is done all the same', async (t) => {
    const site = new Site(t);
    const server = await serve(t, site.deploy('v1'), ['-w', '4']);
    await server.settled(4);
    site.deploy('v2', 'app.mjs', waitsFrom(6, site.path('go')));
    server.signal('SIGHUP');
    await server.printed(/waiting 6/);
    kill(server, 3);
    kill(server, 5);
    for (const age of [3, 5]) await server.told(new RegExp(`worker ${age} .* ended`));
    site.write('go', '');
    await server.told(/^reload done/);
    await server.settled(4, 2);
  });

  test('again and again, at random, through reloads and orders to scale: it converges, and nobody is left', async (t) => {
    const site = new Site(t);
    const server = await serve(t, site.deploy('v1'), ['-w', '3']);
    await server.settled(3);
    const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31);
    t.diagnostic(`SEED=${seed}`);
    const chance = randomFrom(seed);
    for (let step = 0; step < 40; step++) {
      const from = server.mark();
      const workers = server.workers();
      const victim = workers[Math.floor(chance() * workers.length)];
      const dice = chance();
      if (dice < 0.5 && victim) ignoreGone(() => process.kill(victim.pid, 'SIGKILL'));
      else if (dice < 0.6 && victim) ignoreGone(() => process.kill(victim.pid, 'SIGTERM'));
      else if (dice < 0.8) server.signal('SIGHUP');
      else server.signal(dice < 0.9 ? 'SIGTTIN' : 'SIGTTOU');
      // Whatever it does about that: the next blow comes in the middle of it.
      await server.until('it takes notice', () => server.mark() > from);
    }
    const reload = await server.reload();
    assert.match(reload.msg, /^reload (done|superseded|failed)/);
    await server.until('all are ready, and of one generation', () => {
      const seen = server.workers();
      const [first] = seen;
      return (
        seen.length > 0 &&
        seen.every(({ state, generation }) => state === 'ready' && generation === first?.generation)
      );
    });
    assert.equal((await server.get()).status, 200);
    await eventually(
      'only workers are left',
      () => childrenOf(server.pid).length === server.workers().length,
    );
    assert.equal(await server.stop(), 0);
  });
});

/** Mulberry32: the same seed gives the same blows. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function ignoreGone(act: () => void): void {
  try {
    act();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
