/** Where everything that is inspected comes together, in this process, with reports as if they came from others. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { createActor, createMachine } from 'xstate';
import { InspectedChildren } from '../../src/actors/inspect/children.ts';
import { Hub } from '../../src/actors/inspect/hub.ts';
import type { Told } from '../../src/actors/inspect/records.ts';
import { KEPT_RECORDS_MAX } from '../../src/actors/inspect/reel.ts';
import { ArbiterSource } from '../../src/actors/inspect/source.ts';
import type { Watcher } from '../../src/actors/inspect/watchers.ts';
import type { InspectReport } from '../../src/machines/events/inspect.ts';
import { Seen } from '../system/inspected.ts';
import { until } from './support.ts';

const ON = { controls: false, from: 'past' } as const;

class Reader extends Seen implements Watcher {
  unreadBytes = 0;
  readonly unreadBytesMax: number = 1;
  ended: string | undefined;

  send(message: string): void {
    this.take(JSON.parse(message));
  }

  end(reason: string): void {
    this.ended = reason;
  }
}

function hubHere(t: TestContext) {
  const children = new InspectedChildren();
  const root = createActor(createMachine({ id: 'arbiter', on: { poke: {} } })).start();
  const notices: string[] = [];
  const hub = new Hub({
    source: new ArbiterSource({ root, children, watchLog: () => () => {} }),
    redactor: { text: (text) => text, version: 0 },
    hasDirty: () => false,
    version: '0',
    app: 'app.js',
    notice: (text) => notices.push(text),
    command: () => Promise.reject(new Error('nothing is ordered here')),
  });
  t.after(() => {
    hub.end('the test is over');
    assert.deepEqual(notices, []);
  });
  const child = (pid: number) =>
    children.linked({
      pid,
      process: 'web',
      age: pid,
      slot: 0,
      generation: 1,
      pulse: () => undefined,
      send() {},
    });
  return { hub, children, child, root };
}

/** What a process tells of one actor that is there, and of events that were sent to it. */
function batch(events: number): InspectReport {
  const actor = { t: 'actor', at: 1, id: 1, parent: null, name: 'worker', machine: 'worker', user: false };
  const whole = { ...actor, status: 'active', value: 'serving', context: {}, about: null };
  const event = JSON.stringify({ t: 'event', at: 1, from: null, to: 1, event: { type: 'tick' } });
  const records = [JSON.stringify(whole), ...Array<string>(events).fill(event)];
  return { type: 'inspect.batch', pid: 0, records, dropped: 0 };
}

const count = (seen: Seen, t: Told['t']): number => seen.records.filter((one) => one.t === t).length;

test('what a hundred processes tell in one turn of the event loop is told, and other work has its turn in between', async (t) => {
  const { hub, children, child } = hubHere(t);
  const seen = new Reader();
  t.after(hub.watch(seen, ON));
  for (let pid = 1; pid <= 100; pid++) {
    child(pid);
    children.heard(pid, batch(200));
  }
  let turns = 0;
  let isOver = false;
  t.after(() => {
    isOver = true;
  });
  const turn = (): void => {
    turns++;
    if (!isOver && count(seen, 'event') < 20_000) setImmediate(turn);
  };
  setImmediate(turn);
  await until('all is told', () => count(seen, 'event') === 20_000 || count(seen, 'lost') > 0);
  assert.equal(count(seen, 'lost'), 0);
  assert.equal(seen.state.actors.filter(({ machine }) => machine === 'worker').length, 100);
  assert.ok(turns > 2, `${turns} turns`);
});

test('what a process said before its end is told before it', async (t) => {
  const { hub, children, child } = hubHere(t);
  const seen = new Reader();
  t.after(hub.watch(seen, ON));
  for (let pid = 1; pid <= 50; pid++) {
    child(pid);
    children.heard(pid, batch(200));
    children.gone(pid);
  }
  await until('all have ended', () => count(seen, 'ended') === 50);
  assert.equal(count(seen, 'event'), 10_000);
  assert.deepEqual(
    seen.state.actors.filter(({ machine }) => machine === 'worker'),
    [],
  );
});

test('what is too much for any reader is counted, and the process is asked to tell all once more', async (t) => {
  const { hub, children } = hubHere(t);
  const seen = new Reader();
  t.after(hub.watch(seen, ON));
  const orders: string[] = [];
  const facts = { process: 'web', age: 1, slot: 0, generation: 1, pulse: () => undefined } as const;
  children.linked({ ...facts, pid: 1, send: ({ type }) => orders.push(type) });
  const one = batch(900);
  const times = 200;
  for (let n = 0; n < times; n++) children.heard(1, one);
  const lost = (): number =>
    seen.records.reduce((sum, record) => (record.t === 'lost' ? sum + record.records : sum), 0);
  const heard = () => seen.records.filter((record) => record.t === 'event' || record.t === 'actor').length;
  // One actor of the hub's own process is told of as well.
  await until('all is told or counted', () => heard() - 1 + lost() === times * one.records.length);
  assert.ok(lost() > 0);
  await until('it is asked', () => orders.filter((order) => order === 'inspect.start').length === 2);
});

test('one who comes before the end of one that was cut is told is watched for once', async (t) => {
  const { hub, root } = hubHere(t);
  const cut = new Reader();
  cut.send = () => {
    throw new Error('it cannot be told');
  };
  const stop = hub.watch(cut, ON);
  assert.match(cut.ended!, /it cannot be told/);
  const seen = new Reader();
  t.after(hub.watch(seen, ON));
  stop();
  root.send({ type: 'poke' });
  hub.flush();
  assert.equal(count(seen, 'event'), 1);
});

test('a recording that is read slowly while much happens has no gap that is not told', async (t) => {
  const { hub, children, child } = hubHere(t);
  t.after(hub.watch(new Reader(), ON));
  child(7);
  const tell = (): void => {
    for (let n = 0; n < 5; n++) {
      children.heard(7, batch(200));
      hub.flush();
    }
  };
  tell();
  const seen = new Seen();
  let messages = 0;
  for (const message of hub.recording()) {
    seen.take(JSON.parse(message));
    messages++;
    tell();
    assert.ok(messages < 100, 'it has an end');
  }
  assert.ok(seen.lost > 0);
  assert.equal(seen.state.actors.filter(({ machine }) => machine === 'worker').length, 1);
  // What is read at once is whole.
  const whole = new Seen();
  for (const message of hub.recording()) whole.take(JSON.parse(message));
  assert.equal(whole.records.length, whole.seq - whole.from!);
  assert.equal(whole.lost, 0);
});

/** One that has read nothing of what it was sent, until it reads. */
class Sleeper extends Reader {
  override readonly unreadBytesMax = 64 * 1024;
  readonly unread: string[] = [];

  override send(message: string): void {
    this.unreadBytes += message.length;
    this.unread.push(message);
  }

  read(): void {
    this.unreadBytes = 0;
    for (const message of this.unread.splice(0)) this.take(JSON.parse(message));
  }
}

test('for one who never reads nothing is kept but the past that all have, and it is told how much it has missed', async (t) => {
  const { hub, children, child } = hubHere(t);
  const [sleeper, seen] = [new Sleeper(), new Reader()];
  t.after(hub.watch(sleeper, ON));
  t.after(hub.watch(seen, ON));
  child(7);
  let most = 0;
  const happens = (times: number): void => {
    for (let n = 0; n < times; n++) {
      children.heard(7, batch(500));
      hub.flush();
      most = Math.max(most, sleeper.unreadBytes);
    }
  };
  happens(100);
  const messageMax = 256 * 1024;
  assert.ok(most < sleeper.unreadBytesMax + messageMax, `${most} bytes were sent to one that reads nothing`);
  assert.equal(sleeper.ended, undefined);
  assert.equal(count(seen, 'event'), 50_000, 'others miss nothing');
  await until('it has read all', () => {
    sleeper.read();
    return sleeper.seq === seen.seq;
  });
  assert.ok(sleeper.lost >= 50_000 - 2 * KEPT_RECORDS_MAX, `${sleeper.lost} lost`);
  assert.equal(sleeper.records.length + sleeper.lost, sleeper.seq - sleeper.from!);
  assert.deepEqual(sleeper.state, seen.state);
  // From then on it is told everything.
  const { lost } = sleeper;
  happens(1);
  await until('it has read that too', () => {
    sleeper.read();
    return sleeper.seq === seen.seq;
  });
  assert.equal(sleeper.lost, lost);
});
