/**
 * What every supervised process does beside its work: heartbeats, last words, and an exit that flushes its link. Runs in web
 * workers, in the dirty arbiter and in dirty workers.
 */
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import type { LifecycleReport } from '../machines/events/lifecycle.ts';
import type { Fault } from '../machines/faults.ts';
import { DescriptorWatch, residentBytes } from './descriptors.ts';
import { fault } from './fault-error.ts';
import type { Link } from './link.ts';
import { isHandledByApp, isHandledByDraining, uncaughtFault } from './uncaught.ts';

/** The descriptor of the link to the parent. */
export const LINK_FD = 3;
/** The order to boot is written as soon as the process is spawned; a parent that does not send it is gone. */
export const BOOT_ORDER_MS = 10_000;
/** How long the last frames may take to be written. */
const FLUSH_MS = 500;
/** How often the event loop's delay is looked at; what Node measures is the time between two looks. */
const DELAY_RESOLUTION_MS = 20;
/** A line for the log is no longer than this, in UTF-16 units. */
const NOTICE_MAX = 4 * 1024;

/** Takes a line for the log. */
export type Notice = (level: 'debug' | 'info' | 'warn' | 'error', text: string) => void;

/** What a heartbeat tells of the work. */
export interface Counts {
  requests: number;
  connections: number;
  inFlight: number;
  /** Where connections are limited: whether it accepts nothing for want of room. */
  full?: boolean;
  /** Of a web worker: connections accepted since it was ready. */
  accepted?: number;
  /** Of a web worker: whether it accepts nothing because others do. */
  resting?: boolean;
}

/** Sends lines for the log up the link. */
export const noticeOver =
  (link: Pick<Link<LifecycleReport>, 'send'>): Notice =>
  (level, text) => {
    link.send({ type: 'worker.notice', level, text: text.slice(0, NOTICE_MAX) });
  };

/** Sends heartbeats; the timer does not hold the process. */
export function beat(
  link: Pick<Link<LifecycleReport>, 'send'>,
  everyMs: number,
  counts: () => Counts,
): () => void {
  const delay = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS });
  delay.enable();
  const notice = noticeOver(link);
  const descriptors = new DescriptorWatch((state) =>
    state === 'free'
      ? notice('info', 'file descriptors are free again')
      : notice('error', 'no file descriptor is left: new connections are closed unanswered (see ulimit -n)'),
  );
  let utilization = performance.eventLoopUtilization();
  const timer = setInterval(() => {
    const now = performance.eventLoopUtilization();
    descriptors.look();
    link.send({
      type: 'worker.heartbeat',
      ...counts(),
      loopDelayMs: delay.count > 0 ? Math.max(0, delay.percentile(99) / 1e6 - DELAY_RESOLUTION_MS) : 0,
      loopUtilization: performance.eventLoopUtilization(now, utilization).utilization,
      rssBytes: residentBytes(),
    });
    utilization = now;
    delay.reset();
  }, everyMs);
  timer.unref();
  return () => {
    clearInterval(timer);
    delay.disable();
  };
}

/** Node's rule stays (an uncaught error ends the process), but the arbiter learns why. */
export function speakLastWords(
  link: Pick<Link<LifecycleReport>, 'sendSync'>,
  unexpected: () => boolean,
): void {
  let said = false;
  const say = (why: Fault): void => {
    if (said || !unexpected()) return;
    said = true;
    link.sendSync({ type: 'worker.lastWords', fault: why });
  };
  process.on('uncaughtExceptionMonitor', (error, origin) => {
    // An app that handles it goes on, and a worker that drains says why itself.
    if (isHandledByApp() || isHandledByDraining()) return;
    say(uncaughtFault(error, origin));
  });
  process.on('exit', (code) => {
    // process.exit() calls this handler: the frames below its own are the app's.
    const frames = (new Error().stack ?? '').split('\n');
    const call = frames.findIndex(
      (frame) => frame.includes('at process.exit ') || frame.includes('reallyExit'),
    );
    if (call < 0) return say(fault('worker.exitCalled', `it ended by itself with code ${code}`));
    const stack = [`process.exit(${code})`, ...frames.slice(call + 1)].join('\n');
    say(fault('worker.exitCalled', `the app called process.exit(${code})`, stack));
  });
}

export function exitAfter(link: Pick<Link<LifecycleReport>, 'flush'>, code: number): void {
  const limit = setTimeout(() => process.exit(code), FLUSH_MS);
  link.flush().then(() => {
    clearTimeout(limit);
    process.exit(code);
  });
}
