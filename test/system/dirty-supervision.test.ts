/** Dirty processes that die or are told to go: who replaces them, and that nobody is left behind. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Data } from './controlled.ts';
import { dirtyApp, Tree } from './dirty-tree.ts';
import { eventually, needsProc } from './harness.ts';
import { groupMembers, isAlive } from './processes.ts';

const MODEL = dirtyApp('Model');
const SINGLE = dirtyApp('Single');
const two = ['--dirty-workers', '2', '--dirty-app', MODEL];

describe('dirty workers', { concurrency: 2 }, () => {
  test('a dirty worker that is killed is replaced in its slot and loads its apps (facts: allocation)', async (t) => {
    const tree = await Tree.serve(t, [...two, '--dirty-app', SINGLE]);
    const before = await tree.settled(2);
    const holder = before.workers.find(({ slot }: Data) => slot === 0)!;
    assert.deepEqual(holder.apps, [MODEL, SINGLE]);
    process.kill(holder.pid, 'SIGKILL');
    const after = await tree.settled(2, ({ workers }) =>
      workers.every(({ pid }: Data) => pid !== holder.pid),
    );
    const heir = after.workers.find(({ slot }: Data) => slot === 0)!;
    assert.deepEqual(heir.apps, [MODEL, SINGLE]);
    assert.equal((await tree.call(SINGLE, 'who')).result.pid, heir.pid);
    await tree.server.told(/^dirty worker 1 \(pid \d+\) ended unexpectedly, by SIGKILL/);
  });

  test('process.exit in an action ends its call and its worker, which is replaced', async (t) => {
    const tree = await Tree.serve(t, ['--dirty-workers', '1', '--dirty-app', MODEL]);
    const { workers } = await tree.settled(1);
    const { code } = await tree.call(MODEL, 'exit', 3);
    assert.equal(code, 'DIRTY_WORKER_DIED');
    await tree.settled(1, ({ workers: [{ pid }] }) => pid !== workers[0].pid);
    assert.equal((await tree.call(MODEL, 'who')).result.version, 'fixture');
  });

  test('10: a dirty worker that crashes at each start is tried again with backoff', async (t) => {
    const module = `import { existsSync } from 'node:fs';
      const { DirtyApp } = await import(process.env.TEST_KIRIN);
      export class Model extends DirtyApp {
        init() { if (!existsSync('good')) throw new Error('no model any more'); }
        who() { return process.pid; }
      }`;
    const args = ['--dirty-workers', '1', '--dirty-app', './ml.mjs:Model'];
    const tree = await Tree.serve(t, args, { files: { 'ml.mjs': module, good: '' } });
    const { workers } = await tree.settled(1);
    tree.site.remove('good');
    process.kill(workers[0].pid, 'SIGKILL');
    const waits = /^a dirty worker could not be replaced: .*no model any more.*; next try within ([\d.]+) s$/;
    await tree.server.until('it was tried often', () => tree.server.all(waits).length >= 4);
    const seconds = tree.server.all(waits).map(({ msg }) => Number(waits.exec(msg)![1]));
    assert.ok(seconds[3]! > seconds[0]!, `${seconds}: the waits grow`);
    const { reason } = await tree.until('it says why', (dirty) => dirty.reason);
    assert.match(reason, /no model any more/);
    assert.equal((await tree.call('./ml.mjs:Model', 'who')).code, 'DIRTY_UNAVAILABLE');
    tree.site.write('good', '');
    await tree.settled(1);
    assert.equal(typeof (await tree.call('./ml.mjs:Model', 'who')).result, 'number');
  });

  test('9: no call goes to a dirty worker that has not booted', async (t) => {
    const module = `import { existsSync } from 'node:fs';
      const { DirtyApp } = await import(process.env.TEST_KIRIN);
      export class Model extends DirtyApp {
        async init() {
          while (process.env.KIRIN_WORKER_AGE === '2' && !existsSync('go')) await new Promise((go) => setTimeout(go, 10));
          this.up = true;
        }
        who() { return [process.pid, this.up]; }
      }`;
    const args = ['--dirty-workers', '2', '--dirty-app', './ml.mjs:Model'];
    const tree = await Tree.serve(t, args, { files: { 'ml.mjs': module } });
    const { workers } = await tree.until('one of two is ready', (dirty) => {
      const booted = dirty.workers.map((worker: Data) => worker.booted);
      return dirty.workers.length === 2 && booted.includes(true) && booted.includes(false);
    });
    const ready = workers.find(({ booted }: Data) => booted)!.pid;
    const calls = Array.from({ length: 8 }, () => tree.call('./ml.mjs:Model', 'who'));
    for (const { result } of await Promise.all(calls)) assert.deepEqual(result, [ready, true]);
    tree.site.write('go', '');
    await tree.settled(2);
  });

  test('close() is called at the exit, and one that throws is told and delays nobody', async (t) => {
    const tree = await Tree.serve(t, [
      '--dirty-workers',
      '1',
      '--dirty-app',
      MODEL,
      '--dirty-app',
      dirtyApp('BadClose'),
    ]);
    const { workers } = await tree.settled(1);
    assert.equal(await tree.server.stop(), 0);
    assert.match(tree.server.output, new RegExp(`close of fixture in ${workers[0].pid}`));
    assert.match(tree.server.output, /bad close in/);
    await tree.server.told(/BadClose.*close\(\).*cannot close/);
    assert.deepEqual(tree.left(), []);
  });
});

describe('limits of dirty workers', { concurrency: 2 }, () => {
  test('13: --dirty-timeout 0 and --dirty-graceful-timeout 0 mean what they say', async (t) => {
    const args = ['--dirty-timeout', '0', '--dirty-graceful-timeout', '0', '--boot-timeout', '0'];
    const tree = await Tree.serve(t, [...two, ...args]);
    await tree.settled(2);
    const held = await tree.hold(MODEL);
    assert.equal((await tree.call(MODEL, 'who')).result.version, 'fixture');
    assert.equal((await tree.ask('show config')).dirty_timeout, 0);
    tree.site.write('go', '');
    assert.equal((await held.answer).result.pid, held.pid);
    assert.match((await tree.server.reload()).msg, /^reload done/);
    assert.equal((await tree.call(MODEL, 'who')).result.version, 'fixture');
    assert.equal(await tree.server.stop(), 0);
    assert.deepEqual(tree.left(), []);
  });

  test('10: while one slot fails for ever the other serves, and each app says what there is of it', async (t) => {
    const module = `import { existsSync } from 'node:fs';
      const { DirtyApp } = await import(process.env.TEST_KIRIN);
      export class Model extends DirtyApp {
        static workers = 1;
        init() { if (!existsSync('good')) throw new Error('no model any more'); }
      }`;
    const files = { 'ml.mjs': module, good: '' };
    const tree = await Tree.serve(t, [...two, '--dirty-app', './ml.mjs:Model'], { files });
    const { workers } = await tree.settled(2);
    tree.site.remove('good');
    process.kill(workers[0].pid, 'SIGKILL');
    await tree.server.told(/^a dirty worker could not be replaced: .*no model any more/);
    for (let asked = 0; asked < 10; asked++)
      assert.equal((await tree.call(MODEL, 'who')).result.pid, workers[1].pid);
    assert.equal((await tree.call('./ml.mjs:Model', 'who')).code, 'DIRTY_UNAVAILABLE');
    // Those that die meanwhile are replaced as if nothing were wrong, and calls wait for them.
    for (let death = 0; death < 3; death++) {
      const { pid } = (await tree.call(MODEL, 'who')).result;
      process.kill(pid, 'SIGKILL');
      await tree.server.told(new RegExp(`^dirty worker \\d+ \\(pid ${pid}\\) ended unexpectedly`));
      const { result, code } = await tree.call(MODEL, 'who');
      assert.ok(result, code);
      assert.match((await tree.dirty()).reason, /no model any more/);
    }
    assert.equal((await tree.call('./ml.mjs:Model', 'who')).code, 'DIRTY_UNAVAILABLE');
    tree.site.write('good', '');
    await tree.settled(2);
    assert.equal((await tree.dirty()).reason, null);
  });

  test('INT to the whole group, as a terminal sends it, ends all with nothing left', async (t) => {
    const tree = await Tree.serve(t, two);
    await tree.settled(2);
    process.kill(-tree.server.pid, 'SIGINT');
    assert.deepEqual(await tree.server.exit(), { code: 0, signal: null });
    assert.deepEqual(groupMembers(tree.server.pid), []);
    assert.deepEqual(tree.left(), []);
    assert.deepEqual(
      tree.server.lines.filter(({ level }) => level === 'error' || level === 'fatal'),
      [],
    );
  });

  test('TERM while the first dirty worker still starts ends all at once', async (t) => {
    const module = `const { DirtyApp } = await import(process.env.TEST_KIRIN);
      export class Model extends DirtyApp {
        init() { console.log('starts'); return new Promise((go) => setTimeout(go, 60_000)); }
      }`;
    const args = ['--dirty-workers', '1', '--dirty-app', './ml.mjs:Model', '--dirty-graceful-timeout', '300'];
    const tree = Tree.launch(t, args, { files: { 'ml.mjs': module } });
    await tree.server.printed(/starts/);
    await tree.server.told(/^serving /);
    assert.equal(await tree.server.stop(), 0);
    assert.deepEqual(tree.left(), []);
  });
});

describe('the dirty arbiter', { concurrency: 2, skip: needsProc }, () => {
  test('8: killed, it takes its workers with it and is restarted at the same path; no orphan, no call hangs', async (t) => {
    const tree = await Tree.serve(t, two);
    const before = await tree.settled(2);
    const held = await tree.hold(MODEL);
    process.kill(before.pid, 'SIGKILL');
    assert.equal((await held.answer).code, 'DIRTY_CONNECTION');
    await eventually('its workers have ended', () => before.workers.every(({ pid }: Data) => !isAlive(pid)));
    // The web worker is the same, and finds the new one.
    const { result } = await tree.call(MODEL, 'who');
    assert.ok(result, 'answered again');
    const after = await tree.settled(2);
    assert.notEqual(after.pid, before.pid);
    assert.ok(after.workers.some(({ pid }: Data) => pid === result.pid));
    assert.equal(tree.left().length, 1, 'one directory, the same');
    // The arbiter, a web worker, the dirty arbiter and its two workers.
    assert.equal(groupMembers(tree.server.pid).length, 5);
    await tree.server.told(/^dirty arbiter \(pid \d+\) .*SIGKILL/);
  });

  test('killed again and again it comes back with backoff, and what was stashed is still there', async (t) => {
    const tree = await Tree.serve(t, two);
    await tree.server.get('/stash/put?a="t"&a="key"&a=42');
    let { pid } = await tree.settled(2);
    for (let time = 0; time < 3; time++) {
      process.kill(pid, 'SIGKILL');
      pid = (await tree.until('there is another', (dirty) => dirty.pid && dirty.pid !== pid)).pid;
    }
    await tree.settled(2);
    assert.deepEqual((await tree.server.get('/stash/get?a="t"&a="key"')).json(), { result: 42 });
    assert.equal(tree.server.workers().length, 1);
    assert.equal(tree.server.workers()[0]!.age, 1, 'no web worker was lost');
  });

  test('kill -9 of the arbiter ends the whole tree', async (t) => {
    const tree = await Tree.serve(t, two);
    await tree.settled(2);
    await tree.hold(MODEL);
    process.kill(tree.server.pid, 'SIGKILL');
    await eventually('nobody is left', () => groupMembers(tree.server.pid).length === 0);
    assert.deepEqual(tree.left(), [], 'nor is the socket, or the stash');
  });

  test('TERM to the server: calls of draining web workers are answered, then the dirty tree leaves', async (t) => {
    const tree = await Tree.serve(t, two);
    await tree.settled(2);
    const held = await tree.hold(MODEL);
    tree.server.signal('SIGTERM');
    await tree.server.told(/^worker 1 .*is draining/);
    assert.ok(isAlive(held.pid));
    tree.site.write('go', '');
    assert.equal((await held.answer).result.pid, held.pid);
    assert.deepEqual(await tree.server.exit(), { code: 0, signal: null });
    const place = (pattern: RegExp) => tree.server.lines.findIndex(({ msg }) => pattern.test(msg));
    assert.ok(place(/^worker 1 .* ended/) < place(/^dirty arbiter .* is draining/), tree.server.tail());
    assert.equal(tree.server.output.match(/close of fixture/g)?.length, 2);
    assert.deepEqual(groupMembers(tree.server.pid), []);
    assert.deepEqual(tree.left(), []);
  });

  test('a second signal hastens: what runs is cut, and nothing is left', async (t) => {
    const tree = await Tree.serve(t, [
      ...two,
      '--graceful-timeout',
      '300',
      '--dirty-graceful-timeout',
      '300',
    ]);
    await tree.settled(2);
    const held = await tree.hold(MODEL);
    void tree.call(MODEL, 'spin').catch(() => {});
    await tree.server.printed(/spinning in/);
    tree.server.signal('SIGTERM');
    await tree.server.told(/^worker 1 .*is draining/);
    await tree.server.hasten();
    await held.answer.catch(() => {});
    const { code } = await tree.server.exit();
    assert.equal(code, 143);
    assert.deepEqual(tree.left(), []);
  });

  test('shutdown cuts a dirty worker that computes on beyond --dirty-graceful-timeout', async (t) => {
    const tree = await Tree.serve(t, [...two, '--graceful-timeout', '1', '--dirty-graceful-timeout', '1']);
    await tree.settled(2);
    void tree.call(MODEL, 'spin').catch(() => {});
    await tree.server.printed(/spinning in/);
    assert.equal(await tree.server.stop(), 0);
    assert.deepEqual(tree.left(), []);
  });
});
