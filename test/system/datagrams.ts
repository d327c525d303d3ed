/** A server of datagrams, as statsd is: what comes is kept, line by line. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';

export async function datagrams(t: TestContext): Promise<{ heard: string[]; port: number }> {
  const heard: string[] = [];
  const socket = createSocket('udp4').on('message', (text) => heard.push(...String(text).split('\n')));
  t.after(() => socket.close());
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address() as AddressInfo;
  return { heard, port };
}
