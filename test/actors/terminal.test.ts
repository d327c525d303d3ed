import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { type TerminalDeps, watchTerminal } from '../../src/actors/terminal.ts';

/** A terminal that goes when it is told to, and a clock that goes with the timers. */
function world(t: TestContext, { there = true, sheltered = false } = {}) {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  const said: string[] = [];
  let nowMs = 0;
  const state = { there };
  const deps: TerminalDeps = { look: () => state.there, outlives: () => sheltered, now: () => nowMs };
  const terminal = watchTerminal((what) => said.push(what), deps);
  const pass = (ms: number): void => {
    for (let passed = 0; passed < ms; passed += 10) {
      nowMs += 10;
      t.mock.timers.tick(10);
    }
  };
  return { terminal, said, pass, state };
}

describe('a HUP', () => {
  test('without a terminal is an order at once, each time', (t) => {
    const { terminal, said } = world(t, { there: false });
    terminal.hangUp();
    terminal.hangUp();
    assert.deepEqual(said, ['order', 'order']);
    assert.equal(terminal.isThere, false);
  });

  test('while the terminal stays is one order, as soon as that is certain', (t) => {
    const { terminal, said, pass } = world(t);
    terminal.hangUp();
    terminal.hangUp();
    assert.deepEqual(said, []);
    pass(400);
    assert.deepEqual(said, ['order']);
    terminal.hangUp();
    pass(400);
    assert.deepEqual(said, ['order', 'order']);
  });

  test('when the terminal has gone says so, once, however often it comes', (t) => {
    const { terminal, said, pass, state } = world(t);
    state.there = false;
    terminal.hangUp();
    terminal.hangUp();
    pass(1000);
    terminal.hangUp();
    assert.deepEqual(said, ['gone']);
    assert.equal(terminal.isThere, false);
  });

  test('that comes before the terminal goes means that it goes', (t) => {
    const { terminal, said, pass, state } = world(t);
    terminal.hangUp();
    pass(100);
    state.there = false;
    pass(400);
    assert.deepEqual(said, ['gone']);
  });

  test('that was taken for an order is told to have been none, when the terminal goes soon after', (t) => {
    const { terminal, said, pass, state } = world(t);
    terminal.hangUp();
    pass(400);
    state.there = false;
    pass(2000);
    assert.deepEqual(said, ['order', 'gone']);
  });

  test('long after the terminal has gone without one is an order: somebody has let it go on', (t) => {
    const { terminal, said, pass, state } = world(t);
    state.there = false;
    pass(10_000);
    assert.deepEqual(said, []);
    terminal.hangUp();
    assert.deepEqual(said, ['order']);
  });

  test('of a terminal that it is to outlive means nothing; a later one is an order', (t) => {
    const { terminal, said, pass, state } = world(t, { sheltered: true });
    state.there = false;
    terminal.hangUp();
    pass(1000);
    assert.deepEqual(said, []);
    pass(10_000);
    terminal.hangUp();
    assert.deepEqual(said, ['order']);
  });
});
