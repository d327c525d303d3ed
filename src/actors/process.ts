/**
 * One supervised process as the operating system has it: spawns it with its link and its listening descriptors,
 * passes orders down and reports up, and says when it is reaped. Runs in the parent; one actor a child machine.
 */
import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { Duplex } from 'node:stream';
import { fromCallback } from 'xstate';
import type { ProcessInput } from '../machines/child.ts';
import type { InspectReport } from '../machines/events/inspect.ts';
import { type LeaveOrder, type LifecycleReport, lifecycleReports } from '../machines/events/lifecycle.ts';
import { type Down, LINK_PROTOCOL, type LinkKind, linkSchemas } from '../machines/events/link.ts';
import type { ProcessOrder, ProcessReport } from '../machines/events/process.ts';
import type { Fault } from '../machines/faults.ts';
import { Allowance } from './allowance.ts';
import { captureOutput, type Printed } from './captured-output.ts';
import { killChild } from './child-kill.ts';
import { stdioOf } from './child-stdio.ts';
import { FaultError } from './fault-error.ts';
import type { Guardian } from './guardian.ts';
import type { HeartbeatTable } from './heartbeat.ts';
import type { InspectedChildren } from './inspect/children.ts';
import { isSealedReport } from './inspect/thread/seal.ts';
import { type Link, openLink } from './link.ts';
import type { MemoryTable } from './memory.ts';
import { FIRST_FD, LINK_FD, type Placed, type ProcessLaunch, spawnProcess } from './process-spawn.ts';
import type { Redactor } from './redaction.ts';
import { Silence } from './silence.ts';

/** How long last words may take to arrive after the process is reaped. */
const LAST_WORDS_MS = 500;
/** How long a process may live on without its link. */
const LINK_ENDED_MS = 5000;
/** Unknown frames of one worker that are logged; all are counted. */
const UNKNOWN_LOGGED_MAX = 5;

/** What a line for the log costs of what a process may say. */
const NOTICE_UNITS = 100;

/** What a kind of process has beside what all have. */
export interface ProcessHooks<K extends LinkKind> {
  /** It lives, and can be told things over its link. */
  linked?(age: number, pid: number, send: (order: Down<K>) => void): void;
  /** It is ready. */
  ready?(age: number): void;
  /** A report that is not of the lifecycle. */
  reported?(age: number, report: { type: string }): void;
  /** An order to leave is on its way: true where the hook passes it on itself, when it is time. */
  leaving?(age: number, order: LeaveOrder, pass: (order: LeaveOrder) => void): boolean;
  /** It is reaped. */
  gone?(age: number): void;
}

/** Several hooks as one; where one of them passes an order to leave on itself, the others are told nevertheless. */
export const together = <K extends LinkKind>(...all: ProcessHooks<K>[]): ProcessHooks<K> => ({
  linked: (...about) => all.forEach((hooks) => void hooks.linked?.(...about)),
  ready: (age) => all.forEach((hooks) => void hooks.ready?.(age)),
  reported: (age, report) => all.forEach((hooks) => void hooks.reported?.(age, report)),
  leaving: (...about) => all.map((hooks) => hooks.leaving?.(...about) ?? false).includes(true),
  gone: (age) => all.forEach((hooks) => void hooks.gone?.(age)),
});

export type { ProcessLaunch };

export interface ProcessDeps<K extends LinkKind> {
  kind: K;
  /** What people call it: `worker`. */
  title: string;
  launch(input: ProcessInput): ProcessLaunch<K>;
  /** One that was started already and has its order to boot, if there is one. */
  early?(input: ProcessInput): ChildProcess | undefined;
  /** What is to end before it is started; undefined: nothing. Never rejects. */
  before?(input: ProcessInput): Promise<void> | undefined;
  hooks?: ProcessHooks<K>;
  heartbeats: HeartbeatTable;
  /** Measures their memory. */
  memory?: MemoryTable | undefined;
  /** Every process that lives, so that a bug in a machine leaves no orphan. */
  live: Set<ChildProcess>;
  /** Sees to it that none outlives this process. */
  guardian?: Pick<Guardian, 'add' | 'remove'> | undefined;
  /** Takes what one prints whose launch says so. */
  printed?(placed: Placed, pid: number): Printed;
  /** The file that it runs. */
  file: string;
  /** Takes secrets out of what a process says of itself. */
  redactor: Pick<Redactor, 'report'>;
  /** Has them inspected, while somebody watches. */
  inspected: InspectedChildren;
  /** What goes wrong on a link without harm. */
  linkNotice(text: string): void;
}

type Up = ProcessReport | Exclude<LifecycleReport, { type: 'worker.heartbeat' }>;

export function processActor<K extends LinkKind>(deps: ProcessDeps<K>) {
  const { hooks = {} } = deps;
  return fromCallback<ProcessOrder, ProcessInput>(({ sendBack, receive, input }) => {
    const report = sendBack as (event: Up) => void;
    const { age, slot, generation } = input;
    const name = `${deps.title} ${age}`;
    let child: ChildProcess | undefined;
    let link: Link<{ type: string }> | undefined;
    const pass = (order: { type: string }): void => {
      if (link?.send(order) === 'full')
        deps.linkNotice(`the link of ${name} is full: ${order.type} was refused`);
    };

    let unknown = 0;
    const strange = (what: string): void => {
      if (++unknown <= UNKNOWN_LOGGED_MAX) deps.linkNotice(`${name} sent what is not known: ${what}`);
    };

    const first = deps.before?.(input);
    let isAwaited = first !== undefined;
    let isDropped = false;
    receive((order) => {
      if (isAwaited && order.type === 'process.signal') {
        // There is nobody to end yet, and never will be.
        isAwaited = false;
        isDropped = true;
        return report({ type: 'process.exited', code: null, signal: order.signal });
      }
      if (order.type === 'process.signal') return void killChild(child, order.signal);
      if (!hooks.leaving?.(age, order, pass)) pass(order);
    });

    if (first)
      void first.then(() => {
        isAwaited = false;
        if (!isDropped) start();
      });
    else start();

    function start(): void {
      const launch = prepared();
      if (!launch) return;
      const early = deps.early?.(input);
      child = early ?? spawned(launch);
      if (child?.pid === undefined) return;
      deps.live.add(child);
      deps.guardian?.add(child.pid, input.graceMs);
      report({ type: 'process.spawned', pid: child.pid });
      const started = child;
      const printed = launch.isCaptured ? deps.printed?.(input, child.pid) : undefined;
      watchMemory(child.pid, launch);
      const silence = new Silence({
        age,
        name,
        pid: child.pid,
        heartbeats: deps.heartbeats,
        debuggerPort: launch.debuggerPort,
        asker: launch.hangStack ? (child.stdio[FIRST_FD + launch.fds.length] as Duplex) : undefined,
        redactor: deps.redactor,
        notice: deps.linkNotice,
        report: (silentMs, found) => {
          if (deps.live.has(started)) report({ type: 'process.silent', silentMs, found });
        },
      });
      link = connect(
        child,
        printed && captureOutput(child, printed),
        (silentMs) => void silence.heard(silentMs),
      );
      if (!early) link.send(launch.boot);
      hooks.linked?.(age, child.pid, pass);
      beInspected(child.pid);
    }

    function watchMemory(pid: number, { memory }: ProcessLaunch<K>): void {
      if (memory)
        deps.memory?.watch(pid, memory, (limit, fault) => report({ type: 'process.swelled', limit, fault }));
    }

    function beInspected(pid: number): void {
      const pulse = () => deps.heartbeats.pulse(age);
      const facts = { pid, process: deps.kind, age, slot, generation };
      deps.inspected.linked({ ...facts, pulse, send: pass, unknown: strange });
    }

    /** What it is to be started with may be lacking: a fault of the world, and no reason for its parent to end. */
    function prepared(): ProcessLaunch<K> | undefined {
      try {
        return deps.launch(input);
      } catch (error) {
        if (!(error instanceof FaultError)) throw error;
        report({ type: 'process.spawnFailed', fault: error.fault });
        return undefined;
      }
    }

    /** What keeps a process from being started (out of descriptors, no directory) is a fault of the world. */
    function spawned(launch: ProcessLaunch<K>): ChildProcess | undefined {
      const failed = (error: Error): void => {
        hooks.gone?.(age);
        report({ type: 'process.spawnFailed', fault: spawnFault(deps.title, error, launch) });
      };
      try {
        const started = spawnProcess(launch, input, deps.file);
        holdOnto(started, launch);
        // Stays: a signal that cannot be sent is told here too, any number of times.
        started.on('error', (error) => {
          if (started.pid === undefined) failed(error);
        });
        return started;
      } catch (error) {
        failed(error as Error);
        return undefined;
      }
    }

    /** Pipes by which it sees this process end: never written to. */
    function holdOnto(started: ChildProcess, { fds }: ProcessLaunch<K>): void {
      for (const [index, fd] of fds.entries()) {
        const owned = fd === 'pipe' ? stdioOf(started)[FIRST_FD + index] : undefined;
        owned?.on('error', () => {});
        started.once('exit', () => owned?.destroy());
      }
    }

    function connect(
      started: ChildProcess,
      output: Promise<void> | undefined,
      silent: (silentMs: number) => void,
    ): Link<{ type: string }> {
      let greeted = false;
      const allowance = new Allowance();
      const stream = started.stdio[LINK_FD] as Duplex;
      const breakLink = (fault: Fault): void => {
        report({ type: 'process.linkBroken', fault });
        stream.destroy();
      };
      // Of one that was started early it may be closed by now.
      const linkClosed = new Promise<void>((resolve) => {
        if (stream.closed) resolve();
        else stream.once('close', () => resolve());
      });
      started.once('exit', (code, signal) => {
        deps.live.delete(started);
        if (started.pid !== undefined) deps.guardian?.remove(started.pid);
        deps.memory?.forget(started.pid ?? 0);
        deps.heartbeats.forget(age);
        const late = new Promise<void>((resolve) => setTimeout(resolve, LAST_WORDS_MS).unref());
        const limit = setTimeout(() => stream.destroy(), LAST_WORDS_MS);
        // Whatever it has started may hold its output open for longer, and goes on being read.
        Promise.all([linkClosed, output && Promise.race([output, late])]).then(() => {
          clearTimeout(limit);
          hooks.gone?.(age);
          report({ type: 'process.exited', code, signal });
          if (started.pid !== undefined) deps.inspected.gone(started.pid);
        });
      });
      return openLink<LifecycleReport | InspectReport, { type: string }>(
        stream,
        null,
        linkSchemas[deps.kind].up,
        {
          event(event) {
            if (!greeted) {
              greeted = true;
              const mismatch = greeting(event);
              if (mismatch) return breakLink({ code: 'link.mismatch', message: mismatch });
            }
            if (event.type === 'worker.heartbeat') return deps.heartbeats.beat(age, event);
            if (event.type === 'inspect.batch') return deps.inspected.heard(started.pid ?? 0, event);
            if (event.type === 'worker.notice') allowance.spend(NOTICE_UNITS);
            if (!Object.hasOwn(lifecycleReports, event.type)) return hooks.reported?.(age, event);
            if (event.type === 'worker.ready') {
              deps.heartbeats.watch(age, input.timeoutMs, silent);
              deps.memory?.ready(started.pid ?? 0);
              hooks.ready?.(age);
            }
            report(deps.redactor.report(event));
          },
          takes: (bytes) => allowance.takes(bytes),
          // What only the inspector reads need not be read by the thread that supervises.
          passes: (body) => greeted && isSealedReport(body) && deps.inspected.took(started.pid ?? 0, body),
          unknown: strange,
          broken(why) {
            breakLink({ code: 'link.mismatch', message: `${name} broke the link: ${why}` });
          },
          // A worker that has lost its link leaves by itself; one that does not can no longer be told anything.
          ended() {
            const fault: Fault = { code: 'link.mismatch', message: `${name} closed its link and stayed` };
            const limit = setTimeout(() => report({ type: 'process.linkBroken', fault }), LINK_ENDED_MS);
            limit.unref();
            started.once('exit', () => clearTimeout(limit));
          },
        },
      );
    }

    function greeting(event: LifecycleReport | InspectReport): string | null {
      if (event.type !== 'worker.hello') return `${name} said ${event.type} before hello`;
      if (event.protocol !== LINK_PROTOCOL)
        return `${name} speaks link protocol ${event.protocol}, not ${LINK_PROTOCOL}: was Kirin replaced on disk?`;
      if (event.kind !== deps.kind) return `${name} says it is a ${event.kind}, not a ${deps.kind}`;
      if (event.age !== age || event.generation !== generation)
        return `${name} says it is worker ${event.age} of generation ${event.generation}`;
      return null;
    }

    return () => {
      isDropped = true;
      deps.heartbeats.forget(age);
      // Normally gone by now; a machine that ends before its process would leave an orphan.
      if (child && deps.live.has(child)) killChild(child);
    };
  });
}

/** A missing directory looks like a missing program to spawn(2). */
const spawnFault = (title: string, error: NodeJS.ErrnoException, { cwd, identity }: SpawnedAs): Fault => ({
  code: 'process.spawnFailed',
  message: existsSync(cwd)
    ? `a ${title} could not be started: ${error.message}${hintOf(error, cwd, identity)}`
    : `a ${title} could not be started: the directory ${cwd} is gone; a reload finds the new one`,
});

type SpawnedAs = Pick<ProcessLaunch<LinkKind>, 'cwd' | 'identity'>;

/** What the system does not say of it. */
function hintOf({ code }: NodeJS.ErrnoException, cwd: string, identity: SpawnedAs['identity']): string {
  const user = identity?.uid ?? process.geteuid?.();
  if (code === 'EACCES') return `: user ${user} must be able to run it and to enter ${cwd}`;
  return code === 'EPERM' && identity ? `: it may not become user ${user} (CAP_SETUID, CAP_SETGID)` : '';
}
