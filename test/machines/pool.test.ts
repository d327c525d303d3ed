/** The pool machine by paths: a reload's commit point and every order's end, with children that do as they are told. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createActor, fromCallback } from 'xstate';
import { childMachine, type ProcessInput } from '../../src/machines/child.ts';
import type { Generation } from '../../src/machines/events/generation.ts';
import type { PoolOrder, PoolReport } from '../../src/machines/events/pool.ts';
import type { ProcessOrder, ProcessReport } from '../../src/machines/events/process.ts';
import type { WorkerReport } from '../../src/machines/events/worker.ts';
import { poolMachine } from '../../src/machines/pool.ts';
import { VirtualClock } from '../simulation/clock.ts';
import { simulate } from '../simulation/simulation.ts';
import { probe } from './probe.ts';
import { transitionRecorder, transitionsOf } from './transitions.ts';

const recorder = transitionRecorder();
const SEEDS_FOR_COVERAGE = 400;
/** Seeds beyond these that come where others do not. */
const RARE_SEEDS = [580, 598];

const generation = (number: number, change: Partial<Generation> = {}): Generation => ({
  number,
  limits: {
    bootMs: 5000,
    timeoutMs: 0,
    graceMs: 1000,
    quitMs: 300,
    abortMs: 100,
    stableMs: 10_000,
    killAgainMs: 500,
  },
  surge: { count: 1 },
  settleMs: 1000,
  workers: 2,
  ...change,
});

const broken = { code: 'app.loadFailed', message: 'broken' } as const;

type Say = (event: ProcessReport | WorkerReport) => void;

/** A pool whose processes boot at once unless their generation is in `broken`; they leave when told. */
function open(target = 2, first = generation(1), coolsBySlot = false) {
  const clock = new VirtualClock();
  const parent = probe<PoolReport>();
  const broken = new Set<number>();
  /** Slots whose processes cannot boot. */
  const brokenSlots = new Set<number>();
  const processes = new Map<number, Say>();
  const actor = createActor(
    poolMachine.provide({
      actors: {
        child: childMachine.provide({
          actors: {
            process: fromCallback<ProcessOrder, ProcessInput>(({ sendBack, receive, input }) => {
              const say = sendBack as Say;
              processes.set(input.age, say);
              const exit = (code: number): void => {
                processes.delete(input.age);
                say({ type: 'process.exited', code, signal: null });
              };
              say({ type: 'process.spawned', pid: 100 + input.age });
              say({
                type: 'worker.hello',
                protocol: 1,
                kind: 'web',
                age: input.age,
                generation: input.generation,
              });
              clock.setTimeout(() => {
                if (!processes.has(input.age)) return;
                if (!broken.has(input.generation) && !brokenSlots.has(input.slot))
                  return say({ type: 'worker.ready' });
                say({ type: 'worker.bootFailed', fault: { code: 'app.loadFailed', message: 'broken' } });
                exit(4);
              }, 100);
              receive(() => {
                clock.setTimeout(() => processes.has(input.age) && exit(0), 50);
              });
            }),
          },
        }),
      },
    }),
    { clock, inspect: recorder.watch, input: { parent: parent.ref, target, generation: first, coolsBySlot } },
  );
  actor.start();
  const pass = (ms: number): void => {
    const untilMs = clock.nowMs + ms;
    while (clock.step(untilMs));
  };
  return {
    broken,
    brokenSlots,
    processes,
    pass,
    clock,
    tell: (...orders: PoolOrder[]) => {
      for (const order of orders) actor.send(order);
    },
    /** The reports so far, without those that only say a process is gone. */
    get heard() {
      return parent.heard.filter((report) => report.type !== 'pool.generationGone');
    },
    get ends() {
      return parent.heard
        .filter((report) => 'orderId' in report && report.type !== 'pool.committed')
        .map((report) => `${report.type.slice(5)} ${(report as { orderId: number }).orderId}`);
    },
    get gone() {
      return parent.heard.flatMap((report) =>
        report.type === 'pool.generationGone' ? [report.generation] : [],
      );
    },
    get fleet() {
      return actor
        .getSnapshot()
        .context.members.map(({ age, generation: of, slot, phase }) => `${age}: g${of} s${slot} ${phase}`);
    },
    /** How many were started since the beginning. */
    get started() {
      return actor.getSnapshot().context.nextAge - 1;
    },
    get state() {
      return JSON.stringify(actor.getSnapshot().value);
    },
  };
}

/** A pool that runs. */
function running(target = 2, first = generation(1), coolsBySlot = false) {
  const pool = open(target, first, coolsBySlot);
  pool.pass(200);
  return pool;
}

/** A pool of three whose reload, order 1, stalled after its first replacement. */
function stalled() {
  const pool = running(3, generation(1, { workers: 3 }));
  pool.tell({ type: 'pool.replace', orderId: 1, generation: generation(2) });
  pool.pass(1099);
  pool.broken.add(2);
  pool.pass(101);
  assert.match(pool.state, /stalled/);
  return pool;
}

test('it opens with the first ready worker', () => {
  const pool = open();
  assert.match(pool.state, /opening/);
  pool.pass(100);
  assert.match(pool.state, /running/);
  assert.deepEqual(pool.heard, [{ type: 'pool.opened' }]);
  assert.deepEqual(pool.fleet, ['1: g1 s0 ready', '2: g1 s1 ready']);
});

test('nobody was ever ready: the reason is told and everybody goes', () => {
  const pool = open(2, generation(9));
  pool.broken.add(9);
  pool.pass(1000);
  assert.deepEqual(
    pool.heard.map((report) => report.type),
    ['pool.openFailed', 'pool.stopped'],
  );
});

test('a reload: the candidate settles, then one by one, and old listeners are released at the end', () => {
  const pool = running();
  pool.tell({ type: 'pool.replace', orderId: 1, generation: generation(2) });
  pool.pass(1099);
  assert.deepEqual(pool.fleet, ['1: g1 s0 ready', '2: g1 s1 ready', '3: g2 s0 ready']);
  pool.pass(1);
  assert.match(pool.state, /rolling/);
  assert.deepEqual(pool.gone, []);
  pool.pass(300);
  assert.deepEqual(pool.fleet, ['3: g2 s0 ready', '4: g2 s1 ready']);
  assert.deepEqual(pool.ends, ['done 1']);
  assert.deepEqual(pool.gone, [1]);
});

test('a reload that fails before its commit point changes nothing', () => {
  const pool = running();
  pool.broken.add(2);
  pool.tell({ type: 'pool.replace', orderId: 1, generation: generation(2) });
  pool.pass(200);
  assert.deepEqual(pool.fleet, ['1: g1 s0 ready', '2: g1 s1 ready']);
  assert.deepEqual(pool.ends, ['failed 1']);
  assert.deepEqual(pool.gone, [2]);
  assert.match(pool.state, /settled/);
});

test('a candidate that dies while settling fails the reload', () => {
  const pool = running();
  pool.tell({ type: 'pool.replace', orderId: 1, generation: generation(2) });
  pool.pass(600);
  pool.processes.get(3)?.({ type: 'process.exited', code: 1, signal: null });
  assert.deepEqual(pool.ends, ['failed 1']);
  assert.deepEqual(pool.fleet, ['1: g1 s0 ready', '2: g1 s1 ready']);
});

test('a failure after the commit point stalls it; what is ready goes on, and it heals by itself', () => {
  const pool = stalled();
  const failed = pool.heard.find((report) => report.type === 'pool.failed');
  assert.deepEqual([failed?.replaced, failed?.remaining, failed?.fault.message], [1, 2, 'broken']);
  assert.deepEqual(pool.fleet.slice(0, 2), ['2: g1 s1 ready', '3: g1 s2 ready']);
  pool.broken.clear();
  pool.pass(2000);
  assert.deepEqual(
    pool.fleet.map((line) => line.replace(/^\d+: /, '')),
    ['g2 s0 ready', 'g2 s1 ready', 'g2 s2 ready'],
  );
  assert.deepEqual(pool.ends, ['failed 1']);
  assert.match(pool.state, /settled/);
});

test('a stalled reload is through when so few are wanted that no old one is left', () => {
  const pool = stalled();
  pool.tell({ type: 'pool.scale', orderId: 2, target: 1 });
  pool.pass(50);
  assert.match(pool.state, /settled/);
  assert.deepEqual(pool.fleet, ['4: g2 s0 ready']);
});

test('what waits after a failure is hired at once when it is told to hurry', () => {
  const pool = running();
  pool.tell({ type: 'pool.hurry' });
  pool.broken.add(1);
  pool.processes.get(1)?.({ type: 'process.exited', code: 1, signal: null });
  for (let turn = 0; turn < 100 && !/coolingDown/.test(pool.state); turn++) pool.pass(10);
  assert.match(pool.state, /coolingDown/);
  const { started } = pool;
  pool.broken.delete(1);
  pool.tell({ type: 'pool.hurry' });
  assert.equal(pool.started, started + 1);
  pool.pass(150);
  assert.match(pool.state, /free/);
});

test('a stalled reload gives way to a newer one that stands', () => {
  const pool = stalled();
  pool.tell({ type: 'pool.replace', orderId: 2, generation: generation(3) });
  pool.pass(3000);
  assert.deepEqual(pool.ends, ['failed 1', 'done 2']);
  assert.ok(
    pool.fleet.every((line) => line.includes('g3') && line.endsWith('ready')),
    pool.fleet.join('; '),
  );
});

test('a surge of 100 % makes a reload all or nothing', () => {
  const pool = running(3);
  pool.tell({ type: 'pool.replace', orderId: 1, generation: generation(2, { surge: { percent: 100 } }) });
  pool.pass(600);
  assert.equal(pool.fleet.length, 6);
  pool.processes.get(5)?.({ type: 'process.exited', code: 1, signal: null });
  pool.pass(100);
  assert.deepEqual(pool.fleet, ['1: g1 s0 ready', '2: g1 s1 ready', '3: g1 s2 ready']);
});

test('reload while trying: the first is superseded', () => {
  const pool = running();
  pool.tell({ type: 'pool.replace', orderId: 1, generation: generation(2) });
  pool.pass(500);
  pool.tell({ type: 'pool.replace', orderId: 2, generation: generation(3) });
  pool.pass(3000);
  assert.deepEqual(pool.ends, ['superseded 1', 'done 2']);
  assert.deepEqual(pool.gone, [2, 1]);
});

test('reload while rolling: a canary of the newest first; if it fails the former goes on', () => {
  const pool = running(4);
  pool.tell({ type: 'pool.replace', orderId: 1, generation: generation(2) });
  pool.pass(1150);
  pool.broken.add(3);
  pool.tell({ type: 'pool.replace', orderId: 2, generation: generation(3) });
  pool.pass(3000);
  assert.deepEqual(pool.ends, ['failed 2', 'done 1']);
  assert.ok(
    pool.fleet.every((line) => line.includes('g2') && line.endsWith('ready')),
    pool.fleet.join('; '),
  );
});

test('reload while rolling: if the newest stands, the former is superseded', () => {
  const pool = running(4);
  pool.tell({ type: 'pool.replace', orderId: 1, generation: generation(2) });
  pool.pass(1150);
  pool.tell({ type: 'pool.replace', orderId: 2, generation: generation(3) });
  pool.pass(5000);
  assert.deepEqual(pool.ends, ['superseded 1', 'done 2']);
});

test('reload before anybody was ready: the new generation takes the place of the first', () => {
  const pool = open();
  pool.tell({ type: 'pool.replace', orderId: 1, generation: generation(2) });
  pool.pass(1000);
  assert.deepEqual(pool.ends, ['done 1']);
  assert.ok(pool.fleet.every((line) => line.includes('g2')));
  assert.ok(pool.heard.some((report) => report.type === 'pool.committed' && report.workers === 2));
});

/** A pool of three that cools down by slots, in whose slot 0 nobody can boot any more. */
function slotFails() {
  const pool = running(3, generation(1, { workers: 3 }), true);
  pool.brokenSlots.add(0);
  pool.processes.get(1)?.({ type: 'process.exited', code: 1, signal: null });
  pool.pass(20_000);
  assert.match(pool.state, /coolingDown/);
  assert.deepEqual(pool.fleet, ['2: g1 s1 ready', '3: g1 s2 ready']);
  return pool;
}

test('where slots cool down by themselves, one that fails holds up none of the others', () => {
  const pool = slotFails();
  const degraded = pool.heard.filter(({ type }) => type === 'pool.degraded');
  assert.ok(degraded.length > 3);
  assert.ok(degraded.every((report) => 'slot' in report && report.slot === 0));
  const { started } = pool;
  pool.processes.get(3)?.({ type: 'process.exited', code: 1, signal: null });
  pool.pass(400);
  assert.deepEqual(
    pool.fleet.map((line) => line.slice(-8)),
    ['s1 ready', 's2 ready'],
  );
  assert.equal(pool.started, started + 1);
  // Each waits as long as it failed: the next try in slot 0 is not hastened by what lasts in slot 2.
  pool.pass(11_000);
  assert.ok(pool.started <= started + 3, `${pool.started - started} were started`);
  pool.brokenSlots.clear();
  pool.pass(31_000);
  assert.match(pool.state, /"hiring":"free"/);
  assert.ok(pool.fleet.some((line) => line.endsWith('s0 ready')));
});

test('two slots that fail wait each for itself, and end the cool-down together', () => {
  const pool = slotFails();
  pool.brokenSlots.add(1);
  pool.processes.get(2)?.({ type: 'process.exited', code: 1, signal: null });
  const slots = () =>
    new Set(pool.heard.flatMap((report) => (report.type === 'pool.degraded' ? [report.slot] : [])));
  pool.pass(1000);
  assert.deepEqual(slots(), new Set([0, 1]));
  pool.brokenSlots.clear();
  pool.tell({ type: 'pool.hurry' });
  pool.pass(150);
  assert.match(pool.state, /"hiring":"free"/);
  assert.equal(pool.fleet.filter((line) => line.endsWith('ready')).length, 3);
  // What was counted is forgotten when each has lasted.
  pool.pass(10_000);
  for (const age of pool.fleet.map((line) => Number.parseInt(line, 10))) {
    const { started } = pool;
    pool.processes.get(age)?.({ type: 'process.exited', code: 1, signal: null });
    pool.pass(1);
    assert.equal(pool.started, started + 1, 'one that lasted is replaced at once');
  }
});

test('a reload rolls over the other slots while one fails, and says that it did not go through', () => {
  const pool = slotFails();
  pool.brokenSlots.clear();
  pool.tell({ type: 'pool.replace', orderId: 1, generation: generation(2, { workers: 3 }) });
  pool.pass(1099);
  // Its candidate in slot 0 stands; what comes after it cannot boot in slot 1.
  pool.brokenSlots.add(1);
  pool.pass(1000);
  assert.deepEqual(pool.ends, ['failed 1']);
  assert.deepEqual(
    pool.fleet.filter((line) => line.endsWith('ready')).map((line) => line.replace(/^\d+: /, '')),
    ['g1 s1 ready', 'g2 s0 ready', 'g2 s2 ready'],
    `${pool.fleet}`,
  );
  pool.brokenSlots.clear();
  pool.pass(40_000);
  assert.match(pool.state, /settled/);
});

test('the end of a wait that is over already is nothing', () => {
  const pool = running();
  pool.tell({ type: 'pool.cooled', place: 0 } as never);
  assert.match(pool.state, /"hiring":"free"/);
});

test('a cool-down ends with the reload that cures what it waited for', () => {
  const pool = running(3);
  for (const age of [1, 2, 3]) {
    pool.broken.add(1);
    pool.processes.get(age)?.({ type: 'process.exited', code: 1, signal: null });
  }
  pool.pass(20_000);
  assert.match(pool.state, /coolingDown/);
  pool.tell({ type: 'pool.replace', orderId: 1, generation: generation(2) });
  pool.pass(1100);
  assert.match(pool.state, /"hiring":"free"/);
  pool.pass(200);
  assert.deepEqual(pool.ends, ['done 1']);
});

test('kills from outside do not lengthen the wait after a crash', () => {
  const pool = running(1);
  for (let kills = 0; kills < 6; kills++) {
    [...pool.processes.values()].at(-1)?.({ type: 'process.exited', code: null, signal: 'SIGKILL' });
    pool.pass(2000);
  }
  [...pool.processes.values()].at(-1)?.({ type: 'process.exited', code: 1, signal: null });
  assert.match(pool.state, /coolingDown/);
  pool.pass(250);
  assert.match(pool.fleet[0] ?? '', /ready/);
});

test('TERM from outside to a worker that boots is no failure: another takes its place', () => {
  const pool = open(1);
  pool.processes.get(1)?.({ type: 'worker.draining', orderId: 0, cause: 'terminated' });
  pool.processes.get(1)?.({ type: 'process.exited', code: 0, signal: null });
  pool.pass(200);
  assert.deepEqual(pool.fleet, ['2: g1 s0 ready']);
  assert.deepEqual(pool.heard, [{ type: 'pool.opened' }]);
});

test('a target that grows while candidates settle asks for more of them', () => {
  const pool = running(2);
  pool.tell({ type: 'pool.replace', orderId: 1, generation: generation(2, { surge: { percent: 100 } }) });
  pool.pass(600);
  pool.tell({ type: 'pool.scale', orderId: 2, target: 3 });
  assert.match(pool.state, /trying":"booting/);
  pool.pass(1050);
  assert.match(pool.state, /trying":"settling/);
  pool.pass(500);
  assert.deepEqual(pool.ends, ['done 1', 'done 2']);
});

test('scaling is answered when it is done, superseded by a newer one, failed with the reason', () => {
  const pool = running();
  pool.tell({ type: 'pool.scale', orderId: 1, target: 4 });
  assert.deepEqual(pool.ends, []);
  pool.pass(100);
  assert.deepEqual(pool.ends, ['done 1']);
  pool.tell({ type: 'pool.scale', orderId: 2, target: 6 }, { type: 'pool.scale', orderId: 3, target: 1 });
  pool.pass(200);
  assert.deepEqual(pool.ends, ['done 1', 'superseded 2', 'done 3']);
  assert.deepEqual(
    pool.fleet.map((line) => line.replace(/^\d+: /, '')),
    ['g1 s0 ready'],
  );
  pool.broken.add(1);
  pool.tell({ type: 'pool.scale', orderId: 4, target: 2 });
  pool.pass(150);
  assert.deepEqual(pool.ends.slice(3), ['failed 4']);
});

test('a failed replacement is told as degraded, retried after a wait, and costs no ready worker', () => {
  const pool = running();
  pool.broken.add(1);
  pool.processes.get(1)?.({ type: 'process.exited', code: 1, signal: null });
  pool.pass(350);
  assert.ok(pool.heard.some((report) => report.type === 'pool.degraded'));
  assert.match(pool.state, /coolingDown/);
  assert.ok(pool.fleet.includes('2: g1 s1 ready'));
  pool.broken.clear();
  pool.pass(5000);
  assert.deepEqual(
    pool.fleet.map((line) => line.slice(-8)),
    ['s1 ready', 's0 ready'],
  );
});

test('who says that it cannot boot is replaced after the wait, not at once', () => {
  const pool = running();
  pool.broken.add(1);
  pool.processes.get(1)?.({ type: 'process.exited', code: 1, signal: null });
  // After waits of 100, 200, 400 and 800 ms, with boots of 100 ms between them.
  pool.pass(2000);
  assert.equal(pool.started, 2 + 4);
});

test('one worker is told to leave and is replaced; what is leaving or unknown is a told result', () => {
  const pool = running();
  pool.tell(
    { type: 'pool.retire', orderId: 1, age: 1, leave: 'drain' },
    { type: 'pool.retire', orderId: 2, age: 1, leave: 'drain' },
    { type: 'pool.retire', orderId: 3, age: 1, leave: 'kill' },
    { type: 'pool.retire', orderId: 4, age: 99, leave: 'kill' },
  );
  assert.deepEqual(pool.ends, ['done 1', 'refused 2', 'done 3', 'refused 4']);
  pool.pass(500);
  assert.deepEqual(pool.fleet, ['2: g1 s1 ready', '3: g1 s0 ready']);
});

test('a candidate told to leave fails its reload', () => {
  const pool = running();
  pool.tell({ type: 'pool.replace', orderId: 1, generation: generation(2) });
  pool.pass(500);
  pool.tell({ type: 'pool.retire', orderId: 2, age: 3, leave: 'drain' });
  pool.pass(100);
  assert.deepEqual(pool.ends, ['done 2', 'failed 1']);
});

test('stop wins everywhere: what is pending is refused, and nothing is taken any more', () => {
  const pool = running();
  pool.tell({ type: 'pool.scale', orderId: 1, target: 5 });
  pool.tell({ type: 'pool.replace', orderId: 2, generation: generation(2) });
  pool.tell({ type: 'pool.stop', orderId: 3, leave: 'drain' });
  assert.deepEqual(pool.ends, ['refused 2', 'refused 1']);
  pool.tell(
    { type: 'pool.scale', orderId: 4, target: 5 },
    { type: 'pool.replace', orderId: 5, generation: generation(3) },
    { type: 'pool.retire', orderId: 6, age: 1, leave: 'kill' },
  );
  assert.deepEqual(pool.ends.slice(2), ['refused 4', 'refused 5', 'refused 6']);
  pool.tell({ type: 'pool.stop', orderId: 7, leave: 'quit' });
  pool.pass(1000);
  assert.equal(pool.heard.at(-1)?.type, 'pool.stopped');
  assert.equal(pool.state, '"stopped"');
});

/** A pool of two whose reload, order 1, stands and waits for the order to commit. */
function standing() {
  const pool = running();
  pool.tell({ type: 'pool.replace', orderId: 1, generation: generation(2), hold: true });
  pool.pass(1100);
  assert.match(pool.state, /standing/);
  assert.deepEqual(pool.ends, ['standing 1']);
  return pool;
}

test('a reload that is held stands until it is told to commit, and then rolls over', () => {
  const pool = standing();
  pool.pass(60_000);
  assert.deepEqual(pool.fleet, ['1: g1 s0 ready', '2: g1 s1 ready', '3: g2 s0 ready']);
  pool.tell({ type: 'pool.commit', orderId: 9 });
  assert.match(pool.state, /standing/, 'the order of another is none of its business');
  pool.tell({ type: 'pool.commit', orderId: 1 });
  pool.pass(1000);
  assert.deepEqual(pool.ends, ['standing 1', 'done 1']);
  assert.deepEqual(pool.fleet, ['3: g2 s0 ready', '4: g2 s1 ready']);
  pool.tell({ type: 'pool.commit', orderId: 1 }, { type: 'pool.abandon', orderId: 1, fault: broken });
  assert.deepEqual(pool.ends, ['standing 1', 'done 1'], 'too late for either');
});

test('a reload that is given up while it stands, or before, leaves nothing behind', () => {
  const pool = standing();
  pool.tell({ type: 'pool.abandon', orderId: 1, fault: broken });
  pool.pass(1000);
  assert.deepEqual(pool.ends, ['standing 1', 'refused 1']);
  assert.deepEqual([pool.fleet, pool.gone], [['1: g1 s0 ready', '2: g1 s1 ready'], [2]]);
  pool.tell({ type: 'pool.replace', orderId: 2, generation: generation(3), hold: true });
  pool.tell({ type: 'pool.abandon', orderId: 2, fault: broken });
  pool.pass(1000);
  assert.deepEqual(pool.ends.at(-1), 'refused 2');
  assert.match(pool.state, /settled/);
});

test('a candidate that is lost while it stands fails the reload; a target that grows asks for more', () => {
  const pool = standing();
  pool.processes.get(3)?.({ type: 'process.exited', code: 1, signal: null });
  pool.pass(1000);
  assert.deepEqual(pool.ends, ['standing 1', 'failed 1']);
  const other = running(2, generation(1));
  const half = generation(2, { surge: { percent: 50 } });
  other.tell({ type: 'pool.replace', orderId: 1, generation: half, hold: true });
  other.pass(1100);
  other.tell({ type: 'pool.scale', orderId: 2, target: 4 });
  assert.match(other.state, /booting/);
  other.pass(1200);
  assert.deepEqual(other.ends, ['standing 1', 'standing 1']);
});

const exceeded = (limit: 'soft' | 'hard'): ProcessReport => ({
  type: 'process.swelled',
  limit,
  fault: { code: 'worker.overweight', message: 'too much' },
});

test('a child that is swollen goes on serving until its replacement is ready', () => {
  const pool = running(2);
  pool.pass(10_000);
  pool.processes.get(1)!(exceeded('soft'));
  assert.deepEqual(pool.fleet, ['1: g1 s0 ready', '2: g1 s1 ready', '3: g1 s0 starting']);
  pool.pass(100);
  assert.deepEqual(pool.fleet, ['1: g1 s0 leaving', '2: g1 s1 ready', '3: g1 s0 ready']);
});

test('children that swell as soon as they are ready are replaced ever more slowly, and go on serving', () => {
  const pool = running(1, generation(1, { workers: 1 }));
  const starts: number[] = [];
  for (let round = 0; round < 9; round++) {
    pool.processes.get(pool.started)!(exceeded('soft'));
    const [before, fromMs] = [pool.started, pool.clock.nowMs];
    while (pool.started === before) pool.pass(100);
    assert.match(pool.fleet[0]!, /ready/);
    starts.push(pool.clock.nowMs - fromMs);
    pool.pass(1200);
  }
  assert.deepEqual(starts, [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600]);
  // One that lasts clears the record.
  pool.pass(10_000);
  pool.processes.get(pool.started)!(exceeded('soft'));
  assert.match(pool.fleet.at(-1)!, /starting/);
});

test('all children hold too much memory at once: they are killed by halves', () => {
  const pool = running(2);
  pool.pass(10_000);
  for (const age of [1, 2]) pool.processes.get(age)!(exceeded('hard'));
  assert.deepEqual(pool.fleet.slice(0, 2), ['1: g1 s0 leaving', '2: g1 s1 ready']);
  pool.pass(99);
  assert.equal(pool.fleet[0], '2: g1 s1 ready');
  pool.pass(300);
  assert.deepEqual(pool.fleet, ['3: g1 s0 ready', '4: g1 s1 ready']);
});

test('children that leave for an uncaught error are replaced after a wait, as those that crash are', () => {
  const pool = running(1, generation(1, { workers: 1 }));
  for (const age of [1, 2, 3]) {
    pool.processes.get(age)!({ type: 'worker.draining', orderId: 0, cause: 'uncaught' });
    const before = pool.started;
    assert.match(pool.state, /coolingDown/);
    while (pool.started === before) pool.pass(100);
    pool.pass(200);
  }
  assert.match(pool.fleet.at(-1)!, /^4: .* ready/);
});

test('every transition has a test path, with those that chance finds', () => {
  for (let seed = 1; seed <= SEEDS_FOR_COVERAGE; seed++) simulate(seed, recorder.watch);
  for (const seed of RARE_SEEDS) simulate(seed, recorder.watch);
  const missed = [...transitionsOf(poolMachine)].filter((name) => !recorder.taken.has(name));
  assert.deepEqual(missed, []);
});
