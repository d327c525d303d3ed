/** What a pool knows, and what can be said of it: the context of the pool machine and pure questions about it. */
import type { ChildTitle } from './child.ts';
import { candidatesThatFit } from './claims.ts';
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
  /** A child that fails is waited for in its slot alone, since slots run different code. Default: false, in all of them. */
  coolsBySlot?: boolean;
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

/** What failed, and what is waited for after it: in one slot, or in the whole pool. */
export interface Cooldown {
  /** The slot, or 0 where all cool down together. */
  readonly place: number;
  /** Failures in a row by their kind (those of one cool-down count once), and what the latest one was. */
  readonly failures: Readonly<Record<Exclude<Judgement, 'planned'>, number>>;
  readonly judgement: Judgement;
  /** A failure that no cool-down has answered yet, and whether one is under way. */
  readonly isPending: boolean;
  readonly isCooling: boolean;
  /** Why the latest replacement failed, until one succeeds. */
  readonly fault: Fault | null;
}

export interface PoolContext {
  title: ChildTitle;
  parent: Listener<PoolReport>;
  target: number;
  coolsBySlot: boolean;
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
  /** The order to scale that is under way; 0: none. */
  scaleOrderId: number;
  /** Of places where something failed, the latest fault last. */
  cooldowns: readonly Cooldown[];
  /** The place whose cool-down began last. */
  lastToCool: number;
  /** Generations whose descriptors may still be in use. */
  generations: readonly number[];
}

export type PoolEvent =
  | PoolOrder
  | ChildReport
  | { type: 'pool.review' }
  /** What a place waited for after a failure is over. */
  | { type: 'pool.cooled'; place: number };

/** The id under which a pool knows its child; ids carry the age, so that none is ever used twice. */
export const childId = (age: number): string => `child.${age}`;

export function viewOf(context: PoolContext): View {
  const { members, target, committed } = context;
  const trial = context.trial?.generation;
  const surge = surgeOf((trial ?? committed).surge, target);
  const claims = { committed: committed.claims, trial: trial?.claims };
  const hasClaims = claims.committed || claims.trial || members.some(({ holds }) => holds !== undefined);
  return {
    members,
    target,
    committed: committed.number,
    trial: trial?.number ?? null,
    surge: trial ? candidatesThatFit(surge, target, committed.claims, trial.claims) : surge,
    cooling: coolingSlots(context),
    claims: hasClaims ? claims : undefined,
  };
}

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

export const coolId = (place: number): string => `cool.${place}`;
const placeOf = ({ coolsBySlot }: PoolContext, slot: number): number => (coolsBySlot ? slot : 0);
const clean = (place: number): Cooldown => ({
  place,
  failures: { killed: 0, crashed: 0 },
  judgement: 'planned',
  isPending: false,
  isCooling: false,
  fault: null,
});

const cooldownAt = ({ cooldowns }: PoolContext, place: number): Cooldown =>
  cooldowns.find((one) => one.place === place) ?? clean(place);

export const changedCooldown = (
  context: PoolContext,
  place: number,
  change: Partial<Cooldown>,
): readonly Cooldown[] => [
  ...context.cooldowns.filter((one) => one.place !== place),
  { ...cooldownAt(context, place), ...change },
];

/** The slots in which nobody is hired yet. */
function coolingSlots({ coolsBySlot, cooldowns, target }: PoolContext): number[] {
  const places = cooldowns.filter(({ isCooling }) => isCooling).map(({ place }) => place);
  return coolsBySlot || places.length === 0 ? places : Array.from({ length: target }, (_, slot) => slot);
}

/** Why the latest replacement that failed did, until one succeeds in its place. */
export const stallFaultOf = ({ cooldowns }: Pick<PoolContext, 'cooldowns'>): Fault | null =>
  cooldowns.findLast(({ fault }) => fault !== null)?.fault ?? null;

/** New code, or another size, starts with a clean record; what cools down does so until it is looked at again. */
export const withoutFaults = ({ cooldowns }: PoolContext): readonly Cooldown[] =>
  cooldowns.map((one) => ({ ...one, fault: null }));
export const forgiven = ({ cooldowns }: PoolContext): readonly Cooldown[] =>
  cooldowns.map((one) => ({ ...clean(one.place), isCooling: one.isCooling }));

/** What a child that became ready, or lasted, says for its place. */
export const inPlaceOf = (
  context: PoolContext,
  age: number,
  change: Partial<Cooldown>,
): readonly Cooldown[] => {
  const member = context.members.find((one) => one.age === age);
  const place = member && placeOf(context, member.slot);
  return context.cooldowns.map((one) => (one.place === place ? { ...one, ...change } : one));
};
export const lasted: Partial<Cooldown> = {
  failures: clean(0).failures,
  judgement: 'planned',
  isPending: false,
};

const waitOf = ({ failures, judgement }: Cooldown): number =>
  judgement === 'planned' ? 0 : backoffMs(failures[judgement], judgement);

/** How long the place whose cool-down began last waits with its next hire, before jitter. */
export const backoffOf = (context: PoolContext): number => waitOf(cooldownAt(context, context.lastToCool));

/** What was waited for is cured: new code passed its commit point, or a worker lasted. */
export const isForgiven = (one: Cooldown): boolean => !one.isPending && waitOf(one) === 0;

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

/** What a child's unexpected end speaks against: a trial, or the replacing of children in its place. */
function blame(
  context: PoolContext,
  age: number,
  cause: LeavingCause,
  fault: Fault,
): Partial<Pick<PoolContext, 'trialFault' | 'cooldowns'>> {
  const member = context.members.find((one) => one.age === age);
  // What the pool itself let go is marked as leaving already; a TERM from outside says nothing against the code.
  if (!member || member.phase === 'leaving' || cause === 'terminated') return {};
  if (isOnTrial(context, member)) return { trialFault: context.trialFault ?? fault };
  if (member.phase !== 'starting') return {};
  return { cooldowns: changedCooldown(context, placeOf(context, member.slot), { fault }) };
}

/** A failure of the committed code starts a cool-down; those that come while one is under way count with it. */
export function countFailure(
  context: PoolContext,
  event: Extract<ChildReport, { type: 'child.leaving' | 'child.exited' | 'child.recycleDue' }>,
): Partial<PoolContext> {
  const member = context.members.find((one) => one.age === event.age);
  const judgement = judgementOf(event, member);
  if (judgement === 'planned' || member?.generation !== context.committed.number) return {};
  const place = placeOf(context, member.slot);
  const known = cooldownAt(context, place);
  if (known.isCooling || known.isPending)
    return { cooldowns: changedCooldown(context, place, { judgement }) };
  const failures = { ...known.failures, [judgement]: known.failures[judgement] + 1 };
  return { cooldowns: changedCooldown(context, place, { judgement, failures, isPending: true }) };
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

/** What is known when a child leaves or has gone, whatever is to be blamed for it. */
export function blamed(
  context: PoolContext,
  event: Extract<ChildReport, { type: 'child.leaving' | 'child.exited' }>,
  fault: Fault,
): PoolContext {
  const known = { ...context, ...blame(context, event.age, event.cause, fault) };
  return { ...known, ...countFailure(known, event) };
}

export const stoppingFault: Fault = { code: 'order.stopping', message: 'the server is stopping' };
