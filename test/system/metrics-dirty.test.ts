/** What is counted of dirty calls, as Prometheus and statsd see it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { datagrams } from './datagrams.ts';
import { assertCode, dirtyServer, WORK } from './dirty-server.ts';
import { Tree } from './dirty-tree.ts';
import { eventually, type Server, Site } from './harness.ts';

const ONE = ['--dirty-workers', '1', '--dirty-threads', '1'];

/** The values of one metric, by its labels besides the app and the bound. */
async function scrape(server: Server): Promise<(name: string, labels?: string) => number> {
  const port = Number(/:(\d+)$/.exec((await server.told(/^metrics at http/)).msg)![1]);
  const { text } = await server.get('/metrics', { port });
  return (name, labels = '') => {
    const line = text.split('\n').find((one) => {
      const [, is, of, value] = /^(\w+)\{app="[^"]*"(?:,([^}]*))?\} (\S+)$/.exec(one) ?? [];
      return value !== undefined && is === `kirin_dirty_${name}` && (of ?? '') === labels;
    });
    return Number(line?.split(' ').at(-1) ?? Number.NaN);
  };
}

describe('durations of dirty calls', { concurrency: 2 }, () => {
  test('are told by outcome, apart from the wait, and stay when the dirty arbiter is killed', async (t) => {
    const it = await dirtyServer(t, [...ONE, '--metrics', '127.0.0.1:0']);
    const { server, inWeb, refusal, idle } = it;
    const none = await scrape(server);
    assert.deepEqual([none('calls_total'), none('call_duration_seconds_count', 'outcome="ok"')], [0, 0]);
    const site = new Site(t);
    const calls = inWeb(
      ({ dirty }, app, go) => Promise.all([dirty.execute(app, 'holds', go), dirty.execute(app, 'echo', 1)]),
      WORK,
      site.path('go'),
    );
    await it.shown('the second waits', ({ apps: [work] }) => work.queued === 1);
    // At least from here to there the first runs, and the second waits for it.
    const sinceMs = performance.now();
    const begun = await scrape(server);
    assert.deepEqual([begun('calls_total'), begun('call_wait_seconds_count')], [2, 1]);
    const heldSeconds = (performance.now() - sinceMs) / 1000;
    site.write('go', '');
    await calls;
    assertCode(await refusal(WORK, 'fails'), 'DIRTY_APP_ERROR');
    await idle();
    const before = await scrape(server);
    const counts = (of: Awaited<ReturnType<typeof scrape>>) => [
      of('calls_total'),
      of('errors_total'),
      of('call_duration_seconds_count', 'outcome="ok"'),
      of('call_duration_seconds_count', 'outcome="error"'),
      of('call_wait_seconds_count'),
    ];
    assert.deepEqual(counts(before), [3, 1, 2, 1, 3]);
    assert.ok(before('call_duration_seconds_sum', 'outcome="ok"') >= 2 * heldSeconds, 'both took as long');
    assert.ok(before('call_wait_seconds_sum') >= heldSeconds, 'the second waited for the first');
    assert.equal(before('call_duration_seconds_bucket', 'outcome="ok",le="+Inf"'), 2);
    const { pid } = await it.status();
    process.kill(Number(pid), 'SIGKILL');
    await eventually('it is gone', async () => (await it.status())['pid'] !== pid);
    assert.deepEqual(counts(await scrape(server)), [3, 1, 2, 1, 3]);
    assert.equal(await inWeb(({ dirty }, app) => dirty.execute(app, 'echo', 2), WORK), 2);
    await eventually(
      'its successor counts on',
      async () => counts(await scrape(server)).join() === [4, 1, 3, 1, 4].join(),
    );
    assert.equal(await server.stop(), 0);
  });

  test('are sent to statsd, the last of them at the end', async (t) => {
    const { heard, port } = await datagrams(t);
    const { server, inWeb } = await dirtyServer(t, [...ONE, '--statsd-host', `127.0.0.1:${port}`]);
    const call = () => inWeb(({ dirty }, app) => dirty.execute(app, 'echo', 1), WORK);
    const sum = (): number =>
      heard
        .map((line) => /^kirin\.dirty\.[\w-]*_Work\.ok:(\d+)\|c$/.exec(line)?.[1])
        .reduce((total, count) => total + Number(count ?? 0), 0);
    await call();
    await eventually('the first is told', () => sum() === 1);
    for (const name of ['ok\\.duration', 'wait'])
      assert.ok(
        heard.some((line) => new RegExp(`\\.${name}:\\d+\\.\\d{3}\\|ms\\|@1(\\.0+)?$`).test(line)),
        name,
      );
    await call();
    assert.equal(await server.stop(), 0);
    await eventually('the last one is told', () => sum() === 2);
  });
});

test('/readyz waits for the first dirty workers, and no longer', async (t) => {
  const init = `init() {
    return new Promise((done) => {
      const timer = setInterval(() => existsSync('go') && (clearInterval(timer), done()), 10);
    });
  }`;
  const tree = Tree.launch(
    t,
    ['--metrics', '127.0.0.1:0', '--dirty-workers', '1', '--dirty-app', './ml.mjs:Model'],
    {
      files: {
        'ml.mjs': `import { existsSync } from 'node:fs';
          const { DirtyApp } = await import(process.env.TEST_KIRIN);
          export class Model extends DirtyApp { ${init} }`,
      },
    },
  );
  const { server, site } = tree;
  await server.told(/^serving /);
  const port = Number(/:(\d+)$/.exec((await server.told(/^metrics at http/)).msg)![1]);
  const ready = async (): Promise<string> => {
    const { status, text } = await server.get('/readyz', { port });
    return `${status} ${text.trim()}`;
  };
  assert.equal(await ready(), '503 dirty workers are starting');
  site.write('go', '');
  await eventually('it is ready', async () => (await ready()) === '200 1 of 1 workers are ready');
  const { pid } = (await tree.ask('show dirty')) as { pid: number };
  process.kill(pid, 'SIGKILL');
  await server.told(/^dirty arbiter .* ended/);
  assert.equal(await ready(), '200 1 of 1 workers are ready');
});
