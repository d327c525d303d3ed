/** Where a worker hangs is logged before it is killed, with --hang-stack. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { describe, test } from 'node:test';
import { build } from 'esbuild';
import { fixture, type LogLine, launch, needsProc, type Server, Site, serve } from './harness.ts';

const ARGS = ['-t', '1', '--hang-stack'];
const app = fixture('misbehaves.mjs');

/** Asks for a path that hangs, and waits until that is told. */
async function hung(server: Server, path: string): Promise<LogLine> {
  const from = server.mark();
  server.get(path).catch(() => {});
  return await server.told(/was silent for .*: sent SIGABRT/, from);
}

const spinning = (server: Server): number[] =>
  [...server.output.matchAll(/spinning (\d+)/g)].map(([, pid]) => Number(pid));

describe('a worker that hangs', { concurrency: 3 }, () => {
  test('in an endless loop: its stack is told with files, lines and columns, and it is replaced', async (t) => {
    const server = await serve(t, app, ARGS);
    const { msg, stack } = await hung(server, '/spin');
    assert.match(msg, /: sent SIGABRT; it was here:$/);
    const [first, second] = (stack ?? '').split('\n');
    assert.match(first ?? '', /^ {4}at spinForEver \(\/.*\/misbehaves\.mjs:[89]:\d+\)$/);
    assert.match(second ?? '', /^ {4}at app \(\/.*\/misbehaves\.mjs:\d+:\d+\)$/);
    await server.told(/worker 1 .* ended unexpectedly, by SIGABRT/);
    await server.until('another serves', () => server.ready().some(({ age }) => age === 2));
    assert.match((await server.get('/')).text, /^\d+$/);
  });

  test('in code that was made of other code: the places are those of the source', async (t) => {
    const site = new Site(t);
    site.write(
      'source.ts',
      `interface Never { a: 1 }\n\nexport default function handler(request: unknown, response: unknown): never {\n  for (let count: number = 0; ; count++) Math.sqrt(count);\n}\n`,
    );
    for (const [name, sourcemap] of [
      ['inline', 'inline'],
      ['beside', 'linked'],
    ] as const) {
      const outfile = site.path(`out/${name}.mjs`);
      await build({ entryPoints: [site.path('source.ts')], outfile, format: 'esm', minify: true, sourcemap });
      const server = await serve(t, `${outfile}:default`, ARGS);
      const { stack } = await hung(server, '/');
      assert.match(stack ?? '', /^ {4}at .*source\.ts:4:\d+\)?\n/, name);
    }
  });

  test('in native code: that is told', async (t) => {
    const server = await serve(t, app, ARGS);
    const { msg, stack } = await hung(server, '/native');
    assert.match(msg, /where it was is not known: the main thread runs no JavaScript: it is in native code/);
    assert.equal(stack, undefined);
    await server.until('another serves', () => server.ready().some(({ age }) => age === 2));
  });

  test('because it is stopped: that is told, and it is killed all the same', {
    skip: needsProc,
  }, async (t) => {
    const server = await serve(t, app, ARGS);
    process.kill(server.workers()[0]!.pid, 'SIGSTOP');
    await server.told(/where it was is not known: the process is stopped \(SIGSTOP\)$/);
    await server.told(/worker 1 .* ended unexpectedly, by SIGKILL/);
  });

  test('as several do at once: each is told for itself', async (t) => {
    const server = await serve(t, app, ['-w', '3', ...ARGS]);
    await server.settled(3);
    // A client that waits with one that hangs keeps it from nothing: the next one is accepted by another.
    for (let client = 0; client < 3; client++) {
      server.get('/spin').catch(() => {});
      await server.until('one more hangs', () => spinning(server).length > client);
    }
    for (const pid of spinning(server).slice(0, 3))
      await server.until(`${pid} is told`, () =>
        server.all(/was silent for .*; it was here:$/).some((line) => line['workerPid'] === pid),
      );
  });

  test('without --hang-stack is killed without, and has no thread for it', { skip: needsProc }, async (t) => {
    const threads = async (args: readonly string[]): Promise<[number, Server]> => {
      const server = await serve(t, app, args);
      return [readdirSync(`/proc/${server.workers()[0]!.pid}/task`).length, server];
    };
    const [plain, server] = await threads(['-t', '1']);
    const [watched] = await threads(ARGS);
    assert.equal(watched, plain + 1);
    const { msg, stack } = await hung(server, '/spin');
    assert.match(msg, /: sent SIGABRT$/);
    assert.equal(stack, undefined);
  });
});

test('the thread holds nothing up: neither a stop nor an app with nothing to serve', async (t) => {
  const server = await serve(t, app, ['-w', '2', '--hang-stack']);
  assert.equal(await server.stop(), 0);
  const idle = launch(t, new Site(t).write('nothing.mjs', 'export {};'), ['--hang-stack']);
  assert.equal((await idle.exit()).code, 4);
});
