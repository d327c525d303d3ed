/** A first start of dirty workers that fails: one line says why, with the right exit code, and nothing is left behind. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { describe, test } from 'node:test';
import { dirtyApp, Tree } from './dirty-tree.ts';

interface Failing {
  name: string;
  /** The app's module: what stands after the import of DirtyApp. */
  code?: string;
  args?: string[];
  exit: number;
  reason: RegExp;
  stack?: RegExp;
  /** Another line of the log. */
  told?: RegExp;
}

/** Settings that one dirty worker of `./ml.mjs:Model` is started with. */
const ONE = ['--dirty-workers', '1', '--dirty-app', './ml.mjs:Model'];

const FAILING: readonly Failing[] = [
  {
    name: 'there is no such module',
    args: ['--dirty-workers', '1', '--dirty-app', './nowhere.mjs:Model'],
    exit: 4,
    reason: /cannot find the app "\.\/nowhere\.mjs:Model": there is no file .*nowhere\.mjs/,
  },
  {
    name: 'the module has no such class',
    code: 'export class Other extends DirtyApp {}',
    exit: 4,
    reason: /ml\.mjs has no export Model: it exports Other/,
  },
  {
    name: 'the class is no DirtyApp',
    code: 'export class Model {}',
    exit: 4,
    reason: /its export Model is the class Model; a dirty app is a class that extends DirtyApp/,
  },
  {
    name: 'the module throws',
    code: "throw new Error('no library');",
    exit: 4,
    reason: /cannot load .*ml\.mjs: no library/,
  },
  {
    name: 'the class has a number of workers that cannot be',
    code: 'export class Model extends DirtyApp { static workers = 0; }',
    exit: 4,
    reason: /Model\.workers is 0; it is a whole number from 1/,
  },
  {
    name: 'the constructor throws',
    code: "export class Model extends DirtyApp {\n  constructor() { super(); throw new TypeError('no weights'); }\n}",
    exit: 3,
    reason: /\.\/ml\.mjs:Model: its constructor failed: TypeError: no weights/,
    stack: /at new Model .*ml\.mjs:\d+/,
  },
  {
    name: 'init() throws',
    code: "export class Model extends DirtyApp {\n  async init() { throw new Error('no model'); }\n}",
    exit: 3,
    reason: /\.\/ml\.mjs:Model: init\(\) failed: no model/,
    stack: /ml\.mjs:\d+/,
  },
  {
    name: 'init() waits for what cannot happen',
    code: 'export class Model extends DirtyApp { init() { return new Promise(() => {}); } }',
    exit: 3,
    reason:
      /^the first start failed: \.\/ml\.mjs:Model: init\(\) never ended: what it waits for cannot happen any more$/,
  },
  {
    name: 'init() does not end within --boot-timeout',
    code: 'export class Model extends DirtyApp { init() { return new Promise(() => setInterval(() => {}, 1000)); } }',
    args: [...ONE, '--boot-timeout', '4'],
    exit: 3,
    reason: /the dirty worker was not ready within 4 s \(--boot-timeout\)/,
  },
  {
    name: 'the constructor never returns',
    code: 'export class Model extends DirtyApp { constructor() { super(); for (;;); } }',
    args: [...ONE, '--boot-timeout', '3'],
    exit: 3,
    reason: /the dirty worker was not ready within 3 s \(--boot-timeout\)/,
    told: /^dirty worker 1 .* ended unexpectedly, by SIGKILL: .*; it was still in the constructor or init\(\) of \.\/ml\.mjs:Model$/,
  },
  {
    name: 'init() never returns',
    code: 'export class Model extends DirtyApp { init() { for (;;); } }',
    args: [...ONE, '--boot-timeout', '3'],
    exit: 3,
    reason: /the dirty worker was not ready within 3 s \(--boot-timeout\)/,
    told: /; it was still in the constructor or init\(\) of \.\/ml\.mjs:Model$/,
  },
  {
    name: 'init() calls process.exit()',
    code: 'export class Model extends DirtyApp { init() { process.exit(7); } }',
    exit: 3,
    reason: /the app called process\.exit\(7\)/,
    stack: /Model\.init .*ml\.mjs/,
  },
  {
    name: 'a dirty worker is killed before it is ready',
    code: "export class Model extends DirtyApp { init() { process.kill(process.pid, 'SIGKILL'); } }",
    exit: 3,
    reason: /dirty worker 1 \(pid \d+\) was ended by SIGKILL before it was ready/,
  },
  {
    name: '--dirty-workers are fewer than an app is to have',
    code: 'export class Model extends DirtyApp { static workers = 2; }',
    exit: 2,
    reason: /^--dirty-workers 1 are fewer than the 2 that \.\/ml\.mjs:Model is to have$/,
  },
  {
    name: '--dirty-workers are fewer than the number in the setting',
    code: 'export class Model extends DirtyApp {}',
    args: ['--dirty-workers', '2', '--dirty-app', './ml.mjs:Model:3'],
    exit: 2,
    reason: /^--dirty-workers 2 are fewer than the 3 that \.\/ml\.mjs:Model is to have$/,
  },
  {
    name: 'there is none of a resource',
    code: 'export class Model extends DirtyApp { static resources = { gpu: 1 }; }',
    exit: 2,
    reason: /^\.\/ml\.mjs:Model needs 1 gpu, and there are 0: write --dirty-resource gpu=1$/,
  },
  {
    name: 'the setting names no class',
    code: 'export class Model extends DirtyApp {}',
    args: ['--dirty-workers', '1', '--dirty-app', './ml.mjs'],
    exit: 2,
    reason: /--dirty-app: "\.\/ml\.mjs" names no class: a dirty app is MODULE:CLASS/,
  },
];

/** What cannot be meant is said before anything is started, on the terminal. */
const REFUSED: readonly { args: string[]; reason: string }[] = [
  {
    args: ['--dirty-workers', '1'],
    reason: '--dirty-workers without an app to run: add --dirty-app MODULE:CLASS',
  },
  {
    args: ['--dirty-app', dirtyApp('Model')],
    reason: '--dirty-app without workers to run it: add --dirty-workers N',
  },
  {
    args: [...ONE, '--dirty-resource', 'gpu'],
    reason: '--dirty-resource must be NAME=N, such as gpu=2, not "gpu"',
  },
  {
    args: ['--dirty-workers', 'two'],
    reason: '--dirty-workers must be a whole number of at least 0, not "two"',
  },
  { args: [...ONE, '--dirty-speed', '3'], reason: 'unknown option --dirty-speed (see kirin --help)' },
];

describe('a first start of dirty workers that fails', { concurrency: 2 }, () => {
  for (const { name, code = '', args = ONE, exit, reason, stack, told } of FAILING)
    test(`${name}: exit ${exit}`, async (t) => {
      const module = `const { DirtyApp } = await import(process.env.TEST_KIRIN);\n${code}\n`;
      const { server, site, left } = tools(Tree.launch(t, args, { files: { 'ml.mjs': module } }));
      assert.deepEqual(await server.exit(), { code: exit, signal: null }, server.tail());
      const fatal = server.lines.filter(({ level }) => level === 'fatal');
      assert.equal(fatal.length, 1, server.tail());
      assert.match(fatal[0]!.msg, reason);
      if (stack) assert.match(server.lines.map((line) => line.stack ?? '').join('\n'), stack);
      if (told) assert.ok(server.all(told).length > 0, server.tail());
      assert.deepEqual(left(), [], 'nothing is left in TMPDIR');
      assert.equal(existsSync(site.path('kirin.ctl')), false);
    });

  for (const { name, code = '', args = ONE, exit, reason } of FAILING.filter((one) => one.exit !== 3))
    test(`${name}: --check-config says so, too`, async (t) => {
      const module = `const { DirtyApp } = await import(process.env.TEST_KIRIN);\n${code}\n`;
      const { server, left } = tools(
        Tree.launch(t, ['--check-config', ...args], { files: { 'ml.mjs': module } }),
      );
      assert.deepEqual(await server.exit(), { code: exit, signal: null }, server.output);
      assert.match(server.output.trim().replace(/^kirin: /, ''), reason);
      assert.deepEqual(left(), []);
    });

  for (const { args, reason } of REFUSED)
    test(`${args
      .slice(-2)
      .map((arg) => arg.replace(/.*\//, ''))
      .join(' ')} is refused: exit 2`, async (t) => {
      const { server, left } = tools(Tree.launch(t, args));
      assert.deepEqual(await server.exit(), { code: 2, signal: null });
      assert.equal(server.output.trim(), `kirin: ${reason}`);
      assert.deepEqual(left(), []);
    });
});

test('an init() may take longer than a connection has to say who it is', async (t) => {
  const code = `const { DirtyApp } = await import(process.env.TEST_KIRIN);
    export class Model extends DirtyApp { init() { return new Promise((done) => setTimeout(done, 11_000)); } }`;
  const { server } = tools(Tree.launch(t, ONE, { files: { 'ml.mjs': code } }));
  await server.told(/^dirty workers are ready/);
  assert.doesNotMatch(server.output, /was cut|ended unexpectedly/);
});

const tools = (tree: Tree) => ({ server: tree.server, site: tree.site, left: () => tree.left() });
