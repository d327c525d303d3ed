/**
 * Where in a value it is that which cannot be sent: `args[0].cb is a function`. Runs at every end, and only after the
 * packer has refused the value: what can be sent is walked once, by the packer.
 */
import { DEPTH_MAX } from './packing-kinds.ts';
import { refusedKindOf } from './packing-write.ts';

/** The first refused place in `value`, which is called `name`, with the reason; undefined when there is none. */
export function refusedPlace(value: unknown, name: string): string | undefined {
  return search(value, name, { ancestors: new Map(), clean: new Set() }, 0);
}

/** What is looked into at most; what is refused beyond it is refused without its place. */
const OBJECTS_MAX = 100_000;

interface Seen {
  /** Where the objects are that the one at hand is in. */
  readonly ancestors: Map<object, string>;
  /** Objects in which nothing is refused: one that stands in many places is searched once. */
  readonly clean: Set<object>;
}

function search(value: unknown, place: string, seen: Seen, depth: number): string | undefined {
  if (typeof value === 'function' || typeof value === 'symbol') return `${place} is a ${typeof value}`;
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return undefined;
  const { ancestors, clean } = seen;
  const above = ancestors.get(value);
  if (above !== undefined) return `${place} is a cycle: it is ${above} again`;
  if (clean.has(value) || clean.size >= OBJECTS_MAX) return undefined;
  if (depth >= DEPTH_MAX) return `${place.slice(0, 60)}… is nested deeper than ${DEPTH_MAX}`;
  ancestors.set(value, place);
  for (const [inner, where] of innerOf(value, place)) {
    const found = search(inner, where, seen, depth + 1);
    if (found) return found;
  }
  ancestors.delete(value);
  const refused = isPlain(value) ? undefined : refusedKindOf(value);
  if (refused) return `${place} is ${refused}`;
  clean.add(value);
  return undefined;
}

const isPlain = (value: object): boolean => {
  if (Array.isArray(value) || value instanceof Map || value instanceof Set || value instanceof Error)
    return true;
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
};

/** What the packer would pack next, each with its place. */
function* innerOf(value: object, place: string): Generator<[unknown, string]> {
  // Of what is refused as a whole the inside is nobody's business.
  if (!isPlain(value) && refusedKindOf(value)) return;
  if (Array.isArray(value)) for (const [index, inner] of value.entries()) yield [inner, `${place}[${index}]`];
  else if (value instanceof Map)
    for (const [key, inner] of value) {
      yield [key, `a key of ${place}`];
      yield [inner, `${place}.get(${shown(key)})`];
    }
  else if (value instanceof Set) for (const inner of value) yield [inner, `an element of ${place}`];
  else {
    if (value instanceof Error) {
      yield [value.cause, `${place}.cause`];
      if (value instanceof AggregateError) yield [value.errors, `${place}.errors`];
    }
    for (const key of Object.keys(value)) {
      const where = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(key)
        ? `${place}.${key}`
        : `${place}[${shown(key)}]`;
      yield [(value as Record<string, unknown>)[key], where];
    }
  }
}

const shown = (key: unknown): string =>
  typeof key === 'string' ? JSON.stringify(key.length > 40 ? `${key.slice(0, 40)}…` : key) : String(key);
