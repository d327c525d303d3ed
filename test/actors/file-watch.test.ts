/** Files are watched by what the system tells; what it does not tell of is found all the same. */
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { FSWatcher } from 'chokidar';
import { FileWatch } from '../../src/actors/development/file-watch.ts';
import { eventually } from '../system/harness.ts';

test('what comes into directories that were not there is told, though the system says nothing of them', async (t) => {
  const { watch } = fs;
  const silent = () => Object.assign(new EventEmitter(), { close() {} });
  fs.watch = silent as unknown as typeof watch;
  syncBuiltinESMExports();
  t.after(() => {
    fs.watch = watch;
    syncBuiltinESMExports();
  });
  const root = fs.mkdtempSync(join(tmpdir(), 'kirin-watch-'));
  t.after(() => fs.rmSync(root, { recursive: true, force: true }));
  const told: string[] = [];
  const warnings: string[] = [];
  const files = new FileWatch({
    engine: 'auto',
    extra: [join(root, 'views/deep/*.html'), join(root, 'mails/**/*.html')],
    changed: (paths) => void told.push(...paths),
    warn: (text) => void warnings.push(text),
  });
  t.after(() => files.close());
  const later = join(root, 'lib/later.mjs');
  const page = join(root, 'views/deep/page.html');
  files.add([{ path: later, mtimeMs: 0 }]);
  await files.open();
  const mail = join(root, 'mails/de/new/mail.html');
  for (const path of [later, page, mail]) {
    fs.mkdirSync(join(path, '..'), { recursive: true });
    fs.writeFileSync(path, '');
  }
  await eventually('all are told', () => told.length >= 3);
  assert.deepEqual(told.sort(), [later, mail, page]);
  assert.deepEqual(warnings, []);
});

test('a file that says it was changed in 1970, as those of some images do, is no file that is missing', async (t) => {
  const { add } = FSWatcher.prototype;
  const added: string[] = [];
  FSWatcher.prototype.add = function (paths, ...more) {
    added.push(...[paths].flat());
    return add.call(this, paths, ...more);
  };
  t.after(() => {
    FSWatcher.prototype.add = add;
  });
  const root = fs.mkdtempSync(join(tmpdir(), 'kirin-watch-'));
  t.after(() => fs.rmSync(root, { recursive: true, force: true }));
  const [old, later] = [join(root, 'old.mjs'), join(root, 'later.mjs')];
  fs.writeFileSync(old, '');
  fs.utimesSync(old, 0, 0);
  const told: string[] = [];
  const files = new FileWatch({
    engine: 'auto',
    extra: [],
    changed: (paths) => void told.push(...paths),
    warn: assert.fail,
  });
  t.after(() => files.close());
  files.add([old, later].map((path) => ({ path, mtimeMs: 0 })));
  await files.open();
  // Those that are missing are looked for: once to see that it is, and again to see that it is not any more.
  const looked = t.mock.method(fs, 'existsSync');
  syncBuiltinESMExports();
  t.after(() => {
    looked.mock.restore();
    syncBuiltinESMExports();
  });
  const looks = () => looked.mock.calls.filter(({ arguments: [path] }) => path === old).length;
  await eventually('it is looked for', () => looks() > 0);
  fs.writeFileSync(later, '');
  await eventually('the other one is told', () => told.length > 0);
  const before = looks();
  await eventually('they are looked for again', () => looks() > before);
  assert.deepEqual(told, [later]);
  assert.ok(!added.includes(old), 'watched once, with its directory');
});
