/** Hooks of the configuration on real servers: the order in which they are called, what each is given and where it runs. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { describe, type TestContext, test } from 'node:test';
import { RawClient } from './client.ts';
import { eventually, launch, type Server, Site } from './harness.ts';

const NAMES = [
  'on_starting',
  'whenReady',
  'onReload',
  'on_exit',
  'pre_fork',
  'postSpawn',
  'workerInit',
  'post_worker_init',
  'workerAbort',
  'worker_exit',
  'child_exit',
  'nworkersChanged',
];

/** Lines of a file, each of which a hook has written. */
interface Called {
  name: string;
  /** Of the process that it ran in. */
  by: number;
  generation: number;
  [about: string]: unknown;
}

/** A configuration whose hooks append to a file what they were given, where they ran; `failing` replaces some. */
const config = (failing: Record<string, string> = {}, more = '', names = NAMES): string => {
  const written = [...new Set([...names, ...Object.keys(failing)])].map(
    (name) => `${name}: ${failing[name] ?? `(about) => tell('${name}', about)`},`,
  );
  return `
    import { appendFileSync } from 'node:fs';
    const tell = (name, about) => appendFileSync(new URL('calls', import.meta.url).pathname, JSON.stringify({ ...about, name, by: process.pid }) + '\\n');
    export default { ${written.join(' ')} ${more} };`;
};

class Hooked {
  readonly site: Site;
  readonly server: Server;

  constructor(
    t: TestContext,
    text: string,
    args: string[] = [],
    app = "export default (q, s) => s.end('ok');",
  ) {
    this.site = new Site(t);
    this.site.write('kirin.config.mjs', text);
    this.site.write('app.mjs', app);
    this.server = launch(t, 'app.mjs', args, { cwd: this.site.directory });
  }

  static async serve(t: TestContext, ...given: [string, string[]?, string?]): Promise<Hooked> {
    const hooked = new Hooked(t, ...given);
    await hooked.server.told(/^serving /);
    return hooked;
  }

  calls(): Called[] {
    if (!existsSync(this.site.path('calls'))) return [];
    return this.site
      .read('calls')
      .split('\n')
      .filter((line) => line.endsWith('}'))
      .map((line) => JSON.parse(line) as Called);
  }

  names(from = 0): string[] {
    return this.calls()
      .slice(from)
      .map(({ name }) => name);
  }

  /** Waits until so many have been called; all of them. */
  async called(count: number): Promise<Called[]> {
    return await this.server.until(`${count} hooks were called: ${this.names()}`, () =>
      this.calls().length >= count ? this.calls() : undefined,
    );
  }
}

const BOOT = [
  'on_starting',
  'nworkersChanged',
  'pre_fork',
  'postSpawn',
  'workerInit',
  'post_worker_init',
  'whenReady',
];

describe('the order of hooks', { concurrency: true }, () => {
  test('at the boot, at TTIN and at TERM', async (t) => {
    const hooked = await Hooked.serve(t, config());
    const { server } = hooked;
    const boot = await hooked.called(BOOT.length);
    assert.deepEqual(hooked.names(), BOOT);
    const [worker] = await server.settled(1);
    assert.deepEqual(
      boot.map(({ by }) => by === worker!.pid),
      [false, false, false, true, true, true, false],
    );
    assert.ok(boot.every(({ by }) => by !== server.pid));
    assert.deepEqual([boot[1]!['workers'], boot[1]!['before']], [1, null]);
    assert.deepEqual([boot[4]!['age'], boot[4]!['slot'], boot[4]!['pid']], [1, 0, worker!.pid]);
    assert.deepEqual(boot[6]!['addresses'], server.addresses);

    server.signal('SIGTTIN');
    const more = (await hooked.called(BOOT.length + 5)).slice(BOOT.length);
    assert.deepEqual(hooked.names(BOOT.length), [
      'nworkersChanged',
      'pre_fork',
      'postSpawn',
      'workerInit',
      'post_worker_init',
    ]);
    assert.deepEqual([more[0]!['workers'], more[0]!['before']], [2, 1]);
    await server.settled(2);

    assert.equal(await server.stop(), 0);
    const last = hooked.names(BOOT.length + 5);
    assert.deepEqual([...last].sort(), ['child_exit', 'child_exit', 'on_exit', 'worker_exit', 'worker_exit']);
    assert.equal(last.at(-1), 'on_exit');
    assert.ok(last.indexOf('worker_exit') < last.indexOf('child_exit'));
    assert.equal(hooked.calls().at(-1)!['exitCode'], 0);
  });

  test('at HUP, with the hooks of the new generation', async (t) => {
    const hooked = await Hooked.serve(t, config());
    await hooked.called(BOOT.length);
    hooked.site.write('kirin.config.mjs', config({ onReload: "(about) => tell('onReload, newer', about)" }));
    assert.match((await hooked.server.reload()).msg, /^reload done/);
    const calls = await hooked.called(BOOT.length + 7);
    assert.deepEqual(hooked.names(BOOT.length), [
      'onReload, newer',
      'pre_fork',
      'postSpawn',
      'workerInit',
      'post_worker_init',
      'worker_exit',
      'child_exit',
    ]);
    assert.equal(calls.at(-1)!.generation, 1);
    assert.equal(calls.at(-1)!['reason'], null);
    assert.equal(await hooked.server.stop('SIGINT'), 0);
    assert.deepEqual(hooked.names(BOOT.length + 7), ['worker_exit', 'child_exit', 'on_exit']);
  });

  test('when a worker crashes, and when one hangs', async (t) => {
    const app = `export default (q, s) => {
      if (q.url === '/hang') for (;;);
      if (q.url === '/crash') setImmediate(() => { throw new Error('no more'); });
      s.end('ok');
    };`;
    const hooked = await Hooked.serve(t, config(), ['--timeout', '1'], app);
    const { server } = hooked;
    await hooked.called(BOOT.length);
    await server.get('/crash').catch(() => {});
    const crashed = (await hooked.called(BOOT.length + 1))[BOOT.length]!;
    assert.deepEqual([crashed.name, crashed['code'], crashed['age']], ['child_exit', 1, 1]);
    assert.match(String(crashed['reason']), /no more/);
    await server.told(/^worker 2 .* is ready/);
    const [second] = await server.settled(1);
    const from = (await hooked.called(BOOT.length + 5)).length;
    await server.get('/hang').catch(() => {});
    await server.until('the hung one is gone', () =>
      hooked.calls().some(({ name, age }) => name === 'child_exit' && age === second!.age),
    );
    // What takes its place may be on its way before it has ended.
    const ofIt = ({ name }: Called): boolean => name === 'workerAbort' || name === 'child_exit';
    const [abort, exit] = hooked.calls().slice(from).filter(ofIt);
    assert.deepEqual([abort!.name, abort!['pid'], exit!.name], ['workerAbort', second!.pid, 'child_exit']);
    assert.ok(Number(abort!['silentMs']) > 0);
    assert.equal(exit!['signal'], 'SIGABRT');
  });
});

const THROWS = "() => { throw new Error('no disk'); }";
const HANGS = '() => new Promise((resolve) => setTimeout(resolve, 1e6))';

describe('hooks that fail', { concurrency: true }, () => {
  const endings: [what: string, hook: string, failing: string, why: RegExp][] = [
    ['throws', 'on_starting', THROWS, /on_starting in kirin\.config\.mjs failed: no disk/],
    ['hangs', 'on_starting', HANGS, /on_starting in .* failed: it has not ended for 1 s/],
    ['throws', 'workerInit', THROWS, /worker_init in kirin\.config\.mjs failed: no disk/],
    ['throws', 'postSpawn', THROWS, /post_spawn in kirin\.config\.mjs failed: no disk/],
  ];
  for (const [what, hook, failing, why] of endings)
    test(`${hook} that ${what} ends the start: one line, exit 3`, async (t) => {
      const args = what === 'hangs' ? ['--hook-timeout', '1'] : [];
      const hooked = new Hooked(t, config({ [hook]: failing }), args);
      assert.deepEqual(await hooked.server.exit(), { code: 3, signal: null }, hooked.server.tail());
      const fatal = hooked.server.lines.filter(({ level }) => level === 'fatal');
      assert.equal(fatal.length, 1, hooked.server.tail());
      assert.match(fatal[0]!.msg, why);
      assert.equal(hooked.names().includes('on_exit'), hook !== 'on_starting');
    });

  const passedOver: [what: string, failing: string, names: string[], args: string[]][] = [
    [
      'throw',
      THROWS,
      [
        'when_ready',
        'on_reload',
        'pre_spawn',
        'worker_ready',
        'worker_exit',
        'child_exit',
        'nworkers_changed',
        'on_exit',
      ],
      [],
    ],
    ['hang', HANGS, ['pre_spawn', 'worker_ready', 'worker_exit', 'on_exit'], ['--hook-timeout', '1']],
  ];
  for (const [what, failing, names, args] of passedOver)
    test(`all the others that ${what} are warnings, and are passed over`, async (t) => {
      const hooks = names.map((name) => `${name}: ${failing}`);
      const hooked = await Hooked.serve(t, `export default { ${hooks.join(', ')} };`, args);
      const { server } = hooked;
      await server.settled(1);
      assert.match((await server.reload()).msg, /^reload done/);
      assert.equal((await server.get('/')).text, 'ok');
      assert.equal(await server.stop(), 0, server.tail());
      for (const name of names) {
        const warned = server.lines.some(
          ({ level, msg }) => level === 'warn' && msg.includes(`${name} in kirin.config.mjs failed: `),
        );
        assert.ok(warned, `${name}\n${server.tail()}`);
      }
    });

  test('TERM while on_starting goes on ends the server at once', async (t) => {
    const hooked = new Hooked(
      t,
      config({ on_starting: `async (about) => { tell('begun', about); await (${HANGS})(); }` }),
    );
    await hooked.called(1);
    assert.equal(await hooked.server.stop(), 0, hooked.server.tail());
    assert.deepEqual(hooked.names(), ['begun']);
  });

  test('a worker that is not needed any more waits for no pre_spawn', async (t) => {
    const hooked = await Hooked.serve(
      t,
      config({
        preSpawn: `async (about) => { tell('preSpawn', about); if (about.age > 1) await (${HANGS})(); }`,
        pre_fork: 'undefined',
      }),
    );
    const { server } = hooked;
    server.signal('SIGTTIN');
    await server.until('the second waits', () =>
      hooked.calls().some(({ name, age }) => name === 'preSpawn' && age === 2),
    );
    server.signal('SIGTTOU');
    await server.told(/worker 2 ended/);
    assert.equal((await server.get('/')).status, 200);
    // The hook goes on, and whoever does not want to wait for it at the end says so.
    server.signal('SIGTERM');
    await server.told(/worker 1 .* ended/);
    await server.until('it ends', () => {
      server.signal('SIGINT');
      return server.exited;
    });
  });

  test('TTOU tells of the number and the end of the worker, which tells of its own before', async (t) => {
    const hooked = await Hooked.serve(t, config(), ['-w', '2']);
    await hooked.called(2 * 4 + 3);
    await hooked.server.settled(2);
    hooked.server.signal('SIGTTOU');
    const told = (await hooked.called(2 * 4 + 6)).slice(2 * 4 + 3);
    // The worker's own is called in its process, whatever the arbiter's is at by then.
    const exit = told.find(({ name }) => name === 'worker_exit');
    const [number, end] = told.filter((one) => one !== exit);
    assert.notEqual(told.at(-1), exit);
    assert.deepEqual([number!.name, number!['workers'], number!['before']], ['nworkersChanged', 1, 2]);
    assert.deepEqual([exit!.name, end!.name, end!['reason']], ['worker_exit', 'child_exit', null]);
    assert.equal(exit!['age'], end!['age']);
  });
});

describe('hooks of requests', { concurrency: true }, () => {
  const more = `
    pre_request: ({ request }) => { if (request.url === '/refused') throw new Error('no'); if (request.url === '/later') return new Promise((go) => setTimeout(go, 10)); if (request.url === '/never') return new Promise(() => {}); if (request.url === '/rejected') return Promise.reject(new Error('no')); tell('pre_request', { url: request.url }); },
    postRequest: ({ request, response, durationMs }) => { tell('postRequest', { url: request.url, status: response.statusCode, took: durationMs >= 0 }); if (request.url === '/bad') throw new Error('bad'); },`;

  test('cost nothing where there are none: nothing is put before the app', async (t) => {
    const app = `import http from 'node:http';
      const server = http.createServer((q, s) => s.end(String(Object.hasOwn(server, 'emit'))));
      export default server;`;
    const without = await Hooked.serve(t, config(), [], app);
    assert.equal((await without.server.get('/')).text, 'false');
    const having = await Hooked.serve(t, config({}, more), [], app);
    assert.equal((await having.server.get('/')).text, 'true');
  });

  test('are called before the app and after the answer; what fails before it answers 500', async (t) => {
    const app = "import http from 'node:http'; http.createServer((q, s) => s.end('app')).listen(1);";
    const hooked = await Hooked.serve(t, config({}, more, []), ['--hook-timeout', '2'], app);
    const { server } = hooked;
    for (const [path, status, body] of [
      ['/', 200, 'app'],
      ['/later', 200, 'app'],
      ['/refused', 500, 'Internal Server Error\n'],
      ['/rejected', 500, 'Internal Server Error\n'],
      ['/never', 500, 'Internal Server Error\n'],
      ['/bad', 200, 'app'],
    ] as const) {
      const answer = await server.get(path);
      assert.deepEqual([answer.status, answer.text], [status, body], path);
    }
    await server.until('the last is told', () =>
      hooked.calls().some(({ url, name }) => name === 'postRequest' && url === '/bad'),
    );
    const [pre, post] = hooked.calls();
    assert.deepEqual(
      [pre!.name, post!.name, post!['status'], post!['took']],
      ['pre_request', 'postRequest', 200, true],
    );
    const statuses = hooked.calls().flatMap(({ url, status }) => (status ? [`${url} ${status}`] : []));
    assert.deepEqual(statuses, [
      '/ 200',
      '/later 200',
      '/refused 500',
      '/rejected 500',
      '/never 500',
      '/bad 200',
    ]);
    await server.told(/pre_request in kirin\.config\.mjs failed: no/);
    assert.equal(server.workers()[0]!.age, 1);
  });

  test('see a request once, and of its head only what the app sees', async (t) => {
    const app = `import http from 'node:http';
      const server = http.createServer((q, s) => s.end('app'));
      server.on('checkContinue', (q, s) => { s.writeContinue(); server.emit('request', q, s); });
      export default server;`;
    const seeing = `preRequest: ({ request }) => tell('pre', { of: request.headers['x-forwarded-for'] ?? 'nobody' }),
      postRequest: ({ request }) => tell('post', { of: request.headers['x-forwarded-for'] ?? 'nobody' }),`;
    const hooked = await Hooked.serve(t, config({}, seeing, []), ['--forwarded-allow-ips', '192.0.2.1'], app);
    const client = await RawClient.connect(hooked.server.port);
    client.socket.write(
      'POST / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.7\r\nExpect: 100-continue\r\nContent-Length: 1\r\nConnection: close\r\n\r\n1',
    );
    await eventually('it is answered', () => client.closed);
    await hooked.server.get('/');
    await eventually('the last is told', () => hooked.names().length >= 4);
    assert.deepEqual(
      hooked.calls().map(({ name, of }) => `${name} ${of}`),
      ['pre nobody', 'post nobody', 'pre nobody', 'post nobody'],
    );
  });
});

test('names that are nearly right, and those of hooks that cannot be here, are told: exit 2', async (t) => {
  for (const [text, line] of [
    ['export default { onStartin() {} };', 'there is no hook "onStartin" (did you mean "onStarting"?)'],
    ['export default { pre_forkk() {} };', 'there is no hook "pre_forkk" (did you mean "pre_fork"?)'],
    [
      'export default { workerInt() {} };',
      'there is no hook "workerInt": a worker takes no SIGINT here; worker_exit is called when it leaves',
    ],
    [
      'export default { pre_fork() {}, preSpawn() {} };',
      '"pre_fork" and "preSpawn" are the same hook; keep one',
    ],
  ] as const) {
    const hooked = new Hooked(t, text);
    assert.deepEqual(await hooked.server.exit(), { code: 2, signal: null });
    assert.equal(hooked.server.output.trim(), `kirin: kirin.config.mjs: ${line}`);
  }
});
