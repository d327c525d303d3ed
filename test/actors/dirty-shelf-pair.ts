/** A shelf that is open, and its reader, for tests of both. */
import type { TestContext } from 'node:test';
import { Shelf } from '../../src/actors/dirty/shelf.ts';
import { hasShelves } from '../../src/actors/dirty/shelf-memory.ts';
import { ShelfReader } from '../../src/actors/dirty/shelf-reader.ts';

/** Elsewhere the same frames go through the socket, which other tests try. */
export const withShelves = { skip: hasShelves() ? false : 'there is no memory file system here' };

export function shelfPair(t: TestContext): { shelf: Shelf; reader: ShelfReader } {
  const shelf = Shelf.make()!;
  const reader = ShelfReader.open(shelf.name)!;
  t.after(() => {
    shelf.close();
    reader.close();
  });
  shelf.answered(true);
  return { shelf, reader };
}
