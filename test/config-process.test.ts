/** What a configuration file does stays in the process that evaluates it: the arbiter gets the result and no more. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { FaultError } from '../src/actors/fault-error.ts';
import { isRunning } from '../src/actors/process-identity.ts';
import { evaluateConfig } from '../src/settings/config-process.ts';
import { type SettingsSource, settingsSource } from '../src/settings.ts';
import { faultOf, temporaryDirectory, until } from './actors/support.ts';

function sourceOf(t: TestContext, name: string, text: string): { source: SettingsSource; directory: string } {
  const directory = temporaryDirectory(t);
  writeFileSync(join(directory, name), text);
  return { directory, source: settingsSource({ app: 'app.js', flags: {} }, {}, directory) };
}

const kinds: [ending: string, (workers: number) => string][] = [
  ['ts', (n) => `const workers: number = ${n}; export default { workers };`],
  ['mts', (n) => `export default async (): Promise<object> => ({ workers: ${n} });`],
  ['js', (n) => `export default { workers: ${n} };`],
  ['mjs', (n) => `export default () => ({ workers: ${n} });`],
  ['cjs', (n) => `module.exports = { workers: ${n} };`],
  ['json', (n) => `{ "workers": ${n} }`],
];

describe('a reload reads afresh', { concurrency: 4 }, () => {
  for (const [ending, text] of kinds)
    test(`kirin.config.${ending}`, async (t) => {
      const { directory, source } = sourceOf(t, `kirin.config.${ending}`, text(2));
      assert.equal((await source()).workers, 2);
      writeFileSync(join(directory, `kirin.config.${ending}`), text(3));
      assert.equal((await source()).workers, 3);
    });

  for (const ending of ['mjs', 'cjs'])
    test(`what is imported from a .${ending} file`, async (t) => {
      const text = (n: number) => (ending === 'mjs' ? `export const n = ${n};` : `exports.n = ${n};`);
      const importing = `import { n } from './more.${ending}'; export default { workers: n };`;
      const { directory, source } = sourceOf(t, 'kirin.config.ts', importing);
      for (const n of [2, 3]) {
        writeFileSync(join(directory, `more.${ending}`), text(n));
        assert.equal((await source()).workers, n);
      }
    });
});

describe('is refused in one line', { concurrency: 4 }, () => {
  const never = 'new Promise(() => {})';
  const cases: [what: string, name: string, text: string, message: RegExp][] = [
    [
      'a stray rejection',
      'kirin.config.js',
      'Promise.reject(new Error("stray")); export default { workers: 2 };',
      /^kirin\.config\.js: stray$/,
    ],
    [
      'an error in a timer',
      'kirin.config.mjs',
      `setTimeout(() => { throw new TypeError("late") }); export default () => ${never};`,
      /^kirin\.config\.mjs: TypeError: late$/,
    ],
    ['process.exit(0)', 'kirin.config.js', 'process.exit(0)', /: it called process\.exit\(0\)$/],
    ['process.exit(3)', 'kirin.config.cjs', 'process.exit(3)', /: it called process\.exit\(3\)$/],
    [
      'an end by a signal',
      'kirin.config.mjs',
      `process.kill(process.pid, "SIGKILL"); export default () => ${never}`,
      /: its process ended early \(SIGKILL\)$/,
    ],
    [
      'a promise that nothing can settle',
      'kirin.config.mjs',
      `export default () => ${never}`,
      /: it waits for something that can never happen$/,
    ],
    ['a throw', 'kirin.config.ts', 'throw new RangeError("one\\ntwo")', /: RangeError: one$/],
    [
      'an error that cannot be shown',
      'kirin.config.js',
      'throw { toString: 3 }',
      /: an error that cannot be shown$/,
    ],
    [
      'a syntax error',
      'kirin.config.mjs',
      'export default {',
      /^kirin\.config\.mjs: .* \(\/.*\.mjs:1:\d+\)$/,
    ],
    ['a syntax error in TypeScript', 'kirin.config.ts', '\nexport default {', /\(\/.*\.ts:2:\d+\)$/],
    ['a function', 'kirin.config.js', 'export default { workers() {} }', /: "workers" is a function: /],
    ['a bigint', 'kirin.config.js', 'export default { backlog: 3n }', /: "backlog" is a bigint: /],
    ['a symbol', 'kirin.config.js', 'export default { pid: Symbol() }', /: "pid" is a symbol: /],
    [
      'undefined within',
      'kirin.config.js',
      'export default { env: { A: undefined } }',
      /"env\.A" is undefined: /,
    ],
    [
      'a loop',
      'kirin.config.js',
      'const env = {}; env.a = [env]; export default { env }',
      /"env\.a\[0\]" is part of itself: /,
    ],
    ['no number', 'kirin.config.js', 'export default { workers: NaN }', /: "workers" is NaN: /],
    [
      'a promise',
      'kirin.config.js',
      'export default { bind: [Promise.resolve()] }',
      /"bind\[0\]" is of the kind Promise: /,
    ],
    ['a flood', 'kirin.config.js', 'export default { app: "x".repeat(2 ** 22) }', /: is larger than 1 MiB$/],
  ];
  for (const [what, name, text, message] of cases)
    test(what, async (t) => {
      await assert.rejects(sourceOf(t, name, text).source(), faultOf('settings.invalid', message));
    });
});

describe('a configuration', { concurrency: 4 }, () => {
  test('may say undefined for what it does not give', async (t) => {
    const { source } = sourceOf(t, 'kirin.config.js', 'export default { workers: undefined, backlog: 9 };');
    const { workers, backlog } = await source();
    assert.deepEqual([workers, backlog], [1, 9]);
  });

  test('finds the environment of the server, and runs where it was started', async (t) => {
    const directory = temporaryDirectory(t);
    mkdirSync(join(directory, 'sub'));
    writeFileSync(
      join(directory, 'sub/kirin.config.mjs'),
      'export default { workers: Number(process.env.N), raw_env: { CWD: process.cwd() } };',
    );
    const line = { app: 'app.js', config: 'sub/kirin.config.mjs', flags: {} };
    const { workers, env } = await settingsSource(line, { N: '5' }, directory)();
    assert.deepEqual([workers, env['CWD']], [5, directory]);
  });

  test('runs beside itself where the directory the server was started in is gone', async (t) => {
    const { directory } = sourceOf(t, 'kirin.config.mjs', 'export default { pidfile: process.cwd() };');
    const started = temporaryDirectory(t);
    rmSync(started, { recursive: true });
    const line = { app: 'app.js', config: join(directory, 'kirin.config.mjs'), flags: {} };
    assert.equal((await settingsSource(line, {}, started)()).pid, directory);
  });

  const busy = {
    'a timer': 'setInterval(() => {}, 1000); export default { workers: 2 };',
    'a server': 'import net from "node:net"; net.createServer().listen(0); export default { workers: 2 };',
  };
  for (const [what, text] of Object.entries(busy))
    test(`with ${what} keeps neither the server from exiting nor its own process`, (t) => {
      const { directory } = sourceOf(t, 'kirin.config.mjs', text);
      const url = new URL('../src/settings.ts', import.meta.url).href;
      const script = `import { settingsSource } from ${JSON.stringify(url)};
        const { workers } = await settingsSource({ app: 'a', flags: {} }, {}, ${JSON.stringify(directory)})();
        console.log(workers);`;
      const args = ['--import', 'tsx', '--input-type=module', '-e', script];
      const ended = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 60_000 });
      assert.deepEqual([ended.stdout, ended.signal, ended.status], ['2\n', null, 0], ended.stderr);
    });

  test('that prints does so on standard error, and disturbs nothing', (t) => {
    const text =
      'console.log("{}"); process.stdout.write("out"); console.error("err"); export default { workers: 2 };';
    const { directory } = sourceOf(t, 'kirin.config.mjs', text);
    const url = new URL('../src/settings.ts', import.meta.url).href;
    const script = `import { settingsSource } from ${JSON.stringify(url)};
      console.log((await settingsSource({ app: 'a', flags: {} }, {}, ${JSON.stringify(directory)})()).workers);`;
    const args = ['--import', 'tsx', '--input-type=module', '-e', script];
    const ended = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 60_000 });
    assert.deepEqual([ended.stdout, ended.stderr], ['2\n', '{}\nouterr\n']);
  });

  const hanging = {
    'that awaits': 'export default () => new Promise((resolve) => setTimeout(resolve, 600_000));',
    'that spins': 'for (;;);',
  };
  const pidIn = (file: string): number => (existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0);
  for (const [what, text] of Object.entries(hanging)) {
    const writingPid = (file: string) =>
      `import { writeFileSync } from "node:fs"; writeFileSync(${JSON.stringify(file)}, String(process.pid)); ${text}`;

    test(`${what} is given up with its reading, and its process killed`, async (t) => {
      const file = join(temporaryDirectory(t), 'pid');
      const { source } = sourceOf(t, 'kirin.config.mjs', writingPid(file));
      const giveUp = new AbortController();
      const reading = assert.rejects(source(giveUp.signal), faultOf('order.superseded', /given up/));
      const pid = await until('it is evaluated', () => pidIn(file));
      giveUp.abort();
      await reading;
      await until('its process is gone', () => !isRunning(pid));
    });

    test(`${what} is given up in time`, async (t) => {
      const { directory } = sourceOf(t, 'kirin.config.mjs', text);
      const evaluating = evaluateConfig(join(directory, 'kirin.config.mjs'), {
        env: {},
        directory,
        limitMs: 200,
      });
      await assert.rejects(evaluating, { message: 'took longer than 0.2 s to load' });
    });
  }

  test('is not read at all where it was given up before, and says why', async (t) => {
    const file = join(temporaryDirectory(t), 'read');
    const text = `require("node:fs").writeFileSync(${JSON.stringify(file)}, "")`;
    const { source } = sourceOf(t, 'kirin.config.cjs', text);
    const reason = new FaultError('order.stopping', 'stopping');
    await assert.rejects(source(AbortSignal.abort(reason)), faultOf('order.stopping', /^stopping$/));
    assert.ok(!existsSync(file));
  });

  test('whose arbiter is killed ends too', async (t) => {
    const file = join(temporaryDirectory(t), 'pid');
    const { directory } = sourceOf(
      t,
      'kirin.config.cjs',
      `require("node:fs").writeFileSync(${JSON.stringify(file)}, String(process.pid)); setInterval(() => {}, 1000);
       module.exports = () => new Promise(() => {});`,
    );
    const url = new URL('../src/settings.ts', import.meta.url).href;
    const script = `import { settingsSource } from ${JSON.stringify(url)};
      import { existsSync } from 'node:fs';
      void settingsSource({ app: 'a', flags: {} }, {}, ${JSON.stringify(directory)})();
      setInterval(() => { if (existsSync(${JSON.stringify(file)})) process.kill(process.pid, 'SIGKILL'); }, 10);`;
    spawnSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
      timeout: 60_000,
    });
    const pid = pidIn(file);
    assert.ok(pid > 0);
    await until('its process is gone', () => !isRunning(pid));
  });
});
