/** Upgrades with USR2: a new arbiter beside the old one, both ways out of it, and what changes over. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, symlinkSync, unlinkSync } from 'node:fs';
import { describe, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { ask } from './client.ts';
import { ControlClient } from './control-client.ts';
import { descriptors, eventually, linkOf, needsProc } from './harness.ts';
import { startLoad } from './load.ts';
import { childrenOf } from './processes.ts';
import { Upgraded } from './upgraded.ts';

async function who(one: Upgraded): Promise<{ version: string; cwd: string }> {
  const { version, cwd } = (await one.server.get()).json<{ version: string; cwd: string }>();
  return { version, cwd };
}

describe('upgrades', { concurrency: 2 }, () => {
  test('ten under load: no request fails, and paths, pid file and control socket are always there', async (t) => {
    const one = await Upgraded.serve(t, ['-w', '2', '-b', '127.0.0.1:0', '-b', 'unix:app.sock'], {
      control: true,
    });
    const { site, server } = one;
    const load = startLoad(t, server.port);
    const failed: string[] = [];
    let isOver = false;
    let asked = 0;
    /** Whoever connects at any moment is answered: by the app over its path, by an arbiter over its control socket. */
    const visit = async (): Promise<void> => {
      while (!isOver) {
        try {
          const answer = await ask(0, '/', { socketPath: site.path('app.sock') });
          assert.equal(answer.status, 200);
          const client = await ControlClient.connect(site.path('ctl'));
          client.request({ id: 1, command: 'show version' });
          // The arbiter may end between the two: then the connection ends without an answer, which is no refusal.
          await client.until('it is answered, or at an end', () => client.frames[0] ?? client.ended);
          client.destroy();
          asked++;
        } catch (error) {
          failed.push((error as Error).message);
        }
      }
    };
    const visits = visit();
    const pids = new Set([one.pid]);
    for (let round = 0; round < 10; round++) {
      site.deploy(`round ${round}`);
      pids.add(await one.upgrade());
      await one.complete();
    }
    isOver = true;
    await visits;
    const { failures, requests, versions } = await load.stop();
    assert.deepEqual(failures, []);
    assert.deepEqual(failed, []);
    assert.ok(requests > 0 && asked > 0);
    assert.equal(pids.size, 11);
    assert.ok(Object.keys(versions).length > 5, JSON.stringify(versions));
    await one.stop();
    assert.deepEqual(readdirSync(site.directory).sort(), ['app.mjs']);
  });

  test('going back: the workers of the old one leave and come back, and the new one leaves nothing', async (t) => {
    const one = await Upgraded.serve(t, ['-w', '2'], { control: true });
    const { site, server } = one;
    const { pid } = one;
    site.deploy('two');
    const load = startLoad(t, server.port);
    const successor = await one.upgrade();
    process.kill(pid, 'SIGWINCH');
    await eventually('the workers of the old one have left', () => childrenOf(pid).length === 1);
    assert.equal((await who(one)).version, 'two');
    const from = server.mark();
    process.kill(pid, 'SIGHUP');
    await server.told(/^reload done: the workers come back, of the same generation/, from);
    await server.told(/is ready/, from);
    process.kill(successor, 'SIGTERM');
    await server.told(/^the new arbiter .* has ended: this one goes on alone/);
    await eventually('its workers are gone', () => childrenOf(successor).length === 0);
    assert.deepEqual((await load.stop()).failures, []);
    assert.deepEqual(
      readdirSync(site.directory).filter((name) => /\.2/.test(name)),
      [],
    );
    assert.equal(one.pid, pid);
    const [row] = await ControlClient.once(site.path('ctl'), 'show all').then(({ data }) => [data.arbiter]);
    assert.deepEqual(row, { pid, type: 'arbiter', role: 'master' });
    // Another upgrade may be tried.
    await one.upgrade();
    await one.complete('SIGINT');
    await one.stop();
  });

  test('a new arbiter that is killed while the old one rests: its workers come back by themselves', async (t) => {
    const one = await Upgraded.serve(t, ['-w', '2']);
    const { server } = one;
    const { pid } = one;
    const successor = await one.upgrade();
    process.kill(pid, 'SIGWINCH');
    await eventually('the workers of the old one have left', () => childrenOf(pid).length === 1);
    process.kill(successor, 'SIGKILL');
    await server.told(/^the new arbiter .* has ended/);
    await eventually('its workers are back', () => childrenOf(pid).length === 2);
    await eventually('they serve', async () => (await who(one)).version === 'one');
    await one.stop();
  });

  test('an old arbiter that is killed: the new one takes its place, names and all', async (t) => {
    const one = await Upgraded.serve(t, ['-w', '2', '-b', '127.0.0.1:0', '-b', 'unix:app.sock'], {
      control: true,
    });
    const { site } = one;
    const successor = await one.upgrade();
    process.kill(one.pid, 'SIGKILL');
    await one.taken(successor);
    const answer = await ask(0, '/', { socketPath: site.path('app.sock') });
    assert.equal(answer.status, 200);
    await eventually('the control socket is its', async () => {
      const { data } = await ControlClient.once(site.path('ctl'), 'show all');
      return data.arbiter.pid === successor;
    });
    assert.ok(!existsSync(site.path('ctl.2')));
    await one.stop();
    assert.deepEqual(
      readdirSync(site.directory).filter((name) => !/lock/.test(name)),
      ['app.mjs'],
    );
  });

  test('a new version that does not start fails the upgrade, and changes nothing', async (t) => {
    const one = await Upgraded.serve(t);
    const { site, server } = one;
    const { pid } = one;
    site.write('app.mjs', 'throw new Error("not this one");');
    await assert.rejects(
      one.upgrade(),
      /^Error: upgrade failed: the new arbiter \(pid \d+\) ended with exit code 4; what it logged says why$/,
    );
    assert.ok(server.all(/not this one/).length > 0);
    assert.equal((await who(one)).version, 'one');
    assert.equal(one.pid, pid);
    assert.deepEqual(readdirSync(site.directory), ['app.mjs', 'kirin.pid']);
    await one.stop();
  });

  test('refused: a second one, one of a new arbiter, resting while nobody else serves; by command as by signal', async (t) => {
    const one = await Upgraded.serve(t, [], { control: true });
    const { site, server } = one;
    const { pid } = one;
    process.kill(pid, 'SIGWINCH');
    await server.told(/^SIGWINCH: let the workers go$/);
    await server.told(/^standby refused: no new arbiter serves, so nobody would/);
    const told = await ControlClient.once(site.path('ctl'), 'upgrade --wait');
    assert.deepEqual([told.data.success, told.data.status], [true, 'done']);
    const successor = Number(told.data.pid);
    assert.equal(successor, Number(site.read('kirin.pid.2')));
    await assert.rejects(
      one.upgrade(),
      new RegExp(`refused: process ${successor} is the new arbiter already`),
    );
    const from = server.mark();
    process.kill(successor, 'SIGUSR2');
    await server.told(
      new RegExp(`^upgrade refused: process ${pid} is the old arbiter, and still runs`),
      from,
    );
    const both = await Promise.all(
      ['ctl', 'ctl.2'].map((path) => ControlClient.once(site.path(path), 'show all')),
    );
    assert.deepEqual(
      both.map(({ data }) => data.arbiter),
      [
        { pid, type: 'arbiter', role: 'master', successor_pid: successor },
        { pid: successor, type: 'arbiter', role: 'master', predecessor_pid: pid },
      ],
    );
    const rested = await ControlClient.once(site.path('ctl'), 'standby --wait');
    assert.equal(rested.data.success, true);
    assert.deepEqual(childrenOf(pid), [successor]);
    await one.complete();
    await one.stop();
  });

  test('other settings: what is new is bound, what is no more is closed, and its name removed at last', async (t) => {
    const one = await Upgraded.serve(t, ['-c', 'kirin.config.json'], {
      bind: false,
      control: true,
      setUp(site) {
        site.write('kirin.config.json', '{"bind":["unix:a.sock","unix:b.sock"],"control_socket":"ctl"}');
        return {};
      },
    });
    const { site, server } = one;
    site.write('kirin.config.json', '{"bind":["unix:b.sock","unix:c.sock"],"control_socket":"other"}');
    await one.upgrade();
    const answers = (name: string): Promise<boolean> =>
      ask(0, '/', { socketPath: site.path(name) }).then(
        ({ status }) => status === 200,
        () => false,
      );
    for (const name of ['a.sock', 'b.sock', 'c.sock']) assert.ok(await answers(name), name);
    await one.complete();
    assert.ok(!existsSync(site.path('a.sock')), server.tail());
    await eventually('the control socket that is no more is gone', () => !existsSync(site.path('ctl')));
    for (const name of ['b.sock', 'c.sock']) assert.ok(await answers(name), name);
    assert.ok(existsSync(site.path('other')));
    await one.stop();
    assert.deepEqual(readdirSync(site.directory).sort(), ['app.mjs', 'kirin.config.json']);
  });

  test('called through a link, the new arbiter is that of the release it leads to now', async (t) => {
    const one = await Upgraded.serve(t, [], {
      setUp(site) {
        for (const release of ['r1', 'r2']) site.deploy(release, `${release}/app.mjs`);
        symlinkSync('r1', site.path('current'));
        return { cwd: site.path('current'), env: { PWD: site.path('current') } };
      },
    });
    const { site } = one;
    assert.equal((await who(one)).version, 'r1');
    unlinkSync(site.path('current'));
    symlinkSync('r2', site.path('current'));
    await one.upgrade();
    await one.complete();
    assert.deepEqual(await who(one), { version: 'r2', cwd: site.path('r2') });
    await one.stop();
  });

  test('workers of a new arbiter inherit what a worker is given, and nothing else', {
    skip: needsProc,
  }, async (t) => {
    const one = await Upgraded.serve(t, ['-w', '1'], { control: true });
    const opened = (arbiter: number, besides?: number): string[] =>
      childrenOf(arbiter)
        .filter((pid) => pid !== besides)
        .flatMap((pid) => descriptors(pid).map((fd) => linkOf(pid, fd).replace(/\d+/g, 'N')))
        .filter(Boolean)
        .sort();
    const old = one.pid;
    const successor = await one.upgrade();
    // Both at rest: a start opens and closes this and that.
    await eventually(
      'the workers of both have the same open',
      () => opened(successor).length > 4 && isDeepStrictEqual(opened(successor), opened(old, successor)),
    );
    await one.complete();
    await one.stop();
  });
});
