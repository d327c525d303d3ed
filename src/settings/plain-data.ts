/**
 * What a configuration evaluates to, as plain data: all that leaves its process. Runs in the process that evaluates
 * it, and in the arbiter for JSON.
 */

/** Key and value, in the order of writing; a key without a value was written as undefined. */
export type Entries = ([key: string] | [key: string, value: unknown])[];

const KINDS = new Set(['[object Object]', '[object Array]', '[object Module]']);

/** Checks that JSON carries it all, and throws an error of one line that names what it does not. */
export function plainEntries(exported: unknown): Entries {
  if (typeof exported !== 'object' || exported === null || Array.isArray(exported))
    throw new Error('must export an object by default, or a function that returns one');
  const entries = Object.entries(exported);
  for (const [key, value] of entries) if (value !== undefined) check(value, key, [exported]);
  // A setting that is undefined is one that is not given, as in `workers: isBig ? 4 : undefined`.
  return entries.map(([key, value]) => (value === undefined ? [key] : [key, value]));
}

function check(value: unknown, place: string, outer: readonly object[]): void {
  const wrong = oddityOf(value, outer);
  if (wrong) throw new Error(`"${place}" is ${wrong}: settings are text, numbers, lists and plain objects`);
  if (typeof value !== 'object' || value === null) return;
  const within = [...outer, value];
  for (const [key, inner] of Object.entries(value))
    check(inner, Array.isArray(value) ? `${place}[${key}]` : `${place}.${key}`, within);
}

function oddityOf(value: unknown, outer: readonly object[]): string | undefined {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return undefined;
    case 'number':
      return Number.isFinite(value) ? undefined : String(value);
    case 'object': {
      if (value === null) return undefined;
      if (outer.includes(value)) return 'part of itself';
      const tag = Object.prototype.toString.call(value);
      return KINDS.has(tag) ? undefined : `of the kind ${tag.slice('[object '.length, -1)}`;
    }
    case 'undefined':
      return 'undefined';
    default:
      return `a ${typeof value}`;
  }
}
