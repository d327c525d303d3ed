/**
 * Turns transitions into log lines; runs in the arbiter. Machines never log: the narrator watches what they are told
 * and where they go, and says what a person wants to know. Nothing depends on it.
 */
import type { InspectionEvent } from 'xstate';
import type { ArbiterContext, ArbiterEvent } from '../machines/arbiter.ts';
import type { ChildContext, ChildEvent } from '../machines/child.ts';
import type { ArbiterOrder, ArbiterReport, OrderEnded } from '../machines/events/arbiter.ts';
import type { ChildExit } from '../machines/events/child.ts';
import type { Found } from '../machines/events/process.ts';
import type { Fault } from '../machines/faults.ts';
import type { Log } from './log.ts';

/** What an actor of interest looks like in an inspection event. */
interface Watched {
  logic?: { id?: string };
  sessionId: string;
}

interface Seen {
  value: unknown;
  context: unknown;
}

export interface NarratorFacts {
  /** The addresses of a generation. */
  addresses(generation: number): string[];
  app(): string;
}

export function narrator(log: Log, facts: NarratorFacts) {
  const values = new Map<string, string>();
  const told = { ...facts, generation: 1 };
  const memory = new MemoryNews();

  return (inspection: InspectionEvent): void => {
    // Microsteps come before what they send, so that lines are in the order of cause and effect.
    if (inspection.type !== '@xstate.microstep') return;
    const actor = inspection.actorRef as unknown as Watched;
    const kind = actor.logic?.id;
    tellCrash(log, inspection.event);
    if (kind !== 'child' && kind !== 'arbiter') return;
    const snapshot = inspection.snapshot as unknown as Seen & { status: string };
    const before = values.get(actor.sessionId) ?? '';
    const now = path(snapshot.value);
    values.set(actor.sessionId, now);
    if (snapshot.status !== 'active') values.delete(actor.sessionId);
    const event = inspection.event as { type: string };
    if (kind === 'child')
      tellChild(log, memory, event as ChildEvent, snapshot.context as ChildContext, before, now);
    else tellArbiter(log, told, event as ArbiterEvent, snapshot.context as ArbiterContext);
  };
}

/** An actor of the control interface that failed; a failed actor of any other kind ends the server. */
function tellCrash(log: Log, event: { type: string; error?: unknown; actorId?: string }): void {
  if (!event.type.startsWith('xstate.error.actor.')) return;
  const { error, actorId } = event;
  log.error(`this is a bug in Kirin: ${actorId ?? 'an actor'} of the control interface failed`, {
    stack: error instanceof Error ? error.stack : String(error),
  });
}

/** `{ alive: { ready: 'fresh' } }` as `alive.ready.fresh`; of parallel regions the first. */
function path(value: unknown): string {
  if (typeof value === 'string') return value;
  const [key, inner] = Object.entries(value as object)[0] ?? [''];
  return inner === undefined ? key : `${key}.${path(inner)}`;
}

const seconds = (ms: number): string => `${Math.round(ms / 100) / 10} s`;

/** A limit that every worker passes soon is a mistake in the limit or a leak; it is told once, until a worker has lasted. */
class MemoryNews {
  #isTold = false;

  tell(log: Log, name: string, { stable, limits }: ChildContext, message: string, fields: object): void {
    log.warn(`${name} is to be replaced: ${message}`, fields);
    if (stable || this.#isTold) return;
    this.#isTold = true;
    const soon = seconds(limits.stableMs);
    log.warn(
      `workers pass --max-memory within ${soon} of being ready: while that is so, replacements wait longer and longer`,
    );
  }

  lasted(): void {
    this.#isTold = false;
  }
}

function tellChild(
  log: Log,
  memory: MemoryNews,
  event: ChildEvent,
  child: ChildContext,
  before: string,
  now: string,
): void {
  // There is one dirty arbiter at a time: its number says nothing.
  const title = child.title === 'dirty arbiter' ? child.title : `${child.title} ${child.age}`;
  const name = `${title}${child.pid > 0 ? ` (pid ${child.pid})` : ''}`;
  const fields =
    child.title === 'dirty arbiter'
      ? { dirtyArbiterPid: child.pid }
      : { age: child.age, slot: child.slot, generation: child.generation, workerPid: child.pid };
  // A dirty arbiter tells of its own workers.
  if (event.type === 'worker.notice')
    return log[event.level](child.title === 'dirty arbiter' ? event.text : `${name}: ${event.text}`, fields);
  if (event.type === 'worker.drained' && event.cut > 0)
    return log[before.startsWith('alive.draining') ? 'warn' : 'info'](
      `${name} cut ${event.cut} connection${event.cut === 1 ? '' : 's'} that had not ended in time`,
      { ...fields, cut: event.cut },
    );
  if (event.type === 'process.spawned') return log.info(`${name} started`, fields);
  if (event.type === 'process.swelled' && event.limit === 'soft' && now.startsWith('alive.ready'))
    return memory.tell(log, name, child, event.fault.message, fields);
  if (before === now) return;
  if (now.startsWith('alive.ready.stable')) memory.lasted();
  const entered = (state: string): boolean => now.startsWith(state) && !before.startsWith(state);

  if (entered('alive.ready')) log.info(`${name} is ready`, fields);
  else if (entered('alive.aborting') && event.type === 'process.silent')
    log.error(`${name} was silent for ${seconds(event.silentMs)}: sent SIGABRT${whereFound(event.found)}`, {
      ...fields,
      ...(event.found && 'stack' in event.found ? { stack: event.found.stack } : {}),
    });
  else if (entered('alive.draining') && child.cause === 'uncaught')
    log.error(`${name} is draining: ${child.fault?.message ?? 'an error was not caught'}`, {
      ...fields,
      ...stackOf(child.fault),
    });
  else if (entered('alive.draining'))
    log.info(`${name} is draining${child.cause === 'terminated' ? ': it was sent SIGTERM' : ''}`, fields);
  else if (
    entered('alive.killing') &&
    before.startsWith('alive.starting.spawned') &&
    child.cause === 'ordered'
  )
    log.info(`${name} is ended before it began: it is not needed any more`, fields);
  else if (entered('alive.killing'))
    log.warn(`${name} is killed: ${whyKilled(event, child, before)}`, fields);
  else if (entered('reaped')) tellReaped(log, name, child, fields);
}

function whereFound(found: Found | undefined): string {
  if (!found) return '';
  return 'stack' in found ? '; it was here:' : `; where it was is not known: ${found.why}`;
}

function whyKilled(event: ChildEvent, child: ChildContext, before: string): string {
  if (event.type === 'process.swelled') return event.fault.message;
  if (event.type === 'child.kill' && child.cause !== 'overweight') return 'it was ordered';
  if (child.cause === 'bootTimeout' || child.cause === 'linkBroken' || child.cause === 'overweight')
    return child.fault?.message ?? '';
  if (before.startsWith('alive.draining'))
    return `it had not ended ${seconds(child.limits.graceMs)} after it was told to drain (--graceful-timeout)`;
  if (before.startsWith('alive.aborting')) return 'it did not end on SIGABRT';
  if (before.startsWith('alive.quitting')) return `it had not ended after ${seconds(child.limits.quitMs)}`;
  return 'it was ordered';
}

function tellReaped(log: Log, name: string, child: ChildContext, fields: object): void {
  const how = describeExit(child);
  const expected = child.cause === 'ordered' || child.cause === 'terminated';
  // That it is killed, and why, was told before.
  const told = child.code === 0 || child.signal === 'SIGKILL';
  // Its error was told when it began to drain.
  const isOld = child.cause === 'uncaught' && child.phase === 'leaving';
  if ((expected && !child.fault) || isOld) return log.info(`${name} ended${told ? '' : `, ${how}`}`, fields);
  // Nobody was there to end; whoever hired it tells that it could not be started, and when it is tried again.
  if (child.fault?.code === 'process.spawnFailed')
    return log.debug(`${name}: ${child.fault.message}`, fields);
  const reason = child.fault ? `: ${child.fault.message}` : '';
  const what =
    child.cause === 'bootFailed' || child.cause === 'bootTimeout' ? 'could not boot' : 'ended unexpectedly';
  const stack = stackOf(child.fault);
  const isTold = stack.stack !== undefined && toldOfOrders.get(log) === stack.stack;
  toldOfOrders.delete(log);
  log.error(`${name} ${what}, ${how}${reason}`, { ...fields, ...(isTold ? {} : stack) });
}

const describeExit = (exit: Pick<ChildExit, 'code' | 'signal'>): string =>
  exit.signal === null ? `exit code ${exit.code ?? 'unknown'}` : `by ${exit.signal}`;

/** The stack that an order's failure told last: that of the worker it failed by comes next, and is the same. */
const toldOfOrders = new WeakMap<Log, string>();

const stackOf = (fault: Fault | null | undefined): { stack?: string } =>
  fault?.stack === undefined ? {} : { stack: fault.stack };

function tellArbiter(
  log: Log,
  facts: NarratorFacts & { generation: number },
  event: ArbiterEvent,
  arbiter: ArbiterContext,
): void {
  switch (event.type) {
    case 'generation.prepared': {
      const { number } = event.generation;
      const addresses = facts.addresses(number);
      const fields = { generation: number, addresses };
      if (number === 1) return log.info(`bound ${addresses.join(', ')}`, fields);
      return log.info(`trying generation ${number}`, fields);
    }
    case 'pool.opened':
      return log.info(`serving ${facts.app()} on ${facts.addresses(facts.generation).join(', ')}`);
    case 'pool.committed':
      facts.generation = event.generation;
      return log.info(
        `generation ${event.generation} takes over on ${facts.addresses(event.generation).join(', ')}`,
        { generation: event.generation, addresses: facts.addresses(event.generation) },
      );
    case 'pool.degraded':
      return log.warn(
        `a worker could not be replaced: ${event.fault.message}; next try within ${seconds(event.retryInMs)}`,
      );
    case 'pool.generationGone':
      return log.debug(`the last process of generation ${event.generation} is gone`);
    case 'control.opened':
      return log.info(`control socket at ${event.path}`, { socket: event.socket });
    case 'control.unavailable':
      return log.warn(
        `no ${event.socket === 'control' ? '' : 'read-only '}control socket: ${event.fault.message}`,
        { socket: event.socket },
      );
    case 'dirty.opened':
      return log.info('dirty workers are ready');
    case 'dirty.degraded':
      return log.warn(
        `the dirty arbiter could not be replaced: ${event.fault.message}; next try within ${seconds(event.retryInMs)}`,
      );
    case 'arbiter.dirtyScale':
    case 'arbiter.dirtyRetire':
    case 'arbiter.dirtyCancel':
    case 'arbiter.reload':
    case 'arbiter.retire':
    case 'arbiter.reopen':
    case 'arbiter.scale':
    case 'arbiter.upgrade':
    case 'arbiter.rest':
      return log.info(describeOrder(event));
    case 'successor.serving':
      return log.info(
        `the new arbiter (pid ${event.pid}) serves; TERM to this one (pid ${process.pid}) completes the upgrade, TERM to the new one takes it back`,
        { successorPid: event.pid },
      );
    case 'successor.gone':
      return log.warn(`the new arbiter (pid ${event.pid}) has ended: this one goes on alone`, {
        successorPid: event.pid,
      });
    case 'predecessor.gone':
      return log.info(`the old arbiter (pid ${event.pid}) has ended: this one takes its place`, {
        predecessorPid: event.pid,
      });
    case 'arbiter.stop':
      if (arbiter.stops < 2) return log.info(describeOrder(event));
      return log.warn(
        `${event.source} again: ${arbiter.stops === 2 ? 'what is in flight is cut' : 'killing'}`,
      );
    default:
      return;
  }
}

/** Nobody has asked for it. */
const OF_ITSELF = 'of itself';

function describeOrder(given: ArbiterOrder): string {
  const order = { ...given, source: given.source === 'internal' ? OF_ITSELF : given.source };
  switch (order.type) {
    case 'arbiter.reload':
      return `${order.source}: reload`;
    case 'arbiter.retire':
      return `${order.source}: ${order.leave} worker ${order.age}`;
    case 'arbiter.dirtyScale':
      return `${order.source}: ${order.by > 0 ? 'add' : 'remove'} ${Math.abs(order.by)} dirty worker${Math.abs(order.by) === 1 ? '' : 's'}`;
    case 'arbiter.dirtyRetire':
      return `${order.source}: ${order.leave} dirty worker ${order.age}`;
    case 'arbiter.dirtyCancel':
      return `${order.source}: cancel dirty call ${order.call}`;
    case 'arbiter.reopen':
      return `${order.source}: reopen the log files`;
    case 'arbiter.scale':
      return `${order.source}: ${order.by > 0 ? 'add' : 'remove'} ${workers(Math.abs(order.by))}`;
    case 'arbiter.stop':
      return `${order.source}${order.source === 'SIGHUP' ? ', the terminal has gone' : ''}: ${order.mode} shutdown`;
    case 'arbiter.upgrade':
      return `${order.source}: upgrade`;
    case 'arbiter.rest':
      return `${order.source}: let the workers go`;
  }
}

const workers = (count: number): string => `${count} worker${count === 1 ? '' : 's'}`;

/** What became of an order, as a line: what it changed when it was accepted, and how it ended. */
export function tellOrder(log: Log, report: ArbiterReport): void {
  if (report.type !== 'order.taken') return tellOrderEnd(log, report);
  const { previous, total, reason } = report;
  if (previous === undefined || total === undefined) return;
  const why = reason === undefined ? '' : `: ${reason}`;
  const what = report.order === 'arbiter.dirtyScale' ? 'dirty workers' : 'workers';
  log.info(`the number of ${what} goes from ${previous} to ${total}${why}`, {
    order: 'scale',
    orderId: report.orderId,
  });
}

function replacedIn({ replaced = 0, dirtyReplaced }: OrderEnded): string {
  if (dirtyReplaced === undefined) return workers(replaced);
  const dirty = `${dirtyReplaced} dirty worker${dirtyReplaced === 1 ? '' : 's'}`;
  return `${workers(replaced - dirtyReplaced)} and ${dirty}`;
}

/** How an order ended, as a line. Plain successes of orders that need no word are told at debug level. */
function tellOrderEnd(log: Log, end: OrderEnded): void {
  const what = end.order === 'arbiter.rest' ? 'standby' : end.order.replace('arbiter.', '');
  const fields = { order: what, orderId: end.orderId, ...stackOf(end.fault) };
  const counts =
    end.remaining === undefined
      ? ''
      : end.replaced
        ? `; ${end.replaced} replaced, ${end.remaining} of the former remain`
        : '; nothing was changed';
  switch (end.type) {
    case 'order.done':
      if (what === 'reload' && end.replaced === undefined)
        return log.info('reload done: the workers come back, of the same generation', fields);
      if (what === 'reload') return log.info(`reload done: ${replacedIn(end)} of the new generation`, fields);
      return log.debug(`${what} done`, fields);
    case 'order.refused':
      return log.warn(`${what} refused: ${end.fault?.message ?? ''}`, fields);
    case 'order.failed':
      if (end.fault?.stack !== undefined) toldOfOrders.set(log, end.fault.stack);
      return log.error(`${what} failed: ${end.fault?.message ?? ''}${counts}`, fields);
    case 'order.superseded':
      return log.info(`${what} superseded by a newer one`, fields);
  }
}
