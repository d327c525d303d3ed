/** Every command on a real server: the fields of its reply in their order, what it changes, and what it refuses. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ControlClient } from './control-client.ts';
import { controlled, type Data } from './controlled.ts';
import { fixture, Site, serve } from './harness.ts';

/** Names and types of an object's fields, in their order. */
const shape = (value: object): string =>
  Object.entries(value)
    .map(([name, one]) => `${name}:${one === null ? 'null' : Array.isArray(one) ? 'list' : typeof one}`)
    .join(' ');

const FIGURES =
  'slot:number generation:number state:string requests:number requests_per_second:number ' +
  'connections:number in_flight:number loop_delay_p99_ms:number utilization:number rss_bytes:number uptime:number ' +
  'paused:boolean full:boolean resting:boolean';

describe('show', { concurrency: 2 }, () => {
  test('all', async (t) => {
    const { server, ask } = await controlled(t);
    const [first] = await server.settled(2);
    const all = await ask('show all');
    assert.equal(
      shape(all),
      'arbiter:object web_workers:list web_worker_count:number dirty_arbiter:null dirty_workers:list dirty_worker_count:number',
    );
    assert.deepEqual(all.arbiter, { pid: server.pid, type: 'arbiter', role: 'master' });
    assert.match(
      shape(all.web_workers[0]),
      /^pid:number type:string age:number booted:boolean last_heartbeat:number /,
    );
    const { pid, type, age, booted } = all.web_workers[0];
    assert.deepEqual([pid, type, age, booted, all.web_worker_count], [first!.pid, 'web', 1, true, 2]);
    assert.deepEqual([all.dirty_workers, all.dirty_worker_count], [[], 0]);
  });

  test('workers, by age, with what they do', async (t) => {
    const { server, ask } = await controlled(t);
    await server.settled(2);
    for (let asked = 0; asked < 5; asked++) await server.get();
    const { workers, count } = await server.until('heartbeats of both tell the requests', async () => {
      const shown = await ask('show workers');
      const requests = shown.workers.reduce((sum: number, one: Data) => sum + one.requests, 0);
      const told = shown.workers.every(({ rss_bytes }: Data) => rss_bytes !== null);
      return requests === 5 && told ? shown : undefined;
    });
    assert.equal(count, 2);
    assert.equal(
      shape(workers[0]),
      `pid:number age:number booted:boolean aborted:boolean last_heartbeat:number ${FIGURES}`,
    );
    assert.deepEqual(
      workers.map(({ age, slot, generation, state, booted, aborted }: Data) => [
        age,
        slot,
        generation,
        state,
        booted,
        aborted,
      ]),
      [
        [1, 0, 1, 'ready', true, false],
        [2, 1, 1, 'ready', true, false],
      ],
    );
    for (const { rss_bytes, uptime, last_heartbeat } of workers) {
      assert.ok(rss_bytes > 1e6 && uptime > 0, `${rss_bytes} ${uptime}`);
      assert.ok(last_heartbeat >= 0 && last_heartbeat < 30, `${last_heartbeat}`);
      assert.ok(Number.isInteger(Math.round(last_heartbeat * 1e6) / 1e4), 'two decimals');
    }
    assert.deepEqual(Object.keys((await ask('show workers wide')).workers[0]), Object.keys(workers[0]));
  });

  test('a worker that boots, and one that leaves', async (t) => {
    const { site, server, ask } = await controlled(t, ['-w', '1', '--graceful-timeout', '20']);
    const [one] = await server.settled(1);
    const held = server.get(`/hold?until=${site.path('go')}`);
    await server.printed(/holding/);
    await ask(`worker kill ${one!.pid}`);
    const { workers } = await ask('show workers');
    const leaving = workers.find(({ pid }: Data) => pid === one!.pid);
    assert.deepEqual([leaving.state, leaving.booted], ['draining', true]);
    await server.told(/worker 2 .* started/);
    site.write('go', '');
    await held;
    await server.settled(1);
    assert.equal((await ask('show workers')).workers[0].age, 2);
  });

  test('dirty, while there is none', async (t) => {
    const { ask } = await controlled(t, ['-w', '1']);
    const none = { enabled: false, pid: null, workers: [], apps: [] };
    assert.deepEqual([await ask('show dirty'), await ask('show dirty wide')], [none, none]);
  });

  test('config: flat, with the names of the configuration file; origin; nothing secret', async (t) => {
    const { site, ask } = await controlled(
      t,
      ['-w', '2', '--env', 'DATABASE=postgres://me:hunter2@db/x', '--max-surge', '50%'],
      { env: { KIRIN_TIMEOUT: '12' } },
    );
    const config = await ask('show config');
    const { workers, timeout, max_surge, control_socket, control_socket_mode, raw_env, keepalive } = config;
    assert.deepEqual(
      [workers, timeout, max_surge, control_socket, control_socket_mode, raw_env, keepalive],
      [2, 12, '50%', site.path('kirin.ctl'), '0600', { DATABASE: '***' }, null],
    );
    const origin = await ask('show config origin');
    assert.deepEqual(Object.keys(origin), Object.keys(config));
    assert.deepEqual(origin.workers, { value: 2, origin: '--workers' });
    assert.deepEqual(origin.timeout, { value: 12, origin: 'KIRIN_TIMEOUT' });
    assert.deepEqual(origin.backlog, { value: 2048, origin: 'default' });
    assert.doesNotMatch(JSON.stringify([config, origin]), /hunter2/);
  });

  test('config after a reload: what it changed, and what needs a restart as it was', async (t) => {
    const site = new Site(t);
    site.write('kirin.config.json', '{"timeout": 20, "loglevel": "debug"}');
    const server = await serve(t, fixture('app.mjs'), [], { control: true, cwd: site.directory });
    const path = site.path('kirin.ctl');
    await server.told(/^control socket/);
    site.write('kirin.config.json', '{"timeout": 25, "control_sessions": 3}');
    await server.reload();
    const { data } = await ControlClient.once(path, 'show config');
    assert.deepEqual([data.timeout, data.control_sessions], [25, 64]);
    assert.ok(server.all(/--control-sessions was changed, which needs a restart/).length > 0);
  });

  test('stats', async (t) => {
    const { server, ask } = await controlled(t);
    await server.settled(2);
    const before = await ask('show stats');
    assert.match(
      shape(before),
      /^uptime:number pid:number workers_current:number workers_target:number workers_spawned:number workers_killed:number reloads:number dirty_arbiter_pid:null /,
    );
    const { uptime, ...counts } = before;
    assert.ok(uptime > 0);
    assert.deepEqual(
      [counts.pid, counts.workers_current, counts.workers_target, counts.workers_spawned],
      [server.pid, 2, 2, 2],
    );
    assert.deepEqual([counts.workers_killed, counts.reloads], [0, 0]);
    await ask('worker add');
    await ask('reload --wait');
    await ask('worker remove --wait');
    const after = await ask('show stats');
    assert.deepEqual(
      [after.workers_current, after.workers_target, after.workers_spawned, after.workers_killed],
      [2, 2, 6, 4],
    );
    assert.deepEqual([after.reloads, after.generation], [1, 2]);
  });

  test('listeners of every type', async (t) => {
    const site = new Site(t);
    const binds = ['-b', '127.0.0.1:0', '-b', '[::1]:0', '-b', `unix:${site.path('app.sock')}`];
    const { ask } = await controlled(t, binds);
    const { listeners, count } = await ask('show listeners');
    assert.equal(count, 3);
    assert.equal(shape(listeners[0]), 'address:string fd:number type:string generations:list');
    assert.deepEqual(
      listeners.map(({ type }: Data) => type),
      ['tcp', 'tcp6', 'unix'],
    );
    assert.match(listeners[0].address, /^127\.0\.0\.1:\d+$/);
    assert.deepEqual(listeners[2].generations, [1]);
  });

  test('generations during a reload, and why it stalls', async (t) => {
    const site = new Site(t);
    site.deploy('v1');
    const { server, ask } = await controlled(t, ['-w', '2'], { app: site.path('app.mjs') });
    await server.settled(2);
    const settled = await ask('show generations');
    assert.equal(
      shape(settled),
      'generations:list rollout:string hiring:string degraded:boolean stalled:boolean reason:null',
    );
    assert.equal(
      shape(settled.generations[0]),
      'generation:number status:string workers:number ready:number leaving:number addresses:list',
    );
    assert.deepEqual([settled.rollout, settled.hiring], ['settled', 'free']);
    site.deploy('v2', 'app.mjs', "if (process.env.KIRIN_WORKER_AGE > 3) throw new Error('half broken');");
    await ask('reload --wait');
    const stalled = await ask('show generations');
    assert.deepEqual(
      [stalled.rollout, stalled.hiring, stalled.degraded, stalled.stalled],
      ['stalled', 'coolingDown', true, true],
    );
    assert.match(stalled.reason, /half broken/);
    assert.deepEqual(
      stalled.generations.map(({ generation, status, ready }: Data) => [generation, status, ready]),
      [
        [1, 'outdated', 1],
        [2, 'committed', 1],
      ],
    );
  });

  test('machine: all of them, and one by its id or pid', async (t) => {
    const { server, ask, refused } = await controlled(t, ['-w', '1']);
    const [one] = await server.settled(1);
    const { machines, count } = await ask('show machine');
    assert.equal(count, machines.length);
    const states = Object.fromEntries(machines.map(({ id, state }: Data) => [id, state]));
    assert.equal(states['arbiter'], 'alive.supervising.serving');
    assert.equal(states['pool'], 'alive.running.rollout.settled | hiring.free | sizing.steady');
    assert.equal(states['control'], 'open.listening');
    assert.match(states['child.1'], /^alive\.ready\.(fresh|stable)$/);
    const session = machines.filter(({ machine }: Data) => machine === 'controlSession');
    assert.equal(session[0].state, 'alive.quiet');
    const child = await ask('show machine CHILD.1');
    assert.deepEqual([child.id, child.machine, child.pid, child.age], ['child.1', 'child', one!.pid, 1]);
    assert.deepEqual(Object.keys(child.path), ['alive']);
    assert.equal((await ask(`show machine ${one!.pid}`)).id, 'child.1');
    assert.equal(await refused('show machine nobody'), 'Unknown machine: nobody (see "show machine")');
  });

  test('events: the last ones, bounded', async (t) => {
    const { server, ask } = await controlled(t, ['-w', '1']);
    await server.settled(1);
    const { events, count, dropped } = await ask('show events 3');
    assert.deepEqual([count, dropped], [3, 0]);
    assert.match(shape(events[0]), /^seq:number time:string level:string text:string/);
    const all = (await ask('show events 1000')).events;
    assert.deepEqual(
      all.map(({ seq }: Data) => seq),
      all.map((_: unknown, index: number) => index + 1),
    );
    assert.ok(all.some(({ text }: Data) => /^worker 1 .* is ready$/.test(text)));
    assert.equal((await ask('show events')).count, Math.min(20, all.length));
  });

  test('version and help', async (t) => {
    const { ask } = await controlled(t, ['-w', '1']);
    const version = await ask('show version');
    assert.deepEqual(
      [version.name, version.node, version.protocol, typeof version.version],
      ['kirin', process.version, 1, 'string'],
    );
    const { commands } = await ask('help');
    assert.ok(Object.keys(commands).includes('worker add [N] [--wait]'));
    assert.ok(!Object.keys(commands).some((usage) => usage.startsWith('cancel')));
  });
});
