/**
 * A set of children kept at a target. Level-triggered: children report, the pool writes it down and reviews; a review
 * asks `policy.plan` what is missing and what is too much, and the hiring region carries it out. Nothing else hires
 * or retires, so nothing races.
 *
 *   opening   nobody was ever ready: a failure to boot ends it
 *   running   three regions: `rollout` (where a reload stands), `hiring` (whether a replacement may be hired now),
 *             `sizing` (whether an order to scale is under way)
 *   stopping  everybody leaves; a second order hastens
 *   stopped   nobody is left
 */
import type { ActorRefFrom } from 'xstate';
import { hiring } from './pool-hiring.ts';
import { rollout } from './pool-rollout.ts';
import { poolSetup } from './pool-setup.ts';
import { sizing } from './pool-sizing.ts';

export const poolMachine = poolSetup.createMachine({
  id: 'pool',
  options: { maxIterations: 1000 },
  description: 'A set of children kept at a target.',
  context: ({ input }) => ({
    title: input.title ?? 'worker',
    parent: input.parent,
    target: input.target,
    alone: input.alone ?? false,
    nextAge: 1,
    members: [],
    committed: input.generation,
    trial: null,
    trialFault: null,
    rollout: null,
    scaleOrderId: 0,
    coolsBySlot: input.coolsBySlot ?? false,
    cooldowns: [],
    lastToCool: 0,
    generations: [input.generation.number],
  }),
  initial: 'alive',
  states: {
    alive: {
      description: 'There are children, or will be.',
      initial: 'opening',
      on: {
        'child.spawned': {},
        'child.ready': { actions: ['noteReady', 'review'] },
        'child.stable': { actions: ['noteStable', 'review'] },
        'child.recycleDue': { actions: ['noteRecycleDue', 'review'] },
        'child.overweight': { actions: ['noteOverweight', 'review'] },
        'child.leaving': { actions: ['noteLeaving', 'review'] },
        'child.exited': { actions: ['noteExited', 'forgetChild', 'review'] },
        'pool.stop': { target: '.stopping' },
        // Too late, or of a trial that is over: its order was answered.
        'pool.commit': {},
        'pool.abandon': {},
        // Nothing is being waited out.
        'pool.hurry': {},
        'pool.cooled': {},
      },
      states: {
        opening: {
          description: 'Nobody was ever ready: a failure to boot ends the pool.',
          entry: 'review',
          on: {
            'pool.review': [
              { guard: 'hasReady', target: 'running', actions: 'tellOpened' },
              {
                guard: 'openFailed',
                target: 'stopping',
                actions: ['tellStalled', 'answerRollout', 'tellOpenFailed'],
              },
              { actions: ['staff', 'releaseGenerations'] },
            ],
            'pool.scale': { actions: ['keepTarget', 'tellScaled', 'endScaling', 'review'] },
            'pool.replace': {
              actions: ['tellRolloutSuperseded', 'replaceOutright', 'tellCommitted', 'review'],
            },
            'pool.retire': [
              { guard: 'isKnown', actions: ['retireOne', 'review'] },
              { guard: 'canHasten', actions: 'retireOne' },
              { actions: 'tellUnknown' },
            ],
          },
        },
        running: {
          description: 'Somebody was ready once: from now on failures are waited out, for ever if need be.',
          type: 'parallel',
          on: {
            'pool.retire': [
              { guard: 'isKnown', actions: ['blameOperator', 'retireOne', 'review'] },
              { guard: 'canHasten', actions: 'retireOne' },
              { actions: 'tellUnknown' },
            ],
          },
          states: { rollout, hiring, sizing },
        },
        stopping: {
          description: 'Everybody leaves; orders are refused, and a second order to stop hastens.',
          entry: ['refusePending', 'letAllGo', 'review'],
          on: {
            'pool.stop': { actions: 'letAllGo' },
            'pool.scale': { actions: 'tellStopping' },
            'pool.replace': { actions: 'tellStopping' },
            'pool.retire': { actions: 'tellStopping' },
            'pool.review': [{ guard: 'hasNone', target: '#pool.stopped' }, { actions: 'releaseGenerations' }],
          },
        },
      },
    },
    stopped: {
      description: 'Nobody is left.',
      type: 'final',
      entry: 'tellStopped',
    },
  },
});

export type PoolActor = ActorRefFrom<typeof poolMachine>;
