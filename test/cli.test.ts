import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseCommandLine } from '../src/cli/options.ts';
import { settingList } from '../src/settings/table.ts';
import { faultOf } from './actors/support.ts';

const parse = async (...argv: string[]) => {
  const parsed = await parseCommandLine(argv, '1.2.3');
  assert.equal(parsed.kind, 'run');
  return parsed.kind === 'run' ? parsed.commandLine : undefined;
};

describe('the command line', () => {
  const lines: [string, object][] = [
    ['app.js', { app: 'app.js', flags: {} }],
    ['-w 4 app.js', { app: 'app.js', flags: { workers: ['4'] } }],
    ['-w4 app.js', { app: 'app.js', flags: { workers: ['4'] } }],
    ['-w=4 app.js', { app: 'app.js', flags: { workers: ['4'] } }],
    ['--workers=4 app.js', { app: 'app.js', flags: { workers: ['4'] } }],
    ['app.js --workers 4', { app: 'app.js', flags: { workers: ['4'] } }],
    [
      '-b 8000 -bunix:/x --bind [::1]:80 app',
      { app: 'app', flags: { bind: ['8000', 'unix:/x', '[::1]:80'] } },
    ],
    ['-w 1 -w 2 app.js', { app: 'app.js', flags: { workers: ['1', '2'] } }],
    ['--env A=1 -e B.c=2 app.js', { app: 'app.js', flags: { env: ['A=1', 'B.c=2'] } }],
    ['--error-logfile - app.js', { app: 'app.js', flags: { errorLogfile: ['-'] } }],
    ['-c x.ts -c y.ts app.js', { app: 'app.js', config: 'y.ts', flags: {} }],
    ['--http2=true app.js', { app: 'app.js', flags: { http2: ['true'] } }],
    ['--timeout 007.50 app.js', { app: 'app.js', flags: { timeoutMs: ['007.50'] } }],
    ['-w 2 -- app.js', { app: 'app.js', flags: { workers: ['2'] } }],
    ['app.js -- start -p 3', { app: 'app.js', flags: { args: ['start', '-p', '3'] } }],
    ['-w 2 -- app.js -w 3 -- x', { app: 'app.js', flags: { workers: ['2'], args: ['-w', '3', '--', 'x'] } }],
    ['--args a app.js -- b', { app: 'app.js', flags: { args: ['a', 'b'] } }],
    ['-w -1 app.js', { app: 'app.js', flags: { workers: ['-1'] } }],
    ['12', { app: '12', flags: {} }],
    ['--inspect app.js', { app: 'app.js', flags: { inspect: ['127.0.0.1:9229'] } }],
    ['--inspect 9300 app.js', { app: 'app.js', flags: { inspect: ['9300'] } }],
    ['--inspector app.js', { app: 'app.js', flags: { inspector: ['127.0.0.1:8780'] } }],
    ['--inspector app.js:main', { app: 'app.js:main', flags: { inspector: ['127.0.0.1:8780'] } }],
    ['--inspector 9000 app.js', { app: 'app.js', flags: { inspector: ['9000'] } }],
    ['--inspector [::1]:9000 app.js', { app: 'app.js', flags: { inspector: ['[::1]:9000'] } }],
    ['--inspector=:9000 app.js', { app: 'app.js', flags: { inspector: [':9000'] } }],
    ['app.js --inspector', { app: 'app.js', flags: { inspector: ['127.0.0.1:8780'] } }],
    ['-w 2 -- --inspector', { app: '--inspector', flags: { workers: ['2'] } }],
    ['-w 2', { flags: { workers: ['2'] } }],
  ];
  for (const [line, expected] of lines)
    test(`kirin ${line}`, async () => {
      assert.deepEqual(await parse(...line.split(' ')), { app: undefined, config: undefined, ...expected });
    });

  const wrong: [string, RegExp][] = [
    ['--wrokers 3 app.js', /^unknown option --wrokers \(did you mean "--workers"\?\) \(see kirin --help\)$/],
    ['--daemonize app.js', /^unknown option --daemonize \(did you mean "--daemon"\?\) \(see/],
    ['--gateway app.js', /^unknown option --gateway \(see/],
    ['-z app.js', /^unknown option -z \(see/],
    ['--no-workers app.js', /^unknown option --no-workers/],
    ['app.js -w', /^-w needs a value/],
    ['app.js --workers', /^--workers needs a value/],
    ['-b --backlog 3 app.js', /^-b needs a value/],
    ['--http2=yes app.js', /^--http2 must be true or false, not "yes" \(see/],
    ['--check-config= app.js', /^--check-config must be true or false, not "" \(see/],
    ['-i 4 app.js', /^-i is PM2's: here it is --workers \(docs\/from-pm2\.md\) \(see/],
    ['--max-memory-restart 1G app.js', /^--max-memory-restart is PM2's: here it is --max-memory /],
    ['start app.js', /^kirin has no command "start": write kirin app\.js \(see/],
    ['list', /^kirin has no command "list": write kirinc -c 'show workers' \(see/],
    [
      '--metrics abc app.js',
      /^one app only: "abc" .*, and what --metrics takes is HOST:PORT, PORT or unix:PATH \(/,
    ],
    [
      '--metrics a.js b.js c.js',
      /^one app only: "a\.js" and "b\.js" were given; .*, and what --metrics takes/,
    ],
    [
      'app.js --statsd-host abc',
      /^one app only: "app\.js" and "abc" .*, and what --statsd-host takes is HOST:PORT or PORT \(/,
    ],
    ['a.js b.js --metrics', /^one app only: .* stand behind "--" \(/],
    ['a.js b.js', /^one app only: "a\.js" and "b\.js" were given; the app's own arguments stand behind "--"/],
  ];
  for (const [line, message] of wrong)
    test(`not kirin ${line}`, async () => {
      await assert.rejects(parseCommandLine(line.split(' '), '1'), faultOf('settings.invalid', message));
    });
});

describe('help', () => {
  test('fits 80 columns and names every option', async () => {
    const parsed = await parseCommandLine(['--help'], '1.2.3');
    const text = parsed.kind === 'print' ? parsed.text : '';
    for (const { flag } of settingList) assert.match(text, new RegExp(`--${flag}[ ,]`));
    assert.ok(text.split('\n').every((line) => line.length <= 80));
    assert.doesNotMatch(text, /\[(boolean|string)\]|undefined/);
    assert.match(text, /^Usage: kirin \[options\] MODULE\[:EXPORT\] \[-- ARGUMENTS\]\n/);
  });
});

describe('the command', () => {
  const file = fileURLToPath(new URL('../src/cli/kirin.ts', import.meta.url));
  const run = (...argv: string[]) =>
    spawnSync(process.execPath, ['--import', 'tsx', file, ...argv], { encoding: 'utf8', timeout: 60_000 });

  test('shows help and version on standard output', () => {
    const version = run('--version');
    assert.deepEqual([version.status, version.stderr], [0, '']);
    assert.match(version.stdout, /^kirin \d+\.\d+\.\d+\n$/);
    const help = run('-h');
    assert.deepEqual([help.status, help.stderr], [0, '']);
  });

  const mistakes: [string[], number, RegExp][] = [
    [[], 2, /^kirin: no app given: .*\n$/],
    [['-w', '0', 'app.js'], 2, /^kirin: --workers must be .*\n$/],
    [['--wrokers', '2', 'app.js'], 2, /^kirin: unknown option .*\n$/],
    [['-c', '/does/not/exist.ts', 'app.js'], 2, /^kirin: --config: there is no file .*\n$/],
    [['-b', 'nonsense', 'app.js'], 2, /^kirin: cannot bind "nonsense": .*\n$/],
  ];
  for (const [argv, status, message] of mistakes)
    test(`tells a mistake in one line: kirin ${argv.join(' ')}`, () => {
      const { status: code, stderr, stdout } = run(...argv);
      assert.deepEqual([code, stdout], [status, '']);
      assert.match(stderr, message);
    });
});
