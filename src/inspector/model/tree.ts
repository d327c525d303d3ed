/** The tree of processes and actors, from everything that is. Pure; runs in the browser. */
import type { State, ToldActor, ToldProcess } from '../../actors/inspect/records.ts';
import type { Fate } from './fates.ts';

export interface TreeNode {
  actor: ToldActor;
  /** Where the actor is the root of one. */
  process: ToldProcess | null;
  /** It has ended, and is shown a little longer. */
  fate: Fate | null;
  children: TreeNode[];
}

/** A row that is shown. */
export interface TreeRow {
  node: TreeNode;
  level: number;
  open: boolean;
  /** Its place among its siblings, from 1, and their number. */
  place: number;
  of: number;
}

const LEVELS_MAX = 64;

const placeOf = (id: string): number => Number(id.split('/')[1] ?? 0);
const inPlace = (a: TreeNode, b: TreeNode): number =>
  a.actor.pid - b.actor.pid || placeOf(a.actor.id) - placeOf(b.actor.id);

export interface TreeChoice {
  /** Of these, machines whose parent is there are shown where they were. */
  gone?: readonly Fate[];
  /** Of actors that are no machines and own none; all where it is not given. */
  keeps?: (actor: ToldActor) => boolean;
}

/** Roots first; an actor whose parent is not known is a root. */
export function treeOf(
  { processes, actors }: State,
  { gone = [], keeps = () => true }: TreeChoice = {},
): TreeNode[] {
  const byPid = new Map(processes.map((process) => [process.pid, process]));
  const nodes = new Map<string, TreeNode>();
  for (const actor of actors) {
    const process = actor.root && !actor.user ? (byPid.get(actor.pid) ?? null) : null;
    nodes.set(actor.id, { actor, process, fate: null, children: [] });
  }
  // Latest first: owners before what they owned.
  for (const fate of gone) {
    const { actor, process } = fate;
    if (actor.machine === null || nodes.has(actor.id)) continue;
    const node = { actor, process: actor.root && !actor.user ? process : null, fate, children: [] };
    nodes.set(actor.id, node);
  }
  const roots: TreeNode[] = [];
  for (const node of nodes.values()) {
    const { parent, id } = node.actor;
    const above = parent === null || parent === id ? undefined : nodes.get(parent);
    if (above) above.children.push(node);
    else if (!node.fate) roots.push(node);
  }
  const isKept = ({ actor, children }: TreeNode): boolean =>
    actor.machine !== null || children.length > 0 || keeps(actor);
  for (const node of nodes.values()) node.children = node.children.filter(isKept).sort(inPlace);
  return roots;
}

/** Machines before plain actors, each in the order in which they came. */
const inOrder = (nodes: TreeNode[]): TreeNode[] => [
  ...nodes.filter(({ actor }) => actor.machine !== null),
  ...nodes.filter(({ actor }) => actor.machine === null),
];

/** The rows of what is open; `isOpen` is asked for nodes that have children. */
export function rowsOf(roots: TreeNode[], isOpen: (node: TreeNode, level: number) => boolean): TreeRow[] {
  const rows: TreeRow[] = [];
  const visit = (nodes: TreeNode[], level: number): void => {
    if (level > LEVELS_MAX) return;
    const ordered = inOrder(nodes);
    for (const [index, node] of ordered.entries()) {
      const open = node.children.length > 0 && isOpen(node, level);
      rows.push({ node, level, open, place: index + 1, of: ordered.length });
      if (open) visit(node.children, level + 1);
    }
  };
  visit(roots, 1);
  return rows;
}

/** How many child machines are in each state, by what they supervise. */
export function fleetOf(actors: readonly ToldActor[]): Map<string, ToldActor[]> {
  const fleets = new Map<string, ToldActor[]>();
  for (const actor of actors) {
    if (actor.machine !== 'child' || actor.user) continue;
    const title = actor.about?.title ?? 'worker';
    const fleet = fleets.get(title);
    if (fleet) fleet.push(actor);
    else fleets.set(title, [actor]);
  }
  return fleets;
}
