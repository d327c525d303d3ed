/** What `npm pack` makes installs elsewhere and runs there, with what it needs and nothing of this checkout. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ask } from './client.ts';
import { eventually, Site } from './harness.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Installs the packed package into `site` as npm would, from the packages at hand. */
function install(site: Site): string {
  execFileSync(
    'npm',
    ['pack', '--ignore-scripts', '--loglevel=error', '--pack-destination', site.directory],
    {
      cwd: root,
      stdio: 'ignore',
    },
  );
  const { name, version, dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  execFileSync('tar', ['-xzf', `${name}-${version}.tgz`], { cwd: site.directory });
  mkdirSync(site.path('node_modules'));
  cpSync(site.path('package'), site.path('node_modules/kirin'), { recursive: true });
  for (const dependency of [...Object.keys(dependencies), 'hono']) {
    mkdirSync(join(site.path('node_modules'), dependency, '..'), { recursive: true });
    symlinkSync(join(root, 'node_modules', dependency), site.path(`node_modules/${dependency}`));
  }
  return site.path('node_modules/kirin');
}

test('the packed package serves an app that imports it, through its command', async (t) => {
  const site = new Site(t);
  const folder = install(site);
  const { bin } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
    bin: { kirin: string; kirinc: string };
  };
  for (const file of ['README.md', 'LICENSE', 'dist/THIRD-PARTY-LICENSES.txt', 'dist/types/index.d.ts'])
    assert.ok(existsSync(join(folder, file)), `${file} is missing`);
  site.write(
    'app.mjs',
    `import { worker } from 'kirin';
     export default { fetch: () => new Response('slot ' + worker.slot) };`,
  );
  const server = spawn(join(folder, bin.kirin), ['-b', '127.0.0.1:0', 'app.mjs'], {
    cwd: site.directory,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  t.after(() => server.kill('SIGKILL'));
  let log = '';
  server.stderr.setEncoding('utf8').on('data', (text: string) => {
    log += text;
  });
  await eventually(
    `the package serves:\n${log}`,
    () => /\bserving app\.mjs/.test(log) || server.exitCode !== null,
  );
  const port = Number(/bound 127\.0\.0\.1:(\d+)/.exec(log)?.[1]);
  assert.equal((await ask(port, '/')).text, 'slot 0', log);
  await eventually('its control socket is open', () => existsSync(site.path('kirin.ctl')));
  const shell = execFileSync(join(folder, bin.kirinc), ['-c', 'show stats', '-j'], { cwd: site.directory });
  assert.equal(JSON.parse(String(shell)).pid, server.pid);
  const ended = new Promise((resolve) => server.once('exit', resolve));
  server.kill('SIGTERM');
  assert.equal(await ended, 0, log);
});
