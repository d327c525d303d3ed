/** Servers that share a port, where this version of Node.js can; where not, one line says so. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { whyNoReusePort } from '../../src/settings/traffic-contradictions.ts';
import { freePort } from './client.ts';
import { eventually, fixture, launch, serve } from './harness.ts';

const app = fixture('app.mjs');
const why = whyNoReusePort(process.version, process.platform);

test('which versions can', () => {
  for (const version of ['v22.12.0', 'v22.21.1', 'v23.1.0', 'v24.0.0', 'v26.0.0'])
    assert.equal(whyNoReusePort(version, 'linux'), undefined, version);
  for (const version of ['v20.19.0', 'v21.7.0', 'v22.11.9', 'v23.0.0'])
    assert.match(whyNoReusePort(version, 'linux')!, /^Node.js v2\S+ cannot bind so: use 22.12 or later/);
  assert.match(whyNoReusePort('v24.0.0', 'darwin')!, /^macOS spreads no connections/);
});

if (why !== undefined)
  test('where it cannot, --reuse-port is refused in one line', async (t) => {
    const server = launch(t, app, ['--reuse-port']);
    assert.deepEqual(await server.exit(), { code: 2, signal: null });
    assert.equal(server.output, `kirin: --reuse-port: ${why}\n`);
  });
else {
  for (const host of ['127.0.0.1', '[::1]'])
    test(`two servers serve on one port of ${host}; a reload and the end of one disturb nobody`, async (t) => {
      const port = await freePort();
      const args = ['--reuse-port', '-b', `${host}:${port}`];
      const one = await serve(t, app, args);
      const other = await serve(t, app, args);
      const get = async (): Promise<number> =>
        (await one.get('/', { port, host: host.replace(/[[\]]/g, '') })).json<{ pid: number }>().pid;
      const servers = async (pids: readonly number[]): Promise<void> => {
        const seen = new Set<number>();
        await eventually(`${pids} answer`, async () => {
          seen.add(await get());
          return pids.every((pid) => seen.has(pid));
        });
      };
      await servers([one.ready()[0]!.pid, other.ready()[0]!.pid]);
      await one.reload();
      const [next] = await one.settled(1, 2);
      await servers([next!.pid, other.ready()[0]!.pid]);
      assert.equal(await one.stop(), 0);
      for (let asked = 0; asked < 20; asked++) assert.equal(await get(), other.ready()[0]!.pid);
    });

  test('who does not share it is told that it is in use', async (t) => {
    const one = await serve(t, app, ['--reuse-port']);
    const other = launch(t, app, ['-b', `127.0.0.1:${one.port}`]);
    await other.told(/is in use/);
  });
}
