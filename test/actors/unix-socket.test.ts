import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs, {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { connect, createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { acquireLock } from '../../src/actors/lock-file.ts';
import { bindUnixSocket } from '../../src/actors/unix-socket.ts';
import { faultOf, temporaryDirectory, until } from './support.ts';

/** A name that looks used: a socket whose process was killed. */
async function stale(t: TestContext, path: string): Promise<void> {
  const code = `require('net').createServer().listen(${JSON.stringify(path)}, () => console.log('up'))`;
  const child = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  child.kill('SIGKILL');
  await once(child, 'exit');
}

/** Processes that all start binding `path` when they are told, tell what came of it, and keep what they have. */
function binders(t: TestContext, path: string, number: number) {
  const url = new URL('../../src/actors/unix-socket.ts', import.meta.url).href;
  const code = `
    import { bindUnixSocket } from ${JSON.stringify(url)};
    process.stdin.once('data', () => bindUnixSocket(${JSON.stringify(path)}).then(
      () => console.log('won'), (error) => console.log(error.fault?.code ?? error.stack)));
    console.log('here');`;
  return Array.from({ length: number }, () => {
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', code], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    t.after(() => child.kill('SIGKILL'));
    let text = '';
    child.stdout.on('data', (chunk) => {
      text += String(chunk);
    });
    return { child, lines: () => text.split('\n').filter(Boolean) };
  });
}

async function race(all: ReturnType<typeof binders>): Promise<string[]> {
  await until('all are there', () => all.every(({ lines }) => lines().length >= 1), 60_000);
  for (const { child } of all) child.stdin.write('go\n');
  await until('all have told', () => all.every(({ lines }) => lines().length >= 2), 60_000);
  return all.map(({ lines }) => lines()[1]!).sort();
}

describe('a Unix socket', () => {
  test('serves under its name, and leaves nothing behind', async (t) => {
    const directory = temporaryDirectory(t);
    const path = join(directory, 'a.sock');
    const socket = await bindUnixSocket(path);
    assert.deepEqual(readdirSync(directory), ['a.sock', 'a.sock.lock.1']);
    const server = createServer((connection) => connection.end('hello')).listen(socket.handle);
    await once(server, 'listening');
    const client = connect(path);
    assert.equal(String((await once(client, 'data'))[0]), 'hello');
    client.destroy();
    server.close();
    socket.release();
    socket.release();
    await until('the directory is empty', () => readdirSync(directory).length === 0);
  });

  test('has its mode from the first moment, and the umask is as before', async (t) => {
    const before = process.umask(0o022);
    t.after(() => process.umask(before));
    const path = join(temporaryDirectory(t), 'a.sock');
    const [plain, closed] = [await bindUnixSocket(path), await bindUnixSocket(`${path}2`, { mode: 0o600 })];
    assert.equal(lstatSync(path).mode & 0o777, 0o755);
    assert.equal(lstatSync(`${path}2`).mode & 0o777, 0o600);
    assert.equal(process.umask(), 0o022);
    plain.release();
    closed.release();
  });

  test("may be of another group, and is nobody's of it before it has its mode", async (t) => {
    const before = process.umask(0o027);
    t.after(() => process.umask(before));
    const path = join(temporaryDirectory(t), 'a.sock');
    // Any group will do where all are ours to give; else the one that is.
    const gid = process.geteuid?.() === 0 ? 4321 : process.getgid!();
    const seen: number[] = [];
    const { lchownSync } = fs;
    t.mock.method(fs, 'lchownSync', (file: string, uid: number, group: number) => {
      seen.push(lstatSync(file).mode & 0o777);
      lchownSync(file, uid, group);
    });
    syncBuiltinESMExports();
    t.after(() => {
      t.mock.restoreAll();
      syncBuiltinESMExports();
    });
    const shared = await bindUnixSocket(path, { mode: 0o660, group: String(gid) });
    assert.deepEqual([lstatSync(path).mode & 0o777, lstatSync(path).gid], [0o660, gid]);
    const plain = await bindUnixSocket(`${path}2`, { group: String(gid) });
    assert.deepEqual([lstatSync(`${path}2`).mode & 0o777, lstatSync(`${path}2`).gid], [0o750, gid]);
    assert.deepEqual(seen, [0o600, 0o600]);
    assert.equal(process.umask(), 0o027);
    shared.release();
    plain.release();
  });

  test('of a group that is not there is refused, and leaves nothing', async (t) => {
    const directory = temporaryDirectory(t);
    await assert.rejects(
      bindUnixSocket(join(directory, 'a.sock'), { group: 'no-such-group' }),
      faultOf('bind.badAddress', /: there is no group "no-such-group"$/),
    );
    assert.deepEqual(readdirSync(directory), []);
  });

  test('of a group that is not ours to give is refused, and leaves nothing', async (t) => {
    const directory = temporaryDirectory(t);
    const isRoot = process.geteuid?.() === 0;
    chmodSync(directory, 0o777);
    if (isRoot) process.seteuid?.(65_534);
    try {
      await assert.rejects(
        bindUnixSocket(join(directory, 'a.sock'), { group: '1' }),
        faultOf(
          'bind.denied',
          /^permission denied to give unix:.*a\.sock to the group 1: only root, or a member of it, can$/,
        ),
      );
    } finally {
      if (isRoot) process.seteuid?.(0);
    }
    assert.deepEqual(readdirSync(directory), []);
  });

  test('replaces a stale one', async (t) => {
    const path = join(temporaryDirectory(t), 'a.sock');
    await stale(t, path);
    const before = lstatSync(path).ino;
    const socket = await bindUnixSocket(path);
    assert.notEqual(lstatSync(path).ino, before);
    socket.release();
  });

  test('is made beside the leftovers of a process of the same number that was killed', async (t) => {
    const path = join(temporaryDirectory(t), 'a.sock');
    for (let name = 0; name < 200; name++)
      writeFileSync(join(dirname(path), `.k${process.pid.toString(36)}${name.toString(36)}`), '');
    (await bindUnixSocket(path)).release();
  });

  test('does not replace one that answers', async (t) => {
    const path = join(temporaryDirectory(t), 'a.sock');
    const server = createServer().listen(path);
    t.after(() => server.close());
    await once(server, 'listening');
    const { ino } = lstatSync(path);
    await assert.rejects(
      bindUnixSocket(path),
      faultOf('bind.inUse', /in use by another process: choose another --bind/),
    );
    assert.equal(lstatSync(path).ino, ino);
    assert.ok(!existsSync(`${path}.lock.1`), 'and leaves no lock');
  });

  test('does not replace one that is bound and does not listen yet', async (t) => {
    const path = join(temporaryDirectory(t), 'a.sock');
    const socket = await bindUnixSocket(path);
    await assert.rejects(
      bindUnixSocket(path),
      faultOf('bind.inUse', new RegExp(`in use by process ${process.pid} \\(node .+\\): choose`)),
    );
    socket.release();
    (await bindUnixSocket(path)).release();
  });

  test('removes its name only while it is its own', async (t) => {
    const path = join(temporaryDirectory(t), 'a.sock');
    const socket = await bindUnixSocket(path);
    renameSync(path, `${path}.moved`);
    const server = createServer().listen(path);
    t.after(() => server.close());
    await once(server, 'listening');
    socket.release();
    // What libuv does at the end of a turn with a handle that was closed in it is done by the second.
    for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve));
    assert.ok(existsSync(path), "the successor's socket is still there");
    unlinkSync(`${path}.moved`);
  });

  const unusable: [string, string, 'bind.failed' | 'bind.badAddress', RegExp][] = [
    ['a plain file', 'file', 'bind.failed', /a file of that name that is no socket/],
    ['a directory', 'directory', 'bind.failed', /a file of that name that is no socket/],
    ['a missing directory', 'missing/a.sock', 'bind.badAddress', /there is no directory .*missing/],
    ['a file for a directory', 'file/a.sock', 'bind.badAddress', /there is no directory .*file/],
  ];
  for (const [what, name, code, message] of unusable)
    test(`is refused where there is ${what}`, async (t) => {
      const directory = temporaryDirectory(t);
      writeFileSync(join(directory, 'file'), 'precious');
      mkdirSync(join(directory, 'directory'));
      await assert.rejects(bindUnixSocket(join(directory, name)), faultOf(code, message));
      assert.deepEqual(readdirSync(directory), ['directory', 'file']);
    });
});

describe('twenty at once', () => {
  const expected = [...Array.from({ length: 19 }, () => 'bind.inUse'), 'won'];

  test('have one winner', async (t) => {
    const all = binders(t, join(temporaryDirectory(t), 'a.sock'), 20);
    assert.deepEqual(await race(all), expected);
  });

  test('have one winner over a stale socket and a stale lock too', async (t) => {
    const path = join(temporaryDirectory(t), 'a.sock');
    const [former] = binders(t, path, 1);
    await race([former!]);
    former!.child.kill('SIGKILL');
    await once(former!.child, 'exit');
    assert.ok(existsSync(path) && existsSync(`${path}.lock.1`));
    assert.deepEqual(await race(binders(t, path, 20)), expected);
  });
});

describe('a lock', () => {
  test('is free again when it is released', (t) => {
    const path = join(temporaryDirectory(t), 'x');
    const first = acquireLock(path);
    assert.ok('lock' in first);
    assert.deepEqual(acquireLock(path), { heldBy: process.pid });
    first.lock.release();
    assert.ok('lock' in acquireLock(path));
  });

  test('taken from an outdated view is withdrawn, whatever the numbers', (t) => {
    const path = join(temporaryDirectory(t), 'x');
    writeFileSync(`${path}.lock.7`, '4194304 123');
    const { linkSync } = fs;
    let meanwhile: ReturnType<typeof acquireLock> | undefined;
    t.mock.method(fs, 'linkSync', (from: string, to: string) => {
      restore();
      // Between a look at the dead 7 and the making of 8 one takes the lock and frees it, and another takes it.
      const former = acquireLock(path);
      assert.ok('lock' in former);
      former.lock.release();
      meanwhile = acquireLock(path);
      linkSync(from, to);
    });
    const restore = () => {
      t.mock.restoreAll();
      syncBuiltinESMExports();
    };
    syncBuiltinESMExports();
    t.after(restore);
    assert.deepEqual(acquireLock(path), { heldBy: process.pid });
    assert.ok(meanwhile && 'lock' in meanwhile);
    assert.deepEqual(readdirSync(dirname(path)), ['x.lock.1']);
  });

  test('can be taken beside the drafts of a process of the same number that was killed', (t) => {
    const directory = temporaryDirectory(t);
    for (let draft = 0; draft < 200; draft++)
      writeFileSync(join(directory, `.x.lock.${process.pid}-${draft}`), '');
    assert.ok('lock' in acquireLock(join(directory, 'x')));
  });

  const dead: [string, string][] = [
    ['whose process is gone', '4194304 123'],
    ['whose process number means another process now', `${process.pid} 1`],
    ['that says nothing', ''],
    ['that says nonsense', 'x y'],
  ];
  for (const [what, text] of dead)
    test(`${what} is taken over`, (t) => {
      const directory = temporaryDirectory(t);
      writeFileSync(join(directory, 'x.lock.7'), text);
      writeFileSync(join(directory, 'x.lock.3'), `${process.pid} 1`);
      const taken = acquireLock(join(directory, 'x'));
      assert.ok('lock' in taken);
      assert.deepEqual(readdirSync(directory), ['x.lock.8']);
    });
});
