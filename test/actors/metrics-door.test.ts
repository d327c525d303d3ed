/** Where metrics are asked for, by clients who mean no good. */
import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { openDoor } from '../../src/actors/metrics/door.ts';

/** More than the system takes for a connection. */
const LARGE = 32 * 1024 * 1024;
const ASKED = 'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n';

interface Opened {
  /** A connection to it. */
  client(): Promise<Socket>;
  /** How often the figures were asked for. */
  asked(): number;
}

async function open(t: TestContext, text: string, patienceMs?: number): Promise<Opened> {
  let asked = 0;
  const door = await openDoor({
    address: { kind: 'tcp', host: '127.0.0.1', port: 0, text: '127.0.0.1:0' } as never,
    readiness: () => ({ ready: true, why: 'ready' }),
    metrics: async () => {
      asked++;
      return { type: 'text/plain', text };
    },
    ...(patienceMs === undefined ? {} : { patienceMs }),
  });
  t.after(() => door.close());
  return {
    asked: () => asked,
    async client() {
      const socket = connect(Number(new URL(door.place).port), '127.0.0.1').on('error', () => {});
      t.after(() => socket.destroy());
      await once(socket, 'connect');
      return socket;
    },
  };
}

test('who does not wait for an answer is not served: figures are made once, not a thousand times', async (t) => {
  const door = await open(t, 'figures');
  const hasty = await door.client();
  hasty.resume().write(ASKED.repeat(1000));
  await once(hasty, 'close');
  assert.equal(door.asked(), 1);
  const patient = await door.client();
  patient.write(ASKED);
  assert.match(String((await once(patient, 'data'))[0]), /figures$/);
});

test('a head that is slow is given up, and so is who reads nothing', async (t) => {
  const door = await open(t, 'x'.repeat(LARGE), 200);
  const slow = await door.client();
  slow.resume().write('GET /');
  await once(slow, 'close');
  const accepted: Socket[] = [];
  const take = (message: unknown) => accepted.push((message as { socket: Socket }).socket);
  subscribe('net.server.socket', take);
  const deaf = await door.client();
  deaf.write(ASKED);
  await once(deaf, 'readable');
  unsubscribe('net.server.socket', take);
  const served = accepted.find(({ remotePort }) => remotePort === deaf.localPort)!;
  if (!served.destroyed) await once(served, 'close');
});
