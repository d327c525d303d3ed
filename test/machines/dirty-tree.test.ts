/** The arbiter's view of its dirty tree by paths: each order to the dirty arbiter ends once, whatever becomes of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createActor, fromCallback } from 'xstate';
import { childMachine, type ProcessInput } from '../../src/machines/child.ts';
import {
  DIRTY_PENDING_MAX,
  type DirtyLinkReport,
  type DirtyTreeOrder,
  type DirtyTreeReport,
  dirtyTreeMachine,
} from '../../src/machines/dirty-tree.ts';
import type { DirtyOrder } from '../../src/machines/events/dirty.ts';
import type { ProcessOrder, ProcessReport } from '../../src/machines/events/process.ts';
import type { WorkerReport } from '../../src/machines/events/worker.ts';
import { poolMachine } from '../../src/machines/pool.ts';
import { VirtualClock } from '../simulation/clock.ts';
import { dirtyGeneration, fault } from './arbiter-harness.ts';
import { probe } from './probe.ts';
import { transitionRecorder, transitionsOf } from './transitions.ts';

const recorder = transitionRecorder();
const ORDER_LIMIT_MS = 60_000;
const limits = {
  bootMs: 5000,
  timeoutMs: 0,
  graceMs: 1000,
  quitMs: 300,
  abortMs: 100,
  stableMs: 10_000,
  killAgainMs: 500,
};

type Say = (event: ProcessReport | WorkerReport) => void;

/** A dirty tree whose dirty arbiters boot after 100 ms, unless `broken`, and leave 50 ms after they are told. */
function tree({ broken = false } = {}) {
  const clock = new VirtualClock();
  const parent = probe<DirtyTreeReport>();
  const overLink: DirtyOrder[] = [];
  const processes = new Map<number, Say>();
  let link = (_report: DirtyLinkReport): void => {};
  let brokenNow = broken;
  let deaf = false;
  const actor = createActor(
    dirtyTreeMachine.provide({
      delays: { orderLimit: ORDER_LIMIT_MS },
      actors: {
        link: fromCallback<DirtyOrder>(({ sendBack, receive }) => {
          link = sendBack as typeof link;
          receive((order) => {
            overLink.push(order);
          });
        }),
        pool: poolMachine.provide({
          actors: {
            child: childMachine.provide({
              actors: {
                process: fromCallback<ProcessOrder, ProcessInput>(({ sendBack, receive, input }) => {
                  const { age, generation } = input;
                  const say = sendBack as Say;
                  processes.set(age, say);
                  const exit = (code: number): void => {
                    if (processes.delete(age)) say({ type: 'process.exited', code, signal: null });
                  };
                  say({ type: 'process.spawned', pid: 100 + age });
                  say({ type: 'worker.hello', protocol: 1, kind: 'dirtyArbiter', age, generation });
                  clock.setTimeout(() => {
                    if (!processes.has(age)) return;
                    if (!brokenNow) return say({ type: 'worker.ready' });
                    say({ type: 'worker.bootFailed', fault });
                    exit(4);
                  }, 100);
                  receive((order) => {
                    if (!deaf || order.type === 'process.signal') clock.setTimeout(() => exit(0), 50);
                  });
                }),
              },
            }),
          },
        }),
      },
    }),
    {
      clock,
      inspect: recorder.watch,
      input: {
        parent: parent.ref,
        generation: { number: 1, limits, surge: { count: 1 }, settleMs: 0, workers: 1 },
      },
    },
  );
  actor.start();
  return {
    processes,
    overLink,
    clock,
    break: (value: boolean) => {
      brokenNow = value;
    },
    crash(age: number) {
      const say = processes.get(age)!;
      processes.delete(age);
      say({ type: 'process.exited', code: 1, signal: null });
    },
    deafen: () => {
      deaf = true;
    },
    pass(ms: number) {
      const untilMs = clock.nowMs + ms;
      while (clock.step(untilMs));
    },
    tell(...orders: DirtyTreeOrder[]) {
      for (const order of orders) actor.send(order);
    },
    link(...reports: DirtyLinkReport[]) {
      for (const report of reports) link(report);
    },
    send: actor.send.bind(actor),
    get heard() {
      return parent.heard;
    },
    get ends() {
      return parent.heard.flatMap((report) =>
        'orderId' in report ? [`${report.type.slice(6)} ${report.orderId}`] : [],
      );
    },
    /** The codes of the faults that were told. */
    get faults() {
      return parent.heard.flatMap((report) => ('fault' in report ? [report.fault.code] : []));
    },
    get pending() {
      return actor.getSnapshot().context.pending.map(({ orderId }) => orderId);
    },
    get state() {
      return JSON.stringify(actor.getSnapshot().value);
    },
    get passed() {
      return overLink.map((order) => order.type.slice(6));
    },
  };
}

type Tree = ReturnType<typeof tree>;

function up(): Tree {
  const one = tree();
  one.pass(100);
  one.link({ type: 'link.up', orderId: 0 });
  return one;
}

const scale = (orderId: number): DirtyTreeOrder => ({ type: 'dirty.scale', orderId, by: 1 });
const replace = (orderId: number): DirtyTreeOrder => ({
  type: 'dirty.replace',
  orderId,
  generation: dirtyGeneration(orderId),
});
const retire = (orderId: number): DirtyTreeOrder => ({
  type: 'dirty.retire',
  orderId,
  age: 1,
  leave: 'drain',
});
const cancel = (orderId: number): DirtyTreeOrder => ({ type: 'dirty.cancel', orderId, call: 7 });
const commit = (orderId: number): DirtyTreeOrder => ({ type: 'dirty.commit', orderId });
const abandon = (orderId: number): DirtyTreeOrder => ({ type: 'dirty.abandon', orderId, fault });
const every = (first: number): DirtyTreeOrder[] => [
  scale(first),
  replace(first + 1),
  retire(first + 2),
  cancel(first + 3),
];
const done = (orderId: number): DirtyLinkReport => ({ type: 'dirty.done', orderId, replaced: 2 });
const refused = (orderId: number): DirtyLinkReport => ({ type: 'dirty.refused', orderId, fault });
const failed = (orderId: number): DirtyLinkReport => ({
  type: 'dirty.failed',
  orderId,
  fault,
  replaced: 0,
  remaining: 2,
});
const superseded = (orderId: number): DirtyLinkReport => ({ type: 'dirty.superseded', orderId, by: 9 });
const standing = (orderId: number): DirtyLinkReport => ({ type: 'dirty.standing', orderId });
const committed = (orderId: number): DirtyLinkReport => ({ type: 'dirty.committed', orderId });
const taken = (orderId: number): DirtyLinkReport => ({
  type: 'dirty.taken',
  orderId,
  previous: 2,
  total: 3,
  workers: 3,
});

/** A tree whose reload, order 1, is committed and rolled over. */
function rolling(): Tree {
  const one = up();
  one.tell(replace(1));
  one.link(standing(1));
  one.tell(commit(1));
  one.link(committed(1));
  assert.deepEqual(one.passed, ['replace', 'commit']);
  assert.deepEqual(one.ends, ['standing 1', 'committed 1']);
  return one;
}

test('it keeps one dirty arbiter alive, and tells when the first is ready', () => {
  const one = tree();
  assert.match(one.state, /down/);
  one.pass(100);
  assert.deepEqual(one.heard, [{ type: 'dirty.opened' }]);
  one.link({ type: 'link.up', orderId: 0 });
  assert.match(one.state, /up/);
});

test('a first dirty arbiter that cannot boot is told, and is the last', () => {
  const one = tree({ broken: true });
  one.pass(1000);
  assert.deepEqual(
    one.heard.map(({ type }) => type),
    ['dirty.openFailed', 'dirty.stopped'],
  );
  assert.equal(one.state, '"stopped"');
});

test('one that dies is replaced, and a replacement that cannot boot is told and tried again', () => {
  const one = up();
  one.break(true);
  one.crash(1);
  one.link({ type: 'link.down', orderId: 0 });
  one.pass(300);
  assert.ok(one.heard.some(({ type }) => type === 'dirty.degraded'));
  one.break(false);
  one.pass(5000);
  assert.equal(one.processes.size, 1);
});

test('one that is leaving is not yet gone: there are never two of them', () => {
  const one = up();
  one.deafen();
  one.processes.get(1)?.({ type: 'worker.draining', orderId: 0, cause: 'terminated' });
  one.pass(900);
  assert.deepEqual([...one.processes.keys()], [1]);
  one.pass(500);
  assert.deepEqual([...one.processes.keys()], [2]);
});

test('an order goes over the link, and its answers come back, whatever they are', () => {
  for (const [say, end] of [
    [done, 'done 1'],
    [refused, 'refused 1'],
    [failed, 'failed 1'],
    [superseded, 'superseded 1'],
  ] as const)
    for (const order of [scale(1), replace(1), retire(1), cancel(1)]) {
      const one = up();
      one.tell(order);
      assert.deepEqual([one.overLink, one.pending], [[order], [1]]);
      one.link(taken(1), say(1), say(1), taken(1));
      assert.deepEqual([one.ends, one.pending], [['taken 1', end], []]);
      assert.equal(one.clock.pending, 1, 'no limit is left, but for the time until the child is stable');
    }
});

test('what a signal asked of the dirty arbiter, or what has ended, is told nobody', () => {
  const one = up();
  one.link(...[done, refused, failed, superseded, standing, committed, taken].map((say) => say(0)));
  one.tell(commit(0), abandon(5));
  assert.deepEqual([one.ends, one.overLink], [[], []]);
});

test('while no dirty arbiter is ready orders fail at once', () => {
  const one = tree();
  one.tell(scale(1), retire(2), cancel(3), commit(2), abandon(2));
  assert.deepEqual(one.ends, ['failed 1', 'failed 2', 'failed 3']);
  assert.deepEqual([new Set(one.faults), one.overLink], [new Set(['dirty.down']), []]);
  one.link(done(1), refused(1), failed(1), superseded(1), standing(1), committed(1), taken(1));
  one.link({ type: 'link.down', orderId: 1 });
  assert.equal(one.ends.length, 3);
});

/** A tree whose dirty arbiters fail to boot, and which waits before it starts the next one. */
function failing(): Tree {
  const one = up();
  one.break(true);
  one.crash(1);
  one.link({ type: 'link.down', orderId: 0 });
  one.pass(300);
  assert.ok(one.heard.some(({ type }) => type === 'dirty.degraded'));
  assert.equal(one.processes.size, 0);
  return one;
}

test('a reload while there is no dirty arbiter starts the next one at once, and stands or has failed as a whole', () => {
  const one = failing();
  one.break(false);
  one.tell(replace(1));
  assert.deepEqual([one.processes.size, one.ends, one.passed], [1, [], ['replace']]);
  one.link({ type: 'link.up', orderId: 1 });
  assert.deepEqual([one.ends, one.pending], [['standing 1'], [1]]);
  one.tell(commit(1));
  assert.deepEqual([one.ends.slice(1), one.pending], [['committed 1', 'done 1'], []]);
  assert.deepEqual(one.passed, ['replace', 'commit']);
});

test('one that cannot be started with it fails the reload, with its reason', () => {
  const one = failing();
  one.tell(replace(1));
  one.pass(150);
  one.link({ type: 'link.down', orderId: 1 });
  assert.deepEqual([one.ends, one.pending], [['failed 1'], []]);
  assert.deepEqual(one.faults.at(-1), fault.code);
});

test('one that was on its way already tries it as any other', () => {
  const one = tree();
  one.tell(replace(1));
  one.link({ type: 'link.up', orderId: 0 }, standing(1));
  one.tell(commit(1));
  one.link(committed(1), done(1));
  assert.deepEqual(
    [one.ends, one.passed],
    [
      ['standing 1', 'committed 1', 'done 1'],
      ['replace', 'commit'],
    ],
  );
});

test('what it was started with can be given up, before it is up and after', () => {
  for (const isUp of [false, true]) {
    const one = failing();
    one.tell(replace(1));
    if (isUp) one.link({ type: 'link.up', orderId: 1 });
    one.tell(abandon(1));
    assert.deepEqual([one.ends.at(-1), one.pending, one.passed], ['failed 1', [], ['replace', 'abandon']]);
    one.link({ type: 'link.down', orderId: 1 });
    assert.equal(one.ends.filter((end) => end === 'failed 1').length, 1);
  }
});

test('a newer reload is tried in place of what it was started with and that is not committed', () => {
  const one = failing();
  one.break(false);
  one.tell(replace(1));
  one.link({ type: 'link.up', orderId: 1 });
  one.tell(replace(2));
  assert.deepEqual(one.ends, ['standing 1', 'superseded 1']);
  assert.deepEqual(one.pending, [2]);
  one.tell(commit(1), abandon(1));
  one.link(standing(2), committed(2), done(2));
  assert.deepEqual(one.ends.slice(2), ['standing 2', 'committed 2', 'done 2']);
  one.pass(ORDER_LIMIT_MS);
  assert.equal(one.ends.length, 5);
});

test('its death before the commit fails the reload', () => {
  const one = failing();
  one.tell(replace(1));
  one.link({ type: 'link.up', orderId: 1 }, { type: 'link.down', orderId: 1 });
  assert.deepEqual([one.ends, one.pending], [['standing 1', 'failed 1'], []]);
});

test('another reload takes its place; one that is committed goes on', () => {
  const one = rolling();
  one.link({ type: 'link.down', orderId: 0 });
  one.tell(replace(2), replace(3));
  assert.deepEqual([one.ends.slice(2), one.pending], [['superseded 2'], [1, 3]]);
  one.link({ type: 'link.up', orderId: 3 });
  assert.deepEqual([one.ends.slice(3), one.pending], [['done 1', 'standing 3'], [3]]);
});

test('one that never comes fails with its limit, and is given up', () => {
  const one = failing();
  one.tell(replace(1));
  one.pass(ORDER_LIMIT_MS);
  assert.deepEqual([one.ends, one.passed], [['failed 1'], ['replace', 'abandon']]);
  assert.equal(one.faults.at(-1), 'dirty.overdue');
});

test('its death answers what it was asked', () => {
  const one = up();
  one.tell(...every(1));
  one.link({ type: 'link.down', orderId: 0 });
  assert.deepEqual(one.ends, ['failed 1', 'failed 2', 'failed 3', 'failed 4']);
  assert.deepEqual(new Set(one.faults), new Set(['dirty.died']));
  one.pass(ORDER_LIMIT_MS);
  one.link(
    { type: 'link.up', orderId: 0 },
    { type: 'link.up', orderId: 0 },
    { type: 'link.down', orderId: 0 },
    { type: 'link.down', orderId: 0 },
  );
  assert.equal(one.ends.length, 4);
});

test('an order to commit that is still on its way commits nothing: the death of the dirty arbiter fails the reload', () => {
  const one = up();
  one.tell(replace(1));
  one.link(standing(1));
  one.tell(commit(1));
  one.link({ type: 'link.down', orderId: 0 });
  assert.deepEqual(one.ends, ['standing 1', 'failed 1']);
});

test('a reload that is committed goes on with the next dirty arbiter, which starts with its generation', () => {
  const one = rolling();
  one.tell(scale(2));
  one.link({ type: 'link.down', orderId: 0 });
  assert.deepEqual([one.ends.slice(2), one.pending], [['failed 2'], [1]]);
  one.link({ type: 'link.up', orderId: 0 });
  assert.deepEqual(one.ends.slice(2), ['failed 2', 'done 1']);
});

test('one that was told to leave from outside refuses what it was rolling over; its successor is of that generation', () => {
  const one = rolling();
  one.link(refused(1));
  assert.deepEqual(one.pending, [1]);
  one.link({ type: 'link.down', orderId: 0 }, { type: 'link.up', orderId: 0 });
  assert.deepEqual(one.ends.slice(2), ['done 1']);
});

test('a committed reload ends also where the dirty arbiter says so itself, or never comes back', () => {
  for (const [say, end] of [
    [done, 'done 1'],
    [failed, 'failed 1'],
    [superseded, 'superseded 1'],
  ] as const) {
    const one = rolling();
    one.link(say(1), { type: 'link.down', orderId: 0 }, { type: 'link.up', orderId: 0 });
    assert.deepEqual(one.ends.slice(2), [end]);
  }
  const one = rolling();
  one.link({ type: 'link.down', orderId: 0 });
  one.pass(ORDER_LIMIT_MS);
  assert.deepEqual([one.ends.slice(2), one.faults], [['failed 1'], ['dirty.overdue']]);
});

test('a reload is given up as the arbiter says', () => {
  const one = up();
  one.tell(replace(1), abandon(1));
  one.link(refused(1));
  assert.deepEqual([one.passed, one.ends], [['replace', 'abandon'], ['refused 1']]);
});

test('an order that is never answered fails, and its trial is given up', () => {
  const one = up();
  one.tell(scale(1), replace(2));
  one.pass(ORDER_LIMIT_MS);
  assert.deepEqual(
    [one.ends, one.faults],
    [
      ['failed 1', 'failed 2'],
      ['dirty.overdue', 'dirty.overdue'],
    ],
  );
  assert.deepEqual(one.passed, ['scale', 'replace', 'abandon', 'abandon']);
  one.link(done(1), standing(2));
  assert.equal(one.ends.length, 2);
});

test('a reload that moves is not overdue', () => {
  const one = up();
  one.tell(replace(1));
  one.pass(ORDER_LIMIT_MS - 1);
  one.link(standing(1));
  one.pass(ORDER_LIMIT_MS - 1);
  one.link(committed(1));
  one.pass(ORDER_LIMIT_MS - 1);
  assert.deepEqual(one.ends, ['standing 1', 'committed 1']);
  one.pass(1);
  assert.deepEqual(one.ends.at(-1), 'failed 1');
});

test('a reload is refused beyond the bound also where there is no dirty arbiter', () => {
  const one = up();
  for (let orderId = 1; orderId <= DIRTY_PENDING_MAX; orderId++) {
    one.tell(replace(orderId));
    one.link(committed(orderId));
  }
  one.link({ type: 'link.down', orderId: 0 });
  one.tell(replace(1000));
  assert.deepEqual([one.ends.at(-1), one.faults], ['refused 1000', ['order.tooMany']]);
});

test('orders are taken up to a bound', () => {
  for (const order of [scale, replace, retire, cancel]) {
    const one = up();
    for (let orderId = 1; orderId <= DIRTY_PENDING_MAX; orderId++) one.tell(cancel(orderId));
    one.tell(order(1000));
    assert.deepEqual([one.ends, one.faults], [['refused 1000'], ['order.tooMany']]);
    one.link(done(1));
    one.tell(order(1001));
    assert.deepEqual(one.ends.at(-1), 'done 1');
  }
});

test('stop wins: what is pending is refused, and a second order hastens', () => {
  const one = rolling();
  one.deafen();
  one.tell(scale(2), { type: 'dirty.stop', leave: 'drain' });
  assert.deepEqual(one.ends.slice(2), ['refused 1', 'refused 2']);
  one.tell(...every(3), commit(1), abandon(1));
  assert.deepEqual(one.ends.slice(4), ['refused 3', 'refused 4', 'refused 5', 'refused 6']);
  assert.deepEqual(new Set(one.faults), new Set(['order.stopping']));
  one.link(done(1), refused(1), failed(1), superseded(1), standing(1), committed(1), taken(1));
  one.link({ type: 'link.down', orderId: 0 }, { type: 'link.up', orderId: 0 });
  one.pass(300);
  assert.equal(one.processes.size, 1);
  one.tell({ type: 'dirty.stop', leave: 'kill' });
  one.pass(100);
  assert.equal(one.state, '"stopped"');
  assert.deepEqual(one.heard.at(-1), { type: 'dirty.stopped' });
  assert.equal(one.ends.length, 8);
  assert.equal(one.clock.pending, 0);
});

test('what the pool of one never says, and limits of orders that have ended, change nothing', () => {
  const one = up();
  for (const type of ['done', 'refused', 'failed', 'superseded', 'standing'] as const)
    one.send({ type: `pool.${type}`, orderId: 1, replaced: 0, remaining: 0, by: 2, fault });
  one.send({ type: 'pool.committed', orderId: 1, generation: 1, workers: 1 });
  one.send({ type: 'pool.generationGone', generation: 1 });
  one.send({ type: 'order.overdue', orderId: 1 });
  one.link({ type: 'link.down', orderId: 0 });
  one.send({ type: 'order.overdue', orderId: 1 });
  one.deafen();
  one.tell({ type: 'dirty.stop', leave: 'drain' });
  one.send({ type: 'order.overdue', orderId: 1 });
  assert.deepEqual(one.ends, []);
});

test('every transition has a test path', () => {
  const missed = [...transitionsOf(dirtyTreeMachine)].filter((name) => !recorder.taken.has(name));
  assert.deepEqual(missed, []);
});
