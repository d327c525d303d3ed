/**
 * The tree of processes and what joins them, as a chart: actors from the machines' own definitions, links from the link map.
 * Development only.
 */
import { type AnyStateMachine, StateMachine } from 'xstate';
import { arbiterMachine } from '../../machines/arbiter.ts';
import { dirtyArbiterMachine } from '../../machines/dirty-arbiter.ts';
import { type LinkKind, linkSchemas } from '../../machines/events/link.ts';
import { workerMachine } from '../../machines/worker.ts';
import type { Chart, ChartEdge, ChartState, Step } from './chart.ts';

/** What runs below each kind of link, and which child machine has its upper end. */
const BELOW: Record<LinkKind, { title: string; description: string; root: AnyStateMachine; above: string }> =
  {
    web: {
      title: 'worker process × --workers',
      description: 'Loads the app and answers requests.',
      root: workerMachine,
      above: 'arbiter.arbiter/pool/child',
    },
    dirtyArbiter: {
      title: 'dirty arbiter process',
      description: 'Supervises dirty workers and routes calls to them; no code of an app runs in it.',
      root: dirtyArbiterMachine,
      above: 'arbiter.arbiter/dirty/pool/child',
    },
    dirtyWorker: {
      title: 'dirty worker process × --dirty-workers',
      description: 'Loads dirty apps and runs their actions.',
      root: workerMachine,
      above: 'dirtyArbiter.dirtyArbiter/pool/child',
    },
  };

const EVENTS_PER_LINE_MAX = 4;

/** Nodes of a machine's states, as far as they are read here. */
interface Node {
  invoke: readonly { src: unknown }[];
  states: Record<string, Node>;
}
const invokedBy = (node: Node): Set<unknown> =>
  new Set([
    ...node.invoke.map(({ src }) => src),
    ...Object.values(node.states).flatMap((inner) => [...invokedBy(inner)]),
  ]);

const boxOf = (id: string, key: string, description: string, invokes: string[] = []): ChartState => ({
  id: `tree.${id}`,
  key,
  kind: 'atomic',
  description,
  entry: [],
  exit: [],
  invokes,
  initial: null,
  inner: [],
  again: [],
  ignored: [],
  states: [],
});

const said = (text: string): Step => ({ event: text, text, guard: null, isElse: false, actions: [] });
const edgeOf = (
  source: string,
  target: string,
  lines: readonly string[],
  title = lines.join('\n'),
): ChartEdge => ({
  source: `tree.${source}`,
  target: `tree.${target}`,
  steps: lines.map(said),
  title,
});

/** Who is not of the tree, and the ways past the machines: requests and calls. */
const OUTSIDE = [
  boxOf('clients', 'clients', 'Whoever sends requests to the app.'),
  boxOf('kirinc', 'kirinc', 'The shell of the control socket.'),
];
const BESIDE: ChartEdge[] = [
  edgeOf('clients', 'web', ['requests', '(inherited descriptor)']),
  edgeOf('kirinc', 'arbiter', ['commands', '(control socket)']),
  { ...edgeOf('web', 'dirtyArbiter', ['dirty calls', '(Unix socket)']), isAcross: true },
  edgeOf('dirtyArbiter', 'dirtyWorker', ['dirty calls', '(Unix socket)']),
];

/** A machine and those below it in the same process, each a box; what else it runs is named in the box. */
function actorsOf(path: string, machine: AnyStateMachine): { boxes: ChartState[]; edges: ChartEdge[] } {
  const actors = Object.entries(machine.implementations.actors);
  const machines = actors.filter(([, logic]) => logic instanceof StateMachine) as [string, AnyStateMachine][];
  const plain = actors.map(([name]) => name).filter((name) => !machines.some(([other]) => other === name));
  const invoked = invokedBy(machine.root as unknown as Node);
  const boxes = [boxOf(path, machine.id, machine.root.description ?? '', plain)];
  const edges: ChartEdge[] = [];
  for (const [name, inner] of machines) {
    const below = actorsOf(`${path}/${name}`, inner);
    boxes.push(...below.boxes);
    edges.push(edgeOf(path, `${path}/${name}`, [invoked.has(name) ? 'runs' : 'spawns']), ...below.edges);
  }
  return { boxes, edges };
}

/** `↓ worker: boot, drain, quit`, in lines of about the same length. */
function eventLines(arrow: string, events: readonly string[]): string[] {
  const bySubject = new Map<string, string[]>();
  for (const event of events) {
    const [subject, word] = event.split('.') as [string, string];
    bySubject.set(subject, [...(bySubject.get(subject) ?? []), word]);
  }
  return [...bySubject].flatMap(([subject, words]) => {
    const lines: string[] = [];
    const each = Math.ceil(words.length / Math.ceil(words.length / EVENTS_PER_LINE_MAX));
    for (let from = 0; from < words.length; from += each)
      lines.push(words.slice(from, from + each).join(', '));
    return `${arrow} ${subject}: ${lines.join(',\n')}`.split('\n');
  });
}

export function processTree(): Chart {
  const kinds = Object.keys(BELOW) as LinkKind[];
  const processes: [string, string, string, AnyStateMachine][] = [
    [
      'arbiter',
      'arbiter process',
      'Binds the sockets and supervises; it never touches a connection.',
      arbiterMachine,
    ],
    ...kinds.map((kind) => {
      const { title, description, root } = BELOW[kind];
      return [kind, title, description, root] as [string, string, string, AnyStateMachine];
    }),
  ];
  const edges: ChartEdge[] = [];
  const boxes = processes.map(([name, title, description, root]): ChartState => {
    const inside = actorsOf(`${name}.${root.id}`, root);
    edges.push(...inside.edges);
    return { ...boxOf(name, title, description), kind: 'compound', states: inside.boxes };
  });
  for (const kind of kinds) {
    const { down, up } = linkSchemas[kind];
    const lines = [...eventLines('↓', Object.keys(down)), ...eventLines('↑', Object.keys(up))];
    edges.push(edgeOf(BELOW[kind].above, kind, [`link ${kind}`, ...lines]));
  }
  edges.push(...BESIDE.map((edge) => ({ ...edge, isBeside: true })));
  const root: ChartState = {
    ...boxOf('', 'kirin', 'The processes of a server, the actors in them, and the links between them.'),
    id: 'tree',
    kind: 'compound',
    states: [...OUTSIDE, ...boxes],
  };
  return { id: 'tree', description: root.description, root, edges, isFrameless: true };
}

const nodeName = (id: string): string => id.replace(/[^A-Za-z0-9]/g, '_');

/** The same as Mermaid's text. */
export function processTreeMermaid({ root, edges }: Chart): string {
  const lines = ['flowchart TD'];
  for (const box of root.states) {
    if (box.states.length === 0) lines.push(`  ${nodeName(box.id)}(["${box.key}"])`);
    else {
      lines.push(`  subgraph ${nodeName(box.id)} ["${box.key}"]`);
      lines.push(...box.states.map((inner) => `    ${nodeName(inner.id)}["${inner.key}"]`), '  end');
    }
  }
  for (const { source, target, steps, isBeside } of edges) {
    const label = steps.map(({ text }) => text.trim()).join('<br>');
    lines.push(`  ${nodeName(source)} ${isBeside ? '-.->' : '-->'}|"${label}"| ${nodeName(target)}`);
  }
  return `${lines.join('\n')}\n`;
}
