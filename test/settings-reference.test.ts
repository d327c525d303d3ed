/** What tells of the settings as they are: the reference, --print-config, --check-config, KIRIN_CMD_ARGS. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { resolve } from 'node:path';
import { describe, test } from 'node:test';
import { splitArguments } from '../src/settings/argument-text.ts';
import { DERIVED } from '../src/settings/derived.ts';
import { gunicornOnly } from '../src/settings/gunicorn-only.ts';
import { fileKeysOf, settingList } from '../src/settings/table.ts';
import { faultOf } from './actors/support.ts';
import { command, fixture, Site } from './system/harness.ts';

/** A start that ends by itself. */
function kirin(site: Site, args: readonly string[], env: Record<string, string> = {}) {
  return spawnSync(process.execPath, [command('kirin'), ...args], {
    cwd: site.directory,
    env: { PATH: process.env['PATH'], ...env },
    encoding: 'utf8',
    timeout: 30_000,
  });
}

for (const [path, text] of Object.entries(DERIVED))
  test(`${path} is what the table says: npm run settings`, () => {
    assert.equal(readFileSync(path, 'utf8'), text());
  });

describe('a setting of Gunicorn that has no meaning here', () => {
  test('is refused with the reason, as a flag and as a key in either spelling', (t) => {
    const site = new Site(t);
    for (const args of [['--worker-class', 'gevent'], ['-k', 'gevent'], ['-kgevent']]) {
      const { status, stderr } = kirin(site, [...args, 'app.js']);
      assert.equal(status, 2);
      assert.match(
        stderr,
        /^kirin: (-k|--worker-class) is Gunicorn's, and none of Kirin's: a worker runs .*\n$/,
      );
    }
    for (const key of ['worker_class', 'workerClass']) {
      site.write('kirin.config.json', JSON.stringify({ [key]: 'sync' }));
      const { status, stderr } = kirin(site, ['app.js']);
      assert.equal(status, 2);
      assert.match(stderr, new RegExp(`^kirin: kirin.config.json: "${key}" is Gunicorn's, .*\n$`));
    }
  });

  test('has a reason that reads on after a colon', () => {
    for (const [name, reason] of gunicornOnly) assert.match(reason, /^[^\n]+[^\n. ]$/, name);
  });
});

describe('defineConfig', () => {
  test('is there for a configuration in TypeScript, as an object or a function', (t) => {
    const site = new Site(t);
    mkdirSync(site.path('node_modules'));
    symlinkSync(resolve('.'), site.path('node_modules/kirin'));
    for (const [config, workers] of [
      ['defineConfig({ workers: 3, maxSurge: "50%", raw_env: { A: "b" } })', 3],
      ['defineConfig(async () => ({ app: "app.js", workers: 2 }))', 2],
    ] as const) {
      site.write('kirin.config.ts', `import { defineConfig } from 'kirin';\nexport default ${config};\n`);
      const { status, stdout, stderr } = kirin(site, ['--print-config', 'app.js']);
      assert.deepEqual([status, stderr], [0, '']);
      assert.match(stdout, new RegExp(`^workers +=  ?${workers} {2}# "workers" in kirin.config.ts$`, 'm'));
    }
  });

  test('of a function gives it what was typed, without what is secret', (t) => {
    const site = new Site(t);
    const args = ['-w', '3', '--dirty-app', 'a:A', '--no-balance', '-e', 'A=1'];
    site.write('kirin.config.mjs', 'export default (typed) => ({ args: [JSON.stringify(typed)] });');
    const found = JSON.parse(
      /^args += (.*) {2}#/m.exec(
        kirin(site, [...args, '--dirty-workers', '1', '--print-config', 'app.js'], {
          KIRIN_CMD_ARGS: '-w 2 -t 9',
        }).stdout,
      )![1]!,
    );
    assert.deepEqual(JSON.parse(found[0]), {
      app: 'app.js',
      options: { noBalance: true, workers: '3', timeout: '9', dirtyApps: ['a:A'], dirtyWorkers: '1' },
    });
  });

  test('knows every key of a file', () => {
    const text = DERIVED['src/settings/config.ts']!();
    for (const setting of settingList)
      for (const key of fileKeysOf(setting).filter((one) => !one.includes('_')))
        assert.match(text, new RegExp(`^  ${key}\\??: `, 'm'));
  });
});

test('no two settings share a flag, a letter, a variable or a key', () => {
  for (const names of [
    settingList.map(({ flag }) => flag),
    settingList.flatMap(({ letter }) => letter ?? []),
    settingList.map(({ name }) => name),
  ])
    assert.equal(new Set(names).size, names.length);
});

describe('--print-config', () => {
  test('tells every setting by its name, with where it comes from', (t) => {
    const site = new Site(t);
    site.write('kirin.config.mjs', 'export default { graceful_timeout: 7, controlSocket: "x.ctl" };');
    const env = { KIRIN_TIMEOUT: '9', KIRIN_BACKLOG: '5', KIRIN_CMD_ARGS: `--backlog 6 -e "A=1 2" -w 3` };
    const { status, stdout, stderr } = kirin(site, ['--print-config', '-w', '4', 'app.js'], env);
    assert.equal(stderr, '');
    assert.equal(status, 0);
    const line = (name: string) => stdout.split('\n').find((one) => one.split(' ', 1)[0] === name);
    assert.match(line('workers')!, /= 4 {2}# --workers$/);
    assert.match(line('timeout')!, /= 9 {2}# KIRIN_TIMEOUT$/);
    assert.match(line('backlog')!, /= 6 {2}# --backlog in KIRIN_CMD_ARGS$/);
    assert.match(line('graceful_timeout')!, /= 7 {2}# "graceful_timeout" in kirin.config.mjs$/);
    assert.match(line('control_socket')!, /x\.ctl" {2}# "controlSocket" in kirin.config.mjs$/);
    assert.match(line('boot_timeout')!, /= 60$/);
    assert.doesNotMatch(stdout, /1 2/, 'values of env are hidden');
    for (const { name } of settingList) assert.ok(line(name), name);
  });

  test('of what is wrong is one line, and 2', (t) => {
    const { status, stdout, stderr } = kirin(new Site(t), ['--print-config', '-w', 'many', 'app.js']);
    assert.deepEqual([status, stdout], [2, '']);
    assert.match(stderr, /^kirin: --workers must be [^\n]+\n$/);
  });
});

describe('--check-config', { concurrency: 2 }, () => {
  const left = () => readdirSync(tmpdir()).filter((name) => name.startsWith('kirin-check-'));

  test('loads the app, beside a server that has the address, and leaves nothing', (t) => {
    const site = new Site(t);
    const args = ['--check-config', '-b', '127.0.0.1:1', '--pid', site.path('pid'), fixture('app.mjs')];
    const { status, stdout, stderr } = kirin(site, args);
    assert.equal(stderr, '');
    assert.equal(stdout, 'the settings are right, and the app can be served\n');
    assert.equal(status, 0);
    assert.deepEqual(readdirSync(site.directory), []);
    assert.deepEqual(left(), []);
  });

  test('of an app that throws, of one that is not there, of a wrong setting: as a start', (t) => {
    const site = new Site(t);
    const cases: [string[], number, RegExp][] = [
      [[site.write('bad.mjs', 'throw new Error("no key")')], 4, /the first start failed: .*no key/],
      [['none.mjs'], 4, /the first start failed: cannot find the app "none.mjs"/],
      [['--timeout', 'soon', 'app.mjs'], 2, /^kirin: --timeout must be/],
    ];
    for (const [args, code, message] of cases) {
      const { status, stdout, stderr } = kirin(site, ['--check-config', ...args]);
      assert.deepEqual([status, stdout], [code, ''], args.join(' '));
      assert.match(stderr, message);
    }
    assert.deepEqual(left(), []);
  });
});

describe('KIRIN_CMD_ARGS', () => {
  test('is split as a shell would', () => {
    assert.deepEqual(splitArguments(` a  "b c"d 'e "f' g\\ h "" "\\"i" `, 'X'), [
      'a',
      'b cd',
      'e "f',
      'g h',
      '',
      '"i',
    ]);
    assert.throws(
      () => splitArguments(`a 'b`, 'X'),
      faultOf('settings.invalid', /X: a quote is not closed in 'b/),
    );
  });

  test('may name the app; what is wrong in it is told as its own', (t) => {
    const site = new Site(t);
    const app = kirin(site, ['--print-config'], { KIRIN_CMD_ARGS: '-w 2 some.js' });
    assert.match(app.stdout, /^app += "some.js"/);
    const wrong = kirin(site, ['some.js'], { KIRIN_CMD_ARGS: '--wrokers 3' });
    assert.equal(
      wrong.stderr,
      'kirin: KIRIN_CMD_ARGS: unknown option --wrokers (did you mean "--workers"?) (see kirin --help)\n',
    );
    assert.equal(wrong.status, 2);
  });
});
