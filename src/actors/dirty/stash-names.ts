/** What the names of tables and keys may be. Pure; runs at both ends. */
import { StashError } from './stash-errors.ts';

/** Lengths in UTF-8. */
export const KEY_BYTES_MAX = 1024;
export const TABLE_BYTES_MAX = 256;

/** Throws StashError `STASH_ARGUMENT`. */
export const checkTable = (table: unknown): void => checkName('the name of a table', table, TABLE_BYTES_MAX);

/** Throws StashError `STASH_ARGUMENT`. */
export const checkKey = (key: unknown): void => checkName('a key', key, KEY_BYTES_MAX);

function checkName(what: string, name: unknown, bytesMax: number): void {
  if (typeof name !== 'string')
    throw new StashError('STASH_ARGUMENT', `${what} is a text, not ${shown(name)}`);
  if (name === '') throw new StashError('STASH_ARGUMENT', `${what} is never empty`);
  const bytes = Buffer.byteLength(name);
  if (bytes > bytesMax)
    throw new StashError('STASH_ARGUMENT', `${what} has at most ${bytesMax} bytes, not ${bytes}`);
  // Half a surrogate pair has no UTF-8: two such keys would become one.
  if (/\p{Surrogate}/u.test(name))
    throw new StashError('STASH_ARGUMENT', `${what} is Unicode, without halves of characters`);
}

/** What a peer sent, for a message: short, and without calling anything of its own. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 40));
  if (value === null || value === undefined || typeof value === 'number') return String(value);
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}
