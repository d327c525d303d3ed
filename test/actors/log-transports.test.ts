/** A transport of the user's as the log sees it, with a real thread. What servers do with it is in test/system/log-transports.test.ts. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { LogTransport } from '../../src/actors/log-transports/transport.ts';
import { command, eventually, Site } from '../system/harness.ts';

test('a transport that takes nothing for too long is ended, and another one gets what comes then', async (t) => {
  const site = new Site(t);
  const [seen, lines] = [site.path('seen'), site.path('lines')];
  const module = site.write(
    't.mjs',
    `import { appendFileSync, existsSync, writeFileSync } from 'node:fs';
    import { Writable } from 'node:stream';
    const transport = new Writable({ objectMode: true, write(info, _, done) {
      if (existsSync(${JSON.stringify(seen)})) { appendFileSync(${JSON.stringify(lines)}, info.message + '\\n'); done(); }
      else { writeFileSync(${JSON.stringify(seen)}, ''); for (;;); }
    } });
    export default Object.assign(transport, { log() {} });`,
  );
  const told: string[] = [];
  const transport = new LogTransport({
    module: './t.mjs',
    url: pathToFileURL(module).href,
    from: pathToFileURL(site.path('kirin')).href,
    notice: (text) => told.push(text),
    stuckMs: 200,
    entry: new URL('log-transport.js', pathToFileURL(command('kirin'))),
  });
  await transport.open();
  t.after(() => transport.end());
  const send = (msg: string) => transport.send(JSON.stringify({ time: 'now', level: 'info', msg, pid: 1 }));
  send('first');
  send('second');
  await eventually('it is told', () => told.length > 0);
  assert.deepEqual(told, [
    'the log transport ./t.mjs has ended: it took nothing for 0.2 s; it is started again in 1 s',
  ]);
  send('third');
  await eventually('the next one has it', () => existsSync(lines) && site.read('lines') === 'third\n');
  await eventually('the loss is told', () => told.length > 1);
  assert.equal(told[1], '2 log lines did not get through the log transport ./t.mjs');
  await transport.end();
});
