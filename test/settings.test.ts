import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { cgroupLimits, workersFor } from '../src/actors/cgroup.ts';
import { didYouMean, nearest } from '../src/settings/suggest.ts';
import { fileKeysOf, type SettingKey, settingList, variableOf } from '../src/settings/table.ts';
import { type CommandLine, needsRestart, type Settings, settingsSource } from '../src/settings.ts';
import { faultOf, temporaryDirectory } from './actors/support.ts';

/** Reads settings from flags, an environment and a directory. */
async function read({
  flags = {},
  env = {},
  directory = '/',
  ...line
}: {
  flags?: CommandLine['flags'];
  env?: NodeJS.ProcessEnv;
  directory?: string;
  app?: string;
  config?: string;
}): Promise<Settings> {
  return await settingsSource({ app: 'app.js', ...line, flags }, env, directory)();
}

function withFiles(t: TestContext, files: Record<string, string>): string {
  const directory = temporaryDirectory(t);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
  return directory;
}

const invalid = (message: RegExp) => faultOf('settings.invalid', message);

test('the defaults', async () => {
  assert.deepEqual(await read({}), {
    app: 'app.js',
    bind: ['127.0.0.1:8000'],
    args: [],
    ipv6Only: false,
    backlog: 2048,
    workers: 1,
    timeoutMs: 30_000,
    bootTimeoutMs: 60_000,
    gracefulTimeoutMs: 30_000,
    keepAliveMs: undefined,
    noBalance: false,
    workerConnections: 0,
    reusePort: false,
    enableBacklogMetric: false,
    idleGraceMs: 2000,
    user: undefined,
    group: undefined,
    initgroups: false,
    umask: undefined,
    daemon: false,
    inspector: undefined,
    inspectorAllowRemote: false,
    inspectorControl: false,
    inspectorRecord: undefined,
    inspectorRecordBytesMax: 32 * 1024 * 1024,
    arbiterPriority: 10,
    inspectorToken: undefined,
    lameDuckMs: 0,
    certfile: undefined,
    keyfile: undefined,
    caCerts: undefined,
    certReqs: 'none',
    ciphers: undefined,
    sslMinVersion: 'TLSv1.2',
    sslMaxVersion: 'TLSv1.3',
    http2: false,
    http2Streams: 100,
    maxHeaderBytes: undefined,
    headersTimeoutMs: undefined,
    requestTimeoutMs: undefined,
    proxyProtocol: 'off',
    proxyAllowIps: '127.0.0.1,::1',
    forwardedAllowIps: undefined,
    secureSchemeHeaders: undefined,
    forwarderHeaders: undefined,
    headerMap: 'dangerous',
    rootPath: undefined,
    logTransports: [],
    metrics: undefined,
    accessLogfile: undefined,
    accessLogformat: '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"',
    syslog: false,
    syslogTo: 'udp://localhost:514',
    syslogPrefix: undefined,
    syslogFacility: 'user',
    disableRedirectAccessToSyslog: false,
    statsdHost: undefined,
    statsdPrefix: '',
    dogstatsdTags: '',
    maxRequests: 0,
    maxRequestsJitter: 0,
    maxMemoryBytes: 0,
    maxMemoryHardBytes: 0,
    onUncaught: 'exit',
    hangStack: false,
    inspect: undefined,
    maxSurge: { count: 1 },
    reloadSettleMs: 1000,
    chdir: undefined,
    envFile: [],
    env: {},
    logLevel: 'info',
    logFormat: 'text',
    errorLogfile: '-',
    pid: undefined,
    procName: undefined,
    nodeArgs: [],
    maxOldSpaceMib: undefined,
    threadpoolSize: undefined,
    preload: [],
    compileCache: undefined,
    captureOutput: false,
    workersMax: Math.max(64, 4 * availableParallelism()),
    dirtyApps: [],
    dirtyWorkers: 0,
    dirtyTimeoutMs: 300_000,
    dirtyThreads: 1,
    dirtyGracefulTimeoutMs: 30_000,
    dirtyQueue: 1000,
    dirtyResources: {},
    hooks: undefined,
    reload: false,
    reloadEngine: 'auto',
    reloadExtraFiles: [],
    configFile: undefined,
    hookTimeoutMs: 30_000,
    dirtyStashBytesMax: 64 * 1024 * 1024,
    controlSocket: '/kirin.ctl',
    controlSocketMode: 0o600,
    controlSocketDisable: false,
    controlSocketRequired: false,
    controlSocketReadonly: undefined,
    controlSocketReadonlyMode: 0o666,
    controlRequestBytesMax: 1024 * 1024,
    controlReplyBytesMax: 16 * 1024 * 1024,
    controlSessions: 64,
    controlIdleMs: 300_000,
    controlQueue: 64,
    controlCommandMs: 600_000,
  });
});

describe('values', () => {
  const good: [SettingKey, string, unknown][] = [
    ['bind', '8000', ['127.0.0.1:8000']],
    ['bind', 'unix:a.sock', ['unix:/srv/a.sock']],
    ['bind', 'unix:a.sock?mode=660', ['unix:/srv/a.sock?mode=0660']],
    ['args', '', ['']],
    ['args', ' -p ', [' -p ']],
    ['workers', '4', 4],
    ['workers', 'auto', workersFor(availableParallelism(), cgroupLimits())],
    ['backlog', '1', 1],
    ['timeoutMs', '0', 0],
    ['timeoutMs', '0.5', 500],
    ['keepAliveMs', '0', 0],
    ['keepAliveMs', '5', 5000],
    ['maxSurge', '3', { count: 3 }],
    ['maxSurge', '25%', { percent: 25 }],
    ['maxSurge', '100%', { percent: 100 }],
    ['maxSurge', '12.5%', { percent: 12.5 }],
    ['env', 'A=b=c', { A: 'b=c' }],
    ['env', 'A=', { A: '' }],
    ['logLevel', 'debug', 'debug'],
    ['errorLogfile', '-', '-'],
    ['errorLogfile', 'log/kirin.log', '/srv/log/kirin.log'],
    ['pid', '/run/kirin.pid', '/run/kirin.pid'],
  ];
  for (const [key, typed, value] of good)
    test(`${key} ${typed}`, async () => {
      assert.deepEqual((await read({ flags: { [key]: [typed] }, directory: '/srv' }))[key], value);
    });

  const bad: [SettingKey, string, RegExp][] = [
    ['workers', '0', /^--workers must be a whole number of at least 1 \(or "auto"\), not "0"$/],
    ['workers', '-1', /at least 1/],
    ['workers', '1.5', /whole number/],
    ['workers', '100000', /^--workers must be a whole number of at most 1024 \(or "auto"\), not "100000"$/],
    ['workers', 'all', /at least 1 \(or "auto"\), not "all"$/],
    ['workers', '', /not ""$/],
    ['workers', '0x10', /whole number/],
    ['backlog', '0', /^--backlog must be a whole number of at least 1, not "0"$/],
    ['backlog', '1e3', /whole number/],
    ['timeoutMs', '-1', /^--timeout must be a number of seconds of at least 0, not "-1"$/],
    ['timeoutMs', '30s', /number of seconds/],
    ['timeoutMs', '99999999', /of at most 1728000/],
    ['timeoutMs', 'Infinity', /number of seconds/],
    ['maxSurge', '0', /^--max-surge must be a whole number of at least 1, or a share such as 25%/],
    ['maxSurge', '0%', /at most 100%/],
    ['maxSurge', '101%', /at most 100%/],
    ['env', 'A', /^--env must be NAME=VALUE, and one of them is not$/],
    ['env', '=x', /NAME=VALUE/],
    [
      'logLevel',
      'infos',
      /^--log-level must be debug, info, warn or error, not "infos" \(did you mean "info"\?\)$/,
    ],
    ['logFormat', 'xml', /^--log-format must be text or json, not "xml"$/],
    ['pid', '', /^--pid must be a path, not ""$/],
    ['chdir', '/does/not/exist', /^--chdir: there is no directory \/does\/not\/exist$/],
    ['envFile', '/does/not/exist', /cannot read the environment file/],
  ];
  for (const [key, typed, message] of bad)
    test(`not ${key} ${typed}`, async () => {
      await assert.rejects(read({ flags: { [key]: [typed] } }), invalid(message));
    });

  test('not a bad address, whose exit code is another', async () => {
    await assert.rejects(
      read({ flags: { bind: ['nonsense'] } }),
      faultOf('settings.invalid', /port is missing/),
    );
  });

  test('a list is all that was typed, each once; a single value is the last', async () => {
    const settings = await read({
      flags: {
        bind: ['8000', '127.0.0.1:8000', '[::1]:8000'],
        workers: ['2', '3'],
        env: ['A=1', 'B=2', 'A=3'],
      },
    });
    assert.deepEqual(settings.bind, ['127.0.0.1:8000', '[::1]:8000']);
    assert.equal(settings.workers, 3);
    assert.deepEqual(settings.env, { A: '3', B: '2' });
  });
});

describe('the app', () => {
  test('comes from the command line, the environment or the file', async (t) => {
    const directory = withFiles(t, { 'kirin.config.json': '{"app": "file.js"}' });
    const env = { KIRIN_APP: 'env.js' };
    assert.equal((await settingsSource({ app: 'flag.js', flags: {} }, env, directory)()).app, 'flag.js');
    assert.equal((await settingsSource({ flags: {} }, env, directory)()).app, 'env.js');
    assert.equal((await settingsSource({ flags: {} }, {}, directory)()).app, 'file.js');
  });

  test('is needed', async () => {
    await assert.rejects(
      settingsSource({ flags: {} }, {}, '/')(),
      invalid(/^no app given: kirin \[options\] MODULE/),
    );
  });
});

describe('the environment', () => {
  test('has a variable for each setting but the pairs, the arguments and options of Node.js', () => {
    const variables = settingList.flatMap((setting) => variableOf(setting) ?? []);
    assert.equal(new Set(variables).size, variables.length);
    assert.deepEqual(
      settingList.filter((setting) => !variableOf(setting)).map(({ key }) => key),
      ['args', 'env', 'nodeArgs'],
    );
    assert.ok(variables.includes('KIRIN_GRACEFUL_TIMEOUT'));
  });

  test('sets what is not typed; lists are split by commas; empty is none', async () => {
    const env = {
      KIRIN_WORKERS: '3',
      KIRIN_BIND: '8001, unix:/x.sock',
      KIRIN_BACKLOG: '',
      KIRIN_TIMEOUT: '5',
    };
    const settings = await read({ env, flags: { timeoutMs: ['6'] } });
    assert.deepEqual(settings.bind, ['127.0.0.1:8001', 'unix:/x.sock']);
    assert.deepEqual([settings.workers, settings.backlog, settings.timeoutMs], [3, 2048, 6000]);
  });

  test('is named where it is wrong', async () => {
    await assert.rejects(read({ env: { KIRIN_WORKERS: 'x' } }), invalid(/^KIRIN_WORKERS must be/));
    await assert.rejects(read({ env: { WEB_CONCURRENCY: 'x' } }), invalid(/^WEB_CONCURRENCY must be/));
    await assert.rejects(
      read({ env: { PORT: '/pipe' } }),
      invalid(/^PORT must be a whole number from 0 to 65535/),
    );
  });

  test('$PORT and $WEB_CONCURRENCY count, less than the own variables', async () => {
    const platform = { PORT: '5000', WEB_CONCURRENCY: '7' };
    const settings = await read({ env: platform });
    assert.deepEqual([settings.bind, settings.workers], [['0.0.0.0:5000'], 7]);
    const own = await read({ env: { ...platform, KIRIN_BIND: '6000', KIRIN_WORKERS: '2' } });
    assert.deepEqual([own.bind, own.workers], [['127.0.0.1:6000'], 2]);
    const typed = await read({ env: platform, flags: { bind: ['7000'], workers: ['1'] } });
    assert.deepEqual([typed.bind, typed.workers], [['127.0.0.1:7000'], 1]);
  });

  test('a configuration file counts more than what the platform says, less than the own variables', async (t) => {
    const directory = withFiles(t, { 'kirin.config.json': '{"bind": "127.0.0.1:6001", "workers": 3}' });
    const platform = { PORT: '5000', WEB_CONCURRENCY: '7' };
    const filed = await read({ env: platform, directory });
    assert.deepEqual([filed.bind, filed.workers], [['127.0.0.1:6001'], 3]);
    const own = await read({ env: { ...platform, KIRIN_WORKERS: '2' }, directory });
    assert.equal(own.workers, 2);
  });

  test('files and pairs overlay it, afresh at each reading', async (t) => {
    const directory = withFiles(t, { 'a.env': 'PORT=5001\nKIRIN_WORKERS=3\n' });
    const source = settingsSource(
      { app: 'app.js', flags: { envFile: ['a.env'], env: ['KIRIN_BACKLOG=9'] } },
      { PORT: '5000' },
      directory,
    );
    const first = await source();
    assert.deepEqual([first.bind, first.workers, first.backlog], [['0.0.0.0:5001'], 3, 9]);
    assert.deepEqual([first.envFile, first.env], [[join(directory, 'a.env')], { KIRIN_BACKLOG: '9' }]);
    writeFileSync(join(directory, 'a.env'), 'PORT=5002');
    const second = await source();
    assert.deepEqual([second.bind, second.workers], [['0.0.0.0:5002'], 1]);
  });
});

describe('a configuration file', () => {
  const kinds: Record<string, string> = {
    'kirin.config.ts': 'const n: number = 3; export default { workers: n } satisfies object;',
    'kirin.config.mts': 'export default async (): Promise<object> => ({ workers: 3 });',
    'kirin.config.js': 'export default { workers: "3" };',
    'kirin.config.mjs': 'export default () => ({ workers: 3 });',
    'kirin.config.cjs': 'module.exports = { workers: 3 };',
    'kirin.config.json': '{ "workers": 3 }',
  };
  for (const [name, text] of Object.entries(kinds))
    test(name, async (t) => {
      assert.equal((await read({ directory: withFiles(t, { [name]: text }) })).workers, 3);
    });

  test('is read afresh, with what it imports', async (t) => {
    const directory = withFiles(t, {
      'kirin.config.ts': "import { workers } from './more.ts'; export default { workers };",
      'more.ts': 'export const workers = 2;',
    });
    const source = settingsSource({ app: 'app.js', flags: {} }, {}, directory);
    assert.equal((await source()).workers, 2);
    writeFileSync(join(directory, 'more.ts'), 'export const workers = 3;');
    assert.equal((await source()).workers, 3);
    unlinkSync(join(directory, 'kirin.config.ts'));
    assert.equal((await source()).workers, 1);
  });

  test('counts less than the environment and the command line', async (t) => {
    const directory = withFiles(t, { 'kirin.config.json': '{"workers": 2, "backlog": 2, "timeout": 2}' });
    const { workers, backlog, timeoutMs } = await read({
      directory,
      env: { KIRIN_BACKLOG: '3', KIRIN_TIMEOUT: '3' },
      flags: { timeoutMs: ['4'] },
    });
    assert.deepEqual([workers, backlog, timeoutMs], [2, 3, 4000]);
  });

  test("takes Gunicorn's names and the flags', in both cases, with its own types", async (t) => {
    const one =
      '{"graceful_timeout": 1, "keepalive": 2, "raw_env": ["A=1"], "bind": 8001, "max_surge": "50%"}';
    const two =
      '{"gracefulTimeout": 1, "keepAlive": "2", "env": {"A": "1"}, "bind": ["8001"], "maxSurge": "50%"}';
    const settings = await read({ directory: withFiles(t, { 'kirin.config.json': one }) });
    const { controlSocket, configFile } = settings;
    const others = await read({ directory: withFiles(t, { 'kirin.config.json': two }) });
    assert.deepEqual(settings, { ...others, controlSocket, configFile });
    assert.deepEqual(
      [settings.gracefulTimeoutMs, settings.keepAliveMs, settings.env],
      [1000, 2000, { A: '1' }],
    );
  });

  test('no key means two settings', () => {
    const keys = settingList.flatMap(fileKeysOf);
    assert.equal(new Set(keys).size, keys.length);
  });

  test('is found in --chdir, and its own relative paths are taken from where it is', async (t) => {
    const directory = temporaryDirectory(t);
    mkdirSync(join(directory, 'one/sub'), { recursive: true });
    mkdirSync(join(directory, 'two/sub'), { recursive: true });
    for (const release of ['one', 'two'])
      writeFileSync(
        join(directory, release, 'kirin.config.json'),
        JSON.stringify({ bind: `unix:${release}.sock`, pid: 'kirin.pid', chdir: 'sub' }),
      );
    symlinkSync('one', join(directory, 'current'));
    const env = { KIRIN_ERROR_LOGFILE: 'kirin.log' };
    const source = settingsSource({ app: 'a', flags: { chdir: ['current'] } }, env, directory);
    const first = await source();
    assert.deepEqual(
      [first.chdir, first.bind, first.pid, first.errorLogfile],
      [
        join(directory, 'current'),
        [`unix:${directory}/current/one.sock`],
        join(directory, 'current/kirin.pid'),
        join(directory, 'kirin.log'),
      ],
    );
    unlinkSync(join(directory, 'current'));
    symlinkSync('two', join(directory, 'current'));
    assert.deepEqual((await source()).bind, [`unix:${directory}/current/two.sock`]);
    const inFile = await settingsSource({ app: 'a', flags: {} }, {}, join(directory, 'current'))();
    assert.equal(inFile.chdir, join(directory, 'current/sub'));
  });

  test('may be chosen, with --config or KIRIN_CONFIG', async (t) => {
    const directory = withFiles(t, { 'other.json': '{"workers": 2}', 'kirin.config.json': '{"workers": 3}' });
    assert.equal((await read({ directory, config: 'other.json' })).workers, 2);
    assert.equal(
      (await read({ directory, env: { KIRIN_CONFIG: join(directory, 'other.json') } })).workers,
      2,
    );
  });

  const wrong: [string, string, RegExp][] = [
    [
      'kirin.config.json',
      '{"wrokers": 3}',
      /^kirin\.config\.json: unknown setting "wrokers" \(did you mean "workers"\?\)$/,
    ],
    [
      'kirin.config.json',
      '{"wrokers": 3, "workers": 2, "bnid": "x"}',
      /^kirin\.config\.json: unknown settings "wrokers" \(did you mean "workers"\?\), "bnid" \(did you mean "bind"\?\)$/,
    ],
    [
      'kirin.config.json',
      JSON.stringify(Object.fromEntries([1, 2, 3, 4, 5, 6, 7].map((n) => [`entirely_unknown_${n}`, n]))),
      /: unknown settings "entirely_unknown_1", .*"entirely_unknown_5" and 2 more$/,
    ],
    ['kirin.config.json', '{"entirely_unknown_thing": 3}', /: unknown setting "entirely_unknown_thing"$/],
    [
      'kirin.config.json',
      '{"max_surge": 1, "maxSurge": 2}',
      /"max_surge" and "maxSurge" are the same setting; keep one$/,
    ],
    ['kirin.config.json', '{"pid": "a", "pidfile": "b"}', /are the same setting/],
    [
      'kirin.config.json',
      '{"workers": 0}',
      /^"workers" in kirin\.config\.json must be a whole number of at least 1/,
    ],
    ['kirin.config.json', '{"workers": [1]}', /must be a whole number .*, not \[1\]$/],
    ['kirin.config.json', '{"workers": null}', /not null$/],
    [
      'kirin.config.json',
      '{"env": {"A": 1}}',
      /^"env" in kirin\.config\.json: the value of "A" must be a text, and its name one$/,
    ],
    [
      'kirin.config.json',
      '{"env": 5}',
      /^"env" in kirin\.config\.json must be an object of texts, or a list of NAME=VALUE, not 5$/,
    ],
    ['kirin.config.json', '{"bind": []}', /at least one address/],
    ['kirin.config.json', '{"app": 3}', /app must be MODULE/],
    ['kirin.config.json', '{', /^kirin\.config\.json: SyntaxError/],
    ['kirin.config.json', '[]', /must export an object by default/],
    ['kirin.config.ts', 'export default {', /^kirin\.config\.ts: /],
    ['kirin.config.js', 'throw new Error("first\\nsecond")', /^kirin\.config\.js: first$/],
    ['kirin.config.js', 'throw undefined', /^kirin\.config\.js: /],
    [
      'kirin.config.mjs',
      'export default async () => { throw new TypeError("no") }',
      /^kirin\.config\.mjs: TypeError: no$/,
    ],
    ['kirin.config.mjs', 'export default () => 3', /must export an object by default, or a function/],
    ['kirin.config.js', 'import "./missing.js"; export default {}', /^kirin\.config\.js: .*missing/],
  ];
  for (const [name, text, message] of wrong)
    test(`is refused: ${text}`, async (t) => {
      const reading = settingsSource({ flags: {} }, {}, withFiles(t, { [name]: text }))();
      await assert.rejects(reading, invalid(message));
    });

  test('two of them are refused, and so is one that is not there', async (t) => {
    const directory = withFiles(t, { 'kirin.config.json': '{}', 'kirin.config.ts': 'export default {}' });
    await assert.rejects(read({ directory }), invalid(/has both kirin\.config\.ts and kirin\.config\.json/));
    await assert.rejects(
      read({ directory, config: 'x.ts' }),
      invalid(/^--config: there is no file .*x\.ts$/),
    );
    await assert.rejects(read({ directory, config: '' }), invalid(/^--config must be a path, not ""$/));
  });

  test('what is no file is not waited for', async (t) => {
    const directory = withFiles(t, {});
    assert.equal(spawnSync('mkfifo', [join(directory, 'kirin.config.json')]).status, 0);
    await assert.rejects(read({ directory }), invalid(/^--config: .*kirin\.config\.json is no file$/));
    await assert.rejects(read({ directory, config: '.' }), invalid(/^--config: .* is no file$/));
  });

  test('a link that leads nowhere is not passed over', async (t) => {
    const directory = withFiles(t, {});
    symlinkSync('../shared/kirin.config.json', join(directory, 'kirin.config.json'));
    await assert.rejects(
      read({ directory }),
      invalid(/kirin\.config\.json is a link that leads to no file$/),
    );
  });
});

test('what a reload cannot change is told by its flag', async () => {
  const before = await read({});
  const after = await read({ flags: { pid: ['/x'], workers: ['3'], logFormat: ['json'] } });
  assert.deepEqual(needsRestart(before, after), ['--log-format', '--pid']);
  assert.deepEqual(needsRestart(before, before), []);
});

describe('the nearest name', () => {
  const names = ['workers', 'backlog', 'max-requests', 'pid'];
  test('is offered for a slip', () => {
    assert.equal(nearest('wrokers', names), 'workers');
    assert.equal(nearest('max_request', names), 'max-requests');
    assert.equal(nearest('PID', names), 'pid');
    assert.equal(didYouMean('worker', names, '--'), ' (did you mean "--workers"?)');
  });
  test('is not offered for something else', () => {
    assert.equal(nearest('daemon', names), undefined);
    assert.equal(didYouMean('', names), '');
  });
});
