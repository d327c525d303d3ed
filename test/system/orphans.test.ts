/** kill -9 of an arbiter: who can finishes what it has and leaves, and who cannot (it hangs, it is stopped) is ended by the guardian. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { dirtyApp, Tree } from './dirty-tree.ts';
import {
  descriptors,
  eventually,
  fixture,
  launch,
  linkOf,
  needsProc,
  type Server,
  Site,
  serve,
} from './harness.ts';
import { childrenOf, guardiansOf, isAlive } from './processes.ts';

const gone = (what: string, ...pids: number[]): Promise<boolean> =>
  eventually(`${what} is gone`, () => pids.every((pid) => !isAlive(pid)));

const guardianOf = (server: Server): Promise<number> =>
  server.until('there is a guardian', () => guardiansOf(server.pid)[0]);

/** Keeps one worker in an endless loop; returns its pid. */
async function spinning(server: Server): Promise<number> {
  server.get('/spin').catch(() => {});
  const [, pid] = await server.printed(/spinning (\d+)/);
  return Number(pid);
}

describe('the arbiter is killed', { concurrency: 2 }, () => {
  test('with one worker in an endless loop and one stopped: both are gone, and what a third has in flight is answered', async (t) => {
    const site = new Site(t);
    const server = await serve(t, fixture('app.mjs'), ['-w', '3', '--graceful-timeout', '8']);
    const workers = await server.settled(3);
    await guardianOf(server);
    const looping = await spinning(server);
    const held = server.get(`/hold?until=${site.path('go')}`);
    await server.printed(/holding/);
    const stopped = workers.find(({ pid }) => pid !== looping)!.pid;
    process.kill(stopped, 'SIGSTOP');
    server.signal('SIGKILL');
    site.write('go', '');
    // A stopped worker is let go on, so that it answers too, whichever of the two has the request.
    assert.equal((await held).status, 200);
    await gone('everybody', ...workers.map(({ pid }) => pid));
  });

  test('while a worker loads its app for ever: it is gone too', async (t) => {
    const site = new Site(t);
    const server = await serve(t, site.deploy('v1'), ['--graceful-timeout', '1']);
    await guardianOf(server);
    site.deploy('v2', 'app.mjs', "console.log('loading', process.pid); for (;;);");
    server.signal('SIGHUP');
    const [, pid] = await server.printed(/loading (\d+)/);
    server.signal('SIGKILL');
    await gone('the candidate', Number(pid));
  });

  test('with the dirty arbiter stopped and a dirty worker in an endless loop: nobody of the tree is left', async (t) => {
    const tree = await Tree.serve(t, [
      ...['--dirty-workers', '2', '--dirty-app', dirtyApp('Model')],
      ...['--dirty-graceful-timeout', '1', '--graceful-timeout', '1'],
    ]);
    const { pid: arbiter, workers } = await tree.settled(2);
    await eventually('both arbiters have a guardian', () =>
      [tree.server.pid, arbiter].every((owner) => guardiansOf(owner).length === 1),
    );
    tree.call(dirtyApp('Model'), 'spin').catch(() => {});
    await tree.server.printed(/spinning in (\d+)/);
    process.kill(arbiter, 'SIGSTOP');
    tree.server.signal('SIGKILL');
    await gone('the dirty tree', arbiter, ...workers.map(({ pid }: { pid: number }) => pid));
    await eventually('its guardian is gone', () => guardiansOf(arbiter).length === 0);
  });
});

describe('the dirty arbiter is killed', { concurrency: 2 }, () => {
  test('while a dirty worker is in an endless loop and the process for hooks is stopped: both are gone', async (t) => {
    const told = `import { appendFileSync } from 'node:fs';
      export default { on_dirty_starting() { appendFileSync('told', process.pid + '\\n'); } };`;
    const tree = await Tree.serve(
      t,
      ['--dirty-workers', '1', '--dirty-app', dirtyApp('Model'), '--dirty-graceful-timeout', '1'],
      { files: { 'kirin.config.mjs': told, told: '' } },
    );
    const { pid: arbiter } = await tree.settled(1);
    const hooks = Number(tree.site.read('told'));
    assert.ok(childrenOf(arbiter).includes(hooks));
    await eventually('it has a guardian', () => guardiansOf(arbiter).length === 1);
    tree.call(dirtyApp('Model'), 'spin').catch(() => {});
    const [, pid] = await tree.server.printed(/spinning in (\d+)/);
    process.kill(hooks, 'SIGSTOP');
    process.kill(arbiter, 'SIGKILL');
    await gone('what it left', Number(pid), hooks);
    await tree.settled(1, (dirty) => dirty.pid !== arbiter);
  });
});

describe('the guardian', { concurrency: 3 }, () => {
  test('takes no signal of a terminal or an operator, to itself or to the group of the server, and ends with the server', async (t) => {
    const server = await serve(t, fixture('app.mjs'));
    const guardian = await guardianOf(server);
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const)
      process.kill(guardian, signal);
    process.kill(-server.pid, 'SIGTERM');
    const atTheEnd = server.ended.then(() => isAlive(guardian));
    assert.equal((await server.exit()).code, 0);
    assert.equal(await atTheEnd, false, 'it is gone before the server is');
    assert.deepEqual(server.all(/guardian/), []);
  });

  test('that is killed is replaced, told once, and its successor knows everybody', async (t) => {
    const server = await serve(t, fixture('app.mjs'), ['-w', '2', '--graceful-timeout', '1']);
    const workers = await server.settled(2);
    for (let time = 0; time < 2; time++) {
      const guardian = await guardianOf(server);
      process.kill(guardian, 'SIGKILL');
      await server.until('there is another', () => guardiansOf(server.pid).some((pid) => pid !== guardian));
    }
    assert.equal(server.all(/the guardian has ended \(SIGKILL\)/).length, 1);
    await spinning(server);
    server.signal('SIGKILL');
    await gone('everybody', ...workers.map(({ pid }) => pid));
  });

  test('that is stopped holds nothing up', async (t) => {
    const server = await serve(t, fixture('app.mjs'), ['-w', '2']);
    const guardian = await guardianOf(server);
    process.kill(guardian, 'SIGSTOP');
    assert.match((await server.reload()).msg, /^reload done/);
    assert.equal(await server.stop(), 0);
    await gone('it', guardian);
  });

  test('holds no socket of the server, and nobody knows of it but the server', {
    skip: needsProc,
  }, async (t) => {
    const server = await serve(t, fixture('app.mjs'));
    const guardian = await guardianOf(server);
    const held = descriptors(guardian).filter((fd) => linkOf(guardian, fd) !== '/dev/null');
    assert.deepEqual(held, ['0']);
    assert.equal(await server.stop(), 0);
  });

  test('of a server that failed to start is gone as well', async (t) => {
    const server = launch(t, new Site(t).write('app.mjs', 'throw new Error("no")'));
    assert.equal((await server.exit()).code, 4);
    assert.deepEqual(guardiansOf(server.pid), []);
  });
});
