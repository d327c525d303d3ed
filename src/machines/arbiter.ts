/**
 * The root of the tree. Signals, control commands and timers are events to this machine; it never touches a
 * client's connection.
 *
 *   alive.preparing   settings are known, addresses are being bound
 *   alive.supervising the pool exists: `serving`, then `stopping`
 *   stopped           everything is gone; the output has the exit code
 *
 * Every order gets an id and ends in exactly one of `order.done | refused | failed | superseded`, emitted here.
 */
import type { ActorRefFrom } from 'xstate';
import { arbiterSetup } from './arbiter-setup.ts';
import { EXIT } from './faults.ts';
import type { PoolInput } from './pool-context.ts';

export type { ArbiterContext, ArbiterEvent, ArbiterInput, ArbiterOutput } from './arbiter-setup.ts';

export const arbiterMachine = arbiterSetup.createMachine({
  id: 'arbiter',
  options: { maxIterations: 1000 },
  description: 'The root of the supervision tree.',
  context: ({ input }) => ({
    first: null,
    target: 0,
    asked: 0,
    workersMax: input.workersMax,
    controls: input.controls ?? [],
    lastOrderId: 0,
    lastGeneration: 0,
    pending: [],
    preparing: 0,
    stops: 0,
    exitCode: EXIT.ok,
    fault: null,
  }),
  output: ({ context }) => ({ exitCode: context.exitCode, fault: context.fault }),
  initial: 'alive',
  states: {
    alive: {
      description: 'The arbiter takes signals and orders.',
      initial: 'preparing',
      entry: 'openControls',
      // Before what is invoked here stops: somebody may wait for the answer.
      exit: 'endAll',
      invoke: [
        { id: 'signals', src: 'signals' },
        { id: 'generations', src: 'generations' },
        { id: 'logs', src: 'logs' },
      ],
      on: {
        'arbiter.reopen': { actions: ['takeOrder', 'reopenLogs', 'endDone', 'dropOrder'] },
        'arbiter.unsupported': { actions: ['takeOrder', 'endUnsupported', 'dropOrder'] },
        'control.opened': { actions: 'noLongerRequired' },
        'control.unavailable': {},
        'xstate.error.actor.control': { actions: 'giveUpControl' },
        'xstate.error.actor.controlReadonly': { actions: 'giveUpControl' },
      },
      states: {
        preparing: {
          description: 'Settings are known; the addresses are being bound.',
          entry: 'prepare',
          on: {
            'generation.prepared': { target: 'supervising', actions: 'keepFirst' },
            'generation.refused': { target: '#arbiter.stopped', actions: 'keepRefusal' },
            'arbiter.scale': { actions: ['takeOrder', 'endStarting', 'dropOrder'] },
            'arbiter.reload': { actions: ['takeOrder', 'endStarting', 'dropOrder'] },
            'arbiter.retire': { actions: ['takeOrder', 'endStarting', 'dropOrder'] },
            // Ended here: what `alive` does at its exit comes before the actions of a transition.
            'arbiter.stop': {
              target: '#arbiter.stopped',
              actions: ['takeOrder', 'tellTaken', 'endDone', 'dropOrder'],
            },
            'control.unavailable': [
              { guard: 'isRequired', target: '#arbiter.stopped', actions: 'keepRefusal' },
              {},
            ],
          },
        },
        supervising: {
          description: 'There is a pool of workers.',
          initial: 'serving',
          invoke: {
            id: 'pool',
            src: 'pool',
            input: ({ context, self }): PoolInput => ({
              parent: self,
              target: context.target,
              generation: context.first!,
            }),
          },
          on: {
            'pool.done': { actions: 'endAsPool' },
            'pool.refused': { actions: 'endAsPool' },
            'pool.failed': { actions: 'endAsPool' },
            'pool.superseded': { actions: 'endAsPool' },
            'pool.opened': {},
            'pool.degraded': {},
            'pool.generationGone': { actions: 'releaseGone' },
            'pool.openFailed': { target: '.stopping', actions: 'keepRefusal' },
            'pool.stopped': { target: '#arbiter.stopped' },
          },
          states: {
            serving: {
              description: 'Workers serve, or are on their way.',
              on: {
                'arbiter.scale': [
                  { guard: 'wouldBeEmpty', actions: ['takeOrder', 'endEmpty', 'dropOrder'] },
                  { guard: 'hasNoRoom', actions: ['takeOrder', 'endFull', 'dropOrder'] },
                  { actions: ['takeOrder', 'scale'] },
                ],
                'control.unavailable': [
                  { guard: 'isRequired', target: 'stopping', actions: ['keepRefusal', 'stopDraining'] },
                  {},
                ],
                'pool.committed': [{ guard: 'asksForOthers', actions: 'scaleAsAsked' }, {}],
                'arbiter.retire': { actions: ['takeOrder', 'retire'] },
                'arbiter.reload': { actions: ['supersedePreparing', 'takeOrder', 'tellTaken', 'prepare'] },
                'generation.prepared': [
                  { guard: 'isStale', actions: 'releaseStale' },
                  { actions: ['replace', 'doneWithPreparing'] },
                ],
                'generation.refused': [
                  { guard: 'isStale' },
                  { actions: ['endAsRefused', 'doneWithPreparing'] },
                ],
                'arbiter.stop': [
                  {
                    guard: 'isQuick',
                    target: 'stopping',
                    actions: ['takeOrder', 'tellTaken', 'countStop', 'stopQuickly'],
                  },
                  { target: 'stopping', actions: ['takeOrder', 'tellTaken', 'countStop', 'stopDraining'] },
                ],
              },
            },
            stopping: {
              description:
                'Workers leave; a second signal hastens, a third kills; commands wait with them or cut.',
              entry: ['refusePreparing', 'closeListeners'],
              on: {
                'arbiter.scale': { actions: ['takeOrder', 'endStopping', 'dropOrder'] },
                'arbiter.reload': { actions: ['takeOrder', 'endStopping', 'dropOrder'] },
                'arbiter.retire': { actions: ['takeOrder', 'endStopping', 'dropOrder'] },
                'pool.committed': {},
                'generation.prepared': { actions: 'releaseStale' },
                'generation.refused': {},
                'pool.openFailed': {},
                'arbiter.stop': [
                  {
                    guard: 'isSignal',
                    actions: ['takeOrder', 'countStop', 'keepSecondSignal', 'hasten', 'endDone', 'dropOrder'],
                  },
                  { guard: 'hasTooMany', actions: ['takeOrder', 'endTooMany', 'dropOrder'] },
                  { guard: 'isQuick', actions: ['takeOrder', 'tellTaken', 'stopQuickly'] },
                  { actions: ['takeOrder', 'tellTaken'] },
                ],
              },
            },
          },
        },
      },
    },
    stopped: {
      description: 'Everything is gone.',
      type: 'final',
    },
  },
});

export type ArbiterActor = ActorRefFrom<typeof arbiterMachine>;
