import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { type Signals, takeSignals } from '../../src/actors/signals.ts';
import { type ArbiterOrder, signalOrders } from '../../src/machines/events/arbiter.ts';
import { faultOf } from './support.ts';

/** Signals as Node emits them; what the test runner itself listens to is left out of it. */
function taken(t: TestContext): { signals: Signals; send(...names: NodeJS.Signals[]): void } {
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
  const signals = takeSignals();
  return {
    signals,
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
    const { signals, send } = taken(t);
    send('SIGTERM', 'SIGHUP', 'SIGTERM', 'SIGHUP', 'SIGINT', 'SIGTERM', 'SIGINT');
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
