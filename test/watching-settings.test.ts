/** The settings of what is done about a worker that misbehaves, or is debugged: what they take, and what is a mistake. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CommandLine, type Settings, settingsSource } from '../src/settings.ts';
import { faultOf } from './actors/support.ts';

const read = (flags: CommandLine['flags'], env: NodeJS.ProcessEnv = {}): Promise<Settings> =>
  settingsSource({ app: 'app.js', flags }, env, '/srv')();
const refused = (flags: CommandLine['flags'], message: RegExp) =>
  assert.rejects(read(flags), faultOf('settings.invalid', message));

test('limits of memory take units, and 0 for none', async () => {
  const { maxMemoryBytes, maxMemoryHardBytes } = await read(
    { maxMemoryBytes: ['512M'] },
    { KIRIN_MAX_MEMORY_HARD: '1G' },
  );
  assert.deepEqual([maxMemoryBytes, maxMemoryHardBytes], [512 * 1024 ** 2, 1024 ** 3]);
  assert.equal((await read({ maxMemoryBytes: ['0'] })).maxMemoryBytes, 0);
});

test('a limit of memory that lacks its unit, is no size, or is out of order', async () => {
  await refused({ maxMemoryBytes: ['512'] }, /^--max-memory must be 0 or at least 16M, not 512 bytes/);
  await refused({ maxMemoryHardBytes: ['1M'] }, /^--max-memory-hard must be 0 or at least 16M/);
  await refused({ maxMemoryBytes: ['much'] }, /^--max-memory must be a number of bytes .*, not "much"$/);
  await refused({ maxMemoryBytes: ['-1'] }, /^--max-memory must be a number of bytes/);
  for (const hard of ['256M', '512M'])
    await refused(
      { maxMemoryBytes: ['512M'], maxMemoryHardBytes: [hard] },
      /^--max-memory must be less than --max-memory-hard/,
    );
});

test('what an uncaught error does', async () => {
  assert.equal((await read({ onUncaught: ['drain'] })).onUncaught, 'drain');
  await refused({ onUncaught: ['drian'] }, /^--on-uncaught must be exit or drain, not "drian"/);
});

test('debugger ports: HOST:PORT, PORT or the usual ones, with room for every worker', async () => {
  const at = async (text: string) => (await read({ inspect: [text] })).inspect;
  assert.deepEqual(
    [await at('true'), await at('9300'), await at('[::1]:9300'), await at('off')],
    ['127.0.0.1:9229', '127.0.0.1:9300', '[::1]:9300', undefined],
  );
  await refused({ inspect: ['0'] }, /^--inspect needs a port/);
  await refused({ inspect: ['unix:/x'] }, /^--inspect must be HOST:PORT, PORT, true or false/);
  await refused(
    { inspect: ['65534'], workers: ['3'] },
    /leaves no port for some of 3 workers: the first must be at most 65533$/,
  );
  assert.equal((await read({ inspect: ['65533'], workers: ['3'] })).inspect, '127.0.0.1:65533');
});
