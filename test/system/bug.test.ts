/** A bug in the arbiter ends it with 70, at once, and leaves nothing behind. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { eventually, fixture, Site } from './harness.ts';
import { groupMembers } from './processes.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const workerFile = join(resolve(root, process.env['KIRIN_DIST'] ?? 'dist'), 'worker.cjs');

for (const [what, signal] of [
  ['an action of a machine that throws', 'SIGPIPE'],
  ['an error outside of any machine', 'SIGCONT'],
] as const)
  test(`${what}: exit code 70, no worker, no pid file, no control socket`, async (t) => {
    const site = new Site(t);
    const arbiter = spawn(
      process.execPath,
      [
        '--import',
        'tsx',
        fixture('buggy-arbiter.ts'),
        fixture('app.mjs'),
        site.path('pid'),
        workerFile,
        site.path('kirin.ctl'),
      ],
      { cwd: root, stdio: ['ignore', 'ignore', 'pipe'], detached: true },
    );
    const group = arbiter.pid ?? 0;
    t.after(() => {
      if (groupMembers(group).length > 0) process.kill(-group, 'SIGKILL');
    });
    let log = '';
    arbiter.stderr.setEncoding('utf8').on('data', (text: string) => {
      log += text;
    });
    await eventually('two workers are ready', () => log.match(/is ready/g)?.length === 2);
    await eventually('the control socket is open', () => existsSync(site.path('kirin.ctl')));
    const ended = new Promise((done) => arbiter.once('exit', done));
    arbiter.kill(signal);
    assert.equal(await ended, 70, log);
    assert.match(log, /this is a bug in Kirin: /);
    await eventually(`nobody is left:\n${log}`, () => groupMembers(group).length === 0);
    assert.deepEqual(readdirSync(site.directory), []);
  });
