/** The table of memory: what is read of processes, and which limits are told, when and how often. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { MemoryTable, ProcResident, psResident } from '../../src/actors/memory.ts';
import { needsProc } from '../system/harness.ts';

const MIB = 1024 * 1024;

/** A table that reads what a test says. */
function tableOf(t: TestContext) {
  const resident = new Map<number, number>();
  const table = new MemoryTable({
    read: (pids) => new Map([...resident].filter(([pid]) => pids.includes(pid))),
    forget() {},
  });
  const told: string[] = [];
  const watch = (pid: number, softMib: number, hardMib: number): void => {
    table.watch(pid, { softBytes: softMib * MIB, hardBytes: hardMib * MIB }, (limit, { message }) =>
      told.push(`${pid} ${limit}: ${message}`),
    );
    t.after(() => table.forget(pid));
  };
  return { table, told, resident, watch };
}

test('the soft limit is told once, and only of a process that is ready', async (t) => {
  const { table, told, resident, watch } = tableOf(t);
  watch(1, 100, 0);
  resident.set(1, 200 * MIB);
  await table.sweep();
  assert.deepEqual(told, []);
  table.ready(1);
  await table.sweep();
  await table.sweep();
  assert.deepEqual(told, ['1 soft: it uses 200M of memory, more than 100M (--max-memory)']);
});

test('the hard limit is told at each reading, ready or not', async (t) => {
  const { table, told, resident, watch } = tableOf(t);
  watch(1, 0, 100);
  resident.set(1, 101 * MIB);
  await table.sweep();
  await table.sweep();
  assert.equal(told.length, 2);
  assert.match(told[0]!, /^1 hard: it uses 101M of memory, more than 100M \(--max-memory-hard\)$/);
});

test('at the limit is not beyond it, no limit is none, and who is gone is not judged', async (t) => {
  const { table, told, resident, watch } = tableOf(t);
  watch(1, 100, 200);
  watch(2, 0, 0);
  watch(3, 100, 200);
  for (const pid of [1, 2, 3]) table.ready(pid);
  resident
    .set(1, 100 * MIB)
    .set(2, 9999 * MIB)
    .set(3, 9999 * MIB);
  table.forget(3);
  await table.sweep();
  assert.deepEqual(told, []);
});

test('what the system says of a process, by /proc and by ps', { skip: needsProc }, async (t) => {
  const code =
    "const kept = Buffer.alloc(100 * 2 ** 20, 1); setInterval(() => kept, 1000); console.log('up');";
  const child = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  // A process that is stopped, and pids that nobody has.
  child.kill('SIGSTOP');
  const pids = [child.pid!, process.pid, 2 ** 22 + 1];
  const byProc = new ProcResident();
  for (const one of [byProc, psResident]) {
    const resident = await one.read(pids);
    assert.deepEqual([...resident.keys()].sort(), [child.pid!, process.pid].sort());
    const mib = resident.get(child.pid!)! / MIB;
    assert.ok(mib > 100 && mib < 400, `${mib} MiB`);
  }
  assert.deepEqual(await psResident.read([]), new Map());
  // One that has ended, also when its file is still open.
  child.kill('SIGKILL');
  await once(child, 'exit');
  assert.deepEqual([...byProc.read(pids).keys()], [process.pid]);
  for (const pid of pids) byProc.forget(pid);
});
