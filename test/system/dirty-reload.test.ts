/** Reloads that pass both pools together, and signals to the dirty arbiter: no call is lost, and failed code changes nothing. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Data } from './controlled.ts';
import { type Called, dirtyModule, Tree, type TreeOptions, webModule } from './dirty-tree.ts';

const MODEL = './ml.mjs:Model';
const two = ['--dirty-workers', '2', '--dirty-app', MODEL];

/** A server whose two apps lie in its directory. */
const deployed = async (t: Parameters<typeof Tree.serve>[0], args = two, more: TreeOptions = {}) => {
  const files = { 'ml.mjs': dirtyModule('v1'), 'web.mjs': webModule('v1'), ...more.files };
  const tree = await Tree.serve(t, args, { app: './web.mjs', ...more, files });
  await tree.settled(2);
  return tree;
};
const deploy = (tree: Tree, version: string, dirtyMore = '', webMore = ''): void => {
  tree.site.write('ml.mjs', dirtyModule(version, '{}', dirtyMore));
  tree.site.write('web.mjs', webModule(version, webMore));
};
const pidsOf = ({ workers }: Data): number[] => workers.map(({ pid }: Data) => pid);
const versions = async (tree: Tree): Promise<string[]> => {
  const { web, result } = await tree.call(MODEL, 'who');
  return [web, result?.version];
};

/** Calls without a pause until it is stopped; every answer is kept. */
function load(tree: Tree, callers = 4): { answers: Called[]; stop(): Promise<void> } {
  const answers: Called[] = [];
  let isOver = false;
  const running = Array.from({ length: callers }, async () => {
    while (!isOver) answers.push(await tree.call(MODEL, 'who'));
  });
  return {
    answers,
    stop: async () => {
      isOver = true;
      await Promise.all(running);
    },
  };
}

describe('a reload of both pools', { concurrency: 2 }, () => {
  test('7: under load no call is refused or lost, and no app is ever without a worker', async (t) => {
    const tree = await deployed(t);
    const before = await tree.dirty();
    const { answers, stop } = load(tree);
    await tree.server.until('calls are answered', () => answers.length > 20);
    deploy(tree, 'v2');
    assert.match(
      (await tree.server.reload()).msg,
      /^reload done: \d+ workers? and 2 dirty workers of the new generation/,
    );
    await tree.server.told(/^dirty worker \d+ \(pid \d+\) is draining$/);
    await tree.settled(2, (dirty) => dirty.generation === 2);
    const { length } = answers;
    await tree.server.until('calls are answered still', () => answers.length > length + 20);
    await stop();
    assert.deepEqual(
      answers.filter(({ code }) => code !== undefined),
      [],
    );
    assert.deepEqual(await versions(tree), ['v2', 'v2']);
    const after = await tree.dirty();
    assert.equal(after.pid, before.pid, 'the dirty arbiter stays');
    assert.ok(!pidsOf(after).some((pid) => pidsOf(before).includes(pid)));
  });

  /** Each dirty worker that loads this takes a token, and waits where there is none. */
  const byToken = `
if (process.title.includes('dirty worker')) {
  const { readdirSync, unlinkSync } = await import('node:fs');
  const taken = () => readdirSync('.').some((name) => {
    try {
      return name.startsWith('token') && (unlinkSync(name), true);
    } catch { return false; }
  });
  while (!taken()) await new Promise((go) => setTimeout(go, 10));
}`;
  const readyOf = ({ workers }: Data, generation: number): number =>
    workers.filter((one: Data) => one.booted && one.generation === generation).length;

  test('1, 7: while new workers are slow to come, those that are there take the calls of old callers', async (t) => {
    const three = ['--dirty-workers', '3', '--dirty-app', MODEL, '--dirty-queue', '1'];
    const tree = await Tree.serve(t, three, {
      app: './web.mjs',
      files: { 'ml.mjs': dirtyModule('v1'), 'web.mjs': webModule('v1') },
    });
    await tree.settled(3);
    deploy(tree, 'v2', byToken);
    const from = tree.server.mark();
    // As many callers as there are workers at any time: with a place for one call to wait, none needs to be refused.
    const { answers, stop } = load(tree, 3);
    const more = async (count: number): Promise<void> => {
      const { length } = answers;
      await tree.server.until('calls are answered', () => answers.length > length + count);
    };
    tree.server.signal('SIGHUP');
    for (const young of [1, 2]) {
      tree.site.write(`token-${young}`, '');
      await tree.until(
        `${young} of the new and ${3 - young} of the old are there, and the next one loads`,
        (dirty) =>
          readyOf(dirty, 2) === young && readyOf(dirty, 1) === 3 - young && dirty.workers.length === 4,
      );
      await more(30);
    }
    await stop();
    assert.deepEqual(
      answers.filter(({ code }) => code !== undefined),
      [],
    );
    // One old worker is left, and all callers are old: three calls run at once all the same.
    const held = [await tree.hold(MODEL), await tree.hold(MODEL), await tree.hold(MODEL)];
    assert.equal(new Set(held.map(({ pid }) => pid)).size, 3);
    tree.site.write('go', '');
    for (const { answer } of held) assert.equal((await answer).code, undefined);
    for (const name of ['token-3', 'token-4']) tree.site.write(name, '');
    await tree.server.told(/^reload done/, from);
    await tree.settled(3, (dirty) => dirty.generation === 2);
    assert.deepEqual(await versions(tree), ['v2', 'v2']);
  });

  test('one canary of each stands before either commits', async (t) => {
    const wait =
      "if (!existsSync('go')) { console.log('not yet'); while (!existsSync('go')) await new Promise((go) => setTimeout(go, 10)); }";
    const tree = await deployed(t);
    const before = await tree.dirty();
    deploy(tree, 'v2', '', `import { existsSync } from 'node:fs';\n${wait}`);
    const from = tree.server.mark();
    tree.server.signal('SIGHUP');
    await tree.server.printed(/not yet/);
    // The dirty canary is ready, and stands beside those that serve.
    const trying = await tree.until('the dirty canary stands', ({ workers }) =>
      workers.some(({ generation, booted }: Data) => generation === 2 && booted),
    );
    assert.equal(trying.workers.length, 3);
    for (const pid of pidsOf(before)) assert.ok(pidsOf(trying).includes(pid));
    assert.deepEqual(await versions(tree), ['v1', 'v1']);
    tree.site.write('go', '');
    await tree.server.told(/^reload done/, from);
    await tree.settled(2);
    assert.deepEqual(await versions(tree), ['v2', 'v2']);
  });

  const broken: { name: string; dirty?: string; web?: string; error: RegExp }[] = [
    {
      name: 'dirty code that does not load',
      dirty: "throw new Error('no such tensor');",
      error: /no such tensor/,
    },
    {
      name: 'a dirty app that does not start',
      dirty: "if (process.title.includes('dirty worker')) throw new Error('no memory');",
      error: /no memory/,
    },
    { name: 'broken web code', web: "throw new Error('no routes');", error: /no routes/ },
  ];
  for (const { name, dirty = '', web = '', error } of broken)
    test(`7: ${name} fails the reload with its error and changes nothing in both pools`, async (t) => {
      const tree = await deployed(t);
      const before = await tree.dirty();
      const webBefore = tree.server.ready().map(({ pid }) => pid);
      deploy(tree, 'v2', dirty, web);
      const { answers, stop } = load(tree, 2);
      const end = await tree.ask('reload --wait');
      assert.deepEqual([end.success, end.status], [false, 'failed']);
      assert.match(end.error, error);
      await tree.server.told(/^reload failed/);
      const after = await tree.settled(2);
      await stop();
      assert.deepEqual(
        answers.filter(({ code }) => code !== undefined),
        [],
      );
      assert.deepEqual(pidsOf(after), pidsOf(before));
      assert.equal(after.pid, before.pid);
      assert.deepEqual(
        tree.server.ready().map(({ pid }) => pid),
        webBefore,
      );
      assert.deepEqual(await versions(tree), ['v1', 'v1']);
      // And the next one that is good is taken.
      deploy(tree, 'v3');
      assert.match((await tree.server.reload()).msg, /^reload done/);
      assert.deepEqual(await versions(tree), ['v3', 'v3']);
    });

  test('the bounds of a reload that fails, and the apps that only it had, are those of nobody', async (t) => {
    const config = (queue: number, apps: string) =>
      `export default { dirty_workers: 1, dirty_queue: ${queue}, dirty_apps: [${apps}] };`;
    const tree = await Tree.serve(t, ['--config', 'kirin.config.mjs'], {
      app: './web.mjs',
      files: {
        'ml.mjs': dirtyModule('v1'),
        'other.mjs': dirtyModule('other'),
        'web.mjs': webModule('v1'),
        'kirin.config.mjs': config(8, `'${MODEL}'`),
      },
    });
    await tree.settled(1);
    tree.site.write('kirin.config.mjs', config(1, `'${MODEL}', './other.mjs:Model'`));
    tree.site.write('web.mjs', webModule('v2', "throw new Error('no routes');"));
    assert.match((await tree.server.reload()).msg, /^reload failed: .*no routes/);
    const { apps } = await tree.settled(1);
    assert.deepEqual(
      apps.map((app: Data) => app.import_path),
      [MODEL],
    );
    const queued = async (): Promise<(string | undefined)[]> => {
      const held = await tree.hold(MODEL);
      const calls = Array.from({ length: 4 }, () => tree.call(MODEL, 'who'));
      const codes = Promise.all(calls.map(async (call) => (await call).code));
      await tree.until('they wait or are refused', (dirty) => {
        const [app] = dirty.apps;
        return app.queued + app.overloaded >= 4 && app.running === 1;
      });
      tree.site.write('go', '');
      await held.answer;
      tree.site.remove('go');
      return await codes;
    };
    assert.deepEqual(await queued(), [undefined, undefined, undefined, undefined]);
    // And those of one that goes through are in force.
    tree.site.write('web.mjs', webModule('v2'));
    assert.match((await tree.server.reload()).msg, /^reload done/);
    assert.equal((await tree.settled(1)).apps.length, 2);
    const codes = await queued();
    assert.equal(codes.filter((code) => code === 'DIRTY_OVERLOADED').length, 3, `${codes}`);
  });

  test('the dirty arbiter dies while a reload is tried: it has failed, and the server goes on as before', async (t) => {
    const tree = await deployed(t);
    const { pid } = await tree.dirty();
    deploy(
      tree,
      'v2',
      "console.log('loading v2'); if (process.title.includes('dirty worker')) await new Promise((go) => setTimeout(go, 60_000));",
    );
    const from = tree.server.mark();
    tree.server.signal('SIGHUP');
    await tree.until('a candidate is started', ({ workers }) => workers.length === 3);
    tree.site.write('ml.mjs', dirtyModule('v1'));
    process.kill(pid, 'SIGKILL');
    await tree.server.told(/^reload failed: the dirty arbiter ended/, from);
    const after = await tree.settled(2);
    assert.notEqual(after.pid, pid);
    assert.equal(after.generation, 1);
    assert.deepEqual(await versions(tree), ['v1', 'v1']);
    deploy(tree, 'v3');
    assert.match((await tree.server.reload()).msg, /^reload done/);
    assert.deepEqual(await versions(tree), ['v3', 'v3']);
  });

  test('the dirty arbiter dies while it rolls: it comes back on the new generation, and the reload ends', async (t) => {
    const tree = await deployed(t, [...two, '--dirty-graceful-timeout', '60']);
    const held = [await tree.hold(MODEL), await tree.hold(MODEL)];
    deploy(tree, 'v2');
    const { pid } = await tree.dirty();
    const from = tree.server.mark();
    tree.server.signal('SIGHUP');
    await tree.until('it is rolling', ({ workers, generation }) => generation === 2 && workers.length > 2);
    process.kill(pid, 'SIGKILL');
    for (const { answer } of held) assert.equal((await answer).code, 'DIRTY_CONNECTION');
    await tree.server.told(/^reload done/, from);
    const after = await tree.settled(2, (dirty) => dirty.generation === 2);
    assert.notEqual(after.pid, pid);
    assert.deepEqual(await versions(tree), ['v2', 'v2']);
  });

  test('--max-surge is also how many dirty canaries there are', async (t) => {
    const tree = await deployed(t, [...two, '--max-surge', '2']);
    const wait =
      "if (process.title.includes('dirty worker')) { const { existsSync } = await import('node:fs'); while (!existsSync('go')) await new Promise((go) => setTimeout(go, 10)); }";
    deploy(tree, 'v2', wait);
    const from = tree.server.mark();
    tree.server.signal('SIGHUP');
    const { workers } = await tree.until('there are canaries', (dirty) => dirty.workers.length === 4);
    assert.equal(workers.filter(({ generation }: Data) => generation === 2).length, 2);
    tree.site.write('go', '');
    await tree.server.told(/^reload done/, from);
    await tree.settled(2);
  });

  test('a number of dirty workers that a reload finds changed is what there are then', async (t) => {
    const config = (workers: number) =>
      `export default { dirty_workers: ${workers}, dirty_apps: ['${MODEL}'] };`;
    const tree = await deployed(t, ['--config', 'kirin.config.mjs'], {
      files: { 'kirin.config.mjs': config(2) },
    });
    assert.equal((await tree.ask('dirty add 2 --wait')).total_workers, 4);
    deploy(tree, 'v2');
    assert.match((await tree.server.reload()).msg, /^reload done/);
    await tree.settled(4, (dirty) => dirty.generation === 2);
    tree.site.write('kirin.config.mjs', config(3));
    assert.match((await tree.server.reload()).msg, /^reload done/);
    await tree.settled(3, ({ target_workers }) => target_workers === 3);
    // What was added lives on in the next dirty arbiter.
    await tree.ask('dirty remove --wait');
    const { pid } = await tree.dirty();
    process.kill(pid, 'SIGKILL');
    await tree.settled(2, (dirty) => dirty.pid !== pid && dirty.target_workers === 2);
  });

  test('apps that a reload finds added are there, and calls of one that it dropped are refused, not kept waiting', async (t) => {
    const config = (apps: string) => `export default { dirty_workers: 2, dirty_apps: [${apps}] };`;
    const tree = await deployed(t, ['--config', 'kirin.config.mjs'], {
      files: { 'kirin.config.mjs': config(`'${MODEL}'`), 'other.mjs': dirtyModule('other') },
    });
    const held = await tree.hold(MODEL);
    tree.site.write('kirin.config.mjs', config("'./other.mjs:Model:2'"));
    assert.match((await tree.server.reload()).msg, /^reload done/);
    assert.equal((await tree.call('./other.mjs:Model', 'who')).result.version, 'other');
    const { code = '' } = await tree.call(MODEL, 'who');
    assert.match(code, /^DIRTY_(UNAVAILABLE|APP_NOT_FOUND)$/);
    tree.site.write('go', '');
    assert.equal((await held.answer).result.version, 'v1', 'what ran is answered');
    await tree.settled(2);
    assert.match((await tree.call(MODEL, 'who')).code!, /^DIRTY_(UNAVAILABLE|APP_NOT_FOUND)$/);
    // And back.
    tree.site.write('kirin.config.mjs', config(`'${MODEL}'`));
    assert.match((await tree.server.reload()).msg, /^reload done/);
    assert.deepEqual(await versions(tree), ['v1', 'v1']);
  });
});
