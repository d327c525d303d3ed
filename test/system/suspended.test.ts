/** SIGSTOP of a worker and of the arbiter, shorter than the limit or not: nobody is harmed who could not help it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { eventually, fixture, type Server, serve } from './harness.ts';

/** Waits for a time in which nothing is asked of anybody. */
async function passed(ms: number): Promise<void> {
  const sinceMs = performance.now();
  await eventually(`${ms} ms have passed`, () => performance.now() - sinceMs > ms);
}

/** Waits until the workers, which run on while the arbiter does not, have served for so long. */
async function served(server: Server, ms: number): Promise<void> {
  const sinceMs = performance.now();
  await eventually(`${ms} ms have passed`, async () => {
    assert.equal((await server.get('/')).status, 200);
    return performance.now() - sinceMs > ms;
  });
}

describe('SIGSTOP', { concurrency: 3 }, () => {
  test('of a worker, for less than the limit: it goes on where it was, and what waited in it is answered', async (t) => {
    const server = await serve(t, fixture('app.mjs'), ['-w', '2', '-t', '5']);
    const workers = await server.settled(2);
    const from = server.mark();
    const { pid } = workers[0]!;
    process.kill(pid, 'SIGSTOP');
    // Whoever of the clients is with the stopped one waits; the others are served.
    const answers = Promise.all(Array.from({ length: 20 }, () => server.get('/')));
    await passed(2000);
    process.kill(pid, 'SIGCONT');
    for (const { status } of await answers) assert.equal(status, 200);
    assert.deepEqual(
      server.lines.slice(from).filter(({ level }) => level !== 'debug'),
      [],
    );
    assert.deepEqual(
      server.ready().map(({ age }) => age),
      [1, 2],
    );
  });

  test('of the arbiter, for longer than the limit: no worker is blamed, and the server goes on', async (t) => {
    const server = await serve(t, fixture('app.mjs'), ['-w', '2', '-t', '1']);
    await server.settled(2);
    const from = server.mark();
    server.signal('SIGSTOP');
    await served(server, 3000);
    server.signal('SIGCONT');
    server.signal('SIGTTIN');
    await server.settled(3);
    // Heartbeats come again: a worker that was blamed would be told by now.
    await served(server, 1500);
    assert.deepEqual(server.all(/silent|SIGABRT|killed|ended/, from), []);
    assert.deepEqual(
      server.ready().map(({ age }) => age),
      [1, 2, 3],
    );
  });

  test('of the arbiter, for about as long as the limit, again and again', async (t) => {
    const server = await serve(t, fixture('app.mjs'), ['-t', '1']);
    for (let time = 0; time < 4; time++) {
      server.signal('SIGSTOP');
      await served(server, 1200);
      server.signal('SIGCONT');
      await served(server, 100);
    }
    await served(server, 600);
    assert.deepEqual(server.all(/silent|SIGABRT|killed|ended/), []);
  });

  test('of everybody at once, as a machine that sleeps: nobody is blamed', async (t) => {
    const server = await serve(t, fixture('app.mjs'), ['-w', '2', '-t', '1']);
    await server.settled(2);
    process.kill(-server.pid, 'SIGSTOP');
    await passed(3000);
    process.kill(-server.pid, 'SIGCONT');
    await served(server, 2000);
    assert.deepEqual(server.all(/silent|SIGABRT|killed|ended/), []);
  });

  test('of a worker, for longer than the limit: it is killed, and replaced', async (t) => {
    const server = await serve(t, fixture('app.mjs'), ['-w', '2', '-t', '1']);
    const [first] = await server.settled(2);
    process.kill(first!.pid, 'SIGSTOP');
    await server.told(/worker 1 .* was silent/);
    await server.told(/worker 1 .* ended unexpectedly, by SIGKILL/);
    await server.until('another serves', () => server.ready().some(({ age }) => age === 3));
  });
});
