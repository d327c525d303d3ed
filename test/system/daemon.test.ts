/** `--daemon`: what whoever starts one sees, and what is left when that has returned. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { describe, type TestContext, test } from 'node:test';
import { ask } from './client.ts';
import { guard, unguard } from './guardian.ts';
import { command, eventually, linkOf, needsProc, Site } from './harness.ts';
import { groupMembers } from './processes.ts';

const APP = `export default (request, response) => response.end(process.cwd());`;

interface Started {
  code: number | null;
  stderr: string;
}

/** Runs `kirin --daemon` to its end, as a shell does: until its streams are closed. */
async function daemon(
  site: Site,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<Started> {
  const child = spawn(process.execPath, [command('kirin'), '--daemon', ...args], {
    cwd: site.directory,
    env: { ...process.env, KIRIN_NO_CONTROL_SOCKET: 'true', ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, stderr };
}

/** The daemon that a pid file names; gone after the test. */
function daemonOf(t: TestContext, site: Site): number {
  const pid = Number(site.read('kirin.pid'));
  guard(pid);
  t.after(async () => {
    // Only as long as it is there may its number be taken for it.
    if (groupMembers(pid).length > 0) process.kill(pid, 'SIGTERM');
    await eventually('nobody of the daemon is left', () => groupMembers(pid).length === 0);
    unguard(pid);
  });
  return pid;
}

const FILES = ['--pid', 'kirin.pid', '--error-logfile', 'kirin.log'];

describe('--daemon', { concurrency: 2 }, () => {
  test("it returns when the server serves, which has its paths, a session of its own and no stream of its starter's", async (t) => {
    const site = new Site(t);
    site.write('app.mjs', APP);
    const { code, stderr } = await daemon(site, ['-b', 'unix:app.sock', ...FILES, 'app.mjs']);
    const pid = daemonOf(t, site);
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
    const answer = await ask(0, '/', { socketPath: site.path('app.sock') });
    assert.equal(answer.text, site.directory);
    assert.match(site.read('kirin.log'), /serving app\.mjs on /);
    assert.notEqual(groupMembers(pid).length, 0, 'it leads a group of its own');
    process.kill(pid, 'SIGTERM');
    await eventually('the pid file is gone', () => !existsSync(site.path('kirin.pid')));
    assert.match(site.read('kirin.log'), /stopped\n$/);
  });

  test('neither the daemon nor its workers have a terminal or a pipe of whoever started it', {
    skip: needsProc,
  }, async (t) => {
    const site = new Site(t);
    site.write('app.mjs', APP);
    assert.equal((await daemon(site, ['-b', 'unix:app.sock', ...FILES, 'app.mjs'])).code, 0);
    const pid = daemonOf(t, site);
    const [, , session, terminal] = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ')
      .slice(1);
    assert.deepEqual([Number(session), Number(terminal)], [pid, 0]);
    for (const member of groupMembers(pid))
      for (const fd of ['0', '1', '2'])
        assert.match(linkOf(member, fd), /^(\/dev\/null|socket:.*)$/, `${fd} of ${member}`);
  });

  const failures: [what: string, args: string[], code: number, line: RegExp][] = [
    [
      'an app that is missing',
      ['nothing.mjs'],
      4,
      /^kirin: the first start failed: cannot find the app "nothing\.mjs"/m,
    ],
    [
      'an app that throws',
      ['throws.mjs'],
      4,
      /^kirin: the first start failed: cannot load .*: out of order/m,
    ],
    ['a setting that is wrong', ['-w', 'many', 'app.mjs'], 2, /^kirin: --workers must be/m],
    ['a development server', ['--reload', 'app.mjs'], 2, /^kirin: --reload is for the terminal/m],
    [
      'a descriptor',
      ['-b', 'fd://3', 'app.mjs'],
      2,
      /^kirin: --daemon leaves no descriptor open for fd:\/\//m,
    ],
    [
      'a pid file that cannot be',
      ['-p', 'no/such/directory', 'app.mjs'],
      1,
      /^kirin: cannot write the pid file /m,
    ],
  ];
  for (const [what, args, code, line] of failures)
    test(`${what} is told by whoever started it, with its exit code ${code}`, async (t) => {
      const site = new Site(t);
      site.write('app.mjs', APP);
      site.write('throws.mjs', `throw new Error('out of order');`);
      const bind = args.includes('-b') ? [] : ['-b', 'unix:app.sock'];
      const started = await daemon(site, [...bind, '--error-logfile', 'kirin.log', ...args]);
      assert.equal(started.code, code, started.stderr);
      assert.match(started.stderr, line);
      assert.equal(started.stderr.trim().split('\n').length, 1, started.stderr);
    });

  test('without a log file it says that the log goes nowhere; by a variable it is a daemon too', async (t) => {
    const site = new Site(t);
    site.write('app.mjs', APP);
    const { code, stderr } = await daemon(site, ['-b', 'unix:app.sock', '--pid', 'kirin.pid', 'app.mjs'], {
      KIRIN_DAEMON: 'true',
    });
    daemonOf(t, site);
    assert.deepEqual(
      { code, stderr },
      { code: 0, stderr: 'kirin: a daemon without --error-logfile: its log goes nowhere\n' },
    );
  });

  test('a start that is interrupted leaves nothing', async (t) => {
    const site = new Site(t);
    site.write(
      'slow.mjs',
      `import { writeFileSync } from 'node:fs';\nwriteFileSync('loading', '');\nawait new Promise(() => setInterval(() => {}, 1000));`,
    );
    const child = spawn(
      process.execPath,
      [command('kirin'), '-D', '-b', 'unix:app.sock', ...FILES, 'slow.mjs'],
      {
        cwd: site.directory,
        env: { ...process.env, KIRIN_NO_CONTROL_SOCKET: 'true' },
        stdio: 'ignore',
      },
    );
    const ended = new Promise((resolve) => child.once('exit', resolve));
    // The first worker may be ahead of its arbiter.
    await eventually('the app is being loaded', () =>
      ['loading', 'kirin.pid'].every((name) => existsSync(site.path(name))),
    );
    const pid = daemonOf(t, site);
    child.kill('SIGINT');
    await ended;
    assert.equal(existsSync(site.path('kirin.pid')), false);
    assert.deepEqual(groupMembers(pid), []);
  });
});
