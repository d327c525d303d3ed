/** A web worker's process: what is supervised there serves requests. Runs in the worker. */
import type { TrafficOrder, WorkerSpec } from '../machines/events/worker.ts';
import { keepCodeSoon } from '../stages/keep.ts';
import { announceDirty, announceWorker, appBridge } from './app-bridge.ts';
import { openDebuggerPort } from './debugger-port.ts';
import type { ModuleFiles } from './development/module-files.ts';
import { tellModules } from './development/module-report.ts';
import { prepareEdge } from './edge.ts';
import { toFault } from './fault-error.ts';
import { startHangThread } from './hang-stack/start.ts';
import { WorkerHooks } from './hooks/worker-hooks.ts';
import { Traffic } from './metrics/traffic.ts';
import { titleOf } from './process-title.ts';
import type { AccessLog } from './requests/access-log.ts';
import type { RequestWatchers, RequestWriter } from './requests/watch.ts';
import { superviseWorker, type WorkerVoice, type WorkerWork } from './supervised-worker.ts';
import { createWebServer, type WebServer } from './web-server.ts';

/** The age of the first worker. */
const FIRST = 1;

export function runWorker(): void {
  superviseWorker('web', 'app.loadFailed', servingRequests);
}

function servingRequests({ notice, recycleDue, tell, tellNow }: WorkerVoice): WorkerWork<WorkerSpec> {
  let web: WebServer | undefined;
  let counted: Traffic | undefined;
  let accessLog: AccessLog | undefined;
  /** Told of each request when it has ended. */
  const watchers: RequestWatchers = {};
  let hooks: WorkerHooks | undefined;
  let modules: ModuleFiles | undefined;
  const server = (): WebServer => {
    if (!web) throw new Error('there is no web server yet');
    return web;
  };
  const pause = async (): Promise<void> => {
    try {
      if (!(await web?.pause())) return;
      notice('info', 'paused: it accepts no new connections until it is resumed');
      tell({ type: 'worker.paused' });
    } catch (error) {
      const fault = toFault(error, 'worker.cannotPause');
      notice('warn', `cannot be paused: ${fault.message}`);
      tell({ type: 'worker.pauseFailed', fault });
    }
  };
  const traffic = (order: TrafficOrder): void => {
    switch (order.type) {
      case 'worker.shed':
        return web?.shed(order.connections);
      case 'worker.reopen':
        return accessLog?.reopen();
      case 'worker.pause':
        return void pause();
      case 'worker.rest':
        return web?.rest();
      case 'worker.wake':
        return web?.wake();
      case 'worker.resume':
        if (!web?.resume()) return;
        notice('info', 'resumed: it accepts connections again');
        return tell({ type: 'worker.resumed' });
    }
  };
  return {
    begin({ age, slot, generation, dirty, app, name = app.spec, ...spec }) {
      process.title = titleOf(`worker ${age} in slot ${slot}`, name);
      announceWorker({ age, slot, generation });
      announceDirty(dirty && { role: 'web', ...dirty, generation, age });
      if (spec.inspect) openDebuggerPort(spec.inspect, notice);
      if (spec.hangStackFd !== undefined)
        startHangThread(spec.hangStackFd, (why) => notice('warn', `--hang-stack: ${why}`));
      if (spec.metrics)
        counted = new Traffic({
          tell,
          tellNow,
          app: () => appBridge.metrics?.(),
          notice: (text) => notice('warn', text),
        });
      if (counted) watchers.count = counted.count;
      const subject = { pid: process.pid, age, slot, generation };
      if (spec.hooks) hooks = new WorkerHooks(spec.hooks, subject, notice);
      if (spec.tellsModules) modules = tellModules(generation, { tell, tellNow });
      web = createWebServer({
        watchers,
        listeners: spec.listeners,
        backlog: spec.backlog,
        ...(spec.keepAliveMs === undefined ? {} : { keepAliveMs: spec.keepAliveMs }),
        idleGraceMs: spec.idleGraceMs,
        maxRequests: spec.maxRequests,
        connectionsMax: spec.connectionsMax,
        chosen: hooks && ((server) => hooks?.watch(server)),
        notice,
        recycleDue,
      });
    },
    counts: () => web?.counts() ?? { requests: 0, connections: 0, inFlight: 0 },
    async claim() {
      await hooks?.spawned();
      await server().claim();
    },
    async load({ age, app, accessLog: wanted, edge }) {
      await hooks?.init();
      if (edge) await prepareEdge(edge);
      if (wanted) {
        // Whoever has none loads none.
        const { AccessLog: Made } = await import('./requests/access-log.ts');
        accessLog = await Made.open(wanted, (text) => notice('warn', text));
        watchers.write = accessLog.writer as RequestWriter;
      }
      modules?.add(app.path);
      try {
        await server().start(app);
      } finally {
        modules?.flush();
      }
      hooks?.ready();
      // One is enough; the others have compiled the same.
      if (age === FIRST) keepCodeSoon();
    },
    drain: (graceMs) => server().drain(graceMs),
    async close(limitMs) {
      const endMs = performance.now() + limitMs;
      await server().close(limitMs);
      await Promise.all([counted?.end(), accessLog?.end()]);
      await hooks?.exit(Math.max(1, endMs - performance.now()));
    },
    cut: () => web?.cut(),
    abandon: (resource) => web?.abandon(resource),
    traffic,
  };
}
