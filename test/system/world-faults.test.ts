/** What the world does to a server: removed directories, no descriptor left, full disks, readers that have gone, clocks that jump. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { describe, type TestContext, test } from 'node:test';
import { isListening, RawClient } from './client.ts';
import { command, descriptors, eventually, fixture, launch, type Server, Site, serve } from './harness.ts';

/** The soft limit of descriptors of a process that runs; none is what it had. */
const limitDescriptors = (pid: number, soft: number | 'hard'): void => {
  const hard = /^Max open files\s+\d+\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/limits`, 'utf8'))?.[1];
  execFileSync('prlimit', ['--pid', String(pid), `--nofile=${soft === 'hard' ? hard : soft}:${hard}`]);
};

const SERVES_ANYWAY = /is ready[\s\S]*a worker could not be replaced/;

/** The number that the next descriptor of a process would have. */
function lowestFree(pid: number): number {
  const taken = new Set(descriptors(pid).map(Number));
  let free = 0;
  while (taken.has(free)) free++;
  return free;
}

/** Runs kirin under a shell that does something first, and lives on: whatever happens to kirin, its process group is left alone. */
async function runAfter(t: TestContext, before: string, args: readonly string[], cwd: string) {
  const child = spawn(
    'bash',
    ['-c', `${before}; "$@"; exit $?`, 'bash', process.execPath, command('kirin'), ...args],
    {
      cwd,
      stdio: ['ignore', 'ignore', 'pipe'],
      detached: true,
      env: { PATH: process.env['PATH'], KIRIN_NO_CONTROL_SOCKET: 'true' },
    },
  );
  t.after(() => child.exitCode ?? child.signalCode ?? process.kill(-child.pid!, 'SIGKILL'));
  let text = '';
  child.stderr.on('data', (part) => {
    const isFirst = !SERVES_ANYWAY.test(text);
    text += String(part);
    // What serves with fewer than it was to have would do so for ever.
    if (isFirst && SERVES_ANYWAY.test(text)) process.kill(Number(/kirin\[(\d+)\]/.exec(text)![1]), 'SIGTERM');
  });
  try {
    const [code] = await once(child, 'close', { signal: AbortSignal.timeout(30_000) });
    return { code: code as number, text };
  } catch {
    throw new Error(`it has not ended; it said: ${text}`);
  }
}

/** For a shell: descriptors that whoever runs the tests has open by chance are not to decide how many are left. */
const CLOSE_STRAYS = 'for fd in $(ls /proc/$$/fd); do [ "$fd" -gt 2 ] && eval "exec $fd>&-"; done';

describe('a directory that is removed', { concurrency: 2 }, () => {
  test('while workers of it run: they go on, a lost one is tried again, and a reload finds the next release', async (t) => {
    const site = new Site(t);
    const deploy = (version: string): void => {
      mkdirSync(site.path(version));
      site.deploy(version, `${version}/app.mjs`);
      symlinkSync(version, site.path('next'));
      renameSync(site.path('next'), site.path('current'));
    };
    deploy('v1');
    const server = await serve(t, 'app.mjs', ['-w', '2', '--chdir', site.path('current')]);
    const [first] = await server.settled(2);
    rmSync(site.path('v1'), { recursive: true });
    process.kill(first!.pid, 'SIGKILL');
    const told = await server.told(
      /^a worker could not be replaced: .*the directory .*v1 is gone; a reload finds/,
    );
    assert.equal(told.level, 'warn');
    assert.deepEqual(server.all(/exit code unknown/), []);
    assert.equal((await server.get()).json()['version'], 'v1');
    // The link leads nowhere: nothing is changed by trying.
    assert.match((await server.reload()).msg, /^reload failed: --chdir: there is no directory .*current$/);
    assert.equal((await server.get()).json()['version'], 'v1');
    deploy('v2');
    assert.match((await server.reload()).msg, /^reload done/);
    await server.settled(2, 3);
    assert.equal((await server.get()).json()['version'], 'v2');
  });

  test('before kirin is started in it is one line, and 2', async (t) => {
    const site = new Site(t);
    mkdirSync(site.path('gone'));
    const { code, text } = await runAfter(t, 'cd gone && rmdir ../gone', ['app.mjs'], site.directory);
    assert.equal(
      text,
      'kirin: the directory that kirin is started in is gone: change to one that is there\n',
    );
    assert.equal(code, 2);
  });
});

describe('no descriptor left', { concurrency: 2 }, () => {
  test('in the arbiter: nothing can be started, everything else goes on, and it recovers by itself', async (t) => {
    const site = new Site(t);
    const app = site.deploy('v1');
    site.write('kirin.config.mjs', 'export default { workers: 2 };');
    const log = ['--error-logfile', site.path('log'), '--log-format', 'json'];
    const server = launch(t, app, log, { cwd: site.directory, plain: true });
    const lines = () =>
      site
        .read('log')
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line) as { msg: string });
    const told = (pattern: RegExp) =>
      eventually(`the log tells ${pattern}`, () => {
        try {
          return lines().find(({ msg }) => pattern.test(msg));
        } catch {
          return undefined;
        }
      });
    await told(/worker 2 .* is ready/);
    const port = Number(/:(\d+)$/.exec((await told(/^bound /)).msg)?.[1]);
    /** What was open for a moment only leaves room behind it. */
    const exhausted = async (signal: NodeJS.Signals, pattern: RegExp): Promise<void> => {
      await eventually(`the log tells ${pattern}`, () => {
        limitDescriptors(server.pid, lowestFree(server.pid));
        const found = lines().some(({ msg }) => pattern.test(msg));
        if (!found) server.signal(signal);
        return found;
      });
    };
    await exhausted(
      'SIGHUP',
      /^reload failed: kirin.config.mjs: no process could be started for it \(EMFILE\)/,
    );
    await exhausted('SIGUSR1', /^cannot reopen .*EMFILE/);
    await exhausted('SIGTTIN', /^a worker could not be replaced: .*EMFILE/);
    assert.equal((await server.get('/', { port })).status, 200);
    limitDescriptors(server.pid, 'hard');
    await told(/worker \d+ .* is ready/);
    await eventually(
      'the third is there',
      () => lines().filter(({ msg }) => / is ready$/.test(msg)).length >= 3,
    );
    assert.deepEqual(
      lines().filter(({ msg }) => /bug|silent|exit code unknown/.test(msg)),
      [],
    );
    assert.equal(await server.stop(), 0);
  });

  test('in a worker: connections beyond are closed, which is told once; the others are served, and it recovers', async (t) => {
    const server = await serve(t, fixture('app.mjs'), ['--timeout', '2']);
    const [worker] = await server.settled(1);
    const kept = (await RawClient.connect(server.port)).ask();
    await eventually('it is taken', () => /200 OK/.test(kept.text));
    limitDescriptors(worker!.pid, descriptors(worker!.pid).length + 4);
    const clients: RawClient[] = [];
    await server.until('it has no more', async () => {
      clients.push(await RawClient.connect(server.port));
      return server.all(/no file descriptor is left: new connections are closed unanswered/)[0];
    });
    await eventually('those that found no room are closed', () => clients.some(({ closed }) => closed));
    kept.text = '';
    kept.ask();
    await eventually('one that is there is served', () => /200 OK/.test(kept.text));
    for (const client of clients) client.socket.destroy();
    await server.told(/file descriptors are free again/);
    assert.equal((await server.get()).json()['age'], 1);
    assert.equal(server.all(/no file descriptor is left/).length, 1);
    kept.socket.destroy();
  });

  // With fewer Node.js itself ends before Kirin runs; what fails first depends on how many there are. Each worker takes some.
  for (const limit of [29, 30, 31, 32, 33])
    test(`at the start is one line and an exit code, or fewer workers that serve: ${limit}`, async (t) => {
      const site = new Site(t);
      const args = ['-b', '127.0.0.1:0', '-w', '16', site.deploy('v1')];
      const { code, text } = await runAfter(t, `${CLOSE_STRAYS}; ulimit -n ${limit}`, args, site.directory);
      // A worker that was started ahead may have its own words for it.
      assert.match(
        text,
        /no file descriptor is left|a worker could not be (started|replaced): .*spawn .*EMFILE/,
      );
      assert.doesNotMatch(text, /bug in Kirin|Unhandled 'error'/);
      assert.ok(SERVES_ANYWAY.test(text) ? code === 0 : code === 1 || code === 3, `${code}`);
    });
});

describe('a full disk', { concurrency: 2 }, () => {
  test('at the start, for the pid file: one line, 1, and no file is left', async (t) => {
    const site = new Site(t);
    const app = site.deploy('v1');
    mkdirSync(site.path('run'));
    const args = ['-b', '127.0.0.1:0', '--pid', site.path('run/pid'), app];
    const { code, text } = await runAfter(t, 'ulimit -f 0', args, site.directory);
    assert.match(text, /fatal kirin\[\d+\] cannot write the pid file .*run\/pid: EFBIG\n$/);
    assert.equal(code, 1);
    assert.deepEqual(readdirSync(site.path('run')), []);
  });

  test('and a directory that cannot be written, for both files: one line, and 1', async (t) => {
    const app = new Site(t).deploy('v1');
    for (const [flag, reason] of [
      ['--pid', /cannot write the pid file \/proc\/self\/fdinfo\/kirin: E[A-Z]+\n$/],
      ['--error-logfile', /^kirin: cannot open the log file \/proc\/self\/fdinfo\/kirin: E[A-Z]+\n$/],
    ] as const) {
      const args = ['-b', '127.0.0.1:0', flag, '/proc/self/fdinfo/kirin', app];
      const { code, text } = await runAfter(t, 'true', args, '/');
      assert.match(text, reason);
      assert.equal(code, 1);
    }
  });

  test('while it serves, under its log: it serves on, and what is missing is told as a line like the others', async (t) => {
    const site = new Site(t);
    const log = ['--error-logfile', site.path('log'), '--log-format', 'json'];
    const server = launch(t, site.deploy('v1'), log, { plain: true });
    site.write('log', '');
    const text = () => site.read('log');
    // The last of its lines: what came after the look at its length would be over the limit.
    await eventually('it is ready', () => /is ready/.test(text()) && /"serving /.test(text()));
    const port = Number(/"bound 127.0.0.1:(\d+)"/.exec(text())?.[1]);
    const { length } = text();
    execFileSync('prlimit', ['--pid', String(server.pid), `--fsize=${length + 100}:unlimited`]);
    for (const signal of ['SIGTTIN', 'SIGTTOU', 'SIGUSR2'] as const) server.signal(signal);
    await eventually('it is full', () => text().length === length + 100);
    assert.equal((await server.get('/', { port })).status, 200);
    execFileSync('prlimit', ['--pid', String(server.pid), '--fsize=unlimited:unlimited']);
    await eventually('it is told', () => {
      server.signal('SIGUSR2');
      return /log lines? could not be written/.test(text());
    });
    assert.equal(await server.stop(), 0);
    const broken = text()
      .trimEnd()
      .split('\n')
      .filter((line) => {
        try {
          return JSON.parse(line) === undefined;
        } catch {
          return true;
        }
      });
    assert.equal(broken.length, 1, `only the line that was cut off is none: ${broken.join('\n')}`);
  });
});

test('a first start that fails says so with its own code, also where nobody reads standard error', async (t) => {
  const site = new Site(t);
  const args = ['-b', '127.0.0.1:0', '--error-logfile', site.path('log'), site.write('app.mjs', 'throw 1;')];
  const child = spawn(process.execPath, [command('kirin'), ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
  t.after(() => child.kill('SIGKILL'));
  child.stderr.destroy();
  const [code] = await once(child, 'exit');
  assert.equal(code, 4);
  assert.doesNotMatch(site.read('log'), /bug/);
});

describe('a wall clock that jumps', () => {
  /** Each look at it is a year off, to and fro. */
  const JUMPING = `const { now } = Date; let n = 0; const YEAR = 365 * 86_400_000;
    Date.now = () => now() + (++n % 3 - 1) * YEAR;`;

  test('changes no limit: workers are not silent, a reload settles, a drain waits and ends', async (t) => {
    const site = new Site(t);
    const options = `--import=data:text/javascript,${encodeURIComponent(JUMPING)}`;
    const server: Server = await serve(t, fixture('app.mjs'), ['-w', '2', '--timeout', '2'], {
      env: { NODE_OPTIONS: options },
    });
    await server.settled(2);
    const held = server.get(`/hold?until=${site.path('go')}`);
    await server.printed(/holding/);
    await server.told(/^the clock was set (back|forward) by \d+ s/);
    assert.match((await server.reload()).msg, /^reload done/);
    await server.told(/is draining/);
    site.write('go', '');
    assert.equal((await held).status, 200);
    await server.settled(2, 2);
    assert.deepEqual(server.all(/silent|is killed|unexpectedly/), []);
    const { port } = server;
    assert.equal(await server.stop(), 0);
    assert.ok(!(await isListening(port)));
  });
});
