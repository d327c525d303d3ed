import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import net, { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { constants } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { UNIX_PATH_BYTES_MAX } from '../../src/actors/address.ts';
import { FaultError } from '../../src/actors/fault-error.ts';
import { type BoundListener, ListenerTable } from '../../src/actors/listeners.ts';
import { bindTcpHandle } from '../../src/actors/socket-handle.ts';
import { faultOf, openSockets, temporaryDirectory, until } from './support.ts';

/** A user without rights, for tests that run as root. */
const NOBODY = 65_534;

const IN_USE = -constants.errno.EADDRINUSE;

const hasIPv6 = (() => {
  try {
    bindTcpHandle('::1', 0).handle.close();
    return true;
  } catch {
    return false;
  }
})();

/** A table that does not wait between tries. */
function tableOf(
  t: TestContext,
  settings: ConstructorParameters<typeof ListenerTable>[0] = {},
): ListenerTable {
  const table = new ListenerTable({ wait: async () => {}, ...settings });
  t.after(() => table.close());
  return table;
}

async function listening(t: TestContext, host = '127.0.0.1'): Promise<{ server: Server; address: string }> {
  const server = createServer().listen(0, host);
  t.after(() => server.close());
  await once(server, 'listening');
  return { server, address: `${host}:${(server.address() as AddressInfo).port}` };
}

/** A process that inherits the descriptor as 3 and listens on it, as a worker does. */
function worker(t: TestContext, { fd }: BoundListener, backlog: number): ChildProcess {
  const code = `require('net').createServer((c) => c.end('served')).listen({ fd: 3 }, ${backlog}, () => console.log('up'))`;
  const child = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'inherit', fd] });
  t.after(() => child.kill('SIGKILL'));
  return child;
}

async function readAll(address: string): Promise<string> {
  const socket = connect(Number(address.split(':').at(-1)), '127.0.0.1');
  let text = '';
  for await (const chunk of socket) text += String(chunk);
  return text;
}

describe('binding', () => {
  test('gives an address with the real port, its type and a descriptor', async (t) => {
    const path = join(temporaryDirectory(t), 'a.sock');
    const [tcp, unix, ...more] = await tableOf(t).bind(['127.0.0.1:0', `unix:${path}`], 1);
    assert.match(tcp!.address, /^127\.0\.0\.1:[1-9]\d*$/);
    assert.deepEqual([tcp!.type, unix!.type, unix!.address], ['tcp', 'unix', `unix:${path}`]);
    assert.ok(tcp!.fd > 2 && unix!.fd > 2);
    assert.equal(more.length, 0);
  });

  test('takes a host by its IPv4 address first, and equal addresses once', async (t) => {
    const bound = await tableOf(t).bind(['localhost:0', '127.0.0.1:0'], 1);
    assert.equal(bound.length, 1);
    assert.match(bound[0]!.address, /^127\.0\.0\.1:/);
  });

  const names: Record<string, string[]> = {
    two: ['127.0.0.3', '127.0.0.2', '127.0.0.2'],
    both: ['::1', '127.0.0.1'],
    partly: ['203.0.113.7', '127.0.0.2'],
    elsewhere: ['203.0.113.7', '203.0.113.8'],
    nowhere: [],
  };
  const lookup = async (host: string) =>
    names[host]!.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));

  test('takes a host by all its addresses, on one port, and finds them again', async (t) => {
    const table = tableOf(t, { lookup });
    const bound = await table.bind(['two:0'], 1);
    const [port] = bound.map(({ address }) => address.split(':')[1]);
    assert.deepEqual(
      bound.map(({ address }) => address),
      [`127.0.0.3:${port}`, `127.0.0.2:${port}`],
    );
    assert.deepEqual(await table.bind(['two:0'], 2), bound);
    assert.deepEqual(await table.bind([`two:${port}`], 3), bound);
    table.release(1);
    table.release(2);
    table.release(3);
    assert.deepEqual(table.list(), []);
  });

  test('takes a host by IPv4 and by IPv6', { skip: !hasIPv6 }, async (t) => {
    const bound = await tableOf(t, { lookup }).bind(['both:0'], 1);
    assert.match(bound.map(({ address }) => address).join(), /^127\.0\.0\.1:(\d+),\[::1\]:\1$/);
  });

  test('chooses another port for all where one of them has it in use', async (t) => {
    // The first address is bound, then its port is taken on the second, twice.
    const table = tableOf(t, { lookup });
    let left = 2;
    const isTaken = (host: unknown): boolean => host === '127.0.0.2' && left-- > 0;
    // Whichever of the two ways this version of Node.js has.
    const ways = net as unknown as {
      _createServerHandle: (...args: unknown[]) => number;
      BoundSocket?: new (options: { host?: string }) => object;
    };
    const { _createServerHandle: create, BoundSocket } = ways;
    t.mock.method(ways, '_createServerHandle', (...args: unknown[]) =>
      isTaken(args[0]) ? IN_USE : create(...args),
    );
    if (BoundSocket) {
      ways.BoundSocket = class extends BoundSocket {
        constructor(options: { host?: string }) {
          if (isTaken(options.host)) throw Object.assign(new Error('in use'), { errno: IN_USE });
          super(options);
        }
      };
      t.after(() => {
        ways.BoundSocket = BoundSocket;
      });
    }
    const before = openSockets();
    const bound = await table.bind(['two:0'], 1);
    const ports = new Set(bound.map(({ address }) => address.split(':')[1]));
    assert.deepEqual([left, bound.length, ports.size], [-1, 2, 1]);
    await until('what was tried is closed', () => openSockets() === before + 2);
  });

  test('leaves out what this machine has not of a host, and says so; none is a fault', async (t) => {
    const told: string[] = [];
    const table = tableOf(t, { lookup });
    const [bound, ...more] = await table.bind(['partly:0'], 1, { onRetry: (text) => told.push(text) });
    assert.match(bound!.address, /^127\.0\.0\.2:/);
    assert.deepEqual(more, []);
    assert.deepEqual(told, [
      'cannot bind partly:0 (203.0.113.7): no interface has that address: it is left out',
    ]);
    await assert.rejects(
      table.bind(['elsewhere:8000'], 1),
      faultOf('bind.badAddress', /^cannot bind elsewhere:8000 \(203\.0\.113\.7\): no interface/),
    );
    await assert.rejects(
      table.bind(['nowhere:1'], 1),
      faultOf('bind.badAddress', /"nowhere" has no address/),
    );
  });

  test('a host of which one address is in use is not bound at all', async (t) => {
    const server = createServer().listen(0, '127.0.0.2');
    t.after(() => server.close());
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const table = tableOf(t, { lookup });
    await assert.rejects(
      table.bind([`two:${port}`], 1),
      faultOf('bind.inUse', new RegExp(`^two:${port} \\(127\\.0\\.0\\.2\\) is in use by another process`)),
    );
    assert.deepEqual(table.list(), []);
  });

  test('IPv6 takes IPv4 too, unless it is told not to', { skip: !hasIPv6 }, async (t) => {
    const dual = tableOf(t);
    const [bound] = await dual.bind(['[::]:0'], 1);
    const port = bound!.address.split(':').at(-1);
    await assert.rejects(dual.bind([`0.0.0.0:${port}`], 1), faultOf('bind.overlaps', /overlaps/));
    await once(worker(t, bound!, 10).stdout!, 'data');
    assert.equal(await readAll(bound!.address), 'served');

    const apart = tableOf(t);
    const [only] = await apart.bind(['[::]:0'], 1, { ipv6Only: true });
    const four = `0.0.0.0:${only!.address.split(':').at(-1)}`;
    assert.equal((await apart.bind([only!.address, four], 2, { ipv6Only: true })).length, 2);
  });

  test('IPv6', { skip: !hasIPv6 }, async (t) => {
    const table = tableOf(t);
    const [bound] = await table.bind(['[0::0:1]:0'], 1);
    assert.match(bound!.address, /^\[::1\]:\d+$/);
    assert.equal(bound!.type, 'tcp6');
    assert.deepEqual(await table.bind([bound!.address], 2), [bound]);
  });

  test('does not listen: nobody can connect before a worker does', async (t) => {
    const [bound] = await tableOf(t).bind(['127.0.0.1:0'], 1);
    const socket = connect(Number(bound!.address.split(':')[1]), '127.0.0.1');
    const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
    assert.equal(error.code, 'ECONNREFUSED');
  });

  test('a worker listens with the backlog asked for, and clients queue when it is dead', async (t) => {
    const [bound] = await tableOf(t).bind(['127.0.0.1:0'], 1);
    const first = worker(t, bound!, 777);
    await once(first.stdout!, 'data');
    const port = bound!.address.split(':')[1]!;
    const columns = execFileSync('ss', ['-Hltn', `sport = :${port}`], { encoding: 'utf8' }).split(/\s+/);
    assert.equal(columns[2], '777');
    assert.equal(await readAll(bound!.address), 'served');

    first.kill('SIGKILL');
    await once(first, 'exit');
    const waiting = readAll(bound!.address);
    const second = worker(t, bound!, 777);
    await once(second.stdout!, 'data');
    assert.equal(await waiting, 'served');
  });
});

describe('generations', () => {
  test('a later one takes what is bound, under the same descriptor, port 0 included', async (t) => {
    const table = tableOf(t);
    const path = join(temporaryDirectory(t), 'a.sock');
    const first = await table.bind(['127.0.0.1:0', `unix:${path}`], 1);
    assert.deepEqual(await table.bind(['127.0.0.1:0', `unix:${path}`], 2), first);
    assert.deepEqual(await table.bind([first[0]!.address], 3), [first[0]]);
    assert.deepEqual(
      table.list().map(({ generations }) => generations),
      [
        [1, 2, 3],
        [1, 2],
      ],
    );
  });

  test('a listener ends with the last generation that has it', async (t) => {
    const table = tableOf(t);
    const path = join(temporaryDirectory(t), 'a.sock');
    const before = openSockets();
    const [tcp] = await table.bind(['127.0.0.1:0', `unix:${path}`], 1);
    await table.bind([tcp!.address], 2);
    table.release(1);
    await until('the Unix socket is gone', () => !existsSync(path));
    assert.deepEqual(table.list(), [{ ...tcp, generations: [2] }]);
    table.release(2);
    table.release(2);
    assert.deepEqual(table.list(), []);
    await until('no descriptor is left', () => openSockets() === before);
  });

  test('one that ends while another waits does not close what the other took', async (t) => {
    const { address: busy, server } = await listening(t);
    const table: ListenerTable = tableOf(t, {
      wait: async () => {
        table.release(1);
        server.close();
      },
    });
    const [first] = await table.bind(['127.0.0.1:0'], 1);
    const bound = await table.bind([first!.address, busy], 2);
    assert.deepEqual(bound[0], first);
    assert.deepEqual(
      table.list().map(({ generations }) => generations),
      [[2], [2]],
    );
  });

  test('a Unix socket is the same by another spelling of its directory', async (t) => {
    const directory = temporaryDirectory(t);
    mkdirSync(join(directory, 'real'));
    symlinkSync('real', join(directory, 'link'));
    const waits: number[] = [];
    const table = tableOf(t, { wait: async (ms) => waits.push(ms) });
    const first = await table.bind([`unix:${directory}/link/a.sock`], 1);
    assert.deepEqual(await table.bind([`unix:${directory}/real/a.sock`], 2), first);
    assert.deepEqual(await table.bind([`unix:${directory}/link/a.sock`], 3), first);
    assert.deepEqual(waits, []);
  });

  test('a Unix socket follows a link to its directory, and leaves nothing in the old one', async (t) => {
    const directory = temporaryDirectory(t);
    for (const release of ['one', 'two']) mkdirSync(join(directory, release));
    const point = (to: string) => {
      rmSync(join(directory, 'current'), { force: true });
      symlinkSync(to, join(directory, 'current'));
    };
    const table = tableOf(t);
    point('one');
    const [first] = await table.bind([`unix:${directory}/current/a.sock`], 1);
    point('two');
    const [second] = await table.bind([`unix:${directory}/current/a.sock`], 2);
    assert.equal(second!.address, first!.address);
    assert.notEqual(second!.fd, first!.fd);
    table.release(1);
    await until('the old one is gone', () => readdirSync(join(directory, 'one')).length === 0);
    assert.deepEqual(readdirSync(join(directory, 'two')), ['a.sock', 'a.sock.lock.1']);
  });

  for (const [what, length] of [
    ['is too long', 120],
    ['has no room for its first name', UNIX_PATH_BYTES_MAX - 3],
  ] as const)
    test(`a Unix socket whose real path ${what} is bound through the link that is short`, async (t) => {
      const directory = temporaryDirectory(t);
      const long = 'x'.repeat(length - directory.length - '/'.length);
      mkdirSync(join(directory, long));
      symlinkSync(long, join(directory, 'l'));
      const table = tableOf(t);
      const [bound] = await table.bind([`unix:${directory}/l/a`], 1);
      assert.deepEqual(await table.bind([`unix:${directory}/l/a`], 2), [bound]);
    });

  test('fifty reloads leave no descriptor behind', async (t) => {
    const table = tableOf(t);
    const directory = temporaryDirectory(t);
    const before = openSockets();
    for (let generation = 1; generation <= 50; generation++) {
      await table.bind(['127.0.0.1:0', `unix:${directory}/${generation % 3}.sock`], generation);
      table.release(generation - 1);
    }
    assert.equal(table.list().length, 2);
    table.close();
    await until('no descriptor is left', () => openSockets() === before);
  });
});

describe('all or nothing', () => {
  test('a bad one at the end closes what was new and leaves what was there', async (t) => {
    const table = tableOf(t);
    const path = join(temporaryDirectory(t), 'a.sock');
    const before = openSockets();
    const first = await table.bind(['127.0.0.1:0'], 1);
    const wanted = [first[0]!.address, '127.0.0.2:0', `unix:${path}`, 'unix:/does/not/exist.sock'];
    await assert.rejects(table.bind(wanted, 2), faultOf('bind.badAddress', /no directory \/does\/not/));
    assert.deepEqual(table.list(), [{ ...first[0], generations: [1] }]);
    assert.equal(existsSync(path), false);
    await until('no descriptor is left', () => openSockets() === before + 1);
  });

  test('a failure takes nothing from a generation that had it before', async (t) => {
    const table = tableOf(t);
    const [first] = await table.bind(['127.0.0.1:0'], 1);
    await assert.rejects(table.bind([first!.address, 'nonsense'], 1));
    assert.deepEqual(table.list(), [{ ...first, generations: [1] }]);
  });
});

describe('an address in use', () => {
  test('is tried again, told, and refused in one line', async (t) => {
    const { address } = await listening(t);
    const told: string[] = [];
    const waits: number[] = [];
    const table = tableOf(t, { wait: async (ms) => waits.push(ms) });
    await assert.rejects(
      table.bind([address], 1, { onRetry: (text) => told.push(text) }),
      faultOf(
        'bind.inUse',
        /^127\.0\.0\.1:\d+ is in use by another process: choose another --bind, or stop it$/,
      ),
    );
    assert.deepEqual(waits, [1000, 1000, 1000, 1000, 1000]);
    assert.equal(told[0], `${address} is in use by another process, trying again in 1 s (1/5)`);
    assert.equal(told.at(-1), `${address} is in use, trying again in 1 s (5/5)`);
    assert.deepEqual(table.list(), []);
  });

  test('is bound once it is free', async (t) => {
    const { address, server } = await listening(t);
    const table = tableOf(t, { wait: () => once(server.close(), 'close') });
    const [bound] = await table.bind([address], 1);
    assert.equal(bound!.address, address);
  });

  test('by an overlapping address of another process counts as in use', async (t) => {
    const { address } = await listening(t, '0.0.0.0');
    const port = address.split(':')[1];
    await assert.rejects(
      tableOf(t).bind([`127.0.0.1:${port}`], 1),
      faultOf('bind.inUse', /^127\.0\.0\.1:\d+ is in use/),
    );
  });

  test('is given up when the generation is', async (t) => {
    const { address } = await listening(t);
    const giveUp = new AbortController();
    const table = new ListenerTable({ retryMs: 600_000 });
    t.after(() => table.close());
    const onRetry = () => giveUp.abort();
    await assert.rejects(
      table.bind(['127.0.0.1:0', address], 1, { signal: giveUp.signal, onRetry }),
      faultOf('order.superseded', /given up/),
    );
    assert.deepEqual(table.list(), []);
  });

  test('is given up with the reason that was given', async (t) => {
    const reason = new FaultError('order.stopping', 'stopping');
    const bound = tableOf(t).bind(['127.0.0.1:0'], 1, { signal: AbortSignal.abort(reason) });
    await assert.rejects(bound, faultOf('order.stopping', /^stopping$/));
  });

  test('holds up only its own call: the next comes after it', async (t) => {
    const { address } = await listening(t);
    const table = tableOf(t);
    const [failed, bound] = await Promise.allSettled([
      table.bind([address], 1),
      table.bind(['127.0.0.1:0'], 2),
    ]);
    assert.deepEqual([failed.status, bound.status], ['rejected', 'fulfilled']);
  });
});

describe('an address that overlaps one of ours', () => {
  test('needs a restart, and changes nothing', async (t) => {
    const table = tableOf(t);
    const [first] = await table.bind(['127.0.0.1:0'], 1);
    const port = first!.address.split(':')[1];
    for (const wide of ['0.0.0.0', '[::]'])
      await assert.rejects(
        table.bind(['127.0.0.2:0', `${wide}:${port}`], 2),
        faultOf(
          'bind.overlaps',
          /overlaps 127\.0\.0\.1:\d+, which is bound already: the change needs a restart$/,
        ),
      );
    assert.deepEqual(table.list(), [{ ...first, generations: [1] }]);
  });

  test('within one list is a contradiction', async (t) => {
    const port = (await listening(t)).address.split(':')[1];
    const free = Number(port) === 65_535 ? 1024 : Number(port) + 1;
    await assert.rejects(
      tableOf(t).bind([`127.0.0.3:${free}`, `0.0.0.0:${free}`], 1),
      faultOf('bind.overlaps', /^0\.0\.0\.0:\d+ overlaps 127\.0\.0\.3:\d+: bind only one of them$/),
    );
  });
});

describe('what cannot be bound is told in one line', () => {
  const cases: [string, 'bind.badAddress' | 'bind.failed' | 'settings.invalid', RegExp][] = [
    [
      '203.0.113.7:8000',
      'bind.badAddress',
      /^cannot bind 203\.0\.113\.7:8000: no interface has that address$/,
    ],
    ['no-such-host.invalid:80', 'bind.badAddress', /no address found for "no-such-host\.invalid"/],
    ['fd://999', 'bind.badAddress', /no descriptor 999 is open/],
    ['nonsense', 'settings.invalid', /the port is missing/],
  ];
  for (const [address, code, message] of cases)
    test(address, async (t) => {
      await assert.rejects(tableOf(t).bind([address], 1), faultOf(code, message));
    });

  test('a low port without the right', async (t) => {
    if (process.geteuid?.() === 0) {
      process.seteuid?.(NOBODY);
      t.after(() => process.seteuid?.(0));
    }
    await assert.rejects(
      tableOf(t).bind(['127.0.0.1:81'], 1),
      faultOf('bind.denied', /CAP_NET_BIND_SERVICE/),
    );
  });
});

describe('an inherited descriptor', () => {
  /** Runs a script in a process that has the socket as descriptor 3. */
  function inherit(t: TestContext, fd: number | 'pipe', script: string): Promise<string> {
    const url = new URL('../../src/actors/listeners.ts', import.meta.url).href;
    const code = `import { ListenerTable } from ${JSON.stringify(url)}; const table = new ListenerTable(); ${script}`;
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', code], {
      stdio: ['ignore', 'pipe', 'inherit', fd],
    });
    t.after(() => child.kill('SIGKILL'));
    let text = '';
    child.stdout!.on('data', (chunk) => {
      text += String(chunk);
    });
    return once(child, 'close').then(() => text.trim());
  }
  const bind = `table.bind(['fd://3'], 1).then(([l]) => l.address + ' ' + l.type + ' ' + l.fd, (e) => e.fault.code + ' ' + e.message)`;

  test('is a listener with its own name, kept when no generation has it, closed once', async (t) => {
    const { handle, name } = bindTcpHandle('127.0.0.1', 0);
    t.after(() => handle.close());
    const shown = await inherit(
      t,
      handle.fd,
      `const a = await ${bind}; table.release(1); const n = table.list().length; const b = await ${bind};
       table.close(); table.close(); console.log([a, n, b].join('|'));`,
    );
    const expected = `127.0.0.1:${name.port} tcp 3`;
    assert.equal(shown, `${expected}|0|${expected}`);
  });

  test('may be a Unix socket', async (t) => {
    const path = join(temporaryDirectory(t), 'a.sock');
    const [unix] = await tableOf(t).bind([`unix:${path}`], 1);
    assert.match(await inherit(t, unix!.fd, `console.log(await ${bind})`), /^(unix:.*|fd:\/\/3) unix 3$/);
  });

  test('is refused where it is no socket that could listen', async (t) => {
    const { server, address } = await listening(t);
    server.on('connection', (socket) => t.after(() => socket.destroy()));
    const client = connect(Number(address.split(':')[1]), '127.0.0.1');
    t.after(() => client.destroy());
    await once(client, 'connect');
    const { fd } = (client as unknown as { _handle: { fd: number } })._handle;
    assert.match(
      await inherit(t, fd, `console.log(await ${bind})`),
      /^bind\.badAddress .*it is a connection/,
    );
  });
});
