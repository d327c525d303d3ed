/** When calls of dirty workers end early, wait, are refused, and in which order they run. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { temporaryDirectory } from '../actors/support.ts';
import type { Data } from './controlled.ts';
import { assertCode, dirtyServer, inWeb, OTHER, WORK } from './dirty-server.ts';

const ONE = ['--dirty-workers', '1'];
const FOUR_AT_ONCE = [...ONE, '--dirty-threads', '4'];

describe('deadlines and queues', { concurrency: 2 }, () => {
  test('fault 2: a slot whose action loops for ever is replaced, and later calls work', async (t) => {
    const { server, refusal, inWeb, idle } = await dirtyServer(t, ONE);
    const from = server.mark();
    const timedOut = await inWeb(async ({ dirty, errorOf }, app) => {
      const impatient = dirty.with({ timeoutMs: 500 });
      const running = impatient.execute(app, 'spins', 'loop').then(() => undefined, errorOf);
      const waiting = impatient.execute(app, 'echo', 1).then(() => undefined, errorOf);
      return [await running, await waiting, await dirty.execute(app, 'echo', 'later')] as const;
    }, WORK);
    assertCode(timedOut[0]!, 'DIRTY_TIMEOUT', /running/);
    assertCode(timedOut[1]!, 'DIRTY_TIMEOUT', /waiting/);
    assert.equal(timedOut[2], 'later');
    await server.told(/dirty worker .*(killed|ended)/, from);
    assertCode(await refusal(WORK, 'fails'), 'DIRTY_APP_ERROR');
    await idle();
  });

  test('fault 2: one that overruns takes no other call of its worker with it: these end first, and it is replaced then', async (t) => {
    const it = await dirtyServer(t, [...FOUR_AT_ONCE, '--dirty-graceful-timeout', '2']);
    const { server, inWeb, dirtyPids, idle } = it;
    const go = join(temporaryDirectory(t), 'go');
    const [pid] = await dirtyPids();
    const from = server.mark();
    const held = inWeb(({ dirty }, app, file) => dirty.execute(app, 'holds', file), WORK, go);
    await server.printed(/begun .*go in/);
    const late = inWeb(
      ({ dirty, errorOf }, app) =>
        dirty
          .with({ timeoutMs: 100 })
          .execute(app, 'deaf', 600_000)
          .then(() => undefined, errorOf),
      WORK,
    );
    assertCode((await late)!, 'DIRTY_TIMEOUT', /running/);
    await server.told(
      /gets no more calls: .* after its deadline has passed; 1 other call in it may end within 2000 ms/,
      from,
    );
    const next = inWeb(({ dirty }, app) => dirty.execute<{ pid: number }>(app, 'who'), WORK);
    writeFileSync(go, '');
    assert.equal(await held, 'held');
    await server.told(/dirty worker \d+ is replaced: .* runs on \d+ ms after its deadline has passed$/, from);
    assert.notEqual((await next).pid, pid);
    await idle();
  });

  test('a client that hangs up costs no worker while nobody wants its place, and then the log says why', async (t) => {
    const { server, inWeb: run, ask, dirtyPids } = await dirtyServer(t, ONE);
    const [pid] = await dirtyPids();
    const from = server.mark();
    const gone = new AbortController();
    const cut = inWeb(
      server,
      async ({ dirty, signal }, app) => void (await dirty.with({ signal }).execute(app, 'deaf', 600_000)),
      [WORK],
      gone.signal,
    );
    const oldest = async (): Promise<Data> => (await ask('show calls')).calls[0];
    await server.until('it runs', async () => (await oldest())?.state === 'running');
    const ranMs = (await oldest()).age_ms;
    gone.abort();
    await assert.rejects(cut);
    // Twice the grace, and more.
    await server.until('it runs on', async () => (await oldest()).age_ms > ranMs + 2500);
    assert.equal((await oldest()).state, 'abandoned');
    assert.deepEqual(await dirtyPids(), [pid]);
    const next = await run(({ dirty }, app) => dirty.execute<{ pid: number }>(app, 'who'), WORK);
    assert.notEqual(next.pid, pid);
    await server.told(/is replaced: .* after it was cancelled, and its place is wanted$/, from);
  });

  test('a call that hears of its deadline ends there, and its worker lives on', async (t) => {
    const { server, inWeb, idle, dirtyPids } = await dirtyServer(t, ONE);
    const pids = await dirtyPids();
    const errors = await inWeb(async ({ dirty, errorOf }, app) => {
      const impatient = dirty.with({ timeoutMs: 300 });
      return [
        await impatient.execute(app, 'waits', 60_000, 'late').then(() => undefined, errorOf),
        await dirty
          .with({ timeoutMs: -1 })
          .execute(app, 'echo', 1)
          .then(() => undefined, errorOf),
      ];
    }, WORK);
    assertCode(errors[0]!, 'DIRTY_TIMEOUT');
    assert.match(errors[1]!.message, /timeoutMs/);
    await server.printed(/aborted late: DIRTY_TIMEOUT|aborted late: DIRTY_CANCELLED/);
    await idle();
    assert.deepEqual(await dirtyPids(), pids);
  });

  test('a call that an action makes has the default limit, whatever limit the action has', async (t) => {
    const { inWeb, idle } = await dirtyServer(t, [...ONE, '--dirty-threads', '2', '--dirty-timeout', '1']);
    const error = await inWeb(
      ({ dirty, errorOf }, app) =>
        dirty
          .with({ timeoutMs: 0 })
          .execute(app, 'asks', app, 'waits', 60_000, 'inner')
          .then(() => undefined, errorOf),
      WORK,
    );
    // The action did not catch it, so it is the app's error.
    assertCode(error!, 'DIRTY_APP_ERROR');
    assert.equal(error!.remoteName, 'DirtyTimeoutError');
    await idle();
  });

  test('fault 13: a timeout of 0 is no limit', async (t) => {
    const { inWeb } = await dirtyServer(t, [...ONE, '--dirty-timeout', '0']);
    const answers = await inWeb(
      async ({ dirty }, app) => [
        await dirty.execute(app, 'who'),
        await dirty.with({ timeoutMs: 0 }).execute(app, 'waits', 100, 'unlimited'),
      ],
      WORK,
    );
    assert.equal((answers[0] as { deadline?: number }).deadline, undefined);
    assert.equal(answers[1], 'unlimited');
  });

  test('fault 5: a signal cancels what runs and what waits', async (t) => {
    const { server, inWeb, idle, shown } = await dirtyServer(t, ONE);
    const ended = inWeb(async ({ dirty, kept, errorOf }, app) => {
      const [first, second] = [new AbortController(), new AbortController()];
      Object.assign(kept, { first, second });
      const one = dirty.with({ signal: first.signal }).execute(app, 'waits', 60_000, 'one');
      const two = dirty.with({ signal: second.signal }).execute(app, 'waits', 60_000, 'two');
      const already = dirty.with({ signal: AbortSignal.abort('before') }).execute(app, 'echo', 1);
      return await Promise.all([one, two, already].map((each) => each.then(() => undefined, errorOf)));
    }, WORK);
    await server.printed(/begun one/);
    await shown('one runs and one waits', ({ apps: [work] }) => work.running === 1 && work.queued === 1);
    await inWeb(({ kept }) => void kept.second.abort(new Error('not any more')));
    await shown('nobody waits', ({ apps: [work] }) => work.running === 1 && work.queued === 0);
    await inWeb(({ kept }) => void kept.first.abort(new Error('enough')));
    const errors = await ended;
    for (const error of errors) assertCode(error!, 'DIRTY_CANCELLED');
    assert.deepEqual(
      errors.map((error) => error!.cause),
      ['Error: enough', 'Error: not any more', 'before'],
    );
    await server.printed(/aborted one: DIRTY_CANCELLED/);
    await idle();
    assert.doesNotMatch(server.output, /begun two/);
  });

  test('a closed connection and a dead web worker cancel their calls', async (t) => {
    const { server, inWeb: run, idle } = await dirtyServer(t, [...ONE, '--dirty-threads', '2']);
    const gone = new AbortController();
    const cut = inWeb(
      server,
      async ({ dirty, signal }, app) =>
        void (await dirty.with({ signal }).execute(app, 'waits', 60_000, 'cut')),
      [WORK],
      gone.signal,
    );
    await server.printed(/begun cut/);
    gone.abort();
    await assert.rejects(cut);
    await server.printed(/aborted cut: DIRTY_CANCELLED/);
    const killed = run(
      async ({ dirty }, app) => void (await dirty.execute(app, 'waits', 60_000, 'killed')),
      WORK,
    );
    killed.catch(() => {});
    await server.printed(/begun killed/);
    const [web] = server.ready();
    process.kill(web!.pid, 'SIGKILL');
    await assert.rejects(killed);
    await server.printed(/aborted killed: DIRTY_CANCELLED/);
    await idle();
  });

  test('fault 3: the queue of an app is bounded, and says so', async (t) => {
    const { server, inWeb, shown, refusal } = await dirtyServer(t, [...ONE, '--dirty-queue', '2']);
    const all = inWeb(async ({ dirty, kept, errorOf }, app) => {
      const gate = new AbortController();
      kept.gate = gate;
      const waits = [1, 2, 3].map((each) =>
        dirty
          .with({ signal: gate.signal })
          .execute(app, 'waits', 60_000, `w${each}`)
          .then(() => undefined, errorOf),
      );
      return await Promise.all(waits);
    }, WORK);
    await shown('one runs, two wait', ({ apps: [work] }) => work.running === 1 && work.queued === 2);
    assertCode(await refusal(WORK, 'echo', 1), 'DIRTY_OVERLOADED', /2 calls of .* wait already/);
    const { apps } = await shown('it is counted', ({ apps: [work] }) => work.overloaded === 1);
    assert.equal(apps[0].queued, 2);
    await inWeb(({ kept }) => void kept.gate.abort());
    for (const error of await all) assertCode(error!, 'DIRTY_CANCELLED');
    assert.equal(await inWeb(({ dirty }, app) => dirty.execute(app, 'echo', 'again'), WORK), 'again');
    assert.ok(server.ready().length > 0);
  });

  test('fault 1: short calls pass a long one while another worker is free, each in its turn', async (t) => {
    const { server, inWeb } = await dirtyServer(t);
    const orders = await inWeb(async ({ dirty }, app) => {
      const ended: string[] = [];
      const gate = new AbortController();
      const long = dirty
        .with({ signal: gate.signal })
        .execute(app, 'waits', 60_000, 'long')
        .catch(() => {
          ended.push('long');
        });
      const note = (id: string) => dirty.execute(app, 'echo', id).then(() => ended.push(id));
      await Promise.all(Array.from({ length: 50 }, (_, index) => note(String(index))));
      gate.abort();
      await long;
      return ended;
    }, WORK);
    assert.deepEqual(orders, [...Array.from({ length: 50 }, (_, index) => String(index)), 'long']);
    assert.match(server.output, /begun long/);
  });

  test('fault 12: an async worker runs four calls at once, each with a call of its own', async (t) => {
    const { inWeb, status } = await dirtyServer(t, FOUR_AT_ONCE);
    const answers = await inWeb(async ({ dirty }, app) => {
      const call = (_: unknown, index: number) =>
        dirty
          .with({ timeoutMs: 60_000 + index * 60_000 })
          .execute<{ same: boolean; deadline: number }>(app, 'together', 4);
      return await Promise.all(Array.from({ length: 4 }, call));
    }, WORK);
    assert.ok(answers.every(({ same }) => same));
    const deadlines = answers.map(({ deadline }) => deadline);
    assert.deepEqual(
      deadlines,
      deadlines.toSorted((a, b) => a - b),
    );
    assert.equal(new Set(deadlines).size, 4);
    assert.equal((await status()).workers[0].threads, 4);
  });

  test('an app calls another, whose errors, chunks and cancellation pass through', async (t) => {
    const it = await dirtyServer(t, ['--dirty-threads', '4', '--dirty-app', WORK, '--dirty-app', OTHER]);
    const answers = await it.inWeb(
      async ({ dirty, errorOf, kept }, work, other) => {
        const letters: unknown[] = [];
        for await (const letter of dirty.stream(work, 'passes', other, 'letters', 3)) letters.push(letter);
        kept.gate = new AbortController();
        kept.nested = dirty
          .with({ signal: kept.gate.signal })
          .execute(work, 'asks', other, 'waits', 60_000, 'nested')
          .then(() => undefined, errorOf);
        return {
          letters,
          double: await dirty.execute<{ double: number }>(work, 'asks', work, 'echo', 4).catch(errorOf),
        };
      },
      WORK,
      OTHER,
    );
    assert.deepEqual(answers, { letters: ['a', 'b', 'c'], double: 4 });
    await it.server.printed(/begun nested/);
    await it.inWeb(({ kept }) => void kept.gate.abort());
    assertCode((await it.inWeb(({ kept }) => kept.nested)) as never, 'DIRTY_CANCELLED');
    await it.server.printed(/aborted nested: DIRTY_CANCELLED/);
    const failed = await it.refusal(WORK, 'asks', OTHER, 'fails');
    assertCode(failed, 'DIRTY_APP_ERROR', /the other one failed/);
    assert.equal(failed.remoteName, 'RangeError');
    await it.idle();
  });

  test('an operator cancels a call by its number', async (t) => {
    const { server, inWeb, ask, idle } = await dirtyServer(t, ONE);
    const ended = inWeb(
      async ({ dirty, errorOf }, app) =>
        await dirty.execute(app, 'waits', 60_000, 'listed').then(() => undefined, errorOf),
      WORK,
    );
    await server.printed(/begun listed/);
    const { calls } = await ask('show calls');
    assert.equal(calls.length, 1);
    await ask(`dirty cancel ${calls[0].id}`);
    assertCode((await ended)!, 'DIRTY_CANCELLED', /operator/);
    await idle();
  });
});
