/**
 * The root of the tree. Signals, control commands and timers are events to this machine; it never touches a
 * client's connection.
 *
 *   alive.preparing   settings are known, addresses are being bound
 *   alive.supervising the pool exists: `serving`, then perhaps `lameDuck`, then `stopping`
 *   stopped           everything is gone; the output has the exit code
 *
 * Every order gets an id and ends in exactly one of `order.done | refused | failed | superseded`, emitted here.
 */
import type { ActorRefFrom } from 'xstate';
import { arbiterWhole } from './arbiter-upgrade.ts';
import { EXIT } from './faults.ts';
import type { PoolInput } from './pool-context.ts';

export type { ArbiterContext, ArbiterEvent, ArbiterInput, ArbiterOutput } from './arbiter-context.ts';

const orderToDirty = [
  { guard: 'hasTooMany', actions: ['takeOrder', 'endTooMany', 'dropOrder'] },
  { guard: 'hasDirty', actions: ['takeOrder', 'passDirty'] },
  { actions: ['takeOrder', 'endNoDirty', 'dropOrder'] },
] as const;

/** A stop while stopping: signals hasten, and are done at once; commands wait until everything is gone. */
const stopAgain = <T extends 'stopPool' | 'stopDirty'>(stop: T) =>
  [
    {
      guard: 'isSignal',
      actions: ['takeOrder', 'countStop', 'keepLeave', 'keepSecondSignal', stop, 'endDone', 'dropOrder'],
    },
    { guard: 'hasTooMany', actions: ['takeOrder', 'endTooMany', 'dropOrder'] },
    { guard: 'isQuick', actions: ['takeOrder', 'tellTaken', 'keepLeave', stop] },
    { actions: ['takeOrder', 'tellTaken'] },
  ] as const;

export const arbiterMachine = arbiterWhole.createMachine({
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
    hasDirty: false,
    webOpened: false,
    dirtyOpened: false,
    joints: [],
    stops: 0,
    lameDuckMs: input.lameDuckMs ?? 0,
    leave: 'drain',
    successor: null,
    predecessor: input.predecessor ?? null,
    noUpgrade: input.noUpgrade ?? null,
    exitCode: EXIT.ok,
    fault: null,
  }),
  output: ({ context }) => ({ exitCode: context.exitCode, fault: context.fault }),
  initial: 'alive',
  states: {
    alive: {
      description: 'The arbiter takes signals and orders.',
      initial: 'preparing',
      entry: ['openControls', 'watchPredecessor'],
      // Before what is invoked here stops: somebody may wait for the answer.
      exit: 'endAll',
      invoke: [
        { id: 'signals', src: 'signals' },
        { id: 'generations', src: 'generations' },
        { id: 'logs', src: 'logs' },
      ],
      on: {
        'arbiter.reopen': { actions: ['takeOrder', 'reopenLogs', 'endDone', 'dropOrder'] },
        'predecessor.gone': { actions: ['forgetPredecessor', 'succeed'] },
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
            'arbiter.upgrade': { actions: ['takeOrder', 'endStarting', 'dropOrder'] },
            'arbiter.rest': { actions: ['takeOrder', 'endStarting', 'dropOrder'] },
            'arbiter.dirtyScale': { actions: ['takeOrder', 'endStarting', 'dropOrder'] },
            'arbiter.dirtyRetire': { actions: ['takeOrder', 'endStarting', 'dropOrder'] },
            'arbiter.dirtyCancel': { actions: ['takeOrder', 'endStarting', 'dropOrder'] },
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
          description: 'There is a pool of workers, and a dirty tree where one is wanted.',
          initial: 'serving',
          entry: 'openDirty',
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
            'pool.done': [{ guard: 'isJoint', actions: 'endJoint' }, { actions: 'endAsPool' }],
            'pool.refused': { actions: 'endAsPool' },
            'pool.failed': [
              { guard: 'isJoint', actions: ['abandonDirty', 'endJoint'] },
              { actions: 'endAsPool' },
            ],
            'pool.superseded': { actions: 'endAsPool' },
            'pool.opened': { actions: 'noteWebOpened' },
            'pool.degraded': {},
            'pool.standing': [{ guard: 'isJoint', actions: ['noteWebStanding', 'commitNext'] }, {}],
            'pool.generationGone': { actions: 'releaseGone' },
            'pool.openFailed': { target: '.stopping', actions: ['keepRefusal', 'keepLeave'] },
            'dirty.opened': { actions: 'noteDirtyOpened' },
            'dirty.degraded': {},
            'dirty.openFailed': {
              target: '.stopping',
              actions: ['keepRefusal', 'keepLeave', 'stopPool'],
            },
            'dirty.taken': { actions: 'tellDirtyTaken' },
            'dirty.standing': [{ guard: 'isJoint', actions: ['noteDirtyStanding', 'commitNext'] }, {}],
            'dirty.committed': [{ guard: 'isJoint', actions: 'noteDirtyCommitted' }, {}],
            'dirty.done': [
              { guard: 'isJoint', actions: ['noteDirtyDone', 'commitNext'] },
              { actions: 'endAsDirty' },
            ],
            'dirty.refused': [
              { guard: 'isJointUncommitted', actions: 'failJoint' },
              { guard: 'isJoint', actions: ['noteDirtyDone', 'commitNext'] },
              { actions: 'endAsDirty' },
            ],
            'dirty.failed': [
              { guard: 'isJointUncommitted', actions: 'failJoint' },
              { guard: 'isJoint', actions: ['noteDirtyDone', 'commitNext'] },
              { actions: 'endAsDirty' },
            ],
            'dirty.superseded': [
              { guard: 'isJointUncommitted', actions: 'failJoint' },
              { guard: 'isJoint', actions: ['noteDirtyDone', 'commitNext'] },
              { actions: 'endAsDirty' },
            ],
            'dirty.stopped': { actions: 'forgetDirty' },
            'successor.serving': { actions: 'noteSucceeded' },
            'successor.failed': { actions: ['endUpgradeFailed', 'forgetSuccessor'] },
            'successor.gone': { actions: 'forgetSuccessor' },
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
                  {
                    guard: 'isRequired',
                    target: 'stopping',
                    actions: ['keepRefusal', 'stopPool'],
                  },
                  {},
                ],
                'pool.committed': [
                  { guard: 'asksForOthers', actions: ['noteWebCommitted', 'scaleAsAsked'] },
                  { actions: 'noteWebCommitted' },
                ],
                'arbiter.retire': { actions: ['takeOrder', 'retire'] },
                'arbiter.upgrade': [
                  { guard: 'cannotUpgrade', actions: ['takeOrder', 'endNoUpgrade', 'dropOrder'] },
                  { guard: 'hasSuccessor', actions: ['takeOrder', 'endHasSuccessor', 'dropOrder'] },
                  { guard: 'hasPredecessor', actions: ['takeOrder', 'endHasPredecessor', 'dropOrder'] },
                  { guard: 'isOpen', actions: ['takeOrder', 'tellTaken', 'openSuccessor'] },
                  { actions: ['takeOrder', 'endStarting', 'dropOrder'] },
                ],
                'arbiter.rest': [
                  { guard: 'isResting', actions: ['takeOrder', 'tellTaken', 'endDone', 'dropOrder'] },
                  { guard: 'isReloading', actions: ['takeOrder', 'endReloading', 'dropOrder'] },
                  { guard: 'isSucceeded', actions: ['takeOrder', 'rest'] },
                  { actions: ['takeOrder', 'endNobodyElse', 'dropOrder'] },
                ],
                // Nobody serves any more but this arbiter, if it wakes.
                'successor.gone': [
                  { guard: 'isResting', actions: ['forgetSuccessor', 'wake'] },
                  { actions: 'forgetSuccessor' },
                ],
                'arbiter.dirtyScale': orderToDirty,
                'arbiter.dirtyRetire': orderToDirty,
                'arbiter.dirtyCancel': orderToDirty,
                'arbiter.reload': [
                  { guard: 'isOpening', actions: ['takeOrder', 'endStarting', 'dropOrder'] },
                  // As in Gunicorn: who goes back to the old arbiter wants what it was, not what was to replace it.
                  {
                    guard: 'isResting',
                    actions: ['takeOrder', 'tellTaken', 'endDone', 'dropOrder', 'wake'],
                  },
                  { actions: ['supersedePreparing', 'takeOrder', 'tellTaken', 'prepare'] },
                ],
                'generation.prepared': [
                  { guard: 'isStale', actions: 'releaseStale' },
                  { guard: 'isJointReload', actions: ['replaceBoth', 'doneWithPreparing'] },
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
                    actions: ['takeOrder', 'tellTaken', 'countStop', 'keepLeave', 'stopPool'],
                  },
                  {
                    guard: 'isLameDuck',
                    target: 'lameDuck',
                    actions: ['takeOrder', 'tellTaken', 'countStop'],
                  },
                  { target: 'stopping', actions: ['takeOrder', 'tellTaken', 'countStop', 'stopPool'] },
                ],
              },
            },
            lameDuck: {
              description:
                'Told to stop: everything serves on for a while, but says that it is not ready, so that clients are sent elsewhere.',
              entry: ['refusePreparing', 'dropJoints'],
              after: { lameDuckTime: { target: 'stopping', actions: 'stopPool' } },
              on: {
                'arbiter.scale': { actions: ['takeOrder', 'endStopping', 'dropOrder'] },
                'arbiter.reload': { actions: ['takeOrder', 'endStopping', 'dropOrder'] },
                'arbiter.retire': { actions: ['takeOrder', 'endStopping', 'dropOrder'] },
                'arbiter.upgrade': { actions: ['takeOrder', 'endStopping', 'dropOrder'] },
                'arbiter.rest': { actions: ['takeOrder', 'endStopping', 'dropOrder'] },
                'arbiter.dirtyScale': { actions: ['takeOrder', 'endStopping', 'dropOrder'] },
                'arbiter.dirtyRetire': { actions: ['takeOrder', 'endStopping', 'dropOrder'] },
                'arbiter.dirtyCancel': orderToDirty,
                'pool.committed': { actions: 'noteWebCommitted' },
                'generation.prepared': { actions: 'releaseStale' },
                'generation.refused': {},
                'control.unavailable': {},
                'arbiter.stop': [
                  {
                    guard: 'isSignal',
                    target: 'stopping',
                    actions: [
                      'takeOrder',
                      'countStop',
                      'keepLeave',
                      'keepSecondSignal',
                      'stopPool',
                      'endDone',
                      'dropOrder',
                    ],
                  },
                  { guard: 'hasTooMany', actions: ['takeOrder', 'endTooMany', 'dropOrder'] },
                  {
                    guard: 'isQuick',
                    target: 'stopping',
                    actions: ['takeOrder', 'tellTaken', 'keepLeave', 'stopPool'],
                  },
                  { actions: ['takeOrder', 'tellTaken'] },
                ],
              },
            },
            stopping: {
              description:
                'Workers leave; a second signal hastens, a third kills; commands wait with them or cut.',
              entry: ['refusePreparing', 'closeListeners', 'dropJoints'],
              initial: 'webWorkers',
              on: {
                'arbiter.scale': { actions: ['takeOrder', 'endStopping', 'dropOrder'] },
                'arbiter.reload': { actions: ['takeOrder', 'endStopping', 'dropOrder'] },
                'arbiter.retire': { actions: ['takeOrder', 'endStopping', 'dropOrder'] },
                'arbiter.upgrade': { actions: ['takeOrder', 'endStopping', 'dropOrder'] },
                'arbiter.rest': { actions: ['takeOrder', 'endStopping', 'dropOrder'] },
                'arbiter.dirtyScale': { actions: ['takeOrder', 'endStopping', 'dropOrder'] },
                'arbiter.dirtyRetire': { actions: ['takeOrder', 'endStopping', 'dropOrder'] },
                'arbiter.dirtyCancel': [
                  { guard: 'hasTooMany', actions: ['takeOrder', 'endTooMany', 'dropOrder'] },
                  { guard: 'hasDirty', actions: ['takeOrder', 'passDirty'] },
                  { actions: ['takeOrder', 'endStopping', 'dropOrder'] },
                ],
                'pool.committed': {},
                'generation.prepared': { actions: 'releaseStale' },
                'generation.refused': {},
                'pool.openFailed': {},
                'dirty.openFailed': {},
                'arbiter.stop': stopAgain('stopPool'),
              },
              states: {
                webWorkers: {
                  description: 'Web workers leave; they may still call dirty workers.',
                  on: {
                    'pool.stopped': [
                      { guard: 'hasDirty', target: 'dirtyWorkers' },
                      { target: '#arbiter.stopped' },
                    ],
                  },
                },
                dirtyWorkers: {
                  description: 'The web workers are gone; the dirty tree leaves.',
                  entry: 'stopDirty',
                  on: {
                    'dirty.stopped': { target: '#arbiter.stopped', actions: 'forgetDirty' },
                    'arbiter.stop': stopAgain('stopDirty'),
                  },
                },
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
