/** A reload cures dirty workers that cannot start: also where the dirty arbiter itself cannot, and nobody is there to try it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { dirtyModule, Tree } from './dirty-tree.ts';

const ARGS = ['--dirty-workers', '1', '--dirty-app', './ml.mjs:Model', '--reload-settle', '0.2'];
const BROKEN = "throw new Error('no weights');";
const APP = './ml.mjs:Model';

/** A server whose dirty app can be loaded no more, and whose dirty arbiter was killed after that. */
async function failing(t: Parameters<typeof Tree.serve>[0]): Promise<Tree> {
  const tree = await Tree.serve(t, ARGS, { files: { 'ml.mjs': dirtyModule('v1') } });
  const { pid } = await tree.settled(1);
  tree.site.write('ml.mjs', BROKEN);
  process.kill(pid, 'SIGKILL');
  // Twice: from now on it waits before it tries again.
  await tree.server.until(
    'it fails again and again',
    () => tree.server.lines.filter(({ msg }) => /no weights/.test(msg)).length >= 2,
  );
  return tree;
}

describe('dirty workers that cannot start are cured by a reload', { concurrency: 2 }, () => {
  test('where the dirty arbiter cannot start either', async (t) => {
    const tree = await failing(t);
    const web = tree.server.ready().map(({ pid }) => pid);
    tree.site.write('ml.mjs', dirtyModule('v2'));
    const end = await tree.ask('reload --wait');
    assert.deepEqual([end.success, end.status], [true, 'done'], JSON.stringify(end));
    assert.equal((await tree.call(APP, 'who')).result?.version, 'v2');
    await tree.settled(1);
    assert.ok(
      tree.server.ready().every(({ pid }) => !web.includes(pid)),
      'web workers were replaced too',
    );
    // What is committed is what the next one is started with.
    process.kill((await tree.dirty()).pid, 'SIGKILL');
    await tree.server.until('calls are answered again', async () => {
      const { result } = await tree.call(APP, 'who');
      return result?.version === 'v2';
    });
  });

  test('one whose cure is none fails with the reason, and changes nothing', async (t) => {
    const tree = await failing(t);
    tree.site.write('ml.mjs', "export { Model } from './more.mjs';");
    tree.site.write(
      'more.mjs',
      dirtyModule('v2')
        .replace('export const Model =', 'export const Model = class extends')
        .replace(/;\n$/, " { init() { throw new Error('no licence'); } };\n"),
    );
    const pids = tree.server.ready().map(({ pid }) => pid);
    const end = await tree.ask('reload --wait');
    assert.deepEqual([end.success, end.status], [false, 'failed'], JSON.stringify(end));
    assert.match(end.error, /no licence/);
    assert.deepEqual(
      tree.server
        .ready()
        .map(({ pid }) => pid)
        .slice(0, pids.length),
      pids,
    );
    assert.equal((await tree.server.get('/')).status, 200);
    tree.site.write('more.mjs', dirtyModule('v3'));
    assert.equal((await tree.ask('reload --wait')).status, 'done');
    assert.equal((await tree.call(APP, 'who')).result?.version, 'v3');
  });

  test('where the dirty arbiter lives and its workers fail: candidates do not wait', async (t) => {
    const tree = await Tree.serve(t, ARGS, { files: { 'ml.mjs': dirtyModule('v1') } });
    const { workers, pid } = await tree.settled(1);
    tree.site.write('ml.mjs', BROKEN);
    process.kill(workers[0].pid, 'SIGKILL');
    await tree.server.until('it fails', () => tree.server.lines.some(({ msg }) => /no weights/.test(msg)));
    tree.site.write('ml.mjs', dirtyModule('v2'));
    assert.equal((await tree.ask('reload --wait')).status, 'done');
    assert.equal((await tree.call(APP, 'who')).result?.version, 'v2');
    assert.equal((await tree.dirty()).pid, pid);
  });
});
