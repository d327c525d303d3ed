/** What becomes of calls when a process is killed in the middle of them, or somebody talks nonsense to the router. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, renameSync, statSync } from 'node:fs';
import net from 'node:net';
import { basename, dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { FRAME } from '../../src/actors/dirty/frames.ts';
import { DIRTY_PROTOCOL } from '../../src/actors/dirty/hello.ts';
import { packFrame } from '../../src/actors/dirty/packing.ts';
import { assertCode, type DirtyServer, dirtyServer, OTHER, type WebError, WORK } from './dirty-server.ts';
import { eventually, Site } from './harness.ts';

const ONE = ['--dirty-workers', '1'];

/** Where the router listens. */
const socketOf = ({ inWeb }: DirtyServer): Promise<string> =>
  inWeb(() => {
    const shared = globalThis as unknown as Record<symbol, { dirty: { socket: string } }>;
    return shared[Symbol.for('kirin.app')]!.dirty.socket;
  });

describe('deaths', { concurrency: 2 }, () => {
  test('a worker that leaves sends its last large result to a caller that is slow to read it', async (t) => {
    const it = await dirtyServer(t, [...ONE, '--dirty-graceful-timeout', '20']);
    const ended = it.inWeb(async ({ dirty, errorOf }, app) => {
      const heard: string[] = [];
      const bytes = Buffer.alloc(4 << 20, 7);
      for (let round = 0; round < 6; round++) {
        const call = dirty.execute<Buffer>(app, 'echo', bytes).then(
          (echo) => heard.push(echo.length === bytes.length ? 'echo' : 'other'),
          (error) => heard.push(errorOf(error).code),
        );
        // The result cannot be read while this process is busy.
        await new Promise((resolve) => setTimeout(resolve, 15));
        const untilMs = performance.now() + 150;
        while (performance.now() < untilMs);
        await call;
      }
      return heard;
    }, WORK);
    let isOver = false;
    void ended.finally(() => {
      isOver = true;
    });
    const retired = new Set<number>();
    while (!isOver) {
      // A second order to the same one would hasten it.
      const { workers } = await it.status();
      const next = workers.find(
        ({ pid, booted }: { pid: number; booted: boolean }) => booted && !retired.has(pid),
      );
      if (!next) continue;
      retired.add(next.pid);
      await it.ask(`worker kill ${next.pid}`);
    }
    assert.deepEqual(new Set(await ended), new Set(['echo']));
    assert.ok(retired.size > 1, `${retired.size} were retired`);
  });

  test('a worker that is killed with large arguments ends its call once, and leaves no socket behind', async (t) => {
    const it = await dirtyServer(t, ONE);
    const { inWeb, server } = it;
    const path = await socketOf(it);
    const doors = () => readdirSync(dirname(path)).filter((name) => name.startsWith(`${basename(path)}-`));
    const echo = (app: string) =>
      inWeb(async ({ dirty }, name) => {
        const bytes = Buffer.alloc(1 << 20, 7);
        return bytes.equals(await dirty.execute<Buffer>(name, 'echo', bytes));
      }, app);
    assert.equal(await echo(WORK), true);
    const [door] = doors();
    assert.equal(statSync(join(dirname(path), door!)).mode & 0o777, 0o600);
    const ended = inWeb(
      ({ dirty, errorOf }, app) =>
        dirty.execute(app, 'waits', 60_000, 'large', Buffer.alloc(1 << 20)).then(() => undefined, errorOf),
      WORK,
    );
    await server.printed(/begun large/);
    const [pid] = await it.dirtyPids();
    process.kill(pid!, 'SIGKILL');
    assertCode((await ended)!, 'DIRTY_WORKER_DIED');
    assert.equal(await echo(WORK), true);
    assert.equal(doors().length, 1);
    assert.notEqual(doors()[0], door);
  });

  test('kill -9 of a dirty worker ends each call in it once, those that wait go on', async (t) => {
    const it = await dirtyServer(t, [...ONE, '--dirty-threads', '3']);
    const ended = it.inWeb(async ({ dirty, errorOf }, app) => {
      const heard: [number, string][] = [];
      const calls = [0, 1, 2].map((id) =>
        dirty.execute(app, 'waits', 60_000, `flight ${id}`).then(
          () => heard.push([id, 'result']),
          (error) => heard.push([id, errorOf(error).code]),
        ),
      );
      const waiting = dirty.execute(app, 'echo', 'waited');
      const stream = dirty.stream(app, 'numbers', 2);
      await Promise.all(calls);
      const chunks: unknown[] = [];
      for await (const chunk of stream) chunks.push(chunk);
      return { heard, waited: await waiting, chunks };
    }, WORK);
    await it.server.printed(/begun flight 2/);
    await it.shown('three run and one waits', ({ apps: [work] }) => work.running === 3 && work.queued === 1);
    const [pid] = await it.dirtyPids();
    process.kill(pid!, 'SIGKILL');
    assert.deepEqual(await ended, {
      heard: [0, 1, 2].map((id) => [id, 'DIRTY_WORKER_DIED']),
      waited: 'waited',
      chunks: [0, 1],
    });
    assertCode(await it.refusal(WORK, 'exits'), 'DIRTY_WORKER_DIED');
    assert.equal(await it.inWeb(({ dirty }, app) => dirty.execute(app, 'echo', 1), WORK), 1);
    await it.idle();
  });

  test('fault 8: kill -9 of the dirty arbiter ends its calls at once; the next ones wait for its successor', async (t) => {
    const it = await dirtyServer(t, [...ONE, '--dirty-threads', '3', '--dirty-timeout', '0']);
    const pids = await it.dirtyPids();
    const file = new Site(t).write('ran', '');
    const ended = it.inWeb(
      async ({ dirty, stash, errorOf }, app, path) => {
        const running = dirty.execute(app, 'waits', 60_000, 'orphan').then(() => undefined, errorOf);
        // In the middle of a stream, and past the router.
        const reading = (async () => {
          for await (const { number } of dirty.stream<{ number: number }>(app, 'slowNumbers', 1e9, 1))
            if (number === 0) console.log('begun stream');
        })().catch(errorOf);
        const large = dirty.execute(app, 'waits', 60_000, 'large', Buffer.alloc(500_000)).catch(errorOf);
        const waiting = dirty.execute(app, 'echo', 1).then(() => undefined, errorOf);
        const stream = dirty
          .stream(app, 'numbers', 1)
          .next()
          .then(() => undefined, errorOf);
        const errors = await Promise.all([running, reading, large, waiting, stream]);
        // While there is nobody yet: each is kept, and run once.
        const ids = Array.from({ length: 20 }, (_, index) => `next ${index}`);
        return {
          errors: errors as WebError[],
          next: await Promise.all(ids.map((id) => dirty.execute(app, 'counts', path, id))),
          stash: await stash.get('t', 'k', 'none'),
        };
      },
      WORK,
      file,
    );
    for (const what of [/begun orphan/, /begun stream/, /begun large/]) await it.server.printed(what);
    const { pid } = await it.shown('two wait', ({ apps: [work] }) => work.queued === 2);
    process.kill(pid, 'SIGKILL');
    const { errors, next, stash } = await ended;
    assert.equal(errors.length, 5);
    for (const error of errors) assertCode(error, 'DIRTY_CONNECTION');
    const ids = Array.from({ length: 20 }, (_, index) => `next ${index}`);
    assert.deepEqual([next, stash], [ids, 'none']);
    const ran = readFileSync(file, 'utf8').trim().split('\n');
    assert.deepEqual(ran.toSorted(), ids.toSorted());
    const { workers } = await it.shown('its successor is there', (status) => status.workers.length === 1);
    assert.notDeepEqual(
      workers.map((worker: { pid: number }) => worker.pid),
      pids,
    );
    await eventually('its workers are gone', () => {
      try {
        return !process.kill(pids[0]!, 0);
      } catch {
        return true;
      }
    });
  });

  test('TERM to the dirty arbiter: what runs is answered, what waits and what comes goes to its successor', async (t) => {
    const it = await dirtyServer(t, [...ONE, '--dirty-graceful-timeout', '60']);
    const [before] = await it.dirtyPids();
    const ended = it.inWeb(async ({ dirty, kept, errorOf }, app) => {
      kept.gate = new AbortController();
      const code = (error: unknown): string => errorOf(error).code;
      const running = dirty
        .with({ signal: kept.gate.signal })
        .execute(app, 'waits', 60_000, 'held')
        .catch(code);
      const echo = (bytes: number) =>
        dirty.execute<Buffer>(app, 'echo', Buffer.alloc(bytes, 7)).then(({ length }) => length, code);
      const numbers = async () => {
        const chunks: unknown[] = [];
        for await (const chunk of dirty.stream(app, 'numbers', 40)) chunks.push(chunk);
        return chunks.length;
      };
      const queued = [echo(10), echo(100_000), echo(1 << 20), numbers().catch(code)];
      kept.left = new AbortController();
      kept.ends = Promise.all([
        dirty.with({ timeoutMs: 5000 }).execute(app, 'echo', 1).catch(code),
        dirty.with({ signal: kept.left.signal }).execute(app, 'echo', 1).catch(code),
      ]);
      return { running: await running, queued: await Promise.all(queued) };
    }, WORK);
    await it.server.printed(/begun held/);
    const { pid } = await it.shown('they wait', ({ apps: [work] }) => work.queued === 6);
    process.kill(pid, 'SIGTERM');
    await it.shown('nothing waits in it', ({ apps: [work] }) => work.queued === 0 && work.running === 1);
    const late = it.inWeb(({ dirty, errorOf, kept }, app) => {
      const all = Promise.all(
        [1, 2, 3].map(() =>
          dirty.execute<{ pid: number }>(app, 'who').then(
            (who) => who.pid,
            (error) => errorOf(error).code,
          ),
        ),
      );
      kept.left.abort();
      return all;
    }, WORK);
    assert.deepEqual(await it.inWeb(({ kept }) => kept.ends), ['DIRTY_TIMEOUT', 'DIRTY_CANCELLED']);
    await it.inWeb(({ kept }) => void kept.gate.abort());
    const { running, queued } = await ended;
    assert.equal(running, 'DIRTY_CANCELLED', 'by its own caller');
    assert.deepEqual(queued, [10, 100_000, 1 << 20, 40]);
    for (const by of await late) assert.ok(typeof by === 'number' && by !== before, String(by));
    await it.idle();
  });

  test('TERM to the dirty arbiter: an action that calls another app then is refused, and holds nobody up', async (t) => {
    const site = new Site(t);
    const args = ['--dirty-app', WORK, '--dirty-app', OTHER, '--dirty-graceful-timeout', '60'];
    const it = await dirtyServer(t, args);
    const asked = it.inWeb(
      ({ dirty, errorOf }, app, other, file) =>
        dirty.execute(app, 'asksLater', file, other, 'double', 4).then(String, (error) => errorOf(error)),
      WORK,
      OTHER,
      site.path('go'),
    );
    await it.server.printed(/begun to wait/);
    const { pid } = await it.status();
    process.kill(pid, 'SIGTERM');
    await it.server.told(/^dirty arbiter \(pid \d+\) is draining/);
    site.write('go', '');
    const error = await asked;
    assert.match(JSON.stringify(error), /DIRTY_APP_ERROR/);
    assert.match(JSON.stringify(error), /DirtyUnavailableError/);
    await it.shown('its successor is there', (status) => status.pid !== pid && status.workers.length === 2);
  });

  test('while the dirty arbiter hangs or is away, calls end at their own deadlines', async (t) => {
    const it = await dirtyServer(t, ONE);
    const { pid } = await it.status();
    const impatient = () =>
      it.inWeb(async ({ dirty, errorOf }, app) => {
        const all = [1, 2, 3].map((each) => dirty.with({ timeoutMs: 300 }).execute(app, 'echo', each));
        return await Promise.all(all.map((each) => each.then(() => undefined, errorOf)));
      }, WORK);
    assert.deepEqual(await it.inWeb(({ dirty }, app) => dirty.execute(app, 'echo', 1), WORK), 1);
    process.kill(pid, 'SIGSTOP');
    for (const error of await impatient()) assertCode(error!, 'DIRTY_TIMEOUT', /did not answer in time/);
    process.kill(pid, 'SIGCONT');
    assert.equal(await it.inWeb(({ dirty }, app) => dirty.execute(app, 'echo', 'awake'), WORK), 'awake');
    // A socket on which nobody listens is what a restart that takes long looks like.
    const path = await socketOf(it);
    renameSync(path, `${path}.away`);
    process.kill(it.server.ready()[0]!.pid, 'SIGTERM');
    await it.server.until('another web worker is there', () => it.server.ready().some(({ age }) => age > 1));
    for (const error of await impatient()) assertCode(error!, 'DIRTY_TIMEOUT', /was not there in time/);
    renameSync(`${path}.away`, path);
    assert.equal(await it.inWeb(({ dirty }, app) => dirty.execute(app, 'echo', 'back'), WORK), 'back');
    await it.idle();
  });

  test('nonsense on the socket closes that connection and harms nobody else', async (t) => {
    const it = await dirtyServer(t, ONE);
    const held = it.inWeb(async ({ dirty, kept }, app) => {
      kept.gate = new AbortController();
      return await dirty
        .with({ signal: kept.gate.signal })
        .execute(app, 'waits', 60_000, 'held')
        .catch((error) => error.code);
    }, WORK);
    await it.server.printed(/begun held/);
    const path = await socketOf(it);
    const who = { protocol: DIRTY_PROTOCOL, pid: 1, age: 99, generation: 1 };
    const hello = (value: object) => packFrame({ type: FRAME.hello }, value);
    const otherVersion = Buffer.from(hello({ role: 'web', ...who }));
    otherVersion[2] = 1;
    const tooLong = Buffer.from(hello({ role: 'web', ...who }));
    tooLong.writeUInt32BE(0xffffffff, 16);
    const call = packFrame({ type: FRAME.call, id: 1, app: 0 }, ['echo', [1]]);
    const web = hello({ role: 'web', ...who });
    const nonsense: [string, Buffer][] = [
      ['http', Buffer.from('GET / HTTP/1.1\r\nHost: here\r\n\r\n')],
      ['chance', Buffer.from(Array.from({ length: 4096 }, (_, index) => (index * 7919) % 251))],
      ['another version', otherVersion],
      ['a frame of 4 GiB', tooLong],
      ['a call before hello', call],
      ['another protocol', hello({ role: 'web', ...who, protocol: 1 })],
      ['a worker of another secret', hello({ role: 'worker', ...who, age: 1, apps: [0], secret: 'guessed' })],
      ['a hello that is nothing', hello([])],
      ['an answer from a caller', Buffer.concat([web, packFrame({ type: FRAME.result, id: 1 }, 1)])],
      ['a type that is not', Buffer.concat([web, packFrame({ type: 77 as never, id: 1 }, 1)])],
    ];
    for (const [what, bytes] of nonsense) {
      const socket = net.connect(path);
      t.after(() => socket.destroy());
      let isClosed = false;
      socket
        .on('error', () => {})
        .on('close', () => {
          isClosed = true;
        });
      socket.resume();
      socket.write(bytes);
      await eventually(`${what} is closed`, () => isClosed);
      assert.equal((await it.status()).apps[0].running, 1, what);
    }
    await it.inWeb(({ kept }) => void kept.gate.abort());
    assert.equal(await held, 'DIRTY_CANCELLED');
    assert.equal(
      await it.inWeb(({ dirty }, app) => dirty.execute(app, 'echo', 'unharmed'), WORK),
      'unharmed',
    );
    await it.idle();
  });

  test('a call goes to a worker of its own generation while there is one', async (t) => {
    const site = `import { setTimeout as sleep } from 'node:timers/promises';
      const { DirtyApp } = await import(process.env.TEST_KIRIN);
      export class Versioned extends DirtyApp {
        version() { return VERSION; }
        async late() { await sleep(100); return VERSION; }
      }
      const VERSION = `;
    const files = new Site(t);
    const path = files.write('versioned.mjs', `${site}1;`);
    const app = `${path}:Versioned`;
    const it = await dirtyServer(t, ['--dirty-app', app]);
    // One web worker of generation 1 asks throughout the reload, until it is told to leave.
    const asked = it.inWeb(async ({ dirty, worker, errorOf }, name) => {
      const seen: unknown[] = [];
      const { draining } = await import(process.env['TEST_KIRIN']!);
      while (!draining.aborted) {
        const answer = await dirty.execute(name, 'version').catch((error) => errorOf(error).code);
        if (seen.at(-1) !== answer) seen.push(answer);
      }
      return { seen, generation: worker!.generation };
    }, app);
    files.write('versioned.mjs', `${site}2;`);
    assert.match((await it.server.reload()).msg, /^reload done/);
    const { seen, generation } = await asked;
    assert.equal(generation, 1);
    assert.equal(seen[0], 1);
    assert.ok(seen.length <= 2 && seen.every((each) => each === 1 || each === 2), JSON.stringify(seen));
    const after = await it.inWeb(
      async ({ dirty, worker }, name) => [worker!.generation, await dirty.execute(name, 'version')],
      app,
    );
    assert.deepEqual(after, [2, 2]);
    await it.idle();
  });
});
