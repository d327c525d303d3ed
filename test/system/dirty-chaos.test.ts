/** Processes are killed by chance while calls are made: every call ends once, and in the end all is as it was. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { dirtyServer, type Tools, WORK } from './dirty-server.ts';
import { eventually } from './harness.ts';
import { isAlive } from './processes.ts';

const CALLERS = 8;
/** So many kills; or as many as fit into CHAOS_SECONDS, which `npm run chaos` sets. */
const KILLS = 12;
const SECONDS = Number(process.env['CHAOS_SECONDS'] ?? 0);
/** A hash of the step in place of chance, so that a failure can be seen again. */
const choice = (step: number, of: number): number => ((step * 2_654_435_761) >>> 8) % of;

/** What ended, told by the web worker to whoever asks: each call by its id. */
interface Ended {
  id: string;
  how: string;
}

/** One caller's turn: calls of several kinds at once, each to end exactly once. */
async function turn({ dirty, stash }: Tools, app: string, file: string, name: string): Promise<Ended[]> {
  const ended: Ended[] = [];
  const note = (id: string, promise: Promise<unknown>) =>
    promise.then(
      (value) => ended.push({ id, how: value === id ? 'result' : `wrong: ${String(value)}` }),
      (error) => ended.push({ id, how: error.code ?? String(error) }),
    );
  const streamed = async (id: string) => {
    let next = 0;
    for await (const { number } of dirty.stream<{ number: number }>(app, 'slowNumbers', 5, 2))
      if (number !== next++) throw new Error(`${number} came out of turn`);
    if (next !== 5) throw new Error(`a stream of ${next} chunks ended well`);
    return id;
  };
  await Promise.all([
    ...[1, 2, 3].map((each) =>
      note(`${name}-c${each}`, dirty.execute(app, 'counts', file, `${name}-c${each}`, each * 5)),
    ),
    note(`${name}-s`, streamed(`${name}-s`)),
    note(
      `${name}-k`,
      stash.increment('chaos', 'count').then(() => `${name}-k`),
    ),
    // Large ones go past the router.
    note(
      `${name}-l`,
      dirty.execute<Buffer>(app, 'echo', Buffer.alloc(300_000, 7)).then((bytes) => {
        if (bytes.length !== 300_000 || bytes[299_999] !== 7) throw new Error('other bytes');
        return `${name}-l`;
      }),
    ),
    note(`${name}-t`, dirty.with({ timeoutMs: 20 }).execute(app, 'waits', 60_000, 'nobody')),
  ]);
  return ended;
}

const CODES = ['result', 'DIRTY_WORKER_DIED', 'DIRTY_CONNECTION', 'DIRTY_TIMEOUT', 'DIRTY_CANCELLED'];

test('chaos: web workers, dirty workers and the dirty arbiter die under load; every call ends in exactly one answer', async (t) => {
  const it = await dirtyServer(t, [
    '-w',
    '2',
    '--dirty-workers',
    '3',
    '--dirty-threads',
    '2',
    '--dirty-timeout',
    '20',
  ]);
  const { server, site } = it;
  const file = site.write('ran', '');
  let isOver = false;
  let lost = 0;
  let turns = 0;
  let kills = 0;
  const answers = new Map<string, string>();
  const caller = async (number: number): Promise<void> => {
    for (let round = 0; !isOver; round++) {
      const name = `${number}-${round}`;
      // Where the web worker itself dies, its calls end with it.
      const ended = await it.inWeb(turn, WORK, file, name).catch(() => undefined);
      if (!ended) {
        lost++;
        continue;
      }
      turns++;
      assert.equal(ended.length, 7, `${name}: ${JSON.stringify(ended)}`);
      for (const { id, how } of ended) {
        assert.ok(!answers.has(id), `${id} ended twice`);
        assert.ok(CODES.includes(how), `${id}: ${how}`);
        answers.set(id, how);
      }
    }
  };
  const callers = Promise.all(Array.from({ length: CALLERS }, (_, number) => caller(number)));
  const kill = (pid: number | undefined) => {
    try {
      if (pid) process.kill(pid, 'SIGKILL');
    } catch {
      // It went by itself.
    }
  };
  const spinners: number[] = [];
  const spins: Promise<unknown>[] = [];
  /** A dirty worker that computes sees nothing of what becomes of its dirty arbiter. */
  const spin = async (id: string): Promise<void> => {
    const begun = new RegExp(`begun ${id} in (\\d+)`);
    const call = it.refusal(WORK, 'spins', id).then(
      ({ code }) => {
        assert.ok(code !== 'result' && CODES.includes(code), `${id}: ${code}`);
        answers.set(id, code);
      },
      // Its web worker was killed before.
      () => answers.set(id, 'DIRTY_CANCELLED'),
    );
    await Promise.race([server.printed(begun), call]);
    const pid = Number(begun.exec(server.output)?.[1]);
    if (pid) spinners.push(pid);
    spins.push(call);
  };
  const killing = async (): Promise<void> => {
    const untilMs = performance.now() + SECONDS * 1000;
    for (let step = 1; step <= KILLS || performance.now() < untilMs; step++) {
      kills = step;
      const before = turns;
      await server.until('calls are answered', () => turns >= before + CALLERS);
      if (step % 4 === 0) await spin(`spin ${step}`);
      const { pid, workers } = await it.status();
      if (step % 4 === 0) kill(pid);
      else if (step % 4 === 2) kill(server.ready()[choice(step, Math.max(1, server.ready().length))]?.pid);
      else kill(workers[choice(step, Math.max(1, workers.length))]?.pid);
    }
  };
  await Promise.race([killing(), callers]).finally(() => {
    isOver = true;
  });
  await callers;
  await Promise.all(spins);
  assert.ok(spinners.length > 0, 'a dirty worker computed when its dirty arbiter died');
  await eventually('none that computed is left', () => !spinners.some(isAlive));
  // It may have run, and its answer been lost; never twice, and never without having run.
  const ran = readFileSync(file, 'utf8').trimEnd().split('\n');
  assert.equal(new Set(ran).size, ran.length, 'a call ran twice');
  for (const [id, how] of answers)
    if (how === 'result' && /-c\d$/.test(id)) assert.ok(ran.includes(id), `${id} did not run`);
  const results = [...answers.values()].filter((how) => how === 'result').length;
  assert.ok(results > answers.size / 2, `${results} of ${answers.size} were answered`);
  assert.ok(lost <= kills * CALLERS, `${lost} turns were lost`);
  await it.shown(
    'all workers are back',
    ({ workers }) => workers.length === 3 && workers.every(({ booted }: { booted: boolean }) => booted),
  );
  await server.settled(2);
  await it.idle();
  assert.deepEqual((await it.ask('show calls')).calls, []);
  assert.equal(await it.inWeb(({ dirty }, app) => dirty.execute(app, 'echo', 'well'), WORK), 'well');
  const counted = await it.inWeb(({ stash }) => stash.get<number>('chaos', 'count', 0));
  const increments = [...answers].filter(([id, how]) => id.endsWith('-k') && how === 'result').length;
  assert.ok(counted >= increments, `${counted} of ${increments} increments are there`);
  assert.equal(await server.stop(), 0, server.tail());
  t.diagnostic(
    `${kills} kills, ${answers.size} calls, ${results} answered, ${lost} turns lost with their web worker`,
  );
});
