/** What the variables of socket activation and of the watchdog say. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { activationOf, activationText } from '../../src/actors/activation.ts';
import { watchdogMs } from '../../src/actors/systemd/service.ts';

const given = (env: Record<string, string>) => activationOf(env, 7);

test('sockets from descriptor 3 on, with their names where each has one', () => {
  const two = { LISTEN_FDS: '2', LISTEN_PID: '7' };
  assert.deepEqual(given(two), { addresses: ['fd://3', 'fd://4'], names: [] });
  const named = given({ ...two, LISTEN_FDNAMES: 'http:unknown' })!;
  assert.equal(activationText(named), 'socket activation: 2 sockets taken over (http)');
  assert.deepEqual(given({ ...two, LISTEN_FDNAMES: 'http' })?.names, []);
  const one = given({ ...two, LISTEN_FDS: '1' })!;
  assert.equal(activationText(one), 'socket activation: 1 socket taken over');
});

test('none: no variable, none of them, or another process', () => {
  for (const env of [
    {},
    { LISTEN_FDS: '1' },
    { LISTEN_PID: '7' },
    { LISTEN_FDS: '0', LISTEN_PID: '7' },
    { LISTEN_FDS: '1', LISTEN_PID: '8' },
    { LISTEN_FDS: 'many', LISTEN_PID: '8' },
  ])
    assert.equal(given(env as Record<string, string>), undefined);
});

test('no number, or too many, is a mistake', () => {
  for (const count of ['many', '-1', '1.5', '257'])
    assert.throws(() => given({ LISTEN_FDS: count, LISTEN_PID: '7' }), /LISTEN_FDS must be a whole number/);
});

test('signs of life at half the limit, of this process alone', () => {
  assert.equal(watchdogMs({ WATCHDOG_USEC: '30000000' }, 7), 15_000);
  assert.equal(watchdogMs({ WATCHDOG_USEC: '30000000', WATCHDOG_PID: '7' }, 7), 15_000);
  for (const env of [
    {},
    { WATCHDOG_USEC: '0' },
    { WATCHDOG_USEC: 'x' },
    { WATCHDOG_USEC: '9', WATCHDOG_PID: '8' },
  ])
    assert.equal(watchdogMs(env as Record<string, string>, 7), undefined);
});
