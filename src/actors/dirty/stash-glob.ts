/**
 * Which keys a pattern of `*`, `?`, `[a-z]` and `[!a-z]` names. Pure; runs in the dirty arbiter.
 *
 * The pattern is an automaton whose states are bits: state i is on where the first i parts match what was read, and a
 * `*` after part i lets state i stay on. So a key costs one step a character, whatever the pattern: no
 * backtracking, and nothing that a hostile pattern could make slow for the callers that share this process.
 */

/** The longest pattern, in characters. */
export const GLOB_LENGTH_MAX = 256;
/** So many different characters have their row remembered; keys of more are merely slower. */
const ROWS_MAX = 1024;
const WORD_BITS = 32;

interface Part {
  matches(character: string): boolean;
}

/** A predicate for keys. A `[` that is never closed stands for itself; there is no escape but `[*]`. */
export function globMatcher(glob: string): (key: string) => boolean {
  if (glob === '*') return () => true;
  if (!/[*?[]/.test(glob)) return (key) => key === glob;
  const { parts, stays } = parse(glob);
  const words = Math.ceil((parts.length + 1) / WORD_BITS);
  const staying = new Uint32Array(words);
  for (const state of stays) setBit(staying, state);
  const rows = new Map<string, Uint32Array>();
  /** The states that may be entered by reading this character. */
  const rowOf = (character: string): Uint32Array => {
    let row = rows.get(character);
    if (row) return row;
    row = new Uint32Array(words);
    for (const [index, part] of parts.entries()) if (part.matches(character)) setBit(row, index + 1);
    if (rows.size < ROWS_MAX) rows.set(character, row);
    return row;
  };
  const on = new Uint32Array(words);
  return (key) => {
    on.fill(0);
    on[0] = 1;
    for (const character of key) {
      const row = rowOf(character);
      let carry = 0;
      let any = 0;
      for (let word = 0; word < words; word++) {
        const before = on[word]!;
        const next = (((before << 1) | carry) & row[word]!) | (before & staying[word]!);
        carry = before >>> (WORD_BITS - 1);
        on[word] = next;
        any |= next;
      }
      if (any === 0) return false;
    }
    return (on[(parts.length / WORD_BITS) | 0]! & (1 << (parts.length % WORD_BITS))) !== 0;
  };
}

function setBit(bits: Uint32Array, index: number): void {
  const word = (index / WORD_BITS) | 0;
  bits[word] = bits[word]! | (1 << (index % WORD_BITS));
}

function parse(glob: string): { parts: Part[]; stays: Set<number> } {
  const characters = [...glob];
  const parts: Part[] = [];
  const stays = new Set<number>();
  for (let at = 0; at < characters.length; at++) {
    const character = characters[at]!;
    const set = character === '[' ? parseSet(characters, at) : undefined;
    if (character === '*') stays.add(parts.length);
    else if (character === '?') parts.push({ matches: () => true });
    else if (set) {
      parts.push(set.part);
      at = set.end;
    } else parts.push({ matches: (read) => read === character });
  }
  return { parts, stays };
}

/** From `[` to its `]`; one that comes first in the set is of the set. */
function parseSet(characters: string[], start: number): { part: Part; end: number } | undefined {
  let at = start + 1;
  const negated = characters[at] === '!' || characters[at] === '^';
  if (negated) at++;
  const end = characters.indexOf(']', at + 1);
  if (end < 0) return undefined;
  const ranges: [number, number][] = [];
  for (; at < end; at++) {
    const first = characters[at]!.codePointAt(0)!;
    const isRange = characters[at + 1] === '-' && at + 2 < end;
    if (isRange) at += 2;
    ranges.push([first, characters[at]!.codePointAt(0)!]);
  }
  const inSet = (code: number): boolean => ranges.some(([first, last]) => first <= code && code <= last);
  return { part: { matches: (read) => inSet(read.codePointAt(0)!) !== negated }, end };
}
