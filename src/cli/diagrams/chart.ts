/**
 * What a machine's definition says, as plain data to draw: states, edges, and what is done without leaving a state.
 * Development only: nothing here is in what users run.
 */
import type { AnyStateMachine } from 'xstate';
import { EVENT_TEXTS } from '../../machines/events/texts.ts';

/** One transition, with the names that the code has. */
export interface Step {
  /** As XState calls it, `always` where there is none: what an inspector sees. */
  event: string;
  /** As people read it: `worker.ready`, `after graceLimit`, `claim done`. */
  text: string;
  guard: string | null;
  /** Alternatives with guards come before it. */
  isElse: boolean;
  actions: string[];
}

export interface ChartState {
  /** The full path, as XState gives it. */
  id: string;
  key: string;
  kind: 'atomic' | 'compound' | 'parallel' | 'final';
  description: string;
  entry: string[];
  exit: string[];
  /** Actors that live as long as the state is active. */
  invokes: string[];
  initial: string | null;
  /** What is done without leaving the state. */
  inner: Step[];
  /** What begins the state anew. */
  again: Step[];
  /** Events that the state meets on purpose by doing nothing. */
  ignored: Step[];
  states: ChartState[];
}

export interface ChartEdge {
  source: string;
  target: string;
  steps: Step[];
  /** Default: what its steps do and mean. */
  title?: string;
  /** Not a transition of a machine, nor a link: drawn with dashes. */
  isBeside?: boolean;
  /** Leads straight from one box to its neighbour on the right. */
  isAcross?: boolean;
}

export interface Chart {
  id: string;
  description: string;
  root: ChartState;
  edges: ChartEdge[];
  /** The root is what there is, not a box of its own. */
  isFrameless?: boolean;
}

/** The parts of XState's nodes that are read here; their types are not all public. */
interface Transition {
  eventType: string;
  target?: readonly Node[];
  guard?: unknown;
  actions: readonly unknown[];
  reenter: boolean;
}
interface Node {
  id: string;
  key: string;
  type: string;
  description?: string;
  config: { entry?: unknown; exit?: unknown };
  invoke: readonly { id: string; src: unknown }[];
  initial?: { target: readonly Node[] };
  after: readonly { eventType: string; delay: number | string }[];
  always?: readonly Transition[];
  transitions: Map<string, readonly Transition[]>;
  states: Record<string, Node>;
}

const listOf = (value: unknown): unknown[] =>
  value === undefined ? [] : Array.isArray(value) ? value : [value];

/** `becomeLeaving(hung)`: a name of the code, with what it is given. */
function nameOf(value: unknown): string {
  if (typeof value === 'string') return value;
  const { type, params } = value as { type?: unknown; params?: unknown };
  if (typeof type !== 'string') throw new Error('an action or guard without a name cannot be drawn');
  const given = params && typeof params === 'object' ? Object.values(params).map(String) : [];
  return given.length > 0 ? `${type}(${given.join(', ')})` : type;
}
const namesOf = (value: unknown): string[] => listOf(value).map(nameOf);

/** An actor without an id of its own goes by the name of what it runs. */
const actorOf = ({ id, src }: { id: string; src: unknown }): string => (/^\d+\./.test(id) ? String(src) : id);

/** The words for an event that XState names by itself. */
function eventText(node: Node, event: string): string {
  const delayed = node.after.find(({ eventType }) => eventType === event);
  if (delayed) return `after ${delayed.delay}`;
  const ended = /^xstate\.(done|error)\.(actor|state)\.(.+)$/.exec(event);
  if (!ended) return event;
  const [, how, , id] = ended;
  const actor = node.invoke.find((one) => one.id === id);
  return `${actor ? actorOf(actor) : id} ${how === 'done' ? 'done' : 'threw'}`;
}

/** The same where only the machine is known. */
export function eventTextIn(machine: AnyStateMachine, event: string): string {
  const isOf = ({ after, invoke }: Node): boolean =>
    after.some(({ eventType }) => eventType === event) || invoke.some(({ id }) => event.endsWith(`.${id}`));
  const find = (node: Node): Node | undefined =>
    isOf(node) ? node : Object.values(node.states).map(find).find(Boolean);
  const node = find(machine.root as unknown as Node);
  return node ? eventText(node, event) : event;
}

function stepsOf(node: Node): { step: Step; target: Node | undefined }[] {
  const lists: (readonly [string, readonly Transition[]])[] = [...node.transitions];
  if (node.always) lists.push(['always', node.always]);
  return lists.flatMap(([event, transitions]) =>
    transitions.map((transition, index) => {
      const guard = transition.guard === undefined ? null : nameOf(transition.guard);
      const text = event === 'always' ? 'always' : eventText(node, event);
      const isElse = guard === null && index > 0;
      const actions = transition.actions.map(nameOf);
      return { step: { event, text, guard, isElse, actions }, target: transition.target?.[0] };
    }),
  );
}

export function chartOf(machine: AnyStateMachine): Chart {
  const edges = new Map<string, ChartEdge>();

  const visit = (node: Node): ChartState => {
    const state: ChartState = {
      id: node.id,
      key: node.key,
      kind: node.type as ChartState['kind'],
      description: node.description ?? '',
      entry: namesOf(node.config.entry),
      exit: namesOf(node.config.exit),
      invokes: node.invoke.map(actorOf),
      initial: node.type === 'compound' ? (node.initial?.target[0]?.id ?? null) : null,
      inner: [],
      again: [],
      ignored: [],
      states: [],
    };
    for (const { step, target } of stepsOf(node)) {
      if (target === node) state.again.push(step);
      else if (target) {
        const name = `${node.id} ${target.id}`;
        const edge = edges.get(name) ?? { source: node.id, target: target.id, steps: [] };
        edge.steps.push(step);
        edges.set(name, edge);
      } else if (step.actions.length > 0) state.inner.push(step);
      else state.ignored.push(step);
    }
    state.states = Object.values(node.states).map(visit);
    return state;
  };

  const root = visit(machine.root as unknown as Node);
  return { id: machine.id, description: root.description, root, edges: [...edges.values()] };
}

/** When a step is taken, among those of its event. */
export const condition = ({ guard, isElse }: Step): string =>
  guard ? ` [${guard}]` : isElse ? ' [else]' : '';

export const stepText = (step: Step): string =>
  `${step.text}${condition(step)}${step.actions.length > 0 ? ` / ${step.actions.join(', ')}` : ''}`;

/** What has happened, in a sentence. */
export function eventMeaning({ event, text }: Step): string {
  if (event in EVENT_TEXTS) return EVENT_TEXTS[event as keyof typeof EVENT_TEXTS];
  if (event === 'always') return 'At once, without an event.';
  const [, delay] = /^after (.+)$/.exec(text) ?? [];
  if (delay) return `The state has lasted as long as \`${delay}\` says.`;
  const [, actor, how] = /^(.+) (done|threw)$/.exec(text) ?? [];
  if (actor)
    return how === 'done'
      ? `The actor \`${actor}\` has done its work.`
      : `The actor \`${actor}\` has thrown an error.`;
  throw new Error(`nothing says what ${event} means`);
}
