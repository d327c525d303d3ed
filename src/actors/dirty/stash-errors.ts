/**
 * What the stash refuses, and why. Runs on both sides: thrown by the stash in the dirty arbiter, carried as code and
 * message, and made again in the worker that asked. Part of every app's start.
 */
import { DirtyError } from './errors.ts';

export const STASH_CODES = [
  /** What was put does not fit any more; `--dirty-stash-max` is the bound. */
  'STASH_FULL',
  /** An argument that the stash cannot take: a key that is no text, a time that is no number. */
  'STASH_ARGUMENT',
  /** `increment` of what is no number, or beyond what a number can count. */
  'STASH_NOT_A_NUMBER',
  /** `update` found the value changed by somebody else, again and again. */
  'STASH_CONFLICT',
  /** The change could not be written to the stash's file, and was not made. */
  'STASH_NOT_WRITTEN',
  /** The answer is larger than a frame may be. */
  'STASH_ANSWER_TOO_LARGE',
] as const;

export type StashCode = (typeof STASH_CODES)[number];

/** What the stash refuses; nothing was changed then. `code` is one of `STASH_CODES`. */
export class StashError extends DirtyError {
  override readonly name: string = 'StashError';
  declare readonly code: StashCode;

  constructor(code: StashCode, message: string, options?: ErrorOptions) {
    super(code, message, options);
  }
}

/** The stash holds as much as `--dirty-stash-max` allows. Nothing was changed. */
export class StashFullError extends StashError {
  override readonly name = 'StashFullError';

  constructor(message: string, options?: ErrorOptions) {
    super('STASH_FULL', message, options);
  }
}

/** The error of a code that came over the wire; undefined for a code that is not the stash's. */
export function stashErrorOf(code: unknown, message: string, options?: ErrorOptions): StashError | undefined {
  if (code === 'STASH_FULL') return new StashFullError(message, options);
  const known = STASH_CODES.find((one) => one === code);
  return known && new StashError(known, message, options);
}
