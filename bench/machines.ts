/**
 * A pool machine with so many child machines and no process at all: what stopping them costs by itself. Runs in the benchmark's
 * process; its processes are told to leave and have left a moment later.
 */
import { createActor, fromCallback } from 'xstate';
import { childMachine, type ProcessInput } from '../src/machines/child.ts';
import type { Generation } from '../src/machines/events/generation.ts';
import type { PoolReport } from '../src/machines/events/pool.ts';
import type { ProcessOrder, ProcessReport } from '../src/machines/events/process.ts';
import type { WorkerReport } from '../src/machines/events/worker.ts';
import { poolMachine } from '../src/machines/pool.ts';
import type { Listener } from '../src/machines/ports.ts';

const LIMIT_MS = 60_000;
const PATIENT_MS = 600_000;

const generation = (workers: number): Generation => ({
  number: 1,
  limits: {
    bootMs: PATIENT_MS,
    timeoutMs: 0,
    graceMs: PATIENT_MS,
    quitMs: PATIENT_MS,
    abortMs: PATIENT_MS,
    stableMs: PATIENT_MS,
    killAgainMs: PATIENT_MS,
  },
  surge: { count: 1 },
  settleMs: 1_000,
  workers,
});

export interface MachinesStopped {
  count: number;
  /** CPU time of this process from the order to the pool's report. */
  cpuMs: number;
  startCpuMs: number;
}

const TIMES = 3;

/** The best of several, since others use the processor as well. Throws where the machines do not get there in time. */
export async function stopMachines(count: number): Promise<MachinesStopped> {
  const all: MachinesStopped[] = [];
  for (let time = 0; time < TIMES; time++) all.push(await stopOnce(count));
  const least = (of: 'cpuMs' | 'startCpuMs') => Math.min(...all.map((one) => one[of]));
  return { count, cpuMs: least('cpuMs'), startCpuMs: least('startCpuMs') };
}

async function stopOnce(count: number): Promise<MachinesStopped> {
  let ready = 0;
  let heard = (_report: PoolReport): void => {};
  const process_ = fromCallback<ProcessOrder, ProcessInput>(({ sendBack, receive, input }) => {
    const say = sendBack as (event: ProcessReport | WorkerReport) => void;
    say({ type: 'process.spawned', pid: 100_000 + input.age });
    const { age } = input;
    say({ type: 'worker.hello', protocol: 1, kind: 'web', age, generation: input.generation });
    setImmediate(() => {
      ready++;
      say({ type: 'worker.ready' });
    });
    receive(() => void setImmediate(() => say({ type: 'process.exited', code: 0, signal: null })));
  });
  const parent = createActor(fromCallback<PoolReport>(({ receive }) => receive((report) => heard(report))));
  parent.start();
  const pool = createActor(
    poolMachine.provide({ actors: { child: childMachine.provide({ actors: { process: process_ } }) } }),
    {
      input: {
        parent: parent as unknown as Listener<PoolReport>,
        target: count,
        generation: generation(count),
      },
    },
  );
  const startCpuMs = await cpuOf(async () => {
    pool.start();
    const limit = performance.now() + LIMIT_MS;
    while (ready < count) {
      if (performance.now() > limit) throw new Error(`${ready} of ${count} child machines were started`);
      await new Promise(setImmediate);
    }
  });
  const cpuMs = await cpuOf(
    () =>
      new Promise<void>((resolve, reject) => {
        const limit = setTimeout(() => reject(new Error(`${count} child machines did not stop`)), LIMIT_MS);
        heard = (report) => {
          if (report.type !== 'pool.stopped') return;
          clearTimeout(limit);
          resolve();
        };
        pool.send({ type: 'pool.stop', orderId: 1, leave: 'drain' });
      }),
  );
  parent.stop();
  return { count, cpuMs, startCpuMs };
}

async function cpuOf(work: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}
