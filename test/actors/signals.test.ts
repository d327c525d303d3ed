import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { type Signals, takeSignals } from '../../src/actors/signals.ts';
import { type ArbiterOrder, signalOrders } from '../../src/machines/events/arbiter.ts';
import { faultOf } from './support.ts';

/** Signals as Node emits them; what the test runner itself listens to is left out of it. */
function taken(t: TestContext): {
  signals: Signals;
  send(...names: NodeJS.Signals[]): void;
  pass(ms: number): void;
  terminal: { isThere: boolean; hangUp(): void };
  means(what: 'order' | 'gone'): void;
} {
  const before = new Map<string, NodeJS.SignalsListener[]>();
  for (const name of Object.keys(signalOrders) as NodeJS.Signals[]) {
    before.set(name, process.listeners(name) as NodeJS.SignalsListener[]);
    process.removeAllListeners(name);
  }
  t.after(() => {
    for (const [name, listeners] of before) {
      process.removeAllListeners(name as NodeJS.Signals);
      for (const listener of listeners) process.on(name, listener);
    }
  });
  let nowMs = 0;
  let means = (_what: 'order' | 'gone'): void => {};
  // Without a terminal, as under a service manager, until a test says otherwise.
  const terminal = { isThere: false, hangUp: () => means('order') };
  const watch = (to: typeof means) => {
    means = to;
    return terminal;
  };
  const signals = takeSignals(watch, () => nowMs);
  return {
    signals,
    terminal,
    means: (what) => means(what),
    pass(ms) {
      nowMs += ms;
    },
    send(...names) {
      for (const name of names) process.emit(name);
    },
  };
}

const sources = (signals: Signals): string[] => {
  const orders: ArbiterOrder[] = [];
  signals.attach((order) => orders.push(order));
  return orders.map(({ source }) => source);
};

describe('signals before there is a machine', () => {
  for (const stop of ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const)
    test(`a ${stop} is kept behind any number of others`, (t) => {
      const { signals, send } = taken(t);
      for (let i = 0; i < 100; i++) send('SIGHUP', 'SIGWINCH', 'SIGUSR1', 'SIGTTIN');
      send(stop);
      assert.deepEqual(sources(signals), ['SIGHUP', 'SIGWINCH', 'SIGUSR1', 'SIGTTIN', stop]);
    });

  test('are each told once, but stops as often as it makes a difference', (t) => {
    const { signals, send, pass } = taken(t);
    for (const name of ['SIGTERM', 'SIGHUP', 'SIGTERM', 'SIGHUP', 'SIGINT', 'SIGTERM', 'SIGINT'] as const) {
      send(name);
      pass(1000);
    }
    assert.deepEqual(sources(signals), ['SIGTERM', 'SIGHUP', 'SIGTERM', 'SIGINT']);
  });

  test('and later ones come in order, until nobody wants them', (t) => {
    const { signals, send } = taken(t);
    const orders: string[] = [];
    send('SIGHUP');
    const detach = signals.attach(({ source }) => orders.push(source));
    send('SIGHUP', 'SIGTTIN', 'SIGTTIN');
    detach();
    send('SIGTTIN');
    assert.deepEqual(orders, ['SIGHUP', 'SIGHUP', 'SIGTTIN', 'SIGTTIN']);
  });

  test('tell of a stop at once, and of nothing else', (t) => {
    const { signals, send } = taken(t);
    send('SIGHUP', 'SIGUSR2');
    assert.equal(signals.stopped.aborted, false);
    send('SIGINT', 'SIGTERM');
    assert.equal(signals.stopped.aborted, true);
    assert.throws(() => signals.stopped.throwIfAborted(), faultOf('order.stopping', /^stopped by SIGINT /));
  });
});

describe('a signal to stop', () => {
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const)
    test(`${signal} twice within half a second counts once, also where there is a machine`, (t) => {
      const { signals, send, pass } = taken(t);
      const orders: string[] = [];
      signals.attach(({ source }) => orders.push(source));
      send(signal, signal);
      pass(499);
      send(signal);
      assert.deepEqual(orders, [signal]);
      pass(1);
      send(signal, signal);
      assert.deepEqual(orders, [signal, signal]);
    });

  test('of another kind counts at once', (t) => {
    const { signals, send } = taken(t);
    send('SIGINT', 'SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGTERM');
    assert.deepEqual(sources(signals), ['SIGINT', 'SIGTERM', 'SIGQUIT']);
  });

  test('is the only one of which that is so: each TTIN, TTOU, HUP and USR1 is an order', (t) => {
    const { signals, send } = taken(t);
    const orders: string[] = [];
    signals.attach(({ source }) => orders.push(source));
    const each = ['SIGTTIN', 'SIGTTOU', 'SIGHUP', 'SIGUSR1'] as const;
    send(...each, ...each);
    assert.deepEqual(orders, [...each, ...each]);
  });
});

describe('of a terminal', () => {
  test('that has gone, HUP is a graceful stop', (t) => {
    const { signals, means } = taken(t);
    const orders: ArbiterOrder[] = [];
    signals.attach((order) => orders.push(order));
    means('gone');
    assert.deepEqual(orders, [{ type: 'arbiter.stop', mode: 'graceful', source: 'SIGHUP', signal: 1 }]);
    assert.throws(() => signals.stopped.throwIfAborted(), faultOf('order.stopping', /^stopped by SIGHUP /));
  });

  test('that is there, HUP waits for what it means, and WINCH is its size', (t) => {
    const { signals, send, terminal, means } = taken(t);
    terminal.isThere = true;
    terminal.hangUp = () => {};
    const orders: string[] = [];
    signals.attach(({ type }) => orders.push(type));
    send('SIGHUP', 'SIGWINCH');
    assert.deepEqual(orders, []);
    means('order');
    assert.deepEqual(orders, ['arbiter.reload']);
  });
});
