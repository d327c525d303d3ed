/** `watch` and `top` in a real pseudo terminal. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { describe, type TestContext, test } from 'node:test';
import { eventually, Site } from '../system/harness.ts';
import { kirinc, Running } from './run.ts';
import { CTRL_C, CTRL_D, CTRL_Z, DOWN, Screen, UP } from './screen.ts';
import { type Handler, type Peer, STATS, StandIn, stock } from './stand-in.ts';

/** A Kirin with so many workers, which obeys what top orders. */
class Herd {
  workers: { pid: number; age: number }[];
  readonly orders: string[] = [];

  constructor(count: number) {
    this.workers = Array.from({ length: count }, (_, at) => ({ pid: 1000 + at, age: at + 1 }));
  }

  readonly handler: Handler = (peer: Peer): void => {
    const command = peer.words.join(' ');
    if (!command.startsWith('show') && command !== 'help') this.orders.push(command);
    switch (command) {
      case 'show workers': {
        const workers = this.workers.map(({ pid, age }) => ({
          pid,
          age,
          booted: true,
          aborted: false,
          last_heartbeat: 0.5,
          slot: age - 1,
          generation: 3,
          state: 'ready',
          requests: age * 10,
          requests_per_second: 100 - age,
          connections: 2,
          in_flight: 1,
          loop_delay_p99_ms: 10.5,
          utilization: 0.25,
          rss_bytes: 50 * 1024 * 1024,
          uptime: 61,
        }));
        return peer.ok({ workers, count: workers.length });
      }
      case 'show all':
        return peer.ok({
          dirty_arbiter: { pid: 4000, type: 'dirty_arbiter', role: 'dirty master' },
          dirty_workers: [{ pid: 4001, age: 1, apps: ['ml:Model'], booted: true, last_heartbeat: 1 }],
        });
      case 'show stats':
        return peer.ok({ ...STATS, workers_current: this.workers.length, generation: 3 });
      case 'show generations':
        return peer.ok({ generations: [], rollout: 'settled', degraded: true, reason: 'boot failed' });
      case 'help':
        return peer.ok({ commands: { 'reload [--wait]': 'Reload' } });
      case 'worker add 1':
        return peer.ok({ added: 1, previous: 2, total: 3 });
      case 'reload --wait':
        peer.progress({ step: 'worker 9 is ready', done: 1, total: 2 });
        return peer.ok({ success: false, status: 'failed', error: 'SyntaxError in app.mjs' });
      default:
        return command.startsWith('worker kill')
          ? peer.ok({ success: true, killed: Number(peer.words[2]) })
          : peer.fail('Unknown command');
    }
  };
}

async function setUp(t: TestContext, handler: Handler = stock) {
  const site = new Site(t);
  const server = await StandIn.listen(t, site.path('kirin.ctl'), handler);
  const open = (args: string[], size = {}) => new Screen(t, args, { cwd: site.directory, ...size });
  return { site, server, open };
}

async function openTop(t: TestContext, count: number, size = {}) {
  const herd = new Herd(count);
  const { open, ...rest } = await setUp(t, herd.handler);
  const screen = open(['-c', 'top 0.1'], size);
  await screen.shows(/1000 .*ready/);
  return { herd, screen, ...rest };
}

describe('watch', { concurrency: 2 }, () => {
  test('looks again in place until q, and leaves the last look', async (t) => {
    let uptime = 0;
    const { open } = await setUp(t, ({ ok }) => ok({ ...STATS, uptime: ++uptime }));
    const screen = open(['-c', 'wa 0.1 sh st']);
    await screen.shows(/^\d\d:\d\d:\d\d {2}every 0\.1 s: show stats {2}\(kirin\.ctl\)\n\nUptime: +[3-9]s/);
    assert.equal(screen.all.match(/Uptime/g)?.length, 1);
    screen.write('q');
    assert.equal(await screen.exit(), 0);
    assert.match(screen.text, /Uptime/);
    await screen.until('the cursor is shown', () => !screen.isCursorHidden);
  });

  test('of the prompt ends on Ctrl-C, and the prompt has its keys again', async (t) => {
    const { open } = await setUp(t);
    const screen = open([]);
    await screen.prompts();
    screen.write('watch show stats\r');
    await screen.shows(/every 2 s: show stats/);
    screen.write(`x${CTRL_C}`);
    await screen.prompts();
    screen.write('reopen\r');
    await screen.shows(/reopening/);
    screen.write(CTRL_D);
    assert.equal(await screen.exit(), 0);
  });

  test('ends with 130 on Ctrl-C', async (t) => {
    const { open } = await setUp(t);
    const screen = open(['-c', 'watch show stats']);
    await screen.shows(/Uptime/);
    screen.write(CTRL_C);
    assert.equal(await screen.exit(), 130);
  });

  test('shows the cursor again when it is ended by a signal', async (t) => {
    const { open } = await setUp(t);
    const screen = open(['-c', 'watch show stats']);
    await screen.shows(/Uptime/);
    assert.ok(screen.isCursorHidden);
    process.kill(screen.pty.pid, 'SIGTERM');
    await screen.exit();
    await screen.until('the cursor is shown', () => !screen.isCursorHidden);
  });

  test('waits for a server that comes back', async (t) => {
    const { open, server, site } = await setUp(t);
    const screen = open(['-c', 'watch 0.1 show stats']);
    await screen.shows(/Uptime/);
    await server.stop();
    await screen.shows(/Error: No such file or directory - kirin\.ctl/);
    await StandIn.listen(t, site.path('kirin.ctl'), stock);
    await screen.shows(/Reconnected to kirin\.ctl\n\nUptime/);
  });

  test('cuts what is larger than the window', async (t) => {
    const config = Object.fromEntries(Array.from({ length: 50 }, (_, at) => [`k${at}`, 'x'.repeat(200)]));
    const { open } = await setUp(t, ({ ok }) => ok(config));
    const screen = open(['-c', 'watch 0.1 show config'], { columns: 40, rows: 10 });
    await screen.shows(/show config[\s\S]*\.\.\. 4\d more lines/);
    assert.match(screen.lines[0]!, /every/);
  });

  test('prints each look without a terminal, until a signal', async (t) => {
    const { site } = await setUp(t);
    const running = new Running(t, ['-c', 'watch 0.1 show stats'], { cwd: site.directory });
    await eventually('it looks thrice', () => (running.out.match(/Uptime/g)?.length ?? 0) >= 3);
    running.child.kill('SIGINT');
    assert.equal((await running.ended).code, 130);
  });

  for (const [command, error] of [
    ['watch', 'Missing command for watch (usage: watch [SECONDS] COMMAND)'],
    ['watch reload', 'watch repeats show commands only, not "reload"'],
    ['watch 0 show stats', 'Invalid interval: 0 (write seconds, from 0.1 to 3600)'],
    ['watch show nonsense', 'Invalid argument: Unknown show target: nonsense'],
  ])
    test(`refuses "${command}"`, async (t) => {
      const { site } = await setUp(t);
      const { ended } = new Running(t, ['-c', command!], { cwd: site.directory, input: '' });
      assert.deepEqual(await ended, { code: 1, out: '', err: `Error: ${error}\n` });
    });
});

describe('top', { concurrency: 2 }, () => {
  test('shows the arbiter, the workers and the dirty workers, and what is wrong', async (t) => {
    const { screen } = await openTop(t, 2, { columns: 150 });
    assert.ok(screen.isAlternate);
    assert.match(screen.text, /pid 12345 {2}up 2h 15m 30s {2}workers 2\/4/);
    assert.match(screen.text, /DEGRADED: boot failed/);
    assert.match(screen.text, /dirty arbiter pid 4000/);
    assert.match(screen.text, /> +1000 web +1 +0 +3 ready +99\.0 +10 +2 +1 +10\.5ms +25% +50\.0 MiB +1m 1s/);
    assert.match(screen.text, / 4001 dirty +1 .*ml:Model/);
  });

  test('gives the terminal back on q', async (t) => {
    const { screen } = await openTop(t, 2);
    screen.write('q');
    assert.equal(await screen.exit(), 0);
    await screen.until('the terminal is as it was', () => !screen.isAlternate && !screen.isCursorHidden);
  });

  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT'] as const)
    test(`gives the terminal back on ${signal}`, async (t) => {
      const { screen } = await openTop(t, 2);
      process.kill(screen.pty.pid, signal);
      assert.equal(await screen.exit(), { SIGTERM: 143, SIGHUP: 129, SIGINT: 130 }[signal]);
      await screen.until('the terminal is as it was', () => !screen.isAlternate && !screen.isCursorHidden);
    });

  test('gives the terminal back when there is a bug, and tells of it there', async (t) => {
    const { site, open } = await setUp(t, new Herd(2).handler);
    const bomb = site.write('bomb.mjs', "process.on('SIGUSR2', () => { throw new Error('on purpose'); });");
    const screen = open(['-c', 'top 0.1'], { env: { NODE_OPTIONS: `--import=${bomb}` } });
    await screen.shows(/1000 .*ready/);
    process.kill(screen.pty.pid, 'SIGUSR2');
    assert.equal(await screen.exit(), 70);
    await screen.shows(/^kirinc: this is a bug in Kirin\nError: on purpose\n/);
    await screen.until('the terminal is as it was', () => !screen.isAlternate && !screen.isCursorHidden);
  });

  test('gives the terminal back to the prompt', async (t) => {
    const { open } = await setUp(t, new Herd(2).handler);
    const screen = open([]);
    await screen.prompts();
    screen.write('top\r');
    await screen.shows(/1000 .*ready/);
    screen.write(CTRL_C);
    await screen.prompts();
    await screen.until('the first screen is back', () => !screen.isAlternate);
    screen.write('show st\r');
    await screen.shows(/Uptime/);
  });

  test('orders nothing without a y', async (t) => {
    const { screen, herd } = await openTop(t, 2);
    screen.write('+');
    await screen.shows(/Add a worker\? \(y: yes, any other key: no\)/);
    screen.write('n');
    await screen.shows(/Not done/);
    screen.write('+');
    await screen.shows(/Add a worker\?/);
    screen.write('y');
    await screen.shows(/worker add 1: added 1, previous 2, total 3/);
    assert.deepEqual(herd.orders, ['worker add 1']);
  });

  test('kills the worker that is selected, and tells how a reload ended', async (t) => {
    const { screen, herd } = await openTop(t, 3);
    screen.write(DOWN);
    await screen.shows(/> +1001/);
    screen.write('k');
    await screen.shows(/Kill worker of age 2 \(pid 1001\)\?/);
    screen.write('y');
    await screen.shows(/killed 1001/);
    screen.write('r');
    await screen.shows(/Reload all workers\?/);
    screen.write('y');
    await screen.shows(/reload: failed: SyntaxError in app\.mjs/);
    assert.deepEqual(herd.orders, ['worker kill 1001', 'reload --wait']);
  });

  test('sorts by the column that is chosen', async (t) => {
    const { screen } = await openTop(t, 3, { columns: 140 });
    await screen.shows(/AGE↑/);
    // Slot, generation, state, then requests a second, the busiest first.
    screen.write('ssss');
    await screen.shows(/REQ\/S↓[\s\S]* 1000 [\s\S]* 1001 [\s\S]* 1002 /);
    screen.write('o');
    await screen.shows(/REQ\/S↑[\s\S]* 1002 [\s\S]* 1001 [\s\S]* 1000 /);
  });

  test('fits any window, and scrolls', async (t) => {
    const { screen } = await openTop(t, 100, { columns: 100, rows: 20 });
    assert.match(screen.text, /1-\d+ of 101/);
    screen.write('\x1b[F');
    await screen.shows(/> +4001/);
    screen.write(UP);
    await screen.shows(/> +1099[\s\S]*\n89-101 of 101\n/);
    for (const [columns, rows] of [
      [40, 8],
      [20, 3],
      [200, 50],
      [10, 1],
      [100, 20],
    ] as const) {
      screen.resize(columns, rows);
      if (rows > 1) await screen.shows(/1099/);
      await screen.until('no line is pushed out', () => screen.all.split('\n').length <= rows);
    }
  });

  test('explains its keys', async (t) => {
    const { screen } = await openTop(t, 2);
    assert.match(screen.text, /^q quit {2}\? help .*r reload$/m);
    screen.write('?');
    await screen.shows(/PgUp/);
    screen.write('x');
    await screen.shows(/1000/);
  });

  test('shows what a stock Gunicorn offers', async (t) => {
    const { open, server } = await setUp(t);
    const screen = open(['-c', 'top 0.1'], { columns: 140 });
    await screen.shows(/> +12346 web +1 +- +- +- +- /);
    await screen.until(
      'it looked twice',
      () => server.commands.filter((one) => one === 'show all').length > 2,
    );
    assert.equal(server.commands.filter((one) => one === 'show generations').length, 1);
  });

  test('needs a terminal', async (t) => {
    const { site } = await setUp(t);
    const { ended } = new Running(t, ['-c', 'top'], { cwd: site.directory, input: '' });
    const { code, err } = await ended;
    assert.equal(code, 1);
    assert.match(err, /^Error: top needs a terminal/);
  });
});

const bash = '/bin/bash';
test('Ctrl-Z stops top, watch and the prompt, and fg has them back', {
  skip: existsSync(bash) ? false : 'there is no bash here',
}, async (t) => {
  const { site } = await setUp(t, new Herd(2).handler);
  const screen = new Screen(t, ['--norc', '-i'], { cwd: site.directory, env: { PS1: 'bash> ' } }, bash);
  const stopsAndGoesOn = async (): Promise<void> => {
    screen.write(CTRL_Z);
    await screen.until('bash is back', () => screen.cursorLine.trimEnd() === 'bash>');
    await screen.until('the terminal is as it was', () => !screen.isAlternate && !screen.isCursorHidden);
    screen.write('fg\r');
  };
  /** It has the keyboard again by then: what is on the screen may be from before. */
  const isBack = () => screen.until('it hides the cursor again', () => screen.isCursorHidden);
  await screen.shows(/bash>/);
  screen.write(`${process.execPath} ${kirinc}\r`);
  await screen.prompts();
  await stopsAndGoesOn();
  await screen.prompts();
  screen.write('top 0.1\r');
  await screen.shows(/1000 .*ready/);
  await stopsAndGoesOn();
  await isBack();
  await screen.shows(/1000 .*ready/);
  screen.write('q');
  await screen.prompts();
  screen.write('watch 0.1 show stats\r');
  await screen.shows(/every 0\.1 s[\s\S]*Uptime/);
  await stopsAndGoesOn();
  await isBack();
  await screen.shows(/every 0\.1 s[\s\S]*Uptime/);
  screen.write('q');
  await screen.prompts();
  screen.write(CTRL_D);
  await screen.until('bash is back', () => screen.cursorLine.trimEnd() === 'bash>');
  screen.write('exit\r');
  assert.equal(await screen.exit(), 0);
});
