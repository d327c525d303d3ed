/** Which transitions a machine has, and which of them a run took: every transition must have a test path. */
import type { AnyStateMachine, InspectionEvent } from 'xstate';

interface Transition {
  source: { id: string };
  eventType: string;
  target?: readonly { id: string }[] | undefined;
  guard?: unknown;
}

const nameOf = ({ source, eventType, target, guard }: Transition): string => {
  const to = target ? ` -> ${target.map((node) => node.id).join(', ')}` : ' (stays)';
  return `${source.id}: ${eventType || 'always'}${typeof guard === 'string' ? ` [${guard}]` : ''}${to}`;
};

interface Node {
  transitions: Map<string, Transition[]>;
  always?: Transition[];
  states: Record<string, Node>;
}

export function transitionsOf(machine: AnyStateMachine): Set<string> {
  const names = new Set<string>();
  const visit = (node: Node): void => {
    for (const transitions of node.transitions.values())
      for (const transition of transitions) names.add(nameOf(transition));
    for (const transition of node.always ?? []) names.add(nameOf(transition));
    for (const inner of Object.values(node.states)) visit(inner);
  };
  visit(machine.root as unknown as Node);
  return names;
}

/** Collects what is taken; hand `watch` to `createActor` as `inspect`. */
export function transitionRecorder() {
  const taken = new Set<string>();
  return {
    taken,
    watch(event: InspectionEvent): void {
      if (event.type !== '@xstate.microstep') return;
      const { _transitions } = event as unknown as { _transitions?: Transition[] };
      for (const transition of _transitions ?? []) taken.add(nameOf(transition));
    },
  };
}
