/** What can go wrong around an upgrade, and what must not be carried over. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { describe, test } from 'node:test';
import { needsProc } from './harness.ts';
import { Upgraded } from './upgraded.ts';

/** The soft limit alone. */
const limitDescriptors = (pid: number, limit: number): void =>
  void execFileSync('prlimit', ['--pid', String(pid), `--nofile=${limit}:`]);

describe('upgrades', { concurrency: 2 }, () => {
  test('the umask of a new arbiter is that of the start, not that of settings which are no more', async (t) => {
    const app = 'export default (_request, response) => response.end(String(process.umask()));';
    const one = await Upgraded.serve(t, ['-c', 'kirin.config.json', '-w', '1'], {
      setUp(site) {
        site.write('app.mjs', app);
        site.write('kirin.config.json', '{"umask":"077"}');
        return { through: ['sh', '-c', 'umask 027; exec "$0" "$@"'] };
      },
    });
    const { server, site } = one;
    const umask = async (): Promise<number> => Number((await server.get()).text);
    assert.equal(await umask(), 0o077);
    site.write('kirin.config.json', '{}');
    await one.upgrade();
    await one.complete();
    assert.equal(await umask(), 0o027);
    await one.stop();
  });

  test('without a file descriptor left an upgrade fails with that reason, and later it is possible', {
    skip: needsProc,
  }, async (t) => {
    const one = await Upgraded.serve(t, ['-w', '1']);
    const { pid } = one;
    const held = readdirSync(`/proc/${pid}/fd`).length;
    limitDescriptors(pid, held);
    await assert.rejects(one.upgrade(), /upgrade failed: .*no file descriptor is left \(see ulimit -n\)/);
    limitDescriptors(pid, 1024);
    await one.upgrade();
    await one.complete();
    await one.stop();
  });
});
