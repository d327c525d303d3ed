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
          { actions: [{ type: 'staff', params: { scope: 'all' } }, 'releaseGenerations'] },
        ],
      },
    },
    coolingDown: {
      description:
        'A child failed: the next hire waits, longer after each failure; candidates of a reload do not.',
      entry: ['startCooling', 'tellDegraded', { type: 'staff', params: { scope: 'trial' } }],
      exit: 'endCooling',
      after: { backoff: { target: 'free' } },
      on: {
        'pool.hurry': { target: 'free' },
        'pool.review': [
          { guard: 'isForgiven', target: 'free' },
          { actions: [{ type: 'staff', params: { scope: 'trial' } }, 'releaseGenerations'] },
        ],
      },
    },
  },
});
