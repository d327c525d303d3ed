/**
 * The dirty arbiter's process: the dirty arbiter machine with actors that start dirty workers, and beside it the router and
 * the stash. Runs in the dirty arbiter and owns its exit. No code of an app runs here.
 */
import type { ChildProcess } from 'node:child_process';
import { readdirSync, rmdirSync, rmSync } from 'node:fs';
import { createServer, type Server, Socket } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createActor, fromCallback, fromPromise } from 'xstate';
import { childMachine } from '../../machines/child.ts';
import {
  type DirtyArbiterInternal,
  dirtyArbiterMachine,
  type EditionOrder,
  type RouterOrder,
} from '../../machines/dirty-arbiter.ts';
import type { DirtyArbiterOrder, DirtyArbiterReport, DirtyArbiterSpec } from '../../machines/events/dirty.ts';
import type { InspectOrder, InspectReport } from '../../machines/events/inspect.ts';
import { LINK_PROTOCOL, linkSchemas } from '../../machines/events/link.ts';
import { jittered } from '../../machines/policy.ts';
import { poolMachine } from '../../machines/pool.ts';
import { backoffOf } from '../../machines/pool-context.ts';
import { killChild } from '../child-kill.ts';
import { toFault } from '../fault-error.ts';
import { Guardian } from '../guardian.ts';
import { HeartbeatTable } from '../heartbeat.ts';
import { InspectedChildren } from '../inspect/children.ts';
import { inspectionDesk, isInspectOrder } from '../inspect/desk.ts';
import { type Link, openLink } from '../link.ts';
import { letLostTerminalGo } from '../lost-terminal.ts';
import { settles } from '../patience.ts';
import { processActor } from '../process.ts';
import { titleOf } from '../process-title.ts';
import { BOOT_ORDER_MS, beat, exitAfter, LINK_FD, noticeOver } from '../supervised.ts';
import { watchTerminal } from '../terminal.ts';
import { bindUnixSocket, type UnixSocket } from '../unix-socket.ts';
import { CallReport } from './call-report.ts';
import { DirtyHouse } from './house.ts';
import { acceptedChannel } from './socket-channel.ts';

/** Limits that are no settings, in milliseconds. */
const LIMITS = { quitMs: 2000, abortMs: 1000, stableMs: 10_000, killAgainMs: 5000 };
const BACKLOG = 1024;
/** How long hooks that are told of the last workers may take. */
const LAST_HOOKS_MS = 3000;
/** What it starts with; reloads number theirs from there. */
const FIRST_EDITION = 1;

type ToMachine = DirtyArbiterOrder | DirtyArbiterInternal;

export function runDirtyArbiter(): void {
  const age = Number(process.env['KIRIN_WORKER_AGE'] ?? 0);
  const stream = new Socket({ fd: LINK_FD, readable: true, writable: true });
  const live = new Set<ChildProcess>();
  const parentPid = process.ppid;
  let calls: CallReport | undefined;
  /** What this tree has in the file system. */
  let files: string[] = [];
  const heartbeats = new HeartbeatTable();
  const early: DirtyArbiterInternal[] = [];
  let toMachine = (event: ToMachine): void => void early.push(event as DirtyArbiterInternal);
  takeSignals((event, signal) => {
    notice('info', `dirty arbiter: ${signal}: ${meaningOf(event)}`);
    toMachine(event);
  });
  letLostTerminalGo();

  const inspected = new InspectedChildren();
  const link: Link<DirtyArbiterReport | InspectReport> = openLink<
    DirtyArbiterOrder | InspectOrder,
    DirtyArbiterReport | InspectReport
  >(stream, LINK_FD, linkSchemas.dirtyArbiter.down, {
    event: (order) => {
      if (isInspectOrder(order)) return desk.take(order);
      if (order.type === 'worker.boot') {
        link.send({
          type: 'worker.hello',
          protocol: LINK_PROTOCOL,
          kind: 'dirtyArbiter',
          age,
          generation: 1,
        });
        process.title = titleOf('dirty arbiter', order.spec.generation.name ?? '');
        files = [order.spec.stashFile, order.spec.socket];
      }
      toMachine(order);
    },
    unknown: (what) => notice('warn', `an order that is not known: ${what}`),
    broken: () => stream.destroy(),
    ended: () => toMachine({ type: 'link.ended' }),
  });
  const notice = noticeOver(link);
  const warn = (text: string): void => notice('warn', text);
  const desk = inspectionDesk({
    send: (report) => link.send(report),
    root: () => actor,
    children: inspected,
    notice: (text) => notice('error', text),
  });
  const guardian = new Guardian((text) => warn(`dirty arbiter: ${text}`));
  const house = new DirtyHouse({
    heartbeats,
    guardian,
    notice: warn,
    target: () => actor.getSnapshot().context.target,
    stuck: (of, why) => toMachine({ type: 'router.stuck', age: of, why }),
  });

  const machine = dirtyArbiterMachine.provide({
    actors: {
      link: fromCallback<DirtyArbiterReport>(({ sendBack, receive }) => {
        toMachine = sendBack as typeof toMachine;
        for (const event of early.splice(0)) toMachine(event);
        receive((report) => {
          link.send(report);
          if (report.type === 'dirty.taken' && report.orderId === 0) notice('info', changeOf(report));
        });
        return () => {
          toMachine = () => {};
        };
      }),
      // They come through the link's actor, in their order with what the arbiter says.
      signals: fromCallback(() => {}),
      editions: fromCallback<EditionOrder>(({ receive }) =>
        receive((order) => {
          if (order.type === 'edition.keep') house.keep(order.edition, order.generation);
          else house.release(order.edition);
        }),
      ),
      heartbeat: fromCallback<{ type: 'heartbeat.none' }, DirtyArbiterSpec>(({ input }) =>
        beat(link, input.heartbeatMs, () => house.counts()),
      ),
      router: fromCallback<DirtyArbiterOrder | RouterOrder, DirtyArbiterSpec>(({ receive }) =>
        receive((order) => {
          if (order.type === 'router.leave') return house.router.leave(order.another);
          if (order.type === 'dirty.describe') {
            // Who asks how things stand now is told of the calls until now.
            calls?.tell();
            link.send({ type: 'dirty.described', orderId: order.orderId, status: house.describe(actor) });
          }
          if (order.type !== 'dirty.cancel') return;
          const { orderId, call } = order;
          const fault = { code: 'order.unknown' as const, message: `there is no call ${call}` };
          link.send(
            house.cancel(call)
              ? { type: 'dirty.done', orderId, replaced: 0 }
              : { type: 'dirty.refused', orderId, fault },
          );
        }),
      ),
      open: fromPromise<void, DirtyArbiterSpec>(async ({ input, signal }) => {
        house.open(input);
        if (input.metrics) calls = reportOf(house, link);
        await house.hooksOfConfig.starting(FIRST_EDITION, { pid: process.pid, age }, signal);
        await listenOn(input.socket, house);
      }),
      pool: poolMachine.provide({
        delays: { backoff: ({ context }) => jittered(backoffOf(context), Math.random()) },
        actors: {
          child: childMachine.provide({
            actors: {
              process: processActor({
                kind: 'dirtyWorker',
                title: 'dirty worker',
                launch: (input) => house.launch(input),
                hooks: house.hooks,
                heartbeats,
                inspected,
                live,
                guardian,
                file: workerFile(),
                // What it says goes up the link, and is redacted there.
                redactor: { report: (report) => report },
                linkNotice: warn,
              }),
            },
          }),
        },
      }),
    },
  });
  const actor = createActor(machine, {
    id: 'dirtyArbiter',
    input: {
      bootOrderMs: BOOT_ORDER_MS,
      limits: LIMITS,
      faultOf: (error) => toFault(error, 'bind.failed'),
    },
    inspect: (inspection) => house.watch(inspection),
  });
  /** No machine supervises any more: nothing that was started may live. */
  const crash = (error: unknown): never => {
    for (const child of live) killChild(child);
    void house.hooksOfConfig.kill();
    house.close();
    link.sendSync({ type: 'worker.lastWords', fault: toFault(error, 'worker.uncaught') });
    process.exit(70);
  };
  process.on('uncaughtException', crash);
  actor.subscribe({
    complete: () => {
      desk.flush();
      calls?.end();
      house.close();
      const { output } = actor.getSnapshot();
      // The arbiter has died and cannot tidy up: nobody comes back to this socket and this stash.
      if (process.ppid !== parentPid) tidy(files);
      void settles(house.hooksOfConfig.idle(), LAST_HOOKS_MS)
        .then(() => house.hooksOfConfig.kill())
        .then(() => guardian.end())
        .then(() => exitAfter(link, output?.exitCode ?? 0));
    },
    error: crash,
  });
  house.onNews = (event) => notice(event.level, event.text);
  actor.start();
}

const reportOf = (house: DirtyHouse, link: Pick<Link<DirtyArbiterReport>, 'send'>): CallReport =>
  new CallReport({
    apps: () => house.router.apps.values(),
    tell: (sums) => link.send(sums) === 'sent',
  });

/** Removes these files, what workers that were killed have left beside them, and their directory where nothing else is in it. */
function tidy(files: readonly string[]): void {
  try {
    for (const file of files) {
      const directory = dirname(file);
      for (const name of readdirSync(directory))
        if (name.startsWith(basename(file))) rmSync(join(directory, name), { force: true });
    }
    if (files[0] !== undefined) rmdirSync(dirname(files[0]));
  } catch {
    // Somebody else has put something there, or was faster.
  }
}

/** What Gunicorn's dirty arbiter does at each; the others are the arbiter's business alone. */
function takeSignals(tell: (event: DirtyArbiterInternal, signal: string) => void): void {
  const events: Record<string, DirtyArbiterInternal | null> = {
    SIGTERM: { type: 'signals.stop', leave: 'drain' },
    SIGINT: { type: 'signals.stop', leave: 'quit' },
    SIGQUIT: { type: 'signals.stop', leave: 'quit' },
    SIGHUP: null,
    SIGTTIN: { type: 'signals.scale', by: 1 },
    SIGTTOU: { type: 'signals.scale', by: -1 },
    // There is no file of its own to open again: its lines go up the link.
    SIGUSR1: null,
    SIGUSR2: null,
    SIGWINCH: null,
  };
  // What a terminal that has gone means is the arbiter's to say.
  const terminal = watchTerminal((what) => {
    if (what === 'order') tell({ type: 'signals.reload' }, 'SIGHUP');
  });
  for (const [signal, event] of Object.entries(events))
    process.on(signal, () => {
      if (signal === 'SIGHUP') terminal.hangUp();
      else if (event) tell(event, signal);
    });
}

function meaningOf(event: DirtyArbiterInternal): string {
  if (event.type === 'signals.scale') return `${event.by > 0 ? 'add' : 'remove'} 1 dirty worker`;
  return event.type === 'signals.reload' ? 'replace all dirty workers' : 'leave, to be restarted';
}

/** What a signal changed has no order that would tell it. */
const changeOf = ({
  previous,
  total,
  reason,
}: Extract<DirtyArbiterReport, { type: 'dirty.taken' }>): string =>
  `the number of dirty workers goes from ${previous} to ${total}${reason === undefined ? '' : `: ${reason}`}`;

/** Callers and dirty workers connect to the same socket. */
async function listenOn(path: string, house: DirtyHouse): Promise<void> {
  const bound: UnixSocket = await bindUnixSocket(path, { mode: 0o600, flag: '--dirty-app' });
  const server: Server = createServer({ pauseOnConnect: true }, (socket) =>
    house.router.accept(acceptedChannel(socket)),
  );
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(bound.handle, BACKLOG, () => {
      server.off('error', reject);
      // Out of descriptors, for a moment: nothing to die of.
      server.on('error', () => {});
      resolve();
    });
  });
  house.onClose(() => {
    server.close();
    bound.release();
  });
}

/** Beside this file's bundle in the package; among the sources when they are run directly. */
function workerFile(): string {
  const place = import.meta.url.endsWith('.ts') ? '../entry/dirty-worker.ts' : './dirty-worker.js';
  return fileURLToPath(new URL(place, import.meta.url));
}
