/** Dirty workers over the control interface, and in its shell: every field in its order, live and true. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Data } from './controlled.ts';
import { dirtyApp, dirtyModule, Tree } from './dirty-tree.ts';
import { needsProc } from './harness.ts';
import { isAlive } from './processes.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const kirinc = resolve(root, process.env['KIRIN_DIST'] ?? 'dist', 'kirinc.js');

const MODEL = './ml.mjs:Model';
const SINGLE = dirtyApp('Single');
const PAIR = dirtyApp('Pair');
const files = { 'ml.mjs': dirtyModule('v1') };
const both = ['--dirty-workers', '2', '--dirty-app', MODEL, '--dirty-app', SINGLE];

/** Names and types of an object's fields, in their order. */
const shape = (value: object): string =>
  Object.entries(value)
    .map(([name, one]) => `${name}:${one === null ? 'null' : Array.isArray(one) ? 'list' : typeof one}`)
    .join(' ');

async function shell(
  tree: Tree,
  command: string,
  ...flags: string[]
): Promise<{ code: number; out: string }> {
  const args = [kirinc, '-s', tree.site.path('kirin.ctl'), '-c', command, ...flags];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const exit = new Promise<number>((done) => child.once('exit', (code) => done(code ?? -1)));
  return { out: await text(child.stdout), code: await exit };
}

describe('show', { concurrency: 2 }, () => {
  test('dirty: the fields and their order, live and true', async (t) => {
    const tree = await Tree.serve(t, both, { files });
    await tree.settled(2);
    const held = await tree.hold(MODEL);
    const dirty = await tree.until('the call is seen', ({ workers }) =>
      workers.some(({ in_flight }: Data) => in_flight === 1),
    );
    assert.match(shape(dirty), /^enabled:boolean pid:number workers:list apps:list target_workers:number /);
    assert.equal(dirty.enabled, true);
    const [first, second] = dirty.workers;
    assert.match(shape(first), /^pid:number age:number apps:list booted:boolean last_heartbeat:number /);
    assert.deepEqual(
      dirty.workers.map(({ age, slot, apps, booted }: Data) => ({ age, slot, apps, booted })),
      [
        { age: 1, slot: 0, apps: [MODEL, SINGLE], booted: true },
        { age: 2, slot: 1, apps: [MODEL], booted: true },
      ],
    );
    assert.deepEqual(
      dirty.apps.map((app: Data) => Object.entries(app).slice(0, 4)),
      [
        [
          ['import_path', MODEL],
          ['worker_count', null],
          ['current_workers', 2],
          ['worker_pids', [first.pid, second.pid]],
        ],
        [
          ['import_path', SINGLE],
          ['worker_count', 1],
          ['current_workers', 1],
          ['worker_pids', [first.pid]],
        ],
      ],
    );
    const busy = dirty.workers.find(({ pid }: Data) => pid === held.pid);
    assert.equal(busy.running.length, 1);
    assert.deepEqual([busy.running[0].app, busy.running[0].state], [MODEL, 'running']);
    tree.site.write('go', '');
    await held.answer;
    await tree.until('the call is gone', ({ workers }) =>
      workers.every(({ in_flight, running }: Data) => in_flight === 0 && running.length === 0),
    );
  });

  test('all, stats and calls', async (t) => {
    const tree = await Tree.serve(t, ['--dirty-workers', '1', '--dirty-app', MODEL], { files });
    const dirty = await tree.settled(1);
    const all = await tree.ask('show all');
    assert.deepEqual(all.dirty_arbiter, { pid: dirty.pid, type: 'dirty_arbiter', role: 'dirty master' });
    assert.equal(all.dirty_worker_count, 1);
    assert.match(
      shape(all.dirty_workers[0]),
      /^pid:number age:number apps:list booted:boolean last_heartbeat:number /,
    );
    assert.equal((await tree.ask('show stats')).dirty_arbiter_pid, dirty.pid);
    assert.deepEqual(await tree.ask('show calls'), { calls: [], count: 0 });
    const held = await tree.hold(MODEL);
    const waiting = tree.call(MODEL, 'who');
    const { calls } = await tree.server.until('one runs, one waits', async () => {
      const shown = await tree.ask('show calls');
      return shown.count === 2 ? shown : undefined;
    });
    assert.equal(
      shape(calls[0]),
      'id:number state:string age_ms:number app:string worker_pid:number caller_pid:number',
    );
    const [web] = tree.server.ready();
    assert.deepEqual(
      calls.map(({ state, app, worker_pid, caller_pid }: Data) => [state, app, worker_pid, caller_pid]),
      [
        ['running', MODEL, held.pid, web!.pid],
        ['queued', MODEL, null, web!.pid],
      ],
    );
    assert.equal((await tree.ask('show workers')).count, 1, 'web workers only');
    tree.site.write('go', '');
    assert.equal((await held.answer).result.pid, (await waiting).result.pid);
  });

  test('without dirty workers', async (t) => {
    const tree = await Tree.serve(t, []);
    assert.deepEqual(await tree.ask('show dirty'), { enabled: false, pid: null, workers: [], apps: [] });
    assert.deepEqual(await tree.ask('show calls'), { calls: [], count: 0 });
    for (const command of ['dirty add', 'dirty remove 2 --wait', 'dirty cancel 1'])
      assert.deepEqual(await tree.ask(command), { success: false, error: 'Dirty arbiter not running' });
    assert.equal((await shell(tree, 'show dirty')).out.trim(), 'Dirty arbiter not running');
  });
});

describe('orders', { concurrency: 2 }, () => {
  test('dirty add and remove answer with exactly the documented fields', async (t) => {
    const tree = await Tree.serve(t, ['--dirty-workers', '2', '--dirty-app', MODEL], { files });
    await tree.settled(2);
    const head = { success: true, operation: 'add', requested: 2, spawned: 2 };
    const fields = Object.entries(await tree.ask('dirty add 2'));
    assert.deepEqual(fields, Object.entries({ ...head, total_workers: 4, target_workers: 4 }));
    await tree.settled(4);
    const removed = await tree.ask('dirty remove');
    assert.deepEqual(
      Object.entries(removed),
      Object.entries({
        success: true,
        operation: 'remove',
        requested: 1,
        removed: 1,
        total_workers: 3,
        target_workers: 3,
      }),
    );
    const waited = await tree.ask('dirty remove --wait');
    assert.equal(
      Object.keys(waited).join(' '),
      'success status operation requested removed total_workers target_workers duration_ms',
    );
    assert.deepEqual([waited.success, waited.status, waited.total_workers], [true, 'done', 2]);
    const { workers } = await tree.dirty();
    assert.equal(workers.length, 2, 'those removed are gone');
    const added = await tree.ask('dirty add --wait');
    assert.deepEqual([added.success, added.status, added.spawned], [true, 'done', 1]);
    assert.ok(
      (await tree.dirty()).workers.every(({ booted }: Data) => booted),
      'those added are ready',
    );
    await tree.server.told(/^the number of dirty workers goes from 2 to 3$/);
  });

  test('dirty remove --wait waits for what its workers still run, and for no stranger that leaves', async (t) => {
    const tree = await Tree.serve(t, ['--dirty-workers', '2', '--dirty-app', MODEL], { files });
    await tree.settled(2);
    const stranger = await tree.hold(MODEL, 'later');
    assert.equal((await tree.ask(`worker kill ${stranger.pid}`)).success, true);
    await tree.until(
      'there is another',
      ({ workers }) =>
        workers.length === 3 && workers.filter(({ state }: Data) => state === 'ready').length === 2,
    );
    const held = [await tree.hold(MODEL), await tree.hold(MODEL)];
    const client = await tree.client();
    client.request({ id: 'remove', command: 'dirty remove --wait' });
    await tree.until('one is left', ({ target_workers }) => target_workers === 1);
    assert.equal(
      client.frames.some(({ id }) => id === 'remove'),
      false,
    );
    tree.site.write('go', '');
    const { data } = await client.answer('remove');
    assert.deepEqual([data.success, data.removed], [true, 1]);
    assert.ok(isAlive(stranger.pid));
    tree.site.write('later', '');
    for (const { answer } of [...held, stranger]) assert.ok((await answer).result);
  });

  test('at the bounds what fits is done, with the reason', async (t) => {
    const tree = await Tree.serve(t, [
      '--dirty-workers',
      '3',
      '--dirty-app',
      PAIR,
      '--dirty-app',
      `${SINGLE}:3`,
    ]);
    await tree.settled(3);
    const full = 'all apps have reached their worker limits';
    assert.deepEqual(await tree.ask('dirty add 4'), {
      success: true,
      operation: 'add',
      requested: 4,
      spawned: 0,
      total_workers: 3,
      target_workers: 3,
      reason: full,
    });
    assert.deepEqual(await tree.ask('dirty remove'), {
      success: true,
      operation: 'remove',
      requested: 1,
      removed: 0,
      total_workers: 3,
      target_workers: 3,
      reason: 'an app is to have 3 workers; there must be as many',
    });
    const waited = await tree.ask('dirty add --wait');
    assert.deepEqual([waited.spawned, waited.reason], [0, full]);
    for (const action of ['add', 'remove']) {
      const { error } = await (await tree.client()).ask(`dirty ${action} 0`);
      assert.match(error!, /Invalid number of workers: 0/);
    }
  });

  test('dirty cancel ends a call for its caller, and says so of one that is not', async (t) => {
    const tree = await Tree.serve(t, ['--dirty-workers', '1', '--dirty-app', MODEL], { files });
    await tree.settled(1);
    const held = await tree.hold(MODEL);
    const { calls } = await tree.ask('show calls');
    assert.deepEqual(await tree.ask(`dirty cancel ${calls[0].id}`), {
      success: true,
      cancelled: calls[0].id,
    });
    assert.equal((await held.answer).code, 'DIRTY_CANCELLED');
    await tree.until('its worker is free', ({ workers }) => workers[0].in_flight === 0);
    assert.deepEqual(await tree.ask(`dirty cancel ${calls[0].id}`), {
      success: false,
      error: `there is no call ${calls[0].id}`,
    });
    const { error } = await (await tree.client()).ask('dirty cancel it');
    assert.match(error!, /^Invalid ID: it/);
  });

  test('worker kill of a dirty worker: it finishes what it runs; quick cuts it; it is replaced', async (t) => {
    const tree = await Tree.serve(t, ['--dirty-workers', '1', '--dirty-app', MODEL], { files });
    const { pid: arbiter } = await tree.settled(1);
    const held = await tree.hold(MODEL);
    assert.deepEqual(await tree.ask(`worker kill ${held.pid}`), { success: true, killed: held.pid });
    assert.deepEqual(await tree.ask(`worker kill ${held.pid}`), {
      success: false,
      error: `Worker ${held.pid} is leaving already`,
    });
    tree.site.write('go', '');
    assert.equal((await held.answer).result.pid, held.pid);
    await tree.settled(1, ({ workers }) => workers[0].pid !== held.pid);
    tree.site.remove('go');
    const again = await tree.hold(MODEL);
    assert.deepEqual(await tree.ask(`worker kill ${again.pid} quick`), { success: true, killed: again.pid });
    assert.ok((await again.answer).code);
    await tree.settled(1, ({ workers }) => workers[0].pid !== again.pid);
    for (const [pid, error] of [
      [tree.server.pid, `${tree.server.pid} is the arbiter: use "shutdown"`],
      [arbiter, `${arbiter} is the dirty arbiter: use "dirty" and "reload"`],
      [1, 'Worker 1 not found'],
    ])
      assert.deepEqual(await tree.ask(`worker kill ${pid}`), { success: false, error });
  });

  test('while the dirty arbiter is down every command but a reload is answered at once', {
    skip: needsProc,
  }, async (t) => {
    const slow =
      "const { existsSync } = await import('node:fs'); while (process.title.includes('dirty worker') && existsSync('slow')) await new Promise((go) => setTimeout(go, 10));";
    const tree = await Tree.serve(t, ['--dirty-workers', '1', '--dirty-app', MODEL], {
      files: { 'ml.mjs': dirtyModule('v1', '{}', slow) },
    });
    const { pid, workers } = await tree.settled(1);
    tree.site.write('slow', '');
    process.kill(pid, 'SIGKILL');
    await tree.until('it is down', (dirty) => dirty.pid === null);
    const down = { success: false, error: 'the dirty arbiter is not running; it is being restarted' };
    for (const command of ['dirty add', 'dirty remove', 'dirty cancel 1'])
      assert.deepEqual(await tree.ask(command), down);
    const waited = await tree.ask('dirty add --wait');
    assert.deepEqual(
      [waited.success, waited.status, waited.error],
      [false, 'failed', `T${down.error.slice(1)}`],
    );
    assert.deepEqual((await tree.ask(`worker kill ${workers[0].pid}`)).success, false);
    const shown = await tree.dirty();
    assert.deepEqual([shown.enabled, shown.pid, shown.workers, shown.target_workers], [true, null, [], 1]);
    assert.deepEqual(shown.apps, [
      { import_path: MODEL, worker_count: null, current_workers: 0, worker_pids: [] },
    ]);
    assert.match(shown.reason, /still starts its first dirty worker/);
    assert.equal((await tree.ask('show stats')).dirty_arbiter_pid, null);
    const all = await tree.ask('show all');
    assert.deepEqual([all.dirty_arbiter, all.dirty_workers, all.dirty_worker_count], [null, [], 0]);
    // A reload is not: it may be what the dirty arbiter needs.
    const reloading = tree.ask('reload --wait');
    assert.match((await shell(tree, 'show all')).out, /DIRTY ARBITER\n {2}\(not running\)/);
    tree.site.remove('slow');
    assert.equal((await reloading).status, 'done');
    // None was replaced where the dirty arbiter was started with it.
    await tree.server.told(/^reload done: 1 worker and [01] dirty workers? of the new generation/);
    await tree.settled(1);
    assert.equal((await tree.ask('dirty add --wait')).status, 'done');
  });
});

test("kirinc's text: show dirty, show dirty wide and show all", async (t) => {
  const tree = await Tree.serve(t, both, { files });
  const { pid, workers } = await tree.settled(2);
  const plain = await shell(tree, 'show dirty');
  assert.equal(plain.code, 0);
  const [a, b] = workers.map((worker: Data) => String(worker.pid).padEnd(11));
  const beat = '[\\d.]+s ago';
  const lines = [
    `Dirty arbiter PID: ${pid}`,
    '',
    'DIRTY WORKERS:',
    'PID        AGE    APPS                           LAST_BEAT',
    '-{60}',
    `${a}1      .*Model.*Single.* ${beat}`,
    `${b}2      \\./ml\\.mjs:Model +${beat}`,
    '',
    'DIRTY APPS:',
    'APP                            WORKERS    LIMIT',
    '-{50}',
    '\\./ml\\.mjs:Model +2 +none',
    '.*:Single +1 +1',
  ];
  assert.match(plain.out, new RegExp(`^${lines.join('\\n')}`));
  const wide = await shell(tree, 'show dirty wide');
  assert.equal(wide.code, 0);
  for (const title of ['SLOT', 'GEN', 'STATE', 'CALLS', 'IN_FLIGHT', 'RSS', 'APPS'])
    assert.match(wide.out, new RegExp(title));
  const all = await shell(tree, 'show all');
  assert.match(
    all.out,
    new RegExp(
      `DIRTY ARBITER\\n  PID: ${pid}\\n\\nDIRTY WORKERS \\(2\\)\\n  PID        AGE    APPS\\n  -{50}\\n  ${a}1      Model\\n {20}Single\\n  ${b}2      Model\\n`,
    ),
  );
  assert.equal(JSON.parse((await shell(tree, 'show dirty', '-j')).out).pid, pid);
  const { code, out } = await shell(tree, 'dirty cancel 9999');
  assert.equal(code, 1, out);
});
