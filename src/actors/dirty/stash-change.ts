/**
 * What can happen to the stash, as data: what is applied to memory, written to the file and replayed from it. Pure;
 * runs in the dirty arbiter.
 */

export type Change =
  | {
      readonly type: 'set';
      readonly table: string;
      readonly key: string;
      /** Greater than every version given before. */
      readonly version: number;
      /** On the stash's own clock; 0: never. */
      readonly expiresAtMs: number;
      /** Packed. */
      readonly value: Uint8Array;
    }
  | { readonly type: 'delete'; readonly table: string; readonly key: string }
  | { readonly type: 'clear'; readonly table: string }
  | { readonly type: 'ensure'; readonly table: string }
  | { readonly type: 'deleteTable'; readonly table: string }
  /** The newest version so far, so that none is given twice though its entry is gone. */
  | { readonly type: 'version'; readonly version: number };

/** How long an entry that is written lives: so long, for ever, or as long as what it replaces would have. */
export type Life = number | 'forever' | 'kept';
