/** The settings of the inspector: what they take, and what would open it to those who should not enter. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shownSettings } from '../src/settings/shown.ts';
import { type CommandLine, settingsSource } from '../src/settings.ts';
import { faultOf } from './actors/support.ts';

const read = (flags: CommandLine['flags'], env: NodeJS.ProcessEnv = {}) =>
  settingsSource({ app: 'app.js', flags }, env, '/srv')();
const refused = (flags: CommandLine['flags'], message: RegExp, env: NodeJS.ProcessEnv = {}) =>
  assert.rejects(read(flags, env), faultOf('settings.invalid', message));
const TOKEN = '0123456789abcdef';

test('an address is optional, and loopback', async () => {
  const at = async (text: string) => (await read({ inspector: [text] })).inspector;
  assert.equal((await read({})).inspector, undefined);
  for (const [typed, address] of [
    ['true', '127.0.0.1:8780'],
    ['false', undefined],
    ['9000', '127.0.0.1:9000'],
    ['localhost:0', 'localhost:0'],
    ['[::1]:9000', '[::1]:9000'],
  ] as const)
    assert.equal(await at(typed), address, typed);
  assert.equal((await read({}, { KIRIN_INSPECTOR: 'on' })).inspector, '127.0.0.1:8780');
});

test('what is no address is refused', async () => {
  for (const typed of ['unix:/x', 'fd://3', 'here', '127.0.0.1', '1:2:3', '70000'])
    await refused({ inspector: [typed] }, /^--inspector must be HOST:PORT, PORT, true or false, not /);
});

test('another machine gets in only where that is asked for, and with a token', async () => {
  for (const inspector of [['0.0.0.0:8780'], [':8780'], ['[::]:1'], ['dev.example:80']]) {
    await refused({ inspector }, /could be reached from other machines: add --inspector-allow-remote/);
    const allowed = { inspector, inspectorAllowRemote: ['true'] };
    await refused(allowed, /could be opened by anybody: set KIRIN_INSPECTOR_TOKEN/);
    await read(allowed, { KIRIN_INSPECTOR_TOKEN: TOKEN });
  }
});

test('what belongs to an inspector needs one', async () => {
  await refused(
    { inspectorControl: ['true'] },
    /^--inspector-control without an inspector: add --inspector$/,
  );
  await refused({ inspectorAllowRemote: ['true'] }, /^--inspector-allow-remote without/);
  await refused({ inspectorToken: [TOKEN] }, /^--inspector-token without/);
  assert.equal((await read({ inspectorRecord: ['r.jsonl'] })).inspectorRecord, '/srv/r.jsonl');
});

test('a token is long enough, and shown nowhere', async () => {
  const inspector = ['true'];
  for (const token of ['short', `${TOKEN} blank`, 'x'.repeat(257)]) {
    const fault = await read({ inspector, inspectorToken: [token] }).catch((error: Error) => error.message);
    assert.match(
      String(fault),
      /^--inspector-token must be a text of 16 to 256 ASCII characters without blanks$/,
    );
  }
  const settings = await read({ inspector, inspectorToken: [TOKEN] });
  const shown = shownSettings(settings);
  assert.equal(shown.find(({ name }) => name === 'inspector_token')?.value, '***');
  assert.equal(JSON.stringify(shown).includes(TOKEN), false);
});
