/** The settings of the control interface: what they take, what contradicts, where values came from, how they are shown. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { CONTROL_SETTINGS } from '../src/settings/control-table.ts';
import { shownSettings } from '../src/settings/shown.ts';
import { type SettingKey, settingList } from '../src/settings/table.ts';
import { type CommandLine, inForce, originOf, type Settings, settingsSource } from '../src/settings.ts';
import { faultOf, temporaryDirectory } from './actors/support.ts';

const read = (
  flags: CommandLine['flags'] = {},
  env: NodeJS.ProcessEnv = {},
  directory = '/srv',
): Promise<Settings> => settingsSource({ app: 'app.js', flags }, env, directory)();

describe('a mode', () => {
  const good: [unknown, number][] = [
    ['0o660', 0o660],
    ['0O660', 0o660],
    ['0660', 0o660],
    ['660', 0o660],
    [' 600 ', 0o600],
    ['0', 0],
    ['777', 0o777],
    [0o660, 0o660],
    [0, 0],
    [511, 0o777],
  ];
  for (const [written, mode] of good)
    test(`${JSON.stringify(written)} is 0${mode.toString(8)}`, async (t) => {
      const directory = temporaryDirectory(t);
      writeFileSync(
        join(directory, 'kirin.config.json'),
        JSON.stringify({ control_socket_mode: written, controlSocketReadonlyMode: written }),
      );
      const settings = await read({}, {}, directory);
      assert.deepEqual([settings.controlSocketMode, settings.controlSocketReadonlyMode], [mode, mode]);
    });

  const bad: [unknown, RegExp][] = [
    [
      660,
      /^"control_socket_mode" in kirin\.config\.json must be permission bits up to 0o777, not 660: write "0660"$/,
    ],
    [999, /up to 0o777, not 999: write "0660"$/],
    [-1, /not -1: write "0660"$/],
    [1.5, /not 1\.5/],
    ['1777', /must be octal permissions from 0 to 0777, such as 0660, not "1777"$/],
    ['0x1ff', /octal permissions/],
    ['rw', /octal permissions/],
    ['689', /octal permissions/],
    ['', /octal permissions/],
    [true, /octal permissions/],
  ];
  for (const [written, message] of bad)
    test(`${JSON.stringify(written)} is refused`, async (t) => {
      const directory = temporaryDirectory(t);
      writeFileSync(join(directory, 'kirin.config.json'), JSON.stringify({ control_socket_mode: written }));
      await assert.rejects(read({}, {}, directory), faultOf('settings.invalid', message));
    });
});

describe('values', () => {
  const good: [SettingKey, string, unknown][] = [
    ['controlSocket', 'run/k.ctl', '/srv/run/k.ctl'],
    ['controlSocketReadonly', '/run/k.ctl', '/run/k.ctl'],
    ['controlSocketDisable', 'true', true],
    ['controlSocketDisable', 'no', false],
    ['controlSocketRequired', '1', true],
    ['controlRequestBytesMax', '65536', 65_536],
    ['controlRequestBytesMax', '64K', 65_536],
    ['controlRequestBytesMax', '64kib', 65_536],
    ['controlReplyBytesMax', '2 MB', 2 * 1024 * 1024],
    ['controlSessions', '1', 1],
    ['controlIdleMs', '0', 0],
    ['controlQueue', '3', 3],
    ['controlCommandMs', '0.5', 500],
    ['workersMax', '1', 1],
  ];
  for (const [key, typed, value] of good)
    test(`${key} ${typed}`, async () => {
      assert.deepEqual((await read({ [key]: [typed] }))[key], value);
    });

  const bad: [SettingKey, string, RegExp][] = [
    ['controlSocketDisable', 'maybe', /^--no-control-socket must be true or false, not "maybe"$/],
    ['controlRequestBytesMax', '12', /^--control-request-max must be a number of bytes of at least 1024/],
    ['controlRequestBytesMax', '1G', /of at most 67108864, or such as 64K or 1M, not "1G"$/],
    ['controlRequestBytesMax', '1T', /number of bytes/],
    ['controlRequestBytesMax', '', /number of bytes/],
    ['controlSessions', '0', /at least 1/],
    ['controlQueue', '1.5', /whole number/],
    ['controlCommandMs', '0', /number of seconds/],
    ['workersMax', '0', /at least 1/],
    ['workersMax', '5000', /at most 1024/],
    ['controlSocket', '', /^--control-socket must be a path/],
  ];
  for (const [key, typed, message] of bad)
    test(`not ${key} ${typed}`, async () => {
      await assert.rejects(read({ [key]: [typed] }), faultOf('settings.invalid', message));
    });

  test('what contradicts is refused', async () => {
    const flags = { controlSocketDisable: ['true'], controlSocketRequired: ['true'] };
    await assert.rejects(read(flags), faultOf('settings.invalid', /contradict each other: keep one$/));
    const same = { controlSocket: ['/k'], controlSocketReadonly: ['/k'] };
    await assert.rejects(read(same), faultOf('settings.invalid', /must be two paths$/));
    assert.equal((await read({ ...same, controlSocketDisable: ['true'] })).controlSocketReadonly, '/k');
  });
});

describe('where a value came from', () => {
  test('is told for every source', async (t) => {
    const directory = temporaryDirectory(t);
    writeFileSync(join(directory, 'kirin.config.json'), '{"backlog": 9, "maxSurge": 2, "workers": 3}');
    const env = { KIRIN_TIMEOUT: '9', PORT: '9000', KIRIN_BACKLOG: '8' };
    const settings = await read({ workers: ['2'] }, env, directory);
    const told = (key: SettingKey | 'app') => originOf(settings, key);
    assert.equal(told('workers'), '--workers');
    assert.equal(told('timeoutMs'), 'KIRIN_TIMEOUT');
    assert.equal(told('backlog'), 'KIRIN_BACKLOG');
    assert.equal(told('bind'), 'PORT');
    assert.equal(told('maxSurge'), '"maxSurge" in kirin.config.json');
    assert.equal(told('keepAliveMs'), 'default');
    assert.equal(told('app'), 'command line');
  });

  test('after a reload what needs a restart is as it was', async () => {
    const first = await read({ logLevel: ['warn'], workers: ['2'] });
    const second = await read({ logLevel: ['debug'], workers: ['3'] });
    const now = inForce(first, second);
    assert.deepEqual([now.logLevel, now.workers], ['warn', 3]);
    assert.deepEqual([originOf(now, 'logLevel'), originOf(now, 'workers')], ['--log-level', '--workers']);
  });
});

describe('settings as they are shown', () => {
  const shown = async (flags: CommandLine['flags']) =>
    Object.fromEntries(shownSettings(await read(flags)).map(({ name, value }) => [name, value]));

  test('are in the units and the words of the configuration file', async () => {
    const flags = {
      timeoutMs: ['1.5'],
      maxSurge: ['25%'],
      controlSocketMode: ['660'],
      env: ['TOKEN=hunter2', 'A='],
      keepAliveMs: ['5'],
    };
    const { timeout, max_surge, control_socket_mode, raw_env, keepalive, chdir } = await shown(flags);
    assert.deepEqual(
      [timeout, max_surge, control_socket_mode, raw_env, keepalive, chdir],
      [1.5, '25%', '0660', { TOKEN: '***', A: '***' }, 5, null],
    );
    assert.equal((await shown({}))['max_surge'], 1);
  });

  test('can be written into a file, which gives the same', async (t) => {
    const before = await shown({ timeoutMs: ['1.5'], maxSurge: ['25%'], controlSocketMode: ['660'] });
    const directory = temporaryDirectory(t);
    const written = Object.entries(before).filter(([, value]) => value !== null);
    writeFileSync(join(directory, 'kirin.config.json'), JSON.stringify(Object.fromEntries(written)));
    const settings = await settingsSource({ flags: {} }, {}, directory)();
    const after = Object.fromEntries(shownSettings(settings).map(({ name, value }) => [name, value]));
    assert.deepEqual(after, before);
  });

  test('those that may hold a secret or a place are not public', () => {
    const hidden = settingList.filter((one) => one.public !== true).map(({ name }) => name);
    assert.deepEqual(hidden, [
      'args',
      'chdir',
      'raw_env',
      'env_file',
      'accesslog',
      'access_log_format',
      'errorlog',
      'pidfile',
      'syslog_addr',
      'log_transports',
      'certfile',
      'keyfile',
      'ca_certs',
      'proxy_allow_ips',
      'forwarded_allow_ips',
      'secure_scheme_headers',
      'forwarder_headers',
      'proc_name',
      'node_args',
      'preload',
      'compile_cache',
      'dirty_apps',
      'reload_extra_files',
      'control_socket',
      'control_socket_readonly',
      'inspector_token',
      'inspector_record',
    ]);
  });
});

test('the document names every setting of the control interface', () => {
  const text = readFileSync(new URL('../docs/control.md', import.meta.url), 'utf8');
  for (const { flag, name, ...setting } of Object.values(CONTROL_SETTINGS)) {
    const row = text.split('\n').find((line) => line.startsWith(`| \`--${flag}`));
    assert.ok(row?.includes(`\`${name}\``), `--${flag} with ${name}`);
    assert.ok('defaultText' in setting || /false|none/.test(row ?? ''), flag);
  }
  assert.match(text, /--workers-max N/);
});
