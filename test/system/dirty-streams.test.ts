/** Streams of dirty workers on real servers: their chunks, their pace, their ends; and large payloads. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { assertCode, dirtyServer, WORK } from './dirty-server.ts';

const ONE = ['--dirty-workers', '1'];
/** A reader that has taken nothing yet may have so many chunks on their way to it. */
const AHEAD_MAX = 16;

describe('streams', { concurrency: 2 }, () => {
  test('sync and async generators stream in order, empty ones end', async (t) => {
    const { inWeb, idle } = await dirtyServer(t);
    const [many, slow, empty, single] = await inWeb(async ({ dirty, errorOf }, app) => {
      const all = async (action: string, ...args: unknown[]) => {
        const chunks: unknown[] = [];
        for await (const chunk of dirty.stream(app, action, ...args)) chunks.push(chunk);
        return chunks;
      };
      return await Promise.all([
        all('numbers', 10_000),
        all('slowNumbers', 3, 1),
        all('nothing'),
        all('echo', 1).then(() => undefined, errorOf),
      ]);
    }, WORK);
    assert.deepEqual(
      many,
      Array.from({ length: 10_000 }, (_, index) => index),
    );
    assert.deepEqual(
      slow,
      [0, 1, 2].map((number) => ({ number, action: 'slowNumbers' })),
    );
    assert.deepEqual(empty, []);
    assertCode(single as never, 'DIRTY_ACTION_NOT_FOUND', /dirty\.execute/);
    await idle();
  });

  test('a reader that does not read stops the producer', async (t) => {
    const { inWeb, idle } = await dirtyServer(t, [...ONE, '--dirty-threads', '2']);
    const { produced, sum } = await inWeb(async ({ dirty }, app) => {
      const stream = dirty.stream<Uint8Array>(app, 'endless', 'paced', 100_000);
      await stream.next();
      const made = () => dirty.execute<number>(app, 'produced', 'paced');
      // Nothing is read: it comes to a stop, and stays there as other calls go by.
      let before = -1;
      let now = await made();
      while (now !== before) {
        before = now;
        for (let call = 0; call < 20; call++) await dirty.execute(app, 'echo', call);
        now = await made();
      }
      const stopped = now;
      let bytes = 0;
      for (let count = 0; count < 100; count++) bytes += (await stream.next()).value.length;
      await stream.return!();
      while (!(await dirty.execute(app, 'produced', 'paced ended')));
      return { produced: stopped, sum: bytes };
    }, WORK);
    assert.ok(produced <= AHEAD_MAX + 8, `${produced} chunks were produced for a reader of one`);
    assert.equal(sum, 100 * 100_000);
    await idle();
  });

  test('credit that was given for small chunks does not let large ones come far ahead', async (t) => {
    const { inWeb, idle } = await dirtyServer(t, [...ONE, '--dirty-threads', '2']);
    const small = 150;
    for (const [bytes, ahead] of [
      [4 << 20, 1],
      [1 << 20, 4],
      [10_000, 128 - 50],
    ] as const) {
      const { produced, read } = await inWeb(
        async ({ dirty }, app, count, size) => {
          const id = `grows by ${size}`;
          const stream = dirty.stream<number | Uint8Array>(app, 'grows', id, count, size);
          for (let time = 0; time < count - 50; time++) await stream.next();
          const made = () => dirty.execute<number>(app, 'produced', id);
          let before = -1;
          let now = await made();
          while (now !== before) {
            before = now;
            for (let call = 0; call < 20; call++) await dirty.execute(app, 'echo', call);
            now = await made();
          }
          // It goes on when it is read again, and all comes in order.
          const seen: number[] = [];
          for (let time = 0; time < 100; time++) {
            const { value } = await stream.next();
            seen.push(typeof value === 'number' ? value : value.length);
          }
          await stream.return!();
          return { produced: now, read: seen };
        },
        WORK,
        small,
        bytes,
      );
      assert.ok(produced > small, `only ${produced} chunks were produced`);
      assert.ok(produced <= small + ahead, `${produced - small} chunks of ${bytes} bytes came ahead`);
      assert.deepEqual(read, [
        ...Array.from({ length: 50 }, (_, index) => small - 49 + index),
        ...Array.from({ length: 50 }, () => bytes),
      ]);
    }
    await idle();
  });

  test('fault 4: a thousand streams that are left after a chunk leave nothing, and other calls their answers', async (t) => {
    const { inWeb, idle, status } = await dirtyServer(t, ONE);
    const round = (times: number) =>
      inWeb(
        async ({ dirty }, app, count) => {
          const wrong: unknown[] = [];
          for (let time = 0; time < count; time++) {
            for await (const first of dirty.stream(app, 'endless', 'left', 1000)) {
              if ((first as Uint8Array)[0] !== 1) wrong.push(first);
              break;
            }
            const answer = await dirty.execute(app, 'echo', time);
            if (answer !== time) wrong.push([time, answer]);
          }
          return { wrong, heap: await dirty.execute<number>(app, 'memory') };
        },
        WORK,
        times,
      );
    const first = await round(500);
    const second = await round(500);
    assert.deepEqual([first.wrong, second.wrong], [[], []]);
    assert.ok(second.heap < first.heap + 20_000_000, `${first.heap} bytes became ${second.heap}`);
    await idle();
    const { workers, apps } = await status();
    assert.equal(workers[0].in_flight, 0);
    assert.equal(apps[0].cancelled, 1000);
  });

  test('what ends in the middle gives its chunks, then its error', async (t) => {
    const { inWeb, idle } = await dirtyServer(t, ONE);
    const [thrown, crashed, unsendable, late] = await inWeb(async ({ dirty, errorOf }, app) => {
      const upTo = async (options: object, action: string, ...args: unknown[]) => {
        const chunks: unknown[] = [];
        try {
          for await (const chunk of dirty.with(options).stream(app, action, ...args)) chunks.push(chunk);
          return { chunks, error: undefined };
        } catch (error) {
          return { chunks, error: errorOf(error) };
        }
      };
      return [
        await upTo({}, 'failsLate', 3),
        await upTo({}, 'failsLate', 3, 'exit'),
        await upTo({}, 'failsLate', 2, 'function'),
        await upTo({ timeoutMs: 1000 }, 'slowNumbers', 1_000_000, 5),
      ] as const;
    }, WORK);
    assert.deepEqual(thrown.chunks, [0, 1, 2]);
    assertCode(thrown.error!, 'DIRTY_APP_ERROR', /^after the chunks$/);
    assert.deepEqual(crashed.chunks, [0, 1, 2]);
    assertCode(crashed.error!, 'DIRTY_WORKER_DIED');
    assert.deepEqual(unsendable.chunks, [0, 1]);
    assertCode(unsendable.error!, 'DIRTY_PAYLOAD', /is a function/);
    assert.ok(late.chunks.length > 0);
    assertCode(late.error!, 'DIRTY_TIMEOUT');
    await idle();
  });

  test('large buffers cross whole, and one above the limit is refused on either side', async (t) => {
    const { inWeb, idle, refusal } = await dirtyServer(t, ONE);
    const answers = await inWeb(async ({ dirty, errorOf }, app) => {
      const { createHash, randomBytes } = await import('node:crypto');
      const hash = (bytes: Uint8Array) => createHash('sha1').update(bytes).digest('hex');
      const same: unknown[] = [];
      for (const megabytes of [1, 20]) {
        const bytes = randomBytes(megabytes * 2 ** 20);
        const back = await dirty.execute<Buffer>(app, 'echo', bytes);
        same.push(hash(back) === hash(bytes));
      }
      const wide = await Promise.all(
        [1, 2, 3].map((each) => dirty.execute<Buffer>(app, 'fill', 5 * 2 ** 20, each)),
      );
      return {
        same,
        wide: wide.map((bytes) => [bytes.length, bytes[0], bytes.at(-1)]),
        above: await dirty.execute(app, 'echo', Buffer.alloc(65 * 2 ** 20)).then(() => undefined, errorOf),
        after: await dirty.execute(app, 'echo', 'fine'),
      };
    }, WORK);
    assert.deepEqual(answers.same, [true, true]);
    assert.deepEqual(
      answers.wide,
      [1, 2, 3].map((each) => [5 * 2 ** 20, each, each]),
    );
    assertCode(answers.above!, 'DIRTY_PAYLOAD');
    assert.equal(answers.after, 'fine');
    assertCode(await refusal(WORK, 'fill', 65 * 2 ** 20, 1), 'DIRTY_PAYLOAD');
    await idle();
  });
});
