/** The prompt in a real pseudo terminal. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { describe, type TestContext, test } from 'node:test';
import { encodeFrame } from '../../src/actors/control/frames.ts';
import { Site } from '../system/harness.ts';
import { CTRL_C, CTRL_D, Screen, TAB, UP } from './screen.ts';
import { type Handler, STATS, StandIn, stock } from './stand-in.ts';

async function setUp(t: TestContext, handler: Handler = stock) {
  const site = new Site(t);
  const server = await StandIn.listen(t, site.path('kirin.ctl'), handler);
  const open = async (env = {}, args: string[] = []): Promise<Screen> => {
    const screen = new Screen(t, args, { cwd: site.directory, env });
    await screen.prompts();
    return screen;
  };
  return { site, server, open };
}

const historyOf = (site: Site) => site.path('.local/state/kirin/kirinc_history');

/** Answers a `reload --wait` only when it is cancelled; else as Gunicorn. */
const waiting: Handler = (peer) => {
  const { words, socket, progress, fail, ok } = peer;
  if (words.includes('--wait')) {
    pending.set(socket, fail);
    return progress({ step: 'worker 5 is starting', done: 1, total: 4 });
  }
  if (words[0] !== 'cancel') return stock(peer);
  pending.get(socket)?.('Cancelled');
  ok({ cancelled: words[1] });
};
const pending = new WeakMap<object, (error: string) => void>();

describe('the prompt', { concurrency: 2 }, () => {
  test('says where it is and how to go on, runs a command, and leaves on quit with 0', async (t) => {
    const { open } = await setUp(t);
    const screen = await open();
    assert.match(
      screen.text,
      /^Connected to kirin\.ctl\nType 'help' for available commands, 'quit' to exit\.\n/,
    );
    screen.write('sh st\r');
    await screen.shows(/Uptime: {11}2h 15m 30s[\s\S]*\n\nkirin>$/);
    screen.write('quit\r');
    assert.equal(await screen.exit(), 0);
  });

  test('leaves on Ctrl-D', async (t) => {
    const { open } = await setUp(t);
    const screen = await open();
    screen.write(CTRL_D);
    assert.equal(await screen.exit(), 0);
  });

  test('tells what is wrong and goes on', async (t) => {
    const { open } = await setUp(t);
    const screen = await open();
    screen.write('nonsense\r');
    await screen.shows(/Error: Unknown command: nonsense\n\nkirin>$/);
    screen.write('shwo workers\r');
    await screen.shows(/Error: Unknown command: shwo \(did you mean "show"\?\)\n\nkirin>$/);
    screen.write('show wrokers\r');
    await screen.shows(/Unknown show target: wrokers \(did you mean "workers"\?\)\n\nkirin>$/);
  });

  test('ends at once where there is no server', async (t) => {
    const site = new Site(t);
    const screen = new Screen(t, [], { cwd: site.directory });
    assert.equal(await screen.exit(), 1);
    await screen.shows(/^Error: No such file or directory - kirin\.ctl: is Kirin running/);
  });

  test('drops the line on Ctrl-C', async (t) => {
    const { open, server } = await setUp(t);
    const screen = await open();
    screen.write('shutdown');
    await screen.prompts('shutdown');
    screen.write(CTRL_C);
    await screen.prompts();
    screen.write('reopen\r');
    await screen.shows(/reopening/);
    assert.ok(!server.commands.some((one) => one.includes('shutdown')));
  });

  test('cancels a command that waits on Ctrl-C, on the same connection', async (t) => {
    const { open, server } = await setUp(t, waiting);
    const screen = await open();
    screen.write('reload --w\r');
    await screen.shows(/1\/4.*worker 5 is starting/);
    const [connection] = server.sockets;
    screen.write(CTRL_C);
    await screen.shows(/Nobody waits any more; what was ordered goes on/);
    await screen.prompts();
    screen.write('sh st\r');
    await screen.shows(/Uptime/);
    const id = server.requests.find(({ command }) => command === 'reload --wait')!.id;
    assert.ok(server.commands.includes(`cancel ${id}`), server.commands.join());
    assert.deepEqual([...server.sockets], [connection]);
    assert.ok(!screen.text.includes('Reconnected'));
  });

  test('leaves a server that hangs on Ctrl-C, and comes back', async (t) => {
    const { open, server } = await setUp(t);
    const screen = await open();
    server.handler = () => {};
    screen.write('sh st\r');
    await screen.until(
      'it is asked',
      () => server.commands.filter((one) => one === 'show stats').length === 2,
    );
    screen.write(CTRL_C);
    await screen.prompts();
    server.handler = stock;
    screen.write('reopen\r');
    await screen.shows(/reopening/);
  });

  test('leaves a server that knows no cancelling on Ctrl-C, and comes back', async (t) => {
    const { open, server } = await setUp(t, (peer) => {
      if (!peer.words.includes('--wait')) stock(peer);
    });
    const screen = await open();
    screen.write('reload --wait\r');
    await screen.until('it waits', () => server.commands.includes('reload --wait'));
    const [connection] = server.sockets;
    screen.write(CTRL_C);
    await screen.prompts();
    screen.write('reopen\r');
    await screen.shows(/reopening/);
    assert.ok(!server.sockets.has(connection!));
  });

  test('is connected again after the server has closed an idle connection', async (t) => {
    const { open, server } = await setUp(t);
    const screen = await open();
    screen.write('sh st\r');
    await screen.shows(/Uptime/);
    for (const socket of server.sockets)
      socket.end(
        encodeFrame({ id: null, status: 'error', error: 'Idle for 300 s: the connection is closed' }),
      );
    await screen.until('it has noticed', () => server.sockets.size === 0);
    screen.write('reopen\r');
    await screen.shows(/Reconnected to kirin\.ctl \(pid 12345\)\n\{\n {2}"status": "reopening"/);
    assert.doesNotMatch(screen.text, /Idle|Error/);
  });

  test('runs lines that were pasted, one after the other', async (t) => {
    const { open, server } = await setUp(t);
    const screen = await open();
    screen.write('reload\rreopen\rworker add 2\r');
    await screen.shows(/reloading[\s\S]*reopening[\s\S]*"added": 2/);
    const orders = server.commands.filter((one) => !one.startsWith('show'));
    assert.deepEqual(orders, ['reload', 'reopen', 'worker add 2']);
  });

  test('tells of another server behind the socket', async (t) => {
    const { open, server, site } = await setUp(t);
    const screen = await open();
    await screen.until('it knows the pid', () => server.commands.includes('show stats'));
    screen.write('sh st\r');
    await screen.shows(/Uptime/);
    await server.stop();
    const next: Handler = (peer) =>
      peer.words[1] === 'stats' ? peer.ok({ ...STATS, pid: 456 }) : stock(peer);
    await StandIn.listen(t, site.path('kirin.ctl'), next);
    screen.write('reopen\r');
    await screen.shows(/Reconnected to kirin\.ctl \(pid 12345 → 456\)\n\{\n {2}"status": "reopening"/);
  });

  test('obeys no control characters of a reply', async (t) => {
    const { open } = await setUp(t, (peer) =>
      peer.words[1] === 'config' ? peer.ok({ name: 'a\x1b[2Jb\nc\x9b31m' }) : stock(peer),
    );
    const screen = await open();
    screen.write('show config\r');
    await screen.shows(/name: a\\u001b\[2Jb\\nc\\u009b31m/);
  });

  test('uses colour for errors only where it is wanted', async (t) => {
    const { open } = await setUp(t);
    for (const [env, coloured] of [
      [{}, true],
      [{ NO_COLOR: '1' }, false],
      [{ TERM: 'dumb' }, false],
    ] as const) {
      const screen = await open(env);
      screen.write('nonsense\r');
      await screen.shows(/Error: Unknown command/);
      assert.equal(screen.raw.includes('\x1b[31mError:'), coloured, JSON.stringify(env));
    }
  });
});

describe('Tab', { concurrency: 2 }, () => {
  const cases: [typed: string, line: string][] = [
    ['rel', 'reload'],
    ['show wo', 'show workers'],
    ['sh wo', 'sh workers'],
    ['worker k', 'worker kill'],
    ['worker kill 12346', 'worker kill 12346'],
    ['worker kill 1', 'worker kill 1234'],
    ['shutdown q', 'shutdown quick'],
    ['watch 5 show st', 'watch 5 show stats'],
    ['q', 'quit'],
  ];
  for (const [typed, line] of cases)
    test(`makes "${line}" of "${typed}"`, async (t) => {
      const { open } = await setUp(t);
      const screen = await open();
      screen.write(typed + TAB);
      await screen.prompts(line);
    });

  test('lists live pids', async (t) => {
    const { open } = await setUp(t);
    const screen = await open();
    screen.write(`worker kill ${TAB}`);
    await screen.prompts('worker kill 1234');
    screen.write(TAB);
    await screen.shows(/12346 +12347/);
  });

  test('offers only what the server knows', async (t) => {
    const { open } = await setUp(t);
    const screen = await open();
    screen.write(`show ${TAB}${TAB}`);
    await screen.shows(/listeners/);
    assert.doesNotMatch(screen.text, /generations|events|version/);
  });

  test('is no use, but no harm, where the server does not answer', async (t) => {
    const { open, server } = await setUp(t);
    const screen = await open();
    server.handler = () => {};
    screen.write(`reloa${TAB}`);
    await screen.prompts('reload');
  });
});

describe('a question mark', { concurrency: 2 }, () => {
  test('lists at once what can follow, and is not left in the line', async (t) => {
    const { open } = await setUp(t);
    const screen = await open();
    screen.write('worker ?');
    await screen.shows(
      / {2}add +Spawn N workers\n {2}remove +Remove N workers\n {2}kill +Kill a worker\nkirin> worker$/,
    );
    screen.write('add 1\r');
    await screen.shows(/"added": 1/);
  });

  test('lists the values of an argument', async (t) => {
    const { open } = await setUp(t);
    const screen = await open();
    screen.write('worker kill ?');
    await screen.shows(/ {2}12346 +Worker of age 1\n {2}12347 +Worker of age 2\nkirin> worker kill$/);
  });

  test('within quotes is a character', async (t) => {
    const { open } = await setUp(t);
    const screen = await open();
    screen.write('reload "?');
    await screen.prompts('reload "?');
  });
});

describe('the history', { concurrency: 2 }, () => {
  test('is there in the next session, for nobody else to read', async (t) => {
    const { open, site } = await setUp(t);
    const first = await open();
    first.write('show stats\r');
    await first.shows(/Uptime/);
    await first.prompts();
    first.write('quit\r');
    assert.equal(await first.exit(), 0);
    assert.equal(readFileSync(historyOf(site), 'utf8'), 'show stats\nquit\n');
    assert.equal(statSync(historyOf(site)).mode & 0o777, 0o600);
    assert.equal(statSync(site.path('.local/state/kirin')).mode & 0o777, 0o700);
    const second = await open();
    second.write(UP + UP);
    await second.prompts('show stats');
  });

  test('keeps what two shells at once have typed', async (t) => {
    const { open, site } = await setUp(t);
    const [one, other] = [await open(), await open()];
    one.write('reload\r');
    await one.shows(/reloading/);
    other.write('reopen\r');
    await other.shows(/reopening/);
    // What is typed while an answer is printed may be lost.
    for (const screen of [other, one]) {
      await screen.prompts();
      screen.write(CTRL_D);
    }
    await Promise.all([one.exit(), other.exit()]);
    assert.equal(readFileSync(historyOf(site), 'utf8'), 'reload\nreopen\n');
  });

  test('lies in the state directory that is named, and is bounded', async (t) => {
    const { open, site } = await setUp(t);
    const path = site.path('state/kirin/kirinc_history');
    mkdirSync(site.path('state/kirin'), { recursive: true });
    writeFileSync(path, Array.from({ length: 3000 }, (_, at) => `show machine ${at}\n`).join(''));
    const screen = await open({ XDG_STATE_HOME: site.path('state') });
    screen.write(UP);
    await screen.prompts('show machine 2999');
    assert.equal(readFileSync(path, 'utf8').split('\n').length, 1001);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.ok(!existsSync(historyOf(site)));
  });

  for (const [name, env] of [
    ['cannot be written', { XDG_STATE_HOME: '/proc/nowhere' }],
    ['has no place', { HOME: '' }],
  ] as const)
    test(`that ${name} is no reason to stop`, async (t) => {
      const { open } = await setUp(t);
      const screen = await open(env);
      screen.write('reload\r');
      await screen.shows(/reloading/);
      assert.doesNotMatch(screen.text, /Error/);
    });
});
