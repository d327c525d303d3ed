/** What an app may export, and what is said about one that cannot be served. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { announceDrain } from '../../src/actors/app-bridge.ts';
import { onDrain } from '../../src/index.ts';
import { fails, fixture, launch, serve } from './app-process.ts';

const served: Array<[name: string, app: string, body: string | RegExp, exportName?: string]> = [
  ['an ES module with a (req, res) function', 'handler.mjs', 'handler /'],
  ['a CommonJS function', 'common.cjs', 'common /'],
  ['a CommonJS object with app', 'common-named.cjs', 'common app'],
  ['a transpiled module with a default inside the default', 'transpiled.cjs', 'transpiled'],
  ['TypeScript, with what type stripping cannot do', 'typed.ts', 'hello /'],
  ['Express', 'express.mjs', 'express'],
  ['Koa', 'koa.mjs', 'koa'],
  ['Fastify', 'fastify.mjs', 'fastify'],
  ['a factory of Fastify with a serverFactory', 'fastify-factory.mjs', 'fastify by factory'],
  ['Hono', 'hono.mjs', 'hono'],
  ['an object with fetch', 'fetch.mjs', 'fetch GET /'],
  ['an exported fetch', 'named-fetch.mjs', 'fetched /'],
  ['an http.Server', 'http-server.mjs', /^server \{"address":"127\.0\.0\.1"/],
  ['an async factory', 'factory.mjs', 'factory {}'],
  ['the named app where the default is none', 'named.mjs', 'app'],
  ['a named export', 'named.mjs', 'other', 'other'],
  ['a named factory', 'named.mjs', 'made {} /', 'make'],
  ['a named export of CommonJS', 'common-named.cjs', 'common app', 'app'],
];

for (const [name, app, body, exportName] of served) {
  test(`serves ${name}`, async (t) => {
    const worker = await serve(t, app, exportName === undefined ? {} : { exportName });
    const reply = await worker.get('/');
    assert.equal(reply.status, 200, worker.stderr);
    if (typeof body === 'string') assert.equal(reply.body, body);
    else assert.match(reply.body, body);
    assert.equal((await worker.counts()).requests, 1);
  });
}

const listOfServed = /Kirin serves a \(req, res\) function, an Express, Koa, Fastify or Hono app/;

const failing: Array<[name: string, app: string, code: string, message: RegExp, exportName?: string]> = [
  ['a file that is not there', 'no-such.mjs', 'app.notFound', /no such app: .*no-such\.mjs/],
  [
    'a syntax error',
    '../broken-apps/syntax.mjs',
    'app.loadFailed',
    /SyntaxError: .*\(.*broken-apps\/syntax\.mjs:4\)$/,
  ],
  [
    'a syntax error in an imported file',
    '../broken-apps/import.mjs',
    'app.loadFailed',
    /import\.mjs: SyntaxError: .*\(.*broken-apps\/syntax\.mjs:4\)$/,
  ],
  [
    'a syntax error in CommonJS',
    '../broken-apps/common.cjs',
    'app.loadFailed',
    /SyntaxError: .*\(.*common\.cjs:1\)$/,
  ],
  [
    'a syntax error in TypeScript',
    '../broken-apps/typescript.ts',
    'app.loadFailed',
    /(Parse|Syntax)Error: .*\(.*broken-apps\/typescript\.ts:2\)$/,
  ],
  [
    'a throw on import',
    'throws.mjs',
    'app.loadFailed',
    /throws\.mjs: TypeError: no database \(.*throws\.mjs:1\)$/,
  ],
  ['a thrown string', 'throws-string.cjs', 'app.loadFailed', /threw 'just a string'$/],
  [
    'a missing dependency',
    'missing-dependency.mjs',
    'app.loadFailed',
    /Cannot find package 'no-such-package-at-all'/,
  ],
  ['a top-level await that waits for ever', 'never.mjs', 'app.loadFailed', /never finished/],
  ['a throw after a listen', 'script-throws.mjs', 'app.loadFailed', /after listen/],
  [
    'a module without exports',
    'nothing.mjs',
    'app.notServable',
    /exports nothing and did not listen; Kirin serves/,
  ],
  [
    'a default export that is undefined',
    'undefined.mjs',
    'app.notServable',
    /undefined\.mjs exports undefined and did not listen; Kirin serves/,
  ],
  [
    'a default export that is undefined, beside others',
    'undefined-beside.mjs',
    'app.notServable',
    /exports only limits \(its default is undefined\) and did not listen/,
  ],
  [
    'a CommonJS module without exports',
    'nothing.cjs',
    'app.notServable',
    /exports nothing and did not listen/,
  ],
  [
    'named exports that are no app',
    'only-named.mjs',
    'app.notServable',
    /exports only name and version and did not/,
  ],
  ['a text', 'text.mjs', 'app.notServable', /its export default is a string; Kirin serves/],
  ['a server of no HTTP', 'raw-server.mjs', 'app.notServable', /its export default is .*; Kirin serves/],
  ['a class', 'class.mjs', 'app.notServable', /its export default is the class Application; /],
  [
    'a missing export',
    'named.mjs',
    'app.exportMissing',
    /has no export nope: it exports app, default, make/,
    'nope',
  ],
  ['an export that is no app', 'named.mjs', 'app.notServable', /its export version is a string/, 'version'],
  [
    'a factory of no app',
    'factory-returns-text.mjs',
    'app.notServable',
    /the factory default returned a string; /,
  ],
  [
    'a factory of nothing',
    'factory-returns-nothing.mjs',
    'app.notServable',
    /its factory default returned nothing and did/,
  ],
  [
    'a factory of a factory',
    'factory-nested.mjs',
    'app.notServable',
    /the factory default returned a function; /,
  ],
  [
    'a factory that fails',
    'factory-throws.mjs',
    'app.startFailed',
    /factory default failed: cannot reach the database$/,
  ],
  [
    'a factory that never ends',
    'factory-never.mjs',
    'app.startFailed',
    /factory default failed: it never finished/,
  ],
  [
    'a web handler taken for a factory',
    'web-handler.mjs',
    'app.notServable',
    /returned an instance of Response \(export \{ fetch \}/,
  ],
  [
    'a Fastify plugin that fails',
    'fastify-fails.mjs',
    'app.startFailed',
    /default failed: plugin is broken$/,
  ],
];

for (const [name, app, code, message, exportName] of failing) {
  test(`refuses ${name} with ${code}`, async (t) => {
    const fault = await fails(t, app, exportName === undefined ? {} : { exportName });
    assert.equal(fault.code, code, fault.message);
    assert.match(fault.message, message);
    assert.doesNotMatch(fault.message, /\n|Error: \w*Error:/);
    if (code === 'app.notServable') assert.match(fault.message, listOfServed);
  });
}

test('an app that fails to load leaves its own stack', async (t) => {
  assert.match(
    (await fails(t, 'throws.mjs')).stack!,
    /TypeError: no database\nsecond line\n\s+at .*throws\.mjs:1/,
  );
  assert.match(
    (await fails(t, '../broken-apps/import.mjs')).stack!,
    /syntax\.mjs:4\n.*res\.end\('never' ;\n\s+\^+\s*\n\s*SyntaxError: [^\n]*$/,
  );
  assert.match((await fails(t, 'factory-throws.mjs')).stack!, /factory-throws\.mjs:2/);
});

test('an app that calls process.exit while it loads ends the process with its code', async (t) => {
  const worker = await launch(t, 'exits.mjs');
  assert.deepEqual(await worker.exit(), { code: 7, signal: null });
});

test('the app finds itself in argv, as without Kirin', async (t) => {
  const worker = await serve(t, 'handler.mjs');
  worker.send({ order: 'exit' });
  await worker.exit();
  const script = await serve(t, 'argv.cjs');
  assert.equal((await script.get()).body, fixture('argv.cjs'));
});

test('Fastify is ready before it serves, and closed at the end', async (t) => {
  const worker = await serve(t, 'fastify.mjs');
  assert.equal(worker.stdout, 'ready\n');
  await worker.order({ order: 'drain', ms: 1_000 });
  await worker.order({ order: 'close', ms: 5_000 });
  await worker.until('the close', () => worker.stdout === 'ready\nclosed\n');
});

for (const [app, said] of [
  ['fetch.mjs', 'closed fetch\n'],
  ['transpiled.cjs', 'closed\n'],
  ['common-named.cjs', 'closed\n'],
] as const) {
  test(`the close of ${app} runs at the end`, async (t) => {
    const worker = await serve(t, app);
    await worker.order({ order: 'drain', ms: 1_000 });
    assert.equal(worker.stdout, '');
    await worker.order({ order: 'close', ms: 5_000 });
    await worker.until('the close', () => worker.stdout === said);
  });
}

test('what an onDrain callback throws is told, be it registered before the drain or during it', async () => {
  const told: string[] = [];
  const throwing = (text: string) => () => {
    throw new Error(text);
  };
  onDrain(throwing('before'));
  announceDrain((error) => told.push((error as Error).message));
  assert.deepEqual(told, ['before']);
  onDrain(throwing('during'));
  onDrain(async () => throwing('later')());
  onDrain(() => told.push('runs'))();
  // Whatever would be thrown uncaught has been by then, and would have failed the test.
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(told, ['before', 'during', 'runs', 'later']);
});
