import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { generationEnv } from '../../src/actors/environment.ts';
import type { Settings } from '../../src/settings.ts';
import { faultOf, temporaryDirectory } from './support.ts';

function files(t: TestContext, ...texts: string[]): string[] {
  const directory = temporaryDirectory(t);
  return texts.map((text, index) => {
    const path = join(directory, `${index}.env`);
    writeFileSync(path, text);
    return path;
  });
}
const settings = (envFile: string[], env: Record<string, string> = {}) => ({ envFile, env }) as Settings;

describe('the environment of a generation', () => {
  test('is the base, then each file, then the pairs', (t) => {
    const envFile = files(
      t,
      'A=file0\nB=file0\nC=file0\n',
      'B=file1\nC="two words" # note\nexport D=exported\n',
    );
    const base = { A: 'base', Z: 'base', NONE: undefined };
    assert.deepEqual(generationEnv(settings(envFile, { C: 'pair' }), base), {
      A: 'file0',
      B: 'file1',
      C: 'pair',
      D: 'exported',
      Z: 'base',
    });
  });

  test('is read afresh each time, and a line that is gone is gone', (t) => {
    const [file] = files(t, 'A=1\nB=1');
    assert.deepEqual(generationEnv(settings([file!]), {}), { A: '1', B: '1' });
    writeFileSync(file!, 'A=2');
    assert.deepEqual(generationEnv(settings([file!]), {}), { A: '2' });
  });

  test('is the own one where no base is given', () => {
    assert.equal(generationEnv(settings([]))['PATH'], process.env['PATH']);
  });

  test('a missing file is refused in one line', () => {
    assert.throws(
      () => generationEnv(settings(['/does/not/exist.env'])),
      faultOf(
        'settings.invalid',
        /^cannot read the environment file \/does\/not\/exist\.env: there is no such file$/,
      ),
    );
  });

  test('a directory, or something binary, is refused', (t) => {
    const [binary] = files(t, 'A=\0');
    assert.throws(() => generationEnv(settings(['/'])), faultOf('settings.invalid', /EISDIR/));
    assert.throws(
      () => generationEnv(settings([binary!])),
      faultOf('settings.invalid', /too large, or binary/),
    );
  });
});
