/**
 * `bench many`: what supervising idle workers costs the arbiter, and how long stopping many takes: real processes of a tiny app,
 * and the machines alone.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connected, within } from './control-client.ts';
import { makePlace, type Server, startServer } from './fleet.ts';
import { type MachinesStopped, stopMachines } from './machines.ts';
import { DEFAULTS } from './options.ts';
import { freePort, kirinCommand } from './peers.ts';
import { availableMb, childrenOf, cpuMsOfOne, memoryOf } from './proc.ts';
import { circumstances, fixed, goalLine, progress, publish, table, whole } from './report.ts';

const IDLE_MS = 20_000;
const SETTLE_MS = 3_000;
const CPU_PERCENT_MAX = 5;
const MACHINES = [125, 250, 500, 1_000] as const;
/** The goal is for so many; what more would cost is shown. */
const MACHINES_MEANT = 500;
/** Linear is 1, quadratic 2. */
const EXPONENT_MAX = 1.5;
const ANSWER_MS = 30_000;
/** Until so many workers are ready, or have left: two cores and others that use them. */
const READY_MS = 60_000;
const READY_MS_EACH = 1_000;
/** What a worker of the tiny app adds to what is used, in MB. */
const WORKER_MB = 30;

interface Idle {
  workers: number;
  readyMs: number;
  arbiterCpuPercent: number;
  workersCpuPercent: number;
  arbiterRssMb: number | undefined;
}

interface Stopped {
  workers: number;
  readyMs: number;
  stopMs: number;
}

const readyLimitMs = (workers: number) => READY_MS + workers * READY_MS_EACH;

export const manyLimitMs = (idle: number, counts: readonly number[]): number =>
  [idle, ...counts].reduce((sum, workers) => sum + 2 * readyLimitMs(workers), 0) + IDLE_MS + 300_000;

export async function many(idle: number, counts: readonly number[], json: boolean): Promise<number> {
  const where = circumstances(`npm run bench -- many --idle ${idle} --counts ${counts.join()}`);
  const machines: MachinesStopped[] = [];
  // The code is compiled first.
  await stopMachines(MACHINES[0]);
  for (const count of MACHINES) {
    const stopped = await stopMachines(count);
    machines.push(stopped);
    progress(`${count} child machines stopped: ${fixed(stopped.cpuMs, 1)} ms of CPU`);
  }
  const leftOut: string[] = [];
  const fits = (workers: number): boolean => {
    const free = availableMb();
    if (free === undefined || workers * WORKER_MB < free) return true;
    const line = `${workers} workers are left out: they need about ${whole(workers * WORKER_MB)} MB, and ${whole(free)} MB are free`;
    progress(line);
    leftOut.push(line);
    return false;
  };
  const quiet = fits(idle) ? await supervise(idle) : undefined;
  const stopped: Stopped[] = [];
  for (const workers of counts) if (fits(workers)) stopped.push(await stop(workers));

  const machineFit = exponentOf(
    machines.filter(({ count }) => count <= MACHINES_MEANT).map(({ count, cpuMs }) => [count, cpuMs]),
  );
  const stopFit = exponentOf(stopped.map(({ workers, stopMs }) => [workers, stopMs]));
  const text = `Workers of a tiny app that are asked for nothing. CPU over ${IDLE_MS / 1000} s, heartbeats included. Stopping is measured from TERM to the
arbiter's exit; the machines alone in CPU time, from the order to the pool's last report. The exponent is that of the number of
workers, fitted: 1 is linear, 2 quadratic.

${quiet ? idleTable(quiet) : ''}

${table(
  ['workers', 'all ready s', 'TERM to exit s', 'ms each'],
  stopped.map(({ workers, readyMs, stopMs }) => [
    whole(workers),
    fixed(readyMs / 1000, 1),
    fixed(stopMs / 1000, 2),
    fixed(stopMs / workers, 1),
  ]),
)}

${table(
  ['child machines', 'stopped ms', 'µs each', 'by half as many', 'started ms'],
  machines.map(({ count, cpuMs, startCpuMs }, index) => [
    whole(count),
    fixed(cpuMs, 1),
    whole((cpuMs * 1000) / count),
    index === 0 ? '' : `${fixed(cpuMs / machines[index - 1]!.cpuMs, 1)} ×`,
    fixed(startCpuMs, 1),
  ]),
)}

${goalLine(`arbiter's percentage of a core, ${idle} idle workers`, quiet?.arbiterCpuPercent, '<', CPU_PERCENT_MAX, 2)}
${goalLine('exponent of stopping workers', stopFit, '≤', EXPONENT_MAX, 2)}
${goalLine(`exponent of stopping up to ${MACHINES_MEANT} child machines`, machineFit, '≤', EXPONENT_MAX, 2)}${leftOut.map((line) => `\n\n${line}`).join('')}`;
  const least = DEFAULTS.many;
  const long = idle >= least.idle && least.counts.every((count) => counts.includes(count));
  publish('many', where, text, { idle: quiet, stopped, machines, stopFit, machineFit }, { json, long });
  return 0;
}

/** A server whose workers are all ready. */
async function startMany(workers: number): Promise<{ server: Server; readyMs: number }> {
  const socket = join(makePlace('many'), 'kirin.ctl');
  const patience = ['--boot-timeout', '0', '--control-socket', socket, '--log-level', 'error'];
  const startedMs = performance.now();
  const how = { workers, node: process.execPath };
  const server = startServer(kirinCommand(await freePort(), how, ...patience));
  const limit = startedMs + readyLimitMs(workers);
  const check = () => {
    if (server.ended) throw new Error(`Kirin ended at once: ${server.complaint()}`);
    if (performance.now() > limit) throw new Error(`${workers} workers were not ready in time`);
  };
  try {
    const shell = await connected(socket, 'show stats', check);
    for (let ready = 0; ready < workers; await sleep(100)) {
      check();
      await within(shell.roundTrips(1), ANSWER_MS);
      ready = (JSON.parse(shell.last) as { data: { workers_ready: number } }).data.workers_ready;
    }
    shell.close();
  } catch (error) {
    await server.kill();
    throw error;
  }
  const readyMs = performance.now() - startedMs;
  progress(`${workers} workers are ready after ${fixed(readyMs / 1000, 1)} s`);
  return { server, readyMs };
}

async function supervise(workers: number): Promise<Idle> {
  const { server, readyMs } = await startMany(workers);
  try {
    await sleep(SETTLE_MS);
    const children = childrenOf(server.pid);
    const used = () => [
      cpuMsOfOne(server.pid),
      children.reduce((sum, pid) => sum + cpuMsOfOne(pid), 0),
      performance.now(),
    ];
    const [arbiter, others, fromMs] = used();
    await sleep(IDLE_MS);
    const [arbiterThen, othersThen, toMs] = used();
    const tookMs = toMs! - fromMs!;
    return {
      workers,
      readyMs,
      arbiterCpuPercent: ((arbiterThen! - arbiter!) / tookMs) * 100,
      workersCpuPercent: ((othersThen! - others!) / tookMs) * 100,
      arbiterRssMb: memoryOf(server.pid)?.rssMb,
    };
  } finally {
    await server.kill();
  }
}

async function stop(workers: number): Promise<Stopped> {
  const { server, readyMs } = await startMany(workers);
  try {
    await sleep(SETTLE_MS);
    const startedMs = performance.now();
    const limit = startedMs + readyLimitMs(workers);
    server.signal('SIGTERM');
    while (!server.ended) {
      if (performance.now() > limit) throw new Error(`${workers} workers did not stop in time`);
      await sleep(5);
    }
    const stopMs = performance.now() - startedMs;
    progress(`${workers} workers stopped within ${fixed(stopMs / 1000, 2)} s`);
    return { workers, readyMs, stopMs };
  } finally {
    await server.kill();
  }
}

/** The exponent of `y = a x^b` that fits best; undefined for fewer than two points. */
function exponentOf(points: readonly (readonly number[])[]): number | undefined {
  if (points.length < 2) return undefined;
  const logs = points.map(([x, y]) => [Math.log(x!), Math.log(y!)] as const);
  const mean = (axis: 0 | 1) => logs.reduce((sum, point) => sum + point[axis], 0) / logs.length;
  const [xMean, yMean] = [mean(0), mean(1)];
  const covariance = logs.reduce((sum, [x, y]) => sum + (x - xMean) * (y - yMean), 0);
  return covariance / logs.reduce((sum, [x]) => sum + (x - xMean) ** 2, 0);
}

const idleTable = ({ workers, readyMs, arbiterCpuPercent, workersCpuPercent, arbiterRssMb }: Idle): string =>
  table(
    ['idle workers', 'all ready s', 'arbiter, % of a core', 'all workers, % of a core', 'arbiter RSS MB'],
    [
      [
        whole(workers),
        fixed(readyMs / 1000, 1),
        fixed(arbiterCpuPercent, 2),
        fixed(workersCpuPercent, 1),
        fixed(arbiterRssMb, 0),
      ],
    ],
  );
