/** kill -9 of an arbiter while what it started computes and sees nothing of it: nobody is left behind. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { dirtyApp, Tree } from './dirty-tree.ts';
import { eventually, needsProc } from './harness.ts';
import { groupMembers, isAlive } from './processes.ts';

const MODEL = dirtyApp('Model');
const two = ['--dirty-workers', '2', '--dirty-app', MODEL];
const spins = "console.log('spins in', process.pid); for (;;);";
const spinning = async (tree: Tree): Promise<number> =>
  Number((await tree.server.printed(/(?:spins|spinning) in (\d+)/))[1]);
const nobodyIsLeft = (tree: Tree) =>
  eventually('nobody is left', () => groupMembers(tree.server.pid).length === 0);

describe('kill -9 of an arbiter', { concurrency: 3, skip: needsProc }, () => {
  test('the dirty arbiter: a dirty worker that computes ends too, and so does a caller of it', async (t) => {
    const tree = await Tree.serve(t, [...two, '--dirty-graceful-timeout', '300']);
    const { pid } = await tree.settled(2);
    const call = tree.call(MODEL, 'spin');
    const worker = await spinning(tree);
    process.kill(pid, 'SIGKILL');
    assert.equal((await call).code, 'DIRTY_CONNECTION');
    await eventually('it has ended', () => !isAlive(worker));
    await tree.settled(2, (dirty) => dirty.pid !== pid);
    assert.equal((await tree.call(MODEL, 'who')).result.version, 'fixture');
    assert.equal(await tree.server.stop(), 0);
    assert.deepEqual(groupMembers(tree.server.pid), []);
    assert.deepEqual(tree.left(), []);
  });

  test('the dirty arbiter: a dirty worker whose init() computes ends too', async (t) => {
    const module = `import { existsSync } from 'node:fs';
      const { DirtyApp } = await import(process.env.TEST_KIRIN);
      export class Model extends DirtyApp {
        init() { if (existsSync('spin')) { ${spins} } }
        who() { return process.pid; }
      }`;
    const args = ['--dirty-workers', '1', '--dirty-app', './ml.mjs:Model'];
    const tree = await Tree.serve(t, args, { files: { 'ml.mjs': module } });
    const { pid, workers } = await tree.settled(1);
    tree.site.write('spin', '');
    process.kill(workers[0].pid, 'SIGKILL');
    const worker = await spinning(tree);
    tree.site.remove('spin');
    process.kill(pid, 'SIGKILL');
    await eventually('it has ended', () => !isAlive(worker));
    const after = await tree.settled(1, (dirty) => dirty.pid !== pid);
    assert.equal((await tree.call('./ml.mjs:Model', 'who')).result, after.workers[0].pid);
  });

  test('both arbiters at once: a dirty worker that computes ends with them', async (t) => {
    const tree = await Tree.serve(t, two);
    const { pid } = await tree.settled(2);
    tree.call(MODEL, 'spin').catch(() => {});
    await spinning(tree);
    process.kill(tree.server.pid, 'SIGKILL');
    process.kill(pid, 'SIGKILL');
    await nobodyIsLeft(tree);
  });

  test('the arbiter: a dirty worker that computes has the grace, then it ends', async (t) => {
    const tree = await Tree.serve(t, [...two, '--dirty-graceful-timeout', '1']);
    await tree.settled(2);
    tree.call(MODEL, 'spin').catch(() => {});
    await spinning(tree);
    process.kill(tree.server.pid, 'SIGKILL');
    await nobodyIsLeft(tree);
    assert.deepEqual(tree.left(), [], 'nor is the socket, or the stash');
  });

  test('the arbiter: the process that looks into a dirty module which computes ends with it', async (t) => {
    const args = ['--dirty-workers', '1', '--dirty-app', './ml.mjs:Model'];
    const tree = Tree.launch(t, args, { files: { 'ml.mjs': spins } });
    await spinning(tree);
    process.kill(tree.server.pid, 'SIGKILL');
    await nobodyIsLeft(tree);
  });

  test('the arbiter: the process that evaluates a configuration which computes ends with it', async (t) => {
    const tree = Tree.launch(t, ['--config', 'kirin.config.mjs'], { files: { 'kirin.config.mjs': spins } });
    await spinning(tree);
    process.kill(tree.server.pid, 'SIGKILL');
    await nobodyIsLeft(tree);
  });
});
