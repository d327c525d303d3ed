/** --on-uncaught drain: an error that nobody caught lets what is in flight be answered first; and `exit`, the default. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fixture, launch, Site, serve } from './harness.ts';

const DRAIN = ['--on-uncaught', 'drain'];

describe('an uncaught error', { concurrency: 3 }, () => {
  for (const [path, reason] of [
    ['/late-throw', /^worker 1 .* is draining: Error: thrown late$/],
    ['/reject', /^worker 1 .* is draining: unhandled rejection: Error: rejected$/],
  ] as const)
    test(`drains: what is in flight is answered, by ${path}`, async (t) => {
      const site = new Site(t);
      const server = await serve(t, fixture('misbehaves.mjs'), DRAIN);
      const held = server.get(`/hold?file=${site.path('go')}`);
      await server.printed(/holding/);
      await server.get(path);
      const told = await server.told(reason);
      assert.equal(told.level, 'error');
      assert.match(told.stack ?? '', /misbehaves\.mjs:\d+/);
      await server.until('another serves', () => server.ready().some(({ age }) => age === 2));
      const pid = Number((await server.get('/')).text);
      site.write('go', '');
      const answer = await held;
      assert.equal(answer.status, 200);
      assert.notEqual(Number(answer.text), pid);
      await server.told(/^worker 1 .* ended, exit code 1$/);
    });

  test('thrown in a request cuts that one at once, and waits for the others only', async (t) => {
    const site = new Site(t);
    const server = await serve(t, fixture('throws.mjs'), [...DRAIN, '--graceful-timeout', '600']);
    const held = server.get(`/hold?file=${site.path('go')}`);
    await server.printed(/holding/);
    await assert.rejects(server.get('/throw'), { code: 'ECONNRESET' });
    await server.told(/^worker 1 .* is draining: Error: thrown in a request$/);
    site.write('go', '');
    assert.equal((await held).status, 200);
    await server.told(/^worker 1 .* ended, exit code 1$/);
  });

  test('waits no longer than the graceful timeout', async (t) => {
    const server = await serve(t, fixture('misbehaves.mjs'), [...DRAIN, '--graceful-timeout', '1']);
    const held = assert.rejects(server.get('/hold?file=/nowhere'), { code: 'ECONNRESET' });
    await server.printed(/holding/);
    await server.get('/late-throw');
    await held;
    await server.told(/^worker 1 .* ended, exit code 1$/);
  });

  test('that comes again and again while it drains is told a few times', async (t) => {
    const site = new Site(t);
    const server = await serve(t, fixture('misbehaves.mjs'), DRAIN);
    const held = server.get(`/hold?file=${site.path('go')}`);
    await server.printed(/holding/);
    await server.get('/storm');
    await server.until(
      'it is told',
      () => server.all(/another error was not caught while it leaves/).length === 5,
    );
    site.write('go', '');
    assert.equal((await held).status, 200);
    await server.told(/^worker 1 .* ended, exit code 1$/);
    assert.equal(server.all(/another error was not caught/).length, 5);
  });

  test('is left to an app that handles it', async (t) => {
    const server = await serve(t, fixture('throws.mjs'), [...DRAIN, '--env', 'HANDLES=yes']);
    server.get('/throw').catch(() => {});
    await server.printed(/handled thrown in a request/);
    assert.equal((await server.get('/')).status, 200);
    assert.deepEqual(
      server.ready().map(({ age }) => age),
      [1],
    );
  });

  test('while the app is loaded ends the boot, as ever', async (t) => {
    const site = new Site(t);
    site.write(
      'app.mjs',
      'setTimeout(() => { throw new Error("early"); }, 1); await new Promise(() => setInterval(() => {}, 1000));',
    );
    const server = launch(t, site.path('app.mjs'), DRAIN);
    assert.equal((await server.exit()).code, 3);
    assert.match(server.lines.find(({ level }) => level === 'fatal')?.msg ?? '', /Error: early$/);
  });

  test('by default ends the worker at once', async (t) => {
    const server = await serve(t, fixture('misbehaves.mjs'));
    const held = assert.rejects(server.get('/hold?file=/nowhere'), { code: 'ECONNRESET' });
    await server.printed(/holding/);
    await server.get('/late-throw');
    await held;
    await server.told(/^worker 1 .* ended unexpectedly, exit code 1: Error: thrown late$/);
  });

  test('of every new worker: replacements wait longer and longer, as for those that crash', async (t) => {
    const site = new Site(t);
    const crash = 'setTimeout(() => { throw new Error("soon"); }, 50);';
    const server = await serve(t, site.deploy('v1', 'app.mjs', crash), [...DRAIN, '--idle-grace', '0']);
    await server.told(/worker 5 .* started/);
    const at = (age: number): number =>
      Date.parse(server.all(new RegExp(`worker ${age} .* started`))[0]!.time);
    // The waits double: 100 to 800 ms, at least half of each.
    assert.ok(at(5) - at(1) >= 750);
  });
});
