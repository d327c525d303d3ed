import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { logicalDirectory, resolveApp } from '../../src/actors/app-path.ts';
import type { Settings } from '../../src/settings.ts';
import { faultOf, temporaryDirectory } from './support.ts';

const settings = (app: string, chdir: string | undefined) => ({ app, chdir }) as Settings;

/** A directory with these files, empty but for what is given. */
function tree(t: TestContext, files: Record<string, string>): string {
  const root = temporaryDirectory(t);
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(root, name, '..'), { recursive: true });
    writeFileSync(join(root, name), text);
  }
  return root;
}

describe('an app is found', () => {
  const files = {
    'app.js': '',
    'typed.mts': '',
    'odd:name.js': '',
    'lib/index.js': '',
    'named/package.json': '{"main": "src/main"}',
    'named/src/main.cjs': '',
    'broken/package.json': '{',
    'broken/index.mjs': '',
  };
  const cases: [string, string, string | undefined][] = [
    ['app.js', 'app.js', undefined],
    ['./app.js', 'app.js', undefined],
    ['app', 'app.js', undefined],
    ['app:handler', 'app.js', 'handler'],
    ['app.js:default', 'app.js', 'default'],
    ['typed', 'typed.mts', undefined],
    ['odd:name.js', 'odd:name.js', undefined],
    ['odd:name.js:$app_1', 'odd:name.js', '$app_1'],
    ['lib', 'lib/index.js', undefined],
    ['named', 'named/src/main.cjs', undefined],
    ['broken/', 'broken/index.mjs', undefined],
  ];
  for (const [spec, path, exportName] of cases)
    test(spec, (t) => {
      const root = tree(t, files);
      const expected = { spec, path: join(root, path), ...(exportName ? { exportName } : {}) };
      assert.deepEqual(resolveApp(settings(spec, root)), { cwd: root, app: expected });
    });

  test('by an absolute path, wherever the directory is', (t) => {
    const root = tree(t, files);
    assert.equal(resolveApp(settings(join(root, 'app'), join(root, 'lib'))).app.path, join(root, 'app.js'));
  });
});

describe('an app is not found', () => {
  const cases: [string, RegExp][] = [
    ['missing.js', /^cannot find the app "missing\.js": there is no file \/.*missing\.js, nor with \.js, /],
    ['missing:app', /there is no file \/.*\/missing, nor/],
    ['no/where.js', /there is no directory \/.*\/no$/],
    ['empty', /empty is a directory without a package\.json "main" or an index file$/],
    ['app.js:not-a-name', /"not-a-name" is no name of an export: an app is MODULE\[:EXPORT\]$/],
  ];
  for (const [spec, message] of cases)
    test(spec, (t) => {
      const root = tree(t, { 'app.js': '', 'empty/readme': '' });
      assert.throws(() => resolveApp(settings(spec, root)), faultOf('app.notFound', message));
    });

  test('where the directory is gone', (t) => {
    const root = join(temporaryDirectory(t), 'gone');
    assert.throws(
      () => resolveApp(settings('app.js', root)),
      faultOf('settings.invalid', /there is no directory .*gone/),
    );
  });
});

describe('a deploy that moves a link', () => {
  const releases = { 'one/app.js': '', 'two/app.js': '' };
  const point = (root: string, release: string) => {
    symlinkSync(release, join(root, 'next'));
    renameSync(join(root, 'next'), join(root, 'current'));
  };

  test('is followed by --chdir', (t) => {
    const root = tree(t, releases);
    for (const release of ['one', 'two']) {
      point(root, release);
      const { cwd, app } = resolveApp(settings('app.js', join(root, 'current')));
      assert.deepEqual([cwd, app.path], [join(root, release), join(root, release, 'app.js')]);
    }
  });

  test('is followed by the directory kirin was started in, even when the old one is gone', (t) => {
    const root = tree(t, releases);
    point(root, 'one');
    const url = new URL('../../src/actors/app-path.ts', import.meta.url).href;
    const tsx = import.meta.resolve('tsx');
    const code = `
      const { resolveApp } = await import(${JSON.stringify(url)});
      const { rmSync, symlinkSync } = await import('node:fs');
      const show = () => console.log(resolveApp({ app: 'app.js' }).app.path);
      show();
      rmSync('${root}/current'); symlinkSync('two', '${root}/current'); rmSync('${root}/one', { recursive: true });
      show();`;
    writeFileSync(join(root, 'run.mjs'), code);
    const shell = `cd ${root}/current && exec ${process.execPath} --import ${tsx} ${root}/run.mjs`;
    const shown = execFileSync('sh', ['-c', shell], { encoding: 'utf8' });
    assert.deepEqual(shown.trim().split('\n'), [join(root, 'one/app.js'), join(root, 'two/app.js')]);
  });
});

describe('the logical directory', () => {
  test('is $PWD where that names the same directory, else the real one', (t) => {
    const root = temporaryDirectory(t);
    mkdirSync(join(root, 'real'));
    symlinkSync('real', join(root, 'link'));
    const real = join(root, 'real');
    assert.equal(logicalDirectory(join(root, 'link'), real), join(root, 'link'));
    assert.equal(logicalDirectory(root, real), real);
    assert.equal(logicalDirectory(join(root, 'gone'), real), real);
    assert.equal(logicalDirectory('link', real), real);
    assert.equal(logicalDirectory(undefined, real), real);
    rmSync(real, { recursive: true });
    assert.equal(logicalDirectory(join(root, 'link'), real), real);
  });
});
