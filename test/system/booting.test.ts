/** A first start that fails: the server ends with the reason in one line, the app's stack, and an exit code. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fixture, launch, Server, Site } from './harness.ts';

interface Failing {
  name: string;
  code: string;
  /** MODULE[:EXPORT], where it is not the app that was written. */
  spec?: string;
  exit: number;
  reason: RegExp;
  /** What must be in the stack. */
  stack?: RegExp;
  args?: string[];
}

const FAILING: readonly Failing[] = [
  {
    name: 'a syntax error',
    code: 'export default (request, response => {',
    exit: 4,
    reason: /SyntaxError.*app\.mjs:1/,
  },
  {
    name: 'a throw on import',
    code: "function connect() {\n  throw new TypeError('no database');\n}\nconnect();",
    exit: 4,
    reason: /TypeError: no database/,
    stack: /at connect .*app\.mjs:2/,
  },
  {
    name: 'a module that is missing',
    code: '',
    spec: 'nowhere.mjs',
    exit: 4,
    reason: /nowhere\.mjs/,
  },
  {
    name: 'a dependency that is missing',
    code: "import 'no-such-package';",
    exit: 4,
    reason: /no-such-package/,
  },
  {
    name: 'an export that is missing',
    code: 'export const other = 1;',
    spec: 'app.mjs:application',
    exit: 4,
    reason: /no export application: it exports other/,
  },
  {
    name: 'an export that cannot be served',
    code: 'export default 42;',
    exit: 4,
    reason: /a number; Kirin serves/,
  },
  {
    name: 'a promise that never resolves, with nothing left to run',
    code: 'await new Promise(() => {});',
    exit: 4,
    reason: /app\.mjs/,
  },
  {
    name: 'a factory whose promise never resolves',
    code: 'export default () => new Promise(() => {});',
    exit: 3,
    reason: /never finished/,
  },
  {
    name: 'a factory that throws',
    code: "export default () => {\n  throw new Error('no secrets');\n};",
    exit: 3,
    reason: /no secrets/,
    stack: /app\.mjs:2/,
  },
  {
    name: 'an error whose message has megabytes',
    code: "throw new Error('far too long '.repeat(300_000));",
    exit: 4,
    reason: /far too long .*more characters/,
  },
  {
    name: 'something thrown that is no error',
    code: 'throw null;',
    exit: 4,
    reason: /threw null/,
  },
  {
    name: 'process.exit() on import',
    code: 'process.exit(0);',
    exit: 3,
    reason: /the app called process\.exit\(0\)/,
    stack: /app\.mjs:1/,
  },
  {
    name: 'an unhandled rejection before it is ready',
    code: "Promise.reject(new Error('gone wrong'));\nawait new Promise((resolve) => setTimeout(resolve, 100_000));",
    exit: 3,
    reason: /unhandled rejection: Error: gone wrong/,
    stack: /app\.mjs:1/,
  },
  {
    name: 'SIGKILL from itself on import',
    code: "process.kill(process.pid, 'SIGKILL');\nawait new Promise((resolve) => setTimeout(resolve, 100_000));",
    exit: 3,
    reason: /SIGKILL before it was ready/,
  },
  {
    name: 'more time than --boot-timeout allows',
    code: 'await new Promise((resolve) => setTimeout(resolve, 100_000));',
    args: ['--boot-timeout', '0.5'],
    exit: 3,
    reason: /not ready within 0\.5 s \(--boot-timeout\)/,
  },
  {
    name: 'an endless loop on import, up to --boot-timeout',
    code: 'for (;;);',
    args: ['--boot-timeout', '0.5'],
    exit: 3,
    reason: /not ready within 0\.5 s \(--boot-timeout\)/,
  },
];

describe('a first start fails with', { concurrency: 4 }, () => {
  for (const { name, code, spec, exit, reason, stack, args } of FAILING)
    test(`${name}: exit code ${exit} and the reason`, async (t) => {
      const site = new Site(t);
      site.write('app.mjs', code);
      const server = launch(t, spec ?? 'app.mjs', ['-w', '2', ...(args ?? [])], { cwd: site.directory });
      assert.deepEqual(await server.exit(), { code: exit, signal: null }, server.tail());
      const fatal = server.lines.filter(({ level }) => level === 'fatal');
      assert.equal(fatal.length, 1, server.tail());
      assert.match(fatal[0]!.msg, reason);
      assert.doesNotMatch(fatal[0]!.msg, /\n/);
      if (stack)
        assert.ok(
          server.lines.some((line) => stack.test(line.stack ?? '')),
          server.tail(),
        );
    });

  test('the reason last, and the stack once, in a log for people', async (t) => {
    const site = new Site(t);
    site.write('app.mjs', "throw new Error('no database');");
    const server = new Server(['-b', '127.0.0.1:0', 'app.mjs'], { cwd: site.directory, plain: true });
    t.after(() => server.dispose());
    assert.equal((await server.exit()).code, 4);
    const lines = server.output.trim().split('\n');
    assert.match(lines.at(-1)!, /fatal.*no database/);
    assert.equal(lines.filter((line) => /^\s+at .*app\.mjs:1/.test(line)).length, 1, server.output);
  });
});

describe('a start goes on', { concurrency: 2 }, () => {
  test('for as long as the app needs with --boot-timeout 0', async (t) => {
    const site = new Site(t);
    const args = ['--boot-timeout', '0', '--env', `GO=${site.path('go')}`];
    const server = launch(t, fixture('waits-to-load.mjs'), args);
    await server.printed(/loading/);
    site.write('go', '');
    await server.told(/^serving/);
  });

  test('when one worker could not boot but another was ready', async (t) => {
    const site = new Site(t);
    site.write(
      'app.mjs',
      `if (process.env.KIRIN_WORKER_AGE === '2') {
         await new Promise((resolve) => setTimeout(resolve, 300));
         throw new Error('not this one');
       }
       export default (request, response) => response.end('ok');`,
    );
    const server = await serve(t, site, ['-w', '2']);
    await server.told(/worker 2 .* could not boot.*not this one/);
    await server.settled(2);
    assert.equal((await server.get()).text, 'ok');
  });
});

async function serve(t: Parameters<typeof launch>[0], site: Site, args: string[]): Promise<Server> {
  const server = launch(t, site.path('app.mjs'), args);
  await server.told(/^serving/);
  return server;
}
