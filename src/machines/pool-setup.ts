/** What the pool machine's states are made of: guards, actions and delays. The states are in pool.ts. */
import {
  type ActorRefFrom,
  assertEvent,
  assign,
  enqueueActions,
  raise,
  sendTo,
  setup,
  stopChild,
} from 'xstate';
import { type ChildInput, childMachine } from './child.ts';
import { claimOf } from './claims.ts';
import type { Fault } from './faults.ts';
import { type Member, overweightToKill, plan } from './policy.ts';
import {
  active,
  backoffOf,
  blamed,
  candidatesStand,
  changed,
  changedCooldown,
  childId,
  coolId,
  countFailure,
  faultOf,
  forgiven,
  inPlaceOf,
  isForgiven,
  isOnTrial,
  isUpToDate,
  lasted,
  leaveOrder,
  noFault,
  type PoolContext,
  type PoolEvent,
  type PoolInput,
  ready,
  remaining,
  stallFaultOf,
  stoppingFault,
  viewOf,
  withoutFaults,
} from './pool-context.ts';

export const poolSetup = setup({
  types: {
    context: {} as PoolContext,
    input: {} as PoolInput,
    events: {} as PoolEvent,
  },
  actors: { child: childMachine },
  delays: {
    /** How long candidates must stay ready. */
    settle: ({ context }) => context.trial?.generation.settleMs ?? 0,
    /** Without jitter here: chance is provided from outside. */
    backoff: ({ context }) => backoffOf(context),
  },
  guards: {
    hasReady: ({ context }) => ready(context).length > 0,
    hasNone: ({ context }) => context.members.length === 0,
    openFailed: ({ context }) => stallFaultOf(context) !== null,
    hasRollout: ({ context }) => context.rollout !== null,
    trialFailed: ({ context }) => context.trialFault !== null,
    candidatesStand: ({ context }) => candidatesStand(context),
    /** The target grew, and a share of it with it. */
    lacksCandidates: ({ context }) => context.trialFault === null && !candidatesStand(context),
    mustHold: ({ context }) => context.trial?.hold === true,
    isOfTrial: ({ context, event }) =>
      (event.type === 'pool.commit' || event.type === 'pool.abandon') &&
      context.trial?.orderId === event.orderId,
    rolledOver: ({ context }) =>
      remaining(context) === 0 &&
      ready(context).filter((member) => isUpToDate(context, member)).length >= context.target,
    hasStalled: ({ context }) => stallFaultOf(context) !== null,
    hasRecovered: ({ context }) => stallFaultOf(context) === null,
    atTarget: ({ context }) =>
      active(context).length === context.target && ready(context).length === context.target,
    allForgiven: ({ context }) => context.cooldowns.every(isForgiven),
    mustCoolDown: ({ context }) => context.cooldowns.some(({ isPending }) => isPending),
    isLastToCool: ({ context, event }) =>
      event.type === 'pool.cooled' &&
      !context.cooldowns.some(
        ({ place, isCooling, isPending }) => isPending || (isCooling && place !== event.place),
      ),
    isKnown: ({ context, event }) =>
      event.type === 'pool.retire' &&
      context.members.some((member) => member.age === event.age && member.phase !== 'leaving'),
    canHasten: ({ context, event }) =>
      event.type === 'pool.retire' &&
      event.leave !== 'drain' &&
      context.members.some((member) => member.age === event.age),
  },
  actions: {
    review: raise({ type: 'pool.review' }),

    // ── what children report ────────────────────────────────────────────────────────────────────────────────
    noteReady: assign(({ context, event }) => {
      assertEvent(event, 'child.ready');
      const member = context.members.find((one) => one.age === event.age);
      // Ready, but told to leave before the news arrived.
      if (member?.phase !== 'starting') return {};
      const committed = member.generation === context.committed.number;
      const { rollout } = context;
      return {
        members: changed(context, event.age, { phase: 'ready' }),
        cooldowns: committed ? inPlaceOf(context, event.age, { fault: null }) : context.cooldowns,
        rollout: rollout && committed ? { ...rollout, replaced: rollout.replaced + 1 } : rollout,
      };
    }),
    noteStable: assign(({ context, event }) => {
      assertEvent(event, 'child.stable');
      // One that waits for its replacement has lasted only because that one waits.
      if (context.members.find((one) => one.age === event.age)?.swollen) return {};
      return { cooldowns: inPlaceOf(context, event.age, lasted) };
    }),
    noteRecycleDue: assign(({ context, event }) => {
      assertEvent(event, 'child.recycleDue');
      const swollen = event.cause === 'memory';
      return {
        ...countFailure(context, event),
        members: changed(context, event.age, { recycleDue: true, ...(swollen ? { swollen } : {}) }),
      };
    }),
    noteOverweight: assign(({ context, event }) => {
      assertEvent(event, 'child.overweight');
      return { members: changed(context, event.age, { recycleDue: true, overweight: true }) };
    }),
    noteLeaving: assign(({ context, event }) => {
      assertEvent(event, 'child.leaving');
      const fault = event.fault ?? {
        ...noFault,
        message: `${context.title} ${event.age} left: ${event.cause}`,
      };
      const members = changed(context, event.age, { phase: 'leaving' });
      return { ...blamed(context, event, fault), members };
    }),
    noteExited: assign(({ context, event }) => {
      assertEvent(event, 'child.exited');
      const members = context.members.filter((one) => one.age !== event.age);
      return { ...blamed(context, event, faultOf(context.title, event)), members };
    }),
    forgetChild: stopChild(({ event }) => {
      assertEvent(event, 'child.exited');
      return childId(event.age);
    }),
    /** Places where something failed begin to wait; those that are forgiven wait no longer. */
    coolDown: enqueueActions(({ context, enqueue }) => {
      let next = context;
      for (const one of context.cooldowns) {
        const { place, isPending, isCooling, fault } = one;
        if (!isPending && !(isCooling && isForgiven(one))) continue;
        const cooldowns = changedCooldown(next, place, { isPending: false, isCooling: isPending });
        next = { ...next, cooldowns, lastToCool: place };
        enqueue.assign({ cooldowns, lastToCool: place });
        enqueue.cancel(coolId(place));
        if (!isPending) continue;
        enqueue.raise({ type: 'pool.cooled', place }, { id: coolId(place), delay: 'backoff' });
        if (fault)
          enqueue.sendTo(context.parent, {
            type: 'pool.degraded',
            fault,
            retryInMs: backoffOf(next),
            slot: place,
          });
      }
    }),
    endOneCooling: assign(({ context, event }) => {
      assertEvent(event, 'pool.cooled');
      return { cooldowns: changedCooldown(context, event.place, { isCooling: false }) };
    }),
    endCooling: enqueueActions(({ context, enqueue }) => {
      for (const { place } of context.cooldowns) enqueue.cancel(coolId(place));
      enqueue.assign({ cooldowns: context.cooldowns.map((one) => ({ ...one, isCooling: false })) });
    }),

    // ── hiring and retiring ─────────────────────────────────────────────────────────────────────────────────
    /** Carries out the plan. */
    staff: enqueueActions(({ context, enqueue, self }) => {
      const trial = context.trial?.generation;
      let { members, nextAge } = context;
      for (const age of overweightToKill(context)) {
        members = changed({ ...context, members }, age, { phase: 'leaving' });
        enqueue.sendTo(childId(age), leaveOrder('kill', 0));
      }
      const { hire, retire } = plan(viewOf({ ...context, members }));
      for (const age of retire) {
        members = changed({ ...context, members }, age, { phase: 'leaving' });
        enqueue.sendTo(childId(age), leaveOrder('drain', 0));
      }
      for (const { generation: number, slot } of hire) {
        if (context.alone && members.length > 0) break;
        const generation = number === trial?.number ? trial : context.committed;
        const age = nextAge++;
        const holds = generation.claims && claimOf(generation.claims, slot);
        const one: Member = { age, slot, generation: number, phase: 'starting', recycleDue: false, holds };
        members = [...members, one];
        const input: ChildInput = {
          title: context.title,
          age,
          slot,
          generation: number,
          limits: generation.limits,
          parent: self as ActorRefFrom<never>,
        };
        enqueue.spawnChild('child', { id: childId(age), input });
      }
      enqueue.assign({ members, nextAge });
    }),
    /** Tells which generations have no process left, so that their listeners can be closed. */
    releaseGenerations: enqueueActions(({ context, enqueue }) => {
      const used = new Set(context.members.map((member) => member.generation));
      used.add(context.committed.number);
      if (context.trial) used.add(context.trial.generation.number);
      for (const generation of context.generations.filter((number) => !used.has(number)))
        enqueue.sendTo(context.parent, { type: 'pool.generationGone', generation });
      enqueue.assign({ generations: context.generations.filter((number) => used.has(number)) });
    }),
    retireOne: enqueueActions(({ context, enqueue, event }) => {
      assertEvent(event, 'pool.retire');
      enqueue.assign({ members: changed(context, event.age, { phase: 'leaving' }) });
      enqueue.sendTo(childId(event.age), leaveOrder(event.leave, event.orderId));
      enqueue.sendTo(context.parent, { type: 'pool.done', orderId: event.orderId, replaced: 0 });
    }),
    /** An operator's kill of a candidate ends the trial: the canary is gone. */
    blameOperator: assign(({ context, event }) => {
      assertEvent(event, 'pool.retire');
      const member = context.members.find((one) => one.age === event.age);
      const onTrial = member !== undefined && isOnTrial(context, member);
      const fault: Fault = {
        ...noFault,
        message: `${context.title} ${event.age} was told to leave by an operator`,
      };
      return { trialFault: onTrial ? (context.trialFault ?? fault) : context.trialFault };
    }),

    // ── orders ──────────────────────────────────────────────────────────────────────────────────────────────
    keepTarget: assign(({ context, event }) => {
      assertEvent(event, 'pool.scale');
      return {
        target: event.target,
        scaleOrderId: event.orderId,
        cooldowns: withoutFaults(context),
      };
    }),
    startTrial: assign(({ context, event }) => {
      assertEvent(event, 'pool.replace');
      return {
        trial: {
          orderId: event.orderId,
          generation: event.generation,
          replaced: 0,
          hold: event.hold ?? false,
        },
        trialFault: null,
        generations: [...context.generations, event.generation.number],
      };
    }),
    dropTrial: assign({ trial: null, trialFault: null }),
    /** The commit point: from here only forward. New code starts with a clean record. */
    commit: assign(({ context }) => ({
      committed: context.trial?.generation ?? context.committed,
      rollout: context.trial && {
        ...context.trial,
        replaced: ready(context).filter((one) => one.generation === context.trial?.generation.number).length,
      },
      trial: null,
      trialFault: null,
      cooldowns: forgiven(context),
    })),
    /** While nobody was ever ready there is nothing to protect: the new generation takes the place of the first. */
    replaceOutright: assign(({ context, event }) => {
      assertEvent(event, 'pool.replace');
      return {
        committed: event.generation,
        rollout: { orderId: event.orderId, generation: event.generation, replaced: 0, hold: false },
        generations: [...context.generations, event.generation.number],
      };
    }),
    endRollout: assign(({ context }) => ({ rollout: null, cooldowns: withoutFaults(context) })),
    answerRollout: assign(({ context }) => ({
      rollout: context.rollout && { ...context.rollout, orderId: 0 },
    })),
    endScaling: assign({ scaleOrderId: 0 }),

    // ── answers: every order ends in exactly one ────────────────────────────────────────────────────────────
    tellOpened: sendTo(({ context }) => context.parent, { type: 'pool.opened' }),
    tellOpenFailed: sendTo(
      ({ context }) => context.parent,
      ({ context }) => ({ type: 'pool.openFailed', fault: stallFaultOf(context) ?? noFault }),
    ),
    tellCommitted: sendTo(
      ({ context }) => context.parent,
      ({ context }) => ({
        type: 'pool.committed',
        orderId: context.rollout?.orderId ?? 0,
        generation: context.committed.number,
        workers: context.committed.workers,
      }),
    ),
    tellTrialFailed: sendTo(
      ({ context }) => context.parent,
      ({ context }) => ({
        type: 'pool.failed',
        orderId: context.trial?.orderId ?? 0,
        fault: context.trialFault ?? noFault,
        replaced: 0,
        remaining: context.target,
      }),
    ),
    tellStanding: sendTo(
      ({ context }) => context.parent,
      ({ context }) => ({ type: 'pool.standing', orderId: context.trial?.orderId ?? 0 }),
    ),
    tellAbandoned: sendTo(
      ({ context }) => context.parent,
      ({ event }) => {
        assertEvent(event, 'pool.abandon');
        return { type: 'pool.refused', orderId: event.orderId, fault: event.fault };
      },
    ),
    tellTrialSuperseded: enqueueActions(({ context, enqueue, event }) => {
      assertEvent(event, 'pool.replace');
      if (context.trial)
        enqueue.sendTo(context.parent, {
          type: 'pool.superseded',
          orderId: context.trial.orderId,
          by: event.orderId,
        });
    }),
    /** The former rollout ends unfinished: a newer one takes over at its commit point, or at once while opening. */
    tellRolloutSuperseded: enqueueActions(({ context, enqueue, event }) => {
      const by = event.type === 'pool.replace' ? event.orderId : (context.trial?.orderId ?? 0);
      if (context.rollout && context.rollout.orderId > 0)
        enqueue.sendTo(context.parent, { type: 'pool.superseded', orderId: context.rollout.orderId, by });
    }),
    tellRolledOver: enqueueActions(({ context, enqueue }) => {
      const { rollout } = context;
      if (rollout && rollout.orderId > 0)
        enqueue.sendTo(context.parent, {
          type: 'pool.done',
          orderId: rollout.orderId,
          replaced: rollout.replaced,
        });
    }),
    tellStalled: enqueueActions(({ context, enqueue }) => {
      const { rollout } = context;
      if (rollout && rollout.orderId > 0)
        enqueue.sendTo(context.parent, {
          type: 'pool.failed',
          orderId: rollout.orderId,
          fault: stallFaultOf(context) ?? noFault,
          replaced: rollout.replaced,
          remaining: remaining(context),
        });
    }),
    tellScaled: sendTo(
      ({ context }) => context.parent,
      ({ context }) => ({ type: 'pool.done', orderId: context.scaleOrderId, replaced: 0 }),
    ),
    tellScaleSuperseded: sendTo(
      ({ context }) => context.parent,
      ({ context, event }) => {
        assertEvent(event, 'pool.scale');
        return { type: 'pool.superseded', orderId: context.scaleOrderId, by: event.orderId };
      },
    ),
    tellScaleFailed: sendTo(
      ({ context }) => context.parent,
      ({ context }) => ({
        type: 'pool.failed',
        orderId: context.scaleOrderId,
        fault: stallFaultOf(context) ?? noFault,
        replaced: 0,
        remaining: 0,
      }),
    ),
    tellUnknown: sendTo(
      ({ context }) => context.parent,
      ({ event }) => {
        assertEvent(event, 'pool.retire');
        const fault: Fault = { code: 'order.unknown', message: `worker ${event.age} is leaving or gone` };
        return { type: 'pool.refused', orderId: event.orderId, fault };
      },
    ),
    tellStopping: sendTo(
      ({ context }) => context.parent,
      ({ event }) => {
        assertEvent(event, ['pool.scale', 'pool.replace', 'pool.retire']);
        return { type: 'pool.refused', orderId: event.orderId, fault: stoppingFault };
      },
    ),
    /** Stop wins everywhere: what was pending is refused. */
    refusePending: enqueueActions(({ context, enqueue }) => {
      const pending = [
        context.trial?.orderId ?? 0,
        context.rollout?.orderId ?? 0,
        context.scaleOrderId,
      ].filter((orderId) => orderId > 0);
      for (const orderId of pending)
        enqueue.sendTo(context.parent, { type: 'pool.refused', orderId, fault: stoppingFault });
      enqueue.assign({ trial: null, rollout: null, scaleOrderId: 0 });
    }),
    /** Ready ones leave as ordered; those that are not ready get no grace. */
    letAllGo: enqueueActions(({ context, enqueue, event }) => {
      const leave = event.type === 'pool.stop' ? event.leave : 'quit';
      for (const member of context.members)
        if (member.phase !== 'leaving' || leave !== 'drain')
          enqueue.sendTo(
            childId(member.age),
            leaveOrder(member.phase === 'starting' && leave === 'drain' ? 'quit' : leave, 0),
          );
      enqueue.assign({
        members: context.members.map((member) => ({ ...member, phase: 'leaving' as const })),
      });
    }),
    tellStopped: sendTo(({ context }) => context.parent, { type: 'pool.stopped' }),
  },
});
