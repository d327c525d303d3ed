/** The limits that a dirty arbiter gets from the settings. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { prepareDirty } from '../../src/actors/dirty/prepare.ts';
import type { HookName } from '../../src/settings/hooks-table.ts';
import type { Settings } from '../../src/settings.ts';
import { faultOf, temporaryDirectory } from './support.ts';

const settings = {
  dirtyWorkers: 1,
  dirtyApps: [],
  dirtyResources: {},
  bootTimeoutMs: 60_000,
  dirtyGracefulTimeoutMs: 30_000,
  hookTimeoutMs: 30_000,
} as unknown as Settings;

const prepare = (more: Partial<Settings>, cwd = process.cwd()) =>
  prepareDirty(
    1,
    { ...settings, ...more },
    { cwd, env: {}, identity: undefined, signal: new AbortController().signal, notice: () => {} },
  );

const rows: [hooks: HookName[], boot: number, hook: number, limit: number, why: string][] = [
  [['on_dirty_starting'], 60_000, 30_000, 95_000, 'a hook may take its time, and then a worker its own'],
  [[], 60_000, 30_000, 95_000, 'a reload may bring a hook, and the limit stays'],
  [['on_dirty_starting'], 60_000, 0, 0, 'a hook without a limit'],
  [['dirty_worker_exit'], 60_000, 0, 65_000, 'only that hook is waited for'],
  [['on_dirty_starting'], 0, 30_000, 0, 'workers without a limit'],
];
for (const [names, bootTimeoutMs, hookTimeoutMs, limit, why] of rows)
  test(`until it is ready, ${limit} ms with hooks [${names}], ${bootTimeoutMs} ms of boot and ${hookTimeoutMs} of a hook: ${why}`, async (t) => {
    const file = join(temporaryDirectory(t), 'kirin.config.mjs');
    writeFileSync(file, '');
    const prepared = await prepare({ hooks: { file, names }, bootTimeoutMs, hookTimeoutMs });
    assert.equal(prepared?.limits.bootMs, limit);
  });

test('a configuration that is gone once it was read is a fault', async (t) => {
  const file = join(temporaryDirectory(t), 'kirin.config.mjs');
  await assert.rejects(
    prepare({ hooks: { file, names: ['dirty_post_fork'] } }),
    faultOf('settings.invalid', /there is no file .*kirin\.config\.mjs/),
  );
});
