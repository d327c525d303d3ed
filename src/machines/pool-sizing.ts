/** The pool's sizing region: `steady | scaling`, so that an order to scale is answered when it is done. */
import { poolSetup } from './pool-setup.ts';

export const sizing = poolSetup.createStateConfig({
  description: 'Whether an order to scale is under way.',
  initial: 'steady',
  states: {
    steady: {
      description: 'No order to scale is under way.',
      on: {
        'pool.scale': { target: 'scaling', actions: ['keepTarget', 'review'] },
        'pool.review': {},
      },
    },
    scaling: {
      description: 'The number of ready children is on its way to a new target.',
      on: {
        'pool.scale': { actions: ['tellScaleSuperseded', 'keepTarget', 'review'] },
        'pool.review': [
          { guard: 'atTarget', target: 'steady', actions: ['tellScaled', 'endScaling'] },
          { guard: 'hasStalled', target: 'steady', actions: ['tellScaleFailed', 'endScaling'] },
          {},
        ],
      },
    },
  },
});
