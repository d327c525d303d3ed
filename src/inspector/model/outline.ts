/** A user's machine from its definition: its states, nested, and what leads from each of them where. Pure; runs in the browser. */
import type { Plain, Taken } from '../../actors/inspect/records.ts';
import { eventTitle } from './states.ts';

export interface OutlineLine {
  /** As XState says it of a transition that was taken. */
  event: string;
  title: string;
  guard: string | null;
  /** As it is written; empty where it leads nowhere. */
  targetText: string;
  /** By their nodes' ids; null where it is not known. */
  targets: readonly string[] | null;
}

export interface OutlineNode {
  /** Of the node: its own where it was given one. */
  id: string;
  /** Of the machine and the keys down to it, as values name it. */
  path: string;
  title: string;
  type: 'atomic' | 'compound' | 'parallel' | 'final' | 'history';
  isInitial: boolean;
  runs: readonly string[];
  lines: readonly OutlineLine[];
  children: readonly OutlineNode[];
}

type Config = { readonly [key: string]: Plain };

const isConfig = (value: unknown): value is Config =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const listOf = (value: Plain | undefined): readonly Plain[] =>
  value === undefined || value === null ? [] : Array.isArray(value) ? value : [value as Plain];
const textOf = (value: Plain | undefined): string | undefined =>
  typeof value === 'string' && value !== '' ? value : undefined;

/** Of an action, a guard or an actor: its name, or what is said in its place. */
const nameOf = (value: Plain | undefined): string | undefined =>
  textOf(value) ?? (isConfig(value) ? textOf(value['type']) : undefined);

interface Raw {
  node: Omit<OutlineNode, 'lines' | 'children'>;
  config: Config;
  children: Raw[];
}

function rawOf(config: Config, node: { id: string; path: string; title: string; isInitial: boolean }): Raw {
  const states = isConfig(config['states'])
    ? Object.entries(config['states']).filter((entry): entry is [string, Config] => isConfig(entry[1]))
    : [];
  const { path } = node;
  const told = config['type'];
  const isKnown = told === 'parallel' || told === 'final' || told === 'history';
  const type = isKnown ? told : states.length > 0 ? 'compound' : 'atomic';
  const runs = listOf(config['invoke']).map((one) =>
    isConfig(one) ? (textOf(one['id']) ?? nameOf(one['src']) ?? 'an actor') : String(one),
  );
  const initial = isConfig(config['initial']) ? config['initial']['target'] : config['initial'];
  const children = states.map(([key, one]) =>
    rawOf(one, {
      // Ids are made of keys and the machine's id, whatever a state between is called.
      id: textOf(one['id']) ?? `${path}.${key}`,
      path: `${path}.${key}`,
      title: key,
      isInitial: type === 'compound' && (initial === key || initial === `.${key}`),
    }),
  );
  return { node: { ...node, type, runs }, config, children };
}

interface Untold {
  event: string;
  title: string;
  told: Plain;
}

/** Transitions of a state with what they answer to, in the order in which XState tries them. */
function* transitionsOf({ config, node }: Raw): Generator<Untold> {
  const all = function* (event: string, value: Plain | undefined, title = eventTitle(event)) {
    for (const told of listOf(value)) yield { event, title, told };
  };
  for (const [event, value] of Object.entries(isConfig(config['on']) ? config['on'] : {}))
    yield* all(event, value);
  for (const [delay, value] of Object.entries(isConfig(config['after']) ? config['after'] : {}))
    yield* all(`xstate.after.${delay}.${node.id}`, value);
  for (const [index, one] of listOf(config['invoke']).entries()) {
    if (!isConfig(one)) continue;
    const id = textOf(one['id']) ?? `${index}.${node.id}`;
    const name = node.runs[index]!;
    yield* all(`xstate.done.actor.${id}`, one['onDone'], `${name} done`);
    yield* all(`xstate.error.actor.${id}`, one['onError'], `${name} threw`);
    yield* all(`xstate.snapshot.${id}`, one['onSnapshot'], `${name} changed`);
  }
  yield* all(`xstate.done.state.${node.id}`, config['onDone'], 'done');
  yield* all('', config['always']);
}

class Resolver {
  readonly #byPath = new Map<string, Raw>();
  readonly #byId = new Map<string, Raw>();

  constructor(root: Raw) {
    const add = (raw: Raw): void => {
      this.#byPath.set(raw.node.path, raw);
      this.#byId.set(raw.node.id, raw);
      raw.children.forEach(add);
    };
    add(root);
  }

  /** @param parent the path that a target without a dot or a number sign begins at. */
  idOf(target: string, { path, parent }: { path: string; parent: string }): string | undefined {
    if (target.startsWith('#')) return this.#idFrom(target.slice(1));
    if (target.startsWith('.')) return this.#byPath.get(`${path}${target}`)?.node.id;
    return this.#byPath.get(`${parent}.${target}`)?.node.id;
  }

  /** An id, and maybe keys below it; ids may have dots themselves. */
  #idFrom(text: string): string | undefined {
    for (let end = text.length; end > 0; end = text.lastIndexOf('.', end - 1)) {
      const found = this.#byId.get(text.slice(0, end));
      if (found) return this.#byPath.get(`${found.node.path}${text.slice(end)}`)?.node.id;
    }
    return undefined;
  }
}

function lineOf({ told, event, title }: Untold, raw: Raw, parent: string, resolver: Resolver): OutlineLine {
  const config = isConfig(told) ? told : {};
  const targets = listOf(isConfig(told) ? told['target'] : told).flatMap((one) => textOf(one) ?? []);
  const ids = targets.map((one) => resolver.idOf(one, { path: raw.node.path, parent }));
  const guard = config['guard'] === undefined ? null : (nameOf(config['guard']) ?? 'guard');
  return {
    event,
    title,
    guard: guard === '[function]' ? 'guard' : guard,
    targetText: targets.join(', '),
    targets: ids.every((id) => id !== undefined) ? (ids as string[]) : null,
  };
}

/** Null for what is no definition, as one that was too large. */
export function outlineOf(machine: string, definition: Plain | undefined): OutlineNode | null {
  if (!isConfig(definition)) return null;
  const id = textOf(definition['id']) ?? machine;
  const root = rawOf(definition, { id, path: id, title: machine, isInitial: false });
  const resolver = new Resolver(root);
  const finish = (raw: Raw, parent: string): OutlineNode => ({
    ...raw.node,
    lines: [...transitionsOf(raw)].map((one) => lineOf(one, raw, parent, resolver)),
    children: raw.children.map((child) => finish(child, raw.node.path)),
  });
  return finish(root, id);
}

/** Whether a line is one of the transitions that were taken. */
export const isTaken = (line: OutlineLine, node: OutlineNode, took: readonly Taken[]): boolean =>
  took.some(
    ({ source, target, event }) =>
      source === node.id &&
      event === line.event &&
      (line.targets === null ||
        (line.targets.length === 0
          ? target.every((id) => id === node.id)
          : line.targets.every((id) => target.includes(id)))),
  );
