/** The worker machine by paths: each test is one life of a worker, and together they take every transition. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createActor, fromCallback, fromPromise } from 'xstate';
import type {
  WorkerInternal,
  WorkerOrder,
  WorkerReport,
  WorkerSpec,
} from '../../src/machines/events/worker.ts';
import { type AnyWorkerSpec, workerMachine } from '../../src/machines/worker.ts';
import { VirtualClock } from '../simulation/clock.ts';
import { transitionRecorder, transitionsOf } from './transitions.ts';

const recorder = transitionRecorder();
const spec: WorkerSpec = {
  age: 1,
  slot: 0,
  generation: 1,
  app: { spec: 'app.js', path: '/app.js' },
  listeners: [],
  backlog: 2048,
  idleGraceMs: 100,
  graceMs: 10_000,
  maxRequests: 0,
  heartbeatMs: 1000,
  dirty: null,
};
const boot: WorkerOrder = { type: 'worker.boot', spec };
const drain: WorkerOrder = { type: 'worker.drain', orderId: 5, graceMs: 2000 };
const quit: WorkerOrder = { type: 'worker.quit', orderId: 6, graceMs: 300 };
const terminated: WorkerInternal = { type: 'signals.terminated' };
const linkEnded: WorkerInternal = { type: 'link.ended' };

type Step = 'claim' | 'load' | 'drain' | 'close';

/** Promises that a test settles. */
class Stage {
  readonly begun: { step: Step; input: unknown }[] = [];
  #settlers = new Map<Step, { resolve(value: unknown): void; reject(error: unknown): void }>();

  actor<TOutput, TInput>(step: Step) {
    return fromPromise<TOutput, TInput>(
      ({ input }) =>
        new Promise<TOutput>((resolve, reject) => {
          this.begun.push({ step, input });
          this.#settlers.set(step, { resolve: resolve as (value: unknown) => void, reject });
        }),
    );
  }

  async done(step: Step, value?: unknown): Promise<void> {
    this.#settlers.get(step)?.resolve(value);
    await settled();
  }

  async failed(step: Step): Promise<void> {
    this.#settlers.get(step)?.reject(new Error(`${step} failed`));
    await settled();
  }
}

/** Lets promises and what hangs on them run. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function life(leavesByOrder = false) {
  const clock = new VirtualClock();
  const stage = new Stage();
  const reports: WorkerReport[] = [];
  const cuts: string[] = [];
  const actor = createActor(
    workerMachine.provide({
      actors: {
        link: fromCallback<WorkerReport>(({ receive }) =>
          receive((report) => {
            reports.push(report);
          }),
        ),
        signals: fromCallback(() => {}),
        server: fromCallback<{ type: 'server.cut' }, AnyWorkerSpec>(({ receive }) =>
          receive((event) => {
            cuts.push(event.type);
          }),
        ),
        heartbeat: fromCallback(() => {}),
        claim: stage.actor<void, AnyWorkerSpec>('claim'),
        load: stage.actor<void, AnyWorkerSpec>('load'),
        drain: stage.actor<{ cut: number }, { graceMs: number }>('drain'),
        close: stage.actor<void, { limitMs: number }>('close'),
      },
    }),
    {
      clock,
      inspect: recorder.watch,
      input: {
        bootOrderMs: 1000,
        leavesByOrder,
        faultOf: (error) => ({ code: 'app.loadFailed', message: (error as Error).message }),
      },
    },
  );
  actor.start();
  const worker = {
    stage,
    cuts,
    hears(...events: (WorkerOrder | WorkerInternal)[]) {
      for (const event of events) actor.send(event);
    },
    pass(ms: number) {
      const untilMs = clock.nowMs + ms;
      while (clock.step(untilMs));
    },
    async serving() {
      worker.hears(boot);
      await stage.done('claim');
      await stage.done('load');
      return worker;
    },
    get state() {
      const { status, value } = actor.getSnapshot();
      return status === 'done' ? 'gone' : JSON.stringify(value);
    },
    get exitCode() {
      return actor.getSnapshot().output?.exitCode;
    },
    get said() {
      return reports.map((report) => report.type.replace('worker.', ''));
    },
    last: () => reports.at(-1),
  };
  return worker;
}

test('a sound life: boot, claim, load, serve, drain, close, gone with 0', async () => {
  const worker = await life().serving();
  assert.match(worker.state, /serving/);
  worker.hears(drain);
  await worker.stage.done('drain', { cut: 2 });
  assert.deepEqual(worker.last(), { type: 'worker.drained', cut: 2 });
  await worker.stage.done('close');
  assert.deepEqual([worker.state, worker.exitCode], ['gone', 0]);
  assert.deepEqual(worker.said, ['ready', 'draining', 'drained']);
  assert.deepEqual(
    worker.stage.begun.map(({ step }) => step),
    ['claim', 'load', 'drain', 'close'],
  );
});

test('the order to boot does not come', () => {
  const worker = life();
  worker.pass(1000);
  assert.equal(worker.state, 'gone');
});

test('whoever wants it gone before it serves need not wait', async () => {
  for (const event of [drain, quit, linkEnded]) {
    const connecting = life();
    connecting.hears(event);
    assert.equal(connecting.state, 'gone');
    const claiming = life();
    claiming.hears(boot, event);
    assert.equal(claiming.state, 'gone');
    const loading = life();
    loading.hears(boot);
    await loading.stage.done('claim');
    loading.hears(event);
    assert.equal(loading.state, 'gone');
  }
});

test('TERM from outside before it serves is told, so that it does not count as a failed boot', async () => {
  const connecting = life();
  connecting.hears(terminated);
  assert.deepEqual([connecting.state, connecting.said], ['gone', ['draining']]);
  const loading = life();
  loading.hears(boot);
  await loading.stage.done('claim');
  loading.hears(terminated);
  assert.deepEqual([loading.state, loading.exitCode, loading.said], ['gone', 0, ['draining']]);
});

test('a socket in use or an app that fails is told before it goes, with the exit code of the fault', async () => {
  const claiming = life();
  claiming.hears(boot);
  await claiming.stage.failed('claim');
  assert.deepEqual([claiming.state, claiming.exitCode, claiming.said], ['gone', 4, ['bootFailed']]);
  const loading = life();
  loading.hears(boot);
  await loading.stage.done('claim');
  await loading.stage.failed('load');
  assert.deepEqual(loading.last(), {
    type: 'worker.bootFailed',
    fault: { code: 'app.loadFailed', message: 'load failed' },
  });
});

test('max-requests are told while it goes on serving', async () => {
  const worker = await life().serving();
  worker.hears({ type: 'server.recycleDue', requests: 100 });
  assert.match(worker.state, /serving/);
  assert.deepEqual(worker.last(), { type: 'worker.recycleDue', requests: 100 });
});

test('TERM from outside and the end of the link drain it within its own grace', async () => {
  for (const event of [terminated, linkEnded]) {
    const worker = await life().serving();
    worker.hears(event);
    assert.deepEqual(worker.last(), { type: 'worker.draining', orderId: 0, cause: 'terminated' });
    assert.deepEqual(worker.stage.begun.at(-1), { step: 'drain', input: { graceMs: 9000 } });
  }
});

test('TERM to one that leaves by order: it says so once and serves on until it is told to leave', async () => {
  for (const order of [drain, quit, linkEnded]) {
    const worker = await life(true).serving();
    worker.hears(terminated, terminated, { type: 'server.recycleDue', requests: 1 });
    assert.match(worker.state, /lingering/);
    assert.deepEqual(worker.last(), { type: 'worker.draining', orderId: 0, cause: 'terminated' });
    worker.hears(order);
    assert.match(worker.state, /draining/);
    assert.deepEqual(worker.cuts, order === quit ? ['server.cut'] : []);
    assert.deepEqual(worker.said, ['ready', 'draining']);
    const graceMs = { 'worker.drain': 1400, 'worker.quit': 210, 'link.ended': 9000 }[order.type as string];
    assert.deepEqual(worker.stage.begun.at(-1), { step: 'drain', input: { graceMs } });
  }
});

test('TERM to one that leaves by order, and the order never comes: it leaves within its own grace', async () => {
  const worker = await life(true).serving();
  worker.hears(terminated);
  worker.pass(8999);
  assert.match(worker.state, /lingering/);
  worker.pass(1);
  assert.deepEqual(worker.stage.begun.at(-1), { step: 'drain', input: { graceMs: 700 } });
  worker.pass(1000);
  assert.equal(worker.state, 'gone');
});

test('it is gone a little before its parent would kill it, whatever hangs', async () => {
  const draining = await life().serving();
  draining.hears(drain);
  draining.pass(1799);
  assert.match(draining.state, /draining/);
  draining.pass(1);
  assert.equal(draining.state, 'gone');
});

test('an uncaught error drains it within its own grace; it exits as Node.js would, and a second one changes nothing', async () => {
  const crashed: WorkerInternal = {
    type: 'app.crashed',
    fault: { code: 'worker.uncaught', message: 'boom' },
  };
  const worker = await life().serving();
  worker.hears(crashed, crashed);
  assert.deepEqual(worker.last(), { type: 'worker.draining', orderId: 0, cause: 'uncaught' });
  assert.deepEqual(worker.stage.begun.at(-1), { step: 'drain', input: { graceMs: 9000 } });
  await worker.stage.done('drain', { cut: 0 });
  await worker.stage.done('close');
  assert.deepEqual([worker.state, worker.exitCode], ['gone', 1]);
});

test('quit cuts, and closes the app', async () => {
  const worker = await life().serving();
  worker.hears(quit);
  assert.deepEqual(worker.cuts, ['server.cut']);
  await worker.stage.done('drain', { cut: 3 });
  await worker.stage.failed('close');
  assert.equal(worker.state, 'gone');
});

test('quit while draining hastens', async () => {
  const worker = await life().serving();
  worker.hears(drain, quit);
  assert.deepEqual(worker.cuts, ['server.cut']);
  assert.deepEqual(worker.stage.begun.at(-1), { step: 'drain', input: { graceMs: 210 } });
});

test('a drain that fails still closes the app', async () => {
  const worker = await life().serving();
  worker.hears(drain);
  await worker.stage.failed('drain');
  assert.match(worker.state, /closing/);
});

test('what is said too late or twice changes nothing', async () => {
  const worker = await life().serving();
  worker.hears(boot);
  assert.match(worker.state, /serving/);
  worker.hears(drain, drain, terminated, linkEnded, { type: 'server.recycleDue', requests: 1 });
  assert.match(worker.state, /draining/);
  assert.deepEqual(worker.said, ['ready', 'draining']);
});

test('every transition has a test path', () => {
  const missed = [...transitionsOf(workerMachine)].filter((name) => !recorder.taken.has(name));
  assert.deepEqual(missed, []);
});
