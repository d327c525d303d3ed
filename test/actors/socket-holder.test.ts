/** Who has an address that is in use, as /proc tells it. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { bindFault } from '../../src/actors/bind-fault.ts';
import { groupId } from '../../src/actors/group-id.ts';
import { processName, tcpHolder, unixHolder } from '../../src/actors/socket-holder.ts';
import { temporaryDirectory, until } from './support.ts';

const skip = process.platform === 'linux' ? false : 'there is no /proc here';

/** A search is given up after some time, which on a very busy machine is soon. */
const found = (search: () => string | undefined): Promise<string> => until('it is found', search);

/** A process that listens, and tells where. */
async function listener(
  t: TestContext,
  where: string,
  env: Record<string, string> = {},
): Promise<{ child: ChildProcess; port: number }> {
  const code = `const server = require('net').createServer().listen(${where}, () => console.log(server.address().port ?? 0))`;
  const child = spawn(process.execPath, ['-e', code, 'of\nmine'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  });
  t.after(() => child.kill('SIGKILL'));
  return { child, port: Number((await once(child.stdout!, 'data'))[0]) };
}

describe('who has it', { skip }, () => {
  for (const [where, wanted] of [
    ["0, '127.0.0.1'", '127.0.0.1'],
    ["0, '127.0.0.1'", '0.0.0.0'],
    ["0, '127.0.0.1'", '::'],
    ["0, '0.0.0.0'", '127.0.0.2'],
  ] as const)
    test(`of ${where}, asked for ${wanted}: the process, with its command in one line`, async (t) => {
      const { child, port } = await listener(t, where);
      const told = tcpHolder({ host: wanted, port });
      assert.match(
        told!,
        new RegExp(`^process ${child.pid} \\(node -e const server = require.*\\.\\.\\.\\)$`),
      );
      const error = Object.assign(new Error(), { code: 'EADDRINUSE' });
      const message = `127.0.0.1:${port} is in use by ${told}: choose another --bind, or stop it`;
      await until('it is told so', () => bindFault(`127.0.0.1:${port}`, error).message === message);
    });

  test('is not the one on another address of that port', async (t) => {
    const { port } = await listener(t, "0, '127.0.0.1'");
    assert.equal(tcpHolder({ host: '127.0.0.2', port }), undefined);
    assert.equal(tcpHolder({ host: '::', port, ipv6Only: true }), undefined);
  });

  test('is the one on a path', async (t) => {
    const path = join(temporaryDirectory(t), 'a.sock');
    const { child } = await listener(t, JSON.stringify(path));
    assert.match(await found(() => unixHolder(path)), new RegExp(`^process ${child.pid} \\(`));
    assert.equal(unixHolder(`${path}2`), undefined);
  });

  test('is a worker whose arbiter has died, on a port and on a path that was renamed', async (t) => {
    const worker = { KIRIN_WORKER_AGE: '3' };
    const { child, port } = await listener(t, "0, '127.0.0.1'", worker);
    const left = new RegExp(`^process ${child.pid} \\(.*\\), a worker whose arbiter has died$`);
    assert.match(await found(() => tcpHolder({ host: '127.0.0.1', port })), left);

    const directory = temporaryDirectory(t);
    const other = await listener(t, JSON.stringify(join(directory, '.kAbc_-9')), worker);
    assert.match(
      await found(() => unixHolder(join(directory, 'a.sock'))),
      new RegExp(`^process ${other.child.pid} .* has died$`),
    );
  });

  for (const [words, told] of [
    [['--db', 'x://me:hunter2@db/'], '--db x://***@db/'],
    [['--api-key=hunter2', 'on'], '--api-key=*** on'],
    [['--password', 'hunter2', 'on'], '--password *** on'],
  ] as const)
    test(`keeps the secrets of its command: ${told}`, async (t) => {
      const code = 'console.log(1); setInterval(() => {}, 1e6)';
      const child = spawn(process.execPath, ['-e', code, '--', ...words], {
        stdio: ['ignore', 'pipe', 'inherit'],
        argv0: 'n',
      });
      t.after(() => child.kill('SIGKILL'));
      await once(child.stdout!, 'data');
      assert.equal(processName(child.pid!), `process ${child.pid} (n -e ${code} -- ${told})`);
    });

  test('is nobody that is known where nobody listens', () => {
    assert.equal(tcpHolder({ host: '127.0.0.1', port: 1 }), undefined);
    assert.equal(unixHolder('/no/such/path'), undefined);
  });

  test('is named by its number where its command is not told', () => {
    assert.equal(processName(4_194_304), 'process 4194304');
  });
});

test('a group is known by its number and by its name', () => {
  assert.equal(groupId('4321'), 4321);
  assert.equal(groupId(process.platform === 'darwin' ? 'wheel' : 'root'), 0);
  assert.equal(groupId('no-such-group'), undefined);
});
