/** Dirty apps: how they are named and found, what their classes must be, how they start and end. */
import assert from 'node:assert/strict';
import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { actionsOf, DirtyApp, type DirtyClass, isDirtyClass } from '../../src/actors/dirty/app.ts';
import { runInCall } from '../../src/actors/dirty/app-call.ts';
import { canonicalName } from '../../src/actors/dirty/app-name.ts';
import { findDirtyApps, parseDirtyApp } from '../../src/actors/dirty/apps.ts';
import { inspectDirtyApp, loadDirtyClass } from '../../src/actors/dirty/apps-loading.ts';
import { DirtyWorkerApps } from '../../src/actors/dirty/runtime-apps.ts';
import { faultOf, temporaryDirectory } from './support.ts';

const OWN = new URL('../../src/actors/dirty/app.ts', import.meta.url).href;

function tree(t: TestContext, files: Record<string, string>): string {
  const root = temporaryDirectory(t);
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(root, name, '..'), { recursive: true });
    writeFileSync(join(root, name), text.replace('KIRIN', OWN));
  }
  return root;
}

const found = (t: TestContext, text: string, name = 'App') => {
  const root = tree(t, { 'app.mjs': text });
  return findDirtyApps([`./app.mjs:${name}`], root)[0]!;
};

describe('the name of a dirty app', () => {
  const table: [string, string, string, number | null][] = [
    ['./ml.js:Model', './ml.js', 'Model', null],
    ['./ml.js:Model:3', './ml.js', 'Model', 3],
    ['/abs/odd:name.js:Model:12', '/abs/odd:name.js', 'Model', 12],
    ['a:b:c:$D_1', 'a:b:c', '$D_1', null],
    ['ml:default', 'ml', 'default', null],
  ];
  for (const [text, module, className, workers] of table)
    test(text, () => assert.deepEqual(parseDirtyApp(text), { module, className, workers }));

  const wrong: [string, RegExp][] = [
    [
      '',
      /^--dirty-app: "" names no class: a dirty app is MODULE:CLASS\[:WORKERS\], such as \.\/ml\.js:Model$/,
    ],
    ['./ml.js', /"\.\/ml\.js" names no class/],
    ['./ml.js:', /names no class/],
    ['./ml.js:3', /names no class/],
    ['2ml.js', /names no class/],
    [':Model', /names no class/],
    ['./ml.js:not-a-name', /"\.\/ml\.js:not-a-name": "not-a-name" is no name of a class/],
    ['./ml.js:Model:0', /"0" is no number of workers: it is a whole number from 1 to 1024$/],
    ['./ml.js:Model:-2', /"-2" is no number/],
    ['./ml.js:Model:1.5', /"1.5" is no number/],
    ['./ml.js:Model:9999', /"9999" is no number/],
  ];
  for (const [text, message] of wrong)
    test(`cannot be "${text}"`, () =>
      assert.throws(() => parseDirtyApp(text), faultOf('settings.invalid', message)));

  test('is one however it is written', () => {
    assert.equal(canonicalName('./ml.js:Model'), canonicalName('ml.js:Model'));
    assert.equal(canonicalName('./lib/../ml.js:Model'), 'ml.js:Model');
    assert.equal(canonicalName('/abs/./ml.js:Model'), canonicalName('/abs/ml.js:Model'));
    assert.notEqual(canonicalName('ml.js:Other'), canonicalName('./ml.js:Model'));
  });
});

describe('a dirty app is found', () => {
  const files = { 'ml.js': '', 'lib/index.js': '', 'odd:name.js': '' };

  test('with its path, its number and what callers name it', (t) => {
    const root = tree(t, files);
    assert.deepEqual(findDirtyApps(['./ml.js:Model:2', 'lib:Pdf', 'odd:name.js:X'], root), [
      { importPath: './ml.js:Model', number: 0, path: join(root, 'ml.js'), className: 'Model', workers: 2 },
      { importPath: 'lib:Pdf', number: 1, path: join(root, 'lib/index.js'), className: 'Pdf', workers: null },
      {
        importPath: 'odd:name.js:X',
        number: 2,
        path: join(root, 'odd:name.js'),
        className: 'X',
        workers: null,
      },
    ]);
  });

  test('through a link that a deploy moves', (t) => {
    const root = tree(t, { 'one/ml.js': '', 'two/ml.js': '' });
    for (const release of ['one', 'two']) {
      symlinkSync(release, join(root, 'next'));
      renameSync(join(root, 'next'), join(root, 'current'));
      assert.equal(findDirtyApps(['ml:M'], join(root, 'current'))[0]!.path, join(root, release, 'ml.js'));
    }
  });

  const wrong: [string[], Parameters<typeof faultOf>[0], RegExp][] = [
    [['./no.js:Model'], 'app.notFound', /cannot find the app "\.\/no\.js:Model": there is no file/],
    [['./ml.js:Model:two'], 'settings.invalid', /"two" is no number of workers/],
    [
      ['./ml.js:M', 'ml.js:M:2'],
      'settings.invalid',
      /"ml\.js:M:2" is the same class as "\.\/ml\.js:M": name it once$/,
    ],
    [['odd:name.js'], 'settings.invalid', /is no name of a class/],
  ];
  for (const [texts, code, message] of wrong)
    test(`but not as ${texts.join(' and ')}`, (t) => {
      const root = tree(t, files);
      assert.throws(() => findDirtyApps(texts, root), faultOf(code, message));
    });
});

describe('a class', () => {
  test('tells how many workers it wants, and what they must hold; the setting beats it', async (t) => {
    const app = found(
      t,
      `import { DirtyApp } from 'KIRIN';
       export class App extends DirtyApp { static workers = 2; static resources = { GPU: 1 } }`,
    );
    assert.deepEqual(await inspectDirtyApp(app), { ...app, workers: 2, resources: { gpu: 1 } });
    assert.equal((await inspectDirtyApp({ ...app, workers: 5 })).workers, 5);
  });

  test('without either is for all workers', async (t) => {
    const app = found(t, `import { DirtyApp } from 'KIRIN'; export class App extends DirtyApp {}`);
    assert.deepEqual(await inspectDirtyApp(app), { ...app, workers: null, resources: {} });
  });

  test('is known that extends the DirtyApp of another copy of the package', async (t) => {
    const app = found(
      t,
      `class Other {} Object.defineProperty(Other.prototype, Symbol.for('kirin.dirtyApp'), { value: true });
       export class App extends Other { act() {} }`,
    );
    const Class = await loadDirtyClass(app);
    assert.ok(isDirtyClass(Class));
    assert.deepEqual([...actionsOf(Class).keys()], ['act']);
  });

  test('may be the export of a CommonJS module', async (t) => {
    const root = tree(t, {
      'app.cjs': `class Other {} Object.defineProperty(Other.prototype, Symbol.for('kirin.dirtyApp'), { value: true });
        module.exports = { App: class App extends Other {} }`,
    });
    assert.ok(isDirtyClass(await loadDirtyClass(findDirtyApps(['app.cjs:App'], root)[0]!)));
  });

  const statics = (text: string): string =>
    `import { DirtyApp } from 'KIRIN'; export class App extends DirtyApp { ${text} }`;
  const wrong: [string, string, Parameters<typeof faultOf>[0], RegExp][] = [
    [
      'is not exported',
      'export class Ap {}',
      'app.exportMissing',
      /app\.mjs has no export App: it exports Ap$/,
    ],
    [
      'is no class',
      'export const App = 5',
      'app.notServable',
      /its export App is a number; a dirty app is a class that/,
    ],
    [
      'extends nothing',
      'export class App {}',
      'app.notServable',
      /is the class App; a dirty app is a class that extends/,
    ],
    [
      'is DirtyApp',
      `export { DirtyApp as App } from 'KIRIN'`,
      'app.notServable',
      /is the class DirtyApp; a dirty/,
    ],
    [
      'cannot be loaded',
      'throw new Error("no disk")',
      'app.loadFailed',
      /cannot load \/.*app\.mjs: no disk \(.*:1\)$/,
    ],
    [
      'wants half a worker',
      statics('static workers = 0.5'),
      'app.notServable',
      /App\.workers is 0\.5; it is a whole/,
    ],
    [
      'wants no worker',
      statics('static workers = 0'),
      'app.notServable',
      /App\.workers is 0; it is a whole number from 1$/,
    ],
    ['wants "two"', statics('static workers = "two"'), 'app.notServable', /App\.workers is a string/],
    [
      'wants a list',
      statics('static resources = ["gpu"]'),
      'app.notServable',
      /resources is an array; it is an object/,
    ],
    [
      'wants no GPU',
      statics('static resources = { gpu: 0 }'),
      'app.notServable',
      /App\.resources\.gpu is 0; it is a/,
    ],
  ];
  for (const [what, text, code, message] of wrong)
    test(`that ${what} is refused`, (t) =>
      assert.rejects(inspectDirtyApp(found(t, text)), faultOf(code, message)));
});

describe('the actions of a class', () => {
  class Base extends DirtyApp {
    inherited() {}
    hidden() {}
    later() {}
  }
  class Model extends Base {
    field = () => {};
    static helper() {}
    override init() {}
    override close() {}
    predict() {}
    async slow() {}
    *tokens() {}
    async *chunks() {}
    _private() {}
    #secret() {}
    override toString() {
      this.#secret();
      return '';
    }
    get reading() {
      return () => {};
    }
    [Symbol.iterator]() {}
    ['odd name']() {}
  }
  Object.defineProperty(Model.prototype, 'hidden', { get: () => () => {} });

  test('are its methods and inherited ones, and nothing else', () => {
    assert.deepEqual([...actionsOf(Model as DirtyClass).keys()].sort(), [
      'chunks',
      'inherited',
      'later',
      'odd name',
      'predict',
      'slow',
      'tokens',
    ]);
  });

  test('cannot be what every object has', () => {
    const actions = actionsOf(Model as DirtyClass);
    for (const name of ['constructor', '__proto__', 'hasOwnProperty', 'toString', 'valueOf', 'call', 'init'])
      assert.equal(actions.get(name), undefined, name);
  });
});

describe('this.call', () => {
  const call = { signal: new AbortController().signal, deadline: 5, app: './a.js:A', action: 'act' };

  test('is the call, also after awaiting, also in another copy of the package', async (t) => {
    const root = tree(t, { 'copy.mjs': `export { DirtyApp } from 'KIRIN?copy'` });
    const { DirtyApp: Copy } = (await import(join(root, 'copy.mjs'))) as { DirtyApp: typeof DirtyApp };
    assert.notEqual(Copy, DirtyApp);
    for (const app of [new DirtyApp(), new Copy()])
      await runInCall(call, async () => {
        assert.equal(app.call, call);
        await new Promise(setImmediate);
        assert.equal(app.call, call);
      });
  });

  test('is an error outside of one', () => {
    assert.throws(() => new DirtyApp().call, /^Error: this\.call is there only while an action runs/);
  });
});

describe('the apps of a worker', () => {
  const log = `const log = (globalThis.dirtyTestLog ??= []);`;
  const app = (name: string, body: string): string => `export class ${name} extends DirtyApp { ${body} }`;
  const worker = (t: TestContext, ...classes: [string, string][]) => {
    const text = [
      `import { DirtyApp } from 'KIRIN';`,
      log,
      ...classes.map(([name, body]) => app(name, body)),
    ];
    const root = tree(t, { 'app.mjs': text.join('\n') });
    const said: string[] = [];
    (globalThis as { dirtyTestLog?: string[] }).dirtyTestLog = said;
    const specs = findDirtyApps(
      classes.map(([name]) => `app.mjs:${name}`),
      root,
    );
    return { said, apps: new DirtyWorkerApps(specs), root };
  };

  test('start one after the other and close in reverse', async (t) => {
    const body = (name: string): string =>
      `async init() { log.push('${name}+'); await null; await null; log.push('${name}'); }
       close() { log.push('-${name}'); }`;
    const { apps, said } = worker(t, ['A', body('A')], ['B', body('B')]);
    await apps.start();
    assert.deepEqual(said, ['A+', 'A', 'B+', 'B']);
    assert.deepEqual([...apps.running.keys()], [0, 1]);
    assert.equal(apps.running.get(1)!.importPath, 'app.mjs:B');
    await apps.close(1000, (text) => assert.fail(text));
    assert.deepEqual(said.slice(4), ['-B', '-A']);
    await apps.close(1000, (text) => assert.fail(text));
    assert.equal(said.length, 6);
  });

  const failing: [string, string, RegExp][] = [
    [
      'constructor',
      'x = (() => { throw new TypeError("no x") })()',
      /^app\.mjs:B: its constructor failed: TypeError: no x \(\/.*app\.mjs:4\)$/,
    ],
    [
      'init',
      'async init() { await null; throw new Error("no model") }',
      /^app\.mjs:B: init\(\) failed: no model \(\/.*app\.mjs:4\)$/,
    ],
    ['init with what is no error', 'init() { throw "up" }', /^app\.mjs:B: init\(\) failed: threw 'up'$/],
  ];
  for (const [what, body, message] of failing)
    test(`fail with the app and the place where its ${what} does`, async (t) => {
      const { apps, said } = worker(t, ['A', `close() { log.push('-A') }`], ['B', body], ['C', '']);
      await assert.rejects(apps.start(), faultOf('app.startFailed', message));
      await apps.close(1000, (text) => assert.fail(text));
      assert.deepEqual(said, ['-A'], 'what was started is closed');
    });

  test('are all loaded before one is started', async (t) => {
    const { root } = worker(t, ['A', `init() { log.push('A') }`]);
    const said: string[] = [];
    (globalThis as { dirtyTestLog?: string[] }).dirtyTestLog = said;
    writeFileSync(join(root, 'broken.mjs'), 'export class B {}');
    const apps = new DirtyWorkerApps(findDirtyApps(['app.mjs:A', 'broken.mjs:B'], root));
    await assert.rejects(apps.start(), faultOf('app.notServable', /broken\.mjs/));
    assert.deepEqual(said, []);
  });

  test('that throw or hang when they close are told and passed over', async (t) => {
    const { apps, said } = worker(
      t,
      ['A', `close() { log.push('-A') }`],
      ['B', 'async close() { throw new Error("cannot") }'],
      ['C', 'close() { return new Promise(() => {}) }'],
      ['D', `async close() { await new Promise(setImmediate); log.push('-D') }`],
    );
    await apps.start();
    const notices: string[] = [];
    // Something else is there to run, as in a worker.
    const alive = setInterval(() => {}, 1000);
    await apps.close(100, (text) => notices.push(text));
    clearInterval(alive);
    assert.deepEqual(said, ['-D', '-A']);
    assert.equal(notices.length, 2);
    assert.match(notices[0]!, /^app\.mjs:B: close\(\) failed: cannot \(.*app\.mjs:4\)$/);
    assert.match(notices[1]!, /^app\.mjs:C: close\(\) did not end in 100 ms; the worker leaves without it$/);
  });
});
