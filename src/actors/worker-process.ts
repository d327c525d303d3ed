/** A web worker's process: what is supervised there serves requests. Runs in the worker. */
import type { WorkerSpec } from '../machines/events/worker.ts';
import { announceDirty, announceWorker } from './app-bridge.ts';
import { openDebuggerPort } from './debugger-port.ts';
import { startHangThread } from './hang-stack/start.ts';
import { superviseWorker, type WorkerVoice, type WorkerWork } from './supervised-worker.ts';
import { createWebServer, type WebServer } from './web-server.ts';

export function runWorker(): void {
  superviseWorker('web', 'app.loadFailed', servingRequests);
}

function servingRequests({ notice, recycleDue }: WorkerVoice): WorkerWork<WorkerSpec> {
  let web: WebServer | undefined;
  const server = (): WebServer => {
    if (!web) throw new Error('there is no web server yet');
    return web;
  };
  return {
    begin({ age, slot, generation, dirty, app, ...spec }) {
      // Seen in `ps` and `top`; an app may give itself another.
      process.title = `kirin: worker ${age} in slot ${slot} ${app.spec}`;
      announceWorker({ age, slot, generation });
      announceDirty(dirty && { role: 'web', ...dirty, generation, age });
      if (spec.inspect) openDebuggerPort(spec.inspect, notice);
      if (spec.hangStackFd !== undefined)
        startHangThread(spec.hangStackFd, (why) => notice('warn', `--hang-stack: ${why}`));
      web = createWebServer({
        listeners: spec.listeners,
        backlog: spec.backlog,
        ...(spec.keepAliveMs === undefined ? {} : { keepAliveMs: spec.keepAliveMs }),
        idleGraceMs: spec.idleGraceMs,
        maxRequests: spec.maxRequests,
        notice,
        recycleDue,
      });
    },
    counts: () => web?.counts() ?? { requests: 0, connections: 0, inFlight: 0 },
    claim: () => server().claim(),
    load: ({ app }) => server().start(app),
    drain: (graceMs) => server().drain(graceMs),
    close: (limitMs) => server().close(limitMs),
    cut: () => web?.cut(),
    shed: (connections) => web?.shed(connections),
    abandon: (resource) => web?.abandon(resource),
  };
}
