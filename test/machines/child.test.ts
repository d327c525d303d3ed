/** The child machine by paths: each test is one life, and together they take every transition there is. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createActor, fromCallback } from 'xstate';
import { type ChildTitle, childMachine, type ProcessInput } from '../../src/machines/child.ts';
import type { ChildOrder, ChildReport } from '../../src/machines/events/child.ts';
import type { ProcessOrder, ProcessReport } from '../../src/machines/events/process.ts';
import type { WorkerReport } from '../../src/machines/events/worker.ts';
import { VirtualClock } from '../simulation/clock.ts';
import { probe } from './probe.ts';
import { transitionRecorder, transitionsOf } from './transitions.ts';

const recorder = transitionRecorder();
const LIMITS = {
  bootMs: 1000,
  timeoutMs: 500,
  graceMs: 2000,
  quitMs: 300,
  abortMs: 200,
  stableMs: 5000,
  killAgainMs: 400,
};
const hello: WorkerReport = { type: 'worker.hello', protocol: 1, kind: 'web', age: 7, generation: 2 };
const ready: WorkerReport = { type: 'worker.ready' };
const spawned: ProcessReport = { type: 'process.spawned', pid: 4711 };
const exited = (code: number | null, signal: string | null = null): ProcessReport => ({
  type: 'process.exited',
  code,
  signal,
});
const loadFault = { code: 'app.loadFailed', message: 'no such module' } as const;

function life(limits: Partial<typeof LIMITS> = {}, title: ChildTitle = 'worker') {
  const clock = new VirtualClock();
  const parent = probe<ChildReport>();
  const orders: ProcessOrder[] = [];
  let tell = (_event: ProcessReport | WorkerReport): void => {};
  const actor = createActor(
    childMachine.provide({
      actors: {
        process: fromCallback<ProcessOrder, ProcessInput>(({ sendBack, receive }) => {
          tell = sendBack as typeof tell;
          receive((order) => {
            orders.push(order);
          });
        }),
      },
    }),
    {
      clock,
      inspect: recorder.watch,
      input: {
        title,
        age: 7,
        slot: 1,
        generation: 2,
        limits: { ...LIMITS, ...limits },
        parent: parent.ref,
      },
    },
  );
  actor.start();
  return {
    /** What the process or the worker in it says, one after the other. */
    hears(...events: (ProcessReport | WorkerReport)[]) {
      for (const event of events) tell(event);
    },
    told(...events: ChildOrder[]) {
      for (const event of events) actor.send(event);
    },
    pass(ms: number) {
      const untilMs = clock.nowMs + ms;
      while (clock.step(untilMs));
    },
    get state() {
      return actor.getSnapshot().value;
    },
    get asked() {
      return orders.map((order) => (order.type === 'process.signal' ? order.signal : order.type));
    },
    get reports() {
      return parent.heard.map((report) => report.type.replace('child.', ''));
    },
    get end() {
      const last = parent.heard.at(-1);
      assert.equal(last?.type, 'child.exited');
      const { type: _, ...exit } = last as Extract<ChildReport, { type: 'child.exited' }>;
      return exit;
    },
    pending: () => clock.pending,
  };
}

test('a sound life: spawned, ready, stable, drained, reaped', () => {
  const child = life();
  child.hears(spawned, hello);
  assert.deepEqual(child.state, { alive: { starting: 'booting' } });
  child.hears(ready);
  assert.deepEqual(child.state, { alive: { ready: 'fresh' } });
  child.pass(5000);
  assert.deepEqual(child.state, { alive: { ready: 'stable' } });
  child.told({ type: 'child.drain', orderId: 3 });
  child.hears(
    { type: 'worker.draining', orderId: 3, cause: 'ordered' },
    { type: 'worker.drained', cut: 0 },
    exited(0),
  );
  assert.deepEqual(child.asked, ['worker.drain']);
  assert.deepEqual(child.reports, ['spawned', 'ready', 'stable', 'leaving', 'exited']);
  assert.deepEqual(child.end, {
    age: 7,
    pid: 4711,
    phase: 'leaving',
    cause: 'ordered',
    stable: true,
    code: 0,
    signal: null,
    fault: undefined,
  });
  assert.equal(child.pending(), 0);
});

test('a process that cannot be spawned is reaped with the reason', () => {
  const child = life();
  child.hears({ type: 'process.spawnFailed', fault: { code: 'process.spawnFailed', message: 'EAGAIN' } });
  assert.equal(child.end.fault?.message, 'EAGAIN');
  assert.equal(child.end.phase, 'starting');
});

test('a crash while ready is told with its last words', () => {
  const child = life();
  child.hears(spawned, hello, ready);
  child.hears({ type: 'worker.lastWords', fault: { code: 'worker.uncaught', message: 'boom' } }, exited(1));
  assert.deepEqual(
    [child.end.phase, child.end.cause, child.end.stable, child.end.fault?.message],
    ['ready', 'crashed', false, 'boom'],
  );
});

test('not ready within the boot limit: killed, and the limit is the reason', () => {
  for (const before of [[spawned], [spawned, hello]]) {
    const child = life();
    child.hears(...before);
    child.pass(1000);
    assert.deepEqual(child.state, { alive: 'killing' });
    child.hears(exited(null, 'SIGKILL'));
    assert.deepEqual([child.end.cause, child.end.fault?.code], ['bootTimeout', 'boot.timeout']);
  }
});

test('what is no worker is named in the reason: the end of a server is told by it alone', () => {
  const child = life({}, 'dirty worker');
  child.hears(spawned);
  child.pass(1000);
  child.hears(exited(null, 'SIGKILL'));
  assert.equal(child.end.fault?.message, 'the dirty worker was not ready within 1 s (--boot-timeout)');
});

test('without a boot limit it may boot for ever', () => {
  const child = life({ bootMs: 0 });
  child.hears(spawned, hello);
  child.pass(1e9);
  assert.deepEqual(child.state, { alive: { starting: 'booting' } });
});

test('a failed boot: it may end by itself, and is killed if it does not', () => {
  const child = life();
  child.hears(spawned, hello, { type: 'worker.bootFailed', fault: loadFault });
  assert.deepEqual(child.state, { alive: 'quitting' });
  child.pass(300);
  assert.deepEqual(child.state, { alive: 'killing' });
  child.hears(exited(null, 'SIGKILL'));
  assert.deepEqual([child.end.cause, child.end.fault], ['bootFailed', loadFault]);
});

test('told to leave while booting: it may end by itself, without a grace', () => {
  for (const type of ['child.drain', 'child.quit'] as const) {
    const child = life();
    child.hears(spawned, hello);
    child.told({ type, orderId: 1 });
    assert.deepEqual([child.state, child.asked], [{ alive: 'quitting' }, ['worker.quit']]);
    child.hears(exited(0));
    assert.equal(child.end.cause, 'ordered');
  }
});

test('told to leave before it has spoken: killed at once, since no code of the app runs yet', () => {
  for (const type of ['child.drain', 'child.quit'] as const) {
    const child = life();
    child.hears(spawned);
    child.told({ type, orderId: 1 });
    assert.deepEqual([child.state, child.asked], [{ alive: 'killing' }, ['SIGKILL']]);
    child.hears(exited(null, 'SIGKILL'));
    assert.equal(child.end.cause, 'ordered');
  }
});

test('TERM from outside while starting', () => {
  const child = life();
  child.hears(spawned, hello, { type: 'worker.draining', orderId: 0, cause: 'terminated' }, exited(0));
  assert.equal(child.end.cause, 'terminated');
});

test('TERM from outside while ready drains it', () => {
  const child = life();
  child.hears(spawned, hello, ready, { type: 'worker.draining', orderId: 0, cause: 'terminated' });
  assert.deepEqual(child.state, { alive: 'draining' });
  child.hears(exited(0));
  assert.equal(child.end.cause, 'terminated');
});

test('silent while ready: SIGABRT, then SIGKILL, then SIGKILL again, until it is reaped', () => {
  const child = life();
  child.hears(spawned, hello, ready, { type: 'process.silent', silentMs: 501 });
  assert.deepEqual([child.state, child.asked], [{ alive: 'aborting' }, ['SIGABRT']]);
  child.pass(200);
  assert.deepEqual(child.asked, ['SIGABRT', 'SIGKILL']);
  child.pass(800);
  assert.deepEqual(child.asked, ['SIGABRT', 'SIGKILL', 'SIGKILL', 'SIGKILL']);
  child.hears(exited(null, 'SIGKILL'));
  assert.equal(child.end.cause, 'hung');
});

test('silent while draining: the heartbeat limit still holds', () => {
  const child = life();
  child.hears(spawned, hello, ready);
  child.told({ type: 'child.drain', orderId: 1 });
  child.hears({ type: 'process.silent', silentMs: 501 });
  assert.deepEqual(child.state, { alive: 'aborting' });
});

test('a quick stop does not wait for an aborting one', () => {
  const child = life();
  child.hears(spawned, hello, ready, { type: 'process.silent', silentMs: 501 });
  child.told({ type: 'child.quit', orderId: 2 });
  assert.deepEqual(child.asked, ['SIGABRT', 'SIGKILL']);
});

test('the ladder: drain, hastened to quit, then killed', () => {
  const child = life();
  child.hears(spawned, hello, ready);
  child.told({ type: 'child.drain', orderId: 1 });
  child.told({ type: 'child.quit', orderId: 2 });
  child.pass(300);
  assert.deepEqual(child.asked, ['worker.drain', 'worker.quit', 'SIGKILL']);
});

test('a drain that outlasts the grace is killed', () => {
  const child = life();
  child.hears(spawned, hello, ready);
  child.told({ type: 'child.drain', orderId: 1 });
  child.pass(1999);
  assert.deepEqual(child.state, { alive: 'draining' });
  child.pass(1);
  assert.deepEqual(child.state, { alive: 'killing' });
});

test('quit and kill while ready', () => {
  const quit = life();
  quit.hears(spawned, hello, ready);
  quit.told({ type: 'child.quit', orderId: 1 });
  assert.deepEqual([quit.state, quit.asked], [{ alive: 'quitting' }, ['worker.quit']]);
  const kill = life();
  kill.hears(spawned, hello, ready);
  kill.told({ type: 'child.kill', orderId: 1 }, { type: 'child.kill', orderId: 2 });
  assert.deepEqual(kill.asked, ['SIGKILL']);
});

test('a broken link: killed, once, with the reason', () => {
  const child = life();
  const broken: ProcessReport = {
    type: 'process.linkBroken',
    fault: { code: 'link.mismatch', message: 'garbage' },
  };
  child.hears(spawned, hello, broken, broken);
  assert.deepEqual(child.asked, ['SIGKILL']);
  child.hears(exited(null, 'SIGKILL'));
  assert.deepEqual([child.end.cause, child.end.fault?.message], ['linkBroken', 'garbage']);
});

test('max-requests are passed on, and it goes on serving', () => {
  const child = life();
  child.hears(spawned, hello, ready, { type: 'worker.recycleDue', requests: 10 });
  assert.deepEqual(child.state, { alive: { ready: 'fresh' } });
  assert.deepEqual(child.reports, ['spawned', 'ready', 'recycleDue']);
});

const exceeded = (limit: 'soft' | 'hard'): ProcessReport => ({
  type: 'process.swelled',
  limit,
  fault: { code: 'worker.overweight', message: `it passes its ${limit} limit` },
});

test('more memory than the soft limit: it goes on serving until it is replaced', () => {
  const child = life();
  child.hears(spawned, hello, ready, exceeded('soft'));
  assert.deepEqual(child.state, { alive: { ready: 'fresh' } });
  assert.deepEqual(child.reports, ['spawned', 'ready', 'recycleDue']);
});

test('more memory than the hard limit: the pool says when it is killed, and that is the reason', () => {
  const child = life();
  child.hears(spawned, hello, ready, exceeded('hard'), exceeded('hard'));
  assert.deepEqual(child.state, { alive: { ready: 'fresh' } });
  assert.deepEqual(child.reports, ['spawned', 'ready', 'overweight', 'overweight']);
  child.told({ type: 'child.kill', orderId: 0 });
  assert.deepEqual(child.asked, ['SIGKILL']);
  child.hears(exited(null, 'SIGKILL'));
  assert.deepEqual([child.end.cause, child.end.fault?.message], ['overweight', 'it passes its hard limit']);
});

test('more memory than the hard limit, but killed by an operator: that was the operator', () => {
  const child = life();
  child.hears(spawned, hello, ready, exceeded('hard'));
  child.told({ type: 'child.kill', orderId: 9 });
  child.hears(exited(null, 'SIGKILL'));
  assert.deepEqual([child.end.cause, child.end.fault], ['ordered', undefined]);
});

test('more memory than the hard limit where it serves nobody new: killed at once', () => {
  for (const before of [
    [spawned, hello],
    [spawned, hello, ready],
  ]) {
    const child = life();
    child.hears(...before);
    if (before.includes(ready)) child.told({ type: 'child.drain', orderId: 1 });
    child.hears(exceeded('soft'));
    assert.ok(!child.asked.includes('SIGKILL'));
    child.hears(exceeded('hard'));
    assert.deepEqual(child.state, { alive: 'killing' });
    child.hears(exited(null, 'SIGKILL'), exceeded('hard'));
    assert.equal(child.end.fault?.code, 'worker.overweight');
  }
});

test('an uncaught error that lets what is in flight be answered: it drains, and is judged as a crash', () => {
  const child = life();
  const boom = { code: 'worker.uncaught', message: 'boom' } as const;
  child.hears(spawned, hello, ready, { type: 'worker.lastWords', fault: boom });
  child.hears({ type: 'worker.draining', orderId: 0, cause: 'uncaught' });
  assert.deepEqual(child.state, { alive: 'draining' });
  child.hears(exited(1));
  assert.deepEqual([child.end.cause, child.end.fault, child.end.code], ['uncaught', boom, 1]);
});

test('what is said too late or twice changes nothing', () => {
  const child = life();
  child.hears(spawned, hello, ready);
  child.told({ type: 'child.kill', orderId: 1 });
  child.hears(
    hello,
    ready,
    { type: 'worker.bootFailed', fault: loadFault },
    { type: 'worker.recycleDue', requests: 1 },
    { type: 'worker.draining', orderId: 0, cause: 'terminated' },
    { type: 'worker.drained', cut: 0 },
    { type: 'worker.notice', level: 'info', text: 'late' },
    { type: 'process.silent', silentMs: 900 },
    exceeded('hard'),
  );
  child.told({ type: 'child.drain', orderId: 2 }, { type: 'child.quit', orderId: 3 });
  assert.deepEqual([child.state, child.asked], [{ alive: 'killing' }, ['SIGKILL']]);
});

test('every transition has a test path', () => {
  const missed = [...transitionsOf(childMachine)].filter((name) => !recorder.taken.has(name));
  assert.deepEqual(missed, [], 'transitions without a test path');
});
