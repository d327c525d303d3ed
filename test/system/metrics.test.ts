/** What is counted, and whether the server is ready, as Prometheus, probes and statsd see it. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { statSync, writeFileSync } from 'node:fs';
import { describe, type TestContext, test } from 'node:test';
// @ts-expect-error it has no types
import parse from 'parse-prometheus-text-format';
import { datagrams } from './datagrams.ts';
import { descriptors, eventually, fixture, type Server, Site, serve } from './harness.ts';

interface Family {
  name: string;
  type: string;
  metrics: {
    value?: string;
    labels?: Record<string, string>;
    buckets?: Record<string, string>;
    count?: string;
  }[];
}

/** The port of the metrics. */
const portOf = async (server: Server): Promise<number> =>
  Number(/:(\d+)$/.exec((await server.told(/^metrics at http/)).msg)![1]);

/** The families by name, as a parser of others reads them. */
async function scrape(server: Server): Promise<Map<string, Family>> {
  const { status, headers, text } = await server.get('/metrics', { port: await portOf(server) });
  assert.equal(status, 200, text);
  assert.match(String(headers['content-type']), /^text\/plain; version=0\.0\.4/);
  return new Map((parse(text) as Family[]).map((family) => [family.name, family]));
}

const sampleOf = (families: Map<string, Family>, name: string, labels: Record<string, string> = {}): number =>
  Number(
    families
      .get(name)
      ?.metrics.find((one) => Object.entries(labels).every(([key, value]) => one.labels?.[key] === value))
      ?.value ?? 0,
  );

const withMetrics = (t: TestContext, app: string, args: string[] = []): Promise<Server> =>
  serve(t, app, ['--metrics', '127.0.0.1:0', ...args]);

describe('/metrics', { concurrency: 2 }, () => {
  test('counts every request once, over kills, reloads and scaling', async (t) => {
    const server = await withMetrics(t, fixture('app.mjs'), ['-w', '2']);
    await server.settled(2);
    const ask = async (count: number): Promise<void> => {
      for (let at = 0; at < count; at++) await server.get();
    };
    const requests = async (): Promise<number> =>
      sampleOf(await scrape(server), 'kirin_http_requests_total', { status: '200' });
    await ask(20);
    await eventually('they are counted', async () => (await requests()) === 20);
    // A killed worker loses what it has not told; this one has told everything.
    process.kill(server.workers()[0]!.pid, 'SIGKILL');
    await server.told(/worker 3 .* is ready/);
    assert.equal(await requests(), 20);
    await ask(10);
    // One that drains tells the rest itself.
    await server.reload();
    await server.settled(2, 2);
    await eventually('the old ones are gone', () => server.workers().length === 2);
    assert.equal(await requests(), 30);
    await ask(5);
    await eventually('the new ones count on', async () => (await requests()) === 35);
    const families = await scrape(server);
    const histogram = families.get('kirin_http_request_duration_seconds')!;
    assert.equal(histogram.type, 'HISTOGRAM');
    assert.equal(histogram.metrics[0]!.count, '35');
    assert.equal(histogram.metrics[0]!.buckets!['+Inf'], '35');
    assert.equal(sampleOf(families, 'kirin_generation'), 2);
    assert.equal(sampleOf(families, 'kirin_reloads_total', { result: 'done' }), 1);
    assert.equal(sampleOf(families, 'kirin_last_reload_successful'), 1);
    assert.equal(sampleOf(families, 'kirin_worker_exits_total', { reason: 'crashed' }), 1);
    assert.equal(sampleOf(families, 'kirin_worker_exits_total', { reason: 'ordered' }), 2);
    assert.equal(sampleOf(families, 'kirin_workers', { state: 'ready' }), 2);
    assert.ok(sampleOf(families, 'kirin_worker_resident_memory_bytes') > 1e6);
  });

  test('tells status classes, requests in flight, and those whose client left', async (t) => {
    const site = new Site(t);
    const app = site.write(
      'app.mjs',
      `export default (q, s) => { if (q.url === '/hang') return; s.statusCode = Number(q.url.slice(1)); s.end(); };`,
    );
    const server = await withMetrics(t, app, ['--timeout', '1']);
    for (const status of [200, 201, 404, 404, 503])
      assert.equal((await server.get(`/${status}`)).status, status);
    const leaving = new AbortController();
    const left = fetch(`http://127.0.0.1:${server.port}/hang`, { signal: leaving.signal }).catch(() => {});
    await eventually(
      'it is in flight',
      async () => sampleOf(await scrape(server), 'kirin_worker_in_flight') === 1,
    );
    leaving.abort();
    await left;
    await eventually(
      'it is counted as left',
      async () => sampleOf(await scrape(server), 'kirin_http_requests_aborted_total') === 1,
    );
    const families = await scrape(server);
    const count = (status: number) =>
      sampleOf(families, 'kirin_http_requests_total', { status: String(status) });
    assert.deepEqual([200, 201, 404, 503].map(count), [1, 1, 2, 1]);
  });

  test("adds up the apps' own, those of prom-client too, and keeps what the dead have counted", async (t) => {
    const site = new Site(t);
    const app = site.write(
      'app.mjs',
      `import { metrics } from ${JSON.stringify(new URL('../../dist/index.js', import.meta.url).href)};
      const orders = metrics.counter({ name: 'orders_total', help: 'Orders' });
      const sizes = metrics.histogram({ name: 'size', help: 'Sizes', buckets: [1, 10] });
      metrics.gauge({ name: 'queue', help: 'Queue' }).set(2);
      metrics.include({ getMetricsAsJSON: async () => [{ name: 'theirs_total', help: 'x', type: 'counter', aggregator: 'sum', values: [{ value: 1, labels: {} }] }] });
      export default (q, s) => { orders.inc(2, { shop: 'north' }); sizes.observe(5); s.end(); };`,
    );
    const server = await withMetrics(t, app, ['-w', '2']);
    await server.settled(2);
    for (let at = 0; at < 6; at++) await server.get();
    const orders = async () => sampleOf(await scrape(server), 'orders_total', { shop: 'north' });
    await eventually(
      'both workers have told everything',
      async () => (await orders()) === 12 && sampleOf(await scrape(server), 'theirs_total') === 2,
    );
    // Both have told what they have; what a worker has not told yet is lost with it.
    for (const { pid } of server.workers()) process.kill(pid, 'SIGKILL');
    await server.told(/worker 4 .* is ready/);
    await eventually('the new ones have told', async () => sampleOf(await scrape(server), 'queue') === 4);
    const families = await scrape(server);
    assert.equal(sampleOf(families, 'orders_total', { shop: 'north' }), 12);
    assert.equal(sampleOf(families, 'theirs_total'), 4);
    assert.equal(families.get('size')!.metrics[0]!.buckets!['10'], '6');
  });

  test('costs nothing where it is off, and is answered on no port of the app', async (t) => {
    const server = await serve(t, fixture('app.mjs'));
    assert.equal((await server.get('/metrics')).json()['version'], 'fixture');
    assert.deepEqual(server.all(/metrics/), []);
  });

  test('an address in use is told, and serving goes on; a Unix socket is its owner alone', async (t) => {
    const site = new Site(t);
    const first = await withMetrics(t, fixture('app.mjs'));
    const second = await serve(t, fixture('app.mjs'), ['--metrics', `127.0.0.1:${await portOf(first)}`]);
    await second.told(/^no metrics at 127\.0\.0\.1:\d+: the address is in use; tried again every 5 s$/);
    assert.equal((await second.get()).status, 200);

    const socketPath = site.path('metrics.sock');
    const third = await serve(t, fixture('app.mjs'), ['--metrics', `unix:${socketPath}`]);
    await third.told(/^metrics at unix:/);
    assert.equal(statSync(socketPath).mode & 0o777, 0o600);
    assert.match((await third.get('/metrics', { socketPath })).text, /^kirin_ready 1$/m);
    third.child.kill('SIGKILL');
    await third.exit();
    // The file of one that was killed is in nobody's way.
    const fourth = await serve(t, fixture('app.mjs'), ['--metrics', `unix:${socketPath}`]);
    await fourth.told(/^metrics at unix:/);
    assert.equal((await fourth.get('/healthz', { socketPath })).text, 'ok\n');
  });

  test('never takes the place of a file that is no socket', async (t) => {
    const site = new Site(t);
    const file = site.write('precious', 'kept');
    const server = await serve(t, fixture('app.mjs'), ['--metrics', `unix:${file}`]);
    await server.told(/^no metrics at unix:.*precious: there is a file of that name that is no socket$/);
    assert.equal(site.read('precious'), 'kept');
  });

  test('statsd that has no address yet is looked for again', async (t) => {
    const site = new Site(t);
    const late = site.write(
      'late.mjs',
      `import dns from 'node:dns/promises';
       import { syncBuiltinESMExports } from 'node:module';
       let asked = 0;
       dns.lookup = async () => {
         if (asked++ === 0) throw Object.assign(new Error('none'), { code: 'EAI_AGAIN' });
         return [{ address: '127.0.0.1', family: 4 }];
       };
       syncBuiltinESMExports();`,
    );
    const statsd = createSocket('udp4').bind(0, '127.0.0.1');
    t.after(() => statsd.close());
    await once(statsd, 'listening');
    const heard = once(statsd, 'message');
    const args = ['--statsd-host', `late.invalid:${statsd.address().port}`];
    const env = { NODE_OPTIONS: `--import ${late}` };
    const server = await serve(t, fixture('app.mjs'), args, { env });
    await server.told(
      /^nothing is sent to statsd at late\.invalid:\d+: no address found for "late\.invalid" \(EAI_AGAIN\); tried again/,
    );
    assert.match(String((await heard)[0]), /gunicorn\.workers:1/);
  });

  test('many scrapes leave no descriptor open', async (t) => {
    const server = await withMetrics(t, fixture('app.mjs'));
    await scrape(server);
    const before = descriptors(server.pid).length;
    await Promise.all(Array.from({ length: 50 }, () => scrape(server)));
    await eventually('all are closed', () => descriptors(server.pid).length <= before);
  });
});

describe('/readyz', { concurrency: 2 }, () => {
  const ready = async (server: Server) => {
    const { status, text } = await server.get('/readyz', { port: await portOf(server) });
    return `${status} ${text.trim()}`;
  };

  test('follows the generation in force: not before it serves, through a failed reload, not while it stops', async (t) => {
    const site = new Site(t);
    const go = site.path('go');
    const app = site.write(
      'app.mjs',
      `import { existsSync } from 'node:fs';
      while (!existsSync(${JSON.stringify(go)})) await new Promise((r) => setTimeout(r, 10));
      export { default } from ${JSON.stringify(fixture('app.mjs'))};`,
    );
    const { launch } = await import('./harness.ts');
    const server = launch(t, app, ['--metrics', '127.0.0.1:0']);
    assert.equal(await ready(server), '503 starting');
    assert.equal((await server.get('/healthz', { port: await portOf(server) })).status, 200);
    writeFileSync(go, '');
    await server.settled(1);
    await eventually('it is ready', async () => (await ready(server)) === '200 1 of 1 workers are ready');
    site.write('app.mjs', 'throw new Error("bad release")');
    assert.match((await server.reload()).msg, /^reload failed/);
    assert.equal(await ready(server), '200 1 of 1 workers are ready');
    assert.equal(sampleOf(await scrape(server), 'kirin_last_reload_successful'), 0);
    const held = server.get(`/hold?until=${site.path('end')}`);
    await server.printed(/holding/);
    server.signal('SIGTERM');
    await eventually('it is not ready', async () => (await ready(server)) === '503 stopping');
    site.write('end', '');
    assert.equal((await held).status, 200);
    assert.equal((await server.exit()).code, 0);
  });

  test('takes GET and HEAD, and nothing else', async (t) => {
    const server = await withMetrics(t, fixture('app.mjs'));
    const url = `http://127.0.0.1:${await portOf(server)}`;
    const status = async (path: string, method: string) => (await fetch(url + path, { method })).status;
    assert.equal(await status('/readyz', 'HEAD'), 200);
    assert.equal(await status('/readyz', 'POST'), 405);
    assert.equal(await status('/', 'GET'), 404);
  });
});

test('statsd is sent the same, under the names of Gunicorn', async (t) => {
  const { heard, port } = await datagrams(t);
  const statsd = [
    '--statsd-host',
    `127.0.0.1:${port}`,
    '--statsd-prefix',
    'shop',
    '--dogstatsd-tags',
    'env:test',
  ];
  const server = await serve(t, fixture('app.mjs'), ['-w', '2', ...statsd]);
  await server.settled(2);
  for (let at = 0; at < 7; at++) await server.get();
  const sum = (name: string): number =>
    heard
      .map((line) => new RegExp(`^shop\\.gunicorn\\.${name}:(\\d+)\\|c\\|#env:test$`).exec(line)?.[1])
      .reduce((total, count) => total + Number(count ?? 0), 0);
  await eventually('they are told', () => sum('requests') === 7 && sum('request\\.status\\.200') === 7);
  await eventually('the workers are told', () => heard.includes('shop.gunicorn.workers:2|g|#env:test'));
  assert.ok(
    heard.some((line) => /^shop\.gunicorn\.request\.duration:\d+\.\d{3}\|ms\|@[\d.]+\|#env:test$/.test(line)),
  );
  await server.get();
  // What was not sent yet is sent at the end.
  assert.equal(await server.stop(), 0);
  await eventually('the last one is told', () => sum('requests') === 8);
});
