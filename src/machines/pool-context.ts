/** What a pool knows, and what can be said of it: the context of the pool machine and pure questions about it. */
import type { ChildTitle } from './child.ts';
import type { ChildReport, Leave, LeavingCause } from './events/child.ts';
import type { Generation } from './events/generation.ts';
import type { PoolOrder, PoolReport } from './events/pool.ts';
import type { Fault } from './faults.ts';
import { backoffMs, type Judgement, judge, type Member, surgeOf, type View } from './policy.ts';
import type { Listener } from './ports.ts';

export interface PoolInput {
  /** Default `worker`. */
  title?: ChildTitle;
  parent: Listener<PoolReport>;
  target: number;
  generation: Generation;
  /** Nobody is started while another child lives, though it is leaving; for a target of one. Default: false. */
  alone?: boolean;
}

/** A reload on its way: on trial, or committed and rolling over. */
export interface Rollout {
  /** 0 once its order was answered. */
  orderId: number;
  generation: Generation;
  /** Up-to-date children that became ready since the commit point. */
  replaced: number;
  /** Whether its candidates wait for the order to commit. */
  hold: boolean;
}

export interface PoolContext {
  title: ChildTitle;
  parent: Listener<PoolReport>;
  target: number;
  alone: boolean;
  /** The age of the next child: never reused. */
  nextAge: number;
  members: readonly Member[];
  committed: Generation;
  trial: Rollout | null;
  /** Why the trial failed, until the rollout region has answered for it. */
  trialFault: Fault | null;
  /** The committed reload that is being rolled over. */
  rollout: Rollout | null;
  /** Why the latest replacement failed, until one succeeds. */
  stallFault: Fault | null;
  /** The order to scale that is under way; 0: none. */
  scaleOrderId: number;
  /** Failures in a row by their kind (those of one cool-down count once), and what the latest one was. */
  failures: Readonly<Record<Exclude<Judgement, 'planned'>, number>>;
  judgement: Judgement;
  /** A failure that no cool-down has answered yet, and whether one is under way. */
  failurePending: boolean;
  cooling: boolean;
  /** Generations whose descriptors may still be in use. */
  generations: readonly number[];
}

export type PoolEvent = PoolOrder | ChildReport | { type: 'pool.review' };

/** The id under which a pool knows its child; ids carry the age, so that none is ever used twice. */
export const childId = (age: number): string => `child.${age}`;

export const viewOf = (context: PoolContext): View => ({
  members: context.members,
  target: context.target,
  committed: context.committed.number,
  trial: context.trial?.generation.number ?? null,
  surge: surgeOf((context.trial?.generation ?? context.committed).surge, context.target),
});

export const isUpToDate = (context: PoolContext, member: Member): boolean =>
  member.generation === context.committed.number && !member.recycleDue;
export const active = (context: PoolContext): Member[] =>
  context.members.filter((member) => member.phase !== 'leaving');
export const ready = (context: PoolContext): Member[] =>
  context.members.filter((member) => member.phase === 'ready');
export const remaining = (context: PoolContext): number =>
  active(context).filter((member) => member.generation < context.committed.number).length;

export const changed = (context: PoolContext, age: number, change: Partial<Member>): readonly Member[] =>
  context.members.map((member) => (member.age === age ? { ...member, ...change } : member));

export const noFailures: PoolContext['failures'] = { killed: 0, crashed: 0 };

/** How long the next hire waits, before jitter. */
export const backoffOf = ({ failures, judgement }: PoolContext): number =>
  judgement === 'planned' ? 0 : backoffMs(failures[judgement], judgement);

export const candidatesStand = (context: PoolContext): boolean => {
  const { trial, surge } = viewOf(context);
  return ready(context).filter((member) => member.generation === trial).length >= surge;
};

export const isOnTrial = (context: PoolContext, member: Member): boolean =>
  member.generation === context.trial?.generation.number;

export const leaveOrder = (leave: Leave, orderId: number) => ({ type: `child.${leave}` as const, orderId });

export const noFault: Fault = { code: 'boot.exited', message: 'a worker ended before it was ready' };

/** A child's end in a sentence, for those that said nothing themselves. */
export function faultOf(title: ChildTitle, exit: Extract<ChildReport, { type: 'child.exited' }>): Fault {
  if (exit.fault) return exit.fault;
  const how = exit.signal === null ? `exited with code ${exit.code}` : `was ended by ${exit.signal}`;
  const when = exit.phase === 'ready' ? '' : ' before it was ready';
  return { code: 'boot.exited', message: `${title} ${exit.age} (pid ${exit.pid}) ${how}${when}` };
}

/** What a child's unexpected end speaks against: a trial, or the replacing of children as such. */
export function blame(
  context: PoolContext,
  age: number,
  cause: LeavingCause,
  fault: Fault,
): Partial<Pick<PoolContext, 'trialFault' | 'stallFault'>> {
  const member = context.members.find((one) => one.age === age);
  // What the pool itself let go is marked as leaving already; a TERM from outside says nothing against the code.
  if (!member || member.phase === 'leaving' || cause === 'terminated') return {};
  if (isOnTrial(context, member)) return { trialFault: context.trialFault ?? fault };
  return member.phase === 'starting' ? { stallFault: fault } : {};
}

/** A failure of the committed code starts a cool-down; those that come while one is under way count with it. */
export function countFailure(
  context: PoolContext,
  event: Extract<ChildReport, { type: 'child.leaving' | 'child.exited' | 'child.recycleDue' }>,
): Partial<PoolContext> {
  const member = context.members.find((one) => one.age === event.age);
  const judgement = judgementOf(event, member);
  if (judgement === 'planned' || member?.generation !== context.committed.number) return {};
  if (context.cooling || context.failurePending) return { judgement };
  const failures = { ...context.failures, [judgement]: context.failures[judgement] + 1 };
  return { judgement, failures, failurePending: true };
}

/**
 * Who fails to boot, leaves for an uncaught error or is swollen is judged when that is told, so that its replacement waits from then
 * on; others at their end.
 */
function judgementOf(
  event: Extract<ChildReport, { type: 'child.leaving' | 'child.exited' | 'child.recycleDue' }>,
  member: Member | undefined,
): Judgement {
  if (event.type === 'child.recycleDue')
    return event.cause === 'memory' && !event.stable && member?.swollen !== true ? 'crashed' : 'planned';
  if (event.cause === 'uncaught')
    return event.type === 'child.leaving' && !event.stable && member?.phase === 'ready'
      ? 'crashed'
      : 'planned';
  const failedToBoot = event.cause === 'bootFailed' || event.cause === 'bootTimeout';
  if (event.type === 'child.exited') return failedToBoot ? 'planned' : judge(event);
  return failedToBoot && member?.phase === 'starting' ? 'crashed' : 'planned';
}

export const stoppingFault: Fault = { code: 'order.stopping', message: 'the server is stopping' };
