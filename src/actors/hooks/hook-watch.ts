/**
 * What hooks are told of, seen in the transitions of the machines as the log's lines are. Runs in the arbiter. Machines know
 * nothing of hooks, and nothing waits for what is told here.
 */
import type { InspectionEvent } from 'xstate';
import type { ArbiterContext, ArbiterEvent } from '../../machines/arbiter.ts';
import type { ChildContext, ChildEvent } from '../../machines/child.ts';
import type { ArbiterHooks } from './arbiter-hooks.ts';

interface Watched {
  logic?: { id?: string };
}

export interface HookFacts {
  /** The addresses of a generation. */
  addresses(generation: number): string[];
}

export function hookWatch(hooks: ArbiterHooks, { addresses }: HookFacts) {
  /** Of workers wanted, as last told. */
  let workers = 0;
  let generation = 1;

  const tellArbiter = (event: ArbiterEvent, { target }: ArbiterContext): void => {
    if (event.type === 'pool.committed') {
      generation = event.generation;
      hooks.commit(generation);
    }
    if (hooks.isEmpty) return;
    if (target !== workers && target > 0)
      hooks.tell('nworkers_changed', { workers: target, before: workers === 0 ? null : workers });
    workers = target;
    if (event.type === 'pool.opened')
      hooks.tell('when_ready', { pid: process.pid, workers: target, addresses: addresses(generation) });
  };

  return (inspection: InspectionEvent): void => {
    if (inspection.type !== '@xstate.microstep') return;
    const kind = (inspection.actorRef as unknown as Watched).logic?.id;
    if (kind !== 'child' && kind !== 'arbiter') return;
    const { context, value } = inspection.snapshot as unknown as { context: unknown; value: unknown };
    if (kind === 'arbiter') return tellArbiter(inspection.event as ArbiterEvent, context as ArbiterContext);
    if (!hooks.isEmpty) tellChild(hooks, inspection.event as ChildEvent, context as ChildContext, value);
  };
}

function tellChild(hooks: ArbiterHooks, event: ChildEvent, child: ChildContext, value: unknown): void {
  // Dirty workers have hooks of their own; one that was never started has nothing to tell.
  if (child.title !== 'worker' || child.pid === 0) return;
  const { pid, age, slot, generation, code, signal, cause, fault } = child;
  const worker = { pid, age, slot, generation };
  if (event.type === 'process.silent' && isAborting(value)) {
    const { silentMs, found } = event;
    const stack = found && 'stack' in found ? found.stack : null;
    return hooks.tell('worker_abort', { ...worker, silentMs, stack }, generation);
  }
  if (event.type !== 'process.exited') return;
  const isExpected = (cause === 'ordered' || cause === 'terminated') && !fault;
  const reason = isExpected ? null : (fault?.message ?? cause ?? 'crashed');
  hooks.tell('child_exit', { ...worker, code, signal, reason }, generation);
}

const isAborting = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && (value as { alive?: unknown }).alive === 'aborting';
