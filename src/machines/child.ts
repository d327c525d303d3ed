/**
 * One supervised process, seen by its parent. The law of leaving, stated once: ask, wait, kill, reap.
 *
 *   spawned   the process exists; nobody has spoken
 *   booting   it said hello in our protocol and loads the app
 *   ready     it serves: `fresh`, then `stable` once it has lasted
 *   draining  asked to finish what it has; `graceMs`, then killing
 *   quitting  asked to cut what it has, or failed to boot and is ending; `quitMs`, then killing
 *   aborting  silent for too long: SIGABRT; `abortMs`, then killing
 *   killing   SIGKILL, again every `killAgainMs`
 *   reaped    gone and told
 *
 * Every state meets every event on purpose: what is not answered in a state is listed as ignored in `alive`.
 */
import type { ActorRefFrom } from 'xstate';
import { childSetup } from './child-setup.ts';

export type { ChildContext, ChildEvent, ChildInput, ChildTitle, ProcessInput } from './child-setup.ts';

export const childMachine = childSetup.createMachine({
  id: 'child',
  options: { maxIterations: 100 },
  description: 'One supervised process, seen by its parent.',
  context: ({ input }) => ({
    ...input,
    pid: 0,
    phase: 'starting',
    cause: null,
    stable: false,
    orderId: 0,
    fault: undefined,
    overweight: undefined,
    code: null,
    signal: null,
  }),
  initial: 'alive',
  states: {
    alive: {
      description: 'The process exists, or is being made.',
      initial: 'starting',
      invoke: {
        id: 'process',
        src: 'process',
        input: ({ context }) => ({
          age: context.age,
          slot: context.slot,
          generation: context.generation,
          timeoutMs: context.limits.timeoutMs,
          graceMs: context.limits.graceMs,
        }),
      },
      on: {
        'process.spawned': { actions: ['keepPid', 'tellSpawned'] },
        'process.spawnFailed': { target: 'reaped', actions: 'keepFault' },
        'process.exited': { target: 'reaped', actions: 'keepExit' },
        'worker.lastWords': { actions: 'keepFault' },
        'process.linkBroken': {
          target: '.killing',
          actions: ['keepFault', { type: 'becomeLeaving', params: { cause: 'linkBroken' } }, 'tellLeaving'],
        },
        'child.kill': [
          {
            guard: 'isOverweight',
            target: '.killing',
            actions: [
              'keepOrder',
              'blameMemory',
              { type: 'becomeLeaving', params: { cause: 'overweight' } },
              'tellLeaving',
            ],
          },
          {
            target: '.killing',
            actions: ['keepOrder', { type: 'becomeLeaving', params: { cause: 'ordered' } }, 'tellLeaving'],
          },
        ],
        // Ignored where no state below answers: said too late, or twice.
        'child.drain': {},
        'child.quit': {},
        'process.silent': {},
        'process.swelled': {},
        'worker.hello': {},
        'worker.ready': {},
        'worker.bootFailed': {},
        'worker.recycleDue': {},
        'worker.draining': {},
        'worker.drained': {},
        'worker.notice': {},
      },
      states: {
        starting: {
          description: 'On its way to ready; bounded by the boot limit as a whole.',
          initial: 'spawned',
          after: {
            bootLimit: {
              guard: 'hasBootLimit',
              target: 'killing',
              actions: [
                'blameBootLimit',
                { type: 'becomeLeaving', params: { cause: 'bootTimeout' } },
                'tellLeaving',
              ],
            },
          },
          on: {
            'worker.bootFailed': {
              target: 'quitting',
              actions: [
                'keepFault',
                { type: 'becomeLeaving', params: { cause: 'bootFailed' } },
                'tellLeaving',
              ],
            },
            'worker.draining': {
              target: 'quitting',
              actions: [{ type: 'becomeLeaving', params: { cause: 'terminated' } }, 'tellLeaving'],
            },
            'worker.ready': { target: 'ready' },
            'process.swelled': {
              guard: 'isHard',
              target: 'killing',
              actions: [
                'keepFault',
                { type: 'becomeLeaving', params: { cause: 'overweight' } },
                'tellLeaving',
              ],
            },
            'child.drain': {
              target: 'quitting',
              actions: ['keepOrder', { type: 'becomeLeaving', params: { cause: 'ordered' } }, 'tellLeaving'],
            },
            'child.quit': {
              target: 'quitting',
              actions: ['keepOrder', { type: 'becomeLeaving', params: { cause: 'ordered' } }, 'tellLeaving'],
            },
          },
          states: {
            spawned: {
              description: 'The process was started and has not spoken yet: no code of the app runs in it.',
              on: {
                'worker.hello': { target: 'booting' },
                'child.drain': {
                  target: '#child.alive.killing',
                  actions: [
                    'keepOrder',
                    { type: 'becomeLeaving', params: { cause: 'ordered' } },
                    'tellLeaving',
                  ],
                },
                'child.quit': {
                  target: '#child.alive.killing',
                  actions: [
                    'keepOrder',
                    { type: 'becomeLeaving', params: { cause: 'ordered' } },
                    'tellLeaving',
                  ],
                },
              },
            },
            booting: { description: 'It speaks our protocol and is loading the app.' },
          },
        },
        ready: {
          description: 'It serves.',
          initial: 'fresh',
          entry: ['becomeReady', 'tellReady'],
          on: {
            'worker.recycleDue': { actions: 'tellRecycleDue' },
            // Not all workers are to die at once: the pool says when.
            'process.swelled': [
              { guard: 'isHard', actions: ['keepOverweight', 'tellOverweight'] },
              { actions: 'tellRecycleDue' },
            ],
            'worker.draining': [
              {
                guard: 'isUncaught',
                target: 'draining',
                actions: [{ type: 'becomeLeaving', params: { cause: 'uncaught' } }, 'tellLeaving'],
              },
              {
                target: 'draining',
                actions: [{ type: 'becomeLeaving', params: { cause: 'terminated' } }, 'tellLeaving'],
              },
            ],
            'process.silent': {
              target: 'aborting',
              actions: [{ type: 'becomeLeaving', params: { cause: 'hung' } }, 'tellLeaving'],
            },
            'child.drain': {
              target: 'draining',
              actions: ['keepOrder', { type: 'becomeLeaving', params: { cause: 'ordered' } }, 'tellLeaving'],
            },
            'child.quit': {
              target: 'quitting',
              actions: ['keepOrder', { type: 'becomeLeaving', params: { cause: 'ordered' } }, 'tellLeaving'],
            },
          },
          states: {
            fresh: {
              description: 'Ready, but its end would still count as a crash loop.',
              after: { stableTime: { target: 'stable' } },
            },
            stable: {
              description: 'Ready for so long that its end says nothing against its code.',
              entry: ['becomeStable', 'tellStable'],
            },
          },
        },
        draining: {
          description: 'It accepts nothing new and answers what is in flight.',
          entry: 'askDrain',
          after: { graceLimit: { target: 'killing' } },
          on: {
            'process.silent': {
              target: 'aborting',
              actions: { type: 'becomeLeaving', params: { cause: 'hung' } },
            },
            'process.swelled': {
              guard: 'isHard',
              target: 'killing',
              actions: ['keepFault', { type: 'becomeLeaving', params: { cause: 'overweight' } }],
            },
            'child.quit': { target: 'quitting', actions: 'keepOrder' },
          },
        },
        quitting: {
          description: 'It cuts what it has and ends, or ends after a failed boot.',
          entry: 'askQuit',
          after: { quitLimit: { target: 'killing' } },
        },
        aborting: {
          description: 'Its event loop was silent for too long: it was sent SIGABRT.',
          entry: 'signalAbort',
          after: { abortLimit: { target: 'killing' } },
          on: { 'child.quit': { target: 'killing', actions: 'keepOrder' } },
        },
        killing: {
          description: 'It was sent SIGKILL and is about to be reaped.',
          entry: 'signalKill',
          after: { killAgain: { target: 'killing', reenter: true } },
          on: { 'child.kill': { actions: 'keepOrder' }, 'process.linkBroken': {} },
        },
      },
    },
    reaped: {
      description: 'The process is gone, and its parent was told how.',
      type: 'final',
      entry: 'tellExited',
    },
  },
});

export type ChildActor = ActorRefFrom<typeof childMachine>;
