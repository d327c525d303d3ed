/** The settings of the processes: how they may be written, and what contradicts what. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseCommandLine } from '../src/cli/options.ts';
import { settingList, variableOf } from '../src/settings/table.ts';
import { refuseNearVariables } from '../src/settings/variables.ts';
import { settingsSource } from '../src/settings.ts';
import { faultOf } from './actors/support.ts';

async function read(argv: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const parsed = await parseCommandLine(['app.js', ...argv], '0.0.0');
  assert.ok(parsed.kind !== 'print');
  return await settingsSource(parsed.commandLine, env, '/')();
}

describe('settings of the processes', () => {
  test("are written as Gunicorn's, with other names of a flag", async () => {
    const { env, umask, procName, errorLogfile } = await read([
      ...['--raw-env', 'A=1', '-e', 'B=2', '--env', 'C=3', '-m022', '--name', 'shop', '--log-file', 'x.log'],
    ]);
    assert.deepEqual(env, { A: '1', B: '2', C: '3' });
    assert.deepEqual([umask, procName, errorLogfile], [0o022, 'shop', '/x.log']);
    assert.equal((await read(['--proc-name', 'a', '-n', 'b'])).procName, 'b');
    assert.equal((await read([], { KIRIN_PROC_NAME: 'c d' })).procName, 'c d');
  });

  test('take options of Node.js as they are, one each', async () => {
    const argv = ['--node-arg', '--expose-gc', '--node-arg=--conditions=a,b', '-w', '2'];
    const { nodeArgs, workers } = await read(argv);
    assert.deepEqual(nodeArgs, ['--expose-gc', '--conditions=a,b']);
    assert.equal(workers, 2);
  });

  const wrong: [string[], RegExp][] = [
    [['--node-arg'], /--node-arg needs a value/],
    [['--node-arg', 'x.js'], /one option with its value, such as --stack-size=2000, not "x\.js"/],
    [['--node-arg', '--'], /--node-arg needs a value/],
    [['--node-arg', '-e'], /would make Node\.js run no worker/],
    [['--node-arg=--eval=1'], /would make Node\.js run no worker/],
    [['--node-arg', '--v8_options'], /would make Node\.js run no worker/],
    [['--node-arg', '--inspect=0'], /each worker needs a port of its own: use --inspect/],
    [['--node-arg', '--max_old_space_size=99', '--max-old-space-size', '99'], /the same: keep one/],
    [['--max-old-space-size', '15'], /a whole number of at least 16/],
    [['--threadpool-size', '1025'], /a whole number of at most 1024/],
    [['--threadpool-size', '2', '-e', 'UV_THREADPOOL_SIZE=3'], /--threadpool-size and --env .* keep one/],
    [['--compile-cache', 'x', '-e', 'NODE_COMPILE_CACHE=x'], /--compile-cache and --env .* keep one/],
    [['--preload', 'https://example.org/x.js'], /must be a path or the name of a package/],
    [['--umask', '0100'], /--umask must leave its owner's permissions: 0077 at most/],
    [['--umask', '888'], /octal permissions/],
    [['--proc-name', ''], /one line of at most 64 characters/],
    [['--proc-name', 'a\nb'], /one line of at most 64 characters/],
    [['--proc-nmae', 'a'], /unknown option --proc-nmae \(did you mean "--proc-name"\?\)/],
  ];
  for (const [argv, message] of wrong)
    test(`refuses ${JSON.stringify(argv.join(' '))}`, async () => {
      await assert.rejects(read(argv), faultOf('settings.invalid', message));
    });
});

describe('a variable', () => {
  for (const [name, meant] of [
    ['KIRIN_WROKERS', 'KIRIN_WORKERS'],
    ['KIRIN_WORKER', 'KIRIN_WORKERS'],
    ['KIRIN_GRACEFULTIMEOUT', 'KIRIN_GRACEFUL_TIMEOUT'],
    ['KIRIN_CMDARGS', 'KIRIN_CMD_ARGS'],
  ] as const)
    test(`that is nearly ${meant} is refused`, () => {
      assert.throws(
        () => refuseNearVariables({ [name]: '' }),
        faultOf(
          'settings.invalid',
          new RegExp(`^${name} is no variable of Kirin's \\(did you mean "${meant}"\\?\\)$`),
        ),
      );
    });

  test("that is a setting's, that Kirin sets, or that is somebody else's is left alone", () => {
    const names = settingList.flatMap((setting) => variableOf(setting) ?? []);
    const others = [
      'APP',
      'CONFIG',
      'CMD_ARGS',
      'WORKER_AGE',
      'RESOURCE_GPU',
      'DIST',
      'ENV',
      'VERSION',
      'SERVICE_HOST',
    ];
    const services = [
      'PORT',
      'PORT_8000_TCP',
      'PORT_8000_TCP_ADDR',
      'SERVICE_PORT_HTTP',
      'METRIC_SERVICE_PORT',
    ];
    const all = [
      ...names,
      ...[...others, ...services].map((one) => `KIRIN_${one}`),
      'KIRINX_WORKER',
      'OTHER',
    ];
    refuseNearVariables(Object.fromEntries(all.map((name) => [name, '1'])));
  });
});
