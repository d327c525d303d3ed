/** What a guardian does with the names it is given: it kills the process that was meant, and no other that has its pid by now. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { Guardian } from '../../src/actors/guardian.ts';
import { GUARDIAN_SCRIPT } from '../../src/actors/guardian-script.ts';
import { isRunning, startMark } from '../../src/actors/process-identity.ts';
import { temporaryDirectory, until } from './support.ts';

/** A process that does nothing, under a name of its own. */
async function idler(t: TestContext, title = 'idler'): Promise<ChildProcess & { pid: number }> {
  const code = `process.title = ${JSON.stringify(title)}; setInterval(() => {}, 1000); console.log('up');`;
  const child = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  await once(child.stdout!, 'data');
  return child as ChildProcess & { pid: number };
}

/** Runs the script on lines, as after the death of who wrote them; resolves with its exit code. */
async function run(lines: string, shell = '/bin/sh'): Promise<number> {
  const child = spawn(shell, ['-c', GUARDIAN_SCRIPT], { stdio: ['pipe', 'ignore', 'inherit'] });
  child.stdin.end(lines);
  const [code] = await once(child, 'exit');
  return code as number;
}

const mark = (pid: number): string => (process.platform === 'linux' ? startMark(pid)! : '-');

test('the process that was meant is killed, also one that is stopped', async (t) => {
  const [one, two] = [await idler(t), await idler(t)];
  two.kill('SIGSTOP');
  assert.equal(await run(`+ ${one.pid} ${mark(one.pid)} 0\n+ ${two.pid} ${mark(two.pid)} 1\n`), 0);
  await until('both are gone', () => !isRunning(one.pid) && !isRunning(two.pid));
});

test('whatever its name is: brackets, blanks and a line of its own', async (t) => {
  for (const title of ['a) Z 1', 'b) R\n1) Z 0 0', '* *']) {
    const child = await idler(t, title);
    assert.equal(await run(`+ ${child.pid} ${mark(child.pid)} 0\n`), 0);
    await until(`"${title}" is gone`, () => !isRunning(child.pid));
  }
});

test('another process with the same pid is left alone', async (t) => {
  const child = await idler(t);
  assert.equal(await run(`+ ${child.pid} 4711 0\n`), 0);
  assert.ok(isRunning(child.pid));
});

test('one that was reaped is forgotten, and what is no line of ours is nothing', async (t) => {
  const child = await idler(t);
  const line = `+ ${child.pid} ${mark(child.pid)} 0\n`;
  assert.equal(await run(`${line}- ${child.pid}\n\nx\n+ 1\n${line.trimEnd()}`), 0);
  assert.ok(isRunning(child.pid));
});

test('without a mark it asks itself who that is', async (t) => {
  const child = await idler(t);
  assert.equal(await run(`+ ${child.pid} - 0\n`), 0);
  await until('it is gone', () => !isRunning(child.pid));
});

test('where no shell can be started that is told, once, and nothing else happens', async (t) => {
  const told: string[] = [];
  const guardian = new Guardian((text) => told.push(text), '/nowhere/sh');
  const child = await idler(t);
  guardian.add(child.pid, 1000);
  await until('it is told', () => told.length > 0);
  assert.match(told[0]!, /^the guardian could not be started: spawn \/nowhere\/sh ENOENT/);
  guardian.remove(child.pid);
  await guardian.end();
  assert.equal(told.length, 1);
});

test('one that a signal to the group hits before it has begun is replaced at once, and nothing is told', async (t) => {
  const told: string[] = [];
  const child = await idler(t);
  const folder = temporaryDirectory(t);
  const shell = `${folder}/sh`;
  // What a Ctrl-C in the instant after the fork does; only once.
  writeFileSync(
    shell,
    `#!/bin/sh\nset -C; { echo $$ > '${folder}/hit'; } 2>/dev/null && kill -INT $$\nexec /bin/sh "$@"\n`,
    { mode: 0o755 },
  );
  const guardian = new Guardian((text) => told.push(text), shell);
  guardian.add(child.pid, 0);
  const hit = (): string => (existsSync(`${folder}/hit`) ? readFileSync(`${folder}/hit`, 'utf8').trim() : '');
  await until('it was hit', () => hit() !== '');
  await until('there is another', () => guardian.pid !== undefined && String(guardian.pid) !== hit());
  await guardian.end();
  assert.deepEqual(told, []);
  // Its end is that of who told it: it knew the name of the one that was there before.
  await until('who was named is gone', () => !isRunning(child.pid));
});
