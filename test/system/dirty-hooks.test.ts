/** Hooks of the configuration on real servers with dirty workers: what each is given, in which order, and one that fails. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isRunning } from '../../src/actors/process-identity.ts';
import { dirtyApp, Tree, type TreeOptions } from './dirty-tree.ts';
import { childrenOf } from './processes.ts';

const MODEL = dirtyApp('Model');
const ARGS = ['--dirty-workers', '1', '--dirty-app', MODEL, '--dirty-graceful-timeout', '2'];

/** A configuration whose hooks append to a file what they were given, where they ran; `failing` replaces some. */
const config = (failing: Record<string, string> = {}, generation = 1): string => {
  const hooks = ['on_dirty_starting', 'dirtyPostFork', 'dirty_worker_init', 'dirtyWorkerExit'];
  const bodies = hooks.map((name) => `${name}: ${failing[name] ?? `told('${name}')`},`);
  return `import { appendFileSync } from 'node:fs';
    const told = (hook) => (subject) => appendFileSync('told', JSON.stringify({ hook, in: process.pid, generation: ${generation}, subject }) + '\\n');
    export default { ${bodies.join('\n')} };`;
};

interface Told {
  hook: string;
  in: number;
  generation: number;
  // biome-ignore lint/suspicious/noExplicitAny: what each hook is given is what is tested.
  subject: any;
}

const toldIn = (tree: Tree): Told[] =>
  tree.site
    .read('told')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Told);

const options = (text: string): TreeOptions => ({ files: { 'kirin.config.mjs': text, told: '' } });

describe('hooks of dirty workers', { concurrency: 2 }, () => {
  test('each is called in its place, in order, with who it is about', async (t) => {
    const tree = await Tree.serve(t, ARGS, options(config()));
    const { workers, pid: arbiter } = await tree.settled(1);
    const [{ pid }] = workers;
    const [starting, fork, init, ...more] = toldIn(tree);
    assert.deepEqual(more, []);
    assert.deepEqual(
      [starting, fork, init].map((one) => one!.hook),
      ['on_dirty_starting', 'dirtyPostFork', 'dirty_worker_init'],
    );
    assert.equal(starting!.subject.pid, arbiter);
    assert.notEqual(starting!.in, arbiter);
    assert.deepEqual([fork!.in, init!.in], [pid, pid]);
    assert.deepEqual(init!.subject, { pid, age: 1, slot: 0, generation: 1, apps: [MODEL], resources: {} });
    process.kill(pid, 'SIGKILL');
    const exit = await tree.server.until('the exit is told', () =>
      toldIn(tree).find(({ hook }) => hook === 'dirtyWorkerExit'),
    );
    assert.equal(exit.in, starting!.in, 'one process is kept for hooks');
    const { reason, ...subject } = exit.subject;
    assert.deepEqual(subject, { pid, age: 1, slot: 0, code: null, signal: 'SIGKILL' });
    await tree.settled(1, ({ workers: [one] }) => one.pid !== pid);
    assert.equal(toldIn(tree).filter(({ hook }) => hook === 'on_dirty_starting').length, 1);
    // Of the last worker too, which ends with the server.
    await tree.server.stop();
    assert.equal(toldIn(tree).filter(({ hook }) => hook === 'dirtyWorkerExit').length, 2);
    assert.equal(isRunning(exit.in), false);
  });

  test('a dirty arbiter that is killed is started with its hook again, and no process for hooks is left', async (t) => {
    const tree = await Tree.serve(t, ARGS, options(config()));
    const { pid } = await tree.settled(1);
    const [host] = toldIn(tree);
    assert.ok(childrenOf(pid).includes(host!.in));
    process.kill(pid, 'SIGKILL');
    await tree.server.until(
      'it is told again',
      () => toldIn(tree).filter(({ hook }) => hook === 'on_dirty_starting').length === 2,
    );
    await tree.server.until('the old process is gone', () => !isRunning(host!.in));
    await tree.settled(1);
  });

  test('a reload brings new hooks with the new workers', async (t) => {
    const tree = await Tree.serve(t, ARGS, options(config()));
    await tree.settled(1);
    tree.site.write('kirin.config.mjs', config({}, 2));
    await tree.ask('reload --wait');
    await tree.server.until('the old worker has gone', () =>
      toldIn(tree).some(({ hook }) => hook === 'dirtyWorkerExit'),
    );
    assert.deepEqual(
      toldIn(tree).map(({ hook, generation, subject }) => [hook, generation, subject.age]),
      [
        ['on_dirty_starting', 1, 1],
        ['dirtyPostFork', 1, 1],
        ['dirty_worker_init', 1, 1],
        ['dirtyPostFork', 2, 2],
        ['dirty_worker_init', 2, 2],
        ['dirtyWorkerExit', 1, 1],
      ],
    );
  });

  const failures: [what: string, failing: Record<string, string>, reason: RegExp, args?: string[]][] = [
    [
      'on_dirty_starting throws',
      { on_dirty_starting: "() => { throw new TypeError('no licence'); }" },
      /on_dirty_starting in kirin\.config\.mjs failed: TypeError: no licence/,
    ],
    [
      'on_dirty_starting never ends',
      { on_dirty_starting: '() => new Promise(() => {})' },
      /on_dirty_starting in kirin\.config\.mjs failed: it has not ended for 1 s \(--hook-timeout\)/,
      ['--hook-timeout', '1'],
    ],
    [
      'on_dirty_starting blocks',
      { on_dirty_starting: '() => { for (;;); }' },
      /on_dirty_starting in kirin\.config\.mjs failed: it has not ended for 1 s/,
      ['--hook-timeout', '1'],
    ],
    [
      'on_dirty_starting exits',
      { on_dirty_starting: '() => process.exit(9)' },
      /on_dirty_starting in kirin\.config\.mjs failed: its process ended \(exit code 9\)/,
    ],
    [
      'dirty_post_fork rejects',
      { dirtyPostFork: "async () => { throw new Error('no disk'); }" },
      /dirty_post_fork in kirin\.config\.mjs failed: no disk/,
    ],
    [
      'dirty_worker_init throws',
      { dirty_worker_init: "() => { throw 'up'; }" },
      /dirty_worker_init in kirin\.config\.mjs failed: threw 'up'/,
    ],
    [
      'dirty_worker_init waits for nothing',
      { dirty_worker_init: '() => new Promise(() => {})' },
      /dirty_worker_init in kirin\.config\.mjs failed: it never ended: what it waits for cannot happen any more/,
    ],
    [
      'dirty_post_fork exits',
      { dirtyPostFork: '() => process.exit(4)' },
      /the app called process\.exit\(4\)/,
    ],
    [
      'dirty_worker_init never ends',
      { dirty_worker_init: '() => new Promise(() => setInterval(() => {}, 1000))' },
      /was not ready within 2 s \(--boot-timeout\)/,
      ['--boot-timeout', '2'],
    ],
  ];
  for (const [what, failing, reason, args = []] of failures)
    test(`${what}: exit 3`, async (t) => {
      const tree = Tree.launch(t, [...ARGS, ...args], options(config(failing)));
      assert.deepEqual(await tree.server.exit(), { code: 3, signal: null }, tree.server.tail());
      const fatal = tree.server.lines.filter(({ level }) => level === 'fatal');
      assert.equal(fatal.length, 1, tree.server.tail());
      assert.match(fatal[0]!.msg, reason);
      assert.deepEqual(tree.left(), []);
    });

  for (const [what, hook] of [
    ['throws', "() => { throw new Error('full'); }"],
    ['exits', '() => process.exit(1)'],
    [
      'leaves a rejection behind',
      "() => { Promise.reject(new Error('full')); return new Promise(() => {}); }",
    ],
  ] as const)
    test(`dirty_worker_exit that ${what} is a warning, and harms nobody`, async (t) => {
      const tree = await Tree.serve(t, ARGS, options(config({ dirtyWorkerExit: hook })));
      const { workers, pid } = await tree.settled(1);
      for (const round of [1, 2]) {
        const [{ pid: worker }] = round === 1 ? workers : (await tree.settled(1)).workers;
        process.kill(worker, 'SIGKILL');
        await tree.server.until('it is warned', () => {
          const warned = tree.server.lines.filter(({ msg }) =>
            /dirty_worker_exit in kirin\.config\.mjs failed/.test(msg),
          );
          return warned.length === round && warned.every(({ level }) => level === 'warn');
        });
        await tree.settled(1, ({ workers: [one] }) => one.pid !== worker);
      }
      assert.equal((await tree.dirty()).pid, pid);
    });

  test('a reload whose hook fails changes nothing', async (t) => {
    const tree = await Tree.serve(t, ARGS, options(config()));
    const { workers } = await tree.settled(1);
    tree.site.write('kirin.config.mjs', config({ dirtyPostFork: "() => { throw new Error('no disk'); }" }));
    const end = await tree.ask('reload --wait');
    assert.deepEqual([end.success, end.status], [false, 'failed']);
    await tree.server.told(/^reload failed: .*dirty_post_fork in kirin\.config\.mjs failed: no disk/);
    assert.deepEqual((await tree.settled(1)).workers[0].pid, workers[0].pid);
  });

  test('show config tells of hooks, and not what is in them', async (t) => {
    const tree = await Tree.serve(t, ARGS, options(config()));
    const shown = await tree.ask('show config');
    assert.equal(shown['dirty_worker_init'], 'function');
    assert.equal(shown['hook_timeout'], 30);
  });

  const refused: [file: string, text: string, reason: string][] = [
    [
      'kirin.config.mjs',
      'export default { on_dirty_starting: 3 };',
      'kirin.config.mjs: "on_dirty_starting" is a hook: a function, not a number',
    ],
    [
      'kirin.config.mjs',
      'export default { dirty_post_fork() {}, dirtyPostFork() {} };',
      'kirin.config.mjs: "dirty_post_fork" and "dirtyPostFork" are the same hook; keep one',
    ],
    [
      'kirin.config.json',
      '{ "dirtyPostFork": "x" }',
      'kirin.config.json: "dirtyPostFork" is a hook, a function, which JSON cannot hold: write kirin.config.js',
    ],
    [
      'kirin.config.mjs',
      'export default { dirtyPostForks() {} };',
      'kirin.config.mjs: there is no hook "dirtyPostForks" (did you mean "dirtyPostFork"?)',
    ],
  ];
  for (const [file, text, reason] of refused)
    test(`${reason.split(': ').slice(1).join(': ')}: exit 2`, async (t) => {
      const tree = Tree.launch(t, ARGS, { files: { [file]: text } });
      assert.deepEqual(await tree.server.exit(), { code: 2, signal: null });
      assert.equal(tree.server.output.trim(), `kirin: ${reason}`);
    });
});
