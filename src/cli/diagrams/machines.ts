/** Every machine, by the name of its file. Development only. */
import type { AnyStateMachine } from 'xstate';
import { arbiterMachine } from '../../machines/arbiter.ts';
import { childMachine } from '../../machines/child.ts';
import { controlListenerMachine } from '../../machines/control-listener.ts';
import { controlSessionMachine } from '../../machines/control-session.ts';
import { dirtyArbiterMachine } from '../../machines/dirty-arbiter.ts';
import { dirtyTreeMachine } from '../../machines/dirty-tree.ts';
import { poolMachine } from '../../machines/pool.ts';
import { successorMachine } from '../../machines/successor.ts';
import { workerMachine } from '../../machines/worker.ts';

export const MACHINES: Readonly<Record<string, AnyStateMachine>> = {
  arbiter: arbiterMachine,
  pool: poolMachine,
  child: childMachine,
  worker: workerMachine,
  'dirty-tree': dirtyTreeMachine,
  'dirty-arbiter': dirtyArbiterMachine,
  'control-listener': controlListenerMachine,
  'control-session': controlSessionMachine,
  successor: successorMachine,
};
