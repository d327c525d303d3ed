/** What a watched process tells of its machines: what was, as it was, in order, within bounds. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assign, createActor, setup } from 'xstate';
import { Outlet } from '../../src/actors/inspect/outlet.ts';
import { ActorNumbers, Probe } from '../../src/actors/inspect/probe.ts';
import type { LocalRecord } from '../../src/actors/inspect/records.ts';
import type { InspectReport } from '../../src/machines/events/inspect.ts';

type Counted = { type: 'tick'; by: { count: number } } | { type: 'both' };

const machine = setup({
  types: { context: {} as { count: number }, events: {} as Counted },
  actions: {
    add: assign({
      count: ({ context, event }) => context.count + (event.type === 'tick' ? event.by.count : 0),
    }),
    leave: () => {},
    enter: () => {},
  },
}).createMachine({
  id: 'counter',
  initial: 'idle',
  context: { count: 0 },
  states: {
    idle: { exit: 'leave', on: { tick: { actions: 'add' }, both: { target: 'busy', actions: 'add' } } },
    busy: { entry: 'enter' },
  },
});

function watched() {
  const records: LocalRecord[] = [];
  const root = createActor(machine).start();
  const probe = new Probe({
    root,
    numbers: new ActorNumbers(),
    tell: (record) => records.push(record),
    hasRoom: () => true,
    failed: (error) => assert.fail(error as Error),
  });
  probe.start();
  return { root, records };
}

test('an event that is sent again with something else in it is told each time as it was', () => {
  const { root, records } = watched();
  const event = { type: 'tick', by: { count: 1 } } as const satisfies Counted;
  root.send(event);
  (event.by as { count: number }).count = 2;
  root.send(event);
  (event.by as { count: number }).count = 3;
  const told = records.map((one) => ('event' in one ? [one.t, one.event] : one.t));
  const tick = (count: number) => ({ type: 'tick', by: { count } });
  assert.deepEqual(told, [
    'actor',
    ['event', tick(1)],
    ['step', tick(1)],
    ['event', tick(2)],
    ['step', tick(2)],
  ]);
  const contexts = records.flatMap((one) => (one.t === 'step' ? [one.context] : []));
  assert.deepEqual(contexts, [{ count: 1 }, { count: 3 }]);
});

test('a step names its actions as they were carried out: left, taken, entered', () => {
  const { root, records } = watched();
  root.send({ type: 'both' });
  const [step] = records.filter((one) => one.t === 'step');
  assert.deepEqual(step?.actions, ['leave', 'add', 'enter']);
  assert.equal(step?.value, 'busy');
});

const gone = (id: number): LocalRecord => ({ t: 'gone', at: id, id, status: 'done' });

/** An outlet whose link takes something only while it is open. */
function outletOf(whole: readonly LocalRecord[]) {
  const reports: InspectReport[] = [];
  const link = { isOpen: true };
  let tell: (record: LocalRecord) => void = () => {};
  const outlet = new Outlet({
    send(report) {
      if (!link.isOpen) return 'full';
      reports.push(report);
      return 'sent';
    },
    watched: {
      start: (told, all) => {
        tell = told;
        whole.forEach(all);
      },
      stop: () => {},
      alive: () => [1],
    },
  });
  const records = () => reports.flatMap((one) => one.records.map((text) => JSON.parse(text) as LocalRecord));
  return { outlet, link, reports, records, tell: (record: LocalRecord) => tell(record) };
}

test('everything that is comes first, and what happens follows in order, when it is flushed too', (t) => {
  const { outlet, reports, records, tell } = outletOf([gone(1), gone(2)]);
  t.after(() => outlet.stop());
  outlet.start();
  assert.deepEqual([records().length, reports.at(-1)?.alive], [2, [1]]);
  for (let id = 3; id <= 200; id++) tell(gone(id));
  outlet.flush();
  assert.deepEqual(
    records().map((one) => one.at),
    Array.from({ length: 200 }, (_, index) => index + 1),
  );
});

test('what finds no room is counted to the last record, and none is told twice', (t) => {
  const { outlet, link, reports, records, tell } = outletOf([]);
  t.after(() => outlet.stop());
  outlet.start();
  link.isOpen = false;
  for (let id = 1; id <= 3000; id++) tell(gone(id));
  outlet.flush();
  assert.equal(records().length, 0);
  link.isOpen = true;
  outlet.flush();
  const dropped = reports.reduce((sum, one) => sum + one.dropped, 0);
  assert.deepEqual([records().length, dropped, records().at(-1)?.at], [2000, 1000, 2000]);
});

test('a context that is large itself, and large with others, is within what a link takes', (t) => {
  const { outlet, reports, records, tell } = outletOf([]);
  t.after(() => outlet.stop());
  outlet.start();
  const large = (id: number, length: number): LocalRecord => ({
    ...({
      t: 'actor',
      at: id,
      id,
      parent: null,
      name: 'x',
      machine: 'x',
      user: true,
      status: 'active',
    } as const),
    value: null,
    about: null,
    context: 'x'.repeat(length),
  });
  for (let id = 1; id <= 5; id++) tell(large(id, 30 * 1024));
  tell(large(6, 100 * 1024));
  outlet.flush();
  for (const { records: texts } of reports)
    assert.equal(texts.reduce((sum, { length }) => sum + length, 0) < 2 * 48 * 1024, true);
  const contexts = records().map((one) => (one.t === 'actor' ? String(one.context).length : 0));
  assert.deepEqual(contexts, [...Array(5).fill(30 * 1024), '[too large]'.length]);
});
