/** The first look at a command line says what the settings say, of every line that it understands. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { parsePlainly, parseWithYargs } from '../src/cli/options.ts';
import { typedText } from '../src/cli/source.ts';
import { settingsSource } from '../src/settings.ts';
import { PLAIN_OPTIONS } from '../src/stages/option-table.ts';
import { plainStart } from '../src/stages/plain-arguments.ts';

const SEED = 20_26;
const RUNS = 1500;

const VALUES = [
  '1',
  '2',
  '3',
  'auto',
  '0',
  '127.0.0.1:8001',
  '0.0.0.0:9000',
  ':80',
  'localhost:8000',
  'info',
  '-',
  '',
  '5.5',
  'true',
  'false',
  'x=1',
  '-w',
  '/tmp/x',
];
const value = fc.constantFrom(...VALUES);
const names = PLAIN_OPTIONS.flatMap((option) => option.names);
const usual = fc.oneof(
  fc.constantFrom(
    ['-w', '2'],
    ['--workers=3'],
    ['-b', '127.0.0.1:8001'],
    ['--bind', '0.0.0.0:9000'],
    ['--timeout', '5'],
  ),
  fc.constantFrom(
    ['--log-level', 'debug'],
    ['--no-balance'],
    ['--no-control-socket'],
    ['-t=3'],
    ['--access-logfile', '-'],
  ),
);
const odd = fc.oneof(
  fc.tuple(fc.constantFrom(...names), value),
  fc.tuple(fc.constantFrom(...names), value).map(([name, text]) => [`${name}=${text}`]),
  fc.constantFrom(...names).map((name) => [name]),
  fc.constantFrom(
    ['-w2'],
    ['--'],
    ['--nonsense'],
    ['--metrics'],
    ['--metrics', '9000'],
    ['--inspect'],
    ['--help'],
    ['--check-config'],
    ['second.js'],
  ),
);
const line = fc
  .tuple(
    fc.array(usual, { maxLength: 3 }),
    fc.array(odd, { maxLength: 1 }),
    fc.constantFrom<string[]>([], ['app.js'], ['app.js'], ['app.js']),
    fc.nat(5),
  )
  .map(([some, one, app, at]): string[] => ([...some, ...one] as string[][]).toSpliced(at, 0, app).flat());
const environment = fc.constantFrom<NodeJS.ProcessEnv>(
  {},
  {},
  {},
  { PORT: '3000' },
  { PORT: '0', WEB_CONCURRENCY: '2' },
  { PORT: 'x' },
  { PORT: '99999' },
  { PORT: '', WEB_CONCURRENCY: '' },
  { WEB_CONCURRENCY: 'x' },
  { WEB_CONCURRENCY: '0' },
  { KIRIN_WORKERS: '4' },
  { KIRIN_BIND: '127.0.0.1:7000' },
  { KIRIN_TIMEOUT: '7' },
  { KIRIN_CHDIR: '/tmp' },
);

/** What the settings make of a line that is right; undefined for one that is wrong, or that starts nothing. */
async function asRead(argv: string[], env: NodeJS.ProcessEnv) {
  try {
    const parsed = await parseWithYargs(argv, '0');
    if (parsed.kind !== 'run') return undefined;
    const settings = await settingsSource(parsed.commandLine, env, '/')();
    return { settings, typed: typedText(parsed.commandLine) };
  } catch {
    return undefined;
  }
}

describe('plain arguments', () => {
  test('are understood as the settings are, whatever else is not understood', async () => {
    let understood = 0;
    await fc.assert(
      fc.asyncProperty(line, environment, async (argv, env) => {
        const plain = plainStart(argv, env, PLAIN_OPTIONS);
        if (!plain) return;
        const read = await asRead(argv, env);
        // What is refused is refused; what was started for it is ended.
        if (!read) return;
        understood++;
        const { settings, typed } = read;
        assert.equal(plain.app, settings.app);
        assert.equal(plain.workers, settings.workers);
        assert.deepEqual([...new Set(plain.bind.map(({ host, port }) => `${host}:${port}`))], settings.bind);
        assert.equal(plain.typed, typed);
        const { nodeArgs, chdir, envFile, user, reload, dirtyWorkers, captureOutput, hangStack, umask } =
          settings;
        assert.deepEqual(
          { nodeArgs, chdir, envFile, user, reload, dirtyWorkers, captureOutput, hangStack, umask },
          {
            nodeArgs: [],
            chdir: undefined,
            envFile: [],
            user: undefined,
            reload: false,
            dirtyWorkers: 0,
            captureOutput: false,
            hangStack: false,
            umask: undefined,
          },
        );
      }),
      { seed: SEED, numRuns: RUNS },
    );
    // Else this would say nothing.
    assert.ok(understood > RUNS / 10, `${understood} of ${RUNS}`);
  });

  for (const argv of [
    ['app.js'],
    ['-w', '2', '-b', '127.0.0.1:8000', 'app.js'],
    ['app.js', '--bind=0.0.0.0:80', '--workers=4', '--timeout', '5', '--no-balance', '--log-format', 'json'],
  ])
    test(`kirin ${argv.join(' ')}`, () => assert.ok(plainStart(argv, {}, PLAIN_OPTIONS)));

  test('a line that is read without yargs says what yargs says of it', async () => {
    let plain = 0;
    await fc.assert(
      fc.asyncProperty(line, async (argv) => {
        const read = readable(() => parsePlainly(argv));
        if (!read) return;
        plain++;
        assert.deepEqual(read, await parseWithYargs(argv, '0'));
      }),
      { seed: SEED, numRuns: RUNS / 3 },
    );
    assert.ok(plain > RUNS / 10, `${plain} of ${RUNS / 3}`);
  });
});

/** What is refused before it is read by anybody is no matter here. */
function readable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
