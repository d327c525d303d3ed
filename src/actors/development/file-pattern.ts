/** A file, or a pattern of files: `*` and `?` within a name, `**` for any number of directories. Pure. */
import { sep } from 'node:path';

export interface FilePattern {
  /** The directory in which everything that matches lies. */
  readonly base: string;
  matches(path: string): boolean;
  /** Whether something that matches may lie in this directory. */
  enters(directory: string): boolean;
}

const MAGIC = /[*?]/;
const SKIPPED = new Set(['node_modules', '.git']);

/** `pattern` is absolute. */
export function filePattern(pattern: string): FilePattern {
  const parts = pattern.split(sep);
  const first = parts.findIndex((part) => MAGIC.test(part));
  const fixed = first < 0 ? parts.length - 1 : first;
  const base = parts.slice(0, fixed).join(sep) || sep;
  const rest = parts.slice(fixed);
  const within = (path: string): string[] | undefined =>
    path.startsWith(base === sep ? sep : `${base}${sep}`)
      ? path.slice(base === sep ? 1 : base.length + 1).split(sep)
      : undefined;
  return {
    base,
    matches(path) {
      const names = within(path);
      return names !== undefined && isMatch(rest, names);
    },
    enters(directory) {
      const names = within(directory);
      if (names === undefined || names.some((name) => SKIPPED.has(name))) return false;
      return isBeginning(rest, names);
    },
  };
}

function isMatch([part, ...parts]: string[], names: string[]): boolean {
  if (part === undefined) return names.length === 0;
  if (part === '**')
    return isMatch(parts, names) || (names.length > 0 && isMatch([part, ...parts], names.slice(1)));
  const [name, ...others] = names;
  return name !== undefined && isName(part, name) && isMatch(parts, others);
}

/** Whether names that match may begin with these. */
function isBeginning([part, ...parts]: string[], [name, ...names]: string[]): boolean {
  if (part === undefined) return false;
  if (part === '**' || name === undefined) return true;
  return isName(part, name) && isBeginning(parts, names);
}

const isName = (part: string, name: string): boolean =>
  new RegExp(
    `^${part
      .replace(/[\\^$.+()|[\]{}]/g, '\\$&')
      .replace(/\*+/g, '.*')
      .replace(/\?/g, '.')}$`,
    's',
  ).test(name);
