/**
 * The data plane in a process of its own, for tests: a worker without machines. Orders come and answers go over
 * Node's IPC channel, which is unref'd while the app loads, as a real worker's link is.
 */
import { announceWorker } from '../../src/actors/app-bridge.ts';
import { shieldSignals } from '../../src/actors/app-signals.ts';
import { toFault } from '../../src/actors/fault-error.ts';
import { createWebServer, type WebServer } from '../../src/actors/web-server.ts';
import type { WorkerSpec } from '../../src/machines/events/worker.ts';

export type Order =
  | { order: 'start'; spec: WorkerSpec }
  | { order: 'drain' | 'close'; ms: number }
  | { order: 'cut' | 'counts' | 'exit' };

const say = (message: object) => process.send?.(message);
let server: WebServer;

shieldSignals(() => say({ said: 'terminated' }));

async function start(spec: WorkerSpec): Promise<unknown> {
  announceWorker(spec);
  server = createWebServer({
    ...spec,
    notice: (level, text) => say({ said: 'notice', level, text }),
    recycleDue: (requests) => say({ said: 'recycleDue', requests }),
  });
  await server.claim();
  say({ said: 'claimed' });
  process.channel?.unref();
  await server.start(spec.app);
  process.channel?.ref();
  return null;
}

function carryOut(order: Order): unknown {
  switch (order.order) {
    case 'start':
      return start(order.spec);
    case 'drain':
      return server.drain(order.ms);
    case 'close':
      process.channel?.unref();
      return server.close(order.ms).then(() => null);
    case 'cut':
      return server.cut();
    case 'counts':
      return server.counts();
    case 'exit':
      return process.exit(0);
  }
}

process.on('message', async (order: Order) => {
  try {
    say({ said: 'done', order: order.order, result: await carryOut(order) });
  } catch (error) {
    say({ said: 'failed', order: order.order, fault: toFault(error, 'app.loadFailed') });
  }
});
say({ said: 'up' });
