/** Limits of memory: the soft one replaces, the hard one kills, a worker that hangs is measured too, and never all at once. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fixture, Site, serve } from './harness.ts';

const app = fixture('misbehaves.mjs');
const SOFT = ['--max-memory', '160M'];
const HARD = ['--max-memory-hard', '220M'];

describe('a limit of memory', { concurrency: 2 }, () => {
  test('soft: the worker is replaced, its replacement ready before it drains', async (t) => {
    const server = await serve(t, app, ['-w', '1', ...SOFT]);
    await server.get('/grow?mib=150');
    const told = await server.told(
      /worker 1 .* is to be replaced: it uses \d+M of memory, more than 160M \(--max-memory\)/,
    );
    assert.equal(told.level, 'warn');
    await server.told(/worker 1 .* ended/);
    const lines = server.lines.map(({ msg }) => msg);
    assert.ok(
      lines.findIndex((msg) => /worker 2 .* is ready/.test(msg)) <
        lines.findIndex((msg) => /worker 1 .* is draining/.test(msg)),
    );
    assert.deepEqual(
      server.ready().map(({ age }) => age),
      [2],
    );
  });

  test('hard: a worker that hangs is measured too, and killed long before its silence counts', async (t) => {
    const server = await serve(t, app, ['-w', '2', '-t', '600', ...HARD]);
    await server.settled(2);
    server.get('/grow-and-spin?mib=250').catch(() => {});
    const killed = await server.told(
      /is killed: it uses \d+M of memory, more than 220M \(--max-memory-hard\)/,
    );
    await server.told(/ended unexpectedly, by SIGKILL: it uses/);
    await server.until('it is replaced', () => server.ready().length === 2);
    assert.ok(server.ready().every(({ age }) => age !== killed.age));
  });

  test('hard, passed by all workers at once: some serve at every moment', async (t) => {
    const site = new Site(t);
    const grows = `import { existsSync } from 'node:fs';
      const first = Number(process.env.KIRIN_WORKER_AGE) <= 4;
      const poll = setInterval(() => {
        if (!first || !existsSync(${JSON.stringify(site.path('go'))})) return;
        clearInterval(poll);
        globalThis.kept = Array.from({ length: 230 }, () => Buffer.alloc(2 ** 20, 1));
      }, 10);`;
    const server = await serve(t, site.deploy('v1', 'app.mjs', grows), ['-w', '4', ...HARD]);
    await server.settled(4);
    site.write('go', '');
    await server.until('all are replaced', () => {
      const ready = server.ready();
      assert.ok(ready.length >= 2, `only ${ready.length} of 4 are ready`);
      return ready.length === 4 && ready.every(({ age }) => age > 4);
    });
    assert.ok(server.all(/is killed: it uses \d+M of memory/).length > 0);
  });

  test('that every worker passes at once: replacements wait longer and longer, they serve, and it is told once', async (t) => {
    const server = await serve(t, app, ['-w', '2', '--max-memory', '20M']);
    await server.until('some were replaced', () => server.all(/\) started/).length > 8);
    assert.equal(server.all(/workers pass --max-memory within 10 s of being ready/).length, 1);
    assert.ok(server.ready().length >= 1);
    assert.equal((await server.get('/')).status, 200);
    const timeOf = (pattern: RegExp): number => Date.parse(server.all(pattern)[0]!.time);
    await server.told(/worker 11 .* started/);
    // 100, 200, 400 ms and so on, at least half of each.
    assert.ok(timeOf(/worker 11 .* started/) - timeOf(/worker 3 .* started/) >= 500);
    assert.equal(await server.stop(), 0);
  });

  test('hard, passed while the app is loaded at a reload: the reload fails, and says why', async (t) => {
    const site = new Site(t);
    const server = await serve(t, site.deploy('v1'), HARD);
    const takesMemory = `const all = Array.from({ length: 250 }, () => Buffer.alloc(2 ** 20, 1));
      await new Promise(() => setInterval(() => all, 1000));`;
    site.deploy('v2', 'app.mjs', takesMemory);
    assert.match((await server.reload()).msg, /^reload failed: it uses \d+M of memory, more than 220M/);
    assert.equal((await server.get()).json()['version'], 'v1');
  });
});
