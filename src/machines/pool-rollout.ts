/**
 * The pool's rollout region: `settled | trying | rolling | stalled`. Its commit point is the way out of settling, or, where
 * another pool must be ready first, out of standing.
 */
import { poolSetup } from './pool-setup.ts';

export const rollout = poolSetup.createStateConfig({
  description: 'Where a reload stands.',
  initial: 'resuming',
  states: {
    resuming: {
      description: 'Looks whether the first start was already a reload.',
      always: [{ guard: 'hasRollout', target: 'rolling' }, { target: 'settled' }],
    },
    settled: {
      description: 'Every child is of the committed generation, or about to be.',
      on: { 'pool.replace': { target: 'trying', actions: 'startTrial' }, 'pool.review': {} },
    },
    trying: {
      description: 'Candidates of a new generation boot and must last, while every old child serves.',
      initial: 'booting',
      entry: 'review',
      on: {
        'pool.replace': {
          target: 'trying',
          reenter: true,
          actions: ['tellTrialSuperseded', 'startTrial'],
        },
        'pool.abandon': {
          guard: 'isOfTrial',
          target: 'resuming',
          actions: ['tellAbandoned', 'dropTrial', 'review'],
        },
        'pool.review': [
          {
            guard: 'trialFailed',
            target: 'resuming',
            actions: ['tellTrialFailed', 'dropTrial', 'review'],
          },
          {},
        ],
      },
      states: {
        booting: {
          description: 'Not all candidates are ready.',
          on: { 'pool.review': { guard: 'candidatesStand', target: 'settling' } },
        },
        settling: {
          description: 'All candidates are ready and must stay so.',
          on: { 'pool.review': { guard: 'lacksCandidates', target: 'booting' } },
          after: {
            settle: [
              { guard: 'mustHold', target: 'standing' },
              {
                target: '#pool.alive.running.rollout.rolling',
                actions: ['tellRolloutSuperseded', 'commit', 'tellCommitted'],
              },
            ],
          },
        },
        standing: {
          description: 'All candidates have lasted and wait for the order to commit.',
          entry: 'tellStanding',
          on: {
            'pool.review': { guard: 'lacksCandidates', target: 'booting' },
            'pool.commit': {
              guard: 'isOfTrial',
              target: '#pool.alive.running.rollout.rolling',
              actions: ['tellRolloutSuperseded', 'commit', 'tellCommitted'],
            },
          },
        },
      },
    },
    rolling: {
      description: 'Past the commit point: old children are replaced as new ones become ready.',
      entry: 'review',
      on: {
        'pool.replace': { target: 'trying', actions: 'startTrial' },
        'pool.review': [
          { guard: 'rolledOver', target: 'settled', actions: ['tellRolledOver', 'endRollout'] },
          { guard: 'hasStalled', target: 'stalled', actions: ['tellStalled', 'answerRollout'] },
          {},
        ],
      },
    },
    stalled: {
      description: 'A new child could not boot; old ones go on, and the next is tried after a wait.',
      on: {
        'pool.replace': { target: 'trying', actions: 'startTrial' },
        'pool.review': [
          { guard: 'rolledOver', target: 'settled', actions: ['tellRolledOver', 'endRollout'] },
          { guard: 'hasRecovered', target: 'rolling' },
          {},
        ],
      },
    },
  },
});
