// The router of Kirin's dirty arbiter by itself: SOCKET WORKERS THREADS. Run as a bundle.
import { createServer } from 'node:net';
import { pack } from '../../src/actors/dirty/packing.ts';
import { Router } from '../../src/actors/dirty/router.ts';
import { acceptedChannel } from '../../src/actors/dirty/socket-channel.ts';

const [socket, workers, threads] = process.argv.slice(2);
const router = new Router({
  apps: [{ importPath: './bench.js:Bench', number: 0 }],
  queueMax: 10_000,
  threads: Number(threads),
  graceMs: 30_000,
  // How many workers are ready: the benchmark begins when all are.
  stash: () => ({ ok: true, payload: pack(router.stats().workers.filter(({ ready }) => ready).length) }),
  stuck: (age, why) => console.error(`${age} is stuck: ${why}`),
  left: () => {},
  notice: (text) => console.error(text),
});
for (let age = 1; age <= Number(workers); age++) router.expect(age, 1, [0], 'bench');
createServer({ pauseOnConnect: true }, (one) => router.accept(acceptedChannel(one))).listen(socket);
