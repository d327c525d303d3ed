/** A process for hooks, seen from its owner: whatever hooks do, every call ends once, with its own end, and the owner goes on. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { HookHost } from '../../src/actors/hooks/host.ts';
import { isRunning } from '../../src/actors/process-identity.ts';
import { until } from './support.ts';

/** A host for a configuration with a hook of this body; `steps` are the lines that `step(text)` has written. */
function start(t: TestContext, body: string, limitMs = 30_000) {
  const directory = mkdtempSync(join(tmpdir(), 'kirin-hooks-'));
  const file = join(directory, 'kirin.config.mjs');
  writeFileSync(
    file,
    `import { appendFileSync } from 'node:fs';
     const step = (text) => appendFileSync(${JSON.stringify(join(directory, 'steps'))}, text + '\\n');
     export default { async dirty_worker_exit({ nth, act }) { ${body} } };`,
  );
  writeFileSync(join(directory, 'steps'), '');
  const warnings: string[] = [];
  const host = new HookHost({
    file: { file, names: ['dirty_worker_exit'] },
    env: { PATH: process.env['PATH'] ?? '' },
    cwd: directory,
    limitMs,
    warn: (text) => warnings.push(text),
  });
  t.after(() => {
    host.kill();
    rmSync(directory, { recursive: true });
  });
  const steps = (): string[] => readFileSync(join(directory, 'steps'), 'utf8').split('\n').slice(0, -1);
  const call = (subject: object): Promise<string> =>
    host.run('dirty_worker_exit', subject).then(
      () => 'done',
      ({ message }: Error) => message,
    );
  return { host, file, steps, warnings, call };
}

const failed = 'dirty_worker_exit in kirin.config.mjs failed:';

describe('a process for hooks', { concurrency: 2 }, () => {
  test('calls come one after the other, in one process, and each waits for its own end', async (t) => {
    const { call, steps } = start(
      t,
      "step(nth + ' in ' + process.pid); await new Promise((r) => setTimeout(r, 20)); step(nth + ' ends');",
    );
    await Promise.all([
      call({ nth: 1 }).then(() => assert.ok(steps().includes('1 ends'))),
      call({ nth: 2 }).then(() => assert.ok(steps().includes('2 ends'))),
    ]);
    const [pid] = /\d+$/.exec(steps()[0]!)!;
    assert.deepEqual(steps(), [`1 in ${pid}`, '1 ends', `2 in ${pid}`, '2 ends']);
  });

  for (const what of ["'ready'", 'null', '{}', "{ error: 'no' }"])
    test(`process.send(${what}) in a hook is no answer`, async (t) => {
      const { call, steps } = start(
        t,
        `process.send?.(${what}); await new Promise((r) => setTimeout(r, 50)); step('ended');`,
      );
      assert.equal(await call({}), 'done');
      assert.deepEqual(steps(), ['ended']);
    });

  test('what a hook leaves behind fails whichever runs when it shows, and no later one', async (t) => {
    const { call, steps } = start(
      t,
      `if (nth === 1) globalThis.late = () => { throw new Error('late'); };
       if (nth === 2) { setTimeout(globalThis.late, 1); await new Promise(() => {}); }
       if (nth === 3) { await new Promise((r) => setTimeout(r, 300)); step('third ended'); }`,
    );
    const ends = [1, 2, 3].map((nth) => call({ nth }));
    assert.deepEqual(await Promise.all(ends), ['done', `${failed} late`, 'done']);
    assert.deepEqual(steps(), ['third ended']);
  });

  test('what shows while no hook runs is a warning', async (t) => {
    const { call, warnings } = start(t, "setTimeout(() => { throw new Error('late'); }, 50);");
    assert.equal(await call({}), 'done');
    await until('it is warned', () => warnings.length > 0);
    assert.deepEqual(warnings, ['a hook in kirin.config.mjs left an error behind: late']);
    assert.equal(await call({}), 'done');
  });

  test('one that overruns is killed, and the next one has a new process and all of its time', async (t) => {
    const { call, steps } = start(t, "step(process.pid); if (act === 'block') for (;;);", 6000);
    assert.deepEqual(await Promise.all([call({ act: 'block' }), call({})]), [
      `${failed} it has not ended for 6 s (--hook-timeout)`,
      'done',
    ]);
    const [blocked, next] = steps();
    assert.notEqual(blocked, next);
    await until('the blocked one is gone', () => !isRunning(Number(blocked)));
  });

  test('a message of megabytes is cut, and a thrown value that cannot be shown is an error', async (t) => {
    const { call } = start(
      t,
      `if (nth === 1) throw new Error('x'.repeat(8e6));
       throw { [Symbol.for('nodejs.util.inspect.custom')]() { throw new Error('no'); } };`,
    );
    assert.ok((await call({ nth: 1 })).length < 5000);
    assert.equal(await call({ nth: 2 }), `${failed} threw what cannot be shown`);
  });

  test('the queue has a bound', async (t) => {
    const { call } = start(t, "if (act === 'wait') await new Promise((r) => setTimeout(r, 100));");
    const ends = await Promise.all([call({ act: 'wait' }), ...Array.from({ length: 101 }, () => call({}))]);
    assert.deepEqual(
      ends.filter((end) => end !== 'done'),
      [`${failed} 100 calls of hooks wait already`],
    );
  });

  test('closing waits for what was asked; killing ends every call', async (t) => {
    const closing = start(t, 'step(nth);');
    const ends = [closing.call({ nth: 1 }), closing.call({ nth: 2 })];
    closing.host.close();
    assert.deepEqual(await Promise.all(ends), ['done', 'done']);
    const killed = start(t, 'step(nth); await new Promise(() => {});');
    const cut = [killed.call({ nth: 1 }), killed.call({ nth: 2 })];
    await until('the first runs', () => killed.steps().length === 1);
    killed.host.kill();
    assert.deepEqual(await Promise.all(cut), [`${failed} it was cut short`, `${failed} it was cut short`]);
    await killed.host.idle();
  });

  test('where no process can be started each call fails, and the owner goes on', async (t) => {
    const { file } = start(t, '');
    const host = new HookHost({
      file: { file, names: ['dirty_worker_exit'] },
      env: {},
      cwd: join(file, 'nowhere'),
      limitMs: 0,
      warn: () => {},
    });
    for (const _ of [1, 2])
      await assert.rejects(host.run('dirty_worker_exit', {}), /its process could not be started/);
  });

  for (const [what, body] of [
    ['waits', 'await new Promise(() => {});'],
    ['blocks', 'for (;;);'],
  ] as const)
    test(`an owner that is killed takes the process with it, also while a hook ${what}`, async (t) => {
      const { file, steps } = start(t, `step(process.pid); ${body}`);
      const owner = spawn(
        process.execPath,
        [
          '--import',
          'tsx',
          fileURLToPath(new URL('../fixtures/system/hook-owner.ts', import.meta.url)),
          file,
          'dirty_worker_exit',
        ],
        { stdio: 'inherit' },
      );
      t.after(() => owner.kill('SIGKILL'));
      await until('the hook runs', () => steps().length === 1);
      const pid = Number(steps()[0]);
      t.after(() => isRunning(pid) && process.kill(pid, 'SIGKILL'));
      owner.kill('SIGKILL');
      await once(owner, 'exit');
      await until('the process for hooks is gone', () => !isRunning(pid));
    });
});
