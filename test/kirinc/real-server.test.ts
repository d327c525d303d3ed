/** The shell and a real Kirin. */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { eventually, fixture, launch, type Server, Site, serve } from '../system/harness.ts';
import { type Ran, Running, run } from './run.ts';
import { CTRL_C, CTRL_D, Screen, TAB } from './screen.ts';

async function setUp(t: TestContext, args: string[] = ['-w', '2'], app = fixture('app.mjs')) {
  const site = new Site(t);
  const server = await serve(t, app, args, { control: true, cwd: site.directory });
  const kirinc = (...commands: string[]): Promise<Ran> =>
    run(
      t,
      commands.flatMap((one) => ['-c', one]),
      { cwd: site.directory },
    );
  return { site, server, kirinc };
}

const pidsOf = (server: Server) => server.ready().map(({ pid }) => pid);

describe('kirinc and kirin', { concurrency: 2 }, () => {
  test('inspect shows the next server on the same socket, and ends with 1 when there is none any more', async (t) => {
    const { site, server } = await setUp(t, ['-w', '1']);
    const shell = new Running(t, ['inspect', '0'], { cwd: site.directory });
    await eventually('its page is there', () => /inspector at http/.test(shell.err + shell.out));
    await server.stop();
    const next = launch(t, fixture('app.mjs'), ['-w', '1'], { control: true, cwd: site.directory });
    await next.told(/^control socket at /);
    await next.stop();
    const { code, err } = await shell.ended;
    assert.equal(code, 1);
    assert.match(err, /\nError: The server has ended - \S*kirin\.ctl: nobody has listened there for 10 s\n$/);
  });

  test('have every command in common', async (t) => {
    const { kirinc, server } = await setUp(t);
    await server.settled(2);
    const shows: [command: string, out: RegExp][] = [
      [
        'show all',
        /^ARBITER \(master\)\n {2}PID: \d+\n\nWEB WORKERS \(2\)\n {2}PID .*\n {2}-+\n {2}\d+ +1 +yes/,
      ],
      ['show workers', /^PID .*\n-{40}\n\d+ +1 +yes +[\d.]+s ago\n\d+ +2 .*\n\nTotal: 2 workers\n$/],
      ['show workers wide', /^ *PID .*\n-+\n.* ready .*\n.*\n\nTotal: 2 workers\n$/],
      ['show dirty', /^Dirty arbiter not running\n$/],
      ['show config', /^access_log_format: .*\n(.*\n)*backlog: /],
      ['show config origin', /^workers: 2 +\(--workers\)$/m],
      [
        'show stats',
        /^Uptime: +\d+s\nPID: +\d+\nWorkers current: +2\nWorkers target: +2\nWorkers spawned: +2\n/,
      ],
      ['show listeners', /^ADDRESS .*\n-{55}\n127\.0\.0\.1:\d+ +tcp +\d+\n\nTotal: 1 listeners\n$/],
      [
        'show generations',
        /^GENERATION .*\n-+\n +1 +committed +2 +2 +0 +127\.0\.0\.1:\d+\n\nRollout: +settled\n/,
      ],
      ['show machine', /^arbiter .*\n(.*\n)*child\.1 .*ready/m],
      [
        'show machine child.1',
        /^ID: +child\.1\nMachine: +child\nPID: +\d+\nAge: +1\nState:\n {2}alive\n {4}ready/,
      ],
      ['show events 5', /^\d{4}-\S+Z info +worker .* is ready$/m],
      ['show version', /^Server: +kirin \S+\nNode\.js: +v\S+\nProtocol: +1\n$/],
      ['help', /^Available commands:\n\n {2}dirty add \[N\] \[--wait\] +Add[\s\S]*\n {2}watch /],
    ];
    for (const [command, out] of shows) {
      const ran = await kirinc(command);
      assert.match(ran.out, out, command);
      assert.deepEqual([ran.code, ran.err], [0, ''], command);
    }
  });

  test('change the number of workers, and tell when that is done', async (t) => {
    const { kirinc, server } = await setUp(t);
    await server.settled(2);
    const { code, out, err } = await kirinc('worker add 2 --wait');
    assert.equal(code, 0, err);
    const { success, added, previous, total } = JSON.parse(out);
    assert.deepEqual({ success, added, previous, total }, { success: true, added: 2, previous: 2, total: 4 });
    assert.match(err, /^\[\d\/2\] /m);
    assert.equal(pidsOf(server).length, 4);
    const killed = pidsOf(server)[0]!;
    assert.deepEqual(JSON.parse((await kirinc(`w k ${killed}`)).out), { success: true, killed });
    assert.equal((await kirinc('worker kill 1')).code, 1);
  });

  test('tell how a reload ended, and why it failed', async (t) => {
    const site = new Site(t);
    const app = site.deploy('v1');
    const { kirinc, server } = await setUp(t, ['-w', '1'], app);
    const done = await kirinc('reload --wait');
    assert.equal(done.code, 0, done.err);
    assert.equal(JSON.parse(done.out).generation, 2);
    site.write('app.mjs', 'throw new Error("broken on purpose");');
    const failed = await kirinc('rel --w');
    assert.equal(failed.code, 1);
    assert.match(JSON.parse(failed.out).error, /broken on purpose/);
    assert.match((await server.get()).text, /"version":"v1"/);
  });

  test('end a server that is told to shut down', async (t) => {
    const { kirinc, server } = await setUp(t);
    const { code, out, err } = await kirinc('shutdown --wait');
    assert.equal(code, 0, err + out);
    assert.equal(JSON.parse(out).mode, 'graceful');
    assert.equal((await server.exit()).code, 0);
    assert.match((await kirinc('show stats')).err, /^Error: No such file or directory/);
  });

  test('talk at a prompt: pids by Tab, a bar, events, top, another server', async (t) => {
    const { site, server } = await setUp(t, ['-w', '2', '--reload-settle', '3']);
    await server.settled(2);
    const screen = new Screen(t, [], { cwd: site.directory, columns: 140 });
    await screen.prompts();
    screen.write('worker kill ?');
    for (const pid of pidsOf(server)) await screen.shows(new RegExp(`${pid} +Worker of age`));
    screen.write(`\x15sh gen${TAB}\r`);
    await screen.shows(/1 +committed +2/);

    screen.write('reload --wait\r');
    await screen.shows(/[█░]{24} \[\d\/2\] /);
    screen.write(CTRL_C);
    await screen.shows(/Nobody waits any more; what was ordered goes on/);
    await screen.prompts();
    await server.told(/^reload done/);

    screen.write('events\r');
    server.signal('SIGTTIN');
    await screen.shows(/^\d{4}-\S+Z info +worker 5 .* is ready$/m);
    screen.write(CTRL_C);
    await screen.prompts();

    screen.write('top 0.2\r');
    await screen.shows(/workers 3\/3[\s\S]*generation 2 \(settled\)[\s\S]*> +\d+ web .*ready/);
    screen.write('q');
    await screen.prompts();

    await server.stop();
    const other = await serve(t, fixture('app.mjs'), [], { control: true, cwd: site.directory });
    screen.write('reopen\r');
    await screen.shows(new RegExp(`Reconnected to kirin\\.ctl \\(pid ${server.pid} → ${other.pid}\\)`));
    await screen.shows(/"status": "reopening"/);
    screen.write(CTRL_D);
    assert.equal(await screen.exit(), 0);
  });
});
