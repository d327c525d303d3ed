/** What becomes of hooks that still run when a dirty arbiter leaves or dies, and which release's hooks run, on real servers. */
import assert from 'node:assert/strict';
import { renameSync, symlinkSync } from 'node:fs';
import { describe, test } from 'node:test';
import { isRunning } from '../../src/actors/process-identity.ts';
import { dirtyApp, Tree } from './dirty-tree.ts';

const MODEL = dirtyApp('Model');
const ARGS = ['--dirty-workers', '1', '--dirty-app', MODEL, '--dirty-graceful-timeout', '2'];

/** A configuration with one hook, which writes down where it runs and then does this. */
const config = (hook: string, body: string): string =>
  `import { appendFileSync } from 'node:fs';
   export default { async ${hook}(subject) { appendFileSync('told', process.pid + '\\n'); ${body} } };`;

const toldIn = (tree: Tree): number[] => tree.site.read('told').split('\n').slice(0, -1).map(Number);
const files = (text: string) => ({ files: { 'kirin.config.mjs': text, told: '' } });

const NEVER = 'await new Promise(() => {});';
const BLOCK = 'for (;;);';

describe('hooks of a dirty arbiter that leaves', { concurrency: 2 }, () => {
  test('one that blocks ends with a dirty arbiter that is killed', async (t) => {
    const tree = await Tree.serve(t, ARGS, files(config('dirty_worker_exit', BLOCK)));
    const { workers, pid } = await tree.settled(1);
    process.kill(workers[0].pid, 'SIGKILL');
    const [hook] = await tree.server.until('the hook runs', () =>
      toldIn(tree).length ? toldIn(tree) : undefined,
    );
    process.kill(pid, 'SIGKILL');
    await tree.server.until('its process is gone', () => !isRunning(hook!));
    await tree.settled(1, (dirty) => dirty.pid !== pid);
  });

  for (const [what, body] of [
    ['waits', NEVER],
    ['blocks', BLOCK],
  ] as const)
    for (const signal of ['SIGTERM', 'SIGINT'] as const)
      test(`${signal} while on_dirty_starting ${what}: it is cut short, and nothing is left`, async (t) => {
        const tree = Tree.launch(t, ARGS, files(config('on_dirty_starting', body)));
        const [hook] = await tree.server.until('the hook runs', () =>
          toldIn(tree).length ? toldIn(tree) : undefined,
        );
        assert.equal(await tree.server.stop(signal), 0, tree.server.tail());
        assert.equal(isRunning(hook!), false);
        assert.deepEqual(tree.server.all(/dirty arbiter.* is killed/), []);
        assert.deepEqual(tree.left(), []);
      });

  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    test(`${signal}: a hook of the last worker that does not end is cut short with a warning`, async (t) => {
      const tree = await Tree.serve(t, ARGS, files(config('dirty_worker_exit', BLOCK)));
      // A worker that does not leave when it is told to, so that every limit before that of hooks is reached.
      tree.call(MODEL, 'spin').catch(() => {});
      await tree.server.printed(/spinning in/);
      assert.equal(await tree.server.stop(signal), 0, tree.server.tail());
      assert.equal(isRunning(toldIn(tree)[0]!), false);
      assert.deepEqual(tree.server.all(/dirty arbiter.* is killed/), [], tree.server.tail());
      const [warning] = tree.server.all(/dirty_worker_exit in kirin\.config\.mjs failed: it was cut short/);
      assert.equal(warning?.level, 'warn', tree.server.tail());
    });

  test('workers that are hired after a deploy and before its reload run hooks of their own release', async (t) => {
    const text = (release: number): string =>
      `import { appendFileSync } from 'node:fs';
       const told = (hook) => () => appendFileSync('../told', '${release}: ' + hook + '\\n');
       export default { dirty_post_fork: told('fork'), dirty_worker_exit: told('exit') };`;
    const tree = await Tree.serve(t, ['--chdir', 'current', ...ARGS], {
      files: { 'one/kirin.config.mjs': text(1), 'two/kirin.config.mjs': text(2), told: '' },
      links: { current: 'one' },
    });
    const { workers } = await tree.settled(1);
    symlinkSync('two', tree.site.path('next'));
    renameSync(tree.site.path('next'), tree.site.path('current'));
    process.kill(workers[0].pid, 'SIGKILL');
    await tree.settled(1, (dirty) => dirty.workers[0].pid !== workers[0].pid);
    const told = (): string[] => tree.site.read('told').split('\n').slice(0, -1).toSorted();
    await tree.server.until('the exit is told', () => told().length === 3);
    assert.deepEqual(told(), ['1: exit', '1: fork', '1: fork']);
    await tree.ask('reload --wait');
    await tree.server.until('the old worker has gone', () => told().length === 5);
    assert.deepEqual(told(), ['1: exit', '1: exit', '1: fork', '1: fork', '2: fork']);
  });
});
