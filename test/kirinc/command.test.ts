/** `kirinc -c` and `kirinc` in a pipe: what is written where, and the exit status. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, type TestContext, test } from 'node:test';
import { eventually, Site } from '../system/harness.ts';
import { kirinc as kirincFile, Running, run } from './run.ts';
import { type Handler, STATS, StandIn, stock } from './stand-in.ts';

async function setUp(t: TestContext, handler: Handler = stock) {
  const site = new Site(t);
  const server = await StandIn.listen(t, site.path('kirin.ctl'), handler);
  const kirinc = (args: string[], input = '', env = {}) => run(t, args, { cwd: site.directory, input, env });
  return { site, server, kirinc };
}

describe('one command', { concurrency: 2 }, () => {
  test('prints the text and ends with 0', async (t) => {
    const { kirinc, server } = await setUp(t);
    const { code, out, err } = await kirinc(['-c', 'show stats']);
    assert.equal(
      out,
      'Uptime:           2h 15m 30s\nPID:              12345\nWorkers current:  4\nWorkers target:   4\n' +
        'Workers spawned:  6\nWorkers killed:   2\nReloads:          1\n',
    );
    assert.deepEqual([code, err], [0, '']);
    assert.deepEqual(server.requests, [{ id: 1, command: 'show stats', args: [] }]);
  });

  test('needs one file, and nothing but what Node.js has', () => {
    const code = readFileSync(kirincFile, 'utf8');
    const imported = [...code.matchAll(/^(?:import|export)\b[^;]*?from\s*"([^"]+)"|^import "([^"]+)"/gm)];
    assert.ok(imported.length > 0);
    for (const [, one, other] of imported) assert.match(one ?? other!, /^node:/);
  });

  test('prints JSON on one line with -j', async (t) => {
    const { kirinc } = await setUp(t);
    const { code, out } = await kirinc(['-c', 'show stats', '-j']);
    assert.equal(out, `${JSON.stringify(STATS)}\n`);
    assert.equal(code, 0);
  });

  test('prints the answer to an order as JSON with an indent of two', async (t) => {
    const { kirinc } = await setUp(t);
    const { code, out } = await kirinc(['-c', 'worker add 2']);
    assert.equal(out, '{\n  "added": 2,\n  "previous": 2,\n  "total": 4\n}\n');
    assert.equal(code, 0);
  });

  test('is written out before it is sent', async (t) => {
    const { kirinc, server } = await setUp(t);
    assert.equal((await kirinc(['-c', 'sh w', '-c', 'W A 2', '-c', 'rel'])).code, 0);
    assert.deepEqual(server.commands, ['show workers', 'worker add 2', 'reload']);
  });

  test('sends words with spaces as they are', async (t) => {
    const { kirinc, server } = await setUp(t, ({ ok }) => ok({}));
    await kirinc(['-c', 'show machine "a b"']);
    assert.deepEqual(server.requests[0], { id: 1, command: 'show', args: ['machine', 'a b'] });
  });

  for (const [command, error] of [
    ['nonsense', 'Unknown command: nonsense'],
    ['show', 'Invalid argument: Missing show target (all|workers|dirty|config|stats|listeners)'],
    ['show version', 'Invalid argument: Unknown show target: version'],
    ['re', 'Ambiguous command: re (it could be reload or reopen)'],
    ['sh', 'Ambiguous command: sh (it could be show or shutdown)'],
    ['', 'Empty command'],
    ['show "', 'No closing quotation'],
  ])
    test(`tells the error of "${command}" on standard error and ends with 1`, async (t) => {
      const { kirinc } = await setUp(t);
      assert.deepEqual(await kirinc(['-c', command!]), { code: 1, out: '', err: `Error: ${error}\n` });
    });

  test('that did not succeed is printed, and ends with 1', async (t) => {
    const { kirinc } = await setUp(t);
    const { code, out, err } = await kirinc(['-c', 'worker kill 99']);
    assert.equal(out, '{\n  "success": false,\n  "error": "Worker 99 not found"\n}\n');
    assert.deepEqual([code, err], [1, '']);
  });

  test('of several each runs, in order, and the first failure counts', async (t) => {
    const { kirinc, server } = await setUp(t);
    const { code, out, err } = await kirinc(['-c', 'reload', '-c', 'bad', '-c', 'reopen']);
    assert.equal(code, 1);
    assert.equal(err, 'Error: Unknown command: bad\n');
    assert.match(out, /reloading[\s\S]*reopening/);
    assert.deepEqual(server.commands, ['reload', 'bad', 'reopen']);
    await eventually('the connection is closed', () => server.sockets.size === 0);
  });

  test('ends at quit', async (t) => {
    const { kirinc, server } = await setUp(t);
    assert.equal((await kirinc(['-c', 'reload', '-c', 'q', '-c', 'reopen'])).code, 0);
    assert.deepEqual(server.commands, ['reload']);
  });

  test('finds its socket in the environment, and -s comes before that', async (t) => {
    const { site, kirinc } = await setUp(t);
    const path = site.path('kirin.ctl');
    const env = { KIRIN_CONTROL_SOCKET: path };
    assert.equal((await run(t, ['-c', 'reload'], { cwd: '/', env })).code, 0);
    assert.equal(
      (await run(t, ['-c', 'reload', '-s', path], { cwd: '/', env: { KIRIN_CONTROL_SOCKET: 'x' } })).code,
      0,
    );
    assert.equal((await kirinc(['-c', 'reload'], '', { KIRIN_CONTROL_SOCKET: '' })).code, 0);
  });

  test('that waits ends with 130 on Ctrl-C, says what that means, and nothing more is run', async (t) => {
    let wait = (_error: string): void => {};
    const { site, server } = await setUp(t, ({ words, ok, fail }) => {
      if (words[0] === 'reload') wait = fail;
      else if (words[0] === 'cancel') {
        wait('Cancelled');
        ok({});
      }
    });
    const running = new Running(t, ['-c', 'reload --wait', '-c', 'reopen'], { cwd: site.directory });
    await eventually('it waits', () => server.requests.length === 1);
    running.child.kill('SIGINT');
    const err = 'Nobody waits any more; what was ordered goes on\n';
    assert.deepEqual(await running.ended, { code: 130, out: '', err });
    assert.deepEqual(server.commands, ['reload --wait', 'cancel 1']);
  });

  test('that hangs ends with 130 on Ctrl-C', async (t) => {
    const { site, server } = await setUp(t, () => {});
    for (const input of [undefined, 'show stats\n']) {
      const args = input === undefined ? ['-c', 'show stats'] : [];
      const before = server.requests.length;
      const running = new Running(t, args, { cwd: site.directory, ...(input ? { input } : {}) });
      await eventually('it waits', () => server.requests.length > before);
      running.child.kill('SIGINT');
      assert.deepEqual(await running.ended, { code: 130, out: '', err: '' });
    }
  });

  test('ends quietly when its reader has seen enough', async (t) => {
    const { site, server } = await setUp(t, ({ progress }) => progress({ event: { text: 'one' } }));
    const running = new Running(t, ['-c', 'events'], { cwd: site.directory });
    await eventually('it prints', () => running.out !== '');
    running.child.stdout!.destroy();
    server.handler = stock;
    const peer = [...server.sockets][0]!;
    await eventually('it ends', () => {
      const body = Buffer.from('{"id":1,"status":"progress","data":{"event":{"text":"more"}}}');
      const head = Buffer.alloc(4);
      head.writeUInt32BE(body.length);
      if (peer.writable) peer.write(Buffer.concat([head, body]));
      return running.child.exitCode !== null;
    });
    assert.equal((await running.ended).code, 0);
    assert.equal(running.err, '');
  });
});

describe('a command line', { concurrency: 2 }, () => {
  for (const [args, error] of [
    [
      ['--sokcet', 'x'],
      /^kirinc: unknown option --sokcet \(did you mean "--socket"\?\) \(see kirinc --help\)\n$/,
    ],
    [['-x'], /^kirinc: unknown option -x \(see/],
    [['show', 'workers'], /^kirinc: unexpected argument "show": write kirinc -c 'show workers' /],
    [['-s'], /^kirinc: -s needs a value/],
    [['-s', ''], /^kirinc: -s needs a value/],
    [['--json=yes'], /^kirinc: --json takes no value/],
  ] as const)
    test(`that is wrong (${args.join(' ')}) ends with 2, in one line`, async (t) => {
      const { code, out, err } = await run(t, [...args], { cwd: '/' });
      assert.match(err, error);
      assert.deepEqual([code, out, err.split('\n').length], [2, '', 2]);
    });

  test('may ask for the version or for help', async (t) => {
    assert.match((await run(t, ['-v'], { cwd: '/' })).out, /^kirinc \d+\.\d+\.\d+\n$/);
    const { code, out } = await run(t, ['--help'], { cwd: '/' });
    assert.equal(code, 0);
    assert.match(out, /^Usage: kirinc/);
    for (const option of ['--socket', '--command', '--json', '--version', '--help'])
      assert.ok(out.includes(option), option);
  });
});

describe('a pipe', { concurrency: 2 }, () => {
  test('has a command a line, blank ones and comments left out', async (t) => {
    const { kirinc, server } = await setUp(t);
    const { code, out, err } = await kirinc([], '# first\n\n  reload\nsh st\nreopen');
    assert.deepEqual([code, err], [0, '']);
    assert.deepEqual(server.commands, ['reload', 'show stats', 'reopen']);
    assert.ok(!out.includes('kirin>') && !out.includes('Connected'), out);
  });

  test('goes on after a failure, whose status it ends with', async (t) => {
    const { kirinc, server } = await setUp(t);
    const { code, err } = await kirinc([], 'bad\nreload\n');
    assert.deepEqual([code, err], [1, 'Error: Unknown command: bad\n']);
    assert.deepEqual(server.commands, ['bad', 'reload']);
  });

  test('ends at quit', async (t) => {
    const { kirinc, server } = await setUp(t);
    assert.equal((await kirinc([], 'exit\nreload\n')).code, 0);
    assert.deepEqual(server.commands, []);
  });

  test('of nothing is fine', async (t) => {
    const { kirinc } = await setUp(t);
    assert.deepEqual(await kirinc([], ''), { code: 0, out: '', err: '' });
  });
});
