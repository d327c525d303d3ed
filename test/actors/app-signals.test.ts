/** Which signals reach the app, and what its SIGTERM listeners may do. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { type AppProcess, serve } from './app-process.ts';

const SHIELDED = [
  'SIGINT',
  'SIGHUP',
  'SIGQUIT',
  'SIGUSR1',
  'SIGUSR2',
  'SIGWINCH',
  'SIGTTIN',
  'SIGTTOU',
] as const;

/** SIGCONT is not shielded: when the app has it, the signals sent before have had their turn. */
async function afterSignals(worker: AppProcess): Promise<void> {
  worker.child.kill('SIGCONT');
  await worker.until('SIGCONT', () => worker.stdout.includes('SIGCONT'));
}

async function end(worker: AppProcess, limitMs = 20_000): Promise<void> {
  await worker.order({ order: 'drain', ms: 1_000 });
  worker.send({ order: 'close', ms: limitMs });
}

test('signals for the whole process group neither end the worker nor reach the app', async (t) => {
  const worker = await serve(t, 'signals.mjs');
  for (const signal of SHIELDED) worker.child.kill(signal);
  await afterSignals(worker);
  assert.equal((await worker.get()).body, 'signals');
  assert.equal(worker.stdout, 'app got SIGCONT\n');
  assert.equal(worker.stderr, '', 'the debugger was not opened');
});

test('TERM from outside asks the worker to drain, and does not reach the app', async (t) => {
  const worker = await serve(t, 'signals.mjs', { env: { HOW: 'exits' } });
  worker.child.kill('SIGTERM');
  await worker.until('terminated', () => worker.heard('terminated'));
  assert.equal((await worker.get()).body, 'signals');
  await afterSignals(worker);
  assert.equal(worker.stdout, 'app got SIGCONT\n');
});

test('an app that removes all listeners is still shielded', async (t) => {
  const worker = await serve(t, 'signals.mjs', { env: { HOW: 'removes' } });
  worker.child.kill('SIGHUP');
  worker.child.kill('SIGTERM');
  await worker.until('terminated', () => worker.heard('terminated'));
  assert.equal((await worker.get()).body, 'signals');
});

test('ABRT keeps its effect', async (t) => {
  const worker = await serve(t, 'signals.mjs');
  worker.child.kill('SIGABRT');
  assert.equal((await worker.exit()).signal, 'SIGABRT');
});

test('a SIGTERM listener that exits later ends the process with its code', async (t) => {
  const worker = await serve(t, 'signals.mjs', { env: { HOW: 'exits' } });
  await end(worker);
  assert.deepEqual(await worker.exit(), { code: 9, signal: null });
  assert.equal(worker.stdout, 'terminated by SIGTERM 15\n');
});

for (const [how, said] of [
  ['async', 'async end\n'],
  ['empties', 'cleared\n'],
  ['observes', ''],
] as const) {
  test(`a SIGTERM listener is waited for, no longer than it needs: ${how}`, async (t) => {
    const worker = await serve(t, 'signals.mjs', { env: { HOW: how } });
    await end(worker, 600_000);
    await worker.answer('close');
    await worker.until('the end', () => worker.stdout === said);
    assert.deepEqual(worker.notices(), []);
  });
}

test('a SIGTERM listener that leaves the process alive is waited for until the limit', async (t) => {
  const worker = await serve(t, 'signals.mjs', { env: { HOW: 'stays' } });
  await end(worker, 100);
  await worker.answer('close');
  assert.deepEqual(worker.notices(), [
    "warn: the app's SIGTERM listeners did not finish within the time left",
  ]);
});

test('a SIGTERM listener that throws gives one notice', async (t) => {
  const worker = await serve(t, 'signals.mjs', { env: { HOW: 'throws' } });
  await end(worker);
  await worker.answer('close');
  assert.deepEqual(worker.notices(), ["error: the app's SIGTERM listeners failed: bad end"]);
});
