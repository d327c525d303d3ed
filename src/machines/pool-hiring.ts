/** The pool's hiring region: `free | coolingDown`. The only place that hires and retires while running. */
import { poolSetup } from './pool-setup.ts';

export const hiring = poolSetup.createStateConfig({
  description: 'Whether a replacement may be hired now.',
  initial: 'free',
  states: {
    free: {
      description: 'What is missing is hired at once.',
      entry: 'review',
      on: {
        'pool.review': [
          { guard: 'mustCoolDown', target: 'coolingDown' },
          { actions: ['staff', 'releaseGenerations'] },
        ],
      },
    },
    coolingDown: {
      description:
        'A child failed: the next hire in its place waits, longer after each failure; candidates of a reload do not.',
      entry: ['coolDown', 'staff'],
      exit: 'endCooling',
      on: {
        'pool.cooled': [{ guard: 'isLastToCool', target: 'free' }, { actions: ['endOneCooling', 'review'] }],
        'pool.hurry': { target: 'free' },
        'pool.review': [
          { guard: 'allForgiven', target: 'free' },
          { actions: ['coolDown', 'staff', 'releaseGenerations'] },
        ],
      },
    },
  },
});
