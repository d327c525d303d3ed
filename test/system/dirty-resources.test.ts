/** Tokens of resources while workers come and go: nobody ever holds what another holds, and calls wait for who is to hold it. */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import type { Data } from './controlled.ts';
import { type Called, Tree, webModule } from './dirty-tree.ts';

const MODEL = './ml.mjs:Model';
const pidsOf = ({ workers }: Data): number[] => workers.map(({ pid }: Data) => pid);
const gpusOf = ({ workers }: Data): number[] =>
  workers.flatMap(({ resources }: Data) => resources.gpu).sort();

/** An app that notes which token it has, from its beginning to its end. */
const module = (version: string, gpu = 1, more = ''): string => `
  import { appendFileSync, existsSync } from 'node:fs';
  const { DirtyApp } = await import(process.env.TEST_KIRIN);
  const held = process.env.KIRIN_RESOURCE_GPU;
  const note = (what) => appendFileSync('held', what + ' ' + held + ' ' + process.pid + '\\n');
  export class Model extends DirtyApp {
    static resources = { gpu: ${gpu} };
    init() { note('+'); ${more} }
    close() { note('-'); }
    who() { return { version: '${version}', gpu: held, pid: process.pid }; }
    async hold(file) {
      console.log('holding ' + file + ' in ' + process.pid);
      while (!existsSync(file)) await new Promise((go) => setTimeout(go, 10));
      return this.who();
    }
  }`;

const served = (t: TestContext, workers: number, gpu: number, more: string[] = []): Promise<Tree> =>
  Tree.serve(
    t,
    ['--dirty-workers', `${workers}`, '--dirty-app', MODEL, '--dirty-resource', `gpu=${gpu}`, ...more],
    { app: './web.mjs', files: { 'ml.mjs': module('v1'), 'web.mjs': webModule('v1') } },
  );

/** Whether at any moment two workers held the same token. */
function assertNeverShared(tree: Tree): void {
  const holders = new Map<string, string>();
  for (const line of tree.site.read('held').trimEnd().split('\n')) {
    const [what, tokens = '', pid = ''] = line.split(' ');
    for (const token of tokens.split(',')) {
      if (what === '-') holders.delete(token);
      else {
        assert.equal(holders.get(token), undefined, `token ${token} of ${holders.get(token)} for ${pid} too`);
        holders.set(token, pid);
      }
    }
  }
}

/** Calls without a pause until it is stopped. */
function load(tree: Tree): { answers: Called[]; stop(): Promise<void> } {
  const answers: Called[] = [];
  let isOver = false;
  const running = Array.from({ length: 3 }, async () => {
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
const refusedOf = (answers: Called[]): Called[] => answers.filter(({ code }) => code !== undefined);

describe('tokens', { concurrency: 2 }, () => {
  test('stay distinct at every moment of a reload, also where workers hold all of them; no call is refused', async (t) => {
    const tree = await served(t, 2, 2, ['--max-surge', '2']);
    const before = await tree.settled(2);
    const { answers, stop } = load(tree);
    await tree.server.until('calls are answered', () => answers.length > 5);
    tree.site.write('ml.mjs', module('v2'));
    const from = tree.server.mark();
    tree.server.signal('SIGHUP');
    let most = 0;
    await tree.server.until('it is done', async () => {
      const dirty = await tree.dirty();
      most = Math.max(most, dirty.workers.length);
      assert.equal(new Set(gpusOf(dirty)).size, gpusOf(dirty).length, JSON.stringify(dirty.workers));
      return tree.server.all(/^reload (done|failed)/, from)[0];
    });
    assert.ok(most <= 2, `${most} workers at once`);
    await tree.server.told(/^reload done/, from);
    const after = await tree.settled(2, (dirty) => dirty.generation === 2);
    assert.ok(!pidsOf(after).some((pid) => pidsOf(before).includes(pid)));
    assert.equal(after.pid, before.pid);
    // So it is with a signal to the dirty arbiter.
    process.kill(after.pid, 'SIGHUP');
    const anew = await tree.settled(2, (dirty) => !pidsOf(dirty).some((pid) => pidsOf(after).includes(pid)));
    assert.deepEqual(gpusOf(anew), [0, 1]);
    await stop();
    assert.deepEqual(refusedOf(answers), []);
    assert.equal((await tree.call(MODEL, 'who')).result.version, 'v2');
    assertNeverShared(tree);
  });

  test('where one worker holds the only one, calls wait for its successor, and come back to it where the reload fails', async (t) => {
    const tree = await served(t, 1, 1);
    await tree.settled(1);
    const { answers, stop } = load(tree);
    await tree.server.until('calls are answered', () => answers.length > 5);
    tree.site.write('ml.mjs', module('v2', 1, "throw new Error('no memory');"));
    assert.match((await tree.server.reload()).msg, /^reload failed: .*no memory/);
    tree.site.write('ml.mjs', module('v3'));
    await tree.settled(1);
    assert.match((await tree.server.reload()).msg, /^reload done/);
    await tree.settled(1, (dirty) => dirty.generation > 1);
    await stop();
    assert.deepEqual(refusedOf(answers), []);
    assert.equal((await tree.call(MODEL, 'who')).result.version, 'v3');
  });

  test('of a worker that leaves are waited for by its heir, which is no failure', async (t) => {
    const tree = await served(t, 2, 2, ['--dirty-graceful-timeout', '60']);
    await tree.settled(2);
    const held = await tree.hold(MODEL);
    await tree.ask(`worker kill ${held.pid}`);
    const { workers } = await tree.until('it leaves', (dirty) =>
      dirty.workers.some(({ pid, state }: Data) => pid === held.pid && /draining/.test(state)),
    );
    assert.equal(workers.length, 2, 'nobody is started for it yet');
    assert.ok((await tree.call(MODEL, 'who')).result.pid !== held.pid);
    tree.site.write('go', '');
    assert.equal((await held.answer).result.pid, held.pid);
    assert.deepEqual(gpusOf(await tree.settled(2, (dirty) => !pidsOf(dirty).includes(held.pid))), [0, 1]);
    assert.deepEqual(tree.server.all(/could not be replaced/), []);
    assertNeverShared(tree);
  });

  test('where there are more than are held, a new worker waits for nobody', async (t) => {
    const tree = await served(t, 1, 2, ['--dirty-graceful-timeout', '60']);
    await tree.settled(1);
    const held = await tree.hold(MODEL);
    await tree.ask(`worker kill ${held.pid}`);
    const both = await tree.until('its heir is ready', ({ workers }) =>
      workers.some(({ pid, booted }: Data) => pid !== held.pid && booted),
    );
    assert.deepEqual(gpusOf(both), [0, 1]);
    tree.site.write('go', '');
    assert.equal((await held.answer).result.pid, held.pid);
    await tree.settled(1);
    assertNeverShared(tree);
  });

  test('a reload whose workers need more of them has as many old ones leave first as that takes', async (t) => {
    const tree = await served(t, 2, 3);
    await tree.settled(2);
    tree.site.write('ml.mjs', module('v2', 3));
    assert.match((await tree.server.reload()).msg, /^reload done/);
    const after = await tree.settled(1, (dirty) => dirty.generation === 2);
    assert.deepEqual(gpusOf(after), [0, 1, 2]);
    assertNeverShared(tree);
    tree.site.write('ml.mjs', module('v3', 4));
    assert.match((await tree.server.reload()).msg, /^reload failed: .*needs 4 gpu, and there are 3/);
    assert.deepEqual(pidsOf(await tree.settled(1)), pidsOf(after));
  });
});
