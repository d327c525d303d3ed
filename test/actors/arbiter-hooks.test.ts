/** The hooks that an arbiter calls, where no server is needed to see it. */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { ArbiterHooks } from '../../src/actors/hooks/arbiter-hooks.ts';
import type { HookName } from '../../src/settings/hooks-table.ts';
import { Site } from '../system/harness.ts';

async function kept(t: TestContext, text: string, names: HookName[]) {
  const site = new Site(t);
  const file = site.write('kirin.config.mjs', `import { appendFileSync } from 'node:fs'; ${text}`);
  const warned: string[] = [];
  const hooks = new ArbiterHooks({ warn: (line) => warned.push(line) });
  t.after(() => hooks.kill());
  await hooks.keep(1, { file: { file, names }, env: {}, cwd: site.directory, limitMs: 30_000 });
  return { hooks, warned, site };
}

describe('an upgrade', () => {
  test('waits for pre_upgrade, which is given what is known', async (t) => {
    const { hooks, site } = await kept(
      t,
      "export default { preUpgrade: (about) => appendFileSync('called', JSON.stringify(about)) };",
      ['pre_upgrade'],
    );
    await hooks.upgrading({ version: '2' });
    assert.deepEqual(JSON.parse(site.read('called')), { pid: process.pid, version: '2' });
  });

  test('is to be given up where pre_upgrade fails, and goes on where there is none', async (t) => {
    const { hooks } = await kept(t, "export default { pre_exec() { throw new Error('not now'); } };", [
      'pre_upgrade',
    ]);
    await assert.rejects(hooks.upgrading({}), /pre_upgrade in kirin\.config\.mjs failed: not now/);
    await new ArbiterHooks({ warn: assert.fail }).upgrading({});
  });
});

test('what concerns the server is told to the generation that serves; one that is gone is told to the end', async (t) => {
  const { hooks, site, warned } = await kept(
    t,
    "export default { child_exit: ({ age }) => appendFileSync('called', 'first ' + age + ' '), on_starting() {} };",
    ['child_exit', 'on_starting'],
  );
  await hooks.starting(new AbortController().signal);
  const file = site.write(
    'second/kirin.config.mjs',
    "import { appendFileSync } from 'node:fs'; export default { on_exit: ({ exitCode }) => appendFileSync('called', 'exit ' + exitCode) };",
  );
  const place = {
    file: { file, names: ['on_exit' as const] },
    env: {},
    cwd: site.directory,
    limitMs: 30_000,
  };
  await hooks.keep(2, place);
  hooks.commit(2);
  hooks.tell('child_exit', { age: 7 }, 1);
  hooks.release(1);
  await hooks.exit({ exitCode: 0 }, new AbortController().signal);
  assert.equal(site.read('called'), 'first 7 exit 0');
  assert.deepEqual(warned, []);
});
