/** The definitions of Kirin's own machines, as JSON, by their ids. Loaded only where somebody asks for them. */
import type { AnyStateMachine } from 'xstate';
import { arbiterMachine } from '../../../machines/arbiter.ts';
import { childMachine } from '../../../machines/child.ts';
import { controlListenerMachine } from '../../../machines/control-listener.ts';
import { controlSessionMachine } from '../../../machines/control-session.ts';
import { dirtyArbiterMachine } from '../../../machines/dirty-arbiter.ts';
import { dirtyTreeMachine } from '../../../machines/dirty-tree.ts';
import { poolMachine } from '../../../machines/pool.ts';
import { successorMachine } from '../../../machines/successor.ts';
import { workerMachine } from '../../../machines/worker.ts';

const MACHINES: readonly AnyStateMachine[] = [
  arbiterMachine,
  poolMachine,
  childMachine,
  workerMachine,
  dirtyTreeMachine,
  dirtyArbiterMachine,
  controlListenerMachine,
  controlSessionMachine,
  successorMachine,
];

/** Made when it is asked for. Functions (what an invoked actor is given) have no JSON and are left out. */
export function definitions(): ReadonlyMap<string, string> {
  return new Map(MACHINES.map(({ id, config }) => [id, JSON.stringify(config)]));
}
