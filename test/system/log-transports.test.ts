/** Winston transports of the user's own: real servers with good ones, and with such as throw, hang, take nothing or are not there. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { eventually, launch, Site, serve } from './harness.ts';

/** Prints as many lines as it is asked for, each of 8 KiB, and answers. */
const APP = `export default (request, response) => {
  const count = Number(request.url.slice(1)) || 0;
  for (let line = 0; line < count; line++) console.log('x'.repeat(8192));
  response.end('ok');
};`;

/** A directory with winston, as a user has it. */
function siteOf(t: TestContext): Site {
  const site = new Site(t);
  mkdirSync(site.path('node_modules'));
  for (const name of ['winston', 'winston-transport'])
    symlinkSync(resolve('node_modules', name), site.path(`node_modules/${name}`));
  site.write('app.mjs', APP);
  return site;
}

/** A transport with this `log(info, done)`. */
const transport = (log: string): string => `
import { appendFileSync } from 'node:fs';
import Transport from 'winston-transport';
const write = (info) => appendFileSync('lines', JSON.stringify(info) + '\\n');
class Own extends Transport { log(info, done) { ${log} } }
export default () => new Own();
`;

const serveWith = (t: TestContext, site: Site, ...args: string[]) =>
  serve(t, site.path('app.mjs'), args, { cwd: site.directory });

const linesOf = (site: Site, name = 'lines'): Record<string, unknown>[] =>
  existsSync(site.path(name))
    ? site
        .read(name)
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line) as Record<string, unknown>)
    : [];

describe('--log-transport', { concurrency: 3 }, () => {
  test('as docs/logs.md has it: each transport gets the lines of its level, in its format, to the last one', async (t) => {
    const site = siteOf(t);
    const [, example] = /```js\n\/\/ log-transports\.mjs(.*?)```/s.exec(
      readFileSync('docs/logs.md', 'utf8'),
    )!;
    site.write('log-transports.mjs', `//${example}`);
    const server = await serveWith(t, site, '--log-transport', './log-transports.mjs');
    const [worker] = await server.settled(1);
    process.kill(worker!.pid, 'SIGKILL');
    await server.told(/^worker 1 .* ended/);
    await server.settled(1);
    assert.equal(await server.stop(), 0);
    const told = linesOf(site, 'kirin.jsonl');
    // The same as Kirin's own, in the words of winston.
    const own = server.lines.map(({ msg: message, time: timestamp, ...fields }) => ({
      ...fields,
      message,
      timestamp,
    }));
    assert.deepEqual(told, own);
    const warnings = server.lines.filter(({ level }) => ['warn', 'error', 'fatal'].includes(level));
    assert.ok(warnings.length > 0);
    assert.equal(
      site.read('kirin-warnings.log'),
      warnings.map(({ time, level, slot = '-', msg }) => `${time} ${level} [${slot}] ${msg}\n`).join(''),
    );
  });

  test('of a package, of a list in the configuration: each has all lines', async (t) => {
    const site = siteOf(t);
    site.write(
      'node_modules/own-transport/package.json',
      '{"type":"module","exports":{"import":"./index.js"}}',
    );
    site.write('node_modules/own-transport/index.js', transport('write(info); done();'));
    site.write('other.mjs', `${transport('write(info); done();').replaceAll("'lines'", "'other'")}`);
    site.write('kirin.config.json', JSON.stringify({ logTransports: ['own-transport', './other.mjs'] }));
    const server = await serveWith(t, site);
    assert.equal(await server.stop(), 0);
    for (const name of ['lines', 'other'])
      assert.deepEqual(
        linesOf(site, name).map(({ message }) => message),
        server.lines.map(({ msg }) => msg),
      );
  });

  test('that throws, breaks or ends its process is told of and started again; what it did not take is counted', async (t) => {
    const site = siteOf(t);
    const act = `
      if (/reload done/.test(info.message)) throw new Error('no reloads');
      if (/ended/.test(info.message) && info.age) return setImmediate(() => done(new Error('no ends')));
      if (/no ends/.test(info.message)) process.exit(7);
      write(info); done();`;
    site.write('t.mjs', transport(act));
    const server = await serveWith(t, site, '--log-transport', './t.mjs');
    assert.match((await server.reload()).msg, /^reload done/);
    await server.told(/^the log transport \.\/t\.mjs has ended: no reloads; it is started again in 1 s/);
    await server.told(/^\d+ log lines? did not get through the log transport \.\/t\.mjs/);
    await eventually('it is told of its own end', () =>
      linesOf(site).some(({ message }) => /no reloads/.test(String(message))),
    );
    const [worker] = await server.settled(1, 2);
    process.kill(worker!.pid, 'SIGKILL');
    await server.told(/has ended: no ends; it is started again in 2 s/);
    await server.settled(1);
    await server.told(/has ended: its thread ended with 7; it is started again in 4 s/);
    assert.equal((await server.get()).text, 'ok');
    assert.equal(await server.stop(), 0);
  });

  for (const [how, log] of [
    ['takes nothing', ''],
    ['hangs', 'for (;;);'],
  ] as const)
    test(`that ${how} holds up nothing: beyond a bound lines are dropped, and told`, async (t) => {
      const site = siteOf(t);
      site.write('bad.mjs', transport(log));
      site.write('good.mjs', transport('write(info); done();'));
      const flags = ['--log-transport', './bad.mjs', '--log-transport', './good.mjs', '--capture-output'];
      const server = await serveWith(t, site, ...flags);
      // Not more at once than the log takes of an app.
      const isTold = () =>
        server.all(/^\d+ log lines? did not get through the log transport \.\/bad\.mjs/).length > 0;
      await server.until('lines are lost', async () => {
        if (!isTold()) assert.equal((await server.get('/50')).text, 'ok');
        return isTold();
      });
      const [worker] = await server.settled(1);
      process.kill(worker!.pid, 'SIGKILL');
      await server.told(/^worker 2 .* is ready/);
      assert.equal((await server.get()).text, 'ok');
      assert.equal(await server.stop(), 0);
      assert.equal(server.all(/good\.mjs/).length, 0);
      assert.equal(linesOf(site).at(-1)!['message'], 'stopped');
    });

  test('that is not there, or none, is one line', async (t) => {
    const site = siteOf(t);
    site.write('none.mjs', 'export default { level: "info" };');
    site.write(
      'class.mjs',
      `${transport('done();').replace('export default () => new Own()', 'export default Own')}`,
    );
    site.write('broken.mjs', 'throw new Error("no luck\\nat all");');
    site.write('bye.mjs', 'setInterval(() => {}, 1000); process.exit(3);');
    site.write('wants.mjs', 'import "winston-to-the-moon";');
    const what =
      'it must export by default a winston transport, a list of them, or a function that returns either (it may be async)';
    const cases: [string, string][] = [
      [
        'winston-nowhere',
        ` there is no module "winston-nowhere" in ${site.directory}, and no such package for it`,
      ],
      ['./none.mjs', ` ${what}`],
      ['./class.mjs', ` ${what}`],
      ['./broken.mjs', ' no luck'],
      ['./bye.mjs', ' its thread ended with 3'],
      ['./wants.mjs', ` Cannot find package 'winston-to-the-moon' imported from ${site.path('wants.mjs')}`],
    ];
    await Promise.all(
      cases.map(async ([module, message]) => {
        const server = launch(t, site.path('app.mjs'), ['--log-transport', module], { cwd: site.directory });
        assert.equal((await server.exit()).code, 2, module);
        const named = module.startsWith('.') ? `--log-transport ${module}` : '--log-transport';
        assert.equal(server.output, `kirin: ${named}:${message}\n`);
      }),
    );
  });
});
