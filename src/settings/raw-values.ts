/** Values of settings as they were found, before they are understood. Runs in the arbiter. */
import type { Setting } from './table.ts';

/** What was written for `env`, right or wrong: it is kept secret before it is understood. */
export function variablesIn(raw: unknown): Record<string, string> {
  const entries: [string, unknown][] = Array.isArray(raw)
    ? raw.map((pair, index) => {
        const [, name = String(index), value = pair] = /^([^=]*)=(.*)$/s.exec(String(pair)) ?? [];
        return [name, value];
      })
    : Object.entries((raw ?? {}) as object);
  return Object.fromEntries(entries.map(([name, value]) => [name, String(value)]));
}

/** Whether a setting takes several values. */
export const isList = ({ type }: Setting) =>
  ['addresses', 'paths', 'texts', 'words', 'amounts', 'pairs'].includes(type.kind);
